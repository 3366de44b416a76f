//! What runs in the pods of a cluster for tests, in one program without libraries:
//!
//! - `pod serve PORT`: answers each request of HTTP with the host's name, and says on standard output what it was asked
//! - `pod get URL`: prints the body of an answer to `http://HOST:PORT/PATH`
//! - `pod pause`: does nothing, for whoever only holds namespaces

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, thread};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", port] => serve(port),
        ["get", url] => get(url),
        ["pause"] => loop {
            thread::park();
        },
        _ => Err(io::Error::other("usage: pod serve PORT | get URL | pause")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "pod: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(port: &str) -> io::Result<()> {
    let listener = TcpListener::bind(format!("[::]:{port}"))?;
    writeln!(io::stdout(), "serving {port}")?;
    for client in listener.incoming() {
        let client = client?;
        // A client that goes away has nothing to do with the others.
        thread::spawn(move || answer(client));
    }
    Ok(())
}

fn answer(mut client: TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut head = BufReader::new(client.try_clone()?).take(HEAD).lines();
    let asked = head.next().unwrap_or_else(|| Ok(String::new()))?;
    while head
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    writeln!(io::stdout(), "{asked}")?;
    let body = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn get(url: &str) -> io::Result<()> {
    let rest = url.strip_prefix("http://");
    let (host, path) = rest
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(|| io::Error::other("http://HOST:PORT/PATH"))?;
    let mut server = TcpStream::connect(host)?;
    server.set_read_timeout(Some(PATIENCE))?;
    write!(
        server,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    server.take(BODY).read_to_string(&mut answer)?;
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| io::Error::other("no answer"))?;
    io::stdout().write_all(body.as_bytes())
}

/// How long one end waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a request's head may be.
const HEAD: u64 = 16 * 1024;

/// How long an answer may be.
const BODY: u64 = 1024 * 1024;
