//! The guard: makes the namespaces, starts the keeper in them, and sees to it that the two end
//! together with the process outside.

use std::{
    fs, io,
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags},
    io::Errno,
    process::{Pid, PidfdFlags, getegid, geteuid},
    thread::{
        CapabilitySet, UnshareFlags, capabilities, configure_capability_in_ambient_set,
        set_capabilities,
    },
};

use super::{
    BARE_GUARD, GUARD, KEEPER, Step, Walls,
    descendants::{self, adopt_orphans},
    message::Report,
};
use crate::link::{self, Link};

/// The guard's process, as its parent holds it. Dropping it waits for it to end, and kills it if that
/// takes too long.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    pub(super) fn start(program: &Path, link: Link, walls: Walls) -> io::Result<Self> {
        let name = match walls {
            Walls::Namespaces => GUARD,
            Walls::None => BARE_GUARD,
        };
        let mut command = Command::new(program);
        command.arg0(name).stdin(Stdio::from(link.into_fd()));
        Ok(Self(command.stdout(Stdio::null()).spawn()?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.0);
        if let Ok(end) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            // Best effort: whether or not it ended in time, it is killed and reaped next.
            _ = link::wait(&mut [PollFd::new(&end, PollFlags::IN)], Some(ENDING));
        }
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// The guard's whole life. Its standard input is the link to the caller.
pub(super) fn run(walls: Walls) -> ExitCode {
    let Ok(link) = io::stdin().as_fd().try_clone_to_owned().map(Link::from) else {
        return ExitCode::FAILURE;
    };
    match open(&link, walls) {
        Ok(keeper) => watch(&link, keeper, walls),
        Err((step, error)) => {
            let report = Report::Failed {
                step,
                errno: error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
                what: String::new(),
            };
            // If nobody hears it, nobody waits for it.
            _ = link.send(&report.encode(), &[]);
            ExitCode::FAILURE
        }
    }
}

fn open(link: &Link, walls: Walls) -> Result<Child, (Step, io::Error)> {
    match walls {
        Walls::Namespaces => separate()?,
        // Whom the keeper leaves behind is ours then, and ends with us.
        Walls::None => adopt_orphans().map_err(|error| (Step::Keeper, error))?,
    }
    start_keeper(link).map_err(|error| (Step::Keeper, error))
}

/// Makes the namespaces.
fn separate() -> Result<(), (Step, io::Error)> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let kinds =
        UnshareFlags::NEWUSER | UnshareFlags::NEWNET | UnshareFlags::NEWNS | UnshareFlags::NEWPID;
    #[expect(unsafe_code, reason = "the safe wrapper is deprecated")]
    // SAFETY: what could go wrong is a thread that finds its file descriptors gone, and their table
    // is not unshared.
    let unshared = unsafe { rustix::thread::unshare_unsafe(kinds) };
    unshared.map_err(|errno| (Step::Namespaces, errno.into()))?;
    keep_identity(user, group).map_err(|error| (Step::Identity, error))?;
    pass_on_capabilities().map_err(|error| (Step::Keeper, error))
}

/// Maps the user and group to themselves. See user_namespaces(7): without privilege a process may
/// map just its own, and its group only once it has given up `setgroups`.
fn keep_identity(user: u32, group: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// Lets the keeper have the capabilities that come with the new namespaces: a user other than root
/// would lose them by starting a program. See capabilities(7), "Ambient".
fn pass_on_capabilities() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable = sets.permitted;
    set_capabilities(None, sets)?;
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if sets.permitted.contains(capability) {
            configure_capability_in_ambient_set(capability, true)?;
        }
    }
    Ok(())
}

fn start_keeper(link: &Link) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(KEEPER)
        .stdin(Stdio::from(link.try_clone()?.into_fd()));
    let keeper = command.spawn()?;
    // The terminal's signals are for the application, which stays in the caller's session. The
    // keeper, as process 1, is deaf to them.
    rustix::process::setsid()?;
    Ok(keeper)
}

/// Waits for the keeper to end, or for the caller's end of the link to close; the keeper is killed
/// when the guard ends before it, even if it is stopped.
fn watch(link: &Link, mut keeper: Child, walls: Walls) -> ExitCode {
    let Ok(end) = rustix::process::pidfd_open(Pid::from_child(&keeper), PidfdFlags::empty()) else {
        return ExitCode::FAILURE;
    };
    let mut fds = [
        PollFd::new(&end, PollFlags::IN),
        PollFd::new(link, PollFlags::empty()),
    ];
    if link::wait(&mut fds, None).is_err() {
        return ExitCode::FAILURE;
    }
    // Killing fails only if it has ended, and waiting cannot then.
    _ = keeper.kill();
    _ = keeper.wait();
    if walls == Walls::None {
        descendants::end();
    }
    ExitCode::SUCCESS
}

/// How long a guard may take to end.
const ENDING: Duration = Duration::from_secs(1);
