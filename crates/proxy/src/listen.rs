//! Where a proxy listens, and what it means that something arrives there. Modes differ in this and
//! in nothing after it.

use std::io;
use std::net::{
    SocketAddr, TcpListener as StdListener, TcpStream as StdStream, UdpSocket as StdUdpSocket,
};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use leno_host::{OUTBOUND_PORT, PROOFS};
use leno_model::Code;
use leno_model::view::{PortRef, WorkloadId};
use leno_telemetry::Reporter;
use leno_traffic::{Channel, Naming, Peer, Refusal, WhyPlain};
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::buffer::Buffer;
use crate::dns;
use crate::incoming::{self, Incoming, Toward, Way};
use crate::metrics;
use crate::room::{self, Seat, Share};
use crate::stream::Stream;
use crate::succession::Plain;
use crate::tcp;
use crate::tunnel;
use crate::worker::Worker;

/// A socket that takes connections.
#[derive(Debug)]
pub struct Listener {
    /// Where.
    pub place: Place,
    /// What arrives there.
    pub door: Door,
}

/// Where a listener is.
#[derive(Debug)]
pub enum Place {
    /// At an address; every worker has a socket of its own there, and for [`Door::Dns`] one more for
    /// datagrams.
    Address(SocketAddr),
    /// A socket that somebody made for us, in a namespace we cannot reach. Workers share it.
    Socket(StdListener),
    /// The same for datagrams, of which only DNS is taken.
    Datagrams(StdUdpSocket),
}

/// What arrives at a listener.
#[derive(Clone, Debug)]
pub enum Door {
    /// Captured connections that a workload of ours makes, each to where it was going.
    Outbound(WorkloadId),
    /// Connections of a workload of ours to one service port, without capture.
    Upstream(WorkloadId, PortRef),
    /// Connections of a workload of ours of which each request says itself where it goes.
    ///
    /// By [`Naming::Target`] it is what `http_proxy` and `HTTPS_PROXY` are set to, where nothing is
    /// captured. By [`Naming::Published`], with the workload that stands for the host, it is how a
    /// browser calls `http://cart.localhost:PORT`; [`Proxy::take`](crate::Proxy::take) lets a
    /// connection in through it that was accepted elsewhere.
    Named(WorkloadId, Naming),
    /// Captured plain connections to a workload of ours, each to where it was going.
    Inbound(WorkloadId),
    /// Plain connections to one port of a workload of ours, without capture.
    Port(WorkloadId, SocketAddr),
    /// Questions of a workload of ours about names.
    Dns(WorkloadId),
    /// Tunnels of other proxies.
    Tunnel,
    /// Tunnels of other proxies to this workload of ours and to no other.
    TunnelTo(WorkloadId),
    /// Questions about metrics and readiness, from anyone.
    Metrics,
}

impl Door {
    /// The workload of ours that it belongs to.
    pub(crate) fn workload(&self) -> Option<&WorkloadId> {
        match self {
            Self::Outbound(workload)
            | Self::Upstream(workload, _)
            | Self::Named(workload, _)
            | Self::Inbound(workload)
            | Self::Port(workload, _)
            | Self::TunnelTo(workload)
            | Self::Dns(workload) => Some(workload),
            Self::Tunnel | Self::Metrics => None,
        }
    }

    /// Whose proxy this is to what arrives.
    fn reporter(&self) -> Reporter {
        match self {
            Self::Outbound(_) | Self::Upstream(..) | Self::Named(..) | Self::Dns(_) => {
                Reporter::Source
            }
            Self::Inbound(_)
            | Self::Port(..)
            | Self::Tunnel
            | Self::TunnelTo(_)
            | Self::Metrics => Reporter::Destination,
        }
    }

    /// Whether anyone may come by it, and not only a workload of ours.
    fn is_open_to_strangers(&self) -> bool {
        matches!(
            self,
            Self::Inbound(_) | Self::Port(..) | Self::Tunnel | Self::TunnelTo(_)
        )
    }

