//! One try: a connection to the endpoint, the request over it, the answer back.

use std::pin::Pin;
use std::time::Duration;

use leno_model::view::HeaderChanges;
use leno_model::{CallId, Mono};
use leno_protocol::{
    BodyReader, ClientCert, NewPath, Own, RequestChanges, RequestId, write_request,
};
use leno_traffic::{Admitted, Channel, Ended, Failure, Refusal};
use tokio::time::Sleep;

use crate::aim::Hop;
use crate::buffer::Buffer;
use crate::connect::connect;
use crate::http::After;
use crate::http::exchange::Exchange;
use crate::http::refuse::Reason;
use crate::http::reply::Reply;
use crate::http::waiting::Waiting;
use crate::news::Reader;
use crate::pump::Pump;
use crate::stream::Stream;
use crate::tunnel::LENO_ERROR;

/// One try: over which hop, and what changes on it.
pub(super) struct Attempt<'a> {
    pub(super) hop: Hop<'a>,
    /// How long a connection may take.
    pub(super) limit: Duration,
    /// Counted from 1.
    pub(super) number: u8,
    pub(super) admitted: &'a Admitted<'a>,
    pub(super) host: Option<&'a str>,
    pub(super) path: Option<NewPath<'a>>,
    pub(super) request_headers: &'a [&'a HeaderChanges],
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
    /// Where the body stands behind `here`.
    body: BodyReader,
    /// Whether more of the body than `here` was sent on: it cannot be sent again.
    streamed: bool,
    /// When the exchange must be over, and how long that was in all.
    pub(super) deadline: Option<(Pin<Box<Sleep>>, Duration)>,
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
            body,
            streamed: false,
            deadline: None,
        }
    }

    /// Whether all of the request has come, and nothing of it was consumed elsewhere.
    pub(super) fn has_come(&self) -> bool {
        self.body.is_done() && !self.streamed
    }

    /// Whether all of the request can be sent again.
    pub(super) fn is_replayable(&self) -> bool {
        !self.streamed
    }
}

impl Tried {
    /// It is too late for an answer, or no longer permitted.
    pub(super) fn given_up(refusal: &Refusal) -> Self {
        let late = matches!(refusal, Refusal::ResponseTimeout(_));
        Self::Hopeless(Reason::from(refusal), late.then_some(Ended::Failed))
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
            self.flow(),
        );
        waiting.watching = sending.behind.is_empty();
        let (mut server, reused) = match self.connection(attempt, &mut waiting).await {
            Ok(connection) => connection,
            Err(tried) => return tried,
        };
        let mut out = self.worker.buffers.lend();
        self.write_request(&mut out, attempt);
        out.extend_from_slice(sending.here);
        if let Some(tried) = send(&mut server, &mut out, attempt, reused, &mut waiting).await {
            return tried;
        }
        if !sending.body.is_done() {
            waiting.up = Some(Pump::body(sending.body.clone()));
            sending.streamed = true;
        }
        let replayable = !sending.streamed;
        let reply = Reply {
            head: self.head,
            attempt,
            reused,
            behind: sending.behind,
        };
        let again = &mut |failure| again(failure, replayable);
        let (tried, carried) = reply.carry(server, &mut waiting, out, again).await;
        let (sent, counted) = (waiting.sent(), waiting.meter.counted());
        self.told.carried(&carried, sent, counted);
        tried
    }

    /// A connection to the endpoint, and whether it had been used before.
    async fn connection(
        &self,
        attempt: &Attempt<'_>,
        waiting: &mut Waiting<'_>,
    ) -> Result<(Stream, bool), Tried> {
        let target = &attempt.hop.target;
        if let Some(server) = self.worker.pool.take(target) {
            return Ok((server, true));
        }
        // Large, and of no use to a request that finds a connection.
        let connecting = Box::pin(connect(self.worker, target, self.id, attempt.limit));
        match waiting.meanwhile(connecting).await {
            Ok(Ok(server)) => Ok((server, false)),
            Ok(Err(refusal)) if refusal.is_final() => {
                let reason = Reason::from(&refusal);
                Err(Tried::Hopeless(reason, Some(Ended::Answered)))
            }
            Ok(Err(refusal)) => Err(Tried::Failed(Failure::NotSent, refusal)),
            Err(refusal) => Err(Tried::given_up(&refusal)),
        }
    }

    /// Writes the head as it is sent over one hop.
    fn write_request(&self, out: &mut Vec<u8>, attempt: &Attempt<'_>) {
        let request = &self.head.request;
        let digits = self.id.digits();
        let tunnelled = attempt.hop.target.tunnel.is_some();
        let number = [b'0' + attempt.number.min(9)];
        let number = match self.incoming.peer.channel {
            // The caller's proxy counts.
            Channel::Mtls(_) => request.header(ATTEMPT).next(),
            Channel::Local(_) | Channel::Plain(_) => (attempt.number > 1).then_some(&number[..]),
        };
        // The id that the caller gave is kept if the caller is of the mesh.
        let proven = !matches!(self.incoming.peer.channel, Channel::Plain(_));
        let kept = proven && RequestId::of(request).is_some();
        let own = |name, value| Own { name, value };
        let headers = [
            own(CallId::HEADER, tunnelled.then_some(&digits[..])),
            own(ATTEMPT, number),
            own(LENO_ERROR, None),
            own(ClientCert::HEADER, self.client_cert.map(str::as_bytes)),
            own(RequestId::HEADER, Some(&digits[..])),
        ];
        let own = headers.get(..if kept { 4 } else { 5 }).unwrap_or(&headers);
        let changes = RequestChanges {
            host: attempt.host,
            path: attempt.path,
            headers: attempt.request_headers,
            own,
        };
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
        Err(refusal) => Some(Tried::given_up(&refusal)),
    }
}

/// The header that tells a server how often a request was tried.
const ATTEMPT: &str = "leno-attempt";
