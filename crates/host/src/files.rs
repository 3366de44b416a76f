//! How many files the process may open.

use std::io;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = limit();
        assert_eq!(raise_limit().unwrap(), before);
        assert_eq!(limit(), getrlimit(Resource::Nofile).maximum);
    }
}
