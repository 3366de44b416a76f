//! Where a cluster lives: processes in namespaces of their own, which end together.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use leno_e2e::within;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::keeper::{AGAIN, STAYS};
use crate::node::Node;

/// A sandbox that runs. When it is dropped, everything in it ends, and so it does when its owner is killed.
#[derive(Debug)]
pub(crate) struct Sandbox {
    folder: PathBuf,
    kind: Kind,
    keeper: Child,
    /// What its first process is told; it ends when nobody can tell it anything any more.
    orders: Option<ChildStdin>,
    told: Receiver<Told>,
    /// The number of its first process, outside.
    first: u32,
}

/// How much a sandbox has to itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Its processes: they are on the host's network.
    Processes,
    /// All that makes a host, for this node.
    Node(Node),
}

/// A process that is to be started in a sandbox.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Component {
    /// What it is called; its log is `logs/NAME.log` in the sandbox's folder.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
}

/// What the first process of a sandbox tells its owner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    /// Everything is set up; the number of the process outside.
    Ready(u32),
    /// A component has ended.
    Ended { component: String, status: String },
}

/// The folder of logs in that of a sandbox.
pub(crate) const LOGS: &str = "logs";

impl Kind {
    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let nodes = Node::ALL.into_iter().map(Self::Node);
        let mut kinds = std::iter::once(Self::Processes).chain(nodes);
        kinds.find(|kind| kind.name() == name)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Node(node) => node.name(),
        }
    }

    /// The namespaces that it has to itself, for `unshare` and `nsenter` alike.
    pub(crate) fn namespaces(self) -> &'static [&'static str] {
        match self {
            Self::Processes => &["--mount", "--pid"],
            Self::Node(_) => &["--cgroup", "--ipc", "--mount", "--net", "--pid", "--uts"],
        }
    }
}

impl Sandbox {
    /// Starts one in `folder`, by the program `own`.
    pub(crate) fn start(own: &Path, kind: Kind, folder: &Path) -> Result<Self, Failure> {
        let logs = folder.join(LOGS);
        fs::create_dir_all(&logs).map_err(Failure::of("a folder for logs"))?;
        let log = logs.join("sandbox.log");
        let log = File::create(&log).map_err(Failure::of("a log"))?;
        let mut command = Command::new(own);
        command.args(["keep", kind.name()]).arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // What a terminal sends to its programs is for the owner, not for those in the sandbox.
        let started = command.stderr(log).process_group(0).spawn();
        let mut keeper = started.map_err(Failure::of(own.display().to_string()))?;
        let orders = keeper.stdin.take();
        let lines = keeper.stdout.take().map(BufReader::new);
        let (tell, told) = channel();
        thread::spawn(move || {
            let lines = lines
                .into_iter()
                .flat_map(BufRead::lines)
                .map_while(Result::ok);
            for told in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if tell.send(told).is_err() {
                    return;
                }
            }
        });
        let mut sandbox = Self {
            folder: folder.to_owned(),
            kind,
            keeper,
            orders,
            told,
            first: 0,
        };
        sandbox.begin()?;
        Ok(sandbox)
    }

    /// Ends all that runs in it at once, as when a host loses its power, and lets it begin again: nothing runs there then,
    /// and its disk holds what it held.
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        let again = self.folder.join(AGAIN);
        fs::write(&again, "").map_err(Failure::of(again.display().to_string()))?;
        let first = i32::try_from(self.first).ok().and_then(Pid::from_raw);
        let first = first.ok_or(std::io::ErrorKind::NotFound.into());
        let killed = first.and_then(|first| Ok(kill_process(first, Signal::KILL)?));
        killed.map_err(Failure::of("the sandbox cannot be ended"))?;
        self.begin()
    }

    /// Waits until it is set up.
    fn begin(&mut self) -> Result<(), Failure> {
        match self.told.recv_timeout(PATIENCE) {
            Ok(Told::Ready(first)) => {
                self.first = first;
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Err(Failure::InVain {
                what: "the sandbox is set up".to_owned(),
                patience: PATIENCE,
                tail: self.tail("sandbox"),
            }),
            Ok(Told::Ended { .. }) | Err(RecvTimeoutError::Disconnected) => Err(Failure::Ended {
                component: "sandbox".to_owned(),
                status: "before it was set up".to_owned(),
                tail: self.tail("sandbox"),
            }),
        }
    }

    /// Starts a component in it.
    pub(crate) fn run(&mut self, component: &Component) -> Result<(), Failure> {
        let told = || -> std::io::Result<()> {
            let mut orders = self.orders.as_ref().ok_or(std::io::ErrorKind::BrokenPipe)?;
            let line = serde_json::to_string(component)?;
            writeln!(orders, "{line}")
        };
        told().map_err(Failure::of(format!("{} cannot be started", component.name)))
    }

    /// A command that runs in it.
    pub(crate) fn enter(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.first.to_string());
        command.args(self.kind.namespaces()).arg("--").arg(program);
        command
    }

    /// The number of its first process, as seen from outside.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// Waits until `ask` has an answer; `component` is who should bring it about. None may end meanwhile.
    pub(crate) fn until<T>(
        &self,
        component: &str,
        what: &str,
        mut ask: impl FnMut() -> Option<T>,
    ) -> Result<T, Failure> {
        let answer = within(PATIENCE, || match self.check() {
            Ok(()) => ask().map(Ok),
            Err(ended) => Some(Err(ended)),
        });
        answer.unwrap_or_else(|| {
            Err(Failure::InVain {
                what: what.to_owned(),
                patience: PATIENCE,
                tail: self.tail(component),
            })
        })
    }

    /// Fails if a component has ended: none should before the sandbox does.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let (component, status) = match self.told.try_recv() {
            Ok(Told::Ended { component, status }) => (component, status),
            Ok(Told::Ready(_)) | Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => ("sandbox".to_owned(), "all of it".to_owned()),
        };
        let tail = self.tail(&component);
        Err(Failure::Ended {
            component,
            status,
            tail,
        })
    }

    /// The last lines of a component's log.
    fn tail(&self, component: &str) -> String {
        let log = self.folder.join(LOGS).join(format!("{component}.log"));
        let text = fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let first = lines.len().saturating_sub(TAIL);
        lines
            .iter()
            .skip(first)
            .map(|line| format!("  {line}\n"))
            .collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            // Whoever looks for what went wrong finds the logs; without them it is still told.
            drop(fs::write(self.folder.join(STAYS), ""));
        }
        drop(self.orders.take());
        if within(PATIENCE, || self.keeper.try_wait().ok().flatten()).is_none() {
            drop(self.keeper.kill());
            drop(self.keeper.wait());
        }
    }
}

/// How long anything of a sandbox may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How many lines of a log are shown.
const TAIL: usize = 20;
