//! The end of the mesh: takes questions and guests.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdUnixListener;

use leno_host::through_folder;
use leno_host::{Event, Listeners};
use serde_json::{Value, json};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::{Arrived, send, words};
use crate::up::engine::{Happened, Joined, Opened, Question};
use crate::up::place::Place;

/// The socket of a mesh that is up. It exists as long as this does.
pub(crate) struct Server {
    place: Place,
    listener: UnixListener,
}

impl Server {
    /// Opens the socket. Whoever does so holds the place, so that one that is there already is
    /// nobody's.
    pub(crate) fn open(place: &Place) -> io::Result<Self> {
        let socket = place.socket();
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let (_folder, path) = through_folder(&socket)?;
        let listener = StdUnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            place: place.clone(),
            listener: UnixListener::from_std(listener)?,
        })
    }

    /// Takes connections until the task is ended. Needs a `LocalSet` around it.
    pub(crate) async fn run(self, happen: mpsc::UnboundedSender<Happened>) {
        let ours = rustix::process::geteuid().as_raw();
        while let Ok((stream, _)) = self.listener.accept().await {
            // The folder is private; this also holds where a file system does not keep that.
            if stream.peer_cred().is_ok_and(|peer| peer.uid() == ours) {
                let connection = Connection {
                    stream,
                    arrived: Arrived::default(),
                    happen: happen.clone(),
                };
                tokio::task::spawn_local(connection.serve());
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The next to hold the place removes it if this fails.
        drop(fs::remove_file(self.place.socket()));
    }
}

struct Connection {
    stream: UnixStream,
    arrived: Arrived,
    happen: mpsc::UnboundedSender<Happened>,
}

/// Why a connection ends before it was closed.
struct Over;

impl Connection {
    async fn serve(mut self) {
        // A connection that breaks, or speaks nonsense, has nothing more to say.
        drop(self.serve_all().await);
    }

    async fn serve_all(&mut self) -> Result<(), Over> {
        while let Some(asked) = self.read().await? {
            let answer = match asked["ask"].as_str() {
                Some("ps") => {
                    let rows = self.ask(Question::Rows).await?;
                    json!({ "rows": rows.iter().map(words::row).collect::<Vec<_>>() })
                }
                Some("restart") => {
                    let id = words::read_id(&asked["workload"]).ok_or(Over)?;
                    let done = self.ask(|way| Question::Restart(id, way)).await?;
                    answer_of(done.map(|()| json!({})))
                }
                Some("down") => {
                    self.ask(Question::Down).await?;
                    json!({})
                }
                Some("join") => return self.serve_guest(&asked).await,
                _ => return Err(Over),
            };
            self.say(&answer).await?;
        }
        Ok(())
    }

    /// Serves a guest for as long as it stays.
    async fn serve_guest(&mut self, asked: &Value) -> Result<(), Over> {
        let guest = words::read_guest(&asked["guest"]).ok_or(Over)?;
        let joined = match self.ask(|way| Question::Join(guest, way)).await? {
            Ok(joined) => joined,
            Err(why) => return self.say(&json!({ "error": why })).await,
        };
        let stayed = self.serve_joined(&joined).await;
        self.tell(Question::Left(joined))?;
        stayed
    }

    async fn serve_joined(&mut self, joined: &Joined) -> Result<(), Over> {
        self.say(&json!({ "joined": words::joined(joined) }))
            .await?;
        let Some(said) = self.read().await? else {
            return Ok(());
        };
        let opened = opened(&said, std::mem::take(&mut self.arrived.fds)).ok_or(Over)?;
        let given = joined.clone();
        let served = self.ask(|way| Question::Opened(given, opened, way)).await?;
        self.say(&answer_of(served.map(|()| json!({})))).await?;
        while let Some(said) = self.read().await? {
            let event = match said["udpRefused"].as_u64() {
                Some(datagrams) => Event::UdpRefused { datagrams },
                None => Event::Listening {
                    addresses: words::read_addresses::<BTreeSet<_>>(&said["listening"])
                        .ok_or(Over)?,
                    omitted: 0,
                },
            };
            self.tell(Question::Inside(joined.clone(), event))?;
        }
        Ok(())
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Over> {
        let (way, answer) = oneshot::channel();
        self.tell(question(way))?;
        answer.await.map_err(|_| Over)
    }

    fn tell(&self, question: Question) -> Result<(), Over> {
        let told = self.happen.send(Happened::Asked(question));
        told.map_err(|_| Over)
    }

    /// The next message; `None` when the other end has closed.
    async fn read(&mut self) -> Result<Option<Value>, Over> {
        loop {
            if let Some(line) = self.arrived.line() {
                return serde_json::from_slice(&line).map(Some).map_err(|_| Over);
            }
            let Self {
                stream, arrived, ..
            } = self;
            let receive = || arrived.receive(&*stream);
            let received = stream.async_io(Interest::READABLE, receive).await;
            if !received.map_err(|_| Over)? {
                return Ok(None);
            }
        }
    }

    async fn say(&self, answer: &Value) -> Result<(), Over> {
        let line = answer.to_string();
        let send = || send(&self.stream, &line, &[]);
        let sent = self.stream.async_io(Interest::WRITABLE, send).await;
        sent.map_err(|_| Over)
    }
}

fn answer_of(done: Result<Value, String>) -> Value {
    done.unwrap_or_else(|why| json!({ "error": why }))
}

/// The parts of an enclosure, from the order in which the client passes them.
fn opened(said: &Value, fds: Vec<OwnedFd>) -> Option<Opened> {
    let families = usize::try_from(said["families"].as_u64()?).ok()?;
    let is_bare = fds.len() == families;
    if !(1..=2).contains(&families) || !(is_bare || fds.len() == 4 * families) {
        return None;
    }
    let mut fds = fds.into_iter();
    let of_each = if is_bare { 0 } else { families };
    let listeners = Listeners {
        outbound: fds.by_ref().take(of_each).map(TcpListener::from).collect(),
        dns_udp: fds.by_ref().take(of_each).map(UdpSocket::from).collect(),
        dns_tcp: fds.by_ref().take(of_each).map(TcpListener::from).collect(),
    };
    Some(Opened {
        listeners,
        v4: fds.next()?.into(),
        v6: fds.next().map(Into::into),
    })
}
