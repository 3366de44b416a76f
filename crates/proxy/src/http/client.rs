//! Who asks: the client's side of an exchange, which is a connection of HTTP/1 or one stream of a
//! connection of HTTP/2.

use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use leno_protocol::{BodyFraming, ResponseChanges, give_response, write_response};

use crate::buffer::Buffer;
use crate::coalesce::Outbox;
use crate::http::Why;
use crate::http::http2::head::{Fields, response_of};
use crate::http::relay::{Sink, Spring};
use crate::patience::written_within;
use crate::stream::{Cut, Sign, Stream};
use crate::tunnel::TunnelStream;
use crate::worker::Worker;

/// What lets a client of HTTP/1 send the body that it waits with.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The client's side of an exchange.
pub(super) enum Client<'a> {
    /// A connection of HTTP/1.
    Http1(&'a mut Stream),
    /// One stream of a connection of HTTP/2.
    Http2(&'a mut Asker),
}

/// One request of a client that speaks HTTP/2, and the way back.
pub(super) struct Asker {
    answer: SendResponse<Bytes>,
    body: RecvStream,
    /// The body of the answer, once its head was sent.
    down: Option<SendStream<Bytes>>,
    /// Tells when what was given to the connection is written.
    outbox: Outbox,
    /// Whether another proxy asks.
    is_proxy: bool,
}

/// The head of an answer, written down and not sent.
pub(super) enum Written {
    /// Behind what the buffer holds.
    Http1(Buffer),
    /// As fields; `None` where nothing was written, or just what came.
    Http2(Option<Response<()>>),
}

impl Client<'_> {
    /// The same, for a while.
    pub(super) fn lend(&mut self) -> Client<'_> {
        match self {
            Self::Http1(stream) => Client::Http1(stream),
            Self::Http2(asker) => Client::Http2(asker),
        }
    }

    /// Whether its connection may live on behind an answer. One of HTTP/2 learns otherwise by itself.
    pub(super) fn is_kept(&self, worker: &Worker) -> bool {
        match self {
            Self::Http1(stream) => worker.keeps(stream),
            Self::Http2(_) => true,
        }
    }

    /// Where an answer is written down; `out` is empty.
    pub(super) fn paper(&self, out: Buffer) -> Written {
        match self {
            Self::Http1(_) => Written::Http1(out),
            Self::Http2(_) => Written::Http2(None),
        }
    }

    /// Sends a head, which must be taken within `limit`; `ended` says that no body follows.
    pub(super) async fn send(
        &mut self,
        written: &mut Written,
        ended: bool,
        limit: Duration,
    ) -> io::Result<()> {
        match (self, written) {
            (Self::Http1(stream), Written::Http1(out)) => {
                let written = written_within(limit, stream.write_all(out)).await;
                written.ok_or(io::ErrorKind::TimedOut)??;
                out.clear();
                Ok(())
            }
            (Self::Http2(asker), Written::Http2(head)) => match head.take() {
                Some(head) => asker.send(head, ended),
                None => Ok(()),
            },
            (Self::Http1(_), Written::Http2(_)) | (Self::Http2(_), Written::Http1(_)) => {
                unreachable!("what is written down is written for its client")
            }
        }
    }

    /// Says that the body which it waits with is wanted.
    pub(super) async fn bid_continue(&mut self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Http1(stream) => {
                let written = written_within(limit, stream.write_all(CONTINUE)).await;
                written.ok_or(io::ErrorKind::TimedOut)?
            }
            Self::Http2(asker) => {
                let mut head = Response::new(());
                *head.status_mut() = StatusCode::CONTINUE;
                asker.send(head, false)
            }
        }
    }

    /// Sends an answer of our own, with all of its body, which must be taken within `limit`.
    pub(super) async fn send_own(
        &mut self,
        mut written: Written,
        body: &[u8],
        limit: Duration,
    ) -> io::Result<()> {
        if let Written::Http1(out) = &mut written {
            out.extend_from_slice(body);
        }
        self.send(&mut written, body.is_empty(), limit).await?;
        match self {
            Self::Http2(asker) if !body.is_empty() => asker.finish(Bytes::copy_from_slice(body)),
            Self::Http1(_) | Self::Http2(_) => Ok(()),
        }
    }

    /// Where its request's body comes from.
    pub(super) fn spring(&mut self) -> Spring<'_> {
        match self {
            Self::Http1(stream) => Spring::Http1(stream),
            Self::Http2(asker) => Spring::Http2(&mut asker.body),
        }
    }

    /// Where the body of the answer goes, once its head was sent.
    pub(super) fn sink(&mut self) -> Option<Sink<'_>> {
        match self {
            Self::Http1(stream) => Some(Sink::Http1(stream)),
            Self::Http2(asker) => asker.down.as_mut().map(Sink::Http2),
        }
    }

    /// What is believed of how it broke off.
    pub(super) fn believed(&self, cut: Cut) -> Cut {
        match self {
            Self::Http1(_) => cut,
            Self::Http2(asker) => cut.said_by(asker.is_proxy),
        }
    }

    /// Ready when it breaks off, or shows in another way that it may be gone.
    pub(super) fn poll_sign(&mut self, context: &mut Context<'_>) -> Poll<Sign> {
        match self {
            Self::Http1(stream) => stream.poll_sign(context),
            Self::Http2(asker) => asker.poll_reset(context).map(Sign::Broken),
        }
    }
}

