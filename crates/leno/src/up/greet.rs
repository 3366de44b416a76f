//! Finding out what is spoken on a port of which nobody has said it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use leno_host::Sockets;
use leno_model::view::Protocol;
use leno_protocol::{SERVER_FIRST, Spoken};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;

/// How long a server that speaks first has for its first word.
const FIRST_WORD: Duration = Duration::from_millis(150);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A request that any HTTP server answers and that changes nothing. Servers of other protocols
/// take it for a mistake and say so in their own words.
const REQUEST: &[u8] = b"OPTIONS * HTTP/1.0\r\n\r\n";

/// What a client of HTTP/2 begins with, and its settings, of which there are none (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Asks the application at `to`, by sockets from inside its enclosure. Blocks for some seconds at
/// most. Whatever does not answer in HTTP is carried as bytes.
pub(crate) fn greet(sockets: &Sockets, to: SocketAddr) -> Protocol {
    match heard(sockets, to) {
        Ok(Heard::Http1) => Protocol::Http,
        Ok(Heard::First(word)) => spoken_by(&word),
        Ok(Heard::Other) | Err(_) => answers_http2(sockets, to).unwrap_or(Protocol::Tcp),
    }
}

/// How an application behaves towards whoever speaks HTTP/1.
enum Heard {
    /// It speaks first, and so.
    First([u8; SERVER_FIRST]),
    /// It answers in kind.
    Http1,
    /// It answers otherwise.
    Other,
}

fn heard(sockets: &Sockets, to: SocketAddr) -> io::Result<Heard> {
    let mut stream = connect(sockets, to)?;
    stream.set_read_timeout(Some(FIRST_WORD))?;
    let mut first = [0; SERVER_FIRST];
    if stream.peek(&mut first).is_ok() {
        return Ok(Heard::First(first));
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut word = [0; 5];
    stream.read_exact(&mut word)?;
    Ok(match &word {
        b"HTTP/" => Heard::Http1,
        _ => Heard::Other,
    })
}

/// What is spoken by one that may wait for a client of HTTP/2, and takes no other for one.
fn answers_http2(sockets: &Sockets, to: SocketAddr) -> io::Result<Protocol> {
    let mut stream = connect(sockets, to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(PREFACE)?;
    let mut first = [0; SERVER_FIRST];
    stream.read_exact(&mut first)?;
    Ok(spoken_by(&first))
}

fn spoken_by(first: &[u8; SERVER_FIRST]) -> Protocol {
    match Spoken::of_server(first) {
        Spoken::Http2 => Protocol::Http2,
        Spoken::Http1 | Spoken::Tls | Spoken::Other => Protocol::Tcp,
    }
}

fn connect(sockets: &Sockets, to: SocketAddr) -> io::Result<TcpStream> {
    wait(sockets)?;
    let socket = Socket::from(sockets.take()?);
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_nonblocking(false)?;
    Ok(TcpStream::from(socket))
}

/// Waits until the supply has a socket.
fn wait(sockets: impl AsFd) -> io::Result<()> {
    let limit = Timespec {
        tv_sec: PATIENCE.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(&sockets, PollFlags::IN)], Some(&limit))?;
    Ok(())
}
