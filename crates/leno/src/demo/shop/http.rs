//! As much HTTP/1.1 as a small program needs: a server with a thread per connection, and a client
//! that keeps its connections.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use leno_protocol::{Asked, BodyReader, Fields, HeadReader};

/// What is asked.
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
}

impl Request {
    /// The method and the segments of the path.
    pub(super) fn parts(&self) -> (&str, Vec<&str>) {
        let segments = self.path.split('/').filter(|segment| !segment.is_empty());
        (&self.method, segments.collect())
    }
}

/// What is answered, in one line of text.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, text }
    }

    /// The answer to what a service does not offer.
    pub(super) fn not_found() -> Self {
        Self::new(404, "there is no such thing here")
    }

    /// The number that the text is.
    pub(super) fn number(&self) -> io::Result<u64> {
        self.text.trim().parse().map_err(|_| broken("no number"))
    }
}

/// Answers every request to `port` by `answer`, and by 502 where that failed.
pub(super) fn serve(
    port: u16,
    answer: impl Fn(&Request) -> io::Result<Reply> + Send + Sync + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, super::own_port(port)))?;
    let answer = Arc::new(answer);
    loop {
        // A connection that broke before it was taken is the caller's concern.
        if let Ok((stream, _)) = listener.accept() {
            let answer = answer.clone();
            thread::spawn(move || converse(Connection::new(stream), &*answer));
        }
    }
}

fn converse(
    mut connection: Connection,
    answer: &dyn Fn(&Request) -> io::Result<Reply>,
) -> io::Result<()> {
    while let Some(request) = connection.request()? {
        let reply = answer(&request).unwrap_or_else(|error| Reply::new(502, error.to_string()));
        connection.reply(&reply)?;
    }
    Ok(())
}

/// Calls one service.
pub(super) struct Client {
    /// `cart:8080`
    service: String,
    /// Where that is.
    at: String,
    idle: Mutex<Vec<Connection>>,
}

impl Client {
    /// A client of `service`, which is looked up when it is first called.
    pub(super) fn new(service: &str) -> Self {
        Self::at_port(service, super::PORT)
    }

    /// A client of a service that has another port than most.
    pub(super) fn at_port(service: &str, port: u16) -> Self {
        Self {
            service: format!("{service}:{port}"),
            at: super::address_of(service, port),
            idle: Mutex::default(),
        }
    }

    /// Calls, and waits for the answer.
    pub(super) fn call(&self, method: &str, path: &str) -> io::Result<Reply> {
        let named = |error: io::Error| {
            let what = format!("{method} {path} on {}: {error}", self.service);
            io::Error::new(error.kind(), what)
        };
        self.exchange(method, path).map_err(named)
    }

    fn exchange(&self, method: &str, path: &str) -> io::Result<Reply> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = std::iter::from_fn(|| idle().pop()).find(Connection::is_open);
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(&self.at)?,
        };
        connection.ask(&self.service, method, path)?;
        let (reply, keep) = connection.answer()?;
        if keep {
            idle().push(connection);
        }
        Ok(reply)
    }
}

/// A connection, and what has come on it that is not read yet.
struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let bytes = Vec::new();
        Self { stream, bytes }
    }

    fn open(at: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::new(stream))
    }

    /// Whether the other side has not closed it, nor said what nobody asked for.
    fn is_open(&self) -> bool {
        let peek = || {
            self.stream.set_nonblocking(true)?;
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            peeked
        };
        peek().is_err_and(|error: io::Error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn ask(&mut self, service: &str, method: &str, path: &str) -> io::Result<()> {
        let length = if method == "GET" {
            ""
        } else {
            "Content-Length: 0\r\n"
        };
        write!(
            self.stream,
            "{method} {path} HTTP/1.1\r\nHost: {service}\r\n{length}\r\n"
        )
    }

    fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        let Reply { status, text } = reply;
        let length = text.len() + 1;
        let head = format!(
            "HTTP/1.1 {status} \r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        );
        self.stream.write_all(format!("{head}{text}\n").as_bytes())
    }

    /// The next request; `None` when there will be none.
    fn request(&mut self) -> io::Result<Option<Request>> {
        let mut heads = HeadReader::default();
        loop {
            let mut fields = Fields::new();
            let read = heads.request(&self.bytes, &mut fields);
            let read = read.map_err(|refused| broken(refused.flaw))?.map(|head| {
                let request = Request {
                    method: head.request.method.to_owned(),
                    path: head.request.path.raw().to_owned(),
                };
                (request, head.length, BodyReader::new(head.body))
            });
            drop(fields);
            if let Some((request, length, body)) = read {
                self.body(length, body)?;
                return Ok(Some(request));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// The answer to what was asked, and whether more may be asked.
    fn answer(&mut self) -> io::Result<(Reply, bool)> {
        let mut heads = HeadReader::default();
        loop {
            let mut fields = Fields::new();
            let read = heads.response(&self.bytes, &mut fields, Asked::default());
            let read = read.map_err(|refused| broken(refused.flaw))?.map(|head| {
                let body = BodyReader::new(head.body);
                let keep = head.keep_alive.is_some();
                (head.response.status, keep, head.length, body)
            });
            drop(fields);
            if let Some((status, keep, length, body)) = read {
                let text = self.body(length, body)?;
                let text = String::from_utf8_lossy(&text).trim_end().to_owned();
                return Ok((Reply { status, text }, keep));
            }
            if !self.more()? {
                return Err(broken("it closed the connection before it answered"));
            }
        }
    }

    /// Takes the body that follows a head of `length` bytes.
    fn body(&mut self, length: usize, mut body: BodyReader) -> io::Result<Vec<u8>> {
        self.bytes.drain(..length);
        let mut content = Vec::new();
        while !body.is_done() {
            let taken = body.take(&self.bytes).map_err(broken)?;
            content.extend(self.bytes.drain(..taken));
            if content.len() > LONGEST {
                return Err(broken("a body too long"));
            }
            if !body.is_done() && !self.more()? {
                body.finish().map_err(broken)?;
                break;
            }
        }
        Ok(content)
    }

    /// Reads what has come, and waits for it; false at the end.
    fn more(&mut self) -> io::Result<bool> {
        let mut piece = [0; 4096];
        let count = self.stream.read(&mut piece)?;
        self.bytes.extend_from_slice(&piece[..count]);
        Ok(count > 0)
    }
}

fn broken(what: impl ToString) -> io::Error {
    io::Error::other(what.to_string())
}

/// How long a client waits for the next piece of an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// More than anybody here has to say, in bytes.
const LONGEST: usize = 1 << 20;
