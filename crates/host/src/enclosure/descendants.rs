//! The processes that stem from this one, where no namespace holds them together.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    time::Duration,
};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal,
    set_child_subreaper,
};

use crate::link;

/// Makes this process the parent of whatever its descendants leave behind.
pub(super) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Kills all of them, and waits until they are gone. One that the kernel cannot end is given up.
pub(super) fn end() {
    for _ in 0..ROUNDS {
        let ends = all()
            .into_iter()
            .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
            .collect::<Vec<_>>();
        // A number may have become another process's before it was held; then that one is not here.
        let still = all();
        for (pid, end) in ends {
            if still.contains(&pid) {
                // It may have ended just now.
                _ = pidfd_send_signal(end, Signal::KILL);
            }
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        if still.is_empty() {
            return;
        }
        // Nothing is waited for but the time.
        _ = link::wait(&mut [], Some(PAUSE));
    }
}

/// The inodes of the sockets that they hold. What cannot be seen is not theirs.
pub(super) fn sockets() -> BTreeSet<u32> {
    let fds = all().into_iter().filter_map(|pid| {
        let path = format!("/proc/{}/fd", pid.as_raw_nonzero());
        fs::read_dir(path).ok()
    });
    let targets = fds
        .flatten()
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    let inode = |target: std::path::PathBuf| {
        let inode = target.to_str()?.strip_prefix("socket:[")?;
        inode.strip_suffix(']')?.parse().ok()
    };
    targets.filter_map(inode).collect()
}

/// All of them, as far as `/proc` shows them.
fn all() -> Vec<Pid> {
    let numbers = fs::read_dir("/proc").into_iter().flatten();
    let numbers = numbers.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut children = BTreeMap::<i32, Vec<i32>>::new();
    for pid in numbers {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        if let Some(parent) = stat.ok().as_deref().and_then(parent) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![getpid().as_raw_nonzero().get()];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.extend(Pid::from_raw(child));
            next.push(child);
        }
    }
    found
}

/// The parent in a line of `/proc/PID/stat`. The name in front of it may hold anything, also `)`.
fn parent(stat: &str) -> Option<i32> {
    let (_, behind) = stat.rsplit_once(") ")?;
    behind.split(' ').nth(1)?.parse().ok()
}

/// How often they are looked for before what is left is given up, and the time in between: less in
/// all than the guard has to end.
const ROUNDS: u32 = 90;
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_hide_the_parent() {
        assert_eq!(parent("12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (a) S 1 (b) ) R 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (sh"), None);
        assert_eq!(parent(""), None);
    }
}