    /// Whether it is open while a worker drains: whoever reads metrics learns of the drain there.
    pub(crate) fn stays(&self) -> bool {
        matches!(self, Self::Metrics)
    }
}

/// A worker's share of a listener.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
    pub(crate) door: Door,
}

#[derive(Debug)]
enum Kind {
    Streams(StdListener),
    Datagrams(StdUdpSocket),
}

/// A socket on its worker's runtime.
pub(crate) enum Open {
    /// It accepts connections.
    Streams(Rc<TcpListener>, Door),
    /// It takes questions about names.
    Datagrams(UdpSocket, WorkloadId),
}

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;

/// How many connections there may be beyond the limit: to be told of it, or to read metrics.
const SPARE: usize = 64;

/// How long accepting rests when no file descriptor is left.
const REST: Duration = Duration::from_millis(50);

/// Gives each worker its share of each listener. Where sockets are `inherited` that listen at an
/// address, they are used: all of them, for each has connections of its own waiting.
pub(crate) fn share(
    listeners: Vec<Listener>,
    workers: NonZeroUsize,
    mut inherited: Vec<(SocketAddr, StdListener)>,
) -> io::Result<Vec<Vec<Socket>>> {
    let mut shares: Vec<Vec<Socket>> = (0..workers.get()).map(|_| Vec::new()).collect();
    for Listener { place, door } in listeners {
        let mut sharing = Sharing::Alone;
        let mut given = Vec::new().into_iter();
        if let Place::Address(address) = place {
            given = inherited
                .extract_if(.., |(at, _)| *at == address)
                .collect::<Vec<_>>()
                .into_iter();
            if given.len() > 0 {
                sharing = Sharing::Shared;
            }
        }
        let mut sharing_datagrams = sharing;
        for share in &mut shares {
            let mut push = |kind| {
                let door = door.clone();
                share.push(Socket { kind, door });
            };
            match &place {
                Place::Address(address) => {
                    if let Door::Dns(_) = door {
                        push(Kind::Datagrams(hear(*address, &mut sharing_datagrams)?));
                    }
                    let given = given.next().map(|(_, socket)| Ok(socket));
                    let socket = given.unwrap_or_else(|| listen(*address, &mut sharing));
                    push(Kind::Streams(socket?));
                }
                Place::Socket(socket) => push(Kind::Streams(socket.try_clone()?)),
                Place::Datagrams(socket) => push(Kind::Datagrams(socket.try_clone()?)),
            }
        }
        // There were more workers before.
        for (share, (_, socket)) in (0..shares.len()).cycle().zip(given) {
            let (kind, door) = (Kind::Streams(socket), door.clone());
            shares[share].push(Socket { kind, door });
        }
    }
    Ok(shares)
}

/// What arrives at which address.
pub(crate) fn doors(listeners: &[Listener]) -> Vec<(SocketAddr, Door)> {
    let doors = listeners
        .iter()
        .filter_map(|listener| match &listener.place {
            Place::Address(address) => Some((*address, listener.door.clone())),
            Place::Socket(_) | Place::Datagrams(_) => None,
        });
    doors.collect()
}

/// Whether an address is listened at by another socket of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Shared,
}

/// Listens at an address, which the workers of this process share. The first of their sockets takes
/// it for itself: where another process listens, that fails, also if it shares with its own.
fn listen(address: SocketAddr, sharing: &mut Sharing) -> io::Result<StdListener> {
    let socket = bound(address, Type::STREAM, sharing, |socket| {
        socket.listen(BACKLOG)
    })?;
    Ok(socket.into())
}

/// The same for datagrams.
fn hear(address: SocketAddr, sharing: &mut Sharing) -> io::Result<StdUdpSocket> {
    let socket = bound(address, Type::DGRAM, sharing, |_| Ok(()))?;
    Ok(socket.into())
}

