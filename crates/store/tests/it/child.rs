//! Another process: this test program again, running one of its ignored tests.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Killed when dropped, without a chance to put anything in order.
pub(crate) struct Process {
    child: Child,
    pub(crate) lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Runs the ignored test `name`, with `folder` as its working directory.
    pub(crate) fn run(name: &str, folder: &Path) -> Self {
        let mut command = Command::new(program());
        command.args(arguments(name)).current_dir(folder);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs the ignored test `name` on a disk of its own of 1 MiB, and expects it to pass.
/// Mounting needs root.
pub(crate) fn run_on_small_disk(name: &str, folder: &Path) {
    let script = "mount -t tmpfs -o size=1m leno . && cd \"$PWD\" && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(program())
        .args(arguments(name))
        .current_dir(folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("1 passed"), "{told}{output:?}");
}

fn program() -> PathBuf {
    std::env::current_exe().unwrap()
}

fn arguments(name: &str) -> [&str; 5] {
    [
        name,
        "--exact",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]
}
