//! What runs in the pods of a cluster for tests, in one program without libraries:
//!
//! - `pod serve PORT`: answers each request of HTTP with the host's name, and says on standard output what it was asked
//! - `pod get URL`: prints the body of an answer to `http://HOST:PORT/PATH`
//! - `pod load URL RATE [PATIENCE]`: asks so often a second, each time by a connection of its own, until its standard input
//!   ends, and then says how many answers there were, and what was none; for a connection it waits so many milliseconds
//! - `pod watch URL [PATIENCE]`: asks again and again, and says when an answer is another one than the one before, in
//!   milliseconds since 1970; of an answer that is not 200, its status tells which it is
//! - `pod names NAME ADDRESS`: a server of names that knows one, of IPv4, over UDP; says on standard output who asks for it
//! - `pod look NAME`: prints the addresses that a name has
//! - `pod pause`: does nothing, for whoever only holds namespaces

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", port] => serve(port),
        ["get", url] => get(url),
        ["load", url, rate] => load(url, rate, Ok(PATIENCE)),
        ["load", url, rate, patience] => load(url, rate, milliseconds(patience)),
        ["watch", url] => watch(url, Ok(PATIENCE)),
        ["watch", url, patience] => watch(url, milliseconds(patience)),
        ["names", name, address] => names(name, address),
        ["look", name] => look(name),
        ["pause"] => loop {
            thread::park();
        },
        _ => Err(io::Error::other(
            "usage: pod serve PORT | get URL | load URL RATE [PATIENCE] | watch URL [PATIENCE] | names NAME ADDRESS | look NAME | \
             pause",
        )),
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

/// Answers questions as RFC 1035 section 4 has them: there is no other name than the one.
fn names(name: &str, address: &str) -> io::Result<()> {
    let address: Ipv4Addr = address.parse().map_err(io::Error::other)?;
    let mut known = Vec::new();
    for label in name.split('.') {
        known.push(u8::try_from(label.len()).map_err(io::Error::other)?);
        known.extend(label.to_ascii_lowercase().bytes());
    }
    known.push(0);
    let socket = UdpSocket::bind("[::]:53")?;
    writeln!(io::stdout(), "knows {name}")?;
    let mut question = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut question)?;
        let Some((head, asked)) = question[..length].split_first_chunk::<12>() else {
            continue;
        };
        // The name ends with an empty label, and its type and class follow.
        let Some(end) = asked.iter().position(|byte| *byte == 0) else {
            continue;
        };
        let Some(kind) = asked.get(end + 1..end + 5) else {
            continue;
        };
        let is_known = asked[..=end].to_ascii_lowercase() == known;
        let has_address = is_known && kind == [0, 1, 0, 1];
        let mut answer = head[..2].to_vec();
        // An answer to a question that wished for recursion, which there is; 3: there is no such name.
        answer.extend([0x81, if is_known { 0x80 } else { 0x83 }]);
        answer.extend([0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
        answer.extend(&asked[..end + 5]);
        if has_address {
            // The name of the question, for 5 seconds.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
            answer.extend(address.octets());
            writeln!(io::stdout(), "asked by {}", from.ip().to_canonical())?;
        }
        socket.send_to(&answer, from)?;
    }
}

fn look(name: &str) -> io::Result<()> {
    for address in (name, 0).to_socket_addrs()? {
        writeln!(io::stdout(), "{}", address.ip())?;
    }
    Ok(())
}

fn get(url: &str) -> io::Result<()> {
    io::stdout().write_all(answered(url, PATIENCE)?.1.as_bytes())
}

fn load(url: &str, rate: &str, patience: io::Result<Duration>) -> io::Result<()> {
    let patience = patience?;
    let rate: u32 = rate
        .parse()
        .map_err(|_| io::Error::other("RATE is a number"))?;
    let ends = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (ends, url) = (Arc::clone(&ends), url.to_owned());
            thread::spawn(move || ask_on(&url, rate, patience, client, &ends))
        })
        .collect();
    writeln!(io::stdout(), "asking")?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    ends.store(true, Ordering::Relaxed);
    let (mut asked, mut failed) = (0, Vec::new());
    for thread in threads {
        let (count, failures) = thread
            .join()
            .map_err(|_| io::Error::other("a client panicked"))?;
        asked += count;
        failed.extend(failures);
    }
    writeln!(io::stdout(), "asked {asked} failed {}", failed.len())?;
    for failure in failed.iter().take(SHOWN) {
        writeln!(io::stdout(), "{failure}")?;
    }
    Ok(())
}

/// So many milliseconds.
fn milliseconds(text: &str) -> io::Result<Duration> {
    let number = text.parse();
    let number = number.map_err(|_| io::Error::other("PATIENCE is a number"))?;
    Ok(Duration::from_millis(number))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how often a client asks hangs on the clock"
)]
/// One of several clients, each of which asks at its own moments. How often it asked, and what was no answer.
fn ask_on(
    url: &str,
    rate: u32,
    patience: Duration,
    client: u32,
    ends: &AtomicBool,
) -> (u32, Vec<String>) {
    let began = Instant::now();
    let pace = Duration::from_secs(1) / rate;
    let (mut asked, mut failed) = (0, Vec::new());
    while !ends.load(Ordering::Relaxed) {
        let due = pace * (client + asked * CLIENTS);
        thread::sleep(due.saturating_sub(began.elapsed()));
        asked += 1;
        match answered(url, patience) {
            Ok((status, _)) if status == "200" => {}
            Ok((status, body)) => {
                failed.push(format!("after {:?}: {status} {body}", began.elapsed()))
            }
            Err(error) => failed.push(format!("after {:?}: {error}", began.elapsed())),
        }
    }
    (asked, failed)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how often a client asks hangs on the clock"
)]
fn watch(url: &str, patience: io::Result<Duration>) -> io::Result<()> {
    let patience = patience?;
    let mut last = String::new();
    say_when("began")?;
    loop {
        let told = match answered(url, patience) {
            Ok((status, body)) if status == "200" => format!("200 {}", body.trim_end()),
            Ok((status, _)) => status,
            Err(error) => format!("- {error}"),
        };
        if told != last {
            say_when(&told)?;
        }
        last = told;
        thread::sleep(AGAIN);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever reads it compares moments"
)]
fn say_when(what: &str) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_err(io::Error::other)?.as_millis();
    writeln!(io::stdout(), "{now} {what}")
}

/// How long a client that watches rests between two questions.
const AGAIN: Duration = Duration::from_millis(5);

/// How many clients ask side by side, and how many failures are told.
const CLIENTS: u32 = 16;
const SHOWN: usize = 20;

/// The status and the body of an answer, which waits so long for a connection.
fn answered(url: &str, patience: Duration) -> io::Result<(String, String)> {
    let rest = url.strip_prefix("http://");
    let (host, path) = rest
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(|| io::Error::other("http://HOST:PORT/PATH"))?;
    let mut server = connected(host, patience)?;
    server.set_read_timeout(Some(PATIENCE))?;
    write!(
        server,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    server.take(BODY).read_to_string(&mut answer)?;
    let parts = || {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?;
        Some((status.to_owned(), body.to_owned()))
    };
    parts().ok_or_else(|| io::Error::other("no answer"))
}

/// A connection to the first of a host's addresses that takes one.
fn connected(host: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other("it has no address");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(server) => return Ok(server),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// How long one end waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a request's head may be.
const HEAD: u64 = 16 * 1024;

/// How long an answer may be.
const BODY: u64 = 1024 * 1024;