fn bound(
    address: SocketAddr,
    kind: Type,
    sharing: &mut Sharing,
    open: impl FnOnce(&RawSocket) -> io::Result<()>,
) -> io::Result<RawSocket> {
    let is_stream = kind == Type::STREAM;
    let protocol = match is_stream {
        true => Protocol::TCP,
        false => Protocol::UDP,
    };
    let socket = RawSocket::new(Domain::for_address(address), kind, Some(protocol))?;
    // For datagrams this would share with everybody.
    socket.set_reuse_address(is_stream)?;
    socket.set_reuse_port(*sharing == Sharing::Shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    let bound = socket.bind(&address.into()).and_then(|()| open(&socket));
    bound.map_err(|error| not_listening(address, &error))?;
    socket.set_reuse_port(true)?;
    *sharing = Sharing::Shared;
    Ok(socket)
}

fn not_listening(address: SocketAddr, error: &io::Error) -> io::Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            let (code, slug) = (Code::H002, Code::H002.slug());
            format!("{code} {slug}: another program listens at {address}")
        }
        _ => format!("{address}: {error}"),
    };
    io::Error::new(error.kind(), why)
}

impl Socket {
    /// Whose calls to which service port it takes, and at which address, if it takes such.
    pub(crate) fn upstream(&self) -> Option<(WorkloadId, PortRef, SocketAddr)> {
        match (&self.kind, &self.door) {
            (Kind::Streams(socket), Door::Upstream(workload, port)) => {
                Some((workload.clone(), port.clone(), socket.local_addr().ok()?))
            }
            (Kind::Streams(_) | Kind::Datagrams(_), _) => None,
        }
    }

    pub(crate) fn open(self) -> io::Result<Open> {
        match (self.kind, self.door) {
            (Kind::Streams(socket), door) => {
                socket.set_nonblocking(true)?;
                Ok(Open::Streams(Rc::new(TcpListener::from_std(socket)?), door))
            }
            (Kind::Datagrams(socket), Door::Dns(workload)) => {
                socket.set_nonblocking(true)?;
                Ok(Open::Datagrams(UdpSocket::from_std(socket)?, workload))
            }
            (Kind::Datagrams(_), _) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl Open {
    /// The socket, if it accepts connections.
    pub(crate) fn streams(&self) -> Option<&Rc<TcpListener>> {
        match self {
            Self::Streams(listener, _) => Some(listener),
            Self::Datagrams(..) => None,
        }
    }
}

/// Takes what comes until the task is ended.
pub(crate) async fn accept(worker: Rc<Worker>, open: Open) {
    match open {
        Open::Streams(listener, door) => accept_streams(worker, listener, door).await,
        Open::Datagrams(socket, workload) => tokio::select! {
            () = worker.begins_to_drain() => {}
            () = dns::serve(worker.clone(), socket, workload) => {}
        },
    }
}

async fn accept_streams(worker: Rc<Worker>, listener: Rc<TcpListener>, door: Door) {
    let mut closing = pin!(closes(&worker, &door));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, from)) => spread(&worker, &door, tcp, from),
                // A connection that broke before it was taken is nothing.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if let (true, Ok(at)) = (leno_host::files::is_limit(&error), listener.local_addr()) {
                        worker.tell_starved(door.reporter(), at, &error);
                    }
                    tokio::time::sleep(REST).await;
                }
            },
            () = &mut closing => break,
        }
    }
    if worker.is_succeeded() {
        return;
    }
    // Closing the socket resets those that wait there. The kernel is asked, and not the runtime, which
    // knows only of those that came before it looked last.
    while let Ok((socket, _)) = SockRef::from(&*listener).accept() {
        take(&worker, &door, socket.into(), &[]);
    }
}

