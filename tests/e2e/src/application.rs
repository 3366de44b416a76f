//! An application that says what it was asked, and misbehaves when it is asked to.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::process::until;

/// An HTTP/1.1 server. It answers with the head of the request as it came, then `body LENGTH HASH`.
/// Some paths ask for something else:
///
/// - `/status/503`: this status
/// - `/bytes/1000`, `/chunked/1000`, `/endless/1000`: so many bytes, with their length, in chunks, or up
///   to the end of the connection
/// - `/switch`: another protocol, in which every byte is sent back
/// - `/close`, `/reset`: the connection ends before an answer
/// - `/half/1000`: it ends after so many bytes, of twice as many
/// - `/garbage`: something that is not HTTP
/// - `/never`: nothing at all; `/stall`: the first half of an answer, and nothing more
#[derive(Clone, Debug)]
pub struct Application {
    /// How many requests came.
    requests: Arc<AtomicUsize>,
    /// How many connections came.
    connections: Arc<AtomicUsize>,
    /// What was asked of it.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Application {
    /// Starts one that calls itself `name`.
    pub fn start(at: SocketAddr, name: &'static str) -> Self {
        let application = Self {
            requests: Arc::default(),
            connections: Arc::default(),
            asked: Arc::default(),
        };
        let counting = application.clone();
        serve(at, move |stream| {
            counting.connections.fetch_add(1, Ordering::Relaxed);
            // A client that leaves is no failure of ours.
            drop(converse(&counting, name, stream));
        });
        application
    }

    /// How many requests came so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// What was asked of it so far: `POST /order, body LENGTH HASH`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Runs `handle` for each connection to `at`, each in a thread of its own.
pub fn serve(at: SocketAddr, handle: impl Fn(TcpStream) + Send + Sync + 'static) {
    let listener = until("a free address", || TcpListener::bind(at).ok());
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = handle.clone();
            thread::spawn(move || handle(stream));
        }
    });
}

/// Makes sure that nobody listens at `at`.
pub fn refuse(at: SocketAddr) {
    let refused = TcpStream::connect(at).expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

/// Listens at `at` and takes no connection: whoever knocks waits.
pub fn deaf(at: SocketAddr) -> impl Sized {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None).expect("a socket");
    socket.bind(&at.into()).expect("a free address");
    socket.listen(0).expect("it can listen");
    // One finds room although there is none.
    let knocking = TcpStream::connect(at);
    (socket, knocking)
}

/// FNV-1a: enough to see that bytes are the same.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The bytes of `/bytes/COUNT`.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 251) as u8).collect()
}

fn converse(application: &Application, name: &str, stream: TcpStream) -> io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    while let Some(head) = read_head(&mut input)? {
        let field = |wanted: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(wanted).then_some(value)
            })
        };
        if field("expect").is_some() {
            out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = match (field("content-length"), field("transfer-encoding")) {
            (Some(length), _) => {
                let mut body = vec![0; length.parse().expect("a length")];
                input.read_exact(&mut body)?;
                body
            }
            (None, Some(_)) => read_chunks(&mut input)?,
            (None, None) => Vec::new(),
        };
        application.requests.fetch_add(1, Ordering::Relaxed);
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (method, _) = head.split_once(' ').unwrap_or_default();
        let asked = format!("{method} {path}, body {} {:x}", body.len(), hash(&body));
        application
            .asked
            .lock()
            .expect("nobody panics with it")
            .push(asked);
        let mut parts = path.trim_start_matches('/').split('/');
        let (what, number) = (parts.next().unwrap_or_default(), parts.next());
        let number = number.and_then(|number| number.parse().ok()).unwrap_or(0);
        let answer = |status: usize, body: &[u8]| {
            let length = body.len();
            let mut answer = format!(
                "HTTP/1.1 {status} As Asked\r\nserver: {name}\r\ncontent-length: {length}\r\n\r\n"
            )
            .into_bytes();
            if !head.starts_with("HEAD ") {
                answer.extend_from_slice(body);
            }
            answer
        };
        let answer = match what {
            "status" => answer(number, b"as asked\n"),
            "bytes" => answer(200, &bytes(number)),
            "chunked" => {
                let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
                for chunk in bytes(number).chunks(1000) {
                    answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    answer.extend_from_slice(chunk);
                    answer.extend_from_slice(b"\r\n");
                }
                answer.extend_from_slice(b"0\r\n\r\n");
                answer
            }
            "endless" => {
                out.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                return out.write_all(&bytes(number));
            }
            "switch" => {
                out.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
                )?;
                return io::copy(&mut input, &mut out).map(drop);
            }
            "close" => return Ok(()),
            "reset" => return reset(&out),
            "half" => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 2 * number);
                out.write_all(head.as_bytes())?;
                return out.write_all(&bytes(number));
            }
            "stall" => {
                out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ")?;
                return io::copy(&mut input, &mut io::sink()).map(drop);
            }
            "garbage" => {
                out.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n")?;
                return Ok(());
            }
            "never" => {
                // The end of the connection is the only thing that follows.
                return io::copy(&mut input, &mut io::sink()).map(drop);
            }
            _ => {
                let told = format!("{head}body {} {:x}\n", body.len(), hash(&body));
                answer(200, told.as_bytes())
            }
        };
        out.write_all(&answer)?;
    }
    Ok(())
}

/// Lets the connection end with a cut.
fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

fn read_head(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    loop {
        if input.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        if head.ends_with("\r\n\r\n") {
            return Ok(Some(head));
        }
    }
}

fn read_chunks(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).expect("the size of a chunk");
        let start = body.len();
        body.resize(start + size, 0);
        input.read_exact(&mut body[start..])?;
        input.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
    }
}
