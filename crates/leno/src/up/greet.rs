//! Finding out what is spoken on a port of which nobody has said it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use leno_host::Sockets;
use leno_model::view::Protocol;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;

/// How long a server that speaks first has for its first word.
const FIRST_WORD: Duration = Duration::from_millis(150);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A request that any HTTP server answers and that changes nothing. Servers of other protocols
/// take it for a mistake and say so in their own words.
const REQUEST: &[u8] = b"OPTIONS * HTTP/1.0\r\n\r\n";

/// Asks the application at `to`, by a socket from inside its enclosure. Blocks for some seconds at
/// most. Whatever does not answer in HTTP is carried as bytes.
pub(crate) fn greet(sockets: &Sockets, to: SocketAddr) -> Protocol {
    match speaks_http(sockets, to) {
        Ok(true) => Protocol::Http,
        Ok(false) | Err(_) => Protocol::Tcp,
    }
}

fn speaks_http(sockets: &Sockets, to: SocketAddr) -> io::Result<bool> {
    wait(sockets)?;
    let socket = Socket::from(sockets.take()?);
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_nonblocking(false)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(FIRST_WORD))?;
    let mut word = [0; 5];
    if stream.peek(&mut word).is_ok() {
        return Ok(false);
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    stream.read_exact(&mut word)?;
    Ok(&word == b"HTTP/")
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
