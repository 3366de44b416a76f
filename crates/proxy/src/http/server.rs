//! Who is asked: the server's side of one try, which is a connection of HTTP/1 or one stream of a
//! connection of HTTP/2.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ::http::Response;
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};

use crate::groups::Opened;
use crate::http::Why;
use crate::http::relay::{Sink, Spring};
use crate::stream::{Cut, Stream};

/// The server's side of one try.
pub(super) enum Server {
    /// A connection of HTTP/1.
    Http1(Stream),
    /// One stream of a connection of HTTP/2.
    Http2(Called),
}

/// A request that was sent to a server that speaks HTTP/2, and the way back.
pub(super) struct Called {
    up: SendStream<Bytes>,
    answer: ResponseFuture,
    /// Interim answers that have come and were not asked for. Where they wait otherwise, nothing bounds
    /// them.
    early: VecDeque<Response<()>>,
    /// The body of the answer, once its head has come.
    down: Option<RecvStream>,
    /// Whether another proxy answers.
    is_proxy: bool,
    /// The connection counts its streams.
    _counted: Rc<()>,
}

impl Server {
    /// Where the body of its answer comes from; an answer of HTTP/2 has begun.
    pub(super) fn spring(&mut self) -> Option<Spring<'_>> {
        match self {
            Self::Http1(stream) => Some(Spring::Http1(stream)),
            Self::Http2(called) => called.down().map(Spring::Http2),
        }
    }

    /// Where the request's body goes.
    pub(super) fn sink(&mut self) -> Sink<'_> {
        match self {
            Self::Http1(stream) => Sink::Http1(stream),
            Self::Http2(called) => Sink::Http2(called.up()),
        }
    }

    /// What is believed of how it broke.
    pub(super) fn believed(&self, cut: Cut) -> Cut {
        match self {
            Self::Http1(_) => cut,
            Self::Http2(called) => called.believed(cut),
        }
    }

    /// Cuts it off, for this reason.
    pub(super) fn reset(self, why: Why) {
        match self {
            Self::Http1(stream) => stream.reset(why.code()),
            Self::Http2(mut called) => called.up.send_reset(why.reason(called.is_proxy)),
        }
    }
}

impl Called {
    /// A request on its way; its body goes by `up`.
    pub(super) fn new((answer, up): Opened, is_proxy: bool, counted: Rc<()>) -> Self {
        Self {
            up,
            answer,
            early: VecDeque::new(),
            down: None,
            is_proxy,
            _counted: counted,
        }
    }

    /// What is believed of how it broke.
    pub(super) fn believed(&self, cut: Cut) -> Cut {
        cut.said_by(self.is_proxy)
    }

    /// Where the request's body goes.
    pub(super) fn up(&mut self) -> &mut SendStream<Bytes> {
        &mut self.up
    }

    /// Sends nothing more of a body for which there was no room before the end of its answer: nobody would
    /// find out whether there ever is.
    pub(super) fn give_up_body(&mut self) {
        self.up.send_reset(Reason::CANCEL);
    }

    /// The body of the answer, once that has begun.
    pub(super) fn down(&mut self) -> Option<&mut RecvStream> {
        self.down.as_mut()
    }

    /// Ready with the next head: of an interim answer, or of the one that counts.
    pub(super) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response<()>, h2::Error>> {
        if let Some(early) = self.early.pop_front() {
            return Poll::Ready(Ok(early));
        }
        if let Some(interim) = ready!(self.answer.poll_informational(context)) {
            return Poll::Ready(interim);
        }
        let answer = ready!(Pin::new(&mut self.answer).poll(context))?;
        let (head, down) = answer.into_parts();
        self.down = Some(down);
        Poll::Ready(Ok(Response::from_parts(head, ())))
    }

    /// Takes in the interim answers that have come, `most` at most; whether there may be more.
    pub(super) fn take_in(&mut self, context: &mut Context<'_>, most: usize) -> bool {
        while self.early.len() < most {
            match self.answer.poll_informational(context) {
                Poll::Ready(Some(Ok(interim))) => self.early.push_back(interim),
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => return true,
            }
        }
        false
    }

    /// Whether all of the answer has come with its head.
    pub(super) fn has_ended(&self) -> bool {
        self.down.as_ref().is_some_and(RecvStream::is_end_stream)
    }
}
