//! One try: a connection to the endpoint, the request over it, the answer back.

use std::time::Duration;

use leno_model::view::HeaderChanges;
use leno_model::{CallId, Mono};
use leno_protocol::{
    BodyReader, ClientCert, Own, RequestChanges, RequestId, TraceContext, write_request,
};
use leno_traffic::{Admitted, Channel, Ended, Failure, Refusal};

use crate::aim::Hop;
use crate::buffer::Buffer;
use crate::connect::connect;
use crate::http::After;
use crate::http::exchange::Exchange;
use crate::http::refuse::Reason;
use crate::http::reply::Reply;
use crate::http::waiting::{Limit, Over, Waiting};
use crate::news::Reader;
use crate::pump::Pump;
use crate::stream::Stream;
use crate::tunnel::LENO_ERROR;

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
}

/// The client's side of an exchange while it is tried.
pub(super) struct Sending<'a> {
    pub(super) client: &'a mut Stream,
    news: &'a mut Reader,
    /// What has come of the request's body.
    here: &'a [u8],
    /// What has come behind it.
    behind: &'a [u8],
    /// What moves the rest of the body, if there is one.
    pub(super) up: Option<Pump>,
    /// When the exchange must be over.
    pub(super) deadline: Option<Limit>,
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

/// What became of one try.
pub(super) enum Tried {
    /// The client has its answer, or as much of it as there was; and what was learned of the endpoint.
    Done(After, Option<Ended>),
    /// An answer came that is to be tried again, at this moment.
    Again(Mono),
    /// The client has heard nothing yet.
    Failed(Failure, Refusal),
    /// The client has heard nothing yet, and another try would not help.
    Hopeless(Reason, Option<Ended>),
}

impl<'a> Sending<'a> {
    /// Of a request of which the first of two parts has come, and the second belongs to what follows
    /// it; `body` has seen the first.
    pub(super) fn new(
        client: &'a mut Stream,
        news: &'a mut Reader,
        (here, behind): (&'a [u8], &'a [u8]),
        body: BodyReader,
    ) -> Self {
        Self {
            client,
            news,
            here,
            behind,
            up: (!body.is_done()).then(|| Pump::body(body)),
            deadline: None,
        }
    }

    /// Whether all of the request came with its head.
    pub(super) fn has_come(&self) -> bool {
        self.up.is_none()
    }

    /// Whether all of the request can be sent again.
    pub(super) fn is_replayable(&self) -> bool {
        self.up.as_ref().is_none_or(Pump::is_replayable)
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
                let late = matches!(refusal, Refusal::ResponseTimeout(_));
                Self::Hopeless(Reason::from(refusal), late.then_some(Ended::Failed))
            }
        }
    }
}

impl Exchange<'_> {
    /// Sends the request over one hop and carries the answer back. `again` says when an answer that
    /// is such a failure is to be tried again.
    pub(super) async fn attempt(
        &mut self,
        attempt: &Attempt<'_>,
        sending: &mut Sending<'_>,
        again: &mut dyn FnMut(Failure, bool) -> Option<Mono>,
    ) -> Tried {
        self.told.tried(attempt);
        let mut waiting = Waiting::new(
            self.worker,
            attempt.admitted,
            sending.client,
            sending.news,
            &mut sending.deadline,
            &mut sending.up,
            self.flow(),
        );
        let (mut server, reused) = match self.connection(attempt, &mut waiting).await {
            Ok(connection) => connection,
            Err(tried) => return tried,
        };
        waiting.try_limit = attempt.answer_limit.map(|span| {
            let end = self.worker.mono() + span;
            Limit::new(self.worker, end, span)
        });
        let mut out = self.worker.buffers.lend();
        let tunnelled = attempt.hop.target.tunnel.is_some();
        let id = tunnelled.then_some(self.id);
        let trace = self.tracing.header();
        let told = Sent {
            id,
            number: attempt.number,
            trace: trace.as_ref(),
        };
        self.write_request(&mut out, &told, &attempt.changes);
        out.extend_from_slice(sending.here);
        if let Some(pump) = waiting.up {
            out.extend_from_slice(pump.copies.held().unwrap_or_default());
            pump.skip();
            waiting.going_up = !pump.is_done();
        }
        if let Some(tried) = send(&mut server, &mut out, attempt, reused, &mut waiting).await {
            return tried;
        }
        let reply = Reply {
            head: self.head,
            attempt,
            reused,
            behind: sending.behind,
        };
        let (tried, carried) = reply.carry(server, &mut waiting, out, again).await;
        let (sent, counted) = (waiting.sent(), waiting.meter.counted());
        self.told.carried(carried, sent, counted);
        tried
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
        match waiting.meanwhile(connecting).await {
            Ok(Ok(server)) => Ok((server, false)),
            Ok(Err(refusal)) if refusal.is_final() => {
                let reason = Reason::from(&refusal);
                Err(Tried::Hopeless(reason, Some(Ended::Answered)))
            }
            Ok(Err(refusal)) => Err(Tried::Failed(Failure::NotSent, refusal)),
            Err(over) => Err(Tried::over(&over)),
        }
    }

    /// Writes the head as it is sent over one hop.
    pub(super) fn write_request(
        &self,
        out: &mut Vec<u8>,
        sent: &Sent<'_>,
        changes: &RequestChanges<'_>,
    ) {
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
        let mut headers = [own("", None); 7];
        let mut length = 0;
        let mut say = |header| {
            headers[length] = header;
            length += 1;
        };
        let told_id = told_id.as_ref().map(|digits| &digits[..]);
        say(own(CallId::HEADER, told_id));
        say(own(ATTEMPT, number));
        say(own(LENO_ERROR, None));
        say(own(ClientCert::HEADER, self.client_cert.map(str::as_bytes)));
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
        let changes = RequestChanges { own, ..*changes };
        write_request(out, request, self.head.body, &changes);
    }
}

/// Sends what has been written of the request; `None` if that went well.
async fn send(
    server: &mut Stream,
    out: &mut Buffer,
    attempt: &Attempt<'_>,
    reused: bool,
    waiting: &mut Waiting<'_>,
) -> Option<Tried> {
    match waiting.meanwhile(server.write_all(out)).await {
        Ok(Ok(())) => {
            out.clear();
            None
        }
        Ok(Err(_)) => {
            let failure = if reused {
                Failure::NotSent
            } else {
                Failure::NoAnswer
            };
            let address = attempt.hop.target.address;
            Some(Tried::Failed(
                failure,
                Refusal::ResetBeforeResponse(address),
            ))
        }
        Err(over) => Some(Tried::over(&over)),
    }
}

/// The header that tells a server how often a request was tried.
const ATTEMPT: &str = "leno-attempt";
