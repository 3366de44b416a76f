//! A stream that gathers what HTTP/2 writes while it has its turn, and sends it when the turn is over.
//! HTTP/2 flushes before each frame of data that is not small; without this, each would become a TLS
//! record and a system call of its own. What is large is not gathered, but sent behind what was.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use leno_channel::Refusal;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::both::LAST_WORDS;
use crate::buffer::{Buffer, Buffers, ROOM};
use crate::linger::linger;
use crate::patience::Stall;

/// How many buffers are gathered before they are sent, turn or no turn: as much as TLS takes at once.
const MOST: usize = 4;

/// From how many bytes on a write is not gathered: copying it would cost more than the system call that
/// it needs for itself.
const LARGE: usize = 2 * ROOM;

/// How long the other end may take for what was written last, and to close.
const LINGER: Duration = Duration::from_secs(30);

/// Why the other end of a stream broke off, once it has said so. HTTP/2 keeps the words of an error,
/// and not the error.
pub(crate) type Farewell = Rc<Cell<Option<Refusal>>>;

/// A stream whose writes wait for the end of a turn ([`Turns`]). To flush it promises nothing.
pub(crate) struct Coalesced<S>(Rc<RefCell<Gathering<S>>>);

/// Ends the turns of whoever writes to a [`Coalesced`] stream.
pub(crate) struct Turns<S> {
    gathering: Rc<RefCell<Gathering<S>>>,
    progress: Running,
}

/// What the streams of a connection have given to it, which writes to a [`Coalesced`] stream.
#[derive(Clone, Default)]
pub(crate) struct Outbox(Rc<Progress>);

#[derive(Default)]
struct Progress {
    /// How many turns have ended with nothing left that could be written.
    turns: Cell<u64>,
    /// Whether there will be no more of them.
    is_over: Cell<bool>,
    writer: RefCell<Option<Waker>>,
    waiting: RefCell<Vec<Waker>>,
}

/// There are turns for as long as this lives.
#[derive(Default)]
struct Running(Outbox);

struct Gathering<S> {
    inner: S,
    buffers: Buffers,
    /// All but the last are full.
    gathered: Vec<Buffer>,
    /// What of the first has been sent.
    sent: usize,
    /// Why nothing can be written any more. What came before is read first: its sender may have ended
    /// in peace, and never read what is written here.
    broken: Option<io::Error>,
    farewell: Farewell,
    /// How many bytes were sent so far.
    taken: u64,
    /// With an end that does not take what is gathered, and for how long it was waited for in vain.
    stall: Stall,
    stalled: Option<Duration>,
    /// Whether the writer had to wait in this turn.
    held_up: bool,
    /// Whether something came since somebody asked.
    heard: bool,
}

/// Gathers what is written to `inner`, which must take some of it within `limit`.
pub(crate) fn coalesce<S>(inner: S, buffers: Buffers, limit: Duration) -> (Coalesced<S>, Turns<S>) {
    let gathering = Rc::new(RefCell::new(Gathering {
        inner,
        buffers,
        gathered: Vec::new(),
        sent: 0,
        broken: None,
        farewell: Farewell::default(),
        taken: 0,
        stall: Stall::new(limit),
        stalled: None,
        held_up: false,
        heard: false,
    }));
    let turns = Turns {
        gathering: gathering.clone(),
        progress: Running::default(),
    };
    (Coalesced(gathering), turns)
}