/// Lets a connection in, or has a worker that carries less let it in.
fn spread(worker: &Rc<Worker>, door: &Door, tcp: TcpStream, from: SocketAddr) {
    let Some(to) = worker.spread.elsewhere(door) else {
        return enter(worker, door, tcp, from, None);
    };
    // One that has broken meanwhile is nothing.
    if let Ok(tcp) = tcp.into_std()
        && let Err(tcp) = worker.spread.hand(to, tcp, door)
    {
        take(worker, door, tcp, &[]);
    }
}

/// Waits until nothing more is to be taken by a door.
async fn closes(worker: &Worker, door: &Door) {
    match door.stays() {
        true => worker.is_taken_over().await,
        false => worker.begins_to_drain().await,
    }
}

/// Takes a connection that was accepted elsewhere, and of which `came` was read there.
pub(crate) fn take(worker: &Rc<Worker>, door: &Door, tcp: StdStream, came: &[u8]) {
    let taken = || -> io::Result<(TcpStream, SocketAddr)> {
        let from = tcp.peer_addr()?;
        tcp.set_nonblocking(true)?;
        Ok((TcpStream::from_std(tcp)?, from))
    };
    // One that has broken meanwhile is nothing.
    if let Ok((tcp, from)) = taken() {
        let mut buffer = worker.buffers.lend();
        buffer.extend_from_slice(came);
        let came = (!buffer.is_empty()).then_some(buffer);
        enter(worker, door, tcp, from, came);
    }
}

/// Carries a stream on whose client came by `door` to an older process.
pub(crate) fn take_over(worker: &Rc<Worker>, door: &Door, plain: Plain) {
    let Plain {
        id,
        client,
        from,
        server,
        to: address,
    } = plain;
    let runs = |tcp: StdStream| -> io::Result<TcpStream> {
        tcp.set_nonblocking(true)?;
        TcpStream::from_std(tcp)
    };
    // One that has broken meanwhile is nothing.
    let (Ok(client), Ok(server)) = (runs(client), runs(server)) else {
        return;
    };
    let Some(incoming) = incoming(worker, door, &client, from) else {
        return;
    };
    let (client, server) = (Stream::Tcp(client), Stream::Tcp(server));
    match admit(worker, door, from) {
        Ok((seat, share)) => {
            let carrying = tcp::take_over(worker.clone(), client, (server, address), incoming, id);
            worker.spawn(seat.of(share), from, carrying);
        }
        Err(refusal) => {
            server.reset(None);
            tcp::turn_away(worker, client, &incoming, &refusal);
        }
    }
}

/// Lets a connection in through its door.
fn enter(worker: &Rc<Worker>, door: &Door, tcp: TcpStream, from: SocketAddr, came: Option<Buffer>) {
    // Without the option the connection works, only slower.
    drop(tcp.set_nodelay(true));
    if let Door::Metrics = door {
        return enter_metrics(worker, tcp, from);
    }
    let incoming = incoming(worker, door, &tcp, from);
    match incoming
        .as_ref()
        .and_then(|incoming| errand(door, incoming))
    {
        Some(Errand::Prove) => return enter_proof(worker, tcp, from),
        Some(Errand::AskWhetherReady) => return enter_metrics(worker, tcp, from),
        None => {}
    }
    let (seat, share) = match admit(worker, door, from) {
        Ok(admitted) => admitted,
        Err(refusal) => return turn_away(worker, tcp, from, incoming, refusal),
    };
    match door {
        Door::Tunnel | Door::TunnelTo(_) => {
            let only = door.workload().cloned();
            let serving = tunnel::server::serve(worker.clone(), tcp, from, share, only);
            return worker.spawn(seat, from, serving);
        }
        Door::Dns(workload) => {
            let serving = dns::serve_stream(worker.clone(), tcp, workload.clone());
            return worker.spawn(seat, from, serving);
        }
        _ => {}
    }
    if let Some(incoming) = incoming {
        let serving = incoming::serve(worker.clone(), Stream::Tcp(tcp), incoming, came);
        worker.spawn(seat.of(share), from, serving);
    }
}

