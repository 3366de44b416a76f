//! The calling end: HTTP/2 connections to other proxies, shared by the streams to them.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode};
use leno_channel::{Alpn, Clock, HandshakeFailure};
use leno_identity::Caller;
use leno_model::{CallId, Code, SpiffeId};
use rustc_hash::FxHashMap;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::coalesce::Coalesced;
use crate::tunnel::{CONNECTION_WINDOW, LENO_ERROR, MOST_STREAMS, STREAM_WINDOW, TunnelStream};
use crate::worker::Worker;

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
}

/// A worker's connections to other proxies.
#[derive(Default)]
pub(crate) struct Tunnels(RefCell<FxHashMap<TunnelKey, Rc<Shared>>>);

/// The connections of one key.
#[derive(Default)]
struct Shared {
    open: RefCell<Vec<Connection>>,
    /// Held while a connection is opened, so that those who come meanwhile wait for it.
    opening: Mutex<()>,
}

/// One connection.
#[derive(Clone)]
struct Connection {
    requests: SendRequest<Bytes>,
    peer: Caller,
    /// One count for each stream, and one for the list.
    streams: Rc<()>,
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
        worker: &Worker,
    ) -> Result<TunnelStream, TunnelFailure> {
        let shared = self.shared(key);
        let connection = shared.connection(key, worker).await?;
        let Connection {
            requests, streams, ..
        } = connection;
        let digits = id.digits();
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(target.to_string())
            .header(CallId::HEADER, &digits[..])
            .body(())
            .expect(
                "a socket address is an authority, and hexadecimal digits are a header's value",
            );
        let mut requests = requests.ready().await?;
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
        Ok(TunnelStream::new(send, response.into_body(), streams))
    }

    /// Uses the connections that are open for no further stream: trust has changed, and who proved
    /// something must prove it again.
    pub(crate) fn retire(&self) {
        self.0.borrow_mut().clear();
    }

    fn shared(&self, key: &TunnelKey) -> Rc<Shared> {
        let mut all = self.0.borrow_mut();
        if let Some(shared) = all.get(key) {
            return shared.clone();
        }
        all.entry(key.clone()).or_default().clone()
    }
}

impl Shared {
    /// A connection with room for another stream.
    async fn connection(
        &self,
        key: &TunnelKey,
        worker: &Worker,
    ) -> Result<Connection, TunnelFailure> {
        if let Some(open) = self.with_room(&worker.clock) {
            return Ok(open);
        }
        let _alone = self.opening.lock().await;
        if let Some(open) = self.with_room(&worker.clock) {
            return Ok(open);
        }
        // A handshake needs much room, and is rare.
        let connection = Box::pin(connect(key, worker)).await?;
        self.open.borrow_mut().push(connection.clone());
        Ok(connection)
    }

    fn with_room(&self, clock: &Clock) -> Option<Connection> {
        let now = clock.now();
        let mut open = self.open.borrow_mut();
        open.retain(|connection| connection.peer.ends() > now && !connection.is_closed());
        let has_room = |connection: &&Connection| {
            Rc::strong_count(&connection.streams) <= MOST_STREAMS as usize
        };
        open.iter().find(has_room).cloned()
    }
}

impl Connection {
    /// Whether the other end takes no further stream.
    fn is_closed(&self) -> bool {
        let mut requests = self.requests.clone();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        matches!(
            requests.poll_ready(&mut context),
            std::task::Poll::Ready(Err(_))
        )
    }
}

async fn connect(key: &TunnelKey, worker: &Worker) -> Result<Connection, TunnelFailure> {
    let tcp = TcpStream::connect(key.address)
        .await
        .map_err(TunnelFailure::Connect)?;
    tcp.set_nodelay(true).map_err(TunnelFailure::Connect)?;
    let connected = worker
        .keyring
        .connect(tcp, &key.own, &key.expected, Alpn::Hbone)
        .await?;
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(STREAM_WINDOW as usize)
        .enable_push(false)
        .handshake(Coalesced::new(connected.stream, worker.buffers.clone()))
        .await?;
    let left = worker.until(connected.peer.ends());
    tokio::task::spawn_local(async move {
        // A failure of the connection is a failure of each of its streams, and told there; the
        // peer's proof ending is one too.
        drop(tokio::time::timeout(left, connection).await);
    });
    Ok(Connection {
        requests,
        peer: connected.peer,
        streams: Rc::new(()),
    })
}
