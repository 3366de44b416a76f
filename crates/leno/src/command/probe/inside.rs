//! The part of a probe that is made where the workload is: its names, its connections, its answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use leno_admin::{Probed, Tried};

use super::Target;
use crate::command::curl::proxy;

/// How long a connection may take, and an answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long the first byte is waited for of who was not asked anything.
const GREETING: Duration = Duration::from_millis(500);

/// The longest head of an answer that is read.
const LONGEST_HEAD: usize = 16 << 10;

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
    let found = (host, port).to_socket_addrs();
    let took = begin.elapsed();
    match found.map(Iterator::collect::<Vec<_>>) {
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
    let limit = if head.is_some() {
        ANSWER_LIMIT
    } else {
        GREETING
    };
    let asked = stream
        .set_read_timeout(Some(limit))
        .and_then(|()| stream.write_all(head.as_deref().unwrap_or_default().as_bytes()));
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while asked.is_ok() && answer.len() < LONGEST_HEAD {
        let read = stream.read(&mut piece);
        match read {
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
                let why = leno_channel::words(&error);
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

#[expect(
    clippy::disallowed_methods,
    reason = "how long something takes is what is asked"
)]
fn now() -> Instant {
    Instant::now()
}
