//! A connection of a client that speaks HTTP/2. Each of its streams is an exchange of its own, in a task
//! of its own.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use ::http::Request;
use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use leno_model::Code;
use leno_protocol::{Fields, Form};
use leno_traffic::Refusal;
use tokio::time::timeout;

use crate::buffer::Buffer;
use crate::coalesce::{Outbox, coalesce};
use crate::http::asked::Wish;
use crate::http::client::{Asker, Client};
use crate::http::exchange::Exchange;
use crate::http::head::refuse_head;
use crate::http::http2::head::{block_of, is_grpc, join_cookies, pseudo_of};
use crate::http::http2::wire::Wire;
use crate::http::http2::{CONNECTION_WINDOW, HEAD_BYTES, MOST_STREAMS, STREAM_WINDOW, is_flood};
use crate::http::refuse::Reason as Why;
use crate::http::{After, Connection, HEAD_LIMIT, LINGER, client_cert, in_turn};
use crate::incoming::{Incoming, Opening, serve_opening};
use crate::news::Reader;
use crate::pulse;
use crate::stream::Stream;
use crate::tcp;
use crate::worker::Worker;

/// How many streams a client may have reset before their answer, if these are more than half of all its
/// streams: such a client asks for work and not for answers.
const MOST_BROKEN_OFF: u32 = 200;

/// How many streams may be reset before they were looked at, and how many of ours may be remembered that
/// were reset: what a peer can make a connection hold without a stream that is counted.
const MOST_RESET_UNSEEN: usize = 32;
const MOST_RESET_KEPT: usize = 64;

/// How many streams a peer may make us reset for what it did wrong.
const MOST_RESET_BY_US: usize = 128;

