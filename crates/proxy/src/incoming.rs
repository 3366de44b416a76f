//! A connection that came in: who is at its other end, where it wants to go, and what is spoken.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use leno_model::view::{PortRef, Protocol, WorkloadId};
use leno_model::{CallId, Subscription};
use leno_telemetry::Reporter;
use leno_traffic::{Destination, Peer};
use tokio::time::timeout;

use crate::stream::Stream;
use crate::tunnel::server::Opening;
use crate::worker::Worker;
use crate::{http, tcp};

/// What is known of a connection before its first byte is read. It holds for all of its calls.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    /// Who is at the other end.
    pub(crate) peer: Peer,
    /// Its address and port.
    pub(crate) from: SocketAddr,
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

    /// Which of the two proxies of a call this one is.
    pub(crate) fn reporter(&self) -> Reporter {
        match self {
            Self::Outbound { .. } => Reporter::Source,
            Self::Inbound { .. } => Reporter::Destination,
        }
    }
}

impl Incoming {
    /// Waits until the view says what the connection wants to reach, where it was never asked to hold
    /// that: for a bounded time. What is unknown after it is refused for that reason.
    async fn find_out(&self, worker: &Worker) {
        let (Some(question), Some(asker)) = (self.question(worker), worker.asker()) else {
            return;
        };
        if asker.ask(question).await.is_err() {
            return;
        }
        let mut news = worker.news.subscribe();
        let adopted = async {
            while self.question(worker).is_some() {
                news.changed().await;
            }
        };
        // The view is on its way to this worker, unless another took its place meanwhile.
        drop(timeout(TURN, adopted).await);
    }

    /// What the control plane must be asked before it is known where the connection goes.
    fn question(&self, worker: &Worker) -> Option<Subscription> {
        let Way::Outbound { to, .. } = &self.way else {
            return None;
        };
        let table = worker.table();
        let destination = match to {
            Toward::Port(port) => table.service(&port.service, port.port),
            Toward::Address(address) if address.ip().to_canonical().is_loopback() => return None,
            Toward::Address(address) => table.destination(&worker.network, *address),
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

/// How long a worker may take to adopt a view that was handed to it.
const TURN: Duration = Duration::from_secs(1);

/// What a workload of ours calls.
#[derive(Clone, Debug)]
pub(crate) enum Toward {
    /// The address that it connected to before it was captured.
    Address(SocketAddr),
    /// A service port, by an explicit listener.
    Port(PortRef),
}

/// Serves a connection that was accepted on a socket.
pub(crate) async fn serve(worker: Rc<Worker>, stream: Stream, incoming: Incoming) {
    incoming.find_out(&worker).await;
    match incoming.protocol(&worker, &worker.table()) {
        Protocol::Http => http::serve(&worker, stream, &incoming).await,
        // It is the larger one, and an idle connection of HTTP has no use for its room.
        Protocol::Tcp => Box::pin(tcp::serve(&worker, stream, &incoming)).await,
    }
}

/// Tells somebody for whom there is no place why the connection is closed.
pub(crate) async fn turn_away(worker: Rc<Worker>, stream: Stream, incoming: Incoming) {
    match incoming.protocol(&worker, &worker.table()) {
        Protocol::Http => http::turn_away(&worker, stream, &incoming).await,
        Protocol::Tcp => tcp::turn_away(&worker, stream, &incoming),
    }
}

/// Serves a stream that another proxy asks for. One of HTTP is opened at once: each of its requests
/// is judged and answered by itself. One of bytes is opened when it is admitted and its workload
/// has taken the connection.
pub(crate) async fn serve_tunnelled(
    worker: Rc<Worker>,
    opening: Opening,
    incoming: Incoming,
    id: CallId,
) {
    match incoming.protocol(&worker, &worker.table()) {
        Protocol::Http => {
            if let Ok(stream) = opening.grant() {
                http::serve(&worker, Stream::Tunnel(stream), &incoming).await;
            }
        }
        Protocol::Tcp => Box::pin(tcp::serve_tunnelled(&worker, opening, &incoming, id)).await,
    }
}
