//! The pages on this machine's loopback: how a mesh is, for a browser.
//!
//! Whoever may ask the administration socket is given a link that is good once; it becomes a visit,
//! and only a visit is shown pages. The path of a request: `listen`, `connection`, `gate` (what is
//! asked, and may it come from there), `access` (who asks), `pages` or `asking`, `answer`. What the
//! pages say is asked of a [`Mesh`], in the words of `leno-admin`.

mod access;
mod answer;
mod asking;
#[path = "../built/built.rs"]
mod built;
mod connection;
mod gate;
mod html;
mod json;
mod listen;
mod pages;
mod refusal;

use std::fmt;
use std::future;
use std::io;
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use leno_admin::{Answer as Told, Failure, Question};
use leno_model::Mono;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

pub use listen::Port;

use crate::access::{Access, Secret, Visitor};
use crate::answer::Answer;
use crate::gate::Place;
use crate::refusal::Refusal;

/// What the pages are about.
pub trait Mesh: Send + Sync + 'static {
    /// Answers a question as the administration socket of the mesh would.
    fn ask(&self, question: Question) -> impl Future<Output = Result<Told, Failure>> + Send;

    /// Hears of somebody who is kept out, before that one is told so: what was tried and why not, in a
    /// line. How often that happens is for others to choose.
    fn kept_out(&self, attempt: String) -> impl Future<Output = ()> + Send {
        drop(attempt);
        future::ready(())
    }

    /// Sees to it that a connection is served whose first request is to `http://NAME.localhost`, and
    /// ends when somebody has it, who bounds how many there are; gives it back where no service is
    /// published by name.
    fn carry(&self, arrived: Arrived) -> impl Future<Output = Result<(), Arrived>> + Send {
        future::ready(Err(arrived))
    }
}

/// A connection of which the first head has been read.
#[derive(Debug)]
pub struct Arrived {
    /// The connection, which does not block.
    pub stream: StdStream,
    /// What was read of it, from its beginning.
    pub bytes: Vec<u8>,
}

/// A listener on loopback that shows pages about a mesh.
#[derive(Debug)]
pub struct Dashboard {
    sockets: Vec<StdListener>,
    site: Arc<Site>,
}

/// How many connections are served at once; others wait to be accepted.
const MOST_CONNECTIONS: usize = 64;

/// How many connections may fail in ways that nobody foresaw until all of it ends.
const MOST_PANICS: u32 = 8;

/// How long accepting rests when no file descriptor is left.
const REST: Duration = Duration::from_millis(50);

impl Dashboard {
    /// Listens at a port of 127.0.0.1 and, where there is one, of \[::1\]. Nobody is answered before
    /// [`Self::run`].
    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    pub fn open(port: Port) -> io::Result<Self> {
        let (sockets, port) = listen::listen(port)?;
        let folder = Secret::new();
        let site = Site {
            place: Place { port, folder },
            access: Mutex::new(Access::new()),
            start: Instant::now(),
        };
        Ok(Self {
            sockets,
            site: Arc::new(site),
        })
    }

    /// The port where it listens.
    pub fn port(&self) -> u16 {
        self.site.place.port
    }

    /// Whoever has this lets others in.
    pub fn links(&self) -> Links {
        Links(Arc::clone(&self.site))
    }

    /// Answers for as long as the future is polled, or until too much has gone wrong in itself.
    pub async fn run(self, mesh: impl Mesh) -> Broken {
        let Self { sockets, site } = self;
        let (mesh, room) = (Arc::new(mesh), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
        let (arrive, mut arrived) = mpsc::channel(1);
        let mut accepting = JoinSet::new();
        for socket in sockets {
            match TcpListener::from_std(socket) {
                Ok(listener) => {
                    accepting.spawn(accept(listener, Arc::clone(&room), arrive.clone()))
                }
                Err(why) => return Broken::Listen(why),
            };
        }
        let (mut connections, mut panics) = (JoinSet::new(), 0);
        loop {
            tokio::select! {
                Some((stream, permit)) = arrived.recv() => {
                    let (site, mesh) = (Arc::clone(&site), Arc::clone(&mesh));
                    connections.spawn(async move {
                        let _permit = permit;
                        // A client that went away needs no answer.
                        drop(connection::serve(stream, site, mesh).await);
                    });
                }
                Some(ended) = connections.join_next() => panics += u32::from(ended.is_err()),
                Some(_) = accepting.join_next() => return Broken::Failed,
            }
            if panics > MOST_PANICS {
                return Broken::Failed;
            }
        }
    }
}

/// Takes connections for which there is room.
async fn accept(
    listener: TcpListener,
    room: Arc<Semaphore>,
    arrive: mpsc::Sender<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)>,
) {
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => drop(arrive.send((stream, permit)).await),
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// Why pages are shown no longer.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The socket cannot be used.
    #[error("the dashboard's socket cannot be used: {0}")]
    Listen(io::Error),
    /// It failed too often in ways that nobody foresaw.
    #[error("the dashboard has failed too often")]
    Failed,
}

/// Makes links. Each is good once, for an hour.
#[derive(Clone, Debug)]
pub struct Links(Arc<Site>);

impl Links {
    /// A new link: `http://localhost:7070/?t=`, and a token of 128 bits in hexadecimal digits.
    pub fn make(&self) -> String {
        let site = &self.0;
        let token = site.access().invite(site.now());
        format!("http://localhost:{}/?t={token}", site.place.port)
    }

    /// The port to which they lead.
    pub fn port(&self) -> u16 {
        self.0.place.port
    }
}

/// Where the pages are, and who may look at them.
struct Site {
    place: Place,
    access: Mutex<Access>,
    start: Instant,
}

impl Site {
    /// Lets in whoever follows a link.
    fn enter(&self, token: &str) -> Result<Answer, Refusal> {
        let proof = self.access().enter(token, self.now());
        let proof = proof.ok_or(Refusal::SpentLink)?;
        Ok(Answer::visit(proof, &self.place.folder))
    }

    fn admit<'a>(&self, proofs: impl Iterator<Item = &'a str>) -> Option<Visitor> {
        self.access().admit(proofs, self.now())
    }

    fn access(&self) -> MutexGuard<'_, Access> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::disallowed_methods, reason = "here the clock enters")]
    fn now(&self) -> Mono {
        Mono::since_start(Instant::now().duration_since(self.start))
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Site at port {}", self.place.port)
    }
}
