//! Opens connections: in plain, or through the tunnel of the endpoint's proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use leno_channel::WhyFailed;
use leno_host::{Netns, PROXY_MARK, sign};
use leno_model::{CallId, Code};
use leno_protocol::write_proxy_head;
use leno_telemetry::{Edge, Event, Handshake, Party, Reporter, Security};
use leno_traffic::{NoTunnel, Refusal, RefusedIdentity};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::aim::party;
use crate::pool::{TargetRef, Told, TunnelRef};
use crate::stream::Stream;
use crate::tunnel::client::{Requests, TunnelFailure};
use crate::worker::Worker;

/// Opens a connection to `target`.
pub(crate) async fn connect(
    worker: &Rc<Worker>,
    target: &TargetRef<'_>,
    id: CallId,
    limit: Duration,
) -> Result<Stream, Refusal> {
    let opened = tokio::time::timeout(limit, open(worker, target, id)).await;
    opened.unwrap_or_else(|_late| Err(worker.late(target, limit)))
}

/// A connection to the proxy of `target` that takes requests as they are; `None` if there is no such
/// proxy, or it takes streams of bytes only.
pub(crate) async fn connect_for_requests(
    worker: &Rc<Worker>,
    target: &TargetRef<'_>,
    id: CallId,
    limit: Duration,
) -> Result<Option<Requests>, Refusal> {
    let owned = target.keep();
    let (Some(key), Some(tunnel)) = (&owned.tunnel, target.tunnel) else {
        return Ok(None);
    };
    let opened = tokio::time::timeout(limit, worker.tunnels.requests(key, worker)).await;
    match opened {
        Err(_late) => Err(worker.late(target, limit)),
        Ok(Err(failure)) => Err(worker.tunnel_refusal(&failure, tunnel, target.address, id)),
        Ok(Ok(requests)) => Ok(requests),
    }
}

async fn open(worker: &Rc<Worker>, target: &TargetRef<'_>, id: CallId) -> Result<Stream, Refusal> {
    if target.tunnel.is_some() {
        return open_tunnel(worker, target, id).await;
    }
    let connected = match worker.entrance(target) {
        Some(entrance) => entrance.connect(target.address.port()).await,
        None => connect_plain(target.netns.map(Arc::as_ref), target.address).await,
    };
    let failed = |error: io::Error| refusal_of(&error, target.address);
    let mut tcp = connected.map_err(failed)?;
    // Without the option the connection works, only slower.
    drop(tcp.set_nodelay(true));
    if let Some(Told { version, source }) = target.told {
        let mut head = Vec::new();
        write_proxy_head(version, source, target.address, &mut head);
        tcp.write_all(&head).await.map_err(failed)?;
    }
    Ok(Stream::Tcp(tcp))
}

/// Connects to an address from within a workload's network, where that is not captured, or from ours.
pub(crate) async fn connect_from(netns: Option<&Netns>, to: SocketAddr) -> io::Result<TcpStream> {
    socket_for(netns, to)?.connect(to).await
}

