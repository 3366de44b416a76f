//! The way to applications: into enclosures with sockets from inside, to others where they listen.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram as StdUnixDatagram;

use leno_host::{Layout, Sockets};
use socket2::Socket;
use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream, UnixDatagram};

/// The way to one application, for a proxy outside of it.
#[derive(Debug)]
pub struct Inside(Kind);

#[derive(Debug)]
enum Kind {
    Enclosed {
        v4: Supply,
        /// Absent where the kernel lacks IPv6.
        v6: Option<Supply>,
    },
    Beside(BTreeMap<u16, SocketAddr>),
}

#[derive(Debug)]
pub(crate) struct Supply {
    sockets: Sockets,
    /// Where applications of this family listen: at the workload's own address or at loopback.
    at: [IpAddr; 2],
}

impl Inside {
    /// The way into the enclosure with this layout, by its supplies of sockets.
    pub fn new(layout: &Layout, v4: Sockets, v6: Option<Sockets>) -> Self {
        let at_v4 = [layout.v4, Ipv4Addr::LOCALHOST].map(IpAddr::from);
        let at_v6 = [layout.v6, Ipv6Addr::LOCALHOST].map(IpAddr::from);
        Self(Kind::Enclosed {
            v4: Supply::new(v4, at_v4),
            v6: v6.map(|sockets| Supply::new(sockets, at_v6)),
        })
    }

    /// The way to an application that is not enclosed, with the address at which each of its ports is
    /// reached. What listens on any other port is not it, and is not called.
    pub fn beside(ports: BTreeMap<u16, SocketAddr>) -> Self {
        Self(Kind::Beside(ports))
    }

    /// One worker's share of it, with all the files that it needs.
    pub(crate) fn share(&self) -> io::Result<Share> {
        Ok(match &self.0 {
            Kind::Enclosed { v4, v6 } => {
                let supplies = [Some(v4), v6.as_ref()].into_iter().flatten();
                Share::Enclosed(supplies.map(Supply::share).collect::<io::Result<_>>()?)
            }
            Kind::Beside(ports) => Share::Beside(ports.clone()),
        })
    }
}

impl Supply {
    fn new(sockets: Sockets, at: [IpAddr; 2]) -> Self {
        Self { sockets, at }
    }

    /// The same for one worker, and the supply's own socket once more, on which to wait.
    fn share(&self) -> io::Result<(Self, StdUnixDatagram)> {
        let again = || self.sockets.as_fd().try_clone_to_owned();
        let arrivals = StdUnixDatagram::from(again()?);
        arrivals.set_nonblocking(true)?;
        Ok((Self::new(again()?.into(), self.at), arrivals))
    }
}

/// A worker's way to one application, on its way to the worker.
#[derive(Debug)]
pub(crate) enum Share {
    Enclosed(Vec<(Supply, StdUnixDatagram)>),
    Beside(BTreeMap<u16, SocketAddr>),
}

impl Share {
    /// Makes it usable on the runtime of the calling worker. Opens no file.
    pub(crate) fn open(self) -> io::Result<Entrance> {
        let ways = match self {
            Self::Enclosed(ways) => ways.into_iter(),
            Self::Beside(ports) => return Ok(Entrance::Beside(ports)),
        };
        let ways = ways.map(|(supply, arrivals)| {
            let arrivals = UnixDatagram::from_std(arrivals)?;
            Ok(Way { supply, arrivals })
        });
        Ok(Entrance::Enclosed(ways.collect::<io::Result<_>>()?))
    }
}

/// A worker's way to one application.
pub(crate) enum Entrance {
    Enclosed(Vec<Way>),
    Beside(BTreeMap<u16, SocketAddr>),
}

pub(crate) struct Way {
    supply: Supply,
    /// The supply's own socket, on which to wait.
    arrivals: UnixDatagram,
}

impl Entrance {
    /// Connects to the application's `port`, wherever inside it listens on that: an application
    /// started by hand listens on loopback as often as on all addresses.
    pub(crate) async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let mut refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let ways = match self {
            Self::Enclosed(ways) => ways,
            Self::Beside(ports) => {
                let to = ports.get(&port).ok_or(refused)?;
                return TcpStream::connect(to).await;
            }
        };
        for way in ways {
            for ip in way.supply.at {
                match way.connect(SocketAddr::new(ip, port)).await {
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        refused = error;
                    }
                    connected => return connected,
                }
            }
        }
        Err(refused)
    }
}

impl Way {
    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let take = || self.supply.sockets.take();
        let socket = self.arrivals.async_io(Interest::READABLE, take).await?;
        let socket = TcpSocket::from_std_stream(Socket::from(socket).into());
        socket.connect(to).await
    }
}
