//! One try: a connection to the endpoint, the request over it, the answer back.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::time::Duration;

use ::http::Request;
use leno_model::view::HeaderChanges;
use leno_model::{CallId, Mono};
use leno_protocol::{
    BodyFraming, BodyReader, ClientCert, Flaw, Own, Refused, RequestChanges, RequestHead,
    RequestId, TakeField, TraceContext, give_request, websocket, write_request,
};
use leno_traffic::{Admitted, Channel, Ended, Failure, Refusal};

use crate::aim::Hop;
use crate::buffer::Buffer;
use crate::connect::connect;
use crate::http::After;
use crate::http::body::Body;
use crate::http::client::Client;
use crate::http::exchange::Exchange;
use crate::http::http2::head::request_of;
use crate::http::http2::shared::Connection;
use crate::http::refuse::Reason;
use crate::http::relay::Relay;
use crate::http::reply::Reply;
use crate::http::server::Server;
use crate::http::switch::{Switch, made_key, may_ask};
use crate::http::waiting::{Limit, Over, Waiting};
use crate::news::Reader;
use crate::patience::written_within;
use crate::pump::{Pump, Stopped};
use crate::stream::{Stream, Taken};
use crate::tunnel::{LENO_ERROR, LENO_TARGET};
use crate::worker::Worker;

/// One try: over which hop, and what changes on it.
pub(super) struct Attempt<'a> {
    pub(super) hop: Hop<'a>,
    /// How long a connection may take.
    pub(super) connect_limit: Duration,
    /// How long all else may take, to the last byte of the answer; `None` is no limit.
    pub(super) answer_limit: Option<Duration>,
    /// Counted from 1.
    pub(super) number: u8,
    pub(super) admitted: &'a Admitted<'a>,
    /// What changes in the request.
    pub(super) changes: RequestChanges<'a>,
    /// What changes in the answer's headers.
    pub(super) response_headers: &'a [&'a HeaderChanges],
    /// Whether the server is spoken to in HTTP/2.
    pub(super) in_http2: bool,
}

/// The client's side of an exchange while it is tried.
pub(super) struct Sending<'a> {
    pub(super) client: Client<'a>,
    news: &'a mut Reader,
    /// What has come of the request's body.
    here: &'a [u8],
    /// What has come behind it.
    behind: &'a [u8],
    /// How the body is framed, and what says where it ends.
    framing: BodyFraming,
    reader: BodyReader,
    /// What moves the rest of the body, if there is one.
    pub(super) up: Option<Body>,
    /// When the exchange must be over.
    pub(super) deadline: Option<Limit>,
    /// Whether some of the body was read before the request goes on.
    ahead: bool,
}

/// What the mesh says of a request that it sends.
pub(super) struct Sent<'a> {
    /// Its name, if a proxy takes it.
    pub(super) id: Option<CallId>,
    /// Which try it is.
    pub(super) number: u8,
    /// Where it stands in a trace, if it is told there.
    pub(super) trace: Option<&'a [u8; 55]>,
}

/// Over what a request was sent.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// Whether the connection had been used before.
    pub(super) reused: bool,
    /// How many bytes of HTTP/1 it began with: the head, and what had come of the body.
    pub(super) begun_with: usize,
}

/// What became of one try.
pub(super) enum Tried {
    /// The client has its answer, or as much of it as there was; and what was learned of the endpoint.
    Done(After, Option<Ended>),
    /// An answer came that is to be tried again, at this moment.
    Again(Mono),
    /// The server was leaving and did not look at the request, which another connection to it takes.
    Left,
    /// The client has heard nothing yet.
    Failed(Failure, Refusal),
    /// The client has heard nothing yet, and another try would not help.
    Hopeless(Reason, Option<Ended>),
}

impl<'a> Sending<'a> {
    /// Of a request of which the first of two parts has come, and the second belongs to what follows
    /// it; `body` has seen the first.
    pub(super) fn new(
        client: Client<'a>,
        news: &'a mut Reader,
        (here, behind): (&'a [u8], &'a [u8]),
        framing: BodyFraming,
        reader: BodyReader,
    ) -> Self {
        let up = match &client {
            _ if reader.is_done() => None,
            Client::Http1(_) => Some(Body::Bytes(Pump::body(reader.clone()))),
            Client::Http2(_) => {
                let relay = Relay::from_http2(framing).strict();
                Some(Body::Content(Box::new(relay)))
            }
        };
        Self {
            client,
            news,
            here,
            behind,
            framing,
            reader,
            up,
            deadline: None,
            ahead: false,
        }
    }

    /// Sends the body, to one place, as this version of HTTP has it.
    pub(super) fn speak(&mut self, in_http2: bool, worker: &Worker) {
        if !in_http2 || self.ahead {
            return;
        }
        self.go_in_http2();
        if let Some(up) = &mut self.up {
            up.copies().hold(&worker.space);
        }
    }

