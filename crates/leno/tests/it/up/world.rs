//! A folder with a mesh in it.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::said::{Said, ended};

/// A folder that is gone when the test is over, and with it whatever still runs there.
pub(crate) struct Folder {
    path: PathBuf,
    /// Clears up when its input ends: that happens however the test does.
    sweeper: Child,
}

/// Ends the mesh of the folder `$1`, and removes the one above it.
const SWEEP: &str = "cat; cd \"$1\" && \"$0\" down; cd / && rm -rf \"$(dirname \"$1\")\"";

impl Folder {
    /// An empty folder called `name`, after which its mesh is called.
    pub(crate) fn new(name: &str) -> Self {
        let parent = std::env::temp_dir().join(format!("leno-up-{}-{name}", std::process::id()));
        let folder = parent.join(name);
        drop(fs::remove_dir_all(&parent));
        fs::create_dir_all(&folder).unwrap();
        let sweeper = Command::new("sh")
            .args(["-c", SWEEP, env!("CARGO_BIN_EXE_leno")])
            .arg(&folder)
            .current_dir("/")
            // Ctrl-C in a terminal is for the test, and not for it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self {
            path: folder,
            sweeper: sweeper.unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path.join(name), text).unwrap();
        self
    }

    /// `leno` with these arguments, here.
    pub(crate) fn leno<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leno"));
        command
            .args(arguments)
            .current_dir(&self.path)
            .env("LENO_PROXIES", self.path.join(".proxies"))
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// The same where a setting of the kernel allows no namespaces.
    pub(crate) fn blocked<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let script = "echo 0 >/proc/sys/user/max_user_namespaces; exec \"$0\" \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "sh", "-c", script])
            .arg(env!("CARGO_BIN_EXE_leno"))
            .args(arguments)
            .current_dir(&self.path)
            .env("LENO_PROXIES", self.path.join(".proxies"))
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// What `leno` says, and its exit code at the end.
    pub(crate) fn told<const N: usize>(&self, arguments: [&str; N]) -> String {
        told(&self.leno(arguments).output().unwrap())
    }

    /// Runs the shell script `network`, whose `$0` is `leno`, in a network and as a root of its own; what
    /// it says must be as expected.
    pub(crate) fn says_in(&self, network: &str, arguments: &[&str], expect: &str) {
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--mount"])
            .args(["sh", "-c", network, env!("CARGO_BIN_EXE_leno")])
            .env("LENO_PROXIES", self.path().join(".proxies"))
            .args(arguments)
            .current_dir(self.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let troubles = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, expect, "{arguments:?}: {troubles}");
    }

    /// Whether `leno ps` says that a workload is up.
    pub(crate) fn is_up(&self, name: &str) -> bool {
        let rows = self.told(["ps"]);
        let mut rows = rows.lines().map(str::split_whitespace);
        rows.any(|mut words| words.next() == Some(name) && words.next() == Some("up"))
    }

    /// Starts the mesh; returns when everything has been said about its start.
    pub(crate) fn up(&self) -> Up<'_> {
        self.up_by(self.leno(["up"]))
    }

    /// Starts it by this command.
    pub(crate) fn up_by(&self, mut command: Command) -> Up<'_> {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let said = Said::by(child.stdout.take().unwrap());
        let mut up = Up {
            folder: self,
            child,
            said,
            shown: String::new(),
        };
        up.read_until("  Stop ");
        up
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        drop(self.sweeper.wait());
    }
}

/// A mesh that is up.
pub(crate) struct Up<'a> {
    folder: &'a Folder,
    child: Child,
    said: Said,
    shown: String,
}

impl Up<'_> {
    /// What it has shown so far.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads what it shows until a line begins with `mark`.
    pub(crate) fn read_until(&mut self, mark: &str) {
        loop {
            let Some(line) = self.said.next() else {
                panic!("it ended before it was up:\n{}", self.shown);
            };
            self.shown += &line;
            self.shown.push('\n');
            if line.starts_with(mark) {
                return;
            }
        }
    }

    /// Sends it a signal, and waits for its end.
    pub(crate) fn end_by(mut self, signal: &str) -> ExitStatus {
        let pid = self.pid().to_string();
        let killed = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(killed.success());
        ended(&mut self.child)
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        drop(self.folder.leno(["down"]).output());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Standard output, standard error, and the exit code if it is not 0.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut told = text(&output.stdout) + &text(&output.stderr);
    if let Some(code) = output.status.code().filter(|code| *code != 0) {
        told += &format!("exit {code}\n");
    }
    told
}

/// Runs a program of the host.
pub(crate) fn host<I: AsRef<OsStr>>(command: impl IntoIterator<Item = I>) -> Output {
    let mut words = command.into_iter();
    let program = words.next().unwrap();
    Command::new(program).args(words).output().unwrap()
}

/// Free ports of this machine, which the kernel gives to nobody by itself, and which no other test
/// chooses, neither here nor in another process.
pub(crate) fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let of_this_process = 20_000 + u16::try_from(std::process::id() % 400).unwrap() * 30;
    let first = next.unwrap_or(of_this_process);
    let is_free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    let mut free = (first..32_768).filter(is_free);
    let ports = [(); COUNT].map(|()| free.next().unwrap());
    *next = ports.last().map(|port| port + 1);
    ports
}

/// A text without what differs from run to run: times, ports that had to be chosen, addresses.
pub(crate) fn normalised(text: &str) -> String {
    let lines = text.lines().map(|line| {
        if line.starts_with("  Page ") {
            return "  Page   http://localhost:7070/?t=k3v9".to_owned();
        }
        let words = line.split(' ').map(|word| {
            let digits = word
                .chars()
                .all(|char| char.is_ascii_digit() || ".:".contains(char));
            let has_digit = word.contains(|char: char| char.is_ascii_digit());
            match digits && has_digit {
                true if word.contains(':') => "00:00:00".to_owned(),
                true if word.contains('.') => "0.0".to_owned(),
                _ => word.to_owned(),
            }
        });
        let line = words.collect::<Vec<_>>().join(" ");
        millis(&line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `12 ms` is `0 ms`.
fn millis(line: &str) -> String {
    let Some((before, after)) = line.split_once(" ms") else {
        return line.to_owned();
    };
    let kept = before.trim_end_matches(|char: char| char.is_ascii_digit());
    format!("{kept}0 ms{after}")
}
