//! The programs of the table's meshes: servers that misbehave when they are asked to, workloads that run
//! what they are bidden, and clients that send what no client should.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixListener;
use std::process::{Command, ExitCode};
use std::{env, fs, thread};

use leno_e2e::{Application, Client};

const USAGE: &str = "\
mischief serve PORT..          a server that does what its paths say (leno_e2e::Application)
mischief deaf PORT             listens, and takes no connection
mischief obey NAME             runs what it reads from NAME.sock, and answers what that says
mischief send ADDRESS BYTES    sends bytes (\\r, \\n and \\0 are what they are in C), ends, and shows
                               what comes back, and how that ends
mischief hold ADDRESS BYTES    the same without ending
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", ref ports @ ..] => serve(ports),
        ["deaf", port] => ignore(port),
        ["obey", name] => obey(name),
        ["send", address, bytes] => send(address, bytes, Client::end),
        ["hold", address, bytes] => send(address, bytes, |_| ()),
        _ => Err(io::Error::other(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            show(&format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn serve(ports: &[&str]) -> io::Result<()> {
    for port in ports {
        Application::start(here(port)?, "mischief");
    }
    stay()
}

fn ignore(port: &str) -> io::Result<()> {
    let _deaf = leno_e2e::deaf(here(port)?);
    stay()
}

fn here(port: &str) -> io::Result<SocketAddr> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    Ok((Ipv4Addr::UNSPECIFIED, port).into())
}

fn stay() -> ! {
    loop {
        thread::park();
    }
}

/// One command at a time.
fn obey(name: &str) -> io::Result<()> {
    let socket = format!("{name}.sock");
    drop(fs::remove_file(&socket));
    for stream in UnixListener::bind(socket)?.incoming() {
        let mut stream = stream?;
        let mut command = String::new();
        stream.read_to_string(&mut command)?;
        let script = format!("exec 2>&1; {command}");
        let output = Command::new("sh").args(["-c", &script]).output()?;
        // Whoever asked may have gone.
        drop(stream.write_all(&output.stdout));
        if let Some(code) = output.status.code().filter(|code| *code != 0) {
            drop(stream.write_all(format!("[exit code {code}]\n").as_bytes()));
        }
    }
    Ok(())
}

fn send(address: &str, bytes: &str, end: impl Fn(&mut Client)) -> io::Result<()> {
    let resolved = std::net::ToSocketAddrs::to_socket_addrs(address)?.next();
    let address = resolved.ok_or_else(|| io::Error::other("no address"))?;
    let mut client = Client::to(address);
    client.send(
        bytes
            .replace("\\r", "\r")
            .replace("\\n", "\n")
            .replace("\\0", "\0"),
    );
    end(&mut client);
    let end = match client.is_cut() {
        true => "[reset]",
        false => "[closed]",
    };
    show(&format!(
        "{}\n{end}\n",
        String::from_utf8_lossy(&client.rest())
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program says what it has seen")]
fn show(text: &str) {
    print!("{text}");
}