impl Written {
    /// Writes a head for its client; `came` are the fields of what was answered in HTTP/2. What is to be passed
    /// on just as it came there is left to [`Self::pass_on`].
    pub(super) fn write(
        &mut self,
        response: &leno_protocol::Response<'_>,
        came: Option<&HeaderMap>,
        body: BodyFraming,
        changes: &ResponseChanges<'_>,
    ) {
        match self {
            Self::Http1(out) => write_response(out, response, body, changes),
            Self::Http2(head) => {
                let mut fields = Fields::sharing(came, changes.own);
                give_response(&mut fields, response, body, changes);
                let fields = fields.changed();
                *head = fields.map(|fields| response_of(response.status, fields));
            }
        }
    }

    /// Takes the head that came in HTTP/2, if it is passed on just so.
    pub(super) fn pass_on(&mut self, came: Response<()>) {
        if let Self::Http2(head) = self {
            head.get_or_insert(came);
        }
    }
}

impl Asker {
    /// The one who sent a request, and is answered so.
    pub(super) fn new(
        body: RecvStream,
        answer: SendResponse<Bytes>,
        outbox: Outbox,
        is_proxy: bool,
    ) -> Self {
        Self {
            answer,
            body,
            down: None,
            outbox,
            is_proxy,
        }
    }

    fn send(&mut self, head: Response<()>, ended: bool) -> io::Result<()> {
        if head.status().is_informational() {
            return self
                .answer
                .send_informational(head)
                .map_err(io::Error::other);
        }
        let down = self.answer.send_response(head, ended);
        self.down = Some(down.map_err(io::Error::other)?);
        Ok(())
    }

    fn finish(&mut self, body: Bytes) -> io::Result<()> {
        match &mut self.down {
            Some(down) => down.send_data(body, true).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    /// Grants it the stream of bytes that it has asked for.
    pub(super) fn grant(mut self) -> io::Result<TunnelStream> {
        let down = self.answer.send_response(Response::new(()), false);
        let down = down.map_err(io::Error::other)?;
        Ok(TunnelStream::of_application(down, self.body, self.outbox))
    }

    /// Ready when it breaks the stream off.
    fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<Cut> {
        let polled = match &mut self.down {
            Some(down) => down.poll_reset(context),
            None => self.answer.poll_reset(context),
        };
        polled.map(|reset| match reset {
            Ok(reason) => Cut::of_reason(reason),
            Err(error) => Cut::of_http2(&error),
        })
    }

    /// Waits until all that it was sent is written, unless it has cut the stream itself: a reset takes along what waits
    /// still.
    pub(super) async fn written(&mut self) {
        if self.down.is_some() {
            let outbox = self.outbox.clone();
            outbox
                .emptied(|context| self.poll_reset(context).is_ready())
                .await;
        }
    }

    /// Cuts the stream, for this reason.
    pub(super) fn reset(&mut self, why: Why) {
        self.answer.send_reset(why.reason(self.is_proxy));
    }

    /// Whether the client has reset the stream.
    pub(super) fn is_reset(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.poll_reset(&mut context).is_ready()
    }

    /// Whether all of the request has come with its head.
    pub(super) fn has_come(&self) -> bool {
        self.body.is_end_stream()
    }
}
