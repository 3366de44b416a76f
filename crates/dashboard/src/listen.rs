//! The sockets: both loopback addresses at one port, so that `localhost` leads here whichever of
//! them a browser tries first.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// At which port the pages are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// At this one, or at any other if it is taken.
    Rather(u16),
    /// At this one.
    Exactly(u16),
}

impl Default for Port {
    fn default() -> Self {
        Self::Rather(7070)
    }
}

/// Listens at `port`; says at which it is.
pub(crate) fn listen(port: Port) -> io::Result<(Vec<TcpListener>, u16)> {
    match port {
        Port::Exactly(port) => both(port),
        Port::Rather(port) => match both(port) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => free(),
            bound => bound,
        },
    }
}

fn free() -> io::Result<(Vec<TcpListener>, u16)> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match both(0) {
            // The port is free at the one address and not at the other.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            bound => return bound,
        }
    }
}

/// How many ports are tried until one is free at both addresses.
const TRIES: u32 = 16;

fn both(port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut sockets = vec![bind(Ipv4Addr::LOCALHOST.into(), port)?];
    let port = match sockets.first() {
        Some(socket) => socket.local_addr()?.port(),
        None => port,
    };
    match bind(Ipv6Addr::LOCALHOST.into(), port) {
        Ok(socket) => sockets.push(socket),
        // Whoever has this port there would be sent the link.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
        // This host has no such address.
        Err(_) => {}
    }
    Ok((sockets, port))
}

fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(SocketAddr::new(address, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_from_a_free_one() {
        let (_sockets, port) = listen(Port::Exactly(0)).unwrap();
        assert_eq!(
            listen(Port::Exactly(port)).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        let (others, other) = listen(Port::Rather(port)).unwrap();
        assert_ne!(other, port);
        for socket in others {
            let address = socket.local_addr().unwrap();
            assert!(address.ip().is_loopback());
            assert_eq!(address.port(), other);
        }
    }

    #[test]
    fn a_port_that_is_taken_at_one_address_is_taken() {
        let Ok(six) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
            return;
        };
        let port = six.local_addr().unwrap().port();
        let kind = listen(Port::Exactly(port)).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::AddrInUse);
    }
}
