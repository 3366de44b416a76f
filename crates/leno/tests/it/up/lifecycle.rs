//! Beginnings and ends: what is left of a mesh that is killed, and who may run one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use super::world::{Folder, told};
use crate::said::until;

fn busy() -> Folder {
    let folder = Folder::new("busy");
    folder.write(
        "Procfile",
        "web: python3 -m http.server 18086 & python3 -m http.server 18087\n\
         cart: setsid sleep 1000 & exec python3 -m http.server 18088\n",
    );
    folder
}

#[test]
fn a_mesh_that_is_killed_leaves_nothing() {
    let folder = busy();
    let up = folder.up();
    let family = descendants(up.pid());
    assert!(family.len() >= 10, "{family:?}");
    let spaces = network_namespaces(&family);
    assert_eq!(spaces.len(), 2 + 1, "two of its own, and that of the host");
    up.end_by("-KILL");
    until(|| family.iter().all(|pid| !is_alive(*pid)));
    let everybody = fs::read_dir("/proc").unwrap();
    let everybody = everybody.filter_map(|file| file.unwrap().file_name().to_str()?.parse().ok());
    let left = network_namespaces(&everybody.collect());
    assert_eq!(
        left.intersection(&spaces).count(),
        1,
        "only that of the host"
    );
    // Nothing that is left stands in the way of the next.
    assert!(folder.up().end_by("-TERM").success());
}

#[test]
fn a_mesh_needs_no_root() {
    let folder = Folder::new("unprivileged");
    folder
        .write("items", "free\n")
        .write("Procfile", "cart: exec python3 -m http.server 18089\n");
    let leno = folder.path().join("leno");
    fs::copy(env!("CARGO_BIN_EXE_leno"), &leno).unwrap();
    let owned = Command::new("chown")
        .args(["-R", "nobody"])
        .arg(folder.path())
        .status();
    assert!(owned.unwrap().success());
    let as_nobody = |arguments: &[&str]| {
        let output = Command::new("setpriv")
            .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
            .arg(&leno)
            .args(arguments)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("NO_COLOR", "1")
            .output();
        told(&output.unwrap())
    };
    let shown = as_nobody(&["up", "-d"]);
    assert!(shown.contains("  cart   up "), "{shown}");
    assert_eq!(
        as_nobody(&["curl", "cart", "http://cart:18089/items"]),
        "free\n"
    );
    // The application has its user's rights and none besides.
    let rights = as_nobody(&[
        "run",
        "--",
        "grep",
        "-E",
        "^(Uid|CapPrm|CapBnd|NoNewPrivs)",
        "/proc/self/status",
    ]);
    assert_eq!(
        rights,
        "Uid:\t65534\t65534\t65534\t65534\nCapPrm:\t0000000000000000\n\
         CapBnd:\t0000000000000000\nNoNewPrivs:\t0\n"
    );
    let kept = fs::metadata(folder.path().join(".leno/store")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&kept.permissions()) & 0o777,
        0o700
    );
    assert!(as_nobody(&["down"]).starts_with("ended "));
}

/// A process and all that came from it.
pub(super) fn descendants(of: u32) -> BTreeSet<u32> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for file in fs::read_dir("/proc").unwrap() {
        let Ok(pid) = file.unwrap().file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut family = BTreeSet::new();
    let mut open = vec![of];
    while let Some(pid) = open.pop() {
        if family.insert(pid) {
            open.extend(children.get(&pid).into_iter().flatten());
        }
    }
    family
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

/// Whether it still runs; one that waits to be buried does not.
pub(super) fn is_alive(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

fn network_namespaces(of: &BTreeSet<u32>) -> BTreeSet<String> {
    let space = |pid: &u32| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let spaces = of.iter().filter_map(space);
    spaces
        .map(|space| space.to_string_lossy().into_owned())
        .collect()
}
