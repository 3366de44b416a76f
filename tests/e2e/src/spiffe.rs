//! Programs that get their identities from the SPIFFE Workload API: with go-spiffe, built from its Go
//! modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::go::program;
use crate::process::ended;

/// go-spiffe, which is built.
#[derive(Clone, Debug)]
pub struct Spiffe(PathBuf);

impl Spiffe {
    /// Builds the program, which takes Go.
    pub fn build() -> Self {
        Self(program("spiffe").expect("Go is installed"))
    }

    /// Where the program is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Another program that does the same, at `path`.
    pub fn copied_to(&self, path: &Path) -> Self {
        // By a program of its own: a child that is begun here meanwhile would hold the file open, which none may run then.
        let copied = Command::new("cp").arg(&self.0).arg(path).status();
        assert!(copied.expect("the system has it").success(), "{path:?}");
        Self(path.to_owned())
    }

    /// The program with these arguments, which its first lines explain, as it asks at `socket`.
    pub fn asking_at(&self, socket: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        let at = format!("unix://{}", socket.display());
        command.args(arguments).env("SPIFFE_ENDPOINT_SOCKET", at);
        command
    }

    /// What it says at its end of what it was told by that.
    pub fn told(&self, socket: &Path, arguments: &[&str]) -> String {
        let ended = ended(&mut self.asking_at(socket, arguments));
        ended.expect("it gives up in time").out
    }
}