    /// Reads some of the body before the request goes on: until what was read behind what came with its head
    /// is enough. How it is sent is settled before.
    pub(super) async fn read_ahead(
        &mut self,
        worker: &Worker,
        mut is_enough: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Stopped> {
        let Some(up) = &mut self.up else {
            return Ok(());
        };
        if !mem::replace(&mut self.ahead, true) {
            up.copies().hold_ahead(&worker.space);
        }
        let (client, buffers) = (&mut self.client, &worker.buffers);
        poll_fn(|context| up.poll_ahead(context, client.spring(), buffers, &mut is_enough)).await
    }

    /// Whether some of the body was read so.
    pub(super) fn is_ahead(&self) -> bool {
        self.ahead
    }

    /// What was read of the body behind what came with the head; `None` if that could not be held.
    pub(super) fn held(&mut self) -> Option<&[u8]> {
        match &mut self.up {
            Some(up) => up.copies().held(),
            None => Some(&[]),
        }
    }

    /// Sends the body to servers that speak HTTP/2. Nothing of it has been read that did not come with
    /// the head.
    pub(super) fn go_in_http2(&mut self) {
        if let Client::Http1(_) = self.client
            && self.framing != BodyFraming::None
        {
            let relay = Relay::from_http1(self.framing, self.reader.clone());
            self.up = Some(Body::Content(Box::new(relay)));
        }
    }

    /// Whether all of the request came with its head.
    pub(super) fn has_come(&self) -> bool {
        self.up.as_ref().is_none_or(Body::has_come)
    }

    /// Whether all of the request can be sent again.
    pub(super) fn is_replayable(&self) -> bool {
        self.up.as_ref().is_none_or(Body::is_replayable)
    }

    /// What has come of the body with its head.
    pub(super) fn here(&self) -> &'a [u8] {
        self.here
    }
}

impl Tried {
    /// Nothing more is waited for.
    pub(super) fn over(over: &Over) -> Self {
        match over {
            Over::Try(limit) => Self::Failed(Failure::Late, Refusal::TryTimeout(*limit)),
            Over::All(refusal) => {
                let late = matches!(
                    refusal,
                    Refusal::ResponseTimeout(_) | Refusal::ServerStalled(_)
                );
                Self::Hopeless(Reason::from(refusal), late.then_some(Ended::Failed))
            }
        }
    }
}