/// Serves requests until the connection ends; some of it has come.
pub(in crate::http) async fn serve(
    worker: &Rc<Worker>,
    stream: Stream,
    incoming: &Incoming,
    client_cert: Option<String>,
    came: Buffer,
) {
    let wire = Wire::new(stream, Some(came));
    let (wire, turns) = coalesce(wire, worker.buffers.clone(), worker.stalled);
    let handshake = manners().handshake(wire);
    let Ok(Ok(mut connection)) = timeout(HEAD_LIMIT, turns.of(handshake)).await else {
        return;
    };
    let peer = Peer::new(worker, incoming.clone(), client_cert, turns.outbox(), false);
    let pings = connection.ping_pong();
    let is_used = || peer.open() > 0;
    let serving = async {
        let mut silent = pin!(pulse::stops(pings, &turns, pulse::SILENCE, is_used));
        let mut news = worker.news.subscribe();
        if worker.is_draining() {
            connection.graceful_shutdown();
        }
        loop {
            tokio::select! {
                request = connection.accept() => match request {
                    Some(Ok((request, answer))) => {
                        peer.take(request, answer, None);
                        if peer.open() == MOST_STREAMS as usize {
                            worker.note_limit(Code::R057);
                        }
                    }
                    Some(Err(error)) if is_flood(&error) => return Some(peer.calmed()),
                    Some(Err(_)) => return None,
                    None => return peer.wants_no_answers().then(|| peer.calmed()),
                },
                limit = &mut silent => return Some(peer.silent(limit)),
                () = news.changed() => if worker.is_draining() {
                    connection.graceful_shutdown();
                },
            }
            if peer.wants_no_answers() {
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
        }
    };
    let ended = turns.of(serving).await;
    let ended = turns.stalled().map(|limit| peer.silent(limit)).or(ended);
    if let Some(refusal) = ended {
        return tcp::tell_refused(worker, incoming, &refusal);
    }
    drop(connection);
    // A client that reads says so, and answers are on their way that were given up to the last byte.
    Box::pin(turns.linger()).await;
}

/// Tells a client for which there is no place why: each stream that it opens meanwhile is answered so.
pub(in crate::http) async fn turn_away(
    worker: &Rc<Worker>,
    stream: Stream,
    incoming: &Incoming,
    refusal: &Refusal,
    came: Option<Buffer>,
) {
    let reason = Why::from(refusal);
    let wire = Wire::new(stream, came);
    let (wire, turns) = coalesce(wire, worker.buffers.clone(), worker.stalled);
    let outbox = turns.outbox();
    let telling = async {
        let Ok(mut connection) = manners().handshake(wire).await else {
            return;
        };
        while let Some(Ok((request, answer))) = connection.accept().await {
            let is_grpc = is_grpc(&request);
            let mut asker = Asker::new(request.into_body(), answer, outbox.clone(), false);
            let client = Client::Http2(&mut asker);
            refuse_head(worker, client, incoming, &reason, is_grpc).await;
            connection.graceful_shutdown();
        }
    };
    // Whoever goes on has had its answer.
    drop(timeout(LINGER, turns.of(telling)).await);
}

/// How a connection is held with a client.
fn manners() -> Builder {
    let mut manners = Builder::new();
    manners
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(HEAD_BYTES)
        .max_send_buffer_size(STREAM_WINDOW as usize)
        .enable_connect_protocol()
        .max_pending_accept_reset_streams(MOST_RESET_UNSEEN)
        .max_concurrent_reset_streams(MOST_RESET_KEPT)
        .max_local_error_reset_streams(Some(MOST_RESET_BY_US));
    manners
}

/// Who is at the other end of a connection, and where its requests go.
pub(crate) struct Peer {
    worker: Rc<Worker>,
    incoming: Incoming,
    /// What our application is told about it.
    client_cert: Option<String>,
    /// Tells when what was given to the connection is written.
    outbox: Outbox,
    /// Whether it is another proxy.
    is_proxy: bool,
    /// How many streams it began, and how many of them it reset before they were over.
    begun: Cell<u32>,
    broken_off: Cell<u32>,
}

impl Peer {
    /// Another proxy, which sends requests as what they are.
    pub(crate) fn proxy(worker: &Rc<Worker>, incoming: Incoming, outbox: Outbox) -> Rc<Self> {
        let client_cert = client_cert(worker, &incoming);
        Self::new(worker, incoming, client_cert, outbox, true)
    }

    fn new(
        worker: &Rc<Worker>,
        incoming: Incoming,
        client_cert: Option<String>,
        outbox: Outbox,
        is_proxy: bool,
    ) -> Rc<Self> {
        Rc::new(Self {
            worker: worker.clone(),
            incoming,
            client_cert,
            outbox,
            is_proxy,
            begun: Cell::new(0),
            broken_off: Cell::new(0),
        })
    }

    /// Answers a stream, in a task of its own; `counted` is dropped when that is over.
    pub(crate) fn take(
        self: &Rc<Self>,
        request: Request<RecvStream>,
        answer: SendResponse<Bytes>,
        counted: Option<Rc<()>>,
    ) {
        let Self {
            worker, incoming, ..
        } = &**self;
        self.begun.set(self.begun.get().saturating_add(1));
        let (head, body) = request.into_parts();
        let mut head = Request::from_parts(head, ());
        join_cookies(head.headers_mut());
        let mut asker = Asker::new(body, answer, self.outbox.clone(), self.is_proxy);
        let peer = self.clone();
        match worker.seat(0) {
            Some(seat) => worker.spawn(seat, incoming.from, async move {
                let mut news = peer.worker.news.subscribe();
                // What an exchange needs is large: it is made where it stays.
                let room = Box::new_uninit();
                let answering = peer.answer(&head, &mut asker, &mut news);
                match Box::into_pin(Box::write(room, answering)).await {
                    After::Stream(wish) => {
                        let asked = wish.of_stream(asker);
                        let (incoming, id) = (asked.incoming().clone(), peer.worker.new_id());
                        let opening = Opening::Asked(asked);
                        let serving = serve_opening(peer.worker.clone(), opening, incoming, id);
                        Box::pin(serving).await;
                    }
                    after => peer.conclude(after, asker).await,
                }
                drop(counted);
            }),
            None => worker.supervise(incoming.from, async move {
                let why = Why::from(&Refusal::TooManyConnections);
                let after = peer.refuse(&head, &mut asker, &why).await;
                peer.conclude(after, asker).await;
            }),
        }
    }

    async fn answer(&self, came: &Request<()>, asker: &mut Asker, news: &mut Reader) -> After {
        let Self {
            worker, incoming, ..
        } = self;
        if worker.buffers.are_spent() && in_turn(worker).await.is_none() {
            let why = Why::from(&Refusal::BuffersFull);
            return self.refuse(came, asker, &why).await;
        }
        let mut fields = Fields::new();
        let read = incoming.head_reader().http2_request(
            &pseudo_of(came),
            block_of(came.headers(), asker.has_come()),
            &mut fields,
        );
        let head = match read {
            Ok(read) => read,
            Err(refused) => return self.refuse(came, asker, &Why::from(&refused)).await,
        };
        let named = incoming.named_by(worker, &head).await;
        if let Some(named) = &named
            && head.form == Form::Authority
        {
            return After::Stream(Wish::of_head(named, &head));
        }
        let connection = Connection {
            worker,
            incoming: named.as_ref().unwrap_or(incoming),
            client_cert: self.client_cert.as_deref(),
        };
        let table = worker.table();
        let exchange = Exchange::new(connection, &table, &head).of_http2(came);
        let (after, _) = exchange.run(Client::Http2(asker), news, &[]).await;
        after
    }

    /// Answers a head that is no request, or for which there is no place.
    async fn refuse(&self, came: &Request<()>, asker: &mut Asker, why: &Why) -> After {
        let is_grpc = is_grpc(came);
        let client = Client::Http2(asker);
        refuse_head(&self.worker, client, &self.incoming, why, is_grpc).await
    }

    /// Ends a stream as its exchange has ended.
    async fn conclude(&self, after: After, mut asker: Asker) {
        let (After::Cut(why) | After::BrokenOff(why)) = after else {
            return;
        };
        if asker.is_reset() {
            self.broken_off.set(self.broken_off.get().saturating_add(1));
        } else if matches!(after, After::BrokenOff(_)) {
            Box::pin(asker.written()).await;
        }
        asker.reset(why);
    }

    /// Why a connection is ended on which too much is reset.
    fn calmed(&self) -> Refusal {
        Refusal::TooManyResets(self.incoming.from.ip())
    }

    /// Why one is ended at whose other end nobody lives.
    fn silent(&self, limit: Duration) -> Refusal {
        Refusal::PeerSilent(self.incoming.from.ip(), limit)
    }

    /// How many streams are being answered.
    fn open(self: &Rc<Self>) -> usize {
        Rc::strong_count(self) - 1
    }

    fn wants_no_answers(&self) -> bool {
        let broken_off = self.broken_off.get();
        broken_off > MOST_BROKEN_OFF && broken_off > self.begun.get() / 2
    }
}
