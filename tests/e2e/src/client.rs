//! Clients: curl, and bare bytes where curl would be too polite.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use socket2::SockRef;

/// Longer than anything takes, so that a lost answer fails the test and does not hang it.
const LIMIT: Duration = Duration::from_secs(90);

/// An answer as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// From the status line to the empty line.
    pub head: String,
    /// What followed, without the framing of chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of one header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// Status and code: `200`, or `403 R003 no-allow-rule`.
    pub fn outcome(&self) -> String {
        let error = self
            .header("leno-error")
            .and_then(|error| error.split(';').next());
        match error {
            Some(error) => format!("{} {error}", self.status),
            None => self.status.to_string(),
        }
    }

    /// Whether no request follows it.
    pub fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.get(..400).unwrap_or(&self.body);
        write!(f, "{}{}", self.head, String::from_utf8_lossy(body))
    }
}

/// Asks with curl, as a user would; `arguments` are curl's own.
pub fn curl(arguments: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command
        .args(["-sS", "-i", "--max-time", "30"])
        .args(arguments);
    let output = command.output().expect("curl is installed");
    let whole = output.status.success();
    assert!(
        whole,
        "curl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut rest = output.stdout.as_slice();
    loop {
        let answer = parse(rest).unwrap_or_else(|| panic!("curl {arguments:?}: no answer"));
        // Interim answers stand before the one that counts.
        if answer.status >= 200 || answer.status == 101 {
            return answer;
        }
        rest = rest.get(answer.head.len()..).unwrap_or_default();
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let (head, body) = bytes.split_at(end);
    let head = String::from_utf8(head.to_vec()).ok()?;
    let status = head.split(' ').nth(1)?.get(..3)?.parse().ok()?;
    Some(Answer {
        status,
        head,
        body: body.to_vec(),
    })
}

/// Sends `request` and gives everything that comes until the other end closes.
pub fn exchange(to: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut client = Client::to(to);
    client.send(request);
    let bytes = client.rest();
    let text = String::from_utf8_lossy(&bytes);
    parse(&bytes).unwrap_or_else(|| panic!("not an answer: {text:?}"))
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    /// Connects; a proxy takes every connection.
    pub fn to(address: SocketAddr) -> Self {
        Self::try_to(address).unwrap_or_else(|| panic!("{address} takes no connection"))
    }

    /// Connects, if somebody takes it.
    pub fn try_to(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            set(&stream, Some(LIMIT)).expect("a limit can be set");
        }
        stream.set_nodelay(true).expect("the option can be set");
        Some(Self {
            stream,
            unread: Vec::new(),
        })
    }

    /// Sends bytes. That the other end has closed is found out by reading.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        drop(self.stream.write_all(bytes.as_ref()));
    }

    /// Says that nothing more will be sent. That the other end has closed is found out by reading.
    pub fn end(&mut self) {
        drop(self.stream.shutdown(Shutdown::Write));
    }

    /// Breaks the connection off, so that the other end sees it at once.
    pub fn break_off(self) {
        let linger = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        linger.expect("the option can be set");
    }

    /// Reads exactly this many bytes.
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(
                self.more() > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        }
        self.unread.drain(..count).collect()
    }

    /// Reads up to the end of the connection, be it a clean one or a cut.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// Reads until what came is enough, or up to the end of the connection.
    pub fn until(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        while !is_enough(&self.unread) && self.more() > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// Reads up to the end of the connection; whether that is a cut, and not a clean one.
    pub fn is_cut(&mut self) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
                    return true;
                }
            }
        }
    }

    /// The same connection, to be read while it is written.
    pub fn try_clone(&self) -> Self {
        Self {
            stream: self.stream.try_clone().expect("a socket has two handles"),
            unread: Vec::new(),
        }
    }

    /// Whether the other end has closed: nothing came that was not read, and nothing will.
    pub fn is_over(&mut self) -> bool {
        self.unread.is_empty() && self.more() == 0
    }

    /// Asks for `path` and reads the answer, whose length must be said. `None` if there is none.
    pub fn get(&mut self, path: &str) -> Option<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: cart\r\n\r\n"));
        self.answer()
    }

    /// Reads an answer, whose length must be said. `None` if the connection ends before its end.
    pub fn answer(&mut self) -> Option<Answer> {
        let mut answer = loop {
            match parse(&self.unread) {
                Some(answer) => break answer,
                None if self.more() == 0 => return None,
                None => {}
            }
        };
        let length = answer.header("content-length").map_or(Ok(0), str::parse);
        let end = answer.head.len() + length.expect("a number");
        while self.unread.len() < end {
            if self.more() == 0 {
                return None;
            }
        }
        let whole = self.unread.drain(..end).collect::<Vec<_>>();
        answer.body = whole.get(answer.head.len()..).unwrap_or_default().to_vec();
        Some(answer)
    }

    fn more(&mut self) -> usize {
        let mut bytes = [0; 64 * 1024];
        let count = match self.stream.read(&mut bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came for {LIMIT:?}")
            }
            Err(_cut) => 0,
        };
        self.unread.extend_from_slice(&bytes[..count]);
        count
    }
}
