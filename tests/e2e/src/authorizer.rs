//! External authorizers: one by gRPC with Envoy's own types, built from its Go modules, and one by HTTP, in
//! Python.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::go::program;
use crate::process::Process;
use crate::world::World;

/// Starts one that is asked by gRPC, which takes Go, and waits until it listens. What it answers, its first
/// lines explain.
pub fn authorize_by_grpc(world: &World, name: &str, at: SocketAddr) -> Process {
    let program = program("authorizer").expect("Go is installed");
    started(world, name, Command::new(program).arg(at.to_string()))
}

/// The same by HTTP.
pub fn authorize_by_http(world: &World, name: &str, at: SocketAddr) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("authorizer/by_http.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(at.ip().to_string());
    started(world, name, python.arg(at.port().to_string()))
}

fn started(world: &World, name: &str, command: &mut Command) -> Process {
    let server = world.process(name, command);
    server.until_says(&["\"ready\""]);
    server
}
