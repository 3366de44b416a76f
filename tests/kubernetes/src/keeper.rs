//! Who takes care of a sandbox from outside: a process that starts it, waits for its end, and takes away what remains.
//!
//! It ends with whoever asked for the sandbox, however that ends, and only after everything else is gone.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::cgroups::Cgroups;
use crate::sandbox::Kind;

/// In a sandbox's folder: it is to stay, for somebody wants to read it.
pub(crate) const STAYS: &str = "stays";

/// In a sandbox's folder: it is to begin again once all that runs there has ended, with what its disk holds.
pub(crate) const AGAIN: &str = "again";

/// Keeps a sandbox of a kind in `folder`; returns when nothing is left of it.
pub fn keep(kind: &str, folder: &Path) -> io::Result<()> {
    let kind = Kind::named(kind).ok_or_else(|| io::Error::other("there is no such kind"))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let ended = loop {
        let ended = live(kind, folder, &name);
        if fs::remove_file(folder.join(AGAIN)).is_err() {
            break ended;
        }
    };
    if !folder.join(STAYS).exists() {
        fs::remove_dir_all(folder)?;
    }
    ended
}

/// Lets a sandbox live once, in control groups of this name.
fn live(kind: Kind, folder: &Path, name: &str) -> io::Result<()> {
    let cgroups = match kind {
        Kind::Processes => None,
        Kind::Node(_) => Some(Cgroups::make(name)?),
    };
    let ended = run(kind, folder, cgroups.as_ref());
    if let Some(cgroups) = cgroups {
        cgroups.remove()?;
    }
    ended
}

/// Runs the sandbox to its end: that of its first process, with which the kernel ends all others.
fn run(kind: Kind, folder: &Path, cgroups: Option<&Cgroups>) -> io::Result<()> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    command
        .args(kind.namespaces())
        .args(["--fork", "--kill-child"]);
    command.args(["--propagation", "private"]);
    command.arg(std::env::current_exe()?);
    command.args(["inside", kind.name()]).arg(folder);
    command.env("PATH", PATH);
    if let Some(cgroups) = cgroups {
        cgroups.join()?;
    }
    let started = command.spawn();
    if let Some(cgroups) = cgroups {
        cgroups.leave()?;
    }
    // How it ends says nothing: it is killed, or has told why it could not begin.
    started?.wait().map(drop)
}

/// Where programs are, those of root too, and nothing of whoever starts a cluster.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
