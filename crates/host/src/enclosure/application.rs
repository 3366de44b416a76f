//! The workload's own process: started with its user's rights and none besides.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Command, Stdio},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitStatus},
    thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities,
    },
};

use super::{Exit, message::Launch};

/// A running application.
#[derive(Debug)]
pub(super) struct Application {
    pid: Pid,
    end: OwnedFd,
    leads_group: bool,
}

/// What holds an application.
#[derive(Clone, Copy)]
pub(super) enum Bounds {
    /// Namespaces, in which it has no rights besides its user's, and which it ends with.
    Walls,
    /// Its keeper, with which it ends. It has the rights that its user has here, and shares a
    /// terminal with this process group.
    Keeper { group: Pid },
}

impl Application {
    pub(super) fn start(launch: Launch, stdio: [OwnedFd; 3], bounds: Bounds) -> io::Result<Self> {
        let (name, arguments) = launch
            .command
            .split_first()
            .ok_or(io::ErrorKind::InvalidInput)?;
        let [stdin, stdout, stderr] = stdio.map(Stdio::from);
        let mut command = Command::new(name);
        command
            .args(arguments)
            .env_clear()
            .envs(launch.env)
            .current_dir(launch.cwd)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        let (own_session, open_files) = (launch.own_session, launch.open_files);
        let prepare = move || {
            if own_session {
                rustix::process::setsid()?;
            } else if let Bounds::Keeper { group } = bounds {
                rustix::process::setpgid(None, Some(group))?;
            }
            if let Some(limit) = open_files {
                limit_files(limit)?;
            }
            match bounds {
                Bounds::Walls => give_up_capabilities(CapabilitySet::empty()),
                Bounds::Keeper { .. } => die_with_parent(),
            }
        };
        #[expect(unsafe_code, reason = "nothing safe acts between fork and exec")]
        // SAFETY: the closure runs in the forked child, where it must not allocate or take locks;
        // it only makes system calls.
        unsafe {
            command.pre_exec(prepare)
        };
        let pid = Pid::from_child(&command.spawn()?);
        let end = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self {
            pid,
            end,
            leads_group: own_session,
        })
    }

    /// Readable when it has ended; also names it to other processes.
    pub(super) fn end(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.leads_group {
            rustix::process::kill_process_group(self.pid, signal)?;
        } else {
            rustix::process::kill_process(self.pid, signal)?;
        }
        Ok(())
    }
}

/// How a process ended that `wait` returned.
pub(super) fn exit(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Lost,
    }
}

fn die_with_parent() -> io::Result<()> {
    let kill = Some(Signal::KILL);
    Ok(rustix::process::set_parent_process_death_signal(kill)?)
}

/// Keeps no capability but `kept`, and makes sure that no program executed later gains another,
/// whoever owns it.
pub(super) fn give_up_capabilities(kept: CapabilitySet) -> io::Result<()> {
    for bit in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            // The kernel has no more than these.
            Err(Errno::INVAL) => break,
            removed => removed?,
        }
    }
    clear_ambient_capability_set()?;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    Ok(())
}

/// Sets the soft limit on open files, as far as the hard one allows.
fn limit_files(limit: u64) -> io::Result<()> {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: Some(maximum.map_or(limit, |maximum| maximum.min(limit))),
        maximum,
    };
    rustix::process::setrlimit(Resource::Nofile, limit)?;
    Ok(())
}
