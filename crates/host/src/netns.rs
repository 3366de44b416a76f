//! Network namespaces of others, entered from outside: for as long as it takes to make a socket there.

use std::fmt;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process;
use std::sync::OnceLock;

use rustix::fs::fstatfs;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, which lives at least as long as this. Two are equal if they are the same namespace.
pub struct Netns {
    file: File,
    /// The kernel gives no other the same number for as long as this is open.
    number: u64,
}

impl Netns {
    /// The one that a file stands for, as those of `/run/netns` do.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let is_namespace = fstatfs(&file)?.f_type == libc::NSFS_MAGIC;
        if !is_namespace {
            let why = format!("{} is no namespace", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let number = file.metadata()?.ino();
        Ok(Self { file, number })
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

/// The processes of a pod with this UID: those in a control group that is named after it, as kubelets name them, with
/// either driver (`pod1b9d6bcd-...`, `pod1b9d6bcd_...slice`). Reads `/proc` of this namespace of processes; linear in
/// the processes there.
pub fn processes_of_pod(uid: &str) -> io::Result<Vec<u32>> {
    let names = names(uid);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(number) = number else { continue };
        // One that has ended meanwhile is in none.
        let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        if is_in_one_of(&groups, &names) {
            found.push(number);
        }
    }
    Ok(found)
}

fn names(uid: &str) -> [String; 2] {
    [format!("pod{uid}"), format!("pod{}", uid.replace('-', "_"))]
}

/// Whether one of the control groups (`0::/kubepods/burstable/podUID/CONTAINER`) has a part of one of these names.
fn is_in_one_of(groups: &str, names: &[String; 2]) -> bool {
    let named = |part: &str| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        // The names of slices tell those above them: `kubepods-burstable-podUID`.
        let own = part.rfind("-pod").and_then(|at| part.get(at + 1..));
        let own = own.unwrap_or(part);
        names.iter().any(|name| own == name)
    };
    groups.lines().any(|line| line.split('/').any(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";

    #[test]
    fn a_pod_is_known_by_the_name_of_its_control_group() {
        let names = names(UID);
        let underscored = UID.replace('-', "_");
        for (groups, expect) in [
            (format!("0::/kubepods/burstable/pod{UID}/4a1f"), true),
            (format!("12:pids:/kubepods/pod{UID}/4a1f\n0::/"), true),
            (
                format!(
                    "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{underscored}.slice/cri-containerd-4a1f.scope"
                ),
                true,
            ),
            (format!("0::/../../kubepods-pod{underscored}.slice/x"), true),
            // Names that somebody else may choose.
            (format!("0::/system.slice/not-a-pod{UID}x"), false),
            (format!("0::/user.slice/x{UID}"), false),
            ("0::/kubepods/burstable".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_in_one_of(&groups, &names), expect, "{groups}");
        }
    }

    #[test]
    fn a_file_that_is_no_namespace_is_none() {
        let refused = Netns::open(Path::new("/proc/self/status")).unwrap_err();
        assert_eq!(refused.to_string(), "/proc/self/status is no namespace");
        assert_eq!(Netns::own().unwrap(), Netns::own().unwrap());
    }
}
