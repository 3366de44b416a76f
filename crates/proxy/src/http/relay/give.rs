//! The end that takes a body: content as its window or its socket has room, then the trailers.

use std::mem;
use std::num::NonZeroUsize;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::SendStream;
use leno_protocol::BodyFraming;
use leno_protocol::body::{END_CHUNK, LAST_CHUNK, begin_chunk};

use crate::buffer::{Buffer, Buffers};
use crate::http::relay::framed::write_last_chunk;
use crate::http::relay::{Gone, Relay, Sink};
use crate::pump::Stopped;
use crate::stream::{Cut, Stream};

impl Relay {
    /// Writes what was read.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        sink: &mut Sink<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Stopped>> {
        match sink {
            Sink::Http1(stream) => self.poll_write_lines(context, stream, buffers),
            Sink::Http2(stream) => self.poll_send(context, stream),
        }
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut SendStream<Bytes>,
    ) -> Poll<Result<(), Stopped>> {
        while !self.content.is_empty() {
            let (room, gone) = match self.gone {
                Gone::Nothing => (AHEAD, Gone::WithHead),
                Gone::WithHead | Gone::Behind => {
                    let room = ready!(poll_room(context, stream, self.content.len()))?;
                    (room, Gone::Behind)
                }
            };
            self.gone = gone;
            let part = self.content.split_to(room.min(self.content.len()));
            let is_last = self.ended && self.content.is_empty() && self.trailers.is_none();
            let count = part.len();
            stream.send_data(part, is_last).map_err(stopped)?;
            self.closed = is_last;
            self.note_taken(count);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_lines(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
        buffers: &Buffers,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            ready!(self.poll_write_out(context, stream))?;
            let Some(length) = NonZeroUsize::new(self.content.len()) else {
                return Poll::Ready(Ok(()));
            };
            if self.framing != BodyFraming::Chunked {
                let written = stream.poll_write(context, &self.content);
                let count = ready!(written).map_err(Stopped::write)?;
                self.content.advance(count);
                self.note_taken(count);
                continue;
            }
            let mut out = buffers.lend();
            begin_chunk(&mut out, length);
            out.extend_from_slice(&self.content);
            out.extend_from_slice(END_CHUNK);
            self.framed = length.get();
            self.content.clear();
            self.out = Some(out);
        }
    }

    fn poll_write_out(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<Result<(), Stopped>> {
        while let Some(rest) = self.out.as_ref().and_then(|out| out.get(self.written..)) {
            if rest.is_empty() {
                (self.out, self.written) = (None, 0);
                let framed = mem::take(&mut self.framed);
                self.note_taken(framed);
                break;
            }
            let written = stream.poll_write(context, rest);
            self.written += ready!(written).map_err(Stopped::write)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Passes the end on.
    pub(super) fn poll_close(
        &mut self,
        context: &mut Context<'_>,
        sink: &mut Sink<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Stopped>> {
        if self.closed {
            return Poll::Ready(Ok(()));
        }
        match sink {
            Sink::Http2(stream) => match self.trailers.take() {
                Some(trailers) => {
                    if self.copies.held().is_some() {
                        self.trailers = Some(trailers.clone());
                    }
                    stream.send_trailers(trailers)
                }
                None => stream.send_data(Bytes::new(), true),
            }
            .map_err(stopped)?,
            Sink::Http1(stream) => {
                if !self.end_framed {
                    self.out = self.last_chunk(buffers);
                    self.end_framed = true;
                }
                ready!(self.poll_write_out(context, stream))?;
                // A body has its own end.
                if self.framing == BodyFraming::Tunnel {
                    ready!(stream.poll_shutdown(context)).map_err(Stopped::write)?;
                }
            }
        }
        self.closed = true;
        Poll::Ready(Ok(()))
    }

    fn last_chunk(&self, buffers: &Buffers) -> Option<Buffer> {
        if self.framing != BodyFraming::Chunked {
            return None;
        }
        let mut out = buffers.lend();
        match &self.trailers {
            None => out.extend_from_slice(LAST_CHUNK),
            Some(trailers) => write_last_chunk(&mut out, trailers),
        }
        Some(out)
    }

    /// Takes note that so much content was taken.
    fn note_taken(&mut self, count: usize) {
        let old = self.old.min(count);
        let fresh = (count - old).min(self.fresh);
        self.old -= old;
        self.fresh -= fresh;
        self.taken += fresh;
        self.moved += (count - old) as u64;
    }
}

/// How many bytes of a request's body are sent with its head, whatever the window: HTTP/2 knows of none before
/// the stream is opened, which is when the head is written. A short body so needs no turn of its own.
const AHEAD: usize = 16 * 1024;

/// Waits until something may be sent; at most so much is wanted.
pub(in crate::http) fn poll_room(
    context: &mut Context<'_>,
    stream: &mut SendStream<Bytes>,
    wanted: usize,
) -> Poll<Result<usize, Stopped>> {
    stream.reserve_capacity(wanted);
    loop {
        match stream.capacity() {
            0 => {}
            room => return Poll::Ready(Ok(room)),
        }
        match ready!(stream.poll_capacity(context)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(stopped(error))),
            None => return Poll::Ready(Err(Stopped::Write(why_closed(context, stream)))),
        }
    }
}

/// Why nothing more is taken.
fn why_closed(context: &mut Context<'_>, stream: &mut SendStream<Bytes>) -> Cut {
    match stream.poll_reset(context) {
        Poll::Ready(Ok(reason)) => Cut::of_reason(reason),
        Poll::Ready(Err(error)) => Cut::of_http2(&error),
        Poll::Pending => Cut::There,
    }
}

fn stopped(error: h2::Error) -> Stopped {
    Stopped::Write(Cut::of_http2(&error))
}
