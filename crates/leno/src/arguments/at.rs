//! Where something listens, and where others reach that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

/// Where something listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum At {
    /// At one address.
    Address(SocketAddr),
    /// At this port of all addresses that the host has or of its loopback, of either family.
    Port(u16),
}

impl At {
    /// Its sockets.
    pub(crate) fn sockets(self) -> Vec<SocketAddr> {
        self.sockets_at([Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()])
    }

    /// Its sockets for the host's own programs, whose captured calls arrive over loopback: there alone an answer
    /// has the address that was asked, and nobody else gets there.
    pub(crate) fn own_sockets(self) -> Vec<SocketAddr> {
        self.sockets_at([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }

    fn sockets_at(self, families: [IpAddr; 2]) -> Vec<SocketAddr> {
        match self {
            Self::Address(address) => vec![address],
            Self::Port(port) => {
                // A kernel may know one of them alone.
                let known = families
                    .into_iter()
                    .filter(|ip| UdpSocket::bind((*ip, 0)).is_ok());
                known.map(|ip| SocketAddr::new(ip, port)).collect()
            }
        }
    }

    /// Where others reach it, who were told nothing else.
    pub(crate) fn reached(self, told: Option<Advertised>) -> Option<SocketAddr> {
        match (self, told) {
            (
                _,
                Some(Advertised {
                    ip,
                    port: Some(port),
                }),
            ) => Some(SocketAddr::new(ip, port)),
            (Self::Address(address), Some(told)) => Some(SocketAddr::new(told.ip, address.port())),
            (Self::Port(port), Some(told)) => Some(SocketAddr::new(told.ip, port)),
            (Self::Address(address), None) => Some(address),
            (Self::Port(_), None) => None,
        }
    }
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.parse().map(Self::Port);
        let read = port.or_else(|_| text.parse().map(Self::Address));
        read.map_err(|_| "it is ADDRESS:PORT, or PORT alone".to_owned())
    }
}

/// An address at which others reach something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Advertised {
    ip: IpAddr,
    port: Option<u16>,
}

impl FromStr for Advertised {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse() {
            return Ok(Self { ip, port: None });
        }
        let address: SocketAddr = text
            .parse()
            .map_err(|_| "it is ADDRESS or ADDRESS:PORT".to_owned())?;
        Ok(Self {
            ip: address.ip(),
            port: Some(address.port()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_that_of_all_addresses() {
        let sockets = |text: &str| text.parse::<At>().map(At::sockets);
        assert_eq!(
            sockets("10.0.0.7:15008"),
            Ok(vec!["10.0.0.7:15008".parse().unwrap()])
        );
        let all = sockets("15008").unwrap();
        assert!(all.contains(&"0.0.0.0:15008".parse().unwrap()));
        assert!(
            all.iter()
                .all(|socket| socket.ip().is_unspecified() && socket.port() == 15008)
        );
        assert!(sockets("cart:15008").is_err());
        let own = "15001".parse::<At>().map(At::own_sockets).unwrap();
        assert!(own.contains(&"127.0.0.1:15001".parse().unwrap()));
        assert!(own.iter().all(|socket| socket.ip().is_loopback()));
    }

    #[test]
    fn others_reach_the_port_at_which_it_listens_if_nothing_else_is_said() {
        let check = |at: &str, told: Option<&str>, expect: Option<&str>| {
            let told = told.map(|told| told.parse().unwrap());
            let reached = at.parse::<At>().unwrap().reached(told);
            assert_eq!(reached, expect.map(|expect| expect.parse().unwrap()));
        };
        check("15008", Some("10.0.0.7"), Some("10.0.0.7:15008"));
        check("15008", Some("fd00::7"), Some("[fd00::7]:15008"));
        check("0.0.0.0:15008", Some("10.0.0.7:443"), Some("10.0.0.7:443"));
        check("10.0.0.7:15008", None, Some("10.0.0.7:15008"));
        check("15008", None, None);
    }
}