impl Exchange<'_> {
    /// Sends the request over one hop and carries the answer back. `again` says when an answer that
    /// is such a failure is to be tried again. A server that leaves in good order loses no request: one
    /// that it did not look at is no try.
    pub(super) async fn attempt(
        &mut self,
        attempt: &Attempt<'_>,
        sending: &mut Sending<'_>,
        again: &mut dyn FnMut(Failure, bool) -> Option<Mono>,
    ) -> Tried {
        self.told.tried(attempt);
        for _ in 0..MOST_LEFT {
            match self.attempt_once(attempt, sending, again).await {
                Tried::Left if sending.is_replayable() => {}
                Tried::Left => break,
                tried => return tried,
            }
        }
        let address = attempt.hop.target.address;
        Tried::Failed(Failure::NotSent, Refusal::ResetBeforeResponse(address))
    }

    async fn attempt_once(
        &mut self,
        attempt: &Attempt<'_>,
        sending: &mut Sending<'_>,
        again: &mut dyn FnMut(Failure, bool) -> Option<Mono>,
    ) -> Tried {
        let report = self.is_told_by();
        let mut waiting = Waiting::new(
            self.worker,
            attempt.admitted,
            sending.client.lend(),
            sending.news,
            &mut sending.deadline,
            &mut sending.up,
            self.flow(),
        );
        let called = match attempt.in_http2 {
            false => self.call(attempt, sending.here, &mut waiting).await,
            true => self.call_http2(attempt, sending.here, &mut waiting).await,
        };
        let (server, way, out) = match called {
            Ok(called) => called,
            Err(tried) => return tried,
        };
        let reply = Reply {
            head: self.head,
            switch: Switch::of(self.head, self.id),
            attempt,
            way,
            behind: sending.behind,
            report,
        };
        let (tried, carried) = reply.carry(server, &mut waiting, out, again).await;
        let (sent, counted) = (waiting.sent(), waiting.meter.counted());
        self.told.carried(carried, sent, counted);
        tried
    }

    /// Sends the request over a connection of HTTP/1.
    async fn call(
        &self,
        attempt: &Attempt<'_>,
        here: &[u8],
        waiting: &mut Waiting<'_>,
    ) -> Result<(Server, Way, Buffer), Tried> {
        let (mut server, reused) = self.connection(attempt, waiting).await?;
        self.limit(attempt, waiting);
        let mut out = self.worker.buffers.lend();
        let trace = self.tracing.header();
        let told = self.sent(attempt, trace.as_ref());
        self.write_request(&mut out, &told, &attempt.changes);
        match waiting.up {
            Some(up) => {
                up.begin(here, &mut out);
                waiting.going_up = !up.is_done();
            }
            None => out.extend_from_slice(here),
        }
        let way = Way {
            reused,
            begun_with: out.len(),
        };
        let limit = self.worker.stalled;
        match waiting
            .meanwhile(written_within(limit, send(&mut server, &out)))
            .await
        {
            Ok(Some(Ok(()))) => out.clear(),
            Ok(None) => return Err(Tried::over(&Refusal::ServerStalled(limit).into())),
            Ok(Some(Err(taken))) => {
                let failure = unanswered(self.head, reused, taken);
                let address = attempt.hop.target.address;
                let refusal = Refusal::ResetBeforeResponse(address);
                return Err(Tried::Failed(failure, refusal));
            }
            Err(over) => return Err(Tried::over(&over)),
        }
        Ok((Server::Http1(server), way, out))
    }

    /// Sends the request over a connection of HTTP/2, which it shares with others.
    async fn call_http2(
        &self,
        attempt: &Attempt<'_>,
        here: &[u8],
        waiting: &mut Waiting<'_>,
    ) -> Result<(Server, Way, Buffer), Tried> {
        let (connection, reused) = self.shared(attempt, waiting).await?;
        if self.head.upgrade {
            may_ask(self.head, attempt, &connection, waiting).await?;
        }
        self.limit(attempt, waiting);
        let trace = self.tracing.header();
        let told = self.sent(attempt, trace.as_ref());
        let head = self.request_in_http2(&told, &attempt.changes);
        let Some(head) = head else {
            let reason = Reason::from(&Refused::request(Flaw::TargetForm));
            return Err(Tried::Hopeless(reason, None));
        };
        let ended = waiting.up.is_none() && !self.head.asks_for_stream();
        let sent = connection.send(head, ended);
        // The connection has ended, or takes no more.
        let called = sent.map_err(|_ended| Tried::Left)?;
        let mut out = self.worker.buffers.lend();
        if let Some(up) = waiting.up {
            up.begin(here, &mut out);
            waiting.going_up = true;
        }
        let way = Way {
            reused,
            begun_with: 0,
        };
        Ok((Server::Http2(called), way, out))
    }

    /// Begins to count the time of a try.
    fn limit(&self, attempt: &Attempt<'_>, waiting: &mut Waiting<'_>) {
        waiting.try_limit = attempt.answer_limit.map(|span| {
            let end = self.worker.mono() + span;
            Limit::new(self.worker, end, span)
        });
    }

    fn sent<'t>(&self, attempt: &Attempt<'_>, trace: Option<&'t [u8; 55]>) -> Sent<'t> {
        let tunnelled = attempt.hop.target.tunnel.is_some();
        Sent {
            id: tunnelled.then_some(self.id),
            number: attempt.number,
            trace,
        }
    }

    /// A connection that is shared, and whether it was open before.
    async fn shared(
        &self,
        attempt: &Attempt<'_>,
        waiting: &mut Waiting<'_>,
    ) -> Result<(Connection, bool), Tried> {
        let target = &attempt.hop.target;
        if let Some(open) = self.worker.shared.open_to(target, self.worker.mono()) {
            return Ok((open, true));
        }
        let (id, limit) = (self.id, attempt.connect_limit);
        let connecting = self.worker.shared.connect(target, id, limit, self.worker);
        let connected = waiting.meanwhile(Box::pin(connecting)).await;
        Ok((opened(connected)?, false))
    }

    /// A connection to the endpoint, and whether it had been used before.
    async fn connection(
        &self,
        attempt: &Attempt<'_>,
        waiting: &mut Waiting<'_>,
    ) -> Result<(Stream, bool), Tried> {
        let target = &attempt.hop.target;
        if let Some(server) = self.worker.pool.take(target, self.worker.mono()) {
            return Ok((server, true));
        }
        // Large, and of no use to a request that finds a connection.
        let connecting = Box::pin(connect(self.worker, target, self.id, attempt.connect_limit));
        let connected = waiting.meanwhile(connecting).await;
        Ok((opened(connected)?, false))
    }

    /// Writes the head as it is sent over one hop.
    pub(super) fn write_request(
        &self,
        out: &mut Vec<u8>,
        sent: &Sent<'_>,
        changes: &RequestChanges<'_>,
    ) {
        let head = self.head;
        self.with_own(sent, changes, |changes| {
            write_request(out, &head.request, head.body, changes);
        });
    }

    /// Gives the fields that it is sent with over one hop.
    pub(super) fn give_request(
        &self,
        out: &mut impl TakeField,
        sent: &Sent<'_>,
        changes: &RequestChanges<'_>,
    ) {
        let head = self.head;
        self.with_own(sent, changes, |changes| {
            give_request(out, &head.request, head.body, changes);
        });
    }

    /// The head as it is sent in HTTP/2 over one hop; `None` if it cannot be said there.
    pub(super) fn request_in_http2(
        &self,
        sent: &Sent<'_>,
        changes: &RequestChanges<'_>,
    ) -> Option<Request<()>> {
        let (head, came) = (self.head, self.came);
        self.with_own(sent, changes, |changes| request_of(head, came, changes))
    }

    /// Runs `write` with the mesh's own headers beside other changes.
    fn with_own<T>(
        &self,
        sent: &Sent<'_>,
        changes: &RequestChanges<'_>,
        write: impl FnOnce(&RequestChanges<'_>) -> T,
    ) -> T {
        let request = &self.head.request;
        let digits = self.id.digits();
        let told_id = sent.id.map(CallId::digits);
        let number_digit = [b'0' + sent.number.min(9)];
        let number = match self.incoming.peer.channel {
            // The caller's proxy counts.
            Channel::Mtls(_) => request.header(ATTEMPT).next(),
            Channel::Local(_) | Channel::Plain(_) => (sent.number > 1).then_some(&number_digit[..]),
        };
        let own = |name, value| Own { name, value };
        let mut headers = [own("", None); 9];
        let mut length = 0;
        let mut say = |header| {
            headers[length] = header;
            length += 1;
        };
        let told_id = told_id.as_ref().map(|digits| &digits[..]);
        say(own(CallId::HEADER, told_id));
        say(own(ATTEMPT, number));
        say(own(LENO_ERROR, None));
        say(own(LENO_TARGET, None));
        say(own(ClientCert::HEADER, self.client_cert.map(str::as_bytes)));
        let key = made_key(self.head, self.id);
        if let Some(key) = &key {
            say(own(websocket::KEY, Some(key)));
        }
        // The id that the caller gave is kept if the caller is of the mesh.
        let proven = !matches!(self.incoming.peer.channel, Channel::Plain(_));
        if !proven || RequestId::of(request).is_none() {
            say(own(RequestId::HEADER, Some(&digits[..])));
        }
        if let Some(trace) = sent.trace {
            say(own(TraceContext::HEADER, Some(&trace[..])));
            //= W3C Trace Context section 3.3: "If the vendor failed to parse `traceparent`, it MUST NOT
            //= attempt to parse `tracestate`."
            if TraceContext::state_of(request).is_none() {
                say(own(TraceContext::STATE_HEADER, None));
            }
        }
        let own = &headers[..length];
        write(&RequestChanges { own, ..*changes })
    }
}

