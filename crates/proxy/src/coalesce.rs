//! A stream that gathers small writes until it is flushed. HTTP/2 writes a frame at a time; without
//! this, each would become a TLS record and a system call of its own.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use leno_channel::Refusal;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffer::{Buffer, Buffers, ROOM};

/// Why the other end of a stream broke off, once it has said so. HTTP/2 keeps the words of an error,
/// and not the error.
pub(crate) type Farewell = Rc<Cell<Option<Refusal>>>;

/// A stream whose writes wait for a flush.
pub(crate) struct Coalesced<S> {
    inner: S,
    buffers: Buffers,
    gathered: Option<Buffer>,
    written: usize,
    farewell: Farewell,
}

impl<S> Coalesced<S> {
    /// Gathers what is written to `inner`.
    pub(crate) fn new(inner: S, buffers: Buffers) -> Self {
        Self {
            inner,
            buffers,
            gathered: None,
            written: 0,
            farewell: Farewell::default(),
        }
    }

    /// Where it will stand why the other end broke off.
    pub(crate) fn farewell(&self) -> Farewell {
        self.farewell.clone()
    }
}

impl<S: AsyncWrite + Unpin> Coalesced<S> {
    /// Writes everything that was gathered.
    fn poll_empty(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .gathered
            .as_ref()
            .and_then(|gathered| gathered.get(self.written..))
            .filter(|rest| !rest.is_empty())
        {
            match ready!(Pin::new(&mut self.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        // An idle connection keeps no room.
        self.gathered = None;
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.inner).poll_read(context, room));
        if let Err(error) = &read
            && let Some(refusal) = Refusal::find(error)
        {
            self.farewell.set(Some(refusal));
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let is_full = |gathered: &Buffer| gathered.len() >= ROOM;
        if self.gathered.as_ref().is_some_and(is_full) {
            ready!(self.poll_empty(context))?;
        }
        let Self {
            gathered, buffers, ..
        } = &mut *self;
        let gathered = gathered.get_or_insert_with(|| buffers.lend());
        let taken = bytes.get(..ROOM - gathered.len()).unwrap_or(bytes);
        gathered.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
