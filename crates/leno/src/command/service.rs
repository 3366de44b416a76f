//! What the service manager is told that started this process, if one did: sd_notify(3).

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::command::host;

/// This process serves, also if it was another that was started.
pub(super) fn serves() {
    tell(&format!("READY=1\nMAINPID={}", std::process::id()));
}

/// This process ends.
pub(super) fn ends() {
    tell("STOPPING=1");
}

fn tell(state: &str) {
    let Some(path) = host::service_manager() else {
        return;
    };
    let address = match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let send = |address: SocketAddr| -> io::Result<usize> {
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)
    };
    // Whoever cannot be told goes by what it sees.
    drop(address.and_then(send));
}
