//! How a newer process of the same proxy takes the place of an older one, without a gap.
//!
//! The older one is asked over a Unix socket for the sockets that it listens on, and goes on meanwhile:
//! for a moment both take connections from them. Once the newer one says that it serves, the older one
//! takes nothing new, passes on each connection in plain on which nothing is under way and each stream of
//! bytes that is plain on both sides, and ends the others in peace: what is encrypted cannot change its
//! process. If the newer one fails before that,
//! the older one has lost nothing; if the older one fails, the newer one has what it was given.

mod word;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use leno_host::link::{Landing, Link};
use leno_host::{Reach, SocketFile, through_folder};
use leno_model::CallId;
use socket2::SockRef;
use tokio::sync::{mpsc, oneshot};

use crate::succession::word::{VERSION, Word};
use crate::{Door, Order, Proxy, tell};

/// How long each end waits for a word of the other that should come at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many sockets are taken at most.
const MOST_SOCKETS: usize = 1 << 16;

/// The offer of a proxy that runs to a newer process of the same.
#[derive(Debug)]
pub struct Succession {
    accepted: Option<oneshot::Receiver<Heir>>,
    thread: JoinHandle<()>,
    _file: SocketFile,
}

/// The way to a newer process, for what can change its process. A clone is the same.
#[derive(Clone, Debug)]
pub struct Heir {
    process: u32,
    estate: std_mpsc::Sender<Passed>,
}

/// What an older process passes on.
#[derive(Debug)]
pub(crate) enum Passed {
    /// A connection on which nothing is under way.
    Connection(TcpStream),
    /// A stream of bytes, of which nothing is held.
    Stream(Plain),
}

/// A stream of bytes that is plain on both sides.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) id: CallId,
    pub(crate) client: TcpStream,
    /// Where the client comes from, as it was told or seen.
    pub(crate) from: SocketAddr,
    pub(crate) server: TcpStream,
    /// Where the server was reached.
    pub(crate) to: SocketAddr,
}

impl Succession {
    /// Lets a newer process of the same user ask at `path` for what `proxy` has.
    pub fn offer(path: &Path, proxy: &Proxy) -> io::Result<Self> {
        let (landing, file) = SocketFile::put(path, Reach::Owner, Landing::open)?;
        let (owner, workers) = (file.owner(), proxy.orders.clone());
        let (accept, accepted) = oneshot::channel();
        let offer = move || {
            let Some(link) = first_that_serves(&landing, owner, &workers) else {
                return;
            };
            drop((landing, workers));
            let (estate, given) = std_mpsc::channel::<Passed>();
            let heir = Heir {
                process: link.peer().map_or(0, |peer| peer.process),
                estate,
            };
            if accept.send(heir).is_err() {
                return;
            }
            let mut link = Some(link);
            for passed in given {
                if link.as_ref().is_none_or(|link| passed.send(link).is_err()) {
                    link = None;
                    passed.end();
                }
            }
        };
        let thread = thread::Builder::new().name("leno-succession".into());
        Ok(Self {
            accepted: Some(accepted),
            thread: thread.spawn(offer)?,
            _file: file,
        })
    }

    /// Waits until a newer process serves, and gives the way to it: for [`Proxy::succeeded_by`].
    pub async fn accepted(&mut self) -> Heir {
        if let Some(accepted) = &mut self.accepted
            && let Ok(heir) = accepted.await
        {
            self.accepted = None;
            return heir;
        }
        std::future::pending().await
    }

    /// Waits until every connection is passed on, if a newer process serves; call [`Proxy::join`]
    /// before. Blocks.
    pub fn finish(self) {
        if self.accepted.is_none() {
            // One that panicked has nothing more to pass on.
            drop(self.thread.join());
        }
    }
}

impl Heir {
    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Passes something on. If the newer process has gone meanwhile, that is its end.
    pub(crate) fn give(&self, passed: Passed) {
        if let Err(unsent) = self.estate.send(passed) {
            unsent.0.end();
        }
    }
}

impl Passed {
    /// What a word and its sockets say.
    fn read(word: &Word, sockets: Vec<OwnedFd>) -> Option<Self> {
        let mut sockets = sockets.into_iter().map(TcpStream::from);
        let client = sockets.next()?;
        match *word {
            Word::Connection => Some(Self::Connection(client)),
            Word::Stream(id, from, to) => Some(Self::Stream(Plain {
                id,
                client,
                from,
                server: sockets.next()?,
                to,
            })),
            _ => None,
        }
    }

    /// The address at which its client came in.
    fn arrived_at(&self) -> io::Result<SocketAddr> {
        let (Self::Connection(client) | Self::Stream(Plain { client, .. })) = self;
        client.local_addr()
    }

