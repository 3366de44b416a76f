//! The called end: takes handshakes on the tunnel port and hands each stream to the workload it
//! names, with the caller that was proven.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use leno_channel::{Accepted, Alpn, Proof, ServerStream};
use leno_identity::{Caller, Distrust, Trust};
use leno_model::view::{Workload, WorkloadId};
use leno_model::{CallId, Code, SpiffeId};
use leno_telemetry::{Decided, Edge, Event, Handshake, Party, Reporter, Security, Stream};
use leno_traffic::{Channel, Peer, Refusal};
use tokio::net::TcpStream;

use crate::ahead::Ahead;
use crate::aim::party;
use crate::coalesce::{Coalesced, Outbox, Turns, coalesce};
use crate::http::http2::{is_flood, serve as http};
use crate::incoming::{self, Incoming, Way};
use crate::news::Reader;
use crate::pulse;
use crate::room::{Peer as Holder, Share};
use crate::tunnel::{
    CONNECTION_WINDOW, LENO_ERROR, LENO_TARGET, MOST_STREAMS, PIECE, STREAM_WINDOW, TunnelStream,
    Within, open_for,
};
use crate::worker::{Mark, Worker};

/// The most bytes that the headers of a request may have, counted as HTTP/2 counts them.
const HEADER_BYTES: u32 = 64 * 1024;

/// How long a connection that is cut may take to be told so.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// How long streams may take to tell why each of them is cut, before the connection is: they hear of it when it does.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// Serves one connection to the tunnel port, of which its address has a `share` until it has proven
/// whose it is. It leads to `only` that workload of ours, or to each that it names.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    tcp: TcpStream,
    from: SocketAddr,
    share: Option<Share>,
    only: Option<WorkloadId>,
) {
    // From here on no change of trust goes unnoticed.
    let (news, trust) = (worker.news.subscribe(), worker.keyring.trust());
    let tcp = Ahead::of(tcp, worker.buffers.clone());
    let Accepted {
        stream,
        caller,
        own,
        proof,
        alpn,
        ..
    } = match worker.keyring.accept(tcp).await {
        Ok(accepted) => accepted,
        Err(failure) => {
            let between = (failure.peer.as_ref(), failure.own.as_ref());
            return tell(&worker, from, between, failure.code(), &failure.to_string());
        }
    };
    // Whoever proved itself and then speaks no HTTP/2 has said nothing that could be answered.
    let (stream, turns) = coalesce(stream, worker.buffers.clone(), worker.stalled);
    let takes_requests = alpn == Alpn::Leno1;
    let Some(mut connection) = turns.of(speak(stream, takes_requests)).await else {
        return;
    };
    let peer = worker.join(Holder::Identity(caller.id().clone()));
    drop(share);
    let tunnel = Tunnel {
        worker,
        from,
        caller,
        own,
        only,
        proof,
        takes_requests,
        counted: Rc::default(),
        outbox: turns.outbox(),
        last: RefCell::default(),
    };
    let ended = match &peer {
        Some(_share) => tunnel.run(&mut connection, &turns, news, trust).await,
        None => Err(Ended::TooMany),
    };
    let Err(ended) = ended else {
        drop(connection);
        // What was written to the last stream is on its way.
        return Box::pin(turns.linger()).await;
    };
    let between = (Some(tunnel.caller.id()), Some(&tunnel.own));
    tell(
        &tunnel.worker,
        from,
        between,
        ended.code(),
        &ended.to_string(),
    );
    let Some(reason) = ended.reason() else {
        return;
    };
    if let Ended::Distrust(Distrust::Revoked { .. }) = ended {
        let told = turns.of(tunnel.last_words(&mut connection));
        // What has not ended by then is cut with the connection.
        drop(tokio::time::timeout(LAST_WORDS, told).await);
    }
    connection.abrupt_shutdown(reason);
    let told = turns.of(poll_fn(|context| connection.poll_closed(context)));
    // Whoever does not read it is cut without a word.
    drop(tokio::time::timeout(ABORT_LIMIT, told).await);
}

