//! The socket at which the node's network plugin asks about pods that have their network and do not run yet.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use leno_cni::{Answer, MOST, Question};
use leno_host::{KnownBy, Netns, Reach, SocketFile};
use leno_model::view::{Pod, View, WhileAway, WorkloadId};
use leno_model::{Code, Name, Namespace};
use leno_proxy::follow::Placer;
use leno_wire::pods::{Arriving, Placed};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::command::joined::node::Said;

/// How many questions are answered at a time; the others wait.
const MOST_ASKED: usize = 64;

/// How long a question may take to be asked, and to be answered: less than the plugin waits.
const ASKING: Duration = Duration::from_secs(5);
const PLACING: Duration = Duration::from_secs(15);

/// How long a control plane may be away until a pod starts that has nothing to do with the mesh by what was told last.
const REACHING: Duration = Duration::from_secs(2);

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

/// Who knows the answers.
#[derive(Clone)]
pub(super) struct Knowing {
    pub(super) placer: Placer,
    /// What the control plane told last.
    pub(super) told: watch::Receiver<Option<Arc<View>>>,
    /// Takes what is asked about pods of ours.
    pub(super) asked: mpsc::Sender<Asked>,
    /// Takes what people are to be told.
    pub(super) said: mpsc::Sender<Said>,
}

/// The socket.
pub(super) struct Plugin {
    listener: UnixListener,
    knowing: Knowing,
}

impl Plugin {
    /// Listens at `path`, in the place of whoever did before, until the file is dropped.
    pub(super) fn listen(path: &Path, knowing: Knowing) -> io::Result<(Self, SocketFile)> {
        let (listener, file) =
            SocketFile::put(path, Reach::Owner, |path| UnixListener::bind(path))?;
        Ok((Self { listener, knowing }, file))
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
            let knowing = self.knowing.clone();
            tasks.spawn(async move {
                let _permit = permit;
                // One that hangs up has its answer elsewhere: the runtime asks again.
                drop(serve(stream, knowing).await);
            });
        }
    }
}

