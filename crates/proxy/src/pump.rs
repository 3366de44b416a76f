//! Moves a body, or a bare stream of bytes, from one end to the other without holding more than
//! one buffer of it, and only while there is something in it.

use std::io;
use std::mem;
use std::task::{Context, Poll, ready};

use leno_protocol::Flaw;
use leno_protocol::body::{BodyReader, Piece};

use crate::buffer::{Buffer, Buffers};
use crate::copies::Copies;
use crate::stream::{Cut, Stream};

/// One direction of an exchange.
pub(crate) struct Pump {
    body: Option<BodyReader>,
    content_only: bool,
    buffer: Option<Buffer>,
    /// What of the buffer has been written.
    written: usize,
    /// Up to where the buffer may be written.
    ready: usize,
    ended: bool,
    closed: bool,
    moved: u64,
    /// Who else gets what is moved.
    pub(crate) copies: Copies,
    /// Whether mirrors that lag behind have had their turn since the last read.
    yielded: bool,
}

/// Why a direction stopped before its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The end that is read broke off.
    Read(Cut),
    /// What came is not the body that was announced.
    Body(Flaw),
    /// The end that is written took no more.
    Write(Cut),
}

impl Stopped {
    fn read(error: io::Error) -> Self {
        Self::Read(Cut::of(&error))
    }

    fn write(error: io::Error) -> Self {
        Self::Write(Cut::of(&error))
    }
}

impl Pump {
    /// Moves the rest of a body, of which `body` has seen what was sent with the head.
    pub(crate) fn body(body: BodyReader) -> Self {
        Self::new(Some(body), false)
    }

    /// Moves the rest of a body as content only, without its chunk framing.
    pub(crate) fn content(body: BodyReader) -> Self {
        Self::new(Some(body), true)
    }

    /// Moves bytes until the end of the stream, which is passed on.
    pub(crate) fn bytes() -> Self {
        Self::new(None, false)
    }

    fn new(body: Option<BodyReader>, content_only: bool) -> Self {
        Self {
            body,
            content_only,
            buffer: None,
            written: 0,
            ready: 0,
            ended: false,
            closed: false,
            moved: 0,
            copies: Copies::default(),
            yielded: false,
        }
    }

    /// Puts bytes that have come already in front.
    pub(crate) fn unread(mut self, buffer: Buffer) -> Result<Self, Stopped> {
        self.buffer = Some(buffer);
        self.classify()?;
        Ok(self)
    }

    /// Puts bytes that have come already in front, where there is no body that they could break.
    pub(crate) fn behind(mut self, came: Option<Buffer>) -> Self {
        self.ready = came.as_ref().map_or(0, |came| came.len());
        self.buffer = came;
        self
    }

    /// Whether all of a body has been written.
    pub(crate) fn is_done(&self) -> bool {
        self.ended && self.written == self.ready
    }

    /// Whether all that was read can be had again.
    pub(crate) fn is_replayable(&self) -> bool {
        let untouched = self.moved == 0 && self.ready == 0 && !self.ended;
        untouched || self.copies.held().is_some()
    }

    /// Takes for written what was read and not written: it goes another way.
    pub(crate) fn skip(&mut self) {
        self.moved += (self.ready - self.written) as u64;
        self.written = self.ready;
        if !self.ended {
            self.give_back();
        }
    }

    /// How many bytes have been written.
    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// Bytes behind the body, which belong to the next message.
    pub(crate) fn take_rest(&mut self) -> Option<Buffer> {
        let mut buffer = self.buffer.take()?;
        buffer.consume(self.ready);
        (self.written, self.ready) = (0, 0);
        (!buffer.is_empty()).then_some(buffer)
    }

    /// Moves what can be moved; ready when all of it has been written.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        buffers: &Buffers,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            ready!(self.poll_write(context, to))?;
            if self.ended {
                return self.poll_close(context, to);
            }
            if self.copies.lag() && !mem::replace(&mut self.yielded, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.yielded = false;
            // No buffer is lent before there is something to put into it.
            ready!(from.poll_read_ready(context)).map_err(Stopped::read)?;
            let buffer = self.buffer.get_or_insert_with(|| buffers.lend());
            let read = from.poll_read_into(context, buffer);
            if read.is_pending() {
                self.give_back();
            }
            if ready!(read).map_err(Stopped::read)? == 0 {
                if let Some(body) = &self.body {
                    body.finish().map_err(Stopped::Body)?;
                }
                self.ended = true;
            } else {
                self.classify()?;
            }
        }
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        to: &mut Stream,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            while let Some(rest) = self
                .buffer
                .as_ref()
                .and_then(|buffer| buffer.get(self.written..self.ready))
                .filter(|rest| !rest.is_empty())
            {
                let count = ready!(to.poll_write(context, rest)).map_err(Stopped::write)?;
                self.written += count;
                self.moved += count as u64;
            }
            if self.ended || !self.more_to_classify() {
                break;
            }
            self.classify()?;
        }
        if !self.ended {
            self.give_back();
        }
        Poll::Ready(Ok(()))
    }

    /// Passes the end of a bare stream on. A body has its own end.
    fn poll_close(
        &mut self,
        context: &mut Context<'_>,
        to: &mut Stream,
    ) -> Poll<Result<(), Stopped>> {
        if self.body.is_none() && !self.closed {
            ready!(to.poll_shutdown(context)).map_err(Stopped::write)?;
            self.closed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether bytes are held of which it has not been said what they are.
    fn more_to_classify(&self) -> bool {
        self.buffer
            .as_ref()
            .is_some_and(|buffer| self.ready < buffer.len())
    }

    /// Says which of the bytes that came may be written, and whether the body ends with them.
    fn classify(&mut self) -> Result<(), Stopped> {
        let Some(buffer) = &self.buffer else {
            return Ok(());
        };
        let fresh = buffer.get(self.ready..).unwrap_or_default();
        let Some(body) = &mut self.body else {
            self.ready = buffer.len();
            return Ok(());
        };
        if !self.content_only {
            let taken = body.take(fresh).map_err(Stopped::Body)?;
            self.copies.take(fresh.get(..taken).unwrap_or_default());
            self.ready += taken;
            self.ended = body.is_done();
            if self.ended {
                self.copies.end();
            }
            return Ok(());
        }
        match body.next(fresh).map_err(Stopped::Body)? {
            Piece::Data(count) => self.ready += count,
            Piece::Framing(count) | Piece::Trailer(count) => {
                self.ready += count;
                self.written = self.ready;
            }
            Piece::Wait | Piece::End => {}
        }
        self.ended = body.is_done();
        Ok(())
    }

    /// Lets go of a buffer that holds nothing.
    fn give_back(&mut self) {
        let empty = |buffer: &Buffer| self.written >= buffer.len();
        if self.buffer.as_ref().is_some_and(empty) {
            self.buffer = None;
            self.written = 0;
            self.ready = 0;
        } else if self.written > 0 && self.written == self.ready {
            if let Some(buffer) = &mut self.buffer {
                buffer.consume(self.written);
            }
            self.written = 0;
            self.ready = 0;
        }
    }
}
