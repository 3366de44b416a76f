//! Programs that run pinned to one core until they are dropped, and what they have used.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    num::NonZeroU64,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_setaffinity, set_current_timer_slack},
};

use crate::shell;

/// The core that a program runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    /// What is measured.
    Proxy,
    /// Clients and origin.
    Other,
    /// Any of two.
    Both,
}

impl Core {
    /// A command that runs on this core, before what else the machine may be doing: the kernel
    /// shares a core among sessions first, so it has a session of its own.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        let cores: Vec<_> = self.cores().iter().map(usize::to_string).collect();
        let cores = cores.join(",");
        let first = "echo -10 2>&- >/proc/$$/autogroup; exec \"$0\" \"$@\"";
        command.args(["--cpu-list", &cores, "nice", "--adjustment=-10"]);
        command.args(["setsid", "sh", "-c", first]).arg(program);
        command
    }

    /// Lets this thread run on this core only, and wake up as soon as it is time.
    pub(crate) fn pin(self) -> io::Result<()> {
        let mut cores = CpuSet::new();
        for core in self.cores() {
            cores.set(*core);
        }
        sched_setaffinity(None, &cores)?;
        set_current_timer_slack(NonZeroU64::new(1))?;
        Ok(())
    }

    fn cores(self) -> &'static [usize] {
        match self {
            Self::Proxy => &[0],
            Self::Other => &[1],
            Self::Both => &[0, 1],
        }
    }
}

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    /// What it prints.
    log: PathBuf,
}

/// Memory that a program holds, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What is resident, shared libraries and files included.
    pub(crate) resident: u64,
    /// The same, where what is shared is divided among those who share it.
    pub(crate) proportional: u64,
    /// What is its own and written to.
    pub(crate) private: u64,
}

impl Running {
    /// Starts `program` in `folder`; it has begun when it listens at `address`. What it prints goes to
    /// `NAME.log` there.
    pub(crate) fn start(
        core: Core,
        folder: &Path,
        name: &str,
        program: &Path,
        words: &[&str],
        address: SocketAddr,
    ) -> io::Result<Self> {
        let mut running = Self::begin(core, folder, name, program, words)?;
        running.until_listening(address)?;
        Ok(running)
    }

    /// The same without waiting.
    pub(crate) fn begin(
        core: Core,
        folder: &Path,
        name: &str,
        program: &Path,
        words: &[&str],
    ) -> io::Result<Self> {
        let path = folder.join(format!("{name}.log"));
        let log = File::create(&path)?;
        let child = core
            .command(program)
            .args(words)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log)
            .spawn()?;
        Ok(Self { child, log: path })
    }

    /// Waits until it listens at `address`.
    pub(crate) fn until_listening(&mut self, address: SocketAddr) -> io::Result<()> {
        for _ in 0..PATIENCE {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() {
                break;
            }
            pause(Duration::from_millis(20));
        }
        let said = fs::read_to_string(&self.log)?;
        let log = self.log.display();
        Err(io::Error::other(format!(
            "nobody listens at {address}; {log}: {said}"
        )))
    }

    /// Ends it by `kill -9`.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// How many files it has open.
    pub(crate) fn files(&self) -> io::Result<usize> {
        Ok(fs::read_dir(self.proc("fd"))?.count())
    }

    /// Ends it as an operator does, by SIGTERM; where it has printed what it said.
    pub(crate) fn end(mut self) -> io::Result<PathBuf> {
        self.signal(Signal::TERM)?;
        for _ in 0..PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(self.log.clone());
            }
            pause(Duration::from_millis(20));
        }
        let log = self.log.display();
        Err(io::Error::other(format!("it does not end: {log}")))
    }

    /// The CPU time that all of its threads have used.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        Ok(self.cpu_by_thread()?.into_iter().sum())
    }

    /// The CPU time that each of its threads has used, the oldest first.
    pub(crate) fn cpu_by_thread(&self) -> io::Result<Vec<Duration>> {
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(self.proc("task"))? {
            let task = task?;
            let figures = fs::read_to_string(task.path().join("schedstat"))?;
            let first = figures
                .split(' ')
                .next()
                .and_then(|first| first.parse::<u64>().ok());
            let nanoseconds = first.ok_or_else(|| io::Error::other("schedstat has no figures"))?;
            let id = task.file_name().to_string_lossy().parse::<u32>().ok();
            threads.insert(id, Duration::from_nanos(nanoseconds));
        }
        Ok(threads.into_values().collect())
    }

    /// The memory it holds.
    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let figures = fs::read_to_string(self.proc("smaps_rollup"))?;
        let figure = |line: &str| {
            let figure = figures.lines().find_map(|found| found.strip_prefix(line));
            let kilobytes =
                figure.and_then(|figure| figure.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            let kilobytes =
                kilobytes.ok_or_else(|| io::Error::other(format!("no {line} is told")))?;
            io::Result::Ok(kilobytes * 1024)
        };
        Ok(Memory {
            resident: figure("Rss:")?,
            proportional: figure("Pss:")?,
            private: figure("Private_Dirty:")?,
        })
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        drop(self.kill());
    }
}

/// Runs cargo in the root and gives what it prints.
pub(crate) fn cargo(core: Core, words: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut command = core.command(Path::new("cargo"));
    let command = command.args(words.split(' ')).current_dir(shell::root());
    said(command)
}

/// Runs a program to its end and gives what it prints; one that fails is an error that says why.
pub(crate) fn said(command: &mut Command) -> Result<String, Box<dyn std::error::Error>> {
    let output = command.output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {why}").into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The time by which durations are measured.
#[expect(clippy::disallowed_methods, reason = "this measures")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "idleness can only be waited for")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// An address of this host.
pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// How often it is tried whether a program listens.
pub(crate) const PATIENCE: usize = 500;
