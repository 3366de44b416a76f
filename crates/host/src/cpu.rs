//! How much of the machine this process may use.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// What bounds the process's use of processors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpu {
    /// The processors it may run on.
    pub affinity: NonZeroUsize,
    /// The quota of its control group, if it has one.
    pub quota: Option<Quota>,
}

/// So much processor time in each period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Processor time, in microseconds.
    pub time_us: u64,
    /// The length of a period, in microseconds; never zero.
    pub period_us: u64,
}

impl Quota {
    /// The quota in whole processors, rounded up, at least one.
    pub fn processors(self) -> NonZeroUsize {
        let whole = self.time_us.div_ceil(self.period_us);
        let whole = usize::try_from(whole).unwrap_or(usize::MAX);
        NonZeroUsize::new(whole).unwrap_or(NonZeroUsize::MIN)
    }

    /// The stricter of two.
    fn min(self, other: Self) -> Self {
        let ours = u128::from(self.time_us) * u128::from(other.period_us);
        let theirs = u128::from(other.time_us) * u128::from(self.period_us);
        if ours <= theirs { self } else { other }
    }
}

impl Cpu {
    /// Asks the system. Files that cannot be read bound nothing.
    pub fn read() -> Self {
        let read = |path: &Path| fs::read_to_string(path).ok();
        Self {
            affinity: affinity(),
            quota: quota(read),
        }
    }

    /// How many workers to run: as many as there are processors, or as the quota pays for.
    pub fn workers(self) -> NonZeroUsize {
        match self.quota {
            Some(quota) => self.affinity.min(quota.processors()),
            None => self.affinity,
        }
    }
}

fn affinity() -> NonZeroUsize {
    let count = rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count());
    usize::try_from(count)
        .ok()
        .and_then(NonZeroUsize::new)
        .unwrap_or(NonZeroUsize::MIN)
}

/// The strictest quota of this process's control group and those above it, of version 1 and 2.
fn quota(read: impl Fn(&Path) -> Option<String>) -> Option<Quota> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    let mut strictest: Option<Quota> = None;
    for mount in mounts.lines().filter_map(Mount::parse) {
        let Some(group) = groups.lines().find_map(|line| mount.group(line)) else {
            continue;
        };
        let Ok(below) = Path::new(group).strip_prefix(mount.root) else {
            continue;
        };
        let leaf: PathBuf = Path::new(mount.point).join(below);
        for directory in leaf
            .ancestors()
            .take_while(|path| path.starts_with(mount.point))
        {
            let quota = if mount.is_v2 {
                read(&directory.join("cpu.max")).and_then(|text| parse_v2(&text))
            } else {
                let time = read(&directory.join("cpu.cfs_quota_us"));
                let period = read(&directory.join("cpu.cfs_period_us"));
                time.zip(period)
                    .and_then(|(time, period)| parse(&time, &period))
            };
            strictest = match (strictest, quota) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }
    strictest
}

/// A mounted hierarchy of control groups that may limit processor time.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    is_v2: bool,
}

impl<'a> Mount<'a> {
    /// Reads a line of `/proc/self/mountinfo` (see proc(5)): the root and the mount point are the
    /// fourth and fifth field; the type, the source and the options stand after a lone hyphen.
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let mut fields = system.split(' ');
        let (kind, options) = (fields.next()?, fields.nth(1)?);
        let is_v2 = match kind {
            "cgroup2" => true,
            "cgroup" if options.split(',').any(|option| option == "cpu") => false,
            _ => return None,
        };
        Some(Self { root, point, is_v2 })
    }

    /// The group in this hierarchy, if that is what the line of `/proc/self/cgroup` names:
    /// `0::/group` in version 2, `4:cpu,cpuacct:/group` in version 1.
    fn group(&self, line: &'a str) -> Option<&'a str> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
        let is_ours = if self.is_v2 {
            number == "0" && controllers.is_empty()
        } else {
            controllers.split(',').any(|controller| controller == "cpu")
        };
        is_ours.then_some(group)
    }
}

/// `150000 100000`, or `max 100000` for no quota.
fn parse_v2(text: &str) -> Option<Quota> {
    let (time, period) = text.trim().split_once(' ')?;
    parse(time, period)
}

/// Anything but two positive numbers is no quota: version 1 says -1, version 2 `max`.
fn parse(time: &str, period: &str) -> Option<Quota> {
    let time_us = time.trim().parse().ok().filter(|&time| time > 0)?;
    let period_us = period.trim().parse().ok().filter(|&period| period > 0)?;
    Some(Quota { time_us, period_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], expect: Option<(u64, u64)>) {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        let found = quota(read).map(|quota| (quota.time_us, quota.period_us));
        assert_eq!(found, expect, "{files:?}");
    }

    const V2: &str =
        "25 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_strictest_group_above_counts() {
        check(
            &[
                ("/proc/self/cgroup", "0::/user.slice/app.scope\n"),
                ("/proc/self/mountinfo", V2),
                (
                    "/sys/fs/cgroup/user.slice/app.scope/cpu.max",
                    "max 100000\n",
                ),
                ("/sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n"),
                ("/sys/fs/cgroup/cpu.max", "90000 50000\n"),
            ],
            Some((150_000, 100_000)),
        );
    }

    #[test]
    fn version_one_and_a_mount_of_a_part() {
        check(
            &[
                (
                    "/proc/self/cgroup",
                    "12:memory:/a\n4:cpu,cpuacct:/docker/abc/x\n0::/\n",
                ),
                (
                    "/proc/self/mountinfo",
                    "30 1 0:26 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n",
                ),
                ("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n"),
                ("/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"),
                ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "25000\n"),
                ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ],
            Some((25_000, 100_000)),
        );
    }

    #[test]
    fn what_cannot_be_read_bounds_nothing() {
        check(&[], None);
        check(
            &[
                ("/proc/self/cgroup", "0::/\n"),
                ("/proc/self/mountinfo", V2),
            ],
            None,
        );
        for nonsense in ["", "x", "1", "0 100000", "100000 0", "-5 -5", "max max"] {
            check(
                &[
                    ("/proc/self/cgroup", "0::/\n"),
                    ("/proc/self/mountinfo", V2),
                    ("/sys/fs/cgroup/cpu.max", nonsense),
                ],
                None,
            );
        }
    }

    #[test]
    fn a_part_of_a_processor_is_a_worker() {
        let cpu = |affinity, quota: Option<(u64, u64)>| Cpu {
            affinity: NonZeroUsize::new(affinity).unwrap(),
            quota: quota.map(|(time_us, period_us)| Quota { time_us, period_us }),
        };
        assert_eq!(cpu(8, None).workers().get(), 8);
        assert_eq!(cpu(8, Some((150_000, 100_000))).workers().get(), 2);
        assert_eq!(cpu(8, Some((1_000, 100_000))).workers().get(), 1);
        assert_eq!(cpu(2, Some((900_000, 100_000))).workers().get(), 2);
        assert!(Cpu::read().workers() <= Cpu::read().affinity);
    }
}
