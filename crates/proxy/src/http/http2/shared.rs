//! Connections to servers that speak HTTP/2, each shared by the requests to one target. One carries
//! only that for which it was opened: the same caller, the same expected peer, the same address.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use h2::client::Builder;
use http::{HeaderName, HeaderValue, Request};
use leno_host::Netns;
use leno_model::{CallId, Code, Mono};
use leno_traffic::Refusal;

use crate::coalesce::coalesce;
use crate::connect::{connect, connect_for_requests};
use crate::groups::{Groups, Shared, Streams};
use crate::http::http2::wire::Wire;
use crate::http::http2::{CONNECTION_WINDOW, HEAD_BYTES, MOST_STREAMS, STREAM_WINDOW};
use crate::http::server::Called;
use crate::pool::{Target, TargetRef};
use crate::pulse;
use crate::settings::{see, untold};
use crate::tunnel::LENO_TARGET;
use crate::tunnel::client::Requests;
use crate::worker::Worker;

/// How long a connection without streams is kept.
const IDLE: Duration = Duration::from_secs(50);

/// A worker's connections to servers that speak HTTP/2.
#[derive(Default)]
pub(crate) struct SharedPool(Groups<Target, Connection>);

/// One connection.
#[derive(Clone)]
pub(in crate::http) enum Connection {
    /// To the server itself, or to it through a tunnel as bytes.
    Own(Streams),
    /// A tunnel to a proxy of ours, which takes requests as they are, and is told that they go there.
    Tunnel(Requests, HeaderValue),
}

impl SharedPool {
    /// A connection to `target` that is open and has room for another stream.
    pub(in crate::http) fn open_to(&self, target: &TargetRef<'_>, now: Mono) -> Option<Connection> {
        self.0.open_to(target, now)
    }

    /// The same, opened if there is none.
    pub(in crate::http) async fn connect(
        &self,
        target: &TargetRef<'_>,
        id: CallId,
        limit: Duration,
        worker: &Rc<Worker>,
    ) -> Result<Connection, Refusal> {
        let group = self.0.group(target, |target| target.keep());
        let open = async {
            Ok(
                match connect_for_requests(worker, target, id, limit).await? {
                    Some(requests) => Connection::to(requests, target.address),
                    None => Connection::Own(open(worker, target, id, limit).await?),
                },
            )
        };
        group.connection(worker, open).await
    }

    /// Closes the connections that had no stream for long, and forgets those that have ended.
    pub(crate) fn sweep(&self, now: Mono) {
        self.0.sweep(now);
    }

    /// Uses those that were proven to somebody for no further stream: trust has changed.
    pub(crate) fn retire(&self) {
        self.0.retain(|target| target.tunnel.is_none());
    }

    /// Uses those that were made in that network for no further stream: its owner has gone.
    pub(crate) fn forget(&self, netns: &Netns) {
        self.0.retain(|target| !target.is_within(netns));
    }

    /// Uses none of them for a further stream.
    pub(crate) fn clear(&self) {
        self.0.retain(|_| false);
    }
}

impl Connection {
    fn to(requests: Requests, target: SocketAddr) -> Self {
        let named = HeaderValue::try_from(target.to_string());
        Self::Tunnel(requests, named.expect("an address is visible ASCII"))
    }

    /// Whether the other end takes requests for another protocol than HTTP. It may not have said so yet.
    pub(in crate::http) async fn offers_protocols(&self) -> bool {
        match self {
            Self::Own(streams) => streams.settings.offer_protocols(&streams.requests).await,
            Self::Tunnel(requests, _) => requests.offer_protocols().await,
        }
    }

    /// Sends the head of a request; `ended` says that no body follows.
    pub(in crate::http) fn send(
        self,
        mut head: Request<()>,
        ended: bool,
    ) -> Result<Called, h2::Error> {
        match self {
            Self::Own(mut streams) => {
                let opened = streams.requests.send_request(head, ended)?;
                Ok(Called::new(opened, false, streams.counted))
            }
            Self::Tunnel(requests, target) => {
                head.headers_mut().insert(TARGET, target);
                let (opened, counted) = requests.send(head, ended)?;
                Ok(Called::new(opened, true, counted))
            }
        }
    }
}

/// Where a request between proxies says to which address it goes.
const TARGET: HeaderName = HeaderName::from_static(LENO_TARGET);

impl Shared for Connection {
    fn has_room(&self) -> bool {
        match self {
            Self::Own(streams) => {
                let most = streams.requests.current_max_send_streams();
                streams.are_fewer_than(most.min(MOST_STREAMS as usize))
            }
            Self::Tunnel(requests, _) => requests.has_room(),
        }
    }

    fn is_barred(&self) -> bool {
        match self {
            Self::Own(streams) => {
                streams.are_fewer_than(1) && streams.requests.current_max_send_streams() == 0
            }
            Self::Tunnel(..) => false,
        }
    }

    fn lend(&self, now: Mono) -> Option<Self> {
        match self {
            Self::Own(streams) => streams.lend().map(Self::Own),
            Self::Tunnel(requests, target) => {
                let lent = requests.lend(now)?;
                Some(Self::Tunnel(lent, target.clone()))
            }
        }
    }

    fn is_wanted(&self, now: Mono) -> bool {
        match self {
            Self::Own(streams) => streams.are_wanted(now, IDLE),
            // Whoever opened it knows when nobody wants it.
            Self::Tunnel(requests, _) => requests.lend(now).is_some(),
        }
    }
}

async fn open(
    worker: &Rc<Worker>,
    target: &TargetRef<'_>,
    id: CallId,
    limit: Duration,
) -> Result<Streams, Refusal> {
    let stream = connect(worker, target, id, limit).await?;
    let (stream, turns) = coalesce(
        Wire::new(stream, None),
        worker.buffers.clone(),
        worker.stalled,
    );
    let handshake = turns
        .of(untold(&mut Builder::new())
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(STREAM_WINDOW as usize)
            .max_header_list_size(HEAD_BYTES)
            .enable_push(false)
            .handshake(stream))
        .await;
    // The other end has said nothing yet: what fails is the writing of our first words.
    let (requests, mut connection) =
        handshake.map_err(|_broken| Refusal::ResetBeforeResponse(target.address))?;
    let pings = connection.ping_pong();
    let (settings, running) = see(connection);
    let streams = Streams::new(requests, settings, worker.mono());
    let counted = Rc::downgrade(&streams.counted);
    let (noting, address) = (worker.clone(), target.address);
    worker.supervise(address, async move {
        let is_used = || counted.strong_count() > 1;
        let silent = pulse::stops(pings, &turns, pulse::SILENCE_OF_SERVER, is_used);
        // Its failure is a failure of each of its streams, and told there.
        let is_silent = tokio::select! {
            _ = turns.of(running) => turns.stalled().is_some(),
            _ = silent => true,
        };
        if is_silent {
            noting.note_limit(Code::R055);
        }
    });
    Ok(streams)
}
