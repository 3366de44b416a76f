//! A connection that came in: who is at its other end, where it wants to go, and what is spoken.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use leno_host::Netns;
use leno_model::view::{PortRef, Protocol, WorkloadId};
use leno_model::{CallId, Subscription};
use leno_protocol::{ProxyHead, Spoken};
use leno_telemetry::Reporter;
use leno_traffic::{Destination, Naming, Peer, Refusal};
use tokio::time::timeout;

use crate::buffer::Buffer;
use crate::http::Asked;
use crate::stream::{Sign, Stream};
use crate::worker::Worker;
use crate::{first, http, tcp, tunnel};

/// What is known of a connection before its first byte is read. It holds for all of its calls.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    /// Who is at the other end.
    pub(crate) peer: Peer,
    /// Its address and port.
    pub(crate) from: SocketAddr,
    /// Where connections for its calls are made, if the workload has a network of its own that we reach into.
    pub(crate) netns: Option<Arc<Netns>>,
    /// Which way it goes.
    pub(crate) way: Way,
}

/// Which side of a call this proxy stands on.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// A workload of ours calls somebody.
    Outbound {
        /// Who calls.
        workload: WorkloadId,
        /// What is called.
        to: Toward,
    },
    /// Somebody calls a workload of ours.
    Inbound {
        /// Who is called.
        workload: WorkloadId,
        /// At which port.
        port: u16,
        /// Where it listens.
        application: SocketAddr,
    },
}

impl Way {
    /// The workload of ours that calls or is called.
    pub(crate) fn workload(&self) -> &WorkloadId {
        let (Self::Outbound { workload, .. } | Self::Inbound { workload, .. }) = self;
        workload
    }

    /// Where the workload listens, if it is called.
    pub(crate) fn application(&self) -> Option<SocketAddr> {
        match self {
            Self::Outbound { .. } => None,
            Self::Inbound { application, .. } => Some(*application),
        }
    }

    /// Which of the two proxies of a call this one is.
    pub(crate) fn reporter(&self) -> Reporter {
        match self {
            Self::Outbound { .. } => Reporter::Source,
            Self::Inbound { .. } => Reporter::Destination,
        }
    }
}

impl Incoming {
    /// What the control plane must be asked before it is known where the connection goes.
    pub(crate) fn question(&self, worker: &Worker) -> Option<Subscription> {
        let Way::Outbound { to, .. } = &self.way else {
            return None;
        };
        let table = worker.table();
        let destination = match to {
            Toward::Named(..) | Toward::Nowhere(_) => return None,
            Toward::Port(port) => table.service(&port.service, port.port),
            Toward::Address(address) if address.ip().to_canonical().is_loopback() => return None,
            Toward::Address(address) => {
                let namespace = &self.way.workload().namespace;
                table.destination(namespace, &worker.network, *address)
            }
        };
        match destination {
            Destination::Needs(question) => Some(question),
            Destination::Service(_)
            | Destination::Endpoint(_)
            | Destination::Own(_)
            | Destination::NoSuchPort(_)
            | Destination::Unknown(_) => None,
        }
    }
}

/// Waits until there is no further `question` to the control plane about what the view was never
/// asked to hold: for a bounded time. What is unknown after it is refused for that reason.
pub(crate) async fn find_out(worker: &Worker, question: impl Fn() -> Option<Subscription>) {
    let (Some(first), Some(asker)) = (question(), worker.asker()) else {
        return;
    };
    if asker.ask(first).await.is_err() {
        return;
    }
    let mut news = worker.news.subscribe();
    let adopted = async {
        while question().is_some() {
            news.changed().await;
        }
    };
    // The view is on its way to this worker, unless another took its place meanwhile.
    drop(timeout(TURN, adopted).await);
}

/// How long a worker may take to adopt a view that was handed to it.
const TURN: Duration = Duration::from_secs(1);

/// What a workload of ours calls.
#[derive(Clone, Debug)]
pub(crate) enum Toward {
    /// The address that it connected to before it was captured.
    Address(SocketAddr),
    /// A service port, by an explicit listener.
    Port(PortRef),
    /// What each of its requests names, on a listener at this address.
    Named(Naming, SocketAddr),
    /// Nothing, for this reason.
    Nowhere(Box<Refusal>),
}

/// Serves a connection that was accepted on a socket, of which `came` has been read already.
#[expect(
    clippy::manual_async_fn,
    reason = "what it is given would take its room twice, and an idle connection needs little else"
)]
pub(crate) fn serve(
    worker: Rc<Worker>,
    mut stream: Stream,
    mut incoming: Incoming,
    mut came: Option<Buffer>,
) -> impl Future<Output = ()> {
    async move {
        if incoming.says_for_whom(&worker.table()) {
            let heard = hear_for_whom(&worker, &mut stream, &mut incoming, &mut came);
            if let Err(refusal) = Box::pin(heard).await {
                return tcp::turn_away(&worker, stream, &incoming, &refusal);
            }
        }
        // Each of these is rare, and large beside what an idle connection needs.
        Box::pin(find_out(&worker, || incoming.question(&worker))).await;
        let mut protocol = incoming.protocol(&worker, &worker.table());
        let is_lost = incoming.aim(&worker, &worker.table()).is_err();
        if is_lost && !protocol.is_http() {
            protocol = Box::pin(heard(&worker, &mut stream, &mut came)).await;
        }
        let requests = match protocol {
            Protocol::Http | Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => {
                Some((stream, came))
            }
            Protocol::Tls | Protocol::Tcp | Protocol::Detect => {
                // It is the larger one, and an idle connection of HTTP has no use for its room.
                let requests = Box::pin(tcp::serve(&worker, stream, &incoming, came)).await;
                requests.map(|(stream, came)| (stream, Some(came)))
            }
        };
        let Some((stream, came)) = requests else {
            return;
        };
        if let Some(asked) = http::serve(&worker, stream, &incoming, came).await {
            let (incoming, id) = (asked.incoming().clone(), worker.new_id());
            Box::pin(serve_opening(worker, Opening::Asked(asked), incoming, id)).await;
        }
    }
}