/// What a captured connection is for that goes to nobody but this proxy.
enum Errand {
    /// The proxy itself, or somebody who pretends to be it, sees whether what is sent comes here. Whoever it is,
    /// it is carried nowhere: nobody is there, and what this proxy sends there comes here again.
    Prove,
    /// Somebody outside, as the kubelet, asks whether the proxy is ready, and is answered only where what comes
    /// from outside comes here.
    AskWhetherReady,
}

fn errand(door: &Door, incoming: &Incoming) -> Option<Errand> {
    match (door, &incoming.way) {
        (
            Door::Outbound(_),
            Way::Outbound {
                to: Toward::Address(to),
                ..
            },
        ) => PROOFS.contains(&to.ip()).then_some(Errand::Prove),
        (Door::Inbound(_), Way::Inbound { port, .. }) => {
            (*port == OUTBOUND_PORT).then_some(Errand::AskWhetherReady)
        }
        _ => None,
    }
}

/// A place for a connection from `from`, and that among those of its peer.
fn admit(worker: &Worker, door: &Door, from: SocketAddr) -> Result<(Seat, Option<Share>), Refusal> {
    let seat = worker.admit()?;
    if !door.is_open_to_strangers() {
        return Ok((seat, None));
    }
    let share = worker.join(room::Peer::Address(from.ip()));
    let share = share.ok_or(Refusal::TooManyOfPeer(from.ip()))?;
    Ok((seat, Some(share)))
}

/// Metrics are read when a proxy is full, too, and while it drains.
fn enter_metrics(worker: &Rc<Worker>, tcp: TcpStream, from: SocketAddr) {
    let spare = worker.seat(SPARE);
    let serving = metrics::serve(worker.clone(), Stream::Tcp(tcp));
    worker.supervise(from, async move {
        if let Some(_seat) = spare {
            serving.await;
        }
    });
}

/// It is tried whether what is sent comes when a proxy is full, too.
fn enter_proof(worker: &Rc<Worker>, tcp: TcpStream, from: SocketAddr) {
    let (spare, proofs) = (worker.seat(SPARE), worker.proofs.clone());
    worker.supervise(from, async move {
        if let Some(_seat) = spare {
            proofs.take(tcp).await;
        }
    });
}

/// Tells a connection for which there is no place why it is closed, if it is one that can be told.
fn turn_away(
    worker: &Rc<Worker>,
    tcp: TcpStream,
    from: SocketAddr,
    incoming: Option<Incoming>,
    refusal: Refusal,
) {
    let spare = worker.seat(SPARE);
    if let (Some(seat), Some(incoming)) = (spare, incoming) {
        let telling = incoming::turn_away(worker.clone(), Stream::Tcp(tcp), incoming, refusal);
        return worker.spawn(seat, from, telling);
    }
    worker.note_limit(refusal.code());
    Stream::Tcp(tcp).reset(None);
}

fn incoming(worker: &Worker, door: &Door, tcp: &TcpStream, from: SocketAddr) -> Option<Incoming> {
    let (channel, way) = way_of(door, tcp)?;
    let address = from.ip();
    Some(Incoming {
        peer: Peer { channel, address },
        from,
        netns: worker.netns(way.workload()),
        way,
    })
}

/// Who comes in through a door and where to; `None` if that cannot be told of this connection.
fn way_of(door: &Door, tcp: &TcpStream) -> Option<(Channel, Way)> {
    let inbound = |workload: &WorkloadId, application: SocketAddr| {
        let way = Way::Inbound {
            workload: workload.clone(),
            port: application.port(),
            application,
        };
        (Channel::Plain(WhyPlain::CallerNotInMesh), way)
    };
    let outbound = |workload: &WorkloadId, to| {
        let way = Way::Outbound {
            workload: workload.clone(),
            to,
        };
        (Channel::Local(workload.clone()), way)
    };
    Some(match door {
        Door::Outbound(workload) => outbound(workload, Toward::Address(original(tcp)?)),
        Door::Upstream(workload, port) => outbound(workload, Toward::Port(port.clone())),
        Door::Named(workload, naming) => {
            outbound(workload, Toward::Named(*naming, tcp.local_addr().ok()?))
        }
        Door::Inbound(workload) => inbound(workload, original(tcp)?),
        Door::Port(workload, application) => inbound(workload, *application),
        Door::Tunnel | Door::TunnelTo(_) | Door::Dns(_) | Door::Metrics => return None,
    })
}