/// Why a connection is ended that its peer did not end.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// The peer is believed no more.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// The peer holds as many connections as one may.
    #[error("it holds as many connections as a single peer may")]
    TooMany,
    /// The peer has had more streams reset than one may; HTTP/2 has ended the connection.
    #[error("it has had more streams reset than a connection may")]
    TooManyResets,
    /// The peer lives no more, as far as one can see.
    #[error(transparent)]
    Silent(Refusal),
}

impl Ended {
    fn code(&self) -> Code {
        match self {
            Self::Distrust(distrust) => distrust.code(),
            Self::TooMany => Code::R050,
            Self::TooManyResets => Code::R052,
            Self::Silent(refusal) => refusal.code(),
        }
    }

    /// With what the peer is told so, if it was not yet.
    fn reason(&self) -> Option<h2::Reason> {
        match self {
            Self::Distrust(_) => Some(h2::Reason::INADEQUATE_SECURITY),
            Self::TooMany => Some(h2::Reason::ENHANCE_YOUR_CALM),
            Self::TooManyResets | Self::Silent(_) => None,
        }
    }
}

/// A connection on which HTTP/2 is spoken.
type Connection = h2::server::Connection<Coalesced<Secured>, Bytes>;

type Secured = ServerStream<Ahead<TcpStream>>;

/// Exchanges the first words of HTTP/2; `None` if the other end does not. Requests may ask for other
/// protocols.
async fn speak(stream: Coalesced<Secured>, takes_requests: bool) -> Option<Connection> {
    let mut manners = h2::server::Builder::new();
    if takes_requests {
        manners.enable_connect_protocol();
    }
    let handshake = manners
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(PIECE as u32)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .max_send_buffer_size(STREAM_WINDOW as usize)
        .handshake(stream);
    let spoken = tokio::time::timeout(leno_channel::HANDSHAKE_LIMIT, handshake).await;
    spoken.ok()?.ok()
}

/// Tells that the other end of a connection is not believed.
fn tell(
    worker: &Worker,
    from: SocketAddr,
    (caller, own): (Option<&SpiffeId>, Option<&SpiffeId>),
    code: Code,
    why: &str,
) {
    let table = worker.table();
    let domain = &table.view().settings.trust_domain;
    worker.report(&Event::Handshake(Handshake {
        id: worker.new_id(),
        edge: Edge {
            reporter: Reporter::Destination,
            source: caller.map_or(Party::Unknown, |id| party(id, domain)),
            destination: own.map_or(Party::Unknown, |id| party(id, domain)),
            security: Security::None,
        },
        peer: from,
        at: worker.now().wall,
        code,
        why,
    }));
}

/// A connection, and what its caller proved.
struct Tunnel {
    worker: Rc<Worker>,
    from: SocketAddr,
    caller: Caller,
    /// The identity of ours that the caller asked for.
    own: SpiffeId,
    /// The workload to which alone it leads.
    only: Option<WorkloadId>,
    proof: Proof,
    /// Whether streams may be requests, beside streams of bytes.
    takes_requests: bool,
    /// One count for each stream.
    counted: Rc<()>,
    outbox: Outbox,
    /// To whom the last request went: the next one mostly does, too.
    last: RefCell<Option<Last>>,
}

/// To whom a request went.
struct Last {
    /// The address that it named.
    target: HeaderValue,
    /// By what that was decided.
    table: Mark,
    peer: Rc<http::Peer>,
}

