//! The calling end: HTTP/2 connections to other proxies, shared by the streams to them.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::PingPong;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode};
use leno_channel::{Alpn, ClientStream, Connected, HandshakeFailure, Proof, WhyFailed};
use leno_host::Netns;
use leno_identity::{Caller, Distrust, Trust};
use leno_model::{CallId, Code, Mono, SpiffeId};
use leno_telemetry::{Edge, Event, Handshake, Reporter, Security};
use leno_traffic::Refusal;
use tokio::net::TcpStream;

use crate::ahead::Ahead;
use crate::aim::party;
use crate::coalesce::{Farewell, Outbox, Turns, coalesce};
use crate::connect::connect_from;
use crate::groups::{Groups, Opened, Shared, Streams, takes_streams};
use crate::news::Reader;
use crate::pool::TunnelRef;
use crate::pulse;
use crate::settings::{Settings, see, untold};
use crate::tunnel::{
    CONNECTION_WINDOW, LENO_ERROR, MOST_STREAMS, PIECE, STREAM_WINDOW, TunnelStream, Within,
    open_for,
};
use crate::worker::Worker;

/// How long a connection without streams is kept.
const IDLE: Duration = Duration::from_secs(300);

/// Everything that was proven or chosen when a connection was opened: two streams share one only
/// if all of it is the same. The generation of trust is not part of it because no connection
/// outlives a change of trust ([`Tunnels::retire`]).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct TunnelKey {
    /// Who calls.
    pub(crate) own: SpiffeId,
    /// Who may answer.
    pub(crate) expected: Vec<SpiffeId>,
    /// Where its proxy listens.
    pub(crate) address: SocketAddr,
    /// In whose network it is made.
    pub(crate) netns: Option<Arc<Netns>>,
}

impl TunnelKey {
    /// The same, borrowed.
    pub(crate) fn borrowed(&self) -> TunnelRef<'_> {
        TunnelRef {
            own: &self.own,
            expected: &self.expected,
            address: self.address,
            netns: self.netns.as_ref(),
        }
    }
}

/// A worker's connections to other proxies.
#[derive(Default)]
pub(crate) struct Tunnels(Groups<TunnelKey, Connection>);

/// One connection.
#[derive(Clone)]
pub(super) struct Connection {
    streams: Streams,
    /// When it takes no further streams: soon the peer has proven nothing any more. Counted anew
    /// when time jumps.
    closes: Rc<Cell<Mono>>,
    farewell: Farewell,
    outbox: Outbox,
    /// Whether its streams may be requests, beside streams of bytes.
    takes_requests: bool,
    /// Whether an earlier session was resumed.
    resumed: bool,
}

/// A connection as requests use it. It keeps nothing open that has no stream.
#[derive(Clone)]
pub(crate) struct Requests {
    requests: SendRequest<Bytes>,
    settings: Settings,
    closes: Rc<Cell<Mono>>,
    streams: Weak<()>,
}

impl Requests {
    /// Whether there are so few streams that there may be another one.
    pub(crate) fn has_room(&self) -> bool {
        self.streams.strong_count() <= MOST_STREAMS as usize
    }

    /// The same for another stream, if the other end takes any.
    pub(crate) fn lend(&self, now: Mono) -> Option<Self> {
        if now >= self.closes.get() || self.streams.strong_count() == 0 {
            return None;
        }
        let mut lent = self.clone();
        takes_streams(&mut lent.requests).then_some(lent)
    }

    /// Whether the other proxy takes requests for another protocol than HTTP.
    pub(crate) async fn offer_protocols(&self) -> bool {
        self.settings.offer_protocols(&self.requests).await
    }

