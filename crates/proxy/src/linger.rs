//! The end of a connection that its other end may not have noticed. A socket that is closed with
//! something unread resets its connection, and what was written last is lost on its way.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

/// How many bytes are listened to at most.
const MOST: usize = 256 * 1024;

/// Says that nothing more will be written, and drops what still comes until the other end closes too:
/// for so long at most, since whoever goes on sending has had its answer.
pub(crate) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin, limit: Duration) {
    let shutdown: io::Result<()> =
        poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)).await;
    if shutdown.is_err() {
        return;
    }
    let discard = async {
        let mut room = [0; 512];
        let mut left = MOST;
        while let Ok(count @ 1..) = stream.read(&mut room).await {
            left = match left.checked_sub(count) {
                Some(left) => left,
                None => return,
            };
        }
    };
    drop(tokio::time::timeout(limit, discard).await);
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::stream::Stream;

    const MUCH: usize = 400_000;

    /// Writes much to a client that reads it late and has sent something that nobody reads; what
    /// arrives if the connection `ends` so.
    async fn arrives(ends: impl AsyncFn(TcpStream)) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // It takes little at a time: the rest waits at its sender.
        SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap());
        let (server, client) = tokio::join!(socket, listener.accept());
        let (mut server, mut client) = (server.unwrap(), client.unwrap().0);
        SockRef::from(&server)
            .set_send_buffer_size(4 * MUCH)
            .unwrap();
        client.write_all(b"go on").await.unwrap();
        server.readable().await.unwrap();
        server.write_all(&[7; MUCH]).await.unwrap();
        let read = async {
            tokio::task::yield_now().await;
            let mut all = Vec::new();
            drop(client.read_to_end(&mut all).await);
            drop(client);
            all.len()
        };
        tokio::join!(read, ends(server)).0
    }

    #[tokio::test]
    async fn what_was_written_last_arrives() {
        let lingers = async |server| linger(server, Duration::from_secs(20)).await;
        assert_eq!(arrives(lingers).await, MUCH);
        let breaks_off = async |server| Stream::Tcp(server).break_off(None).await;
        assert_eq!(arrives(breaks_off).await, MUCH);
        let cuts = async |server| Stream::Tcp(server).reset(None);
        assert!(arrives(cuts).await < MUCH);
        let closes = async |server| drop(server);
        assert!(arrives(closes).await < MUCH);
    }
}