async fn serve(mut stream: UnixStream, knowing: Knowing) -> io::Result<()> {
    let process = stream.peer_cred()?.pid();
    let process = process.and_then(|process| u32::try_from(process).ok());
    let (reading, mut writing) = stream.split();
    let mut line = Vec::new();
    let mut reading = BufReader::new(reading.take(MOST as u64));
    timeout(ASKING, reading.read_until(b'\n', &mut line)).await??;
    let answer = match read(&line) {
        Ok(question) => knowing.answer(question, process).await,
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

impl Knowing {
    async fn answer(mut self, read: Read, process: Option<u32>) -> Answer {
        let Read {
            arriving,
            netns,
            is_check,
        } = read;
        let not_placed = |why: &str| refused(Code::H017, why);
        let (pod, known_by) = match self.place(&arriving).await {
            None => return self.answer_alone(&arriving.id, is_check),
            Some(Err(why)) => return not_placed(&why),
            Some(Ok(Placed::NotSeen)) => {
                return not_placed("the control plane has not seen this pod in the cluster yet");
            }
            Some(Ok(Placed::Elsewhere)) => return Answer::Served(false),
            Some(Ok(Placed::Here(pod))) => (pod, KnownBy::Mark),
            Some(Ok(Placed::Beside(pod))) => (pod, KnownBy::User),
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
        let is_asked = self.asked.send(question).await.is_ok();
        match answered.await {
            Ok(answer) if is_asked => answer,
            Ok(_) | Err(_) => not_placed("this proxy ends"),
        }
    }

    /// What the control plane says of a pod; `None` if it does not answer.
    async fn place(&mut self, pod: &Arriving) -> Option<Result<Placed, String>> {
        let is_apart = self.is_apart(&pod.id);
        let asked = async {
            if is_apart {
                timeout(REACHING, self.placer.reach()).await.ok()?;
            }
            Some(self.placer.place(pod).await)
        };
        timeout(PLACING, asked).await.ok().flatten()
    }

    /// The answer while the control plane gives none, by what it told last.
    ///
    /// Pods of namespaces that had no part in the mesh then start. That a namespace has one since, or a pod by a label of its
    /// own, hardly makes a difference here: the API server asks the control plane before it makes such a pod, and makes none
    /// while that does not answer and the mesh says `Closed`. What is left are pods that were made in the moment before, and
    /// static ones: they are taken up as soon as a view names them. Who was never told anything knows of no namespace that
    /// it has no part.
    fn answer_alone(&self, id: &WorkloadId, is_check: bool) -> Answer {
        if self.is_apart(id) {
            return Answer::Served(false);
        }
        let (code, why) = (Code::H017, "the control plane does not answer");
        let why = format!("{}: {why}", code.slug());
        if self.is_open() && !is_check {
            let line = format!("{id}: {code} {why}; whileAway is Open: it starts uncaptured");
            // Where so much is told that there is no room, the runtime's log has it.
            self.said.try_send(Said::Bad(line)).ok();
        }
        Answer::Undecided {
            code: code.to_string(),
            why,
        }
    }

    fn is_apart(&self, id: &WorkloadId) -> bool {
        let told = self.told.borrow();
        let mut settings = told.iter().map(|view| &view.settings);
        settings.any(|settings| settings.is_apart(&id.namespace))
    }

    fn is_open(&self) -> bool {
        let told = self.told.borrow();
        let mut settings = told.iter().map(|view| &view.settings);
        settings.any(|settings| settings.while_away == WhileAway::Open)
    }
}

pub(super) fn refused(code: Code, why: &str) -> Answer {
    Answer::Refused {
        code: code.to_string(),
        why: format!("{}: {why}", code.slug()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use leno_cni::{Called, NotAsked, run};
    use leno_compile::{ViewOf, compile};
    use leno_resources::Resources;

    use super::*;

    /// What a proxy was told last, by a mesh of which these namespaces are part.
    fn told(while_away: WhileAway, taking_part: Option<&[&str]>) -> Option<Arc<View>> {
        let (mesh, _) = compile(&Resources::default());
        let mut view = mesh.view(ViewOf {
            workloads: &BTreeSet::new(),
        });
        let settings = Arc::make_mut(&mut view.settings);
        settings.while_away = while_away;
        settings.taking_part = taking_part.map(|all| {
            let all = all.iter().map(|it| Namespace::new(it).unwrap());
            Arc::new(all.collect())
        });
        Some(Arc::new(view))
    }

    /// What becomes of a pod about which the plugin asks while the control plane is away: what the runtime is told, and
    /// who reads the proxy's log.
    async fn outcome(told: Option<Arc<View>>, namespace: &str, while_away: &str) -> String {
        let (_away, line) = watch::channel(None);
        let (_views, told) = watch::channel(told);
        let (asked, _asking) = mpsc::channel(1);
        let (said, mut saying) = mpsc::channel(1);
        let knowing = Knowing {
            placer: Placer::new(line),
            told,
            asked,
            said,
        };
        let question = Question::Add(leno_cni::Pod {
            namespace: namespace.to_owned(),
            name: "web-1".to_owned(),
            uid: Some("7".to_owned()),
            netns: "/var/run/netns/cni-7".to_owned(),
            addresses: Vec::new(),
        });
        let question = read(&serde_json::to_vec(&question).unwrap()).ok().unwrap();
        let answer = knowing.answer(question, None).await;
        let called = Called {
            command: Some("ADD".to_owned()),
            netns: Some("/var/run/netns/cni-7".to_owned()),
            arguments: Some(format!("K8S_POD_NAMESPACE={namespace};K8S_POD_NAME=web-1")),
        };
        let configuration = format!(
            r#"{{"cniVersion": "1.0.0", "prevResult": {{}}, "whileAway": "{while_away}"}}"#
        );
        let ended = run(
            &called,
            configuration.as_bytes(),
            |_, _| -> Result<_, NotAsked> { Ok(answer) },
        );
        let told = match saying.try_recv() {
            Ok(Said::Bad(line) | Said::Good(line)) => format!("; {line}"),
            Err(_) => String::new(),
        };
        match (ended.is_fine, ended.note) {
            (true, None) => format!("starts{told}"),
            (true, Some(_)) => format!("starts uncaptured{told}"),
            (false, _) => {
                let failed: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
                format!("waits{told}: {}", failed["msg"].as_str().unwrap())
            }
        }
    }

    const WAITS: &str = "waits: H017: pod-not-placed: the control plane does not answer";

    #[tokio::test(start_paused = true)]
    async fn while_the_control_plane_is_away_the_mesh_says_whether_its_pods_start() {
        let closed = told(WhileAway::Closed, Some(&["shop"]));
        assert_eq!(outcome(closed, "shop", "Closed").await, WAITS);
        let open = told(WhileAway::Open, Some(&["shop"]));
        assert_eq!(
            outcome(open, "shop", "Open").await,
            "starts uncaptured; shop/web-1: H017 pod-not-placed: the control plane does not answer; \
             whileAway is Open: it starts uncaptured"
        );
        // What was never told stands in the node's configuration.
        assert_eq!(outcome(None, "shop", "Open").await, "starts uncaptured");
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_control_plane_is_away_pods_start_that_have_nothing_to_do_with_the_mesh() {
        for (away, said) in [(WhileAway::Closed, "Closed"), (WhileAway::Open, "Open")] {
            let told = told(away, Some(&["shop"]));
            assert_eq!(outcome(told, "tools", said).await, "starts");
        }
        // Who was told of none knows of no namespace that it has no part.
        for told in [None, told(WhileAway::Closed, None)] {
            assert_eq!(outcome(told, "tools", "Closed").await, WAITS);
        }
    }
}
