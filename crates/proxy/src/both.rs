//! Both directions of a stream of bytes. An end that breaks off may have said something before, which the other end is
//! still given: why a server of TLS lets nobody in, or why a database ends a session.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use leno_telemetry::Bytes;

use crate::buffer::{Buffer, Buffers};
use crate::patience::Stall;
use crate::pump::{Pump, Stopped};
use crate::stream::{Cut, Stream};

/// How long the last words of an end that broke off are given to arrive.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is carried between the two ends.
pub(crate) struct Both {
    up: Pump,
    down: Pump,
    /// There is none before an end has broken off.
    last: Option<Box<Last>>,
}

/// The end that broke off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// Who called.
    Client(Cut),
    /// Who was called.
    Server(Cut),
}

/// The last words of an end that broke off.
struct Last {
    of: Broken,
    stall: Stall,
}

impl Both {
    /// Nothing has been carried; `came` is what came of the client already.
    pub(crate) fn new(came: Option<Buffer>) -> Self {
        Self {
            up: Pump::bytes().behind(came),
            down: Pump::bytes(),
            last: None,
        }
    }

    /// How much was carried.
    pub(crate) fn moved(&self) -> Bytes {
        Bytes {
            sent: self.up.moved(),
            received: self.down.moved(),
        }
    }

    /// Reads nothing more, and writes what it holds.
    pub(crate) fn rest(&mut self) {
        if self.last.is_none() {
            self.up.rest();
            self.down.rest();
        }
    }

    /// Whether it holds nothing, so that others can go on between the two ends where it stopped.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.last.is_none() && self.up.holds_nothing() && self.down.holds_nothing()
    }

    /// Carries what can be carried; ready when both directions have ended, or an end has broken off and the other one was
    /// given what that said before. One that takes none of it for `limit` gets no more.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        (client, server): (&mut Stream, &mut Stream),
        buffers: &Buffers,
        limit: Duration,
    ) -> Poll<Result<(), Broken>> {
        if self.last.is_none() {
            match ready!(self.poll_both(context, (client, server), buffers)) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(Found::ByReading(broken)) => return Poll::Ready(Err(broken)),
                Err(Found::ByWriting(broken)) => self.begin_last(broken, limit),
            }
        }
        let Self { up, down, last } = self;
        let Some(last) = last else {
            unreachable!("it has begun");
        };
        let polled = match last.of {
            Broken::Client(_) => up.poll(context, client, server, buffers),
            Broken::Server(_) => down.poll(context, server, client, buffers),
        };
        if polled.is_pending() {
            let moved = up.moved() + down.moved();
            ready!(last.stall.poll_over(context, moved));
        }
        Poll::Ready(Err(last.of))
    }

    fn poll_both(
        &mut self,
        context: &mut Context<'_>,
        (client, server): (&mut Stream, &mut Stream),
        buffers: &Buffers,
    ) -> Poll<Result<(), Found>> {
        let up = self.up.poll(context, client, server, buffers);
        let up = up.map_err(|stopped| Found::of(stopped, Broken::Client, Broken::Server))?;
        let down = self.down.poll(context, server, client, buffers);
        let down = down.map_err(|stopped| Found::of(stopped, Broken::Server, Broken::Client))?;
        ready!(up);
        down.map(Ok)
    }

    fn begin_last(&mut self, broken: Broken, limit: Duration) {
        match broken {
            Broken::Client(_) => self.up.spill(),
            Broken::Server(_) => self.down.spill(),
        }
        self.last = Some(Box::new(Last {
            of: broken,
            stall: Stall::new(limit),
        }));
    }
}

/// How it was found out that an end has broken off.
enum Found {
    /// All that it said before has been read, and given on.
    ByReading(Broken),
    /// Some of what it said may not have been read yet.
    ByWriting(Broken),
}

impl Found {
    /// By how the direction stopped that goes `from` one end `to` the other.
    fn of(stopped: Stopped, from: fn(Cut) -> Broken, to: fn(Cut) -> Broken) -> Self {
        match stopped {
            Stopped::Read(cut) => Self::ByReading(from(cut)),
            Stopped::Write(cut) => Self::ByWriting(to(cut)),
            Stopped::Body(_) => unreachable!("bare bytes have no flaw"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use socket2::SockRef;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::room::tests::places;

    const LIMIT: Duration = Duration::from_secs(300);

    /// An application, and our end of its connection.
    async fn connection() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(listener.accept(), far);
        (far.unwrap(), Stream::Tcp(near.unwrap().0))
    }

    /// Two ends of which `speaks` said so much, and then broke off, while the other one still sends.
    struct Exchange {
        both: Both,
        ends: (Stream, Stream),
        listener: TcpStream,
    }

    impl Exchange {
        async fn begin(speaks: fn(Cut) -> Broken, count: usize) -> Self {
            let (caller, client) = connection().await;
            let (called, server) = connection().await;
            let (mut speaker, mut listener) = match speaks(Cut::There) {
                Broken::Client(_) => (caller, called),
                Broken::Server(_) => (called, caller),
            };
            for end in [&client, &server] {
                let socket = SockRef::from(end.socket().unwrap());
                socket.set_send_buffer_size(4096).unwrap();
            }
            let socket = SockRef::from(&listener);
            socket.set_recv_buffer_size(4096).unwrap();
            speaker.write_all(&vec![b'!'; count]).await.unwrap();
            SockRef::from(&speaker)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(speaker);
            listener.write_all(b"are you there?").await.unwrap();
            Self {
                both: Both::new(None),
                ends: (client, server),
                listener,
            }
        }

        /// How it ends while the other end hears so much, which is no end of the stream.
        async fn ends(mut self, hears: usize) -> Broken {
            let (client, server) = &mut self.ends;
            let buffers = Buffers::new(usize::MAX, places(0));
            let over = poll_fn(|context| {
                let ends = (&mut *client, &mut *server);
                self.both.poll(context, ends, &buffers, LIMIT)
            });
            let mut heard = vec![0; hears];
            let (over, heard) = tokio::join!(over, self.listener.read_exact(&mut heard));
            assert_eq!(heard.unwrap(), hears);
            let more = self.listener.try_read(&mut [0]);
            assert!(!matches!(more, Ok(0)), "{more:?}");
            over.unwrap_err()
        }
    }

    #[tokio::test]
    async fn last_words_are_given_to_who_still_talks() {
        for speaks in [Broken::Client, Broken::Server] {
            for count in [0, 7, 50_000] {
                let exchange = Exchange::begin(speaks, count).await;
                assert_eq!(exchange.ends(count).await, speaks(Cut::There));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_none_of_them_is_given_up() {
        let exchange = Exchange::begin(Broken::Server, 60_000).await;
        let began = tokio::time::Instant::now();
        assert_eq!(exchange.ends(0).await, Broken::Server(Cut::There));
        assert!(began.elapsed() >= LIMIT);
    }
}
