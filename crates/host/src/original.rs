//! Where a captured connection was meant to go.

use std::{io, net::SocketAddr, os::fd::AsFd};

use rustix::{io::Errno, net::sockopt};

/// The address that the client connected to, for a socket accepted from a listener that
/// connections are redirected to (`SO_ORIGINAL_DST`, `IP6T_SO_ORIGINAL_DST`). For one that was not
/// redirected, the address it arrived at.
pub fn original_destination(accepted: impl AsFd) -> io::Result<SocketAddr> {
    let arrived_at = rustix::net::getsockname(&accepted)?;
    let arrived_at = SocketAddr::try_from(arrived_at)?;
    let original = match arrived_at {
        SocketAddr::V4(_) => sockopt::ip_original_dst(&accepted).map(SocketAddr::from),
        SocketAddr::V6(_) => sockopt::ipv6_original_dst(&accepted).map(SocketAddr::from),
    };
    match original {
        // Without a redirected connection the kernel knows none.
        Err(Errno::NOENT | Errno::NOPROTOOPT) => Ok(arrived_at),
        original => Ok(original?),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_direct_connection_was_meant_for_where_it_arrived() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let meant = listener.local_addr().unwrap();
            let _client = TcpStream::connect(meant).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            assert_eq!(original_destination(&accepted).unwrap(), meant);
        }
    }
}
