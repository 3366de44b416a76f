//! The process of one pod, as the proxy of its node keeps it going: it is given the pod's sockets and network, gets its
//! first certificate vouched for, and is started again when it ends by itself.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leno_host::link::Link;
use leno_host::{Bounds, Group, Groups, Netns};
use leno_model::view::{OwnProcess, WorkloadId};
use leno_model::{Dice, Pause, SpiffeId};
use leno_proxy::follow::Voucher;
use leno_wire::pods::Arriving;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::command::joined::word::{Begin, Hearing, Listening, Word};

/// How long a process that serves must have lived for its next start not to wait for longer than the first.
const STEADY: Duration = Duration::from_secs(60);

/// How long the control plane may take to sign: less than a process may wait.
const VOUCHING: Duration = Duration::from_secs(15);

/// How much longer than its own patience with what lives a process may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// What is run, and with what.
#[derive(Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// Where it keeps what it needs when it is started again.
    pub(super) folder: PathBuf,
    pub(super) begin: Begin,
    /// How long it may take to end.
    pub(super) drain: Duration,
}

/// The pod that a process serves.
pub(super) struct Charge {
    pub(super) pod: Arriving,
    pub(super) identity: SpiffeId,
    pub(super) netns: Arc<Netns>,
    pub(super) listening: Listening,
    pub(super) own: OwnProcess,
}

/// What happened to a process.
#[derive(Debug)]
pub(super) struct Happened {
    pub(super) id: WorkloadId,
    pub(super) what: What,
}

/// See [`Happened`].
#[derive(Debug)]
pub(super) enum What {
    /// The process of this number takes what arrives.
    Serves(u32),
    /// It has ended by itself, or could not be started.
    Ended(String),
}

/// A process that is kept going until this is dropped. Then it ends in peace.
pub(super) struct Process {
    serves: Arc<AtomicBool>,
    kept: oneshot::Sender<Gone>,
}

/// The pod of a process is there no more: what that kept is removed.
struct Gone;

impl Process {
    /// Whether it takes what arrives at its pod.
    pub(super) fn serves(&self) -> bool {
        self.serves.load(Ordering::Relaxed)
    }

    /// Ends it in peace, with all that it kept.
    pub(super) fn leave(self) {
        // One that ended meanwhile was not kept going any more.
        self.kept.send(Gone).ok();
    }
}

/// Keeps the process of a pod going.
pub(super) struct Keeper {
    pub(super) charge: Charge,
    pub(super) program: Program,
    pub(super) groups: Option<Arc<Groups>>,
    pub(super) voucher: Voucher,
    pub(super) happened: mpsc::Sender<Happened>,
    pub(super) dice: Dice,
    /// Whether the process takes what arrives at its pod.
    pub(super) serves: Arc<AtomicBool>,
}

/// Hears that a process is to end.
type Told = oneshot::Receiver<Gone>;

/// Whether the pod is there no more, or its process alone is to end.
type ToEnd = Result<Gone, oneshot::error::RecvError>;

/// Why a process lives no more.
enum Ended {
    /// It was told to.
    Told(ToEnd),
    /// By itself, after it had lived for so long since it served.
    Itself { why: String, served: Duration },
}

impl Keeper {
    /// The process, and what keeps it going for as long as it is polled.
    pub(super) fn keep(self) -> (Process, impl Future<Output = ()>) {
        let (kept, told) = oneshot::channel();
        let serves = Arc::clone(&self.serves);
        (Process { serves, kept }, self.run(told))
    }

    async fn run(mut self, mut told: Told) {
        if let Ok(Gone) = self.keep_alive(&mut told).await {
            // What is left there is of nobody.
            drop(std::fs::remove_dir_all(&self.program.folder));
        }
    }

    /// Starts the process again and again, until it is told to end and has.
    async fn keep_alive(&mut self, told: &mut Told) -> ToEnd {
        let mut pause = Pause::default();
        loop {
            let ended = self.live(told).await;
            self.serves.store(false, Ordering::Relaxed);
            let (why, served) = match ended {
                Ok(Ended::Told(how)) => return how,
                Ok(Ended::Itself { why, served }) => (why, served),
                Err(why) => (why.to_string(), Duration::ZERO),
            };
            if served >= STEADY {
                pause.reset();
            }
            self.tell(What::Ended(why)).await;
            tokio::select! {
                how = &mut *told => return how,
                () = sleep(pause.next(&mut self.dice)) => {}
            }
        }
    }

