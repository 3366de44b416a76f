//! Programs that speak gRPC: with grpc-go, built from its Go modules, and with grpcio, in Python.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::go::program;
use crate::process::{Process, run};
use crate::world::World;

/// grpc-go, which is installed.
#[derive(Clone, Debug)]
pub struct Grpc(PathBuf);

impl Grpc {
    /// Builds the program. `None`, and it says so, where Go is not installed.
    pub fn installed() -> Option<Self> {
        program("grpc").map(Self)
    }

    /// Starts a server, and waits until it listens.
    pub fn serve(&self, world: &World, name: &str, at: SocketAddr) -> Process {
        let mut command = Command::new(&self.0);
        command.args(["server", &at.to_string()]);
        let server = world.process(name, &mut command);
        server.until_says(&["\"ready\""]);
        server
    }

    /// Makes so many calls at once, again and again until it is told to end (TERM), and then says
    /// `OK: 4711 calls`; at the first that fails it says why and ends.
    pub fn load(&self, world: &World, name: &str, at: SocketAddr, number: u32) -> Process {
        let mut command = Command::new(&self.0);
        command.args(["client", &at.to_string(), "load", &number.to_string()]);
        world.process(name, &mut command)
    }

    /// Makes one call, and gives what the client says of it: `OK: hello`, `NotFound: as asked`.
    pub fn ask(&self, at: SocketAddr, what: &str, number: u32) -> String {
        let mut command = Command::new(&self.0);
        command.args(["client", &at.to_string(), what, &number.to_string()]);
        run(&mut command).trim_end().to_owned()
    }
}

/// The script of grpcio with these arguments, which its first lines explain.
pub fn grpcio(arguments: &[&str]) -> Command {
    // The one that Debian's packages are for.
    let mut python = Command::new("/usr/bin/python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("grpcio/echo.py");
    python.arg(script).args(arguments);
    python
}
