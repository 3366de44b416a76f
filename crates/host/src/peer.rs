//! Who is at the other end of a Unix socket: what the kernel vouches for, and what can be read of the
//! process without taking another one for it.

use std::ffi::c_int;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use leno_model::{ProcessFacts, Unread};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sha2::{Digest as _, Sha256};

/// The process that connected to a Unix socket.
#[derive(Debug)]
pub struct Peer {
    pid: u32,
    user: u32,
    group: u32,
    /// The process itself; its number may be given to another once it has ended.
    process: Option<OwnedFd>,
    network: Option<NetworkId>,
    /// The program that was read, and its SHA-256.
    read: OnceLock<(Stamp, Result<[u8; 32], Unread>)>,
}

/// A network namespace. The kernel gives no other the same number for as long as it runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NetworkId(u64);

/// The largest program whose bytes are read.
const LARGEST_PROGRAM: u64 = 1 << 30;

impl Peer {
    /// The peer of a socket that was accepted.
    pub fn of(accepted: impl AsFd) -> io::Result<Self> {
        let mut known = libc::ucred {
            pid: 0,
            uid: 0,
            gid: 0,
        };
        option(&accepted, libc::SO_PEERCRED, &mut known)?;
        Ok(Self {
            // 0 where its number means nothing to this process: it is beyond a namespace.
            pid: known.pid.unsigned_abs(),
            user: known.uid,
            group: known.gid,
            process: process_of(&accepted).ok(),
            // Linux makes the accepted end in the namespace of the socket that connected.
            network: NetworkId::of(&accepted).ok(),
            read: OnceLock::new(),
        })
    }

    /// The user it ran as when it connected.
    pub fn user(&self) -> u32 {
        self.user
    }

    /// The network namespace in which its socket was made, where the kernel says so (Linux 5.14).
    pub fn network(&self) -> Option<NetworkId> {
        self.network
    }

    /// What is known of it, its program's SHA-256 included if what is known without `wants_hash`. Reads the
    /// program then, which blocks, and does so once: whoever becomes another program has none.
    pub fn facts(&self, wants_hash: impl FnOnce(&ProcessFacts) -> bool) -> ProcessFacts {
        let program = self.program();
        let path = match &program {
            Ok(program) => program.path.clone(),
            Err(why) => Err(*why),
        };
        let mut facts = ProcessFacts {
            pid: self.pid,
            user: self.user,
            group: self.group,
            path,
            sha256: Err(Unread::NotAsked),
        };
        if wants_hash(&facts) {
            facts.sha256 = program.and_then(|program| self.hash(&program.file));
        }
        facts
    }

    fn hash(&self, program: &File) -> Result<[u8; 32], Unread> {
        let stamp = Stamp::of(program)?;
        let (read, hash) = self.read.get_or_init(|| (stamp, hash(program)));
        match *read == stamp {
            true => *hash,
            false => Err(Unread::Changed),
        }
    }

    /// Its program, which is another one's if the process has ended meanwhile.
    fn program(&self) -> Result<Program, Unread> {
        let process = self.process.as_ref().ok_or(Unread::OldKernel)?;
        let link = PathBuf::from(format!("/proc/{}/exe", self.pid));
        let program = Program::at(&link);
        // Its number was its own all the time if it is there still.
        match has_ended(process) {
            true => Err(Unread::Gone),
            false => program,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid, user, group, ..
        } = self;
        write!(f, "process {pid} of user {user}, group {group}")
    }
}

impl NetworkId {
    /// That of a socket.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let mut cookie = 0_u64;
        option(socket, libc::SO_NETNS_COOKIE, &mut cookie)?;
        Ok(Self(cookie))
    }
}

/// What tells a file from others, and from what it was before somebody wrote to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    /// Seconds and nanoseconds. Whoever writes can set the time of a change of the bytes, and not this.
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &File) -> Result<Self, Unread> {
        let known = file.metadata().map_err(|error| unread(&error))?;
        Ok(Self {
            file: (known.dev(), known.ino()),
            length: known.len(),
            changed: (known.ctime(), known.ctime_nsec()),
        })
    }
}

/// A program that is opened.
struct Program {
    file: File,
    path: Result<Arc<str>, Unread>,
}

impl Program {
    fn at(link: &Path) -> Result<Self, Unread> {
        let file = File::open(link).map_err(|error| unread(&error))?;
        let path = fs::read_link(link).map_err(|error| unread(&error))?;
        let (ours, its) = (fs::metadata(&path), file.metadata());
        // A path that a process of another root has means nothing here.
        let is_here = matches!((ours, its), (Ok(ours), Ok(its))
            if (ours.dev(), ours.ino()) == (its.dev(), its.ino()));
        let text = path.to_str().filter(|_| is_here).map(Arc::from);
        Ok(Self {
            file,
            path: text.ok_or(Unread::ElsewhereOnDisk),
        })
    }
}

fn unread(error: &io::Error) -> Unread {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Unread::NotAllowed,
        io::ErrorKind::NotFound => Unread::Gone,
        _ => Unread::Failed,
    }
}

