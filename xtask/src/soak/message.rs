//! HTTP/1.1 as both ends of an errand read and write it: a head, and a body by its length or in chunks.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

/// One end of a connection, with what has come and is not read yet.
pub(super) struct Connection<S = TcpStream> {
    stream: S,
    come: Vec<u8>,
}

/// The head of a request or an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// The first line.
    pub(super) line: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The value of a field, by its name in small letters.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.trim_end().lines();
        let line = lines.next()?.to_owned();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        Some(Self {
            line,
            fields: fields.collect::<Option<_>>()?,
        })
    }
}

impl<S: Read + Write> Connection<S> {
    /// Over a stream of which nothing was read.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            come: Vec::new(),
        }
    }

    /// Reads a head; `None` when the other end has closed before it.
    pub(super) fn head(&mut self) -> io::Result<Option<Head>> {
        let end = loop {
            if let Some(end) = find(&self.come, b"\r\n\r\n") {
                break end + 4;
            }
            if self.more()? == 0 {
                return match self.come.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        };
        let head = self.take(end)?;
        let head = String::from_utf8(head).ok();
        let head = head.and_then(|head| Head::read(&head));
        head.map(Some).ok_or_else(|| io::Error::other("not a head"))
    }

    /// Reads the body that a head announces.
    pub(super) fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        if head.field("transfer-encoding") != Some("chunked") {
            let length = head.field("content-length").unwrap_or("0");
            return self.take(length.parse().map_err(io::Error::other)?);
        }
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    /// Reads one chunk; the last is empty.
    pub(super) fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = loop {
            match find(&self.come, b"\r\n") {
                Some(end) => break self.take(end + 2)?,
                None if self.more()? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {}
            }
        };
        let line = String::from_utf8(line).map_err(io::Error::other)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = self.take(length + 2)?;
        chunk.truncate(length);
        Ok(chunk)
    }

    /// Reads exactly so many bytes.
    pub(super) fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.come.len() < count {
            if self.more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.come.split_off(count);
        Ok(std::mem::replace(&mut self.come, rest))
    }

    /// Writes all of it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut room = [0; 16 * 1024];
        let count = loop {
            match self.stream.read(&mut room) {
                // A wait that has a limit is not taken up again by the kernel.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.come
            .extend_from_slice(room.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// A body as it goes over the connection, behind a head that begins with `lines`.
pub(super) fn framed(lines: &str, body: &[u8], chunked: bool) -> Vec<u8> {
    if !chunked {
        let length = body.len();
        let head = format!("{lines}content-length: {length}\r\n\r\n");
        return [head.as_bytes(), body].concat();
    }
    let mut message = format!("{lines}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for piece in body.chunks(CHUNK) {
        message.extend(as_chunk(piece));
    }
    message.extend(as_chunk(b""));
    message
}

/// A chunk as it goes over the connection.
pub(super) fn as_chunk(piece: &[u8]) -> Vec<u8> {
    let length = format!("{:x}\r\n", piece.len());
    [length.as_bytes(), piece, b"\r\n"].concat()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|found| found == what)
}

/// How long chunks are, at most.
const CHUNK: usize = 5000;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Connection, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        (Connection::new(near), Connection::new(far))
    }

    #[test]
    fn what_is_written_is_read() {
        let body = vec![b'x'; 12_000];
        for chunked in [false, true] {
            let (mut near, mut far) = pair();
            let message = framed("POST / HTTP/1.1\r\nHost: cart\r\n", &body, chunked);
            near.write(&message).unwrap();
            let head = far.head().unwrap().unwrap();
            assert_eq!(head.line, "POST / HTTP/1.1");
            assert_eq!(head.field("host"), Some("cart"));
            assert_eq!(far.body(&head).unwrap(), body);
            drop(near);
            assert_eq!(far.head().unwrap(), None);
        }
    }

    #[test]
    fn what_breaks_off_is_an_error() {
        for half in ["GET / HT", "GET / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab"] {
            let (mut near, mut far) = pair();
            near.write(half.as_bytes()).unwrap();
            drop(near);
            let read = far.head().and_then(|head| match head {
                Some(head) => far.body(&head).map(drop),
                None => Ok(()),
            });
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
