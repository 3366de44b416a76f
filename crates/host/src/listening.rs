//! Which TCP sockets of a network namespace listen, asked by `sock_diag` (`linux/inet_diag.h`).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rustix::io::Errno;

use crate::netlink::{DUMP, Message, REQUEST, SOCK_DIAG, Socket, Writer, attribute};

/// Sees the listening sockets of the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Watch(Socket);

/// The addresses that are listened on, each with the inode of a socket that does. A wildcard
/// IPv6 socket that also takes IPv4 stands for both wildcards.
pub(crate) type Listening = BTreeMap<SocketAddr, u32>;

impl Watch {
    pub(crate) fn open() -> Result<Self, Errno> {
        Socket::open(SOCK_DIAG).map(Self)
    }

    pub(crate) fn look(&self) -> Result<Listening, Errno> {
        let mut listening = Listening::new();
        for family in [IPV4, IPV6] {
            let asked = self.0.dump(&request(family), |answer| {
                listening.extend(read(answer).into_iter().flatten());
            });
            match asked {
                // Without IPv6 nobody answers for it.
                Err(Errno::NOENT) if family == IPV6 => {}
                asked => asked?,
            }
        }
        Ok(listening)
    }
}

/// `struct inet_diag_req_v2` for every listening TCP socket.
fn request(family: u8) -> Writer {
    let mut to = Writer::default();
    to.message(SOCK_DIAG_BY_FAMILY, REQUEST | DUMP, 1, |to| {
        to.put(&[family, TCP, 0, 0]);
        to.put(&(1_u32 << LISTEN).to_ne_bytes());
        to.put(&[0; 48]);
    });
    to
}

/// The one or two addresses of the socket in `struct inet_diag_msg`.
fn read(answer: Message<'_>) -> Option<Vec<(SocketAddr, u32)>> {
    let (fixed, attributes) = answer.body.split_at_checked(FIXED)?;
    let port = u16::from_be_bytes(fixed.get(4..6)?.try_into().ok()?);
    let inode = u32::from_ne_bytes(fixed.get(68..72)?.try_into().ok()?);
    let at = |ip: IpAddr| (SocketAddr::new(ip.to_canonical(), port), inode);
    if fixed.first() == Some(&IPV4) {
        let octets: [u8; 4] = fixed.get(8..12)?.try_into().ok()?;
        return Some(vec![at(octets.into())]);
    }
    let octets: [u8; 16] = fixed.get(8..24)?.try_into().ok()?;
    let only_v6 = attribute(attributes, ONLY_V6).is_some_and(|value| value != [0]);
    if Ipv6Addr::from(octets).is_unspecified() && !only_v6 {
        return Some(vec![
            at(Ipv6Addr::UNSPECIFIED.into()),
            at(Ipv4Addr::UNSPECIFIED.into()),
        ]);
    }
    Some(vec![at(octets.into())])
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
const TCP: u8 = 6;
/// `TCP_LISTEN`.
const LISTEN: u32 = 10;
/// The length of `struct inet_diag_msg`.
const FIXED: usize = 72;
/// `INET_DIAG_SKV6ONLY`.
const ONLY_V6: u16 = 11;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn inode(listener: &TcpListener) -> u32 {
        let stat = rustix::fs::fstat(listener).unwrap();
        u32::try_from(stat.st_ino).unwrap()
    }

    #[test]
    fn a_listener_is_seen_while_it_listens() {
        let watch = Watch::open().unwrap();
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(|a| TcpListener::bind(a).unwrap());
        for listener in listeners {
            let address = listener.local_addr().unwrap();
            assert_eq!(watch.look().unwrap().get(&address), Some(&inode(&listener)));
            drop(listener);
            assert_eq!(watch.look().unwrap().get(&address), None);
        }
    }

    #[test]
    fn a_wildcard_for_both_families_counts_for_both() {
        let watch = Watch::open().unwrap();
        for (only_v6, v4_seen) in [(false, true), (true, false)] {
            let socket = socket2::Socket::new(
                socket2::Domain::IPV6,
                socket2::Type::STREAM,
                Some(socket2::Protocol::TCP),
            )
            .unwrap();
            socket.set_only_v6(only_v6).unwrap();
            socket
                .bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())
                .unwrap();
            socket.listen(1).unwrap();
            let v6 = socket.local_addr().unwrap().as_socket().unwrap();
            let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, v6.port()));
            let seen = watch.look().unwrap();
            assert!(seen.contains_key(&v6));
            assert_eq!(seen.contains_key(&v4), v4_seen);
        }
    }

    #[test]
    fn an_answer_cut_short_is_no_socket() {
        for end in 0..FIXED {
            let body = vec![IPV4; end];
            let message = Message {
                kind: 20,
                flags: 0,
                sequence: 1,
                body: &body,
            };
            assert_eq!(read(message), None);
        }
    }
}
