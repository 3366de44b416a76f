//! One end of an exchange: a TCP connection, or a stream inside a tunnel.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{BufMut as _, Bytes};
use h2::Reason;
use leno_model::{Code, Mono};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::both::LAST_WORDS;
use crate::buffer::LEAST_ROOM;
use crate::pieces::Pieces;
use crate::tunnel::{PIECE, TunnelStream};

/// A byte stream in both directions.
pub(crate) enum Stream {
    /// To or from an application, or somebody outside the mesh.
    Tcp(TcpStream),
    /// To or from another proxy. It is larger than a connection, of which there are many more.
    Tunnel(Box<TunnelStream>),
}

impl Stream {
    /// The socket, if it is one that is read and written as it is.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(tcp) => Some(tcp),
            Self::Tunnel(_) => None,
        }
    }

    /// Waits until there may be something to read, or the end; needs no buffer. A TCP connection
    /// counts as ready from the start, until it was once read in vain.
    pub(crate) fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(context),
            Self::Tunnel(tunnel) => tunnel.poll_read_ready(context),
        }
    }

    /// Appends what has come to `bytes`, as much as there is room for, and no more than goes into one
    /// piece of a tunnel; 0 is the end of the stream.
    pub(crate) fn poll_read_into(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        bytes.reserve(LEAST_ROOM);
        match self {
            // The future holds nothing: a new one goes on where the last one was.
            Self::Tcp(tcp) => pin!(tcp.read_buf(&mut bytes.limit(PIECE))).poll(context),
            Self::Tunnel(tunnel) => tunnel.poll_read_into(context, bytes),
        }
    }

    /// Takes up to `most` of what has come as it is, from an end that has it in memory; nothing if none
    /// has come, or the stream has ended.
    pub(crate) fn take(&mut self, most: usize) -> Bytes {
        match self {
            Self::Tcp(_) => Bytes::new(),
            Self::Tunnel(tunnel) => tunnel.take(most),
        }
    }

    /// Whether what is written is kept for a while, so that it is better given away than copied.
    pub(crate) fn keeps(&self) -> bool {
        matches!(self, Self::Tunnel(_))
    }

    /// Writes some of `pieces`, and leaves the rest.
    pub(crate) fn poll_give(
        &mut self,
        context: &mut Context<'_>,
        pieces: &mut Pieces,
    ) -> Poll<io::Result<usize>> {
        let written = match self {
            Self::Tcp(tcp) => pin!(tcp.write_buf(pieces)).poll(context),
            Self::Tunnel(tunnel) => tunnel.poll_give(context, pieces),
        };
        some(written)
    }

    /// Reads what has come into `room`; nothing is the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(context, room),
            Self::Tunnel(tunnel) => tunnel.poll_read(context, room),
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
        some(written)
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

    /// Ready when something came that is not read yet, or will no longer come.
    pub(crate) fn poll_sign(&mut self, context: &mut Context<'_>) -> Poll<Sign> {
        match self {
            Self::Tcp(tcp) => {
                let mut one = [0];
                let peeked = ready!(tcp.poll_peek(context, &mut ReadBuf::new(&mut one)));
                Poll::Ready(match peeked {
                    Ok(0) => Sign::Ended,
                    Ok(_) => Sign::Spoke,
                    Err(error) => Sign::Broken(Cut::of(&error)),
                })
            }
            Self::Tunnel(tunnel) => tunnel.poll_sign(context),
        }
    }

    /// Looks at what has come and is not read yet, as much as `room` has room for; says how much that is.
    pub(crate) fn poll_peek(
        &mut self,
        context: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_peek(context, &mut ReadBuf::new(room)),
            Self::Tunnel(tunnel) => tunnel.poll_peek(context, room),
        }
    }

    /// Waits until something came that is not read yet, or will no longer come.
    pub(crate) async fn sign(&mut self) -> Sign {
        std::future::poll_fn(|context| self.poll_sign(context)).await
    }

    /// Waits until there may be something to read, or the end.
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

    /// What the other end has taken of the last `count` bytes that were written, now that the stream is
    /// over. `ended` is whether that end said so itself: what came to it later nobody reads.
    pub(crate) fn taken(&self, count: usize, ended: bool) -> Taken {
        let Self::Tcp(tcp) = self else {
            return Taken::Unknown;
        };
        match leno_host::unacknowledged(tcp) {
            Ok(left) if left < count => Taken::Something,
            Ok(_) if ended => Taken::Nothing,
            Ok(_) | Err(_) => Taken::Unknown,
        }
    }

    /// Cuts the stream at once, so that the other end sees a failure and not an end; another proxy learns
    /// why.
    pub(crate) fn reset(self, why: Option<Code>) {
        match self {
            Self::Tcp(tcp) => {
                // Where the option cannot be set, closing still ends the stream.
                drop(socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)));
            }
            Self::Tunnel(mut tunnel) => tunnel.reset(why),
        }
    }

    /// The same, behind all that was written, as somebody else did whose last words that were: once it has arrived, or
    /// after [`LAST_WORDS`].
    pub(crate) async fn break_off(self, why: Option<Code>) {
        match self {
            Self::Tcp(tcp) => {
                arrived(&tcp).await;
                Self::Tcp(tcp).reset(why);
            }
            Self::Tunnel(tunnel) => tunnel.break_off(why).await,
        }
    }
}

/// Waits until the other end's kernel has all that was written: a reset takes along what waits still. Nothing tells when
/// that is; mostly it is so at once.
async fn arrived(tcp: &TcpStream) {
    // One that is closed already has nobody's address.
    let is_open = || tcp.peer_addr().is_ok();
    let has_left = || leno_host::unacknowledged(tcp).is_ok_and(|left| left > 0);
    let arriving = async {
        while is_open() && has_left() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    drop(tokio::time::timeout(LAST_WORDS, arriving).await);
}

/// Takes it for a failure that nothing was written.
fn some(written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    match ready!(written)? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        count => Poll::Ready(Ok(count)),
    }
}

/// What is seen of the other end of a stream that is not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sign {
    /// It sent something that is not read yet.
    Spoke,
    /// It sends nothing more. Whether it still reads cannot be seen.
    Ended,
    /// It broke the stream.
    Broken(Cut),
}

/// What of some bytes has come to the other end of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// Nothing, provably.
    Nothing,
    /// Some, or all of it.
    Something,
    /// That cannot be known.
    Unknown,
}

/// How a stream broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// At its other end.
    There,
    /// The same, with this error code of HTTP/2.
    Reset(Reason),
    /// On the way: the connection between the two proxies broke.
    Between,
    /// The other proxy cut it, for this reason.
    For(Code),
}

impl Cut {
    /// The same as it is believed of an end that is another proxy or not: an application says nothing in the mesh's
    /// name.
    pub(crate) fn said_by(self, is_proxy: bool) -> Self {
        match self {
            Self::For(_) if !is_proxy => Self::Reset(Reason::INTERNAL_ERROR),
            cut => cut,
        }
    }

    /// What it is called if it befell the stream to whom was called.
    pub(crate) fn of_server(self) -> Code {
        match self {
            Self::There | Self::Reset(_) => Code::R026,
            Self::Between => Code::R025,
            Self::For(code) => code,
        }
    }

    /// What it is called if it befell the stream of who called, who may leave without a reason.
    pub(crate) fn of_client(self) -> Option<Code> {
        match self {
            Self::There | Self::Reset(_) | Self::Between => None,
            Self::For(code) => Some(code),
        }
    }
}