    /// One life of the process.
    async fn live(&mut self, told: &mut Told) -> io::Result<Ended> {
        let (link, theirs) = Link::pair()?;
        let mut command = Command::new(&self.program.path);
        command.args(&self.program.arguments);
        let mut child = command
            .stdin(Stdio::from(theirs.into_fd()))
            .kill_on_drop(true)
            .spawn()?;
        // The command holds the other end, too: that the process has ended would never be heard.
        drop(command);
        let group = self.group(&child)?;
        let given = self.give(&link);
        let (hearing, mut since) = (Hearing::new(link)?, None);
        let attended = match given {
            Ok(()) => self.attend(&hearing, child.id(), &mut since, told).await,
            Err(why) => Err(why),
        };
        if let Ok(Some(how)) = attended {
            self.end(hearing.link(), child).await;
            return Ok(Ended::Told(how));
        }
        // It has ended, or says what it should not.
        child.start_kill().ok();
        let why = self.why(child.wait().await?, group.as_ref());
        let served = since.map_or(Duration::ZERO, |since: Instant| since.elapsed());
        Ok(Ended::Itself { why, served })
    }

    /// Gives the process what it needs.
    fn give(&self, link: &Link) -> io::Result<()> {
        let begin = Word::Begin(self.program.begin.clone());
        begin.send(link, &[self.charge.netns.file()])?;
        self.charge.listening.send(link)
    }

    /// Answers the process until it is to end, or has nothing more to say. Since when it serves is in `since`.
    async fn attend(
        &mut self,
        hearing: &Hearing,
        process: Option<u32>,
        since: &mut Option<Instant>,
        told: &mut Told,
    ) -> io::Result<Option<ToEnd>> {
        loop {
            let heard = tokio::select! {
                biased;
                how = &mut *told => return Ok(Some(how)),
                heard = hearing.next() => heard?,
            };
            match heard {
                Some(Word::Request(request)) => {
                    let vouched = tokio::select! {
                        how = &mut *told => return Ok(Some(how)),
                        vouched = self.vouch(request) => vouched,
                    };
                    vouched.send(hearing.link(), &[])?;
                }
                Some(Word::Serves) => {
                    *since = Some(Instant::now());
                    self.serves.store(true, Ordering::Relaxed);
                    self.tell(What::Serves(process.unwrap_or_default())).await;
                }
                Some(_) | None => return Ok(None),
            }
        }
    }

    /// Puts the process where what it uses is bounded, before it does anything.
    fn group(&self, child: &Child) -> io::Result<Option<Group>> {
        let (Some(groups), Some(process)) = (&self.groups, child.id()) else {
            return Ok(None);
        };
        let bounds = Bounds {
            memory: u64::from(self.charge.own.memory_mib) << 20,
            cpu_milli: self.charge.own.cpu_milli,
        };
        let group = groups.make(&format!("leno-pod-{}", self.charge.pod.uid), &bounds)?;
        group.add(process)?;
        Ok(Some(group))
    }

    async fn vouch(&mut self, request: Vec<u8>) -> Word {
        let Charge { pod, identity, .. } = &self.charge;
        let vouched = timeout(VOUCHING, self.voucher.vouch(pod, identity, request)).await;
        match vouched.unwrap_or_else(|_| Err("the control plane does not answer".to_owned())) {
            Ok(vouched) => Word::Vouched(vouched),
            Err(why) => Word::NotVouched(why),
        }
    }

    /// Has it end in peace. What arrives from here on is another's, who listens beside it.
    async fn end(&mut self, link: &Link, mut child: Child) {
        self.charge.listening = Listening::default();
        // One that does not hear it has ended, or is ended below.
        drop(Word::End.send(link, &[]));
        if timeout(self.program.drain + ENDING, child.wait())
            .await
            .is_err()
        {
            drop(child.kill().await);
        }
    }

    /// Why a process has ended, in words.
    fn why(&self, status: ExitStatus, group: Option<&Group>) -> String {
        match group.map_or(0, Group::ends_for_memory) {
            0 => said(status),
            _ => format!(
                "it needed more than {} MiB of memory",
                self.charge.own.memory_mib
            ),
        }
    }

    async fn tell(&self, what: What) {
        let id = self.charge.pod.id.clone();
        // Nobody listens when all has ended.
        drop(self.happened.send(Happened { id, what }).await);
    }
}

/// `the process ended with exit code 3`, `signal 9 ended the process`.
fn said(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        // As the allocator does where there is no memory left.
        (Some(ABORTED), _) => {
            "the process ended itself (signal 6): it panicked, or had no memory left".to_owned()
        }
        (Some(signal), _) => format!("signal {signal} ended the process"),
        (None, Some(code)) => format!("the process ended with exit code {code}"),
        (None, None) => "the process ended".to_owned(),
    }
}

