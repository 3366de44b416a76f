//! Processes that end with their tests, and waiting with a bound.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long anything may take before a test fails. Only a failing test waits for so long, and a machine that has other
/// things to do is slow.
const PATIENCE: Duration = Duration::from_secs(90);
const STEP: Duration = Duration::from_millis(5);

/// Asks until there is an answer.
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, ask).unwrap_or_else(|| panic!("in vain for {PATIENCE:?}: {what}"))
}

/// Asks until there is an answer, or for so long.
#[expect(
    clippy::disallowed_methods,
    reason = "other processes have no clock that could be set"
)]
pub fn within<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if begin.elapsed() > patience {
            return None;
        }
        thread::sleep(STEP);
    }
}

/// A process with a log. It is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: RefCell<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it says goes to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::create(log).expect("the folder takes files");
        let also = file.try_clone().expect("a file has two handles");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(also)
            .spawn();
        Self {
            child: RefCell::new(child.unwrap_or_else(|error| panic!("{command:?}: {error}"))),
            log: log.to_owned(),
        }
    }

    /// Everything it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log is a text")
    }

    /// Waits for a line with all of `words`, and gives it. One that has ended says nothing more.
    pub fn until_says(&self, words: &[&str]) -> String {
        let says = |line: &&str| words.iter().all(|word| line.contains(word));
        let what = format!("{words:?} in {}", self.log.display());
        until(&what, || {
            let ended = self.status().is_some();
            let said = self.log().lines().find(says).map(str::to_owned);
            assert!(!ended || said.is_some(), "ended without {what}");
            said
        })
    }

    /// How many files it has open.
    pub fn files(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid()));
        files.expect("it runs").count()
    }

    /// The most memory that it has had so far (`VmHWM`), in bytes.
    pub fn most_memory(&self) -> usize {
        memory(self.pid(), "VmHWM").expect("it runs") * 1024
    }

    /// The memory that it has (`VmRSS`), in bytes; `None` once it has ended.
    pub fn memory(&self) -> Option<usize> {
        Some(memory(self.pid(), "VmRSS")? * 1024)
    }

    /// Lets it open so many files more and no further ones; `None` for as many as it likes.
    pub fn leave_files(&self, more: Option<usize>) {
        let pid = self.pid().to_string();
        let open = |file: &usize| Path::new(&format!("/proc/{pid}/fd/{file}")).is_symlink();
        // The limit is the lowest number that no file may have.
        let mut free = (0..).filter(|file| !open(file));
        let limit = more.and_then(|more| free.nth(more)).unwrap_or(1024);
        let limit = format!("--nofile={limit}:");
        run(Command::new("prlimit").args(["--pid", &pid, &limit]));
    }

    /// Lets it write nothing more into files, or again as much as it likes. It is to ignore the signal
    /// `XFSZ`, and gets errors.
    pub fn leave_disk(&self, is_left: bool) {
        let limit = if is_left { "unlimited" } else { "0" };
        let (pid, limit) = (self.pid().to_string(), format!("--fsize={limit}:"));
        run(Command::new("prlimit").args(["--pid", &pid, &limit]));
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.borrow().id()
    }

    /// Sends it a signal: `TERM`, `HUP`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        run(Command::new("kill").args(["-s", name, &pid]));
    }

    /// Kills it: it has no time for anything.
    pub fn kill(&mut self) {
        let child = self.child.get_mut();
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }

    /// Waits until it has ended.
    pub fn ended(&self) -> ExitStatus {
        until("the end of a process", || self.status())
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.status().is_some()
    }

    fn status(&self) -> Option<ExitStatus> {
        self.child.borrow_mut().try_wait().expect("it is our child")
    }
}

/// How much memory a process has, by this line of its `status`, in KiB.
pub fn memory(pid: u32, line: &str) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines().filter_map(|told| told.split_once(':'));
    let (_, told) = lines.find(|(name, _)| *name == line)?;
    told.trim().strip_suffix(" kB")?.parse().ok()
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let child = self.child.get_mut();
        drop(child.kill());
        drop(child.wait());
        if thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let tail = log.lines().rev().take(40).collect::<Vec<_>>();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            show(&format!("--- {}\n{tail}", self.log.display()));
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "a failing test shows what its processes said"
)]
fn show(text: &str) {
    println!("{text}");
}

/// Runs a command to its end and gives what it printed; one that fails, or does not end, fails the
/// test.
pub fn run(command: &mut Command) -> String {
    run_within(PATIENCE, command)
}

/// The same of a command that may take so long: one that waits for several things by itself.
pub fn run_within(patience: Duration, command: &mut Command) -> String {
    let ended = ended_within(patience, command);
    let Ended { out, err, status } =
        ended.unwrap_or_else(|| panic!("in vain for {patience:?}: the end of {command:?}"));
    assert!(status.success(), "{command:?}: {status}\n{out}{err}");
    out
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub err: String,
    /// How it ended.
    pub status: ExitStatus,
}

/// Runs a command to its end, or kills it if that does not come in time.
pub fn ended(command: &mut Command) -> Option<Ended> {
    ended_within(PATIENCE, command)
}

/// The same, waited for so long.
pub fn ended_within(patience: Duration, command: &mut Command) -> Option<Ended> {
    let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = pipes.spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let out = read(child.stdout.take().expect("it is a pipe"));
    let err = read(child.stderr.take().expect("it is a pipe"));
    let mut running = Running(child);
    let status = within(patience, || running.ended())?;
    let text = |reading: JoinHandle<Vec<u8>>| {
        let bytes = reading.join().expect("reading does not panic");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Some(Ended {
        out: text(out),
        err: text(err),
        status,
    })
}

fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is shown all the same.
        drop(pipe.read_to_end(&mut bytes));
        bytes
    })
}

/// A command that is killed if nobody waits for its end any more.
struct Running(Child);

impl Running {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("it is our child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
