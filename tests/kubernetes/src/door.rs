//! The door of a node: an address of the host, behind which is the API server of a network that nothing else leads into.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::Failure;

/// Connections to an address of the host go on to the same address in a sandbox, until it is dropped.
#[derive(Debug)]
pub(crate) struct Door {
    address: SocketAddr,
    shut: Arc<AtomicBool>,
}

impl Door {
    /// Opens one into the network of process `inside`.
    pub(crate) fn open(address: SocketAddr, inside: u32) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address);
        let listener = listener.map_err(Failure::of(address.to_string()))?;
        let shut = Arc::new(AtomicBool::new(false));
        let is_shut = Arc::clone(&shut);
        thread::spawn(move || {
            for visitor in listener.incoming().flatten() {
                if is_shut.load(Ordering::Relaxed) {
                    return;
                }
                thread::spawn(move || lead(visitor, address, inside));
            }
        });
        Ok(Self { address, shut })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut.store(true, Ordering::Relaxed);
        // Whoever waits for visitors looks up.
        drop(TcpStream::connect(self.address));
    }
}

/// Carries one connection to its end. A visitor who cannot be led in finds the connection closed.
fn lead(visitor: TcpStream, address: SocketAddr, inside: u32) {
    let Ok(other) = visitor.try_clone() else {
        return;
    };
    let mut command = Command::new("nsenter");
    command.args(["--target", &inside.to_string(), "--net"]);
    command.args(["socat", "STDIO", &format!("TCP:{address}")]);
    command
        .stdin(OwnedFd::from(visitor))
        .stdout(OwnedFd::from(other));
    drop(command.stderr(Stdio::null()).status());
}
