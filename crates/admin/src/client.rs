//! The asking end.

use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leno_host::through_folder;
use serde::de::DeserializeOwned;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::failure::NotAsked;
use crate::lines::{ask_in_line, read_answer, read_item};
use crate::question::{Ask, Question, Watch};
use crate::several::Respondent;
use crate::{LONGEST_ANSWER, LONGEST_ITEM, line};

/// Asks the process behind one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Something that is answered for as long as this is held.
#[derive(Debug)]
pub struct Watching<A> {
    client: Client,
    stream: BufReader<UnixStream>,
    item: PhantomData<A>,
}

impl Client {
    /// A client of whoever listens on `socket`.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Asks, and waits for the answer as long as one of its kind may take: after that nobody is there.
    pub async fn ask<Q: Ask>(&self, question: Q) -> Result<Q::Answer, NotAsked> {
        let question = question.into();
        let limit = question.limit();
        let asked = async {
            let mut told = BufReader::new(self.say(question).await?);
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
        let stream = self.say(question).await.map_err(|why| self.away(why))?;
        Ok(Watching {
            client: self.clone(),
            stream: BufReader::new(stream),
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

    async fn pass_on(&self, asked: Vec<u8>, lines: &mpsc::Sender<Vec<u8>>) -> io::Result<()> {
        let mut told = BufReader::new(self.say_line(asked).await?);
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

    async fn say(&self, question: impl Into<Question>) -> io::Result<UnixStream> {
        self.say_line(ask_in_line(question)).await
    }

    async fn say_line(&self, asked: Vec<u8>) -> io::Result<UnixStream> {
        let (_folder, path) = through_folder(&self.socket)?;
        let mut stream = UnixStream::connect(path).await?;
        line::write(&mut stream, asked).await?;
        Ok(stream)
    }

    fn away(&self, why: io::Error) -> NotAsked {
        NotAsked::Away {
            path: self.socket.display().to_string(),
            why,
        }
    }
}

impl<A: DeserializeOwned> Watching<A> {
    /// The next thing; nothing once there are no more. It is not to be cancelled: what has come of
    /// the next one would be lost.
    pub async fn next(&mut self) -> Result<Option<A>, NotAsked> {
        let told = line::next(&mut self.stream, LONGEST_ITEM).await;
        read_item(&told.map_err(|why| self.client.away(why))?)
    }
}
