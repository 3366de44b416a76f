//! The answering end. Who may ask is decided by the kernel: the socket's file is the owner's alone,
//! and each peer's user id is looked at again.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leno_host::{Reach, SocketFile};
use leno_model::Code;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::asker::Asker;
use crate::failure::Failure;
use crate::lines::{Reply, Told, answer_in_lines};
use crate::question::Question;
use crate::{LONGEST_QUESTION, line};

/// A socket on which questions come in.
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
    /// Hears of users who may not ask.
    strangers: Arc<dyn Fn(u32) + Send + Sync>,
}

/// How many questions may be under way.
const MOST_QUESTIONS: usize = 64;

/// How long a question may take to come in, and a line of its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether an asker is still there.
const LOOK: Duration = Duration::from_secs(1);

/// How long accepting rests when no file descriptor is left.
const REST: Duration = Duration::from_millis(50);

impl Server {
    /// Listens at `path`, which only the user of this process can open (mode 0600). A socket that
    /// nobody listens on any more is replaced; anything else at `path` is left alone.
    pub fn listen(path: &Path) -> io::Result<Self> {
        if SocketFile::is_taken(path)? {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Self::listen_instead(path)
    }

    /// The same, in the place of whoever listens at `path`: who asks from here on asks this one.
    pub fn listen_instead(path: &Path) -> io::Result<Self> {
        let (listener, file) =
            SocketFile::put(path, Reach::Owner, |path| UnixListener::bind(path))?;
        Ok(Self {
            listener,
            file,
            strangers: Arc::new(|_| {}),
        })
    }

    /// Tells `strangers`, on a thread that may wait, of each user who asks and may not, before that one is
    /// told so. How often that happens is for others to choose.
    pub fn telling(self, strangers: impl Fn(u32) + Send + Sync + 'static) -> Self {
        Self {
            strangers: Arc::new(strangers),
            ..self
        }
    }

    /// Answers every question by `answer`, for as long as the future is polled. A question that
    /// panics costs its asker the answer and nobody else anything.
    pub async fn run<F, R>(self, answer: impl Fn(Asker, Question) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<R, Failure>> + Send + 'static,
        R: Into<Reply> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let room = Arc::new(Semaphore::new(MOST_QUESTIONS));
        let mut questions = JoinSet::new();
        loop {
            while questions.try_join_next().is_some() {}
            let permit = Arc::clone(&room).acquire_owned().await;
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(REST).await;
                continue;
            };
            let (answer, owner) = (Arc::clone(&answer), self.file.owner());
            let strangers = Arc::clone(&self.strangers);
            questions.spawn(async move {
                let _permit = permit;
                // An asker that went away needs no answer.
                drop(converse(stream, owner, &strangers, &*answer).await);
            });
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server of user {}", self.file.owner())
    }
}

async fn converse<F, R>(
    mut stream: UnixStream,
    owner: u32,
    strangers: &Arc<dyn Fn(u32) + Send + Sync>,
    answer: &(impl Fn(Asker, Question) -> F + Send + Sync),
) -> io::Result<()>
where
    F: Future<Output = Result<R, Failure>> + Send + 'static,
    R: Into<Reply> + Send + 'static,
{
    let user = stream.peer_cred()?.uid();
    if user != owner && user != 0 {
        let strangers = Arc::clone(strangers);
        // Who tells of it has said what went wrong.
        drop(tokio::task::spawn_blocking(move || strangers(user)).await);
        let message = format!("user {user} may not ask: this process is run by user {owner}");
        let told = Told::<()>::Failure(Failure::coded(Code::S016, message));
        let told = serde_json::to_vec(&told).expect("a refusal is a map of plain values");
        line::write(&mut stream, told).await?;
        return hear_out(stream).await;
    }
    let asked = timeout(PATIENCE, line::read(&mut stream, LONGEST_QUESTION)).await??;
    let mut lines = answer_in_lines(&asked, |question| answer(Asker::User(user), question));
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            gone = has_gone(&stream) => return gone,
        };
        let Some(line) = line else {
            return Ok(());
        };
        timeout(PATIENCE, line::write(&mut stream, line)).await??;
    }
}

/// Lets somebody who was refused finish, for a moment: a socket that is closed over what nobody has read ends with a
/// reset, which may take the refusal along.
async fn hear_out(mut stream: UnixStream) -> io::Result<()> {
    stream.shutdown().await?;
    let most = u64::try_from(LONGEST_QUESTION).unwrap_or(u64::MAX);
    let (mut rest, mut nowhere) = (stream.take(most), tokio::io::sink());
    timeout(LOOK, tokio::io::copy(&mut rest, &mut nowhere)).await??;
    Ok(())
}

/// Waits until the asker has closed its end. Half of it may be closed by who has said all: that one
/// waits for the answer.
async fn has_gone(stream: &UnixStream) -> io::Result<()> {
    loop {
        tokio::time::sleep(LOOK).await;
        if stream.ready(Interest::WRITABLE).await?.is_write_closed() {
            return Ok(());
        }
    }
}
