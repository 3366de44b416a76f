//! The sockets at which a pod's calls arrive that its node's proxy carries.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::capture::{DNS_PORT, INBOUND_PORT, METRICS_PORT, OUTBOUND_PORT, TUNNEL_PORT};
use crate::guard::sign;

/// How many connections may wait until they are taken: all those that come before the proxy knows who calls.
const BACKLOG: i32 = 4096;

/// The sockets, of each family that the namespace has. What arrives waits until somebody takes it.
#[derive(Default, Debug)]
pub struct PodListeners {
    /// Connections that were captured on their way out.
    pub outbound: Vec<TcpListener>,
    /// Connections that were captured on their way in.
    pub inbound: Vec<TcpListener>,
    /// Tunnels of other proxies.
    pub tunnel: Vec<TcpListener>,
    /// Questions about names, in datagrams.
    pub dns_udp: Vec<UdpSocket>,
    /// The same in connections.
    pub dns_tcp: Vec<TcpListener>,
}

impl PodListeners {
    /// Makes them in the network namespace of this thread.
    pub fn open() -> io::Result<Self> {
        // There alone an answer has the address that was asked, and nobody else gets there.
        let inside = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let streams = |at, port| opened::<TcpListener>(at, port, Type::STREAM);
        Ok(Self {
            outbound: streams(inside, OUTBOUND_PORT)?,
            inbound: streams(EVERYWHERE, INBOUND_PORT)?,
            tunnel: streams(EVERYWHERE, TUNNEL_PORT)?,
            dns_udp: opened(inside, DNS_PORT, Type::DGRAM)?,
            dns_tcp: streams(inside, DNS_PORT)?,
        })
    }

    /// Makes those at which the metrics of a process are read that serves one pod alone.
    pub fn of_metrics() -> io::Result<Vec<TcpListener>> {
        opened(EVERYWHERE, METRICS_PORT, Type::STREAM)
    }
}

const EVERYWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

fn opened<T: From<Socket>>(at: [IpAddr; 2], port: u16, kind: Type) -> io::Result<Vec<T>> {
    let mut opened = Vec::new();
    for ip in at {
        match bound(SocketAddr::new(ip, port), kind) {
            Ok(socket) => opened.push(socket.into()),
            Err(error) if lacks_family(&error) && ip.is_ipv6() => {}
            Err(error) => {
                let why = format!("port {port} of the pod: {error}");
                return Err(io::Error::new(error.kind(), why));
            }
        }
    }
    Ok(opened)
}

fn bound(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A newer process listens beside the older one until that ends.
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(kind == Type::STREAM)?;
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        sign(&socket, address.ip())?;
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

/// Whether the kernel or the namespace has none of this family.
fn lacks_family(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}
