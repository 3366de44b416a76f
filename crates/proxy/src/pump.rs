//! Moves a body, or a bare stream of bytes, from one end to the other without holding more than
//! one buffer of it, and only while there is something in it. Large ones between two sockets go
//! through a pipe, and so never leave the kernel.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Buf as _;
use leno_protocol::Flaw;
use leno_protocol::body::{BodyReader, Piece};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::buffer::{Buffer, Buffers, LEAST_ROOM, ROOM, Size, Waits};
use crate::copies::{Copies, MOST_AT_ONCE, poll_left};
use crate::pieces::Pieces;
use crate::pipes::{Lent, Stride};
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
    /// What was taken as it came, or is given away as it is: it comes behind what is in the buffer.
    pieces: Pieces,
    /// What is in it comes behind what is in the buffer.
    pipe: Option<Lent>,
    stride: Stride,
    ended: bool,
    closed: bool,
    /// Whether nothing more is read.
    rests: bool,
    moved: u64,
    /// Who else gets what is moved.
    pub(crate) copies: Copies,
    /// For a buffer.
    waits: Waits,
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
    /// By this error of the end that is read.
    pub(crate) fn read(error: io::Error) -> Self {
        Self::Read(Cut::of(&error))
    }

    /// By this error of the end that is written.
    pub(crate) fn write(error: io::Error) -> Self {
        Self::Write(Cut::of(&error))
    }
}

/// How often a pipe is filled before others have a turn: each time takes as long as many reads.
const TURN: u32 = 4;

