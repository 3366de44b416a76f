//! The answering end. Who may ask is decided by the kernel: the socket's file is the owner's alone,
//! and each peer's user id is looked at again.

use std::fs::{self, Permissions};
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::question::Question;
use crate::reach::through_folder;
use crate::{LONGEST_QUESTION, VERSION, line};

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    /// The user id that the kernel vouches for.
    pub user: u32,
}

/// A socket on which questions come in.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

/// How many questions may be under way.
const MOST_QUESTIONS: usize = 64;

/// How long a question may take to come in.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long accepting rests when no file descriptor is left.
const REST: Duration = Duration::from_millis(50);

impl Server {
    /// Listens at `path`, which only the user of this process can open (mode 0600). A socket that
    /// nobody listens on any more is replaced; anything else at `path` is left alone.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let (_folder, short) = through_folder(path)?;
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() || StdUnixStream::connect(&short).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        // Bound under another name, so that nobody can connect before the mode is set.
        let mut beside = short;
        beside.add_extension("new");
        if let Err(error) = fs::remove_file(&beside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = UnixListener::bind(&beside)?;
        fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
        let owner = fs::symlink_metadata(&beside)?.uid();
        fs::rename(&beside, path)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            owner,
        })
    }

    /// Answers every question by `answer`, for as long as the future is polled. A question that
    /// panics costs its asker the answer and nobody else anything.
    pub async fn run<F>(self, answer: impl Fn(Asker, Question) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<Answer, Failure>> + Send + 'static,
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
            let (answer, owner) = (Arc::clone(&answer), self.owner);
            questions.spawn(async move {
                let _permit = permit;
                // An asker that went away needs no answer.
                drop(converse(stream, owner, &*answer).await);
            });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A successor finds that nobody listens and replaces it.
        drop(fs::remove_file(&self.path));
    }
}

#[derive(Deserialize)]
struct Asked {
    version: u32,
    #[serde(flatten)]
    rest: serde_json::Value,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Answer(Answer),
    Failure(Failure),
}

async fn converse<F>(
    mut stream: UnixStream,
    owner: u32,
    answer: &(impl Fn(Asker, Question) -> F + Send + Sync),
) -> io::Result<()>
where
    F: Future<Output = Result<Answer, Failure>> + Send,
{
    let user = stream.peer_cred()?.uid();
    let told = if user != owner && user != 0 {
        let message = format!("user {user} may not ask: this control plane is run by user {owner}");
        Err(Failure::plain(message))
    } else {
        let asked = timeout(PATIENCE, line::read(&mut stream, LONGEST_QUESTION)).await;
        match question(&asked??) {
            Ok(question) => answer(Asker { user }, question).await,
            Err(failure) => Err(failure),
        }
    };
    let told = match told {
        Ok(answer) => Told::Answer(answer),
        Err(failure) => Told::Failure(failure),
    };
    let told = serde_json::to_vec(&told).expect("answers are maps of plain values");
    line::write(&mut stream, told).await
}

fn question(asked: &[u8]) -> Result<Question, Failure> {
    let not_understood =
        |error| Failure::plain(format_args!("the question is not understood: {error}"));
    let Asked { version, rest } = serde_json::from_slice(asked).map_err(not_understood)?;
    if version != VERSION {
        let message = format!(
            "the question is of version {version}, and this control plane answers {VERSION}: \
             use the same Leno on both ends"
        );
        return Err(Failure::plain(message));
    }
    serde_json::from_value(rest).map_err(not_understood)
}
