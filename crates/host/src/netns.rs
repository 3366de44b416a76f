//! Network namespaces of others, entered from outside: for as long as it takes to make a socket there.

use std::fmt;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process;
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, openat2};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, which lives at least as long as this. Two are equal if they are the same namespace.
pub struct Netns {
    file: File,
    /// The kernel gives no other the same number for as long as this is open.
    number: u64,
    /// Whether those who use it are there for good.
    is_settled: bool,
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
        Ok(Self {
            file,
            number,
            is_settled: false,
        })
    }

    /// The one that a file stands for which somebody has opened.
    pub fn of_opened(file: OwnedFd) -> io::Result<Self> {
        Self::of_file(file.into(), Path::new("what was opened"))
    }

    /// A file that stands for it, for another process.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Has this thread go there and never come back.
    pub(crate) fn enter_for_good(self) -> io::Result<Self> {
        enter(self.file.as_fd())?;
        Ok(Self {
            is_settled: true,
            ..self
        })
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
    /// there stays there. It takes `CAP_SYS_ADMIN`, unless this is where the thread is settled ([`Netns::settle`]), and must
    /// not wait for anything.
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
        if self.is_settled {
            return make();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_namespace_is_none() {
        let refused = Netns::open(Path::new("/proc/self/status")).unwrap_err();
        assert_eq!(refused.to_string(), "/proc/self/status is no namespace");
        assert_eq!(Netns::own().unwrap(), Netns::own().unwrap());
        let refused = Netns::open_as(process::id(), Path::new("/../proc/version")).unwrap_err();
        assert_eq!(refused.to_string(), "/../proc/version is no namespace");
    }
}