impl Tunnel {
    /// Takes streams until the connection ends, or until its caller is believed no more.
    async fn run(
        &self,
        connection: &mut Connection,
        turns: &Turns<Secured>,
        mut news: Reader,
        mut trust: Arc<Trust>,
    ) -> Result<(), Ended> {
        let Self { worker, proof, .. } = self;
        let pings = connection.ping_pong();
        let is_used = || Rc::strong_count(&self.counted) > 1;
        let mut silent = pin!(pulse::stops(pings, turns, pulse::SILENCE, is_used));
        let given_up = |limit| Ended::Silent(Refusal::PeerSilent(self.from.ip(), limit));
        let left = worker.until(self.caller.ends());
        let mut closing = pin!(tokio::time::sleep(open_for(left)));
        let mut is_closing = false;
        let mut ended = pin!(tokio::time::sleep(left));
        loop {
            tokio::select! {
                request = turns.of(connection.accept()) => match request {
                    Some(Ok((request, answer))) => {
                        self.take(request, answer);
                        if Rc::strong_count(&self.counted) > MOST_STREAMS as usize {
                            worker.note_limit(Code::R057);
                        }
                    }
                    Some(Err(error)) if is_flood(&error) => return Err(Ended::TooManyResets),
                    Some(Err(_)) | None => return turns.stalled().map_or(Ok(()), |limit| Err(given_up(limit))),
                },
                limit = &mut silent => return Err(given_up(limit)),
                () = news.changed() => {
                    if worker.is_draining() {
                        connection.graceful_shutdown();
                    }
                    // Time may have jumped.
                    let left = worker.until(self.caller.ends());
                    closing.set(tokio::time::sleep(open_for(left)));
                    ended.set(tokio::time::sleep(left));
                    let latest = worker.keyring.trust();
                    if !Arc::ptr_eq(&trust, &latest) {
                        trust = latest;
                        worker.keyring.judge(proof)?;
                    }
                }
                () = &mut closing, if !is_closing => {
                    is_closing = true;
                    connection.graceful_shutdown();
                }
                () = &mut ended => {
                    // It is believed still if mesh time was corrected meanwhile.
                    let caller = worker.keyring.judge(proof)?;
                    ended.set(tokio::time::sleep(worker.until(caller.ends())));
                }
            }
        }
    }

