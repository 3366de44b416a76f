//! A member of the mesh that speaks HTTP/2 as it likes: it has a certificate, and writes its frames by hand.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use leno_channel::{Alpn, Clocks, Keyring, files};
use leno_e2e::World;
use leno_identity::Trust;
use leno_model::{SpiffeId, TrustDomain};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

use crate::frames::{Kind, PREFACE, frame, frames};

/// How long a peer takes nothing before it is said to read no more.
const STUCK: Duration = Duration::from_secs(5);

/// How long something may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection of HTTP/2 to a proxy.
pub struct Hostile {
    runtime: Runtime,
    stream: Box<dyn Connection>,
    heard: Vec<u8>,
}

trait Connection: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}

/// What became of something that was sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Taken {
    /// All of it was taken.
    All,
    /// The peer reads no more: it waits until it is read itself.
    Stuck,
    /// The peer has closed the connection.
    Closed,
}

impl Hostile {
    /// One that has proven to be `web` to the proxy of `cart`, on its tunnel port, and takes streams of bytes.
    pub fn in_tunnel(world: &World) -> Self {
        Self::proven(world, Alpn::Hbone)
    }

    /// The same, which takes requests, too.
    pub fn in_tunnel_of_requests(world: &World) -> Self {
        Self::proven(world, Alpn::Leno1)
    }

    fn proven(world: &World, alpn: Alpn) -> Self {
        let runtime = runtime();
        let stream = runtime.block_on(prove(world, alpn));
        Self::greeting(runtime, Box::new(stream))
    }

    /// One on a port where HTTP is spoken in plain.
    pub fn in_plain(to: SocketAddr) -> Self {
        let runtime = runtime();
        let stream = runtime.block_on(TcpStream::connect(to));
        let stream = stream.expect("the proxy listens");
        stream.set_nodelay(true).expect("the option can be set");
        Self::greeting(runtime, Box::new(stream))
    }

    fn greeting(runtime: Runtime, stream: Box<dyn Connection>) -> Self {
        let mut hostile = Self {
            runtime,
            stream,
            heard: Vec::new(),
        };
        hostile.send(&[PREFACE, &frame(Kind::Settings, 0, 0, &[])].concat());
        hostile
    }

    /// Sends bytes and reads nothing.
    pub fn send(&mut self, bytes: &[u8]) -> Taken {
        let Self {
            runtime, stream, ..
        } = self;
        let sending = async { timeout(STUCK, stream.write_all(bytes)).await };
        match runtime.block_on(sending) {
            Ok(Ok(())) => Taken::All,
            Ok(Err(_closed)) => Taken::Closed,
            Err(_late) => Taken::Stuck,
        }
    }

    /// Sends what `next` makes of each number below `count`, and reads what comes meanwhile.
    pub fn flood(&mut self, count: u32, mut next: impl FnMut(u32) -> Vec<u8>) -> Taken {
        let Self {
            runtime,
            stream,
            heard,
        } = self;
        runtime.block_on(async {
            let (mut from, mut to) = tokio::io::split(stream);
            let mut room = vec![0; 64 * 1024];
            for start in (0..count).step_by(BATCH as usize) {
                let batch = start..(start + BATCH).min(count);
                let bytes: Vec<u8> = batch.flat_map(&mut next).collect();
                let mut sending = std::pin::pin!(timeout(STUCK, to.write_all(&bytes)));
                loop {
                    tokio::select! {
                        sent = &mut sending => match sent {
                            Ok(Ok(())) => break,
                            Ok(Err(_closed)) => return Taken::Closed,
                            Err(_late) => return Taken::Stuck,
                        },
                        read = from.read(&mut room) => match read {
                            Ok(count @ 1..) => heard.extend(&room[..count]),
                            Ok(0) | Err(_) => return Taken::Closed,
                        },
                    }
                }
            }
            Taken::All
        })
    }

