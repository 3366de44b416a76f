//! The part of a probe that is made where the workload is: its names, its connections, its answers.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use leno_admin::{Probed, Tried};
use socket2::SockRef;

use super::Target;
use crate::command::curl::proxy;

/// How long a name may take, a connection, and the head of an answer.
const NAME_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long the first byte is waited for of who was not asked anything.
const GREETING: Duration = Duration::from_millis(500);

/// The longest head of an answer that is read.
const LONGEST_HEAD: usize = 16 << 10;

/// Longer than all of it may take.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// Makes the call from where this process is.
pub(super) fn probe(target: &Target) -> Probed {
    let mut probed = Probed::default();
    let told = proxy();
    let (host, port) = match told.as_deref().and_then(|told| told.rsplit_once(':')) {
        Some((host, port)) => (host, port.parse().unwrap_or_default()),
        None => (target.host.as_str(), target.port),
    };
    let Some(address) = resolve(host, port, &mut probed) else {
        return probed;
    };
    let begin = now();
    let stream = match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
        Ok(stream) => stream,
        Err(error) => {
            let why = leno_channel::words(&error);
            probed.connect = Some(Tried::failed(begin.elapsed(), None, why));
            return probed;
        }
    };
    probed.connect = Some(Tried::well(begin.elapsed()));
    probed.from = stream.local_addr().ok().map(|from| from.to_string());
    listen(stream, target, told.is_some(), &mut probed);
    probed
}

fn resolve(host: &str, port: u16, probed: &mut Probed) -> Option<SocketAddr> {
    let begin = now();
    let asked = (host.to_owned(), port);
    let (tell, told) = channel();
    // Whoever resolves it may take as long as the system's settings say.
    std::thread::spawn(move || {
        let found = asked.to_socket_addrs();
        tell.send(found.map(Iterator::collect::<Vec<_>>)).ok();
    });
    let found = told.recv_timeout(NAME_LIMIT).unwrap_or_else(|_| {
        let why = format!("nothing answered for {NAME_LIMIT:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    });
    let took = begin.elapsed();
    match found {
        Ok(addresses) => {
            let told = addresses.iter().map(|address| address.ip().to_string());
            probed.name = Some((told.collect(), Tried::well(took)));
            addresses.first().copied()
        }
        Err(error) => {
            probed.name = Some((Vec::new(), Tried::failed(took, None, error)));
            None
        }
    }
}

fn listen(mut stream: TcpStream, target: &Target, by_proxy: bool, probed: &mut Probed) {
    let begin = now();
    let head = target.head(by_proxy);
    let limit = match head {
        Some(_) => ANSWER_LIMIT,
        None => GREETING,
    };
    let asked = stream
        .set_write_timeout(Some(limit))
        .and_then(|()| stream.write_all(head.as_deref().unwrap_or_default().as_bytes()));
    if let Err(error) = asked {
        let why = leno_channel::words(&error);
        probed.first_byte = Some(Tried::failed(begin.elapsed(), None, why));
        return;
    }
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < LONGEST_HEAD {
        match read_by(&mut stream, &mut piece, begin + limit) {
            Ok(count @ 1..) => {
                let first = Tried::well(begin.elapsed());
                probed.first_byte.get_or_insert(first);
                answer.extend_from_slice(&piece[..count]);
            }
            Ok(0) | Err(_) if !answer.is_empty() => break,
            // Who waits to be asked has nothing to say first.
            Err(_) if head.is_none() => return,
            Ok(_) => {
                let why = "the connection was closed without a word";
                probed.first_byte = Some(Tried::failed(begin.elapsed(), None, why));
                return;
            }
            Err(error) => {
                let why = match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        // So that the call is over for all who take part in it, and they tell how far
                        // it got.
                        drop(SockRef::from(&stream).set_linger(Some(Duration::ZERO)));
                        format!("no answer within {limit:?}")
                    }
                    _ => leno_channel::words(&error).to_owned(),
                };
                probed.first_byte = Some(Tried::failed(begin.elapsed(), None, why));
                return;
            }
        }
        if head.is_none() || answer.windows(4).any(|end| end == b"\r\n\r\n") {
            break;
        }
    }
    if head.is_some() {
        probed.hear(&answer);
    }
}

/// Reads what is there, or comes until `until`.
fn read_by(stream: &mut TcpStream, piece: &mut [u8], until: Instant) -> io::Result<usize> {
    let rest = until.saturating_duration_since(now());
    if rest.is_zero() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    stream.set_read_timeout(Some(rest))?;
    stream.read(piece)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long something takes is what is asked"
)]
fn now() -> Instant {
    Instant::now()
}
