//! Programs that speak gRPC: a client and a server with grpc-go, built from its Go modules.

use std::net::SocketAddr;
use std::path::PathBuf;
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

    /// Makes one call, and gives what the client says of it: `OK: hello`, `NotFound: as asked`.
    pub fn ask(&self, at: SocketAddr, what: &str, number: u32) -> String {
        let mut command = Command::new(&self.0);
        command.args(["client", &at.to_string(), what, &number.to_string()]);
        run(&mut command).trim_end().to_owned()
    }
}
