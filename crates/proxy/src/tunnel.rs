//! HBONE: byte streams as CONNECT requests of HTTP/2 (RFC 9113 section 8.5) between two proxies
//! that have proven themselves to each other. Two of ours agree on `leno/1`, in which requests of
//! HTTP/2 applications travel beside them as what they are.

pub(crate) mod client;
pub(crate) mod reason;
pub(crate) mod server;

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};
use leno_model::{Code, Mono};
use tokio::io::ReadBuf;

use crate::coalesce::Outbox;
use crate::pieces::Pieces;
use crate::stream::{Cut, Sign};

/// How much may be on its way in one stream before the reader must have read some of it.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The same for all streams of a connection together. Far above one stream's, so that a stream
/// that nobody reads does not hold up the others.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// How much of a stream goes at once between two proxies of ours: with its head of nine bytes it fills
/// four TLS records.
pub(crate) const PIECE: usize = 64 * 1024 - 9;

/// How many streams one connection carries; more open another connection.
const MOST_STREAMS: u32 = 100;

/// Before the end of what its peer has proven, a connection takes no further streams for this long,
/// or for a tenth of its life if that is less: those that live can end in peace, and the next ones
/// go by a certificate that has been renewed.
const FAREWELL: Duration = Duration::from_secs(30);

/// For how much of the rest of its life a connection takes streams.
fn open_for(left: Duration) -> Duration {
    left.saturating_sub(FAREWELL.min(left / 10))
}

/// The header in which a proxy says why it opens no stream.
pub(crate) const LENO_ERROR: &str = "leno-error";

/// The header in which a request between proxies says to which address it goes.
pub(crate) const LENO_TARGET: &str = "leno-target";

/// One byte stream that is a stream of HTTP/2: inside a tunnel, or of a client that asked for it by CONNECT.
pub(crate) struct TunnelStream {
    send: SendStream<Bytes>,
    receive: RecvStream,
    /// What has come and was not read.
    unread: Bytes,
    /// Tells when what was given to the connection is written.
    outbox: Outbox,
    within: Within,
}

/// The connection that a stream is in, and counted by while it lives.
enum Within {
    /// We opened it.
    Ours(client::Connection),
    /// An application did.
    OfApplication,
    /// Another proxy opened it.
    Theirs(#[expect(dead_code, reason = "it is counted while it is held")] Rc<()>),
}

impl TunnelStream {
    fn new(send: SendStream<Bytes>, receive: RecvStream, outbox: Outbox, within: Within) -> Self {
        Self {
            send,
            receive,
            unread: Bytes::new(),
            outbox,
            within,
        }
    }

    /// The stream that an application asked for, and was granted.
    pub(crate) fn of_application(
        send: SendStream<Bytes>,
        receive: RecvStream,
        outbox: Outbox,
    ) -> Self {
        Self::new(send, receive, outbox, Within::OfApplication)
    }

    /// Whether the connection takes no further streams, and so soon ends.
    pub(crate) fn is_closing(&self, now: Mono) -> bool {
        match &self.within {
            Within::Ours(connection) => !connection.takes_streams(now),
            Within::Theirs(_) | Within::OfApplication => false,
        }
    }

    /// Waits until there is something to read, or the end.
    pub(crate) fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() && !self.receive.is_end_stream() {
            match ready!(self.receive.poll_data(context)) {
                Some(data) => self.unread = data.map_err(|error| self.broken(error))?,
                None => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Looks at what has come and is not read yet; says how much of it is in `room` from here on.
    pub(crate) fn poll_peek(
        &mut self,
        context: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_read_ready(context))?;
        let count = room.len().min(self.unread.len());
        let (Some(room), Some(unread)) = (room.get_mut(..count), self.unread.get(..count)) else {
            unreachable!("both are as long");
        };
        room.copy_from_slice(unread);
        Poll::Ready(Ok(count))
    }

    /// Ready when something came that is not read yet, or will no longer come.
    pub(crate) fn poll_sign(&mut self, context: &mut Context<'_>) -> Poll<Sign> {
        Poll::Ready(match ready!(self.poll_read_ready(context)) {
            Ok(()) if self.unread.is_empty() => Sign::Ended,
            Ok(()) => Sign::Spoke,
            Err(error) => Sign::Broken(Cut::of(&error)),
        })
    }

    /// Appends some of what has come to `bytes`, as much as it has room for; 0 is the end of the
    /// stream.
    pub(crate) fn poll_read_into(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_read_ready(context))?;
        let taken = self.take(bytes.capacity() - bytes.len());
        bytes.extend_from_slice(&taken);
        Poll::Ready(Ok(taken.len()))
    }

