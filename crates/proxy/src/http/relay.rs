//! Moves a body of which at least one end speaks HTTP/2: its content and its trailers, framed anew
//! for the end that takes it. The window of the end that gives is opened only by as much as the other
//! end has taken.

use std::mem;
use std::num::NonZeroUsize;
use std::task::{Context, Poll, ready};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::{Buf as _, Bytes};
use h2::{RecvStream, SendStream};
use leno_protocol::body::{BodyReader, END_CHUNK, LAST_CHUNK, Piece, begin_chunk};
use leno_protocol::http2::check_trailer;
use leno_protocol::{BodyFraming, Flaw, TakeField as _};

use crate::buffer::{Buffer, Buffers};
use crate::copies::Copies;
use crate::pump::Stopped;
use crate::stream::{Cut, Stream};

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
    trailers: Option<HeaderMap>,
    /// The same, framed for an end of HTTP/1.
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
    /// Content that was taken and for which no window was opened yet.
    taken: usize,
    moved: u64,
    /// Whether nothing was read of the source.
    untouched: bool,
    /// Who else gets what is moved.
    pub(super) copies: Copies,
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

    fn new(framing: BodyFraming, source: Source) -> Self {
        Self {
            source,
            framing,
            is_strict: false,
            content: Bytes::new(),
            old: 0,
            fresh: 0,
            trailers: None,
            out: None,
            written: 0,
            framed: 0,
            ended: false,
            end_framed: false,
            closed: false,
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
        let mut reader = BodyReader::new(self.framing);
        let mut gathered = Gathered::default();
        for bytes in [here, self.copies.held().unwrap_or_default()] {
            // It was read before, and has no flaw.
            let read = gathered.add(&mut reader, bytes);
            debug_assert!(read.is_ok(), "{read:?}");
        }
        if !gathered.lines.is_empty() {
            self.trailers = Some(trailers_of(&gathered.lines));
        }
        self.content = gathered.content.into();
        self.old = self.content.len();
    }

    /// Whether all of it has been written.
    pub(super) fn is_done(&self) -> bool {
        self.closed
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

    /// The value of a field behind the body, once all of it has been read.
    pub(super) fn trailer(&self, name: &str) -> Option<&[u8]> {
        Some(self.trailers.as_ref()?.get(name)?.as_bytes())
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

    /// Lets the end that gives send as much as the other end has taken.
    fn open_window(&mut self, spring: &mut Spring<'_>) {
        let taken = mem::take(&mut self.taken);
        if let (Spring::Http2(stream), 1..) = (spring, taken) {
            // A stream that has ended needs no window.
            drop(stream.flow_control().release_capacity(taken));
        }
    }

    fn poll_write(
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
            let room = ready!(poll_room(context, stream, self.content.len()))?;
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

    /// Takes note that so much content was taken.
    fn note_taken(&mut self, count: usize) {
        let old = self.old.min(count);
        let fresh = (count - old).min(self.fresh);
        self.old -= old;
        self.fresh -= fresh;
        self.taken += fresh;
        self.moved += (count - old) as u64;
    }

    /// Passes the end on.
    fn poll_close(
        &mut self,
        context: &mut Context<'_>,
        sink: &mut Sink<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Stopped>> {
        if self.closed {
            return Poll::Ready(Ok(()));
        }
        match sink {
            Sink::Http2(stream) => match &self.trailers {
                Some(trailers) => stream.send_trailers(trailers.clone()),
                None => stream.send_data(Bytes::new(), true),
            }
            .map_err(stopped)?,
            Sink::Http1(stream) => {
                if !self.end_framed {
                    self.out = self.last_chunk(buffers);
                    self.end_framed = true;
                }
                ready!(self.poll_write_out(context, stream))?;
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

    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut RecvStream,
    ) -> Poll<Result<(), Stopped>> {
        let broken = |error| Stopped::Read(Cut::of_http2(&error));
        match ready!(stream.poll_data(context))
            .transpose()
            .map_err(broken)?
        {
            Some(data) => {
                self.untouched = false;
                self.fresh += data.len();
                self.copy(&data);
                self.content = data;
                self.ended = stream.is_end_stream();
            }
            None => {
                let trailers = ready!(stream.poll_trailers(context)).map_err(broken)?;
                self.trailers = trailers.map(|it| self.sift(it)).transpose()?;
                (self.untouched, self.ended) = (false, true);
            }
        }
        if self.ended && !self.copies.are_unwanted() {
            let mut end = Vec::new();
            match &self.trailers {
                _ if self.framing != BodyFraming::Chunked => {}
                None => end.extend_from_slice(LAST_CHUNK),
                Some(trailers) => write_last_chunk(&mut end, trailers),
            }
            self.copies.take(&end);
            self.copies.end();
        }
        Poll::Ready(Ok(()))
    }

    /// Those of the fields behind a body that may stand there.
    fn sift(&self, mut trailers: HeaderMap) -> Result<HeaderMap, Stopped> {
        let checked = |(name, value): (&HeaderName, &HeaderValue)| {
            let flaw = check_trailer(name.as_str(), value.as_bytes()).err()?;
            Some((name.clone(), flaw))
        };
        while let Some((name, flaw)) = trailers.iter().find_map(checked) {
            if self.is_strict {
                return Err(Stopped::Body(flaw));
            }
            trailers.remove(name);
        }
        Ok(trailers)
    }

    /// Copies content that came from an end of HTTP/2, framed as HTTP/1 frames it.
    fn copy(&mut self, data: &[u8]) {
        let Some(length) = NonZeroUsize::new(data.len()).filter(|_| !self.copies.are_unwanted())
        else {
            return;
        };
        if self.framing != BodyFraming::Chunked {
            return self.copies.take(data);
        }
        let mut framed = Vec::with_capacity(data.len() + 16);
        begin_chunk(&mut framed, length);
        framed.extend_from_slice(data);
        framed.extend_from_slice(END_CHUNK);
        self.copies.take(&framed);
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
        buffers: &Buffers,
    ) -> Poll<Result<(), Stopped>> {
        let Source::Http1 {
            reader,
            buffer,
            lines,
        } = &mut self.source
        else {
            unreachable!("the source speaks the version that it began with");
        };
        if buffer.is_none() {
            ready!(stream.poll_read_ready(context)).map_err(Stopped::read)?;
            let mut lent = buffers.lend();
            if ready!(stream.poll_read_into(context, &mut lent)).map_err(Stopped::read)? == 0 {
                reader.finish().map_err(Stopped::Body)?;
                self.ended = true;
                self.copies.end();
                return Poll::Ready(Ok(()));
            }
            *buffer = Some(lent);
        }
        let mut came = buffer.take().expect("something was read");
        let mut gathered = Gathered {
            content: Vec::with_capacity(came.len()),
            lines: mem::take(lines),
        };
        let used = gathered.add(reader, &came).map_err(Stopped::Body)?;
        self.copies.take(came.get(..used).unwrap_or_default());
        self.untouched = false;
        self.fresh += gathered.content.len();
        self.content = gathered.content.into();
        if reader.is_done() {
            self.ended = true;
            self.copies.end();
            if !gathered.lines.is_empty() {
                self.trailers = Some(trailers_of(&gathered.lines));
            }
        } else {
            *lines = gathered.lines;
        }
        came.consume(used);
        *buffer = (!came.is_empty()).then_some(came);
        Poll::Ready(Ok(()))
    }
}

/// What is gathered of a body that HTTP/1 framed.
#[derive(Default)]
pub(super) struct Gathered {
    content: Vec<u8>,
    /// The lines of its trailers.
    lines: Vec<u8>,
}

impl Gathered {
    /// Gives away the content.
    pub(super) fn take_content(&mut self) -> Vec<u8> {
        mem::take(&mut self.content)
    }

    /// The lines of its trailers.
    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Takes `bytes` apart; says how many of them belonged to the body.
    pub(super) fn add(&mut self, reader: &mut BodyReader, bytes: &[u8]) -> Result<usize, Flaw> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let part = |count: usize| rest.get(..count).unwrap_or_default();
            used += match reader.next(rest)? {
                Piece::Data(count) => {
                    self.content.extend_from_slice(part(count));
                    count
                }
                Piece::Trailer(count) => {
                    self.lines.extend_from_slice(part(count));
                    count
                }
                Piece::Framing(count) => count,
                Piece::Wait | Piece::End => return Ok(used),
            };
        }
    }
}

/// Waits until something may be sent; at most so much is wanted.
pub(super) fn poll_room(
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

/// Trailers as fields, of the lines that HTTP/1 has.
pub(super) fn trailers_of(lines: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for line in lines.split(|octet| *octet == b'\n') {
        let mut parts = line.splitn(2, |octet| *octet == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            // As many as there are bytes for.
            drop(trailers.try_append(name, value));
        }
    }
    trailers
}

fn write_last_chunk(out: &mut Vec<u8>, trailers: &HeaderMap) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        out.take_field(name.as_str(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