    fn send(&self, link: &Link) -> io::Result<()> {
        match self {
            Self::Connection(connection) => {
                link.send_within(PATIENCE, &Word::Connection.encode(), &[connection.as_fd()])
            }
            Self::Stream(Plain {
                id,
                client,
                from,
                server,
                to,
            }) => {
                let word = Word::Stream(*id, *from, *to).encode();
                link.send_within(PATIENCE, &word, &[client.as_fd(), server.as_fd()])
            }
        }
    }

    /// Ends what nobody takes.
    fn end(self) {
        match self {
            Self::Connection(_) => {}
            Self::Stream(plain) => plain.end(),
        }
    }
}

impl Plain {
    /// Ends it so that neither end takes it for whole.
    pub(crate) fn end(self) {
        for end in [self.client, self.server] {
            // Where the option cannot be set, closing still ends it.
            drop(SockRef::from(&end).set_linger(Some(Duration::ZERO)));
        }
    }
}

/// The first newer process that comes as far as to serve.
fn first_that_serves(landing: &Landing, owner: u32, workers: &Workers) -> Option<Link> {
    loop {
        let link = landing.accept().ok()?;
        // One that did not come so far tells people why by itself.
        if let Ok(true) = hand_over(&link, owner, workers) {
            return Some(link);
        }
    }
}

type Workers = Vec<mpsc::UnboundedSender<Order>>;

/// Gives a newer process what there is, and says whether it serves.
fn hand_over(link: &Link, owner: u32, workers: &Workers) -> io::Result<bool> {
    let say = |word: Word| link.send_within(PATIENCE, &word.encode(), &[]);
    let user = link.peer()?.user;
    if user != owner && user != 0 {
        let why = format!("user {user} may not take the place of a proxy of user {owner}");
        return say(Word::Refused(why)).map(|()| false);
    }
    match hear(link, Some(PATIENCE))? {
        Some((Word::Hello(VERSION), _)) => {}
        Some((Word::Hello(other), _)) => {
            let why =
                format!("it hands over by version {VERSION}, and is asked by version {other}");
            return say(Word::Refused(why)).map(|()| false);
        }
        // Whoever only looks whether somebody runs says nothing.
        Some(_) | None => return Ok(false),
    }
    for socket in lent(workers)? {
        link.send_within(PATIENCE, &Word::Socket.encode(), &[socket.as_fd()])?;
    }
    say(Word::All)?;
    // How long it needs until it serves is its own business; if it ends, that is heard.
    match hear(link, None)? {
        Some((Word::Serving, _)) => say(Word::Yours).map(|()| true),
        Some(_) | None => Ok(false),
    }
}

/// The sockets that all workers listen on.
fn lent(workers: &Workers) -> io::Result<Vec<OwnedFd>> {
    let mut lent = Vec::new();
    for worker in workers {
        let (lend, borrowed) = std_mpsc::channel();
        tell(worker, Order::Lend(lend))?;
        let borrowed = borrowed.recv_timeout(PATIENCE);
        lent.extend(borrowed.map_err(|_| io::Error::other("a worker of the proxy has ended"))?);
    }
    Ok(lent)
}

/// The next word, with the sockets that it carries; `None` if the other end has gone.
fn hear(link: &Link, limit: Option<Duration>) -> io::Result<Option<(Word, Vec<OwnedFd>)>> {
    let received = match limit {
        Some(limit) => link.receive_within(limit)?,
        None => link.receive()?,
    };
    let Some(received) = received else {
        return Ok(None);
    };
    let word = Word::decode(&received.bytes).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some((word, received.fds)))
}

/// The process of the same proxy that runs already.
#[derive(Debug)]
pub struct Predecessor {
    link: Link,
    process: u32,
    sockets: Vec<TcpListener>,
}

/// Why the place of a proxy that runs cannot be taken. It goes on.
#[derive(Debug, thiserror::Error)]
pub enum NotSucceeded {
    /// It does not give it.
    #[error("process {process} does not give its place: {why}")]
    Refused {
        /// Its number.
        process: u32,
        /// What it says.
        why: String,
    },
    /// It says nothing, or something else.
    #[error("process {process} does not answer as it should: {why}")]
    Mute {
        /// Its number.
        process: u32,
        /// What the system says.
        why: io::Error,
    },
    /// It cannot be asked.
    #[error("whoever runs there cannot be asked: {0}")]
    NotAsked(io::Error),
}

