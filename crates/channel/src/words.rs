//! Why a connection could not be made or has ended, in words that need no manual.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::failure::Refusal;

/// What `error` says of a connection, as a clause without its full stop.
pub fn words(error: &io::Error) -> String {
    if let Some(refusal) = Refusal::find(error) {
        return refusal.to_string();
    }
    let known = match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused",
        io::ErrorKind::TimedOut => "no answer came in time",
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => "the other end closed the connection without a word",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "there is no way to the other end"
        }
        _ => return error.to_string(),
    };
    known.to_owned()
}

/// A stream whose errors say [`words`]: HTTP/2 keeps the text of an error, and not the error.
#[derive(Debug)]
pub(crate) struct InWords<S>(pub(crate) S);

fn reworded(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), words(&error))
}

impl<S: AsyncRead + Unpin> AsyncRead for InWords<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.0).poll_read(context, room));
        Poll::Ready(read.map_err(reworded))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for InWords<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write(context, bytes));
        Poll::Ready(written.map_err(reworded))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.0).poll_flush(context));
        Poll::Ready(flushed.map_err(reworded))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = ready!(Pin::new(&mut self.0).poll_shutdown(context));
        Poll::Ready(shut.map_err(reworded))
    }
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn what_ends_connections_is_said_without_the_words_of_libraries() {
        let closed = "the other end closed the connection without a word";
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRevoked);
        for (error, expect) in [
            (
                io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "peer closed connection without sending TLS close_notify: https://docs.rs/x",
                ),
                closed,
            ),
            (io::ErrorKind::ConnectionReset.into(), closed),
            (
                io::ErrorKind::ConnectionRefused.into(),
                "the connection was refused",
            ),
            (io::ErrorKind::TimedOut.into(), "no answer came in time"),
            (
                io::Error::new(io::ErrorKind::InvalidData, alert),
                "the peer refused: our identity is revoked there",
            ),
            (io::Error::other("no such host"), "no such host"),
        ] {
            assert_eq!(words(&error), expect);
            assert_eq!(reworded(error).to_string(), expect);
        }
    }
}
