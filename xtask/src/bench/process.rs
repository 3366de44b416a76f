//! Programs that run pinned to one core until they are dropped, and what they have used.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The core that a program runs on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Core {
    /// What is measured.
    Proxy,
    /// Clients and origin.
    Other,
}

impl Core {
    /// A command that runs on this core, before what else the machine may be doing: the kernel
    /// shares a core among sessions first, so it has a session of its own.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        let core = match self {
            Self::Proxy => "0",
            Self::Other => "1",
        };
        let first = "echo -10 2>&- >/proc/$$/autogroup; exec \"$0\" \"$@\"";
        command.args(["--cpu-list", core, "nice", "--adjustment=-10"]);
        command.args(["setsid", "sh", "-c", first]).arg(program);
        command
    }
}

/// A program that runs.
pub(super) struct Running {
    child: Child,
}

impl Running {
    /// Starts `program` in `folder`; it has begun when it listens at `address`. What it prints goes to
    /// `NAME.log` there.
    pub(super) fn start(
        core: Core,
        folder: &Path,
        name: &str,
        program: &Path,
        words: &[&str],
        address: SocketAddr,
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
        let mut running = Self { child };
        for _ in 0..PATIENCE {
            if TcpStream::connect(address).is_ok() {
                return Ok(running);
            }
            if running.child.try_wait()?.is_some() {
                break;
            }
            pause(Duration::from_millis(20));
        }
        let said = fs::read_to_string(&path)?;
        Err(io::Error::other(format!(
            "{name} does not listen at {address}: {said}"
        )))
    }

    /// The CPU time that all of its threads have used.
    pub(super) fn cpu(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(self.proc("task"))? {
            let figures = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = figures
                .split(' ')
                .next()
                .and_then(|first| first.parse::<u64>().ok());
            nanoseconds += first.ok_or_else(|| io::Error::other("schedstat has no figures"))?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Memory it holds, in bytes: what is resident, shared libraries included.
    pub(super) fn resident(&self) -> io::Result<u64> {
        self.memory("Rss:")
    }

    /// Memory it holds, in bytes: what is its own and written to.
    pub(super) fn private_dirty(&self) -> io::Result<u64> {
        self.memory("Private_Dirty:")
    }

    fn memory(&self, line: &str) -> io::Result<u64> {
        let figures = fs::read_to_string(self.proc("smaps_rollup"))?;
        let figure = figures.lines().find_map(|found| found.strip_prefix(line));
        let kilobytes =
            figure.and_then(|figure| figure.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let kilobytes = kilobytes.ok_or_else(|| io::Error::other(format!("no {line} is told")))?;
        Ok(kilobytes * 1024)
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "idleness can only be waited for")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Sends one request over `connection` and reads the whole answer.
pub(super) fn ask(connection: &mut TcpStream) -> io::Result<()> {
    connection.write_all(b"GET / HTTP/1.1\r\nhost: cart\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut some = [0; 4096];
    loop {
        let count = connection.read(&mut some)?;
        answer.extend_from_slice(some.get(..count).unwrap_or_default());
        if is_whole(&answer) {
            break;
        }
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other(
            String::from_utf8_lossy(&answer).into_owned(),
        ));
    }
    Ok(())
}

/// Whether an answer with a `Content-Length` has come whole.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// How often it is tried whether a program listens.
const PATIENCE: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert!(is_whole(answer));
        assert!(!is_whole(&answer[..answer.len() - 1]));
        assert!(!is_whole(&answer[..20]));
    }
}
