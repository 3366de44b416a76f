//! A server that speaks HTTP/2 as it likes: it writes its frames by hand.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leno_e2e::serve;

use crate::frames::{ANSWER, END_HEADERS, Kind, PREFACE, field, frame, frames};

/// The server, and what came to it.
#[derive(Clone, Debug, Default)]
pub struct Server {
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    floods: Arc<AtomicUsize>,
}

impl Server {
    /// Starts one whose manners are `manners`, on each of its connections.
    pub fn start(at: SocketAddr, manners: impl Fn(&mut Line) + Send + Sync + 'static) -> Self {
        let server = Self::default();
        let counting = server.clone();
        serve(at, move |stream| {
            counting.connections.fetch_add(1, Ordering::Relaxed);
            let mut line = Line {
                stream,
                came: Vec::new(),
                requests: counting.requests.clone(),
                floods: counting.floods.clone(),
            };
            if line.greet().is_ok() {
                manners(&mut line);
            }
        });
        server
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many floods are over.
    pub fn floods(&self) -> usize {
        self.floods.load(Ordering::Relaxed)
    }

    /// How many requests came so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// One connection to the server.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    came: Vec<u8>,
    requests: Arc<AtomicUsize>,
    floods: Arc<AtomicUsize>,
}

/// How much a flood is at most, and how long nobody takes of it before it is over.
const FLOOD: usize = 200 << 20;
const STUCK: Duration = Duration::from_secs(2);

impl Line {
    /// Sends the same again and again, until that was much, or nobody takes it.
    pub fn flood(&mut self, bytes: &[u8]) {
        let limited = self.stream.set_write_timeout(Some(STUCK));
        limited.expect("the option can be set");
        for _ in 0..FLOOD / bytes.len() {
            if !self.send(bytes) {
                break;
            }
        }
        self.floods.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends bytes; `false` if nobody takes them any more.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Begins an answer, whose body follows.
    pub fn answer(&mut self, stream: u32) -> bool {
        self.send(&frame(
            Kind::Headers,
            END_HEADERS,
            stream,
            &field(":status", "200"),
        ))
    }

    /// Waits for a request and says on which stream it comes; `None` if none will come. Settings and
    /// pings that come before it are answered.
    pub fn request(&mut self) -> Option<u32> {
        loop {
            let (kind, flags, stream, payload) = self.next().ok()?;
            match kind {
                _ if kind == Kind::Headers as u8 => {
                    self.requests.fetch_add(1, Ordering::Relaxed);
                    return Some(stream);
                }
                _ if kind == Kind::Settings as u8 && flags & ANSWER == 0 => {
                    self.send(&frame(Kind::Settings, ANSWER, 0, &[]));
                }
                _ if kind == Kind::Ping as u8 && flags & ANSWER == 0 => {
                    self.send(&frame(Kind::Ping, ANSWER, 0, &payload));
                }
                _ => {}
            }
        }
    }

    /// Reads to the end of the connection.
    pub fn end(&mut self) {
        while self.next().is_ok() {}
    }

    fn greet(&mut self) -> io::Result<()> {
        let mut preface = vec![0; PREFACE.len()];
        self.stream.read_exact(&mut preface)?;
        assert_eq!(preface, PREFACE, "the proxy speaks HTTP/2");
        Ok(())
    }

    /// The next frame: kind, flags, stream and payload.
    fn next(&mut self) -> io::Result<(u8, u8, u32, Vec<u8>)> {
        loop {
            if let Some((kind, flags, stream, payload)) = frames(&self.came).first().copied() {
                let payload = payload.to_vec();
                self.came.drain(..9 + payload.len());
                return Ok((kind, flags, stream, payload));
            }
            let mut room = vec![0; 64 * 1024];
            match self.stream.read(&mut room)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.came.extend(&room[..count]),
            }
        }
    }
}