fn hash(file: &File) -> Result<[u8; 32], Unread> {
    let mut rest = file.take(LARGEST_PROGRAM);
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) if rest.limit() == 0 => return Err(Unread::TooLarge),
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(count) => digest.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unread(&error)),
        }
    }
}

/// A handle on the process that connected, which never comes to mean another one (`SO_PEERPIDFD`).
fn process_of(accepted: impl AsFd) -> io::Result<OwnedFd> {
    let mut fd: c_int = -1;
    option(accepted, libc::SO_PEERPIDFD, &mut fd)?;
    if fd < 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    #[expect(unsafe_code, reason = "the kernel has just made it")]
    // SAFETY: it is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a process has ended: its handle can be read then.
fn has_ended(process: &OwnedFd) -> bool {
    let mut one = [PollFd::new(process, PollFlags::IN)];
    !matches!(poll(&mut one, Some(&Timespec::default())), Ok(0))
}

/// Reads an option of a socket that no safe wrapper knows.
fn option<T: Copy>(socket: impl AsFd, name: c_int, value: &mut T) -> io::Result<()> {
    let size = size_of::<T>();
    let mut length = libc::socklen_t::try_from(size).map_err(io::Error::other)?;
    let socket = socket.as_fd().as_raw_fd();
    #[expect(unsafe_code, reason = "no safe wrapper knows these options")]
    // SAFETY: the kernel writes at most `length` bytes to `value`, which has room for them and is made of
    // plain integers.
    let read = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            name,
            std::ptr::from_mut(value).cast(),
            &raw mut length,
        )
    };
    match read {
        0 if usize::try_from(length) == Ok(size) => Ok(()),
        0 => Err(io::ErrorKind::InvalidData.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::net::TcpListener;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Command, Stdio};

    use super::*;

    /// A listener on a socket of this test alone.
    fn listener(name: &str) -> (UnixListener, PathBuf) {
        let path = env::temp_dir().join(format!("leno-peer-{name}-{}", std::process::id()));
        drop(fs::remove_file(&path));
        (UnixListener::bind(&path).unwrap(), path)
    }

    #[test]
    fn a_process_is_known_by_what_it_runs() {
        let (listener, path) = listener("known");
        let _client = UnixStream::connect(&path).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        fs::remove_file(path).unwrap();
        let peer = Peer::of(&accepted).unwrap();
        let facts = peer.facts(|_| true);
        let own = env::current_exe().unwrap();
        assert_eq!(facts.pid, std::process::id());
        assert_eq!(facts.user, rustix::process::geteuid().as_raw());
        assert_eq!(facts.path.as_deref(), Ok(own.to_str().unwrap()));
        let bytes = fs::read(&own).unwrap();
        assert_eq!(facts.sha256, Ok(Sha256::digest(&bytes).into()));
        assert_eq!(peer.facts(|_| false).sha256, Err(Unread::NotAsked));
    }

    /// A program that asks for others' identities costs one reading, however often it asks and whatever
    /// it becomes.
    #[test]
    fn a_program_is_read_once() {
        let (listener, path) = listener("once");
        let _client = UnixStream::connect(&path).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let peer = Peer::of(&accepted).unwrap();
        fs::write(path.with_extension("program"), b"trusted").unwrap();
        let program = || File::open(path.with_extension("program")).unwrap();
        let first = program();
        let read = peer.hash(&first);
        assert_eq!(read, Ok(Sha256::digest(b"trusted").into()));
        // Its bytes were read to the end: whoever read them again would find none.
        assert_eq!(peer.hash(&first), read);
        fs::write(path.with_extension("program"), b"another").unwrap();
        assert_eq!(peer.hash(&program()), Err(Unread::Changed));
        fs::remove_file(path.with_extension("program")).unwrap();
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn it_is_in_the_network_of_those_beside_it() {
        let (listener, path) = listener("network");
        let _client = UnixStream::connect(&path).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        fs::remove_file(path).unwrap();
        let beside = TcpListener::bind("127.0.0.1:0").unwrap();
        let network = NetworkId::of(beside).unwrap();
        assert_eq!(Peer::of(&accepted).unwrap().network(), Some(network));
    }

    /// Whoever holds the socket now, the one who connected has ended and nobody is taken for it.
    #[test]
    fn a_process_that_has_ended_is_not_looked_at() {
        let (listener, path) = listener("gone");
        let script = "import socket,sys,os\ns=socket.socket(socket.AF_UNIX)\n\
            s.connect(sys.argv[1])\nif os.fork()==0: sys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let (accepted, _) = listener.accept().unwrap();
        fs::remove_file(path).unwrap();
        let input = child.stdin.take();
        child.wait().unwrap();
        let facts = Peer::of(&accepted).unwrap().facts(|_| true);
        assert!(
            matches!(facts.path, Err(Unread::Gone | Unread::OldKernel)),
            "{facts:?}"
        );
        drop(input);
    }
}
