//! Whether what a workload sends comes to this proxy: again and again the proxy sends something itself to where only
//! packet rules lead here, the way of what the workload sends, and waits for it at its own door. It takes no right to
//! look at the rules, and sees what looking at them does not: that they work.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_channel::Clocks;
use leno_host::{Netns, OUTBOUND_PORT, PROOFS};
use leno_model::Dice;
use leno_model::view::WorkloadId;
use leno_telemetry::Telemetry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How often it is tried while all is well.
const EVERY: Duration = Duration::from_secs(3);
/// How soon again while it is not.
const AGAIN: Duration = Duration::from_secs(1);
/// How long what was sent may take to come.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many tries in a row must fail before the capture counts as lost: a process may have had no time to take
/// what came.
const TRIES: u32 = 2;
/// How often it is sent anew when another proxy took it: an older and a newer one may stand side by side for a while.
const PROXIES: usize = 16;

/// What is sent: a number that nobody else knows.
type Nonce = [u8; 16];

/// What was sent and is awaited, at all workers' doors.
#[derive(Default, Debug)]
pub(crate) struct Proofs {
    awaited: Mutex<BTreeSet<Nonce>>,
    /// Counts what has come.
    come: watch::Sender<u64>,
}

impl Proofs {
    /// Reads what was sent to this proxy's door, and lets whoever awaits it know.
    pub(crate) async fn take(&self, mut client: TcpStream) {
        let mut nonce = Nonce::default();
        if let Ok(Ok(_)) = timeout(PATIENCE, client.read_exact(&mut nonce)).await
            && self.awaited().remove(&nonce)
        {
            self.come.send_modify(|come| *come = come.wrapping_add(1));
        }
    }

    fn awaited(&self) -> MutexGuard<'_, BTreeSet<Nonce>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, nonce: Nonce) -> Awaited<'_> {
        self.awaited().insert(nonce);
        Awaited {
            proofs: self,
            nonce,
        }
    }
}

/// What was sent once, until it has come or nobody waits for it any more.
struct Awaited<'a> {
    proofs: &'a Proofs,
    nonce: Nonce,
}

impl Awaited<'_> {
    async fn comes(&self) {
        let mut come = self.proofs.come.subscribe();
        while !self.has_come() {
            // Whoever says so lives as long as this.
            drop(come.changed().await);
        }
    }

    fn has_come(&self) -> bool {
        !self.proofs.awaited().contains(&self.nonce)
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.proofs.awaited().remove(&self.nonce);
    }
}

/// Tries whether what a workload sends comes to this proxy.
#[derive(Debug)]
pub struct Prover {
    pub(crate) workload: WorkloadId,
    pub(crate) proofs: Arc<Proofs>,
    pub(crate) telemetry: Telemetry,
    pub(crate) clocks: Clocks,
    pub(crate) dice: Dice,
    /// The network of the workload, where the proxy is not in it.
    pub(crate) netns: Option<Arc<Netns>>,
}

impl Prover {
    /// Tries for as long as it is polled. What comes of it is in [`Telemetry::capture`], which is to expect the
    /// workload.
    pub async fn run(mut self) -> Infallible {
        let mut failures = 0_u32;
        loop {
            let tried = self.attempt().await;
            let capture = self.telemetry.capture();
            let pause = match tried {
                Ok(()) => {
                    failures = 0;
                    capture.proven(&self.workload);
                    EVERY
                }
                Err(_) if failures + 1 < TRIES => {
                    failures += 1;
                    Duration::ZERO
                }
                Err(why) => {
                    capture.lost(&self.workload, why, self.clocks.now().wall);
                    AGAIN
                }
            };
            sleep(pause).await;
        }
    }

    /// Tries once, over each family in which something can be sent; says what did not come.
    async fn attempt(&mut self) -> Result<(), String> {
        let [v4, v6] = PROOFS.map(|proof| (proof, self.nonce()));
        let (v4, v6) = tokio::join!(self.send(v4), self.send(v6));
        match (v4, v6) {
            (Err(v4), Err(v6)) => Err(format!("{v4}; {v6}")),
            (Err(why), _) | (_, Err(why)) => Err(why),
            (Ok(Came::NoWay), Ok(Came::NoWay)) => {
                let [v4, v6] = PROOFS;
                Err(format!(
                    "it cannot be tried: no route leads to {v4} or {v6}"
                ))
            }
            (Ok(_), Ok(_)) => Ok(()),
        }
    }

    fn nonce(&mut self) -> Nonce {
        let halves = [self.dice.next_u64(), self.dice.next_u64()];
        let mut nonce = Nonce::default();
        for (to, from) in nonce.chunks_mut(8).zip(halves) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        nonce
    }

    async fn send(&self, (proof, nonce): (IpAddr, Nonce)) -> Result<Came, String> {
        let to = SocketAddr::new(proof, OUTBOUND_PORT);
        let failed = |error: io::Error| format!("what was sent to {to} did not come: {error}");
        if !self.within(|| has_way(to)).map_err(failed)? {
            return Ok(Came::NoWay);
        }
        let awaited = self.proofs.expect(nonce);
        let sent = async {
            for _ in 0..PROXIES {
                let socket = self.within(|| match to {
                    SocketAddr::V4(_) => TcpSocket::new_v4(),
                    SocketAddr::V6(_) => TcpSocket::new_v6(),
                })?;
                let mut client = socket.connect(to).await?;
                client.write_all(&nonce).await?;
                let mut nothing = [0; 1];
                tokio::select! {
                    () = awaited.comes() => return Ok(Came::Here),
                    // A proxy that it is not for hangs up.
                    _ = client.read(&mut nothing) => if awaited.has_come() {
                        return Ok(Came::Here);
                    },
                }
            }
            Err(io::Error::other("others take it"))
        };
        let late = |_| format!("what was sent to {to} did not come within {PATIENCE:?}");
        timeout(PATIENCE, sent).await.map_err(late)?.map_err(failed)
    }

    /// What `make` makes in the network of the workload.
    fn within<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match &self.netns {
            Some(netns) => netns.within(make),
            None => make(),
        }
    }
}

/// What became of what was sent over one family.
enum Came {
    /// It has come.
    Here,
    /// The host has nothing of that family, or no route: nothing could be sent anywhere.
    NoWay,
}

/// Whether anything could be sent there: a socket for datagrams asks for the route, and sends nothing.
fn has_way(to: SocketAddr) -> io::Result<bool> {
    let own: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let asked = UdpSocket::bind((own, 0)).and_then(|socket| socket.connect(to));
    match asked.map_err(|error| (error.kind(), error)) {
        Ok(()) => Ok(true),
        Err((
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::Unsupported,
            _,
        )) => Ok(false),
        Err((_, error)) => Err(error),
    }
}
