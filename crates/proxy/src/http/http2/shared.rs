//! Connections to servers that speak HTTP/2, each shared by the requests to one target. One carries
//! only that for which it was opened: the same caller, the same expected peer, the same address.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use hashbrown::HashMap;
use http::{HeaderValue, Request};
use leno_model::{CallId, Mono};
use leno_traffic::Refusal;
use rustc_hash::FxBuildHasher;
use tokio::sync::Mutex;

use crate::coalesce::coalesce;
use crate::connect::{connect, connect_for_requests};
use crate::http::http2::wire::Wire;
use crate::http::http2::{CONNECTION_WINDOW, HEAD_BYTES, MOST_STREAMS, STREAM_WINDOW};
use crate::http::server::Called;
use crate::pool::{Target, TargetRef};
use crate::tunnel::LENO_TARGET;
use crate::tunnel::client::Requests;
use crate::worker::Worker;

/// How long a connection without streams is kept.
const IDLE: Duration = Duration::from_secs(50);

/// A worker's connections to servers that speak HTTP/2.
#[derive(Default)]
pub(crate) struct SharedPool(RefCell<HashMap<Target, Rc<Group>, FxBuildHasher>>);

/// Those of one target.
#[derive(Default)]
struct Group {
    open: RefCell<Vec<Connection>>,
    /// Held while a connection is opened, so that those who come meanwhile wait for it.
    opening: Mutex<()>,
}

/// One connection.
#[derive(Clone)]
pub(in crate::http) enum Connection {
    /// To the server itself, or to it through a tunnel as bytes.
    Own(Own),
    /// A tunnel to a proxy of ours, which takes requests as they are.
    Tunnel(Requests),
}

/// A connection that was opened here.
#[derive(Clone)]
pub(in crate::http) struct Own {
    requests: SendRequest<Bytes>,
    /// One count for each stream, and one for the list.
    streams: Rc<()>,
    /// When it last was seen with a stream.
    used: Rc<Cell<Mono>>,
}

impl SharedPool {
    /// A connection to `target` that is open and has room for another stream.
    pub(in crate::http) fn open_to(&self, target: &TargetRef<'_>, now: Mono) -> Option<Connection> {
        self.0.borrow().get(target)?.with_room(now)
    }

    /// The same, opened if there is none.
    pub(in crate::http) async fn connect(
        &self,
        target: &TargetRef<'_>,
        id: CallId,
        limit: Duration,
        worker: &Rc<Worker>,
    ) -> Result<Connection, Refusal> {
        let group = self.group(target);
        let _alone = group.opening.lock().await;
        if let Some(open) = group.with_room(worker.mono()) {
            return Ok(open);
        }
        let connection = match connect_for_requests(worker, target, id, limit).await? {
            Some(requests) => Connection::Tunnel(requests),
            None => Connection::Own(open(worker, target, id, limit).await?),
        };
        group.open.borrow_mut().push(connection.clone());
        Ok(connection)
    }

    fn group(&self, target: &TargetRef<'_>) -> Rc<Group> {
        let mut groups = self.0.borrow_mut();
        if let Some(group) = groups.get(target) {
            return group.clone();
        }
        groups.entry(target.keep()).or_default().clone()
    }

    /// Closes the connections that had no stream for long, and forgets those that have ended.
    pub(crate) fn sweep(&self, now: Mono) {
        self.0.borrow_mut().retain(|_, group| {
            let mut open = group.open.borrow_mut();
            open.retain(|connection| connection.is_wanted(now));
            !open.is_empty() || Rc::strong_count(group) > 1
        });
    }

    /// Uses those that were proven to somebody for no further stream: trust has changed.
    pub(crate) fn retire(&self) {
        let mut groups = self.0.borrow_mut();
        groups.retain(|target, _| target.tunnel.is_none());
    }

    /// Uses none of them for a further stream.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Group {
    fn with_room(&self, now: Mono) -> Option<Connection> {
        let mut open = self.open.borrow_mut();
        open.retain(|connection| connection.takes_streams(now));
        let mut with_room = open.iter().filter(|connection| connection.has_room(now));
        with_room.next().cloned()
    }
}

impl Connection {
    /// Sends the head of a request; `ended` says that no body follows. Another proxy is told that it
    /// goes to `target`.
    pub(in crate::http) fn send(
        self,
        mut head: Request<()>,
        ended: bool,
        target: SocketAddr,
    ) -> Result<Called, h2::Error> {
        match self {
            Self::Own(mut own) => {
                let (answer, up) = own.requests.send_request(head, ended)?;
                Ok(Called::new(up, answer, false, own.streams))
            }
            Self::Tunnel(requests) => {
                let named = HeaderValue::try_from(target.to_string());
                let named = named.expect("an address is visible ASCII");
                head.headers_mut().insert(LENO_TARGET, named);
                let (answer, up, counted) = requests.send(head, ended)?;
                Ok(Called::new(up, answer, true, counted))
            }
        }
    }

    fn has_room(&self, now: Mono) -> bool {
        match self {
            Self::Own(own) => {
                let most = own.requests.current_max_send_streams();
                Rc::strong_count(&own.streams) <= most.min(MOST_STREAMS as usize)
            }
            Self::Tunnel(requests) => requests.has_room(now),
        }
    }

    /// Whether the other end takes further streams.
    fn takes_streams(&self, now: Mono) -> bool {
        match self {
            Self::Own(own) => {
                let mut context = Context::from_waker(Waker::noop());
                let ready = own.requests.clone().poll_ready(&mut context);
                !matches!(ready, Poll::Ready(Err(_)))
            }
            Self::Tunnel(requests) => requests.takes_streams(now),
        }
    }

    fn is_wanted(&self, now: Mono) -> bool {
        let is_idle = match self {
            Self::Own(own) => {
                if Rc::strong_count(&own.streams) > 1 {
                    own.used.set(now);
                }
                now.since(own.used.get()) >= IDLE
            }
            // Whoever opened it knows when nobody wants it.
            Self::Tunnel(_) => false,
        };
        !is_idle && self.takes_streams(now)
    }
}

async fn open(
    worker: &Rc<Worker>,
    target: &TargetRef<'_>,
    id: CallId,
    limit: Duration,
) -> Result<Own, Refusal> {
    let stream = connect(worker, target, id, limit).await?;
    let (stream, turns) = coalesce(Wire::new(stream, None), worker.buffers.clone());
    let handshake = turns
        .of(Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(STREAM_WINDOW as usize)
            .max_header_list_size(HEAD_BYTES)
            .enable_push(false)
            .handshake(stream))
        .await;
    // The other end has said nothing yet: what fails is the writing of our first words.
    let (requests, connection) =
        handshake.map_err(|_broken| Refusal::ResetBeforeResponse(target.address))?;
    worker.supervise(target.address, async move {
        // Its failure is a failure of each of its streams, and told there.
        drop(turns.of(connection).await);
    });
    Ok(Own {
        requests,
        streams: Rc::default(),
        used: Rc::new(Cell::new(worker.mono())),
    })
}