impl Predecessor {
    /// Who offers its place at `path`; `None` if nobody does. It notices nothing of this.
    pub fn find(path: &Path) -> Result<Option<Self>, NotSucceeded> {
        let connected = through_folder(path).and_then(|(_folder, path)| Link::connect(&path));
        let link = match connected {
            Ok(link) => link,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => return Ok(None),
                _ => return Err(NotSucceeded::NotAsked(error)),
            },
        };
        let process = link.peer().map_err(NotSucceeded::NotAsked)?.process;
        Ok(Some(Self {
            link,
            process,
            sockets: Vec::new(),
        }))
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Asks for the sockets that it listens on. It goes on listening.
    pub(crate) fn ask(&mut self) -> Result<(), NotSucceeded> {
        let process = self.process;
        let mute = |why| NotSucceeded::Mute { process, why };
        let hello = Word::Hello(VERSION).encode();
        self.link.send_within(PATIENCE, &hello, &[]).map_err(mute)?;
        while self.sockets.len() < MOST_SOCKETS {
            match hear(&self.link, Some(PATIENCE)).map_err(mute)? {
                Some((Word::Socket, sockets)) => {
                    self.sockets
                        .extend(sockets.into_iter().map(TcpListener::from));
                }
                // What it has not given when it ends, nobody holds any more.
                Some((Word::All, _)) | None => return Ok(()),
                Some((Word::Refused(why), _)) => {
                    return Err(NotSucceeded::Refused { process, why });
                }
                Some(_) => return Err(mute(io::ErrorKind::InvalidData.into())),
            }
        }
        Err(mute(io::ErrorKind::InvalidData.into()))
    }

    /// What it listens on, by address.
    pub(crate) fn sockets(&mut self) -> Vec<(SocketAddr, TcpListener)> {
        let sockets = std::mem::take(&mut self.sockets).into_iter();
        let listening =
            sockets.filter(|socket| SockRef::from(socket).is_listener().unwrap_or(false));
        let known = listening.filter_map(|socket| Some((socket.local_addr().ok()?, socket)));
        known.collect()
    }

    /// Says that this process serves, and takes what the older one passes on: each connection as if it
    /// had come by the one of `doors` that it came by there.
    pub(crate) fn retire(self, doors: Vec<(SocketAddr, Door)>, workers: Workers) {
        let Self { link, .. } = self;
        let serving = link.send_within(PATIENCE, &Word::Serving.encode(), &[]);
        let yours = serving.and_then(|()| hear(&link, Some(PATIENCE)));
        if !matches!(yours, Ok(Some((Word::Yours, _)))) {
            // It has ended, or will not: what it was asked for is served here all the same.
            return;
        }
        let inherit = move || {
            let mut turns = workers.iter().cycle();
            while let Ok(Some((word, sockets))) = hear(&link, None) {
                let Some(passed) = Passed::read(&word, sockets) else {
                    return;
                };
                let door = passed.arrived_at().ok();
                let door = door.and_then(|at| door_at(&doors, at)).cloned();
                let (Some(door), Some(worker)) = (door, turns.next()) else {
                    passed.end();
                    continue;
                };
                let order = match passed {
                    Passed::Connection(client) => Order::Take(client, Vec::new(), door),
                    Passed::Stream(plain) => Order::Carry(plain, door),
                };
                // A worker that has ended takes the proxy with it.
                drop(tell(worker, order));
            }
        };
        let thread = thread::Builder::new().name("leno-inherit".into());
        // Without a thread connections that were passed on are closed, as at any end of a proxy.
        drop(thread.spawn(inherit));
    }
}

/// The door by which a connection came that was accepted at an address.
fn door_at(doors: &[(SocketAddr, Door)], at: SocketAddr) -> Option<&Door> {
    let exact = doors.iter().find(|(address, _)| *address == at);
    let any = || {
        doors.iter().find(|(address, _)| {
            address.port() == at.port()
                && address.ip().is_unspecified()
                && address.is_ipv4() == at.is_ipv4()
        })
    };
    exact.or_else(any).map(|(_, door)| door)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_comes_by_the_door_nearest_to_its_address() {
        let all = [
            ("0.0.0.0:80", Door::Metrics),
            ("10.0.0.7:80", Door::Tunnel),
            ("[::]:81", Door::Metrics),
        ];
        let doors = all.map(|(at, door)| (at.parse().unwrap(), door));
        let found = |at: &str| door_at(&doors, at.parse().unwrap()).map(|door| format!("{door:?}"));
        for (at, expect) in [
            ("10.0.0.7:80", Some("Tunnel")),
            ("10.0.0.8:80", Some("Metrics")),
            ("10.0.0.7:81", None),
            ("[fd00::1]:81", Some("Metrics")),
            ("[fd00::1]:80", None),
        ] {
            assert_eq!(found(at).as_deref(), expect, "{at}");
        }
    }
}
