//! The programs of the table's meshes: servers that misbehave when they are asked to, workloads that run
//! what they are bidden, and clients that send what no client should.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs, thread};

use leno_e2e::{Application, Client};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(25);

const USAGE: &str = "\
mischief serve [ADDRESS:]PORT..  a server that does what its paths say (leno_e2e::Application)
mischief deaf [ADDRESS:]PORT     listens, and takes no connection
mischief obey NAME               runs what it reads from NAME.sock, and answers what that says
mischief send ADDRESS BYTES      sends bytes (\\r, \\n and \\0 are what they are in C), ends, and shows
                                 what comes back, and how that ends
mischief hold ADDRESS BYTES      the same without ending
mischief expire FOLDER NAME      makes the certificate of NAME one that ended a minute ago
mischief crowd ADDRESS COUNT     holds so many connections, each in the middle of a request
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", ref ports @ ..] => serve(ports),
        ["deaf", port] => ignore(port),
        ["obey", name] => obey(name),
        ["send", address, bytes] => send(address, bytes, true),
        ["hold", address, bytes] => send(address, bytes, false),
        ["expire", folder, name] => expire(folder, name),
        ["crowd", address, count] => crowd(address, count),
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

/// A port of every address, or an address with its port.
fn here(place: &str) -> io::Result<SocketAddr> {
    let port = place
        .parse()
        .map(|port| (Ipv4Addr::UNSPECIFIED, port).into());
    port.or_else(|_| place.parse()).map_err(io::Error::other)
}

fn stay() -> ! {
    show("there\n");
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

/// Whatever fails on the way means that the other end has cut the connection.
fn send(address: &str, bytes: &str, ends: bool) -> io::Result<()> {
    let bytes = bytes
        .replace("\\r", "\r")
        .replace("\\n", "\n")
        .replace("\\0", "\0");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let sent = stream.write_all(bytes.as_bytes());
    let ended = match ends {
        true => stream.shutdown(Shutdown::Write),
        false => Ok(()),
    };
    let end = match sent.and(ended).and_then(|()| recite(&mut stream)) {
        Ok(()) => "[closed]",
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => "[silent]",
        Err(_cut) => "[reset]",
    };
    show(&format!("\n{end}\n"));
    Ok(())
}

/// Shows what comes, as it comes.
fn recite(stream: &mut TcpStream) -> io::Result<()> {
    let mut room = [0; 4096];
    loop {
        match stream.read(&mut room)? {
            0 => return Ok(()),
            count => show(&String::from_utf8_lossy(&room[..count])),
        }
    }
}

fn expire(folder: &str, name: &str) -> io::Result<()> {
    leno_e2e::let_expire(Path::new(folder), name);
    Ok(())
}

fn crowd(address: &str, count: &str) -> io::Result<()> {
    let address = address.parse().map_err(io::Error::other)?;
    let count: usize = count.parse().map_err(io::Error::other)?;
    let mut clients: Vec<_> = (0..count).map(|_| Client::to(address)).collect();
    for client in &mut clients {
        client.send("GET /never HTTP/1.1\r\nHost: cart\r\n\r\n");
    }
    show("crowded\n");
    stay()
}

#[expect(clippy::print_stdout, reason = "a program says what it has seen")]
fn show(text: &str) {
    print!("{text}");
    // Nobody may read it any more.
    drop(io::stdout().flush());
}
