//! Servers that people run, which say what they read of a request.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::go;
use crate::process::Process;
use crate::world::World;

/// What a server read of a request. It may read a part of it in several ways.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    /// The method.
    pub method: String,
    /// The path, decoded and resolved.
    pub paths: Vec<String>,
    /// What the header `x-role` says; empty where it is not there.
    pub roles: Vec<String>,
}

impl Read {
    /// What an answer of a reader says, if it is one.
    pub fn of(answer: &str) -> Option<Self> {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        if !head.starts_with("HTTP/1.1 200") {
            return None;
        }
        let mut lines = body.lines();
        let mut several = || {
            lines
                .next()
                .map(|line| line.split('|').map(str::to_owned).collect())
        };
        let method: Vec<String> = several()?;
        Some(Self {
            method: method.concat(),
            paths: several()?,
            roles: several()?,
        })
    }
}

/// The servers there are: nginx, Node's http, Python's http.server, Go's net/http.
pub const READERS: [&str; 4] = ["nginx", "node", "python3", "go"];

/// Starts one that listens at these addresses; `None`, and it says so, where Go is not installed.
pub fn reader(world: &World, name: &str, at: &[SocketAddr]) -> Option<Process> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reader");
    let addresses = at.iter().map(SocketAddr::to_string).collect::<Vec<_>>();
    let mut command = match name {
        "nginx" => {
            let listen = addresses.iter().map(|address| format!("listen {address};"));
            let file = world.folder().join("reader.conf");
            let configuration = format!(
                "daemon off; master_process off; user root; pid reader.pid; error_log stderr;\n\
                 events {{}}\nhttp {{ access_log off; server {{ {} location / {{\n\
                   return 200 \"$request_method\\n$uri\\n$http_x_role\\n\"; }} }} }}\n",
                listen.collect::<Vec<_>>().join(" ")
            );
            fs::write(&file, configuration).expect("the folder takes files");
            let mut nginx = Command::new("nginx");
            nginx.arg("-p").arg(world.folder()).arg("-c").arg(&file);
            nginx
        }
        "node" => with_script("node", &folder.join("reader.js"), &addresses),
        "python3" => with_script("python3", &folder.join("reader.py"), &addresses),
        "go" => {
            let mut program = Command::new(go::program("reader")?);
            program.args(&addresses);
            program
        }
        other => panic!("there is no reader {other}"),
    };
    Some(world.process(name, &mut command))
}

fn with_script(program: &str, script: &Path, addresses: &[String]) -> Command {
    let mut command = Command::new(program);
    command.arg(script).args(addresses);
    command
}