    /// Opens a stream for a request, and counts it until the last value is dropped; `ended` says that
    /// no body follows.
    pub(crate) fn send(
        mut self,
        head: Request<()>,
        ended: bool,
    ) -> Result<(Opened, Rc<()>), h2::Error> {
        let counted = self.streams.upgrade().unwrap_or_default();
        let opened = self.requests.send_request(head, ended)?;
        Ok((opened, counted))
    }
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunnelFailure {
    /// The connection could not be made.
    #[error(transparent)]
    Connect(io::Error),
    /// The other end could not be proven, or did not believe us.
    #[error(transparent)]
    Handshake(#[from] HandshakeFailure),
    /// HTTP/2 failed.
    #[error(transparent)]
    Http(#[from] h2::Error),
    /// The other proxy answered with a status that opens no stream.
    #[error("the proxy of the endpoint answered {status}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its reason, if it gave one that we know.
        code: Option<Code>,
    },
}

impl Tunnels {
    /// Opens a stream to `target`, an application's address behind the proxy of `key`.
    pub(crate) async fn open(
        &self,
        key: &TunnelKey,
        target: SocketAddr,
        id: CallId,
        worker: &Rc<Worker>,
    ) -> Result<TunnelStream, TunnelFailure> {
        let connection = self.connection(key, worker).await?;
        let (farewell, resumed) = (connection.farewell.clone(), connection.resumed);
        let opened = connection.open(target, id).await;
        opened.map_err(|failure| match (failure, farewell.get()) {
            // The peer judges us after our handshake is done.
            (TunnelFailure::Http(_), Some(refusal)) => HandshakeFailure {
                own: Some(key.own.clone()),
                peer: key.expected.first().cloned(),
                why: WhyFailed::Refused(refusal),
            }
            .into(),
            (failure @ TunnelFailure::Http(_), None) if resumed => {
                // Who resumes a session is told nothing by a peer that believes it no more.
                worker.keyring.forget_sessions(&key.own);
                failure
            }
            (failure, _) => failure,
        })
    }

    /// A connection to the proxy of `key` for requests; `None` if that takes streams of bytes only.
    pub(crate) async fn requests(
        &self,
        key: &TunnelKey,
        worker: &Rc<Worker>,
    ) -> Result<Option<Requests>, TunnelFailure> {
        let connection = self.connection(key, worker).await?;
        Ok(connection.takes_requests.then(|| Requests {
            streams: Rc::downgrade(&connection.streams.counted),
            requests: connection.streams.requests,
            settings: connection.streams.settings,
            closes: connection.closes,
        }))
    }

    /// Whether there is a connection to the proxy of `key`.
    pub(crate) fn reach(&self, key: &TunnelKey, now: Mono) -> bool {
        self.0.open_to(key, now).is_some()
    }

    /// Uses the connections that are open for no further stream: trust has changed, and who proved
    /// something must prove it again.
    pub(crate) fn retire(&self) {
        self.0.retain(|_| false);
    }

    /// Uses those that were made in that network for no further stream: its owner has gone.
    pub(crate) fn forget(&self, netns: &Netns) {
        self.0.retain(|key| key.netns.as_deref() != Some(netns));
    }

    /// Closes the connections that had no stream for long, and forgets those that have ended.
    pub(crate) fn sweep(&self, now: Mono) {
        self.0.sweep(now);
    }

    /// A connection with room for another stream.
    async fn connection(
        &self,
        key: &TunnelKey,
        worker: &Rc<Worker>,
    ) -> Result<Connection, TunnelFailure> {
        let group = self.0.group(key, TunnelKey::clone);
        // A handshake needs much room, and is rare.
        let open = async { Box::pin(connect(key, worker)).await };
        group.connection(worker, open).await
    }
}

impl Connection {
    async fn open(self, target: SocketAddr, id: CallId) -> Result<TunnelStream, TunnelFailure> {
        let digits = id.digits();
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(target.to_string())
            .header(CallId::HEADER, &digits[..])
            .body(())
            .expect(
                "a socket address is an authority, and hexadecimal digits are a header's value",
            );
        let mut requests = self.streams.requests.clone().ready().await?;
        let (response, send) = requests.send_request(request, false)?;
        let response = response.await?;
        if response.status() != StatusCode::OK {
            let reason = response.headers().get(LENO_ERROR);
            let code = reason.and_then(|reason| reason.to_str().ok());
            return Err(TunnelFailure::Refused {
                status: response.status(),
                code: code.and_then(|text| text.split(' ').next()?.parse().ok()),
            });
        }
        let (outbox, within) = (self.outbox.clone(), Within::Ours(self));
        let receive = response.into_body();
        Ok(TunnelStream::new(send, receive, outbox, within))
    }

    /// Whether further streams may be opened.
    pub(super) fn takes_streams(&self, now: Mono) -> bool {
        self.lend(now).is_some()
    }
}

impl Shared for Connection {
    fn has_room(&self) -> bool {
        self.streams.are_fewer_than(MOST_STREAMS as usize)
    }

    fn is_barred(&self) -> bool {
        false
    }

    fn lend(&self, now: Mono) -> Option<Self> {
        if now >= self.closes.get() {
            return None;
        }
        Some(Self {
            streams: self.streams.lend()?,
            closes: self.closes.clone(),
            farewell: self.farewell.clone(),
            outbox: self.outbox.clone(),
            takes_requests: self.takes_requests,
            resumed: self.resumed,
        })
    }

    fn is_wanted(&self, now: Mono) -> bool {
        now < self.closes.get() && self.streams.are_wanted(now, IDLE)
    }
}

type Secured = ClientStream<Ahead<TcpStream>>;

async fn connect(key: &TunnelKey, worker: &Rc<Worker>) -> Result<Connection, TunnelFailure> {
    // From here on no change of trust goes unnoticed.
    let (news, trust) = (worker.news.subscribe(), worker.keyring.trust());
    let tcp = connect_from(key.netns.as_deref(), key.address)
        .await
        .map_err(TunnelFailure::Connect)?;
    tcp.set_nodelay(true).map_err(TunnelFailure::Connect)?;
    let tcp = Ahead::of(tcp, worker.buffers.clone());
    let connected = worker
        .keyring
        .connect(tcp, &key.own, &key.expected, &Alpn::ALL)
        .await?;
    let Connected {
        stream,
        peer,
        proof,
        alpn,
        resumed,
    } = connected;
    let (stream, turns) = coalesce(stream, worker.buffers.clone(), worker.stalled);
    let (farewell, outbox) = (turns.farewell(), turns.outbox());
    let (requests, mut connection) = untold(&mut h2::client::Builder::new())
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(PIECE as u32)
        .max_send_buffer_size(STREAM_WINDOW as usize)
        .enable_push(false)
        .handshake(stream)
        .await?;
    let pings = connection.ping_pong();
    let (settings, running) = see(connection);
    let now = worker.mono();
    let open = Connection {
        streams: Streams::new(requests, settings, now),
        closes: Rc::new(Cell::new(now)),
        farewell,
        outbox,
        takes_requests: alpn == Alpn::Leno1,
        resumed,
    };
    let watched = Watched {
        worker: worker.clone(),
        own: key.own.clone(),
        address: key.address,
        closes: open.closes.clone(),
        peer,
        proof,
        news,
        trust,
    };
    watched.count_from(now);
    let streams = Rc::downgrade(&open.streams.counted);
    worker.supervise(key.address, watched.run(running, pings, turns, streams));
    Ok(open)
}

/// A connection while it lives, and what its peer proved.
struct Watched {
    worker: Rc<Worker>,
    own: SpiffeId,
    address: SocketAddr,
    closes: Rc<Cell<Mono>>,
    peer: Caller,
    proof: Proof,
    news: Reader,
    trust: Arc<Trust>,
}

impl Watched {
    /// Runs the connection until it ends, or until its peer is believed no more or found silent. A failure of
    /// the connection is a failure of each of its streams, and told there.
    async fn run(
        mut self,
        connection: impl Future<Output = Result<(), h2::Error>>,
        pings: Option<PingPong>,
        turns: Turns<Secured>,
        streams: Weak<()>,
    ) {
        let from = self.address.ip();
        let is_used = || streams.strong_count() > 1;
        let silent = pulse::stops(pings, &turns, pulse::SILENCE, is_used);
        let given_up = |limit| {
            let refusal = Refusal::PeerSilent(from, limit);
            (refusal.code(), refusal.to_string())
        };
        let ended = tokio::select! {
            _ = turns.of(connection) => turns.stalled().map(given_up),
            distrust = self.distrust() => Some((distrust.code(), distrust.to_string())),
            limit = silent => Some(given_up(limit)),
        };
        let Some((code, why)) = ended else {
            // What was written to the last stream is on its way.
            return Box::pin(turns.linger()).await;
        };
        self.worker.report(&Event::Handshake(Handshake {
            id: self.worker.new_id(),
            edge: Edge {
                reporter: Reporter::Source,
                source: party(&self.own, &self.own.trust_domain),
                destination: party(self.peer.id(), &self.own.trust_domain),
                security: Security::None,
            },
            peer: self.address,
            at: self.worker.now().wall,
            code,
            why: &why,
        }));
    }

    /// Says by `now` when the connection takes no further streams; gives how long its peer's proof
    /// still stands.
    fn count_from(&self, now: Mono) -> Duration {
        let left = self.worker.until(self.peer.ends());
        self.closes.set(now + open_for(left));
        left
    }

    /// Waits until the peer is believed no more.
    async fn distrust(&mut self) -> Distrust {
        loop {
            let left = self.count_from(self.worker.mono());
            tokio::select! {
                () = self.news.changed() => {
                    let latest = self.worker.keyring.trust();
                    if Arc::ptr_eq(&self.trust, &latest) {
                        continue;
                    }
                    self.trust = latest;
                }
                () = tokio::time::sleep(left) => {}
            }
            match self.worker.keyring.judge(&self.proof) {
                Ok(peer) => self.peer = peer,
                Err(distrust) => return distrust,
            }
        }
    }
}
