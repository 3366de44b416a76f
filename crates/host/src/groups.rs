//! Control groups for processes that this one starts: one for each, below this process's own, so that whatever ends this
//! process's group ends theirs, and with bounds where the kernel keeps memory and time by groups of version 2.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// What a group may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The most memory, in bytes.
    pub memory: u64,
    /// The most time of processors, in thousandths of one; nothing if there is as much as there is.
    pub cpu_milli: Option<u32>,
}

/// The group of this process, below which others are made.
#[derive(Debug)]
pub struct Groups {
    own: Arc<PathBuf>,
    /// Keeps the file system mounted, at no place that anybody else sees.
    _mounted: Arc<OwnedFd>,
    lacks: Option<String>,
}

/// A group of its own. Dropped, it is removed, unless somebody runs there still.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    _mounted: Arc<OwnedFd>,
}

/// What keeps a group within its bounds.
const CONTROLLERS: [&str; 2] = ["memory", "cpu"];

/// The group of this process itself, where its own one may hold no processes beside other groups.
const ITSELF: &str = "leno-node";

/// In what time a group has its part of the processors, in microseconds.
const PERIOD: u64 = 100_000;

impl Groups {
    /// Finds the group of this process. It takes `CAP_SYS_ADMIN`: the file system that a container sees is only to be read.
    pub fn open() -> io::Result<Self> {
        let mounted = mounted()?;
        let root = PathBuf::from(format!("/proc/self/fd/{}", mounted.as_raw_fd()));
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let own = own_group(&groups).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "this process is in no group of version 2",
            )
        })?;
        let own = root.join(own);
        let lacks = hand_on(&own).err();
        Ok(Self {
            own: Arc::new(own),
            _mounted: Arc::new(mounted),
            lacks,
        })
    }

    /// Why groups that are made here have no bounds, if they have none.
    pub fn lacks(&self) -> Option<&str> {
        self.lacks.as_deref()
    }

    /// Makes a group of this name, with these bounds as far as there are any here. One of an earlier process that is
    /// empty is taken.
    pub fn make(&self, name: &str, bounds: &Bounds) -> io::Result<Group> {
        let path = self.own.join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let group = Group {
            path,
            _mounted: Arc::clone(&self._mounted),
        };
        if self.lacks.is_none() {
            group.write("memory.max", &bounds.memory.to_string())?;
            group.write("cpu.max", &cpu_max(bounds.cpu_milli))?;
            // Where there is swap, what is bounded would only go there.
            match group.write("memory.swap.max", "0") {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(group)
    }
}

impl Group {
    /// Puts a process there.
    pub fn add(&self, process: u32) -> io::Result<()> {
        self.write("cgroup.procs", &process.to_string())
    }

    /// How often somebody there was ended because the group had no memory left.
    pub fn ends_for_memory(&self) -> u64 {
        let events = fs::read_to_string(self.path.join("memory.events"));
        ends_for_memory(&events.unwrap_or_default())
    }

    fn write(&self, file: &str, what: &str) -> io::Result<()> {
        written(&self.path.join(file), what)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Who runs there still has the group to itself.
        drop(fs::remove_dir(&self.path));
    }
}

/// The file system of groups of version 2, as this process may see it.
fn mounted() -> io::Result<OwnedFd> {
    let opened = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&opened)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(&opened, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// The group of version 2 among those of a process, without the slash before it.
fn own_group(groups: &str) -> Option<&str> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // One that lies outside of what this process sees cannot be reached.
    (!own.starts_with("..")).then_some(own)
}

/// Lets groups below `own` have bounds; says why they have none if that cannot be.
fn hand_on(own: &Path) -> Result<(), String> {
    let has = fs::read_to_string(own.join("cgroup.controllers"));
    let has = has.map_err(|error| format!("cgroup.controllers: {error}"))?;
    let has: Vec<_> = has.split_whitespace().collect();
    if let Some(missing) = CONTROLLERS.iter().find(|one| !has.contains(*one)) {
        return Err(format!(
            "the kernel keeps {missing} by no control groups of version 2 here"
        ));
    }
    let enable = || {
        let all = CONTROLLERS.map(|one| format!("+{one}")).join(" ");
        written(&own.join("cgroup.subtree_control"), &all)
    };
    let enabled = match enable() {
        // Who hands on may hold no process itself.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => {
            step_aside(own).and_then(|()| enable())
        }
        enabled => enabled,
    };
    enabled.map_err(|error| format!("cgroup.subtree_control: {error}"))
}

/// Moves all processes of a group into one below it.
fn step_aside(own: &Path) -> io::Result<()> {
    let aside = own.join(ITSELF);
    match fs::create_dir(&aside) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    for process in fs::read_to_string(own.join("cgroup.procs"))?.lines() {
        match written(&aside.join("cgroup.procs"), process) {
            // It has ended meanwhile.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {}
            moved => moved?,
        }
    }
    Ok(())
}

/// Writes to a file that is there.
fn written(file: &Path, what: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(file)?;
    io::Write::write_all(&mut file, what.as_bytes())
}

/// `50000 100000`, which is half of a processor.
fn cpu_max(milli: Option<u32>) -> String {
    match milli {
        Some(milli) => format!("{} {PERIOD}", u64::from(milli) * PERIOD / 1000),
        None => format!("max {PERIOD}"),
    }
}

fn ends_for_memory(events: &str) -> u64 {
    let ends = events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "));
    ends.and_then(|ends| ends.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_that_of_version_2() {
        for (groups, expect) in [
            ("0::/\n", Some("")),
            ("12:pids:/a\n0::/kubepods/pod1/x\n", Some("kubepods/pod1/x")),
            ("12:pids:/a\n", None),
            ("0::/../../other\n", None),
        ] {
            assert_eq!(own_group(groups), expect, "{groups}");
        }
    }

    #[test]
    fn bounds_read_as_the_kernel_takes_them() {
        assert_eq!(cpu_max(None), "max 100000");
        assert_eq!(cpu_max(Some(500)), "50000 100000");
        assert_eq!(cpu_max(Some(2500)), "250000 100000");
        assert_eq!(ends_for_memory("low 0\nmax 7\noom 1\noom_kill 2\n"), 2);
        assert_eq!(ends_for_memory(""), 0);
    }

    #[test]
    fn a_group_that_may_hand_on_moves_its_processes_aside_first() {
        let own = std::env::temp_dir().join(format!("leno-groups-{}", std::process::id()));
        fs::create_dir_all(own.join(ITSELF)).unwrap();
        let file = |name: &str, content: &str| fs::write(own.join(name), content).unwrap();
        file("cgroup.controllers", "cpu io pids\n");
        let lacks = "the kernel keeps memory by no control groups of version 2 here";
        assert_eq!(hand_on(&own), Err(lacks.to_owned()));
        file("cgroup.controllers", "cpu io memory pids\n");
        file("cgroup.subtree_control", "");
        assert_eq!(hand_on(&own), Ok(()));
        let read = |name: &str| fs::read_to_string(own.join(name)).unwrap();
        assert_eq!(read("cgroup.subtree_control"), "+memory +cpu");
        file("cgroup.procs", "41\n");
        file("leno-node/cgroup.procs", "");
        step_aside(&own).unwrap();
        assert_eq!(read("leno-node/cgroup.procs"), "41");
        fs::remove_dir_all(own).unwrap();
    }
}
