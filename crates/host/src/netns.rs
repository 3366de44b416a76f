//! Network namespaces of others, entered from outside: for as long as it takes to make a socket there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process;
use std::sync::{Arc, OnceLock};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, openat2};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::capture::NODE_TABLE;
use crate::nft::Netfilter;

/// A network namespace, which lives at least as long as this. Two are equal if they are the same namespace.
pub struct Netns {
    file: File,
    /// The kernel gives no other the same number for as long as this is open.
    number: u64,
}

impl Netns {
    /// The one that a file stands for, as those of `/run/netns` do.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of_file(File::open(path)?, path)
    }

    fn of_file(file: File, path: &Path) -> io::Result<Self> {
        let is_namespace = fstatfs(&file)?.f_type == libc::NSFS_MAGIC;
        if !is_namespace {
            let why = format!("{} is no namespace", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let number = file.metadata()?.ino();
        Ok(Self { file, number })
    }

    /// The one that a file stands for, as a process finds it that has another root, wherever links lead on the way.
    pub fn open_as(process: u32, path: &Path) -> io::Result<Self> {
        let root = File::open(format!("/proc/{process}/root"))?;
        let file = openat2(
            root,
            path,
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )?;
        Self::of_file(file.into(), path)
    }

    /// That of a process.
    pub fn of_process(process: u32) -> io::Result<Self> {
        Self::open(Path::new(&format!("/proc/{process}/ns/net")))
    }

    /// That of this process.
    pub fn own() -> io::Result<Self> {
        Self::of_process(process::id())
    }

    /// What `make` returns that is carried out there, by this thread and before any other thing: a socket that is made
    /// there stays there. It takes `CAP_SYS_ADMIN`, and must not wait for anything.
    ///
    /// A thread that cannot come back would go on in another's network: then the process is ended.
    pub fn within<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        /// Comes back, also if what is made panics.
        struct Back(BorrowedFd<'static>);
        impl Drop for Back {
            fn drop(&mut self) {
                if enter(self.0).is_err() {
                    process::abort();
                }
            }
        }
        let back = Back(home()?);
        enter(self.file.as_fd())?;
        let made = make();
        drop(back);
        made
    }
}

fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    let entered = move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network));
    entered.map_err(io::Error::from)
}

/// The namespace in which all threads are that are not within another.
fn home() -> io::Result<BorrowedFd<'static>> {
    static HOME: OnceLock<Netns> = OnceLock::new();
    let home = match HOME.get() {
        Some(home) => home,
        None => {
            // The first thread's: no other is anywhere else for long.
            let home = Netns::own()?;
            HOME.get_or_init(|| home)
        }
    };
    Ok(home.file.as_fd())
}

impl PartialEq for Netns {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Netns {}

impl Hash for Netns {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

/// `net:[4026531840]`, as in `/proc/PID/ns/net`
impl fmt::Debug for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.number)
    }
}

/// The network namespaces of the pods with these UIDs, of those that have a process: that of the process which began
/// first, for later ones may have left for others. Reads all of `/proc` once.
pub fn networks_of_pods(uids: &BTreeSet<Arc<str>>) -> io::Result<BTreeMap<Arc<str>, Netns>> {
    networks(|uid| uids.get(uid).cloned())
}

/// Takes away what the proxy of this node has put into the network namespaces of its pods, and says of how many.
pub fn release_pods() -> io::Result<usize> {
    let mut released = 0;
    for netns in networks(|uid| Some(uid.into()))?.values() {
        let removed = netns.within(|| {
            Netfilter::open()?
                .remove(NODE_TABLE)
                .map_err(io::Error::other)
        });
        released += usize::from(removed?);
    }
    Ok(released)
}

fn networks(is_meant: impl Fn(&str) -> Option<Arc<str>>) -> io::Result<BTreeMap<Arc<str>, Netns>> {
    let mut first = BTreeMap::<Arc<str>, (u64, u32)>::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(number) = number else { continue };
        // One that has ended meanwhile is of no pod.
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let groups = read("cgroup");
        let Some(uid) = pod_of(&groups).and_then(|uid| is_meant(&uid)) else {
            continue;
        };
        let Some(began) = began(&read("stat")) else {
            continue;
        };
        let process = first.entry(uid).or_insert((began, number));
        *process = (*process).min((began, number));
    }
    let networks = first.into_iter();
    let networks = networks.map(|(uid, (_, process))| Ok((uid, Netns::of_process(process)?)));
    // One that has ended meanwhile takes its pod along, or is found the next time.
    Ok(networks.filter_map(io::Result::ok).collect())
}

/// The UID of the pod whose control groups these are, as kubelets name them with either driver:
/// `0::/kubepods/burstable/pod1b9d6bcd-.../CONTAINER`, `.../kubepods-burstable-pod1b9d6bcd_....slice/...`. The outermost
/// says it: further in a pod may have groups of its own.
fn pod_of(groups: &str) -> Option<String> {
    let uid = |part: &str| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        // The names of slices tell those above them.
        let own = match part.strip_prefix("kubepods") {
            Some(slice) => slice.rsplit_once("-pod")?.1,
            None => part.strip_prefix("pod")?,
        };
        let is_uid = own.len() >= 32;
        is_uid.then(|| own.replace('_', "-"))
    };
    groups
        .lines()
        .find_map(|line| line.split('/').find_map(uid))
}

/// When a process began, in ticks since the host did (`proc_pid_stat(5)`, field 22). Its name may hold anything.
fn began(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(") ")?;
    behind_name.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";

    #[test]
    fn a_pod_is_known_by_the_name_of_its_control_group() {
        let low = UID.replace('-', "_");
        for (groups, expect) in [
            (format!("0::/kubepods/burstable/pod{UID}/4a1f"), true),
            (format!("12:pids:/kubepods/pod{UID}/4a1f\n0::/"), true),
            (
                format!("0::/kubepods.slice/kubepods-pod{low}.slice/x.scope"),
                true,
            ),
            (
                format!("0::/../../kubepods-besteffort.slice/kubepods-besteffort-pod{low}.slice/x"),
                true,
            ),
            // Another pod that has a group of this name within.
            (
                format!("0::/kubepods/pod{}/pod{UID}", UID.replace('1', "2")),
                false,
            ),
            (format!("0::/system.slice/not-a-pod{UID}x"), false),
            ("0::/system.slice/podman.service".to_owned(), false),
            ("0::/kubepods/burstable".to_owned(), false),
            (String::new(), false),
        ] {
            let found = pod_of(&groups);
            assert_eq!(found.as_deref() == Some(UID), expect, "{groups}");
        }
    }

    #[test]
    fn when_a_process_began_is_read_behind_its_name() {
        let stat = "7 (a) S 1) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 8812 1000 2";
        assert_eq!(began(stat), Some(8812));
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(began(&own).is_some(), "{own}");
        assert_eq!(began(""), None);
    }

    #[test]
    fn a_file_that_is_no_namespace_is_none() {
        let refused = Netns::open(Path::new("/proc/self/status")).unwrap_err();
        assert_eq!(refused.to_string(), "/proc/self/status is no namespace");
        assert_eq!(Netns::own().unwrap(), Netns::own().unwrap());
        let refused = Netns::open_as(process::id(), Path::new("/../proc/version")).unwrap_err();
        assert_eq!(refused.to_string(), "/../proc/version is no namespace");
    }
}