/// Lets a peer that is to say so say for whom it connects: from there on it counts for that one.
async fn hear_for_whom(
    worker: &Worker,
    stream: &mut Stream,
    incoming: &mut Incoming,
    came: &mut Option<Buffer>,
) -> Result<(), Refusal> {
    let said = first::proxied(stream, came, &worker.buffers, incoming.from).await?;
    if let ProxyHead::From { source, .. } = said {
        incoming.from = source;
        incoming.peer.address = source.ip();
    }
    Ok(())
}

/// What is spoken on a connection that goes nowhere, by its first bytes: whoever speaks HTTP can be
/// told why.
async fn heard(worker: &Worker, stream: &mut Stream, came: &mut Option<Buffer>) -> Protocol {
    if came.is_none() {
        // Whoever is silent waits for the other end to begin.
        if let Ok(Sign::Spoke) = timeout(FIRST_WORD, stream.sign()).await {
            let mut buffer = worker.buffers.lend();
            if let Poll::Ready(Ok(1..)) = stream.read_now(&mut buffer) {
                *came = Some(buffer);
            }
        }
    }
    match came.as_deref().map(|bytes| Spoken::of(bytes)) {
        Some(Spoken::Http1 | Spoken::Http2) => Protocol::Http,
        Some(Spoken::Tls | Spoken::Other) | None => Protocol::Tcp,
    }
}

/// How long the first bytes of a connection that goes nowhere are waited for.
const FIRST_WORD: Duration = Duration::from_secs(3);

/// Tells somebody for whom there is no place why the connection is closed.
pub(crate) async fn turn_away(
    worker: Rc<Worker>,
    stream: Stream,
    incoming: Incoming,
    refusal: Refusal,
) {
    match incoming.protocol(&worker, &worker.table()) {
        Protocol::Http | Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => {
            http::turn_away(&worker, stream, &incoming, &refusal).await
        }
        Protocol::Tls | Protocol::Tcp | Protocol::Detect => {
            tcp::turn_away(&worker, stream, &incoming, &refusal)
        }
    }
}

/// A stream that somebody asks for and that is not granted yet.
pub(crate) enum Opening {
    /// Another proxy does.
    Tunnelled(tunnel::server::Opening),
    /// A client of our own does, by CONNECT.
    Asked(Box<Asked>),
}

impl Opening {
    /// Opens the stream; some of it may have come already.
    pub(crate) async fn grant(self) -> io::Result<(Stream, Option<Buffer>)> {
        match self {
            Self::Tunnelled(opening) => Ok((Stream::Tunnel(Box::new(opening.grant()?)), None)),
            Self::Asked(asked) => asked.grant().await,
        }
    }

    /// Does not open it.
    pub(crate) async fn refuse(self, worker: &Worker, refusal: &Refusal, id: CallId) {
        match self {
            Self::Tunnelled(opening) => opening.refuse(refusal.status(), refusal.code()),
            Self::Asked(asked) => asked.refuse(worker, refusal, id).await,
        }
    }
}

/// Serves a stream that somebody asks for. One of HTTP is opened at once: each of its requests is
/// judged and answered by itself. One of bytes is opened when it is admitted and the other end has
/// taken the connection.
#[expect(
    clippy::manual_async_fn,
    reason = "what it is given would take its room twice, and an idle stream needs little else"
)]
pub(crate) fn serve_opening(
    worker: Rc<Worker>,
    opening: Opening,
    incoming: Incoming,
    id: CallId,
) -> impl Future<Output = ()> {
    async move {
        let requests = match incoming.protocol(&worker, &worker.table()) {
            Protocol::Http | Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => {
                Box::pin(opening.grant()).await.ok()
            }
            Protocol::Tls | Protocol::Tcp | Protocol::Detect => {
                let requests = Box::pin(tcp::serve_opening(&worker, opening, &incoming, id)).await;
                requests.map(|(stream, came)| (stream, Some(came)))
            }
        };
        if let Some((stream, came)) = requests {
            http::serve(&worker, stream, &incoming, came).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::worker::tests::worker;

    #[tokio::test]
    async fn who_speaks_after_it_was_taken_is_heard_too() {
        for (words, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], Protocol::Http),
            (b"hello\n", Protocol::Tcp),
            (b"", Protocol::Tcp),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut client = TcpStream::connect(address).await.unwrap();
            let (tcp, _) = listener.accept().await.unwrap();
            let (worker, mut stream, mut came) = (worker(), Stream::Tcp(tcp), None);
            // It is listened to first, and nothing has come.
            let (heard, ()) = tokio::join!(heard(&worker, &mut stream, &mut came), async {
                client.write_all(words).await.unwrap();
                client.shutdown().await.unwrap();
            });
            assert_eq!(heard, expected);
            let came = came.as_deref().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(came, words);
        }
    }
}