/// The socket by which such a connection is made. From within a workload's network it takes a right that workers have.
pub(crate) fn socket_for(netns: Option<&Netns>, to: SocketAddr) -> io::Result<TcpSocket> {
    let Some(netns) = netns else {
        return match to {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
    };
    let socket = uncaptured(netns, to, (Type::STREAM, Protocol::TCP))?;
    sign(&socket, to.ip())?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

/// A socket for datagrams to an address and from there, in a workload's network, where that is not captured, or in ours.
pub(crate) async fn datagrams_from(netns: Option<&Netns>, to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match netns {
        Some(netns) => {
            let socket = uncaptured(netns, to, (Type::DGRAM, Protocol::UDP))?;
            UdpSocket::from_std(socket.into())?
        }
        None => {
            let any: IpAddr = match to {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            UdpSocket::bind((any, 0)).await?
        }
    };
    // It gets a port of its own.
    socket.connect(to).await?;
    Ok(socket)
}

/// A socket in a workload's network whose packets are known there as a proxy's.
fn uncaptured(
    netns: &Netns,
    to: SocketAddr,
    (kind, protocol): (Type, Protocol),
) -> io::Result<Socket> {
    let make = || Socket::new(Domain::for_address(to), kind.nonblocking(), Some(protocol));
    let socket = netns.within(make)?;
    socket.set_mark(PROXY_MARK)?;
    Ok(socket)
}

/// Who asks for loopback means this machine, by whichever family it listens: a captured client had
/// no refusal after which it would try the other by itself.
async fn connect_plain(netns: Option<&Netns>, address: SocketAddr) -> io::Result<TcpStream> {
    let connected = connect_from(netns, address).await;
    let other = match address.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => return connected,
    };
    match connected {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let other = connect_from(netns, SocketAddr::new(other, address.port())).await;
            other.map_err(|_| error)
        }
        connected => connected,
    }
}

async fn open_tunnel(
    worker: &Rc<Worker>,
    target: &TargetRef<'_>,
    id: CallId,
) -> Result<Stream, Refusal> {
    let owned = target.keep();
    let key = owned.tunnel.as_ref().expect("the caller has looked");
    let tunnel = key.borrowed();
    let opened = worker.tunnels.open(key, target.address, id, worker).await;
    match opened {
        Ok(stream) => Ok(Stream::Tunnel(Box::new(stream))),
        Err(failure) => Err(worker.tunnel_refusal(&failure, tunnel, target.address, id)),
    }
}

impl Worker {
    /// What it means that nobody took a connection in time: where no way leads to the endpoint's proxy, nobody has asked
    /// the endpoint.
    fn late(&self, target: &TargetRef<'_>, limit: Duration) -> Refusal {
        let way = target.keep().tunnel;
        match way.filter(|key| !self.tunnels.reach(key, self.mono())) {
            Some(key) => Refusal::TunnelFailed {
                proxy: key.address,
                why: NoTunnel::NotReached(format!("no answer within {limit:?}").into()),
            },
            None => Refusal::ConnectTimeout {
                endpoint: target.address,
                limit,
            },
        }
    }

    /// What a failed tunnel means for the call; a handshake that failed is told on its own.
    fn tunnel_refusal(
        &self,
        failure: &TunnelFailure,
        tunnel: TunnelRef<'_>,
        endpoint: SocketAddr,
        id: CallId,
    ) -> Refusal {
        let proxy = tunnel.address;
        match failure {
            TunnelFailure::Connect(error) if leno_host::files::is_limit(error) => {
                Refusal::NoFileLeft
            }
            TunnelFailure::Connect(error) => Refusal::TunnelFailed {
                proxy,
                why: NoTunnel::NotReached(error.kind().to_string().into()),
            },
            TunnelFailure::Http(_) => self.broken_off(tunnel),
            TunnelFailure::Refused { code, .. } => match code {
                Some(Code::R020) => Refusal::ConnectRefused(endpoint),
                Some(Code::R041) => Refusal::Draining,
                Some(code) => Refusal::StreamRefused { proxy, code: *code },
                None => Refusal::TunnelFailed {
                    proxy,
                    why: NoTunnel::NoStream,
                },
            },
            TunnelFailure::Handshake(failure) => {
                let expected = failure.peer.as_ref().or(tunnel.expected.first());
                self.report(&Event::Handshake(Handshake {
                    id,
                    edge: Edge {
                        reporter: Reporter::Source,
                        source: party(tunnel.own, &tunnel.own.trust_domain),
                        destination: expected
                            .map_or(Party::Unknown, |id| party(id, &tunnel.own.trust_domain)),
                        security: Security::None,
                    },
                    peer: proxy,
                    at: self.now().wall,
                    code: failure.code(),
                    why: &failure.to_string(),
                }));
                if let WhyFailed::Refused(refusal) = &failure.why
                    && refusal.is_revocation()
                {
                    return revoked(tunnel);
                }
                Refusal::TunnelFailed {
                    proxy,
                    why: NoTunnel::NotProven {
                        code: failure.code(),
                        why: failure.to_string().into(),
                    },
                }
            }
        }
    }

    /// What it means that the other proxy broke off without a word. One that finds our identity
    /// revoked cannot say so to whom it knows already; we may have been told too.
    pub(crate) fn broken_off(&self, tunnel: TunnelRef<'_>) -> Refusal {
        match self.keyring.trust().is_revoked(tunnel.own) {
            true => revoked(tunnel),
            false => broken_off(tunnel.address),
        }
    }
}

fn revoked(tunnel: TunnelRef<'_>) -> Refusal {
    match tunnel.expected.first() {
        Some(peer) => Refusal::IdentityRevoked(Box::new(RefusedIdentity {
            own: tunnel.own.clone(),
            peer: peer.clone(),
        })),
        None => broken_off(tunnel.address),
    }
}

/// A proxy broke off, for a reason that is not known.
pub(crate) fn broken_off(proxy: SocketAddr) -> Refusal {
    Refusal::TunnelFailed {
        proxy,
        why: NoTunnel::BrokenOff,
    }
}

/// What a failed connect in plain means for the call.
fn refusal_of(error: &io::Error, address: SocketAddr) -> Refusal {
    if leno_host::files::is_limit(error) {
        return Refusal::NoFileLeft;
    }
    match error.kind() {
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            Refusal::Unreachable(address)
        }
        io::ErrorKind::TimedOut => Refusal::ConnectTimeout {
            endpoint: address,
            limit: Duration::ZERO,
        },
        _ => Refusal::ConnectRefused(address),
    }
}