    /// Reads until a frame of this kind comes; `None` if the connection ends before.
    pub fn until(&mut self, kind: Kind) -> Option<Vec<u8>> {
        loop {
            let found = frames(&self.heard);
            let found = found.iter().find(|(found, ..)| *found == kind as u8);
            if let Some((.., payload)) = found {
                return Some(payload.to_vec());
            }
            self.hear().ok()?;
        }
    }

    /// Reads until so many pings of ours were answered; `None` if the connection ends before.
    pub fn pong(&mut self, count: usize) -> Option<()> {
        while self.count(Kind::Ping) < count {
            self.hear().ok()?;
        }
        Some(())
    }

    /// Reads until so many requests were answered or refused, or the connection ends. An answer to a ping
    /// says nothing of them: it may go before answers that wait to be sent.
    pub fn told(&mut self, count: usize) {
        while self.count(Kind::Headers) + self.refused() < count && self.hear().is_ok() {}
        let told = self.count(Kind::Headers) + self.refused();
        assert!(told <= count, "{told} answers to {count} requests");
    }

    /// Reads to the end of the connection, and says with which error it was closed (RFC 9113 section 7);
    /// `None` if no word was said about it.
    pub fn end(&mut self) -> Option<u32> {
        while self.hear().is_ok() {}
        let frames = frames(&self.heard);
        let last = frames
            .iter()
            .rfind(|(kind, ..)| *kind == Kind::GoAway as u8);
        last.and_then(|(.., payload)| {
            let error = payload.get(4..)?.first_chunk()?;
            Some(u32::from_be_bytes(*error))
        })
    }

    /// How many frames of this kind came so far.
    pub fn count(&self, kind: Kind) -> usize {
        let frames = frames(&self.heard);
        frames
            .iter()
            .filter(|(found, ..)| *found == kind as u8)
            .count()
    }

    /// How many streams were refused so far, as there were too many at once.
    pub fn refused(&self) -> usize {
        let frames = frames(&self.heard);
        let refused = |frame: &&(u8, u8, u32, &[u8])| {
            frame.0 == Kind::RstStream as u8 && *frame.3 == REFUSED_STREAM.to_be_bytes()
        };
        frames.iter().filter(refused).count()
    }

    fn hear(&mut self) -> io::Result<()> {
        let mut room = vec![0; 64 * 1024];
        let Self {
            runtime, stream, ..
        } = self;
        let reading = async { timeout(PATIENCE, stream.read(&mut room)).await };
        let read = runtime.block_on(reading);
        match read.expect("the connection goes on, or ends")? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.heard.extend(&room[..count]);
                Ok(())
            }
        }
    }
}

/// How many frames are written at once.
const BATCH: u32 = 64;

/// Why a stream is refused: nothing of it was processed (RFC 9113 section 7).
const REFUSED_STREAM: u32 = 7;

fn runtime() -> Runtime {
    let mut runtime = runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a thread can wait")
}

/// A handshake by the certificate of `web`.
async fn prove(world: &World, alpn: Alpn) -> impl Connection + 'static {
    let certificates = world.folder().join("certs");
    let key = certificates.join("web.key");
    let credential = files::read_credential(&key, &certificates.join("web.pem"));
    let roots = files::read_certificates(&certificates.join("roots.pem"));
    let domain = TrustDomain::new("shop.local").expect("a name");
    let bundles = BTreeMap::from([(domain, Arc::new(roots.expect("there are roots")))]);
    let (trust, _) = Trust::new(&bundles, Arc::default());
    let keyring = Keyring::new(Clocks::start().clock());
    let installed = keyring.install(&credential.expect("web has a certificate"));
    installed.expect("its key fits");
    keyring.judge_by(Arc::new(trust));
    let tcp = TcpStream::connect(world.at("cart", 15008)).await;
    let [own, peer] = ["web", "cart"].map(|name| {
        SpiffeId::parse(&format!("spiffe://shop.local/ns/shop/sa/{name}")).expect("an identity")
    });
    let tcp = tcp.expect("the proxy listens");
    tcp.set_nodelay(true).expect("the option can be set");
    let connected = keyring.connect(tcp, &own, &[peer], &[alpn]).await;
    connected.expect("it is a member").stream
}