impl Pump {
    /// How much of a body must be announced so that it is worth a large buffer.
    const LARGE: u64 = 2 * ROOM as u64;

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
            pieces: Pieces::default(),
            pipe: None,
            stride: Stride::default(),
            ended: false,
            closed: false,
            rests: false,
            moved: 0,
            copies: Copies::default(),
            waits: Waits::default(),
        }
    }

    /// Puts bytes that have come already in front, where there is no body that they could break.
    pub(crate) fn behind(mut self, came: Option<Buffer>) -> Self {
        self.ready = came.as_ref().map_or(0, |came| came.len());
        self.buffer = came;
        self
    }

    /// Whether all of a body has been written.
    pub(crate) fn is_done(&self) -> bool {
        let is_written = self.written == self.ready && !self.pieces.has_remaining();
        self.ended && is_written && self.pipe.is_none()
    }

    /// Whether something was read and not written.
    pub(crate) fn is_held_up(&self) -> bool {
        self.written < self.ready || self.pipe.is_some()
    }

    /// Whether all that was read can be had again.
    pub(crate) fn is_replayable(&self) -> bool {
        let is_empty = self.ready == 0 && !self.pieces.has_remaining();
        let untouched = self.moved == 0 && is_empty && !self.ended;
        untouched || self.copies.held().is_some()
    }

    /// Takes for written what was read and not written: it goes another way.
    pub(crate) fn skip(&mut self) {
        let piped = self.pipe.take().map_or(0, |pipe| pipe.held());
        self.moved += (self.ready - self.written + self.pieces.remaining() + piped) as u64;
        self.pieces.clear();
        self.written = self.ready;
        if !self.ended {
            self.give_back();
        }
    }

    /// Reads nothing more, and writes what it holds.
    pub(crate) fn rest(&mut self) {
        self.rests = true;
    }

    /// Gives on what can still be read of an end that has broken off, and no end behind it: there was none.
    pub(crate) fn spill(&mut self) {
        self.rests = false;
        self.closed = true;
    }

    /// Whether it holds nothing: another pump between the same ends goes on where it stopped.
    pub(crate) fn holds_nothing(&self) -> bool {
        let is_written = |buffer: &Buffer| self.written >= buffer.len();
        let is_written = self.buffer.as_ref().is_none_or(is_written);
        is_written && !self.pieces.has_remaining() && self.pipe.is_none()
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
        let mut spliced = 0;
        loop {
            ready!(self.poll_write(context, to))?;
            if self.ended {
                return self.poll_close(context, to);
            }
            if self.rests {
                return Poll::Pending;
            }
            ready!(self.copies.poll_turn(context));
            if spliced == TURN {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            // Nothing is lent before there is something to put into it.
            ready!(from.poll_read_ready(context)).map_err(Stopped::read)?;
            if self.take(context, from) {
                continue;
            }
            let read = match self.splice(from, to, buffers) {
                Some(Ok(read)) => {
                    spliced += 1;
                    read
                }
                // Nothing has come, which the socket knows from here on.
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Some(Err(error)) => return Poll::Ready(Err(Stopped::read(error))),
                None => ready!(self.poll_copy(context, from, buffers)).map_err(Stopped::read)?,
            };
            if read == 0 {
                if let Some(body) = &self.body {
                    body.finish().map_err(Stopped::Body)?;
                }
                self.ended = true;
            } else {
                self.stride.step(read);
                self.classify()?;
            }
        }
    }

    /// Reads what is held for another try, without writing it; ready when that `is_enough`, all of the body
    /// was read, or no more of it can be held. After some reads others have their turn.
    pub(crate) fn poll_ahead(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        buffers: &Buffers,
        is_enough: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Poll<Result<(), Stopped>> {
        let mut turns = 0..MOST_AT_ONCE;
        while !self.ended && self.copies.held().is_some_and(|held| !is_enough(held)) {
            ready!(poll_left(context, &mut turns));
            ready!(from.poll_read_ready(context)).map_err(Stopped::read)?;
            let read = ready!(self.poll_copy(context, from, buffers)).map_err(Stopped::read)?;
            if read == 0 {
                if let Some(body) = &self.body {
                    body.finish().map_err(Stopped::Body)?;
                }
                self.ended = true;
                break;
            }
            self.classify()?;
            self.skip();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into a buffer.
    fn poll_copy(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        buffers: &Buffers,
    ) -> Poll<io::Result<usize>> {
        let size = self.size();
        let buffer = match &mut self.buffer {
            Some(buffer) => buffer,
            none => {
                let lent = buffers.poll_lend_as(context, &mut self.waits, size);
                none.insert(ready!(lent))
            }
        };
        let read = from.poll_read_into(context, buffer);
        if read.is_pending() {
            self.give_back();
        }
        read
    }

    /// How much may come at once.
    fn size(&self) -> Size {
        let ahead = self.body.as_ref().map_or(0, BodyReader::ahead);
        let is_large = (Self::LARGE..u64::MAX).contains(&ahead);
        match is_large || self.stride.is_long() {
            true => Size::Large,
            false => Size::Usual,
        }
    }

    /// Takes what has come, without copying it, of an end that has it in memory; whether there was some.
    fn take(&mut self, context: &mut Context<'_>, from: &mut Stream) -> bool {
        if !self.copies.are_unwanted() {
            return false;
        }
        while !self.ended && !self.pieces.are_full() {
            let most = self.body.as_ref().map_or(u64::MAX, BodyReader::ahead);
            let piece = from.take(usize::try_from(most).unwrap_or(usize::MAX));
            if piece.is_empty() {
                break;
            }
            if let Some(body) = &mut self.body {
                body.pass(piece.len());
                self.ended = body.is_done();
            }
            self.pieces.push(piece);
            // How it failed is told when all that came before has been written.
            if !matches!(from.poll_read_ready(context), Poll::Ready(Ok(()))) {
                break;
            }
        }
        self.pieces.has_remaining()
    }

    /// Reads into a pipe; `None` if that is not the way here, and nothing was read.
    fn splice(
        &mut self,
        from: &Stream,
        to: &Stream,
        buffers: &Buffers,
    ) -> Option<io::Result<usize>> {
        if !self.stride.is_long() || !self.copies.are_unwanted() {
            return None;
        }
        let (from, _) = from.socket().zip(to.socket())?;
        let most = self.body.as_ref().map_or(u64::MAX, BodyReader::ahead);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let pipe = (most >= Stride::LONG).then(|| buffers.pipes.lend());
        let Some(mut pipe) = pipe.flatten() else {
            self.stride = Stride::default();
            return None;
        };
        let read = from.try_io(Interest::READABLE, || pipe.fill(from, most));
        if read.as_ref().is_err_and(is_forbidden) {
            self.stride = Stride::default();
            return None;
        }
        if let Ok(count @ 1..) = read {
            self.pipe = Some(pipe);
            if let Some(body) = &mut self.body {
                body.pass(count);
                self.ended = body.is_done();
            }
        }
        Some(read)
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        to: &mut Stream,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            self.give_away(to);
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
        while self.pieces.has_remaining() {
            let count = ready!(to.poll_give(context, &mut self.pieces)).map_err(Stopped::write)?;
            self.moved += count as u64;
        }
        if let (Some(pipe), Some(to)) = (&mut self.pipe, to.socket()) {
            while pipe.held() > 0 {
                self.moved += ready!(poll_drain(context, pipe, to)).map_err(Stopped::write)? as u64;
            }
            self.pipe = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Makes a piece of what is in the buffer, if `to` would have to copy it.
    fn give_away(&mut self, to: &Stream) {
        let is_whole = |buffer: &mut Buffer| self.written == 0 && self.ready == buffer.len();
        if self.ready >= LEAST_ROOM
            && to.keeps()
            && let Some(buffer) = self.buffer.take_if(is_whole)
        {
            self.pieces.push(buffer.into_bytes());
            self.ready = 0;
        }
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

/// Moves some of what is in `pipe` to `to`.
fn poll_drain(
    context: &mut Context<'_>,
    pipe: &mut Lent,
    to: &TcpStream,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(to.poll_write_ready(context))?;
        match to.try_io(Interest::WRITABLE, || pipe.drain(to)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            drained => return Poll::Ready(drained),
        }
    }
}

/// Whether sockets and pipes do not go together here, and so nothing was read.
fn is_forbidden(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use leno_protocol::BodyFraming;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::copies::{Space, feed};
    use crate::room::tests::places;

    async fn connection() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (one, other) = tokio::join!(TcpStream::connect(address), listener.accept());
        (one.unwrap(), Stream::Tcp(other.unwrap().0))
    }

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|at| (at % 251) as u8).collect()
    }

    /// Moves `sent` and the end through `pump`; what arrives, and the story: how many bytes were
    /// moved, and whether some of them went through a pipe.
    async fn moved(pump: Pump, sent: &[u8], pipes: usize) -> (Vec<u8>, String) {
        let (mut client, mut from) = connection().await;
        let (mut server, mut to) = connection().await;
        let mut pump = pump;
        let room = places(pipes);
        let buffers = Buffers::new(usize::MAX, room.clone());
        let send = async {
            client.write_all(sent).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let pass = async {
            let polled = poll_fn(|context| pump.poll(context, &mut from, &mut to, &buffers)).await;
            // A body does not end its connection.
            poll_fn(|context| to.poll_shutdown(context)).await.unwrap();
            polled
        };
        let receive = async {
            let mut all = Vec::new();
            server.read_to_end(&mut all).await.unwrap();
            all
        };
        let ((), passed, all) = tokio::join!(send, pass, receive);
        // An idle pipe keeps its place.
        let seats = std::iter::from_fn(|| room.take(0)).collect::<Vec<_>>();
        let is_piped = seats.len() < pipes;
        let how = if is_piped { "piped" } else { "copied" };
        let is_done = pump.is_done() == passed.is_ok();
        assert!(is_done && pump.moved() == all.len() as u64);
        let flaw = passed
            .err()
            .map_or("whole".to_owned(), |stopped| format!("{stopped:?}"));
        (all, format!("{} {how} {flaw}", pump.moved()))
    }

    #[tokio::test]
    async fn much_goes_through_a_pipe_and_arrives_as_it_was_sent() {
        const MUCH: usize = 3_000_000;
        let length = || Pump::body(BodyReader::new(BodyFraming::Length(MUCH as u64)));
        for (pump, sent, pipes, expect) in [
            (Pump::bytes(), MUCH, 9, "3000000 piped whole"),
            (Pump::bytes(), MUCH, 0, "3000000 copied whole"),
            (Pump::bytes(), 100_000, 9, "100000 copied whole"),
            (Pump::bytes(), 0, 9, "0 copied whole"),
            (length(), MUCH, 9, "3000000 piped whole"),
            // What stands behind a body is not moved with it.
            (length(), MUCH + 10, 9, "3000000 piped whole"),
            (length(), MUCH - 1, 9, "2999999 piped Body(CutShort)"),
        ] {
            let sent = bytes(sent);
            let (arrived, story) = moved(pump, &sent, pipes).await;
            assert_eq!(story, expect);
            assert!(sent.starts_with(&arrived));
        }
    }

    #[tokio::test]
    async fn the_framing_of_large_chunks_is_read_between_pipes() {
        let mut sent = Vec::new();
        for count in [300_000, 1, 40_000, 70_000, 9_000, 500_000] {
            sent.extend_from_slice(format!("{count:x}\r\n").as_bytes());
            sent.extend_from_slice(&bytes(count));
            sent.extend_from_slice(b"\r\n");
        }
        sent.extend_from_slice(b"0\r\n\r\n");
        let chunked = || BodyReader::new(BodyFraming::Chunked);
        let (arrived, _) = moved(Pump::body(chunked()), &sent, 9).await;
        assert!(arrived == sent);
        let (arrived, story) = moved(Pump::content(chunked()), &sent, 9).await;
        assert_eq!(arrived.len(), 919_001, "{story}");
    }

    #[tokio::test]
    async fn what_a_mirror_wants_is_copied() {
        let (feed, eater) = feed(&Space::default());
        let mut pump = Pump::body(BodyReader::new(BodyFraming::Length(900_000)));
        pump.copies.feed(feed);
        let sent = bytes(900_000);
        let (arrived, _) = moved(pump, &sent, 9).await;
        assert!(arrived == sent);
        let eaten = poll_fn(|context| eater.poll_more(context)).await;
        assert!(eaten == Ok(sent));
    }
}
