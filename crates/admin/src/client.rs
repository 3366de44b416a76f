//! The asking end.

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use leno_host::through_folder;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufRead, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::failure::NotAsked;
use crate::lines::{ask_in_line, read_answer, read_item};
use crate::question::{Ask, Watch};
use crate::several::Respondent;
use crate::{LONGEST_ANSWER, LONGEST_ITEM, line};

/// Asks one process: the one behind a socket of this host, or one elsewhere.
#[derive(Clone)]
pub struct Client {
    /// What people call the way there.
    name: String,
    way: Way,
}

/// The lines of an answer, as they come.
pub type Spoken = Box<dyn AsyncBufRead + Send + Unpin>;

/// A question on its way: what comes of it is its answer.
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Spoken>> + Send>>;

#[derive(Clone)]
enum Way {
    Socket(PathBuf),
    Call(Arc<dyn Fn(Vec<u8>) -> Opening + Send + Sync>),
}

/// Something that is answered for as long as this is held.
pub struct Watching<A> {
    client: Client,
    told: Spoken,
    item: PhantomData<A>,
}

impl Client {
    /// A client of whoever listens on `socket`.
    pub fn new(socket: &Path) -> Self {
        Self {
            name: socket.display().to_string(),
            way: Way::Socket(socket.to_owned()),
        }
    }

    /// A client of whoever answers the line of a question that `open` is given. People know it as
    /// `name`.
    pub fn by(name: String, open: impl Fn(Vec<u8>) -> Opening + Send + Sync + 'static) -> Self {
        Self {
            name,
            way: Way::Call(Arc::new(open)),
        }
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks, and waits for the answer as long as one of its kind may take: after that nobody is there.
    pub async fn ask<Q: Ask>(&self, question: Q) -> Result<Q::Answer, NotAsked> {
        let question = question.into();
        let limit = question.limit();
        let asked = async {
            let mut told = self.say(ask_in_line(question)).await?;
            line::next(&mut told, LONGEST_ANSWER).await
        };
        let told = timeout(limit, asked).await.unwrap_or_else(|_| {
            let why = format!("it takes questions, and has not answered for {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        });
        read_answer(&told.map_err(|why| self.away(why))?)
    }

    /// Asks for what goes on: the answer has each thing as it happens.
    pub async fn watch<Q: Watch>(&self, question: Q) -> Result<Watching<Q::Item>, NotAsked> {
        let told = self.say(ask_in_line(question)).await;
        Ok(Watching {
            client: self.clone(),
            told: told.map_err(|why| self.away(why))?,
            item: PhantomData,
        })
    }

    /// The way to ask it among others.
    pub fn respondent(&self) -> Respondent {
        let client = self.clone();
        Arc::new(move |asked| {
            let (sender, lines) = mpsc::channel(1);
            let client = client.clone();
            // Whoever hears no line is told nothing else: it has gone.
            tokio::spawn(async move { drop(client.pass_on(asked, &sender).await) });
            lines
        })
    }

    /// Asks what the line `asked` does, and gives the lines of the answer as they come, for as long as somebody takes
    /// them.
    pub async fn pass_on(&self, asked: Vec<u8>, lines: &mpsc::Sender<Vec<u8>>) -> io::Result<()> {
        let mut told = self.say(asked).await?;
        loop {
            let line = tokio::select! {
                line = line::next(&mut told, LONGEST_ANSWER) => line?,
                () = lines.closed() => return Ok(()),
            };
            if lines.send(line).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn say(&self, asked: Vec<u8>) -> io::Result<Spoken> {
        match &self.way {
            Way::Call(open) => open(asked).await,
            Way::Socket(socket) => {
                let (_folder, path) = through_folder(socket)?;
                let mut stream = UnixStream::connect(path).await?;
                line::write(&mut stream, asked).await?;
                Ok(Box::new(BufReader::new(stream)))
            }
        }
    }

    fn away(&self, why: io::Error) -> NotAsked {
        NotAsked::Away {
            path: self.name.clone(),
            why,
        }
    }
}

impl<A: DeserializeOwned> Watching<A> {
    /// The next thing; nothing once there are no more. It is not to be cancelled: what has come of
    /// the next one would be lost.
    pub async fn next(&mut self) -> Result<Option<A>, NotAsked> {
        let told = line::next(&mut self.told, LONGEST_ITEM).await;
        read_item(&told.map_err(|why| self.client.away(why))?)
    }
}
