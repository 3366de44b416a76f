//! A peer that speaks HBONE by the code of another mesh: Istio's client and server.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::go::program;
use crate::process::Process;
use crate::world::World;

/// Asks the application at `target` for `paths` through the tunnels of `proxy`, as `name`, in this version of HTTP;
/// status and length of each answer. `None` where Go is not installed.
pub fn call(
    world: &World,
    name: &str,
    (proxy, target): (SocketAddr, SocketAddr),
    version: &str,
    paths: &[&str],
) -> Option<Vec<String>> {
    let mut command = Command::new(program("hbone")?);
    command.arg("call");
    command.args([proxy, target].map(|address| address.to_string()));
    command.arg(world.folder().join("certs").join(name));
    command.arg(version);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::null());
    let mut calling = command.spawn().expect("it was built");
    let mut asks = calling.stdin.take().expect("it is a pipe");
    let written = asks.write_all(paths.join("\n").as_bytes());
    written.expect("it reads what it is asked");
    drop(asks);
    let said = calling.wait_with_output().expect("it is our child");
    let said = String::from_utf8(said.stdout).expect("it says text");
    // Istio's client tells of its tunnels among them.
    let answers = said.lines().filter_map(|line| line.strip_prefix("answer "));
    Some(answers.map(str::to_owned).collect())
}

/// Starts one that takes the tunnels of `name` at `at`. `None` where Go is not installed.
pub fn serve(world: &World, name: &str, at: SocketAddr) -> Option<Process> {
    let mut command = Command::new(program("hbone")?);
    command.arg("serve").arg(at.to_string());
    command.arg(world.folder().join("certs").join(name));
    let process = world.process("hbone", &mut command);
    process.until_says(&["ready"]);
    Some(process)
}
