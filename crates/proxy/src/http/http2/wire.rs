//! A stream as `h2` reads and writes it, with what was read before it was known what is spoken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffer::Buffer;
use crate::stream::Stream;

/// A stream, and what has come of it.
pub(in crate::http) struct Wire {
    stream: Stream,
    came: Option<Buffer>,
}

impl Wire {
    /// The stream, of which so much has come.
    pub(in crate::http) fn new(stream: Stream, came: Option<Buffer>) -> Self {
        Self { stream, came }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, came } = &mut *self;
        let Some(held) = came else {
            return stream.poll_read(context, room);
        };
        let count = held.len().min(room.remaining());
        room.put_slice(held.get(..count).unwrap_or_default());
        held.consume(count);
        if held.is_empty() {
            *came = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(context)
    }
}