impl Outbox {
    /// Waits until the connection has written all that it was given so far, but for what the windows of its streams have no
    /// room; or until it has ended, or `is_pointless` says so, or for [`LAST_WORDS`]: others may never leave it idle.
    pub(crate) async fn emptied(&self, mut is_pointless: impl FnMut(&mut Context<'_>) -> bool) {
        let Progress {
            turns,
            is_over,
            writer,
            waiting,
        } = &*self.0;
        let begun = turns.get();
        let written = poll_fn(|context| {
            if is_over.get() || turns.get() != begun || is_pointless(context) {
                return Poll::Ready(());
            }
            let mut waiting = waiting.borrow_mut();
            if !waiting.iter().any(|known| known.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            // One with nothing to do has no turns.
            if let Some(writer) = &*writer.borrow() {
                writer.wake_by_ref();
            }
            Poll::Pending
        });
        drop(tokio::time::timeout(LAST_WORDS, written).await);
    }

    fn tell(&self) {
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }
}

impl Running {
    fn begin_turn(&self, context: &Context<'_>) {
        let mut writer = self.0.0.writer.borrow_mut();
        if writer
            .as_ref()
            .is_none_or(|known| !known.will_wake(context.waker()))
        {
            *writer = Some(context.waker().clone());
        }
    }

    fn end_turn(&self) {
        let Outbox(progress) = &self.0;
        progress.turns.set(progress.turns.get().wrapping_add(1));
        self.0.tell();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.is_over.set(true);
        self.0.0.writer.take();
        self.0.tell();
    }
}

impl<S> Turns<S> {
    /// Where it will stand why the other end broke off.
    pub(crate) fn farewell(&self) -> Farewell {
        self.gathering.borrow().farewell.clone()
    }

    /// What the writer has been given.
    pub(crate) fn outbox(&self) -> Outbox {
        self.progress.0.clone()
    }

    /// How long the other end took nothing of what was ready for it, if it was given up for that.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        self.gathering.borrow().stalled
    }

    /// Whether something came from the other end since this was asked last.
    pub(crate) fn take_heard(&self) -> bool {
        mem::take(&mut self.gathering.borrow_mut().heard)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Turns<S> {
    /// Ends the stream, to which nobody writes any more, so that what was written last arrives.
    pub(crate) async fn linger(self) {
        let Self {
            gathering,
            progress,
        } = self;
        drop(progress);
        if let Some(gathering) = Rc::into_inner(gathering) {
            linger(gathering.into_inner().inner, LINGER).await;
        }
    }
}

impl<S: AsyncWrite + Unpin> Turns<S> {
    /// Runs `writer`, and sends what it wrote whenever it waits for something.
    pub(crate) async fn of<T>(&self, writer: impl Future<Output = T>) -> T {
        let mut writer = pin!(writer);
        poll_fn(|context| {
            self.progress.begin_turn(context);
            self.gathering.borrow_mut().held_up = false;
            let polled = writer.as_mut().poll(context);
            if polled.is_pending() && self.gathering.borrow_mut().end_turn(context) {
                self.progress.end_turn();
            }
            polled
        })
        .await
    }
}

impl<S: AsyncWrite + Unpin> Gathering<S> {
    /// Sends what was gathered; whether nothing is left, here or with the writer.
    fn end_turn(&mut self, context: &mut Context<'_>) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let error = match self.poll_send(context) {
            Poll::Ready(Ok(())) => return !self.held_up,
            Poll::Ready(Err(error)) => error,
            Poll::Pending => match self.stall.poll_over(context, self.taken) {
                Poll::Pending => return false,
                Poll::Ready(limit) => {
                    self.stalled = Some(limit);
                    io::ErrorKind::TimedOut.into()
                }
            },
        };
        self.break_off(error, context);
        false
    }

    fn break_off(&mut self, error: io::Error, context: &mut Context<'_>) {
        self.broken = Some(error);
        self.gathered.clear();
        self.sent = 0;
        context.waker().wake_by_ref();
    }

    /// Takes some of `bytes`; how much. What is broken takes all, and drops it.
    fn poll_gather(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<usize> {
        if self.broken.is_some() {
            return Poll::Ready(bytes.len());
        }
        if bytes.len() >= LARGE {
            let passed = ready!(self.poll_pass(context, bytes));
            return Poll::Ready(passed.unwrap_or_else(|error| {
                self.break_off(error, context);
                bytes.len()
            }));
        }
        let is_full = |buffer: &Buffer| buffer.len() >= ROOM;
        if self.gathered.last().is_none_or(is_full) {
            if self.gathered.len() == MOST
                && let Err(error) = ready!(self.poll_send(context))
            {
                self.break_off(error, context);
                return Poll::Ready(bytes.len());
            }
            let buffer = self.buffers.lend();
            self.gathered.push(buffer);
        }
        let Some(last) = self.gathered.last_mut() else {
            unreachable!("one was added");
        };
        let taken = bytes.get(..ROOM - last.len()).unwrap_or(bytes);
        last.extend_from_slice(taken);
        Poll::Ready(taken.len())
    }

    /// Sends everything that was gathered.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            ready!(self.poll_send_some(context, &[]))?;
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    /// Sends some of what was gathered and of `more`, which comes behind it; how much of the latter.
    fn poll_send_some(
        &mut self,
        context: &mut Context<'_>,
        more: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut pieces = [IoSlice::new(&[]); MOST + 1];
        let buffers = self.gathered.iter().map(|buffer| &buffer[..]);
        for (piece, bytes) in pieces.iter_mut().zip(buffers.chain([more])) {
            *piece = IoSlice::new(bytes);
        }
        IoSlice::advance_slices(&mut &mut pieces[..], self.sent);
        let inner = Pin::new(&mut self.inner);
        match ready!(inner.poll_write_vectored(context, &pieces))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => Poll::Ready(Ok(self.let_go(count))),
        }
    }

    /// Sends some of `bytes`, which are too many to be gathered, behind what was.
    fn poll_pass(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let passed = ready!(self.poll_send_some(context, bytes))?;
            if passed > 0 {
                return Poll::Ready(Ok(passed));
            }
        }
    }

    /// Gives back the buffers that have been sent whole: an idle connection keeps no room. How much was
    /// sent beyond them.
    fn let_go(&mut self, count: usize) -> usize {
        self.sent += count;
        self.taken += count as u64;
        while let Some(first) = self.gathered.first()
            && self.sent >= first.len()
        {
            self.sent -= first.len();
            self.gathered.remove(0);
        }
        match self.gathered.is_empty() {
            true => mem::take(&mut self.sent),
            false => 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut gathering = self.0.borrow_mut();
        let read = Pin::new(&mut gathering.inner).poll_read(context, room);
        if read.is_pending()
            && let Some(error) = gathering.broken.take()
        {
            return Poll::Ready(Err(error));
        }
        let read = ready!(read);
        gathering.heard = true;
        if let Err(error) = &read
            && let Some(refusal) = Refusal::find(error)
        {
            gathering.farewell.set(Some(refusal));
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut gathering = self.0.borrow_mut();
        let gathered = gathering.poll_gather(context, bytes);
        gathering.held_up |= gathered.is_pending();
        gathered.map(Ok)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathering = self.0.borrow_mut();
        if gathering.broken.is_none() {
            ready!(gathering.poll_send(context))?;
        }
        Pin::new(&mut gathering.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::room::tests::places;

    const LIMIT: Duration = Duration::from_secs(300);

    fn never(_: &mut Context<'_>) -> bool {
        false
    }

    /// Notes what is written at once, and fails after so many times.
    struct Noting(Rc<RefCell<Vec<usize>>>, usize, Vec<u8>);

    /// Something came before: three letters.
    impl AsyncRead for Noting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            room: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.2.pop().map_or(Poll::Pending, |letter| {
                room.put_slice(&[letter]);
                Poll::Ready(Ok(()))
            })
        }
    }

    impl AsyncWrite for Noting {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let mut noted = self.0.borrow_mut();
            if noted.len() == self.1 {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            noted.push(bytes.len());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
            self.poll_write(context, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What is sent at once of the writes of one turn, each flushed; and what is read after it, if
    /// that ends.
    async fn sent(writes: &[usize], times: usize) -> (Vec<usize>, Vec<u8>, Option<io::Error>) {
        let noted = Rc::default();
        let inner = Noting(Rc::clone(&noted), times, b"abc".to_vec());
        let (mut stream, turns) = coalesce(inner, Buffers::new(usize::MAX, places(0)), LIMIT);
        turns
            .of(async {
                for length in writes {
                    stream.write_all(&vec![b'a'; *length]).await.unwrap();
                    stream.flush().await.unwrap();
                }
                tokio::task::yield_now().await;
            })
            .await;
        let mut read = Vec::new();
        let ended = poll_fn(|context| {
            let ended = pin!(stream.read_to_end(&mut read)).poll(context);
            Poll::Ready(match ended {
                Poll::Ready(ended) => ended.err(),
                Poll::Pending => None,
            })
        });
        let ended = ended.await;
        (noted.take(), read, ended)
    }

    #[tokio::test]
    async fn what_one_turn_writes_is_sent_at_once_up_to_a_bound() {
        for (writes, expected) in [
            (&[][..], &[][..]),
            (&[9, 1300, 9, 1300], &[2618]),
            (&[ROOM, 1], &[ROOM + 1]),
            (&[ROOM, ROOM, ROOM, ROOM, 5], &[MOST * ROOM, 5]),
            (&[9, MOST * ROOM, 9, 9], &[MOST * ROOM + 9, 18]),
        ] {
            let (sent, _, ended) = sent(writes, 9).await;
            assert_eq!(sent, expected);
            assert!(ended.is_none());
        }
    }

    #[tokio::test]
    async fn what_came_is_read_before_it_is_told_that_nothing_can_be_sent() {
        let (_, read, ended) = sent(&[1], 0).await;
        assert_eq!(read, b"cba");
        assert_eq!(ended.unwrap().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_takes_nothing_is_given_up() {
        // It takes as much as fits into it, and nobody reads there.
        let (ours, _theirs) = tokio::io::duplex(100);
        let (mut stream, turns) = coalesce(ours, Buffers::new(usize::MAX, places(0)), LIMIT);
        let writing = async {
            stream.write_all(&[b'a'; 1000]).await.unwrap();
            stream.read_u8().await.unwrap_err().kind()
        };
        assert_eq!(turns.of(writing).await, io::ErrorKind::TimedOut);
        assert_eq!(turns.stalled(), Some(LIMIT));
    }

    #[tokio::test]
    async fn an_outbox_is_empty_after_a_turn_in_which_nothing_had_to_wait() {
        let (ours, mut theirs) = tokio::io::duplex(100);
        let (mut stream, turns) = coalesce(ours, Buffers::new(usize::MAX, places(0)), LIMIT);
        let outbox = turns.outbox();
        let write = turns.of(async {
            stream.write_all(&[b'a'; 2 * MOST * ROOM]).await.unwrap();
            std::future::pending::<()>().await;
        });
        let mut taken = 0;
        let take = async {
            loop {
                taken += theirs.read(&mut [0; 4096]).await.unwrap();
            }
        };
        tokio::select! {
            biased;
            () = outbox.emptied(never) => {}
            () = take => unreachable!("it goes on"),
            () = write => unreachable!("it goes on"),
        }
        assert!(taken + 100 >= 2 * MOST * ROOM, "{taken}");
    }

    #[tokio::test]
    async fn an_outbox_is_waited_for_no_longer_than_its_connection_lives() {
        let (ours, _theirs) = tokio::io::duplex(100);
        let (_stream, turns) = coalesce(ours, Buffers::new(usize::MAX, places(0)), LIMIT);
        let outbox = turns.outbox();
        tokio::join!(outbox.emptied(never), async { drop(turns) });
        outbox.emptied(never).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_outbox_that_nobody_empties_is_waited_for_for_a_while_unless_that_is_pointless() {
        let (ours, _theirs) = tokio::io::duplex(100);
        let (_stream, turns) = coalesce(ours, Buffers::new(usize::MAX, places(0)), LIMIT);
        let began = tokio::time::Instant::now();
        turns.outbox().emptied(|_| true).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        turns.outbox().emptied(never).await;
        assert!(began.elapsed() >= LAST_WORDS);
    }
}