/// Where a captured connection was going. One that was going to the listener itself was not captured,
/// and would be sent round in a circle.
fn original(tcp: &TcpStream) -> Option<SocketAddr> {
    let original = leno_host::original_destination(tcp).ok()?;
    (tcp.local_addr().ok()? != original).then_some(original)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: SocketAddr) -> Vec<Listener> {
        taking(address, Door::Tunnel)
    }

    fn taking(address: SocketAddr, door: Door) -> Vec<Listener> {
        let place = Place::Address(address);
        vec![Listener { place, door }]
    }

    #[test]
    fn workers_share_an_address_with_each_other_and_with_nobody_else() {
        let free = StdListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let three = NonZeroUsize::new(3).unwrap();
        let ours = share(at(address), three, Vec::new()).unwrap();
        assert_eq!(ours.len(), 3);
        for workers in [NonZeroUsize::MIN, three] {
            let refused = share(at(address), workers, Vec::new()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
            let expected = format!("H002 port-taken: another program listens at {address}");
            assert_eq!(refused.to_string(), expected);
        }
        // Each of the sockets is connected to.
        let clients: Vec<_> = (0..64)
            .map(|_| StdStream::connect(address).unwrap())
            .collect();
        let taken = ours.iter().flatten().map(|socket| {
            let Kind::Streams(listener) = &socket.kind else {
                unreachable!("it is asked for");
            };
            listener.set_nonblocking(true).unwrap();
            listener.incoming().map_while(Result::ok).count()
        });
        let taken: Vec<_> = taken.collect();
        assert_eq!(taken.iter().sum::<usize>(), clients.len());
        assert!(taken.iter().all(|count| *count > 0), "{taken:?}");
        drop(ours);
        assert!(share(at(address), three, Vec::new()).is_ok());
    }

    #[test]
    fn names_are_asked_for_by_datagrams_and_streams_at_one_address() {
        let web = WorkloadId {
            namespace: leno_model::Namespace::new("shop").unwrap(),
            name: leno_model::Name::new("web").unwrap(),
        };
        let door = Door::Dns(web);
        let free = StdUdpSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let three = NonZeroUsize::new(3).unwrap();
        let taken = share(taking(address, door.clone()), three, Vec::new()).unwrap_err();
        assert!(taken.to_string().starts_with("H002 port-taken"), "{taken}");
        drop(free);
        let ours = share(taking(address, door.clone()), three, Vec::new()).unwrap();
        for worker in &ours {
            let kinds: Vec<_> = worker.iter().map(|socket| &socket.kind).collect();
            assert!(matches!(kinds[..], [Kind::Datagrams(_), Kind::Streams(_)]));
        }
        let stranger = share(taking(address, door.clone()), three, Vec::new()).unwrap_err();
        assert_eq!(stranger.kind(), io::ErrorKind::AddrInUse);

        // A newer process is given the sockets for streams, and opens its own for datagrams beside them.
        let given = ours
            .iter()
            .flatten()
            .filter_map(|socket| match &socket.kind {
                Kind::Streams(socket) => Some((address, socket.try_clone().unwrap())),
                Kind::Datagrams(_) => None,
            });
        let newer = share(taking(address, door), three, given.collect()).unwrap();
        assert_eq!(newer.iter().flatten().count(), 6);
    }
}