    /// Waits until all streams have ended. Each that lives by a permit of a caller who was revoked ends by itself, and
    /// tells its code, which the end of a connection does not; one on which nothing is under way waits on. No new ones
    /// are taken meanwhile.
    async fn last_words(&self, connection: &mut Connection) {
        poll_fn(|context| {
            while let Poll::Ready(taken) = connection.poll_accept(context) {
                if !matches!(taken, Some(Ok(_))) {
                    return Poll::Ready(());
                }
            }
            match Rc::strong_count(&self.counted) {
                1 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    /// Hands a stream to its workload, in a task of its own, or answers why not.
    fn take(&self, request: Request<RecvStream>, mut answer: SendResponse<Bytes>) {
        if self.takes_requests && is_request(&request) {
            return self.take_request(request, answer);
        }
        let id = self.id_of(&request);
        let taken = self.incoming(&request).and_then(|incoming| {
            let full = (StatusCode::SERVICE_UNAVAILABLE, Code::R040);
            Ok((incoming, self.worker.seat(0).ok_or(full)?))
        });
        let (incoming, seat) = match taken {
            Ok(taken) => taken,
            Err((status, code)) => {
                refuse(&mut answer, status, code);
                return self.tell_refused(id, code);
            }
        };
        let worker = self.worker.clone();
        let opening = Opening {
            answer,
            receive: request.into_body(),
            counted: self.counted.clone(),
            outbox: self.outbox.clone(),
        };
        self.worker.spawn(seat, self.from, async move {
            let opening = incoming::Opening::Tunnelled(opening);
            incoming::serve_opening(worker, opening, incoming, id).await
        });
    }

    /// Hands a request to its workload, or answers why not.
    fn take_request(&self, request: Request<RecvStream>, mut answer: SendResponse<Bytes>) {
        match self.peer(request.headers().get(LENO_TARGET)) {
            Ok(peer) => peer.take(request, answer, Some(self.counted.clone())),
            Err((status, code)) => {
                refuse(&mut answer, status, code);
                self.tell_refused(self.id_of(&request), code);
            }
        }
    }

    /// Whose requests go to what names this address.
    fn peer(&self, target: Option<&HeaderValue>) -> Result<Rc<http::Peer>, (StatusCode, Code)> {
        let (table, mut last) = (self.worker.table(), self.last.borrow_mut());
        if let (Some(last), Some(target)) = (&*last, target)
            && last.target == target
            && last.table.is_of(&table)
        {
            return Ok(last.peer.clone());
        }
        let named = target.and_then(|target| target.to_str().ok());
        let incoming = self.toward(named)?;
        let peer = http::Peer::proxy(&self.worker, incoming, self.outbox.clone());
        *last = target.map(|target| Last {
            target: target.clone(),
            table: table.mark(),
            peer: peer.clone(),
        });
        Ok(peer)
    }

    /// The name that the caller's proxy gave to what a stream carries, else a new one.
    fn id_of(&self, request: &Request<RecvStream>) -> CallId {
        let digits = request.headers().get(CallId::HEADER);
        let id = digits.and_then(|digits| CallId::parse(digits.as_bytes()));
        id.unwrap_or_else(|| self.worker.new_id())
    }

    /// To whom a stream goes.
    fn incoming(&self, request: &Request<RecvStream>) -> Result<Incoming, (StatusCode, Code)> {
        if request.method() != Method::CONNECT {
            return Err((StatusCode::MISDIRECTED_REQUEST, Code::R038));
        }
        self.toward(
            request
                .uri()
                .authority()
                .map(::http::uri::Authority::as_str),
        )
    }

    /// To whom goes what names this address.
    fn toward(&self, named: Option<&str>) -> Result<Incoming, (StatusCode, Code)> {
        let target: Option<SocketAddr> = named.and_then(|named| named.parse().ok());
        let target = target.ok_or((StatusCode::BAD_REQUEST, Code::R032))?;
        let workload = self.workload(target.ip());
        let workload = workload.ok_or((StatusCode::NOT_FOUND, Code::R001))?;
        Ok(Incoming {
            peer: Peer {
                channel: Channel::Mtls(self.caller.clone()),
                address: self.from.ip(),
            },
            from: self.from,
            netns: self.worker.netns(&workload.id),
            way: Way::Inbound {
                workload: workload.id.clone(),
                port: target.port(),
                application: target,
            },
        })
    }

    /// Tells of a stream that went to nobody.
    fn tell_refused(&self, id: CallId, code: Code) {
        let table = self.worker.table();
        self.worker.report(&Event::Stream(Stream {
            id,
            edge: Edge {
                reporter: Reporter::Destination,
                source: party(self.caller.id(), &self.own.trust_domain),
                destination: Party::Unknown,
                security: Security::Mtls,
            },
            route: None,
            peer: self.from,
            endpoint: None,
            began: self.worker.now().wall,
            took: Duration::ZERO,
            opened: false,
            refused: Some(code),
            sent: 0,
            received: 0,
            counted: leno_telemetry::Bytes::default(),
            logged: None,
            decided: Decided {
                generation: Some(&table.view().generation),
                caller: Some(self.caller.id()),
                ..Decided::default()
            },
        }));
    }

    /// The workload at `address`, if it has the identity that the caller asked for in the
    /// handshake, and this port leads to it: what was proven for one workload opens no other.
    fn workload(&self, address: IpAddr) -> Option<Rc<Workload>> {
        let table = self.worker.table();
        let network = &self.worker.network;
        let workload = table.workload_at(network, address)?;
        let is_led_to = self.only.as_ref().is_none_or(|only| *only == workload.id);
        (is_led_to && workload.identity == self.own).then(|| Rc::new(workload.clone()))
    }
}

/// Whether a stream is a request of an application, and none of bytes. One of CONNECT may be, too: then it says
/// itself to which address it goes.
fn is_request(request: &Request<RecvStream>) -> bool {
    request.method() != Method::CONNECT
        || request.headers().contains_key(LENO_TARGET)
        || request.extensions().get::<Protocol>().is_some()
}

/// A stream that has been asked for and not been granted.
pub(crate) struct Opening {
    answer: SendResponse<Bytes>,
    receive: RecvStream,
    counted: Rc<()>,
    outbox: Outbox,
}

impl Opening {
    /// Opens the stream.
    pub(crate) fn grant(mut self) -> io::Result<TunnelStream> {
        let response = Response::new(());
        let send = self.answer.send_response(response, false);
        let send = send.map_err(super::into_io)?;
        Ok(TunnelStream::new(
            send,
            self.receive,
            self.outbox,
            Within::Theirs(self.counted),
        ))
    }

    /// Does not open it.
    pub(crate) fn refuse(mut self, status: u16, code: Code) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        refuse(&mut self.answer, status, code);
    }
}

fn refuse(answer: &mut SendResponse<Bytes>, status: StatusCode, code: Code) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    let reason = ::http::HeaderValue::try_from(format!("{code} {}", code.slug()));
    let reason = reason.expect("a code and its slug are visible ASCII");
    response.headers_mut().insert(LENO_ERROR, reason);
    // A peer that has gone needs no answer.
    drop(answer.send_response(response, true));
}
