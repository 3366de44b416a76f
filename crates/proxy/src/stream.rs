//! One end of an exchange: a TCP connection, or a stream inside a tunnel.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use leno_model::Mono;
use tokio::io::{AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::buffer::LEAST_ROOM;
use crate::tunnel::TunnelStream;

/// A byte stream in both directions.
pub(crate) enum Stream {
    /// To or from an application, or somebody outside the mesh.
    Tcp(TcpStream),
    /// To or from another proxy.
    Tunnel(TunnelStream),
}

impl Stream {
    /// Waits until there is something to read, or the end; needs no buffer.
    pub(crate) fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(context),
            Self::Tunnel(tunnel) => tunnel.poll_read_ready(context),
        }
    }

    /// Appends what has come to `bytes`, as much as there is room for; 0 is the end of the stream.
    pub(crate) fn poll_read_into(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        bytes.reserve(LEAST_ROOM);
        match self {
            // The future holds nothing: a new one goes on where the last one was.
            Self::Tcp(tcp) => pin!(tcp.read_buf(bytes)).poll(context),
            Self::Tunnel(tunnel) => tunnel.poll_read_into(context, bytes),
        }
    }

    /// Writes some of `bytes`.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tunnel(tunnel) => tunnel.poll_write(context, bytes),
        };
        match ready!(written)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => Poll::Ready(Ok(count)),
        }
    }

    /// Whether it must be used for nothing further, because the tunnel that it is in soon ends.
    pub(crate) fn is_closing(&self, now: Mono) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Tunnel(tunnel) => tunnel.is_closing(now),
        }
    }

    /// Says that nothing more will be written; reading goes on.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tunnel(tunnel) => Poll::Ready(tunnel.shutdown()),
        }
    }

    /// Ready when the other end has ended or broken the stream (`true`), or has sent something
    /// that is not read yet (`false`).
    pub(crate) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self {
            Self::Tcp(tcp) => {
                let mut one = [0];
                let peeked = ready!(tcp.poll_peek(context, &mut ReadBuf::new(&mut one)));
                Poll::Ready(!matches!(peeked, Ok(1..)))
            }
            Self::Tunnel(tunnel) => tunnel.poll_gone(context),
        }
    }

    /// Waits until there is something to read, or the end.
    pub(crate) async fn readable(&mut self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_read_ready(context)).await
    }

    /// Appends what has come already to `bytes`; 0 is the end of the stream.
    pub(crate) fn read_now(&mut self, bytes: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        self.poll_read_into(&mut Context::from_waker(Waker::noop()), bytes)
    }

    /// Appends what comes next to `bytes`; 0 is the end of the stream.
    pub(crate) async fn read_into(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_read_into(context, bytes)).await
    }

    /// Writes all of `bytes`.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = std::future::poll_fn(|context| self.poll_write(context, bytes)).await?;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Cuts the stream, so that the other end sees a failure and not an end.
    pub(crate) fn reset(self) {
        match self {
            Self::Tcp(tcp) => {
                // Where the option cannot be set, closing still ends the stream.
                drop(socket2::SockRef::from(&tcp).set_linger(Some(std::time::Duration::ZERO)));
            }
            Self::Tunnel(mut tunnel) => tunnel.reset(),
        }
    }
}