    /// Takes up to `most` of what has come.
    pub(crate) fn take(&mut self, most: usize) -> Bytes {
        let taken = self.unread.split_to(self.unread.len().min(most));
        // A stream that has ended needs no window.
        drop(self.receive.flow_control().release_capacity(taken.len()));
        taken
    }

    /// Reads what has come into `room`; nothing is the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_read_ready(context))?;
        room.put_slice(&self.take(room.remaining()));
        Poll::Ready(Ok(()))
    }

    /// Writes some of `bytes`, as much as the reader's window has room for.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let room = ready!(self.poll_room(context, bytes.len()))?;
        let taken = bytes.get(..room).unwrap_or(bytes);
        let data = Bytes::copy_from_slice(taken);
        let sent = self.send.send_data(data, false);
        sent.map_err(|error| self.broken(error))?;
        Poll::Ready(Ok(taken.len()))
    }

    /// The same without copying; the rest is left.
    pub(crate) fn poll_give(
        &mut self,
        context: &mut Context<'_>,
        pieces: &mut Pieces,
    ) -> Poll<io::Result<usize>> {
        let room = ready!(self.poll_room(context, pieces.remaining()))?;
        let data = pieces.split_first(room);
        let count = data.len();
        let sent = self.send.send_data(data, false);
        sent.map_err(|error| self.broken(error))?;
        Poll::Ready(Ok(count))
    }

    /// For how many of `wanted` bytes the reader's window has room.
    fn poll_room(&mut self, context: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(wanted);
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(self.broken(error))),
                None => return Poll::Ready(Err(self.why_closed(context))),
            }
        }
        Poll::Ready(Ok(self.send.capacity()))
    }

    /// Says that nothing more will be written.
    pub(crate) fn shutdown(&mut self) -> io::Result<()> {
        let sent = self.send.send_data(Bytes::new(), true);
        sent.map_err(|error| self.broken(error))
    }

    /// Cuts the stream at once, and tells another proxy why if there is something to tell.
    pub(crate) fn reset(&mut self, why: Option<Code>) {
        self.send.send_reset(match self.within {
            Within::Ours(_) | Within::Theirs(_) => reason::of(why),
            //= RFC 9113 section 8.5: "A proxy treats any error in the TCP connection, which includes receiving a TCP segment with the RST bit set, as a stream error (Section 5.4.2) of type CONNECT_ERROR."
            Within::OfApplication => Reason::CONNECT_ERROR,
        });
    }

    /// The same, behind all that was written: a reset takes along what waits still.
    pub(crate) async fn break_off(mut self, why: Option<Code>) {
        let Self { send, outbox, .. } = &mut self;
        // Nobody reads what goes to one that was cut at its other end.
        let is_cut = |context: &mut Context<'_>| send.poll_reset(context).is_ready();
        outbox.emptied(is_cut).await;
        self.reset(why);
    }

    /// Its failure as a socket would report it. What another proxy says of it is inside.
    fn broken(&self, error: h2::Error) -> io::Error {
        match self.within {
            Within::Ours(_) | Within::Theirs(_) => into_io(error),
            Within::OfApplication => io::ErrorKind::ConnectionReset.into(),
        }
    }

    /// Why nothing more is taken.
    fn why_closed(&mut self, context: &mut Context<'_>) -> io::Error {
        match self.send.poll_reset(context) {
            Poll::Ready(Ok(reason)) => self.broken(reason.into()),
            Poll::Ready(Err(error)) => self.broken(error),
            Poll::Pending => io::ErrorKind::BrokenPipe.into(),
        }
    }
}

impl Cut {
    /// How a stream broke that failed so.
    pub(crate) fn of(error: &io::Error) -> Self {
        let error = error.get_ref();
        let Some(error) = error.and_then(|error| error.downcast_ref::<h2::Error>()) else {
            return Self::There;
        };
        match Self::of_http2(error) {
            Self::Reset(_) => Self::There,
            cut => cut,
        }
    }

    /// How a stream of HTTP/2 broke that failed so.
    pub(crate) fn of_http2(error: &h2::Error) -> Self {
        match error.reason().map(Self::of_reason) {
            Some(Self::For(code)) => Self::For(code),
            _ if error.is_io() || error.is_go_away() => Self::Between,
            Some(cut) => cut,
            None => Self::There,
        }
    }

    /// How a stream of HTTP/2 broke that was reset with this error code.
    pub(crate) fn of_reason(reason: Reason) -> Self {
        reason::code(reason).map_or(Self::Reset(reason), Self::For)
    }
}

/// A stream's failure as a socket would report it, with the error of HTTP/2 inside.
fn into_io(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
