//! Programs that speak WebSocket, asked for in either version of HTTP.

use std::path::Path;
use std::process::Command;

use crate::process::{Process, run};
use crate::world::World;

/// The script with these arguments, which its first lines explain.
pub fn websocket(arguments: &[&str]) -> Command {
    // The one that Debian's packages are for.
    let mut python = Command::new("/usr/bin/python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("websocket/echo.py");
    python.arg(script).args(arguments);
    python
}

/// HAProxy that listens at `from` and passes on to `to`. What stands behind both addresses says what it speaks:
/// `proto h2` is HTTP/2 alone.
pub fn haproxy(world: &World, name: &str, (from, to): (&str, &str)) -> Process {
    let configuration = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         listen all\n  bind {from}\n  server one {to}\n"
    );
    let file = world.folder().join(format!("{name}.cfg"));
    std::fs::write(&file, configuration).expect("the folder takes files");
    run(Command::new("haproxy").arg("-c").arg("-f").arg(&file));
    let mut haproxy = Command::new("haproxy");
    haproxy.arg("-db").arg("-f").arg(&file);
    world.process(name, &mut haproxy)
}