/// What came of an attempt to connect.
fn opened<T>(connected: Result<Result<T, Refusal>, Over>) -> Result<T, Tried> {
    match connected {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(refusal)) if refusal.is_final() => {
            let reason = Reason::from(&refusal);
            Err(Tried::Hopeless(reason, Some(Ended::Answered)))
        }
        Ok(Err(refusal)) => Err(Tried::Failed(Failure::NotSent, refusal)),
        Err(over) => Err(Tried::over(&over)),
    }
}

/// Sends what has been written of a request; fails with what the server has taken of it.
async fn send(server: &mut Stream, out: &[u8]) -> Result<(), Taken> {
    let mut sent = 0;
    while let Some(rest) = out.get(sent..).filter(|rest| !rest.is_empty()) {
        match poll_fn(|context| server.poll_write(context, rest)).await {
            Ok(count) => sent += count,
            Err(_) if sent == 0 => return Err(Taken::Nothing),
            // The pipe is broken where the server had ended it before.
            Err(error) => {
                let ended = error.kind() == io::ErrorKind::BrokenPipe;
                return Err(server.taken(sent, ended));
            }
        }
    }
    Ok(())
}

/// What a try has come to if its connection ended before an answer.
pub(super) fn unanswered(head: &RequestHead<'_>, reused: bool, taken: Taken) -> Failure {
    //= RFC 9110 section 9.2.1: "Request methods are considered \"safe\" if their defined semantics are
    //= essentially read-only; i.e., the client does not request, and does not expect, any state change"
    let safe = matches!(head.request.method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
    match taken {
        Taken::Nothing => Failure::NotSent,
        // A server closes an idle connection whenever it likes, which is the likelier thing.
        Taken::Unknown if reused && safe => Failure::NotSent,
        Taken::Unknown | Taken::Something => Failure::NoAnswer,
    }
}

/// How many connections to one server may end before a request that they did not take.
const MOST_LEFT: usize = 5;

/// The header that tells a server how often a request was tried.
const ATTEMPT: &str = "leno-attempt";