const ABORTED: i32 = 6;

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("serves", &self.serves())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use leno_model::view::WorkloadId;
    use leno_model::{Name, Namespace, ObjectRef, Origin};
    use tokio::sync::watch;

    use super::*;

    /// What keeps a process going that runs this, and where it is told what happens.
    fn keeper(path: &str, arguments: &[&str]) -> (Keeper, mpsc::Receiver<Happened>) {
        let (namespace, name) = (
            Namespace::new("shop").unwrap(),
            Name::new("cart-1").unwrap(),
        );
        let origin = Origin {
            object: Arc::new(ObjectRef {
                kind: "Mesh".into(),
                namespace: None,
                name: Name::new("mesh").unwrap(),
            }),
            pointer: "".into(),
            place: None,
        };
        let (happened, happening) = mpsc::channel(8);
        let id = WorkloadId { namespace, name };
        let keeper = Keeper {
            charge: Charge {
                pod: Arriving {
                    id,
                    uid: "7f".to_owned(),
                },
                identity: SpiffeId::parse("spiffe://shop.local/ns/shop/sa/cart").unwrap(),
                netns: Arc::new(Netns::own().unwrap()),
                listening: Listening::default(),
                own: OwnProcess {
                    memory_mib: 64,
                    cpu_milli: None,
                    origin,
                },
            },
            program: Program {
                path: path.into(),
                arguments: arguments.iter().map(OsString::from).collect(),
                folder: "/nonexistent/leno".into(),
                begin: Begin {
                    hidden: Vec::new(),
                    memory_mib: 64,
                    cpu_milli: None,
                    node_servers: Vec::new(),
                },
                drain: Duration::from_secs(30),
            },
            groups: None,
            voucher: Voucher::new(watch::channel(None).1, String::new()),
            happened,
            dice: Dice::new(7),
            serves: Arc::default(),
        };
        (keeper, happening)
    }

    async fn next(happening: &mut mpsc::Receiver<Happened>) -> What {
        happening.recv().await.unwrap().what
    }

    #[tokio::test]
    async fn one_that_ends_by_itself_is_named_and_started_again() {
        let (keeper, mut happening) = keeper("/bin/sh", &["-c", "exit 3"]);
        let (process, keeping) = keeper.keep();
        let keeping = tokio::spawn(keeping);
        for _ in 0..3 {
            let What::Ended(why) = next(&mut happening).await else {
                panic!("it never serves");
            };
            assert_eq!(why, "the process ended with exit code 3");
            assert!(!process.serves());
        }
        drop(process);
        keeping.await.unwrap();
    }

    #[tokio::test]
    async fn one_that_cannot_be_started_is_named() {
        let (keeper, mut happening) = keeper("/nonexistent/leno", &[]);
        let (_process, keeping) = keeper.keep();
        let keeping = tokio::spawn(keeping);
        let What::Ended(why) = next(&mut happening).await else {
            panic!("it is not there");
        };
        assert!(why.contains("No such file"), "{why}");
        keeping.abort();
    }

    #[tokio::test]
    async fn one_that_serves_is_started_again_when_it_is_killed_and_ends_when_it_is_told() {
        let own = std::env::current_exe().unwrap();
        let made_up = "command::joined::node::process::tests::serves_until_it_is_told_to_end";
        let arguments = ["--ignored", "--exact", made_up];
        let (keeper, mut happening) = keeper(own.to_str().unwrap(), &arguments);
        let (process, keeping) = keeper.keep();
        let keeping = tokio::spawn(keeping);
        let What::Serves(first) = next(&mut happening).await else {
            panic!("it serves");
        };
        assert!(process.serves());
        let first = rustix::process::Pid::from_raw(first.try_into().unwrap()).unwrap();
        rustix::process::kill_process(first, rustix::process::Signal::KILL).unwrap();
        let What::Ended(why) = next(&mut happening).await else {
            panic!("it was killed");
        };
        assert_eq!(why, "signal 9 ended the process");
        assert!(matches!(next(&mut happening).await, What::Serves(_)));
        process.leave();
        keeping.await.unwrap();
        assert!(happening.recv().await.is_none(), "that it ended is no news");
    }

    #[test]
    #[ignore = "what the test before this starts"]
    fn serves_until_it_is_told_to_end() {
        use std::os::fd::AsFd as _;
        let stdin = io::stdin().as_fd().try_clone_to_owned().unwrap();
        let link = Link::from(stdin);
        // Whoever has all tests run has started this, and no proxy.
        let Ok(Some(begin)) = link.receive_within(Duration::from_secs(5)) else {
            return;
        };
        assert!(matches!(Word::read(begin), Ok((Word::Begin(_), files)) if files.len() == 1));
        Listening::receive(&link).unwrap();
        Word::Serves.send(&link, &[]).unwrap();
        let told = link.receive().unwrap().unwrap();
        assert_eq!(Word::read(told).unwrap().0, Word::End);
    }
}
