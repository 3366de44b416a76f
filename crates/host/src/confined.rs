//! A process that serves one pod, and what it keeps of the rights with which it was started: a user of its own, one folder,
//! the way into the pod's network, and once it is there, a mark for its sockets.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, open};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change,
    move_mount, open_tree,
};
use rustix::process::{Gid, Resource, Rlimit, Signal, Uid, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, capabilities, set_capabilities,
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use socket2::{Domain, Socket, Type};

use crate::capture::PROXY_MARK;
use crate::netns::Netns;

/// What a process is left with.
#[derive(Clone, Debug)]
pub struct Confined {
    /// The user as whom it runs, and the group.
    pub user: u32,
    /// The folder that it has for itself, in one with those of others, which it does not see.
    pub own: PathBuf,
    /// Folders in which it sees nothing, or its own folder alone.
    pub hidden: Vec<PathBuf>,
    /// The most memory that it may write to, in bytes.
    pub memory: u64,
}

impl Confined {
    /// Gives up the rest, for good, and ends with the process that started this one. For the only thread of a process that
    /// has `CAP_SYS_ADMIN`, `CAP_SETUID` and `CAP_SETGID`.
    ///
    /// What is left of rights is what [`Netns::settle`] takes: whoever does not, calls [`give_up_rights`].
    pub fn enter(&self) -> io::Result<()> {
        set_no_new_privs(true)?;
        // The user is not let through all folders above it.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let others = open(self.others(), flags, Mode::empty())?;
        let limit = Rlimit {
            current: Some(self.memory),
            maximum: Some(self.memory),
        };
        setrlimit(Resource::Data, limit)?;
        set_keep_capabilities(true)?;
        set_thread_groups(&[])?;
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.user));
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)?;
        set_keep_capabilities(false)?;
        // Such a change of user takes this back.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        keep(capabilities(None)?.permitted)?;
        self.hide(self.take_own(others)?)?;
        keep(CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW)
    }

    /// Makes its own folder, if it is not there yet, and takes it out of those of others.
    fn take_own(&self, others: impl AsFd) -> io::Result<OwnedFd> {
        let name = self.own.file_name().ok_or(Errno::INVAL)?;
        match mkdirat(&others, name, Mode::RWXU) {
            Err(Errno::EXIST) => {}
            made => made?,
        }
        let cloned = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        Ok(open_tree(others, name, cloned)?)
    }

    /// The folder in which it has its own one.
    fn others(&self) -> &Path {
        self.own.parent().unwrap_or(Path::new("/"))
    }

    /// Lets this process see nothing in the folders that are hidden, and its own folder alone among those of others.
    fn hide(&self, own: OwnedFd) -> io::Result<()> {
        #[expect(unsafe_code, reason = "the safe wrapper is deprecated")]
        // SAFETY: what could go wrong is a thread that finds its file descriptors gone, and their table is not unshared.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
        let apart = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", apart)?;
        let is_above = |folder: &&PathBuf| self.own.starts_with(folder);
        for folder in self.hidden.iter().filter(|folder| !is_above(folder)) {
            cover(folder, MountFlags::RDONLY)?;
        }
        let among = self.hidden.iter().find(is_above);
        cover(
            among.map_or(self.others(), PathBuf::as_path),
            MountFlags::empty(),
        )?;
        let mut make = DirBuilder::new();
        make.recursive(true).mode(0o700).create(&self.own)?;
        let from = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        Ok(move_mount(own, "", CWD, &self.own, from)?)
    }
}

/// Puts an empty folder over another one.
fn cover(folder: &Path, flags: MountFlags) -> io::Result<()> {
    let flags = flags | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("tmpfs", folder, "tmpfs", flags, Some(c"mode=0755"))?)
}

/// Gives up all capabilities of this thread, and of those that it starts.
pub fn give_up_rights() -> io::Result<()> {
    keep(CapabilitySet::empty())
}

/// Keeps, of what this thread may have, no more than these.
fn keep(rights: CapabilitySet) -> io::Result<()> {
    let rights = rights & capabilities(None)?.permitted;
    let kept = CapabilitySets {
        effective: rights,
        permitted: rights,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, kept)?)
}

impl Netns {
    /// Takes this thread there for good, with all that it starts from then on: what they make [`Netns::within`] what is
    /// returned takes no right. They are left with the one to mark their sockets, and no other: `CAP_NET_RAW`, or
    /// `CAP_NET_ADMIN` before Linux 5.17.
    pub fn settle(self) -> io::Result<Self> {
        let settled = self.enter_for_good()?;
        let permitted = capabilities(None)?.permitted;
        let tried = CapabilitySets {
            effective: CapabilitySet::NET_RAW & permitted,
            permitted,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, tried)?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        keep(match socket.set_mark(PROXY_MARK) {
            Ok(()) => CapabilitySet::NET_RAW,
            Err(_) => CapabilitySet::NET_ADMIN,
        })?;
        socket.set_mark(PROXY_MARK)?;
        Ok(settled)
    }
}
