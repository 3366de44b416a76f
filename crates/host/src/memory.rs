//! Memory that starting takes and running does not, and memory that running takes again and again.

use std::fs;
use std::io;

use rustix::mm::{Advice, madvise};

/// Lets go of all code that is mapped, and of the constants and tables that stand before it, once starting is
/// over. What goes on running comes back from the page cache at its next use, a few pages at a time and
/// without a read; the command line, the parsers, the relocations and the rest that only starting needed do
/// not. The kernel spares mapped code when memory is short: code that nobody runs again is then the first to
/// go, and not what others work with.
pub fn release_code() -> io::Result<()> {
    for (start, length) in code(&fs::read_to_string("/proc/self/maps")?) {
        #[expect(
            unsafe_code,
            reason = "the kernel is told about memory that Rust does not own"
        )]
        // SAFETY: the pages are of a file and were only read, so each is the same when it comes back.
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

/// Lets all threads take their memory from two heaps. Each has one of its own otherwise, and what a large value leaves
/// free in one of them is of no use to the next, which another thread makes.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    set(libc::M_ARENA_MAX, MOST_HEAPS);
}

/// How many heaps threads share, so that one need not wait for the other all the time.
#[cfg(target_env = "gnu")]
const MOST_HEAPS: libc::c_int = 2;

#[cfg(target_env = "gnu")]
fn set(option: libc::c_int, value: libc::c_int) {
    #[expect(unsafe_code, reason = "the allocator is the C library's")]
    // SAFETY: these options are numbers, and change nothing that is allocated already.
    unsafe {
        // What is refused leaves all as it was.
        libc::mallopt(option, value);
    }
}

/// Gives back to the kernel every page of the heaps on which nothing is kept. Takes time that grows with the heaps, and
/// whoever wants memory meanwhile waits: for when a large value has just been replaced, and there is rest.
pub fn give_back_freed() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the allocator is the C library's")]
    // SAFETY: nothing that is allocated changes.
    unsafe {
        // Whether there was anything to give back is no matter.
        libc::malloc_trim(0);
    }
}

/// Lets the allocator keep some of what was freed for what is needed next. Streams of bytes take and free
/// pieces of 64 to 256 KiB all the time, each of which would come from the kernel anew, page by page.
pub fn keep_freed() {
    #[cfg(target_env = "gnu")]
    for (option, bytes) in [
        (libc::M_MMAP_THRESHOLD, LARGEST_KEPT),
        (libc::M_TRIM_THRESHOLD, MOST_KEPT),
    ] {
        set(option, bytes);
    }
}

/// How large a piece may be that is kept, in bytes.
#[cfg(target_env = "gnu")]
const LARGEST_KEPT: libc::c_int = 1 << 20;

/// How many bytes each thread's part of the heap may keep at its end.
#[cfg(target_env = "gnu")]
const MOST_KEPT: libc::c_int = 2 << 20;

/// Places and lengths of the code of files, of which `/proc/self/maps` tells, and of what each file has mapped
/// right before it. What comes behind is not told apart from data that was written and then closed to
/// writing (RELRO), whose pages would be lost.
fn code(maps: &str) -> Vec<(usize, usize)> {
    let mapped: Vec<Mapped<'_>> = maps.lines().filter_map(Mapped::read).collect();
    let is_code = |mapped: &Mapped<'_>| mapped.access == "r-xp";
    let is_let_go = |(at, this): &(usize, &Mapped<'_>)| {
        let next = mapped.get(at + 1);
        let leads = next.is_some_and(|next| next.file == this.file && is_code(next));
        is_code(this) || (this.access == "r--p" && leads)
    };
    let let_go = mapped.iter().enumerate().filter(is_let_go);
    let_go.map(|(_, this)| (this.start, this.length)).collect()
}

/// A part of a file that is mapped.
struct Mapped<'a> {
    start: usize,
    length: usize,
    access: &'a str,
    file: &'a str,
}

impl<'a> Mapped<'a> {
    /// What a line tells, if it is of a file.
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        Some(Self {
            start,
            length: end.checked_sub(start)?,
            access: words.next()?,
            file: words.nth(3).filter(|file| file.starts_with('/'))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_env = "gnu")]
    #[test]
    fn what_lies_free_between_what_is_kept_is_given_back() {
        const PIECES: usize = 100_000;
        let resident = || {
            let pages = fs::read_to_string("/proc/self/statm").unwrap();
            let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
            pages * 4096
        };
        let mut pieces: Vec<_> = (0..PIECES).map(|_| vec![1u8; 1000]).collect();
        let mut number = 0;
        pieces.retain(|_| {
            number += 1;
            number % 100 == 0
        });
        let before = resident();
        give_back_freed();
        // Most of it: pages on which a piece is kept stay, and other tests take some meanwhile.
        assert!(resident() + PIECES * 1000 / 2 < before);
        drop(pieces);
    }

    #[test]
    fn code_is_let_go_with_what_leads_to_it_and_nothing_that_was_written() {
        let maps = "\
55d00000-55d0c000 r--p 00000000 08:01 1234    /usr/bin/leno
55d0c000-55d2f000 r-xp 0000c000 08:01 1234    /usr/bin/leno
55d2f000-55d40000 r--p 00025000 08:01 1234    /usr/bin/leno
55d40000-55d41000 rw-p 00036000 08:01 1234    /usr/bin/leno
7f000000-7f001000 r--p 00000000 08:01 77      /usr/share/zoneinfo/UTC
7f001000-7f002000 r-xp 00000000 00:00 0
7f002000-7f004000 r-xp 00002000 08:01 55      /lib/libc.so.6
7ffd1000-7ffd3000 r-xp 00000000 00:00 0       [vdso]
";
        let expected = [
            (0x55d0_0000, 0xc000),
            (0x55d0_c000, 0x2_3000),
            (0x7f00_2000, 0x2000),
        ];
        assert_eq!(code(maps), expected);
    }

    #[test]
    fn a_process_goes_on() {
        release_code().unwrap();
    }
}
