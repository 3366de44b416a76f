//! Memory that starting takes and running does not.

use std::fs;
use std::io;

use rustix::mm::{Advice, madvise};

/// Lets go of all code that is mapped, once starting is over. What goes on running comes back from the
/// page cache at its next use, a few pages at a time and without a read; the command line, the parsers
/// and the rest that only starting needed do not. The kernel spares mapped code when memory is short:
/// code that nobody runs again is then the first to go, and not what others work with.
pub fn release_code() -> io::Result<()> {
    for line in fs::read_to_string("/proc/self/maps")?.lines() {
        let Some((start, length)) = code(line) else {
            continue;
        };
        #[expect(
            unsafe_code,
            reason = "the kernel is told about memory that Rust does not own"
        )]
        // SAFETY: the pages are of a file and are only read, so each is the same when it comes back.
        unsafe {
            madvise(
                std::ptr::without_provenance_mut(start),
                length,
                Advice::LinuxDontNeed,
            )?;
        }
    }
    Ok(())
}

/// The place and the length of the code of a file, if a line of `/proc/self/maps` tells of one.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    if words.next()? != "r-xp" || !words.nth(3)?.starts_with('/') {
        return None;
    }
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_let_go() {
        let code_of_file = "55d0c000-55d2f000 r-xp 00002000 08:01 1234    /usr/bin/leno";
        assert_eq!(code(code_of_file), Some((0x55d0_c000, 0x2_3000)));
        for other in [
            "55d2f000-55d40000 r--p 00025000 08:01 1234    /usr/bin/leno",
            "55d40000-55d41000 rw-p 00036000 08:01 1234    /usr/bin/leno",
            "7ffd1000-7ffd3000 r-xp 00000000 00:00 0       [vdso]",
            "7f001000-7f002000 r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn a_process_goes_on() {
        release_code().unwrap();
    }
}
