//! How many files the process may open, and what becomes of what is written into them.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2, statfs};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard one and returns the soft limit there was, which
/// is what applications should go on to start with (a program that uses `select` breaks with more).
/// `None` stands for no limit.
pub fn raise_limit() -> io::Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    Ok(limit.current)
}

/// How many files the process may have open; `None` for no limit.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Whether something failed because no further file may be open, in this process or on this host.
pub fn is_limit(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// Whether what is written into a folder stays in memory, and goes when the host is booted again. What is in memory may be
/// swapped out.
pub fn is_in_memory(folder: &Path) -> io::Result<bool> {
    // It has another width, and another sign, on some architectures.
    let kind = u32::try_from(statfs(folder)?.f_type as u64 & 0xffff_ffff);
    Ok(kind.is_ok_and(|kind| [TMPFS, RAMFS].contains(&kind)))
}

/// Opens a file below `root` to read it, as somebody would for whom that is the root of all files: links lead nowhere else.
pub fn open_below(root: &Path, file: &Path) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(root, flags, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, file, flags, Mode::empty(), within)?.into())
}

/// What `statfs` calls file systems in memory.
const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_nowhere_else() {
        let root = std::env::temp_dir().join(format!("leno-below-{}", std::process::id()));
        std::fs::create_dir_all(root.join("run")).unwrap();
        std::fs::write(root.join("run/names"), "ours").unwrap();
        for (link, to) in [("absolute", "/run/names"), ("above", "../../run/names")] {
            std::os::unix::fs::symlink(to, root.join(link)).unwrap();
            let mut text = String::new();
            let mut opened = open_below(&root, Path::new(link)).unwrap();
            io::Read::read_to_string(&mut opened, &mut text).unwrap();
            assert_eq!(text, "ours", "{link}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_is_in_memory_is_told_from_what_is_not() {
        assert!(is_in_memory(Path::new("/dev/shm")).unwrap());
        assert!(!is_in_memory(Path::new("/proc")).unwrap());
        assert!(is_in_memory(Path::new("/nonexistent/leno")).is_err());
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = limit();
        assert_eq!(raise_limit().unwrap(), before);
        assert_eq!(limit(), getrlimit(Resource::Nofile).maximum);
    }
}
