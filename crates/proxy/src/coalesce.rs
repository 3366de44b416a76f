//! A stream that gathers what HTTP/2 writes while it has its turn, and sends it when the turn is over.
//! HTTP/2 flushes before each frame of data that is not small; without this, each would become a TLS
//! record and a system call of its own.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use leno_channel::Refusal;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffer::{Buffer, Buffers, ROOM};

/// Why the other end of a stream broke off, once it has said so. HTTP/2 keeps the words of an error,
/// and not the error.
pub(crate) type Farewell = Rc<Cell<Option<Refusal>>>;

/// A stream whose writes wait for the end of a turn ([`Turns`]). To flush it promises nothing.
pub(crate) struct Coalesced<S>(Rc<RefCell<Gathering<S>>>);

/// Ends the turns of whoever writes to a [`Coalesced`] stream.
pub(crate) struct Turns<S>(Rc<RefCell<Gathering<S>>>);

struct Gathering<S> {
    inner: S,
    buffers: Buffers,
    gathered: Option<Buffer>,
    written: usize,
    /// Why nothing can be written any more; whoever writes next learns it.
    broken: Option<io::Error>,
    farewell: Farewell,
}

/// Gathers what is written to `inner`.
pub(crate) fn coalesce<S>(inner: S, buffers: Buffers) -> (Coalesced<S>, Turns<S>) {
    let gathering = Rc::new(RefCell::new(Gathering {
        inner,
        buffers,
        gathered: None,
        written: 0,
        broken: None,
        farewell: Farewell::default(),
    }));
    (Coalesced(gathering.clone()), Turns(gathering))
}

impl<S> Turns<S> {
    /// Where it will stand why the other end broke off.
    pub(crate) fn farewell(&self) -> Farewell {
        self.0.borrow().farewell.clone()
    }
}

impl<S: AsyncWrite + Unpin> Turns<S> {
    /// Runs `writer`, and sends what it wrote whenever it waits for something.
    pub(crate) async fn of<T>(&self, writer: impl Future<Output = T>) -> T {
        let mut writer = pin!(writer);
        poll_fn(|context| {
            let polled = writer.as_mut().poll(context);
            if polled.is_pending() {
                self.0.borrow_mut().end_turn(context);
            }
            polled
        })
        .await
    }
}

impl<S: AsyncWrite + Unpin> Gathering<S> {
    fn end_turn(&mut self, context: &mut Context<'_>) {
        if self.broken.is_none()
            && let Poll::Ready(Err(error)) = self.poll_send(context)
        {
            self.broken = Some(error);
            context.waker().wake_by_ref();
        }
    }

    /// Sends everything that was gathered.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(gathered) = &self.gathered else {
            return Poll::Ready(Ok(()));
        };
        while let Some(rest @ [_, ..]) = gathered.get(self.written..) {
            match ready!(Pin::new(&mut self.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        // An idle connection keeps no room.
        self.gathered = None;
        self.written = 0;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn check(&mut self) -> io::Result<()> {
        self.broken.take().map_or(Ok(()), Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut gathering = self.0.borrow_mut();
        let read = ready!(Pin::new(&mut gathering.inner).poll_read(context, room));
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
        gathering.check()?;
        let is_full = |gathered: &Buffer| gathered.len() >= ROOM;
        if gathering.gathered.as_ref().is_some_and(is_full) {
            ready!(gathering.poll_send(context))?;
        }
        let Gathering {
            gathered, buffers, ..
        } = &mut *gathering;
        let gathered = gathered.get_or_insert_with(|| buffers.lend());
        let taken = bytes.get(..ROOM - gathered.len()).unwrap_or(bytes);
        gathered.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.borrow_mut().check())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathering = self.0.borrow_mut();
        gathering.check()?;
        ready!(gathering.poll_send(context))?;
        Pin::new(&mut gathering.inner).poll_shutdown(context)
    }
}
