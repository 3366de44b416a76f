//! What clusters leave behind on a host, and what they must not change there.

use std::fs;
use std::path::Path;

/// Settings of the kernel that a kubelet changes where it may.
const SETTINGS: [&str; 4] = [
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/vm/overcommit_memory",
];

/// The host's own settings.
pub(crate) fn settings() -> Vec<String> {
    let read = |path| fs::read_to_string(path).expect("every host has it");
    SETTINGS.map(read).to_vec()
}

/// Everything that there is of the cluster in `folder`: processes, mounts, control groups and the folder itself.
pub(crate) fn of(folder: &Path) -> Vec<String> {
    let name = folder.file_name().expect("it has a name").to_string_lossy();
    let mut found = Vec::new();
    if folder.exists() {
        found.push(folder.display().to_string());
    }
    let mounts = fs::read_to_string("/proc/self/mounts").expect("every process has mounts");
    found.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&*name))
            .map(str::to_owned),
    );
    find_groups(Path::new("/sys/fs/cgroup"), &name, &mut found);
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        // A process of a pod is told by its groups, all others by their arguments, too.
        let says = |file| fs::read(process.path().join(file)).unwrap_or_default();
        let says = |file| String::from_utf8_lossy(&says(file)).into_owned();
        if says("cmdline").contains(&*name) || says("cgroup").contains(&*name) {
            found.push(says("cmdline"));
        }
    }
    found
}

fn find_groups(folder: &Path, name: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name().to_string_lossy() == name {
                found.push(entry.path().display().to_string());
            }
            find_groups(&entry.path(), name, found);
        }
    }
}
