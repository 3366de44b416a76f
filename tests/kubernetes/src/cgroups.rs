//! The control groups of a node: one of its own in each hierarchy, below the one of whoever starts it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The groups of one node, by hierarchy. They are there until [`Cgroups::remove`].
pub(crate) struct Cgroups(Vec<Cgroup>);

struct Cgroup {
    above: PathBuf,
    path: PathBuf,
}

/// The hierarchies that a kubelet and its containers use.
pub(crate) const HIERARCHIES: [&str; 9] = [
    "blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "systemd",
];

/// Where they are mounted.
pub(crate) const MOUNTED: &str = "/sys/fs/cgroup";

impl Cgroups {
    /// Whether this host has the hierarchies, which are those of version 1.
    pub(crate) fn are_known_here() -> bool {
        let procs = |name: &str| Path::new(MOUNTED).join(name).join("cgroup.procs");
        HIERARCHIES.iter().all(|name| procs(name).is_file())
    }

    /// Makes the groups, called `name`.
    pub(crate) fn make(name: &str) -> io::Result<Self> {
        let mut groups = Self(Vec::new());
        for line in fs::read_to_string("/proc/self/cgroup")?.lines() {
            let Some((hierarchy, own)) = hierarchy(line) else {
                continue;
            };
            let above = Path::new(MOUNTED).join(hierarchy).join(own);
            let path = above.join(name);
            if path.exists() {
                // A keeper was killed; the name is free again, so nobody lives there.
                remove(&path)?;
            }
            fs::create_dir(&path)?;
            if hierarchy == "cpuset" {
                for setting in ["cpuset.cpus", "cpuset.mems"] {
                    fs::write(path.join(setting), fs::read(above.join(setting))?)?;
                }
            }
            groups.0.push(Cgroup { above, path });
        }
        Ok(groups)
    }

    /// Puts this process into them: what it starts from here on lives there.
    pub(crate) fn join(&self) -> io::Result<()> {
        let mut groups = self.0.iter();
        groups.try_for_each(|group| enter(&group.path))
    }

    /// Takes this process, and nothing that it has started, back to where it was.
    pub(crate) fn leave(&self) -> io::Result<()> {
        let mut groups = self.0.iter();
        groups.try_for_each(|group| enter(&group.above))
    }

    /// Removes them with all groups below, once nobody lives there.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut groups = self.0.iter();
        groups.try_for_each(|group| remove(&group.path))
    }
}

/// The hierarchy of a line of `/proc/PID/cgroup` and the path in it, relative, if it is one that matters.
fn hierarchy(line: &str) -> Option<(&'static str, &str)> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let name = controllers.strip_prefix("name=").unwrap_or(controllers);
    let known = HIERARCHIES.iter().find(|known| **known == name)?;
    Some((known, path.trim_start_matches('/')))
}

fn enter(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

fn remove(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_made_below_ones_own() {
        let check = |line, expect| assert_eq!(hierarchy(line), expect, "{line}");
        check("4:memory:/a/b", Some(("memory", "a/b")));
        check("9:name=systemd:/", Some(("systemd", "")));
        check("3:hugetlb:/", None);
        check("0::/user.slice", None);
        check("nothing", None);
    }
}
