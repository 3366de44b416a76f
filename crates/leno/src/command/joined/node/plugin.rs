//! The socket at which the node's network plugin asks about pods that have their network and do not run yet.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use leno_cni::{Answer, MOST, Question};
use leno_host::{KnownBy, Netns, Reach, SocketFile};
use leno_model::view::{Pod, WorkloadId};
use leno_model::{Code, Name, Namespace};
use leno_proxy::follow::Placer;
use leno_wire::pods::{Arriving, Placed};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many questions are answered at a time; the others wait.
const MOST_ASKED: usize = 64;

/// How long a question may take to be asked, and to be answered: less than the plugin waits.
const ASKING: Duration = Duration::from_secs(5);
const PLACING: Duration = Duration::from_secs(15);

/// A pod that the plugin asks about, and that is one of ours: to be served, or to have its capture kept.
pub(super) struct Asked {
    pub(super) id: WorkloadId,
    pub(super) pod: Pod,
    /// By what is known what its proxy sends, this one or one in it.
    pub(super) known_by: KnownBy,
    pub(super) netns: Netns,
    /// Whether it is to be looked at alone.
    pub(super) is_check: bool,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The socket.
pub(super) struct Plugin {
    listener: UnixListener,
    placer: Placer,
    asked: mpsc::Sender<Asked>,
}

impl Plugin {
    /// Listens at `path`, in the place of whoever did before, until the file is dropped. What is asked about pods of ours
    /// comes by `asked`.
    pub(super) fn listen(
        path: &Path,
        placer: Placer,
        asked: mpsc::Sender<Asked>,
    ) -> io::Result<(Self, SocketFile)> {
        let (listener, file) =
            SocketFile::put(path, Reach::Owner, |path| UnixListener::bind(path))?;
        let plugin = Self {
            listener,
            placer,
            asked,
        };
        Ok((plugin, file))
    }

    /// Answers for as long as it is polled.
    pub(super) async fn serve(self) -> io::Error {
        let room = Arc::new(Semaphore::new(MOST_ASKED));
        let mut tasks = JoinSet::new();
        loop {
            let permit = Arc::clone(&room).acquire_owned().await;
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) if leno_host::files::is_limit(&error) => {
                    tokio::time::sleep(ASKING / 100).await;
                    continue;
                }
                Err(error) => return error,
            };
            while tasks.try_join_next().is_some() {}
            let (placer, asked) = (self.placer.clone(), self.asked.clone());
            tasks.spawn(async move {
                let _permit = permit;
                // One that hangs up has its answer elsewhere: the runtime asks again.
                drop(serve(stream, placer, asked).await);
            });
        }
    }
}

async fn serve(
    mut stream: UnixStream,
    placer: Placer,
    asked: mpsc::Sender<Asked>,
) -> io::Result<()> {
    let process = stream.peer_cred()?.pid();
    let process = process.and_then(|process| u32::try_from(process).ok());
    let (reading, mut writing) = stream.split();
    let mut line = Vec::new();
    let mut reading = BufReader::new(reading.take(MOST as u64));
    timeout(ASKING, reading.read_until(b'\n', &mut line)).await??;
    let answer = match read(&line) {
        Ok(question) => answer(question, process, placer, asked).await,
        Err(refused) => refused,
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    timeout(ASKING, writing.write_all(&line)).await?
}

/// A question, as far as it can be answered.
struct Read {
    arriving: Arriving,
    netns: PathBuf,
    is_check: bool,
}

fn read(line: &[u8]) -> Result<Read, Answer> {
    let question = serde_json::from_slice(line);
    let question =
        question.map_err(|why| refused(Code::H014, &format!("this is no question: {why}")))?;
    let is_check = matches!(question, Question::Check(_));
    let (Question::Add(pod) | Question::Check(pod)) = question;
    let id = || {
        Some(WorkloadId {
            namespace: Namespace::new(&pod.namespace).ok()?,
            name: Name::new(&pod.name).ok()?,
        })
    };
    let (Some(id), Some(uid)) = (id(), pod.uid) else {
        return Err(refused(
            Code::H014,
            "the container runtime says no namespace, name and UID of a pod (K8S_POD_UID)",
        ));
    };
    Ok(Read {
        arriving: Arriving { id, uid },
        netns: pod.netns.into(),
        is_check,
    })
}

async fn answer(
    read: Read,
    process: Option<u32>,
    mut placer: Placer,
    asked: mpsc::Sender<Asked>,
) -> Answer {
    let Read {
        arriving,
        netns,
        is_check,
    } = read;
    let not_placed = |why: &str| refused(Code::H017, why);
    let (pod, known_by) = match timeout(PLACING, placer.place(&arriving)).await {
        Err(_) => return not_placed("the control plane does not answer"),
        Ok(Err(why)) => return not_placed(&why),
        Ok(Ok(Placed::NotSeen)) => {
            return not_placed("the control plane has not seen this pod in the cluster yet");
        }
        Ok(Ok(Placed::Elsewhere)) => return Answer::Served(false),
        Ok(Ok(Placed::Here(pod))) => (pod, KnownBy::Mark),
        Ok(Ok(Placed::Beside(pod))) => (pod, KnownBy::User),
    };
    let opened =
        process.ok_or_else(|| io::Error::other("the kernel does not say which process asks"));
    let netns = match opened.and_then(|process| Netns::open_as(process, &netns)) {
        Ok(netns) => netns,
        Err(why) => return refused(Code::H018, &format!("{}: {why}", netns.display())),
    };
    let (answer, answered) = oneshot::channel();
    let question = Asked {
        id: arriving.id,
        pod,
        known_by,
        netns,
        is_check,
        answer,
    };
    let is_asked = asked.send(question).await.is_ok();
    match answered.await {
        Ok(answer) if is_asked => answer,
        Ok(_) | Err(_) => not_placed("this proxy ends"),
    }
}

pub(super) fn refused(code: Code, why: &str) -> Answer {
    Answer::Refused {
        code: code.to_string(),
        why: format!("{}: {why}", code.slug()),
    }
}
