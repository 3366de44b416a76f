//! Moves a body of which at least one end speaks HTTP/2: its content and its trailers, framed anew
//! for the end that takes it. The window of the end that gives is opened only by as much as the other
//! end has taken.

pub(super) mod framed;
pub(super) mod give;
mod take;

use std::mem;
use std::task::{Context, Poll, ready};

use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use h2::{RecvStream, SendStream};
use leno_protocol::body::BodyReader;
use leno_protocol::{BodyFraming, grpc};

use self::framed::{Gathered, trailers_of};
use crate::buffer::{Buffer, Buffers, Held};
use crate::copies::{Copies, MOST_AT_ONCE, poll_left};
use crate::http::http2::STREAM_WINDOW;
use crate::pump::Stopped;
use crate::stream::Stream;

/// Where a body comes from.
pub(super) enum Spring<'a> {
    /// A connection of HTTP/1.
    Http1(&'a mut Stream),
    /// A stream of HTTP/2.
    Http2(&'a mut RecvStream),
}

/// Where it goes.
pub(super) enum Sink<'a> {
    /// A connection of HTTP/1.
    Http1(&'a mut Stream),
    /// A stream of HTTP/2.
    Http2(&'a mut SendStream<Bytes>),
}

/// One direction of an exchange.
pub(super) struct Relay {
    source: Source,
    /// How the body is framed where it is written as HTTP/1 does.
    framing: BodyFraming,
    /// Whether a trailer that may not be one is a flaw, and not only left out.
    is_strict: bool,
    /// What was read and not written.
    content: Bytes,
    /// How much of it came before this try, and was counted then.
    old: usize,
    /// How much of it came on this try.
    fresh: usize,
    /// How far it has gone on this try.
    gone: Gone,
    trailers: Option<HeaderMap>,
    /// What gRPC says in them.
    grpc_status: Option<HeaderValue>,
    /// The content, framed for an end of HTTP/1.
    out: Option<Buffer>,
    /// How much of that was written.
    written: usize,
    /// How much of it is content.
    framed: usize,
    /// Whether all has been read.
    ended: bool,
    /// Whether the end was framed.
    end_framed: bool,
    /// Whether all has been written.
    closed: bool,
    /// What the window of the end that gives may hold while the other end takes nothing.
    held: Option<Held>,
    /// Content that was taken and for which no window was opened yet.
    taken: usize,
    moved: u64,
    /// Whether nothing was read of the source.
    untouched: bool,
    /// Who else gets what is moved.
    pub(super) copies: Copies,
}

/// How far a body has gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// Nothing behind the head.
    Nothing,
    /// What was sent with the head, whatever the window.
    WithHead,
    /// As the window has room.
    Behind,
}

/// How the body is read.
enum Source {
    Http1 {
        reader: BodyReader,
        /// What has come and was not looked at.
        buffer: Option<Buffer>,
        /// The lines of its trailers.
        lines: Vec<u8>,
    },
    Http2,
}

impl Relay {
    /// Moves a body from an end of HTTP/1, of which `reader` has seen what goes another way.
    pub(super) fn from_http1(framing: BodyFraming, reader: BodyReader) -> Self {
        let ended = reader.is_done();
        let source = Source::Http1 {
            reader,
            buffer: None,
            lines: Vec::new(),
        };
        Self {
            ended,
            ..Self::new(framing, source)
        }
    }

    /// Moves a body from an end of HTTP/2.
    pub(super) fn from_http2(framing: BodyFraming) -> Self {
        Self::new(framing, Source::Http2)
    }

    /// Moves bytes until the end of the stream, which is passed on: `came` first, which have come already of an
    /// end of HTTP/1.
    pub(super) fn bytes(is_from_http2: bool, came: Buffer) -> Self {
        let framing = BodyFraming::Tunnel;
        match is_from_http2 {
            true => Self::from_http2(framing),
            false => Self::from_http1(framing, BodyReader::new(framing)).unread(came),
        }
    }

    fn new(framing: BodyFraming, source: Source) -> Self {
        Self {
            source,
            framing,
            is_strict: false,
            content: Bytes::new(),
            old: 0,
            fresh: 0,
            gone: Gone::Behind,
            trailers: None,
            grpc_status: None,
            out: None,
            written: 0,
            framed: 0,
            ended: false,
            end_framed: false,
            closed: false,
            held: None,
            taken: 0,
            moved: 0,
            untouched: true,
            copies: Copies::default(),
        }
    }

    /// Puts bytes that have come already in front of what is read of an end of HTTP/1.
    pub(super) fn unread(mut self, bytes: Buffer) -> Self {
        if let (Source::Http1 { buffer, .. }, false) = (&mut self.source, bytes.is_empty()) {
            *buffer = Some(bytes);
        }
        self
    }

    /// Takes a trailer that may not be one for a flaw of the body.
    pub(super) fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Begins a try: with `here`, which came with the head, and with what was read on earlier ones.
    /// Both are as HTTP/1 frames them.
    pub(super) fn begin(&mut self, here: &[u8]) {
        self.taken += mem::take(&mut self.fresh);
        (self.out, self.written, self.framed) = (None, 0, 0);
        (self.end_framed, self.closed) = (false, false);
        self.gone = Gone::Nothing;
        let mut reader = BodyReader::new(self.framing);
        let mut gathered = Gathered::default();
        for bytes in [here, self.copies.held().unwrap_or_default()] {
            // It was read before, and has no flaw.
            let read = gathered.add(&mut reader, bytes);
            debug_assert!(read.is_ok(), "{read:?}");
        }
        if !gathered.lines.is_empty() {
            self.end_with(trailers_of(&gathered.lines));
        }
        self.content = gathered.content.into();
        self.old = self.content.len();
    }

    /// Whether all of it has been written.
    pub(super) fn is_done(&self) -> bool {
        self.closed
    }

    /// Whether all of it was sent with the head: there may never have been room for it.
    pub(super) fn went_with_head(&self) -> bool {
        self.closed && self.gone == Gone::WithHead
    }

    /// Whether something was read and not written.
    pub(super) fn is_held_up(&self) -> bool {
        !self.content.is_empty() || self.out.is_some()
    }

    /// Whether all of it came with the head.
    pub(super) fn has_come(&self) -> bool {
        self.untouched && self.ended
    }

    /// Whether all that was read can be had again.
    pub(super) fn is_replayable(&self) -> bool {
        self.untouched || self.copies.held().is_some()
    }

    /// How many bytes of content have been written that did not come with the head.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// What gRPC says behind the body of what became of the call, once all of it has been read.
    pub(super) fn grpc_status(&self) -> Option<&[u8]> {
        self.grpc_status.as_ref().map(HeaderValue::as_bytes)
    }

    fn end_with(&mut self, trailers: HeaderMap) {
        self.grpc_status = trailers.get(grpc::STATUS).cloned();
        self.trailers = Some(trailers);
    }

    /// Bytes behind the body, which belong to the next message.
    pub(super) fn take_rest(&mut self) -> Option<Buffer> {
        match &mut self.source {
            Source::Http1 { buffer, .. } => buffer.take(),
            Source::Http2 => None,
        }
    }

    /// Moves what can be moved; ready when all of it has been written.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        spring: &mut Spring<'_>,
        sink: &mut Sink<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            let written = self.poll_write(context, sink, buffers);
            self.open_window(spring);
            self.count_window(written.is_pending(), spring, buffers);
            ready!(written)?;
            if self.ended {
                return self.poll_close(context, sink, buffers);
            }
            ready!(self.copies.poll_turn(context));
            match spring {
                Spring::Http1(stream) => ready!(self.poll_read(context, stream, buffers))?,
                Spring::Http2(stream) => ready!(self.poll_receive(context, stream))?,
            }
        }
    }

    /// Reads what is held for another try, without writing it; ready when that `is_enough`, all of the body
    /// was read, or no more of it can be held. After some frames others have their turn.
    pub(super) fn poll_ahead(
        &mut self,
        context: &mut Context<'_>,
        spring: &mut Spring<'_>,
        buffers: &Buffers,
        is_enough: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Poll<Result<(), Stopped>> {
        let mut turns = 0..MOST_AT_ONCE;
        while !self.ended && self.copies.held().is_some_and(|held| !is_enough(held)) {
            ready!(poll_left(context, &mut turns));
            match spring {
                Spring::Http1(stream) => ready!(self.poll_read(context, stream, buffers))?,
                Spring::Http2(stream) => ready!(self.poll_receive(context, stream))?,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Lets the end that gives send as much as the other end has taken.
    fn open_window(&mut self, spring: &mut Spring<'_>) {
        let taken = mem::take(&mut self.taken);
        if let (Spring::Http2(stream), 1..) = (spring, taken) {
            // A stream that has ended needs no window.
            drop(stream.flow_control().release_capacity(taken));
        }
    }

    /// Counts what the window of the end that gives may hold, as long as the other end takes nothing.
    fn count_window(&mut self, is_held_up: bool, spring: &Spring<'_>, buffers: &Buffers) {
        match spring {
            Spring::Http2(_) if is_held_up => {
                let window = || buffers.hold(STREAM_WINDOW as usize);
                self.held.get_or_insert_with(window);
            }
            Spring::Http1(_) | Spring::Http2(_) => self.held = None,
        }
    }
}

#[cfg(test)]
mod tests;
