//! A connection that is read in large pieces. TLS asks for 4 KiB at a time, and each would be a
//! system call. The more came at once, the more may come at once the next time.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::buffer::{Buffer, Buffers, ROOM, Size};

/// A connection that is read ahead, into a buffer that is held only while there is something in it.
pub(crate) struct Ahead<S> {
    inner: S,
    buffers: Buffers,
    unread: Option<Unread>,
    /// How much may come at once, by what came last.
    size: Size,
}

struct Unread {
    buffer: Buffer,
    taken: usize,
}

impl<S> Ahead<S> {
    /// Reads ahead of whoever reads this.
    pub(crate) fn of(inner: S, buffers: Buffers) -> Self {
        Self {
            inner,
            buffers,
            unread: None,
            size: Size::Usual,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Unread { buffer, taken } = match &mut this.unread {
            Some(unread) => unread,
            none => {
                let mut buffer = this.buffers.lend_as(this.size);
                ready!(pin!(this.inner.read_buf(&mut *buffer)).poll(context))?;
                this.size = match buffer.len() {
                    ROOM.. => Size::Large,
                    _ => Size::Usual,
                };
                none.insert(Unread { buffer, taken: 0 })
            }
        };
        let rest = buffer.get(*taken..).unwrap_or_default();
        let wanted = rest.get(..room.remaining()).unwrap_or(rest);
        room.put_slice(wanted);
        *taken += wanted.len();
        if *taken == buffer.len() {
            this.unread = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let inner = Pin::new(&mut self.inner);
        match pieces {
            // Most turns of TLS write one record, for which the kernel has a shorter way.
            [only] => inner.poll_write(context, only),
            pieces => inner.poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::room::tests::places;

    #[tokio::test]
    async fn what_came_at_once_is_read_at_once_and_lent_while_it_is_there() {
        let (mut other, end) = tokio::io::duplex(64);
        let buffers = Buffers::new(usize::MAX, places(0));
        let mut ahead = Ahead::of(end, buffers.clone());
        other.write_all(b"one two").await.unwrap();
        let mut room = [0; 4];
        assert_eq!(ahead.read(&mut room).await.unwrap(), 4);
        assert_eq!((&room, ahead.unread.is_some()), (b"one ", true));
        assert_eq!(ahead.read(&mut room).await.unwrap(), 3);
        assert_eq!((&room[..3], ahead.unread.is_some()), (&b"two"[..], false));
        drop(other);
        assert_eq!(ahead.read(&mut room).await.unwrap(), 0);
    }
}
