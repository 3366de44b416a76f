//! The pods of this node, found by what a kubelet calls the control groups of their processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::Arc;

use crate::capture::NODE_TABLE;
use crate::guard::Guard;
use crate::netns::Netns;
use crate::nft::Netfilter;

/// The network namespaces of the pods with these UIDs, of those that have a process there: that of the process which
/// began first, for later ones may have left for others. Who is on the node's own network is none of them: CRI-O has what
/// watches a container (conmon) among the pod's control groups, and it begins first. Reads all of `/proc` once.
pub fn networks_of_pods(uids: &BTreeSet<Arc<str>>) -> io::Result<BTreeMap<Arc<str>, Netns>> {
    networks(|uid| uids.get(uid).cloned())
}

/// Takes away what the proxy of this node has put into the network namespaces of its pods, and beside them, and says of
/// how many.
pub fn release_pods() -> io::Result<usize> {
    let pods = networks(|uid| Some(uid.into()))?;
    // First: whoever is not captured and were guarded would reach nobody.
    let unguarded = Netns::of_process(1).and_then(|node| {
        node.within(|| {
            Netfilter::open()?
                .remove(Guard::TABLE)
                .map_err(io::Error::other)
        })
    });
    // Where no pod is, nothing is guarded, and whoever may not look at the node's network has nothing to clear there.
    if !pods.is_empty() {
        unguarded?;
    }
    let mut released = 0;
    for netns in pods.values() {
        let removed = netns.within(|| {
            Netfilter::open()?
                .remove(NODE_TABLE)
                .map_err(io::Error::other)
        });
        released += usize::from(removed?);
    }
    Ok(released)
}

fn networks(is_meant: impl Fn(&str) -> Option<Arc<str>>) -> io::Result<BTreeMap<Arc<str>, Netns>> {
    let node = Netns::of_process(1)?;
    let mut first = BTreeMap::<Arc<str>, (u64, Netns)>::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(number) = number else { continue };
        // One that has ended meanwhile is of no pod.
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let groups = read("cgroup");
        let Some(uid) = pod_of(&groups).and_then(|uid| is_meant(&uid)) else {
            continue;
        };
        let Some(began) = began(&read("stat")) else {
            continue;
        };
        let network = Netns::of_process(number).ok();
        let Some(network) = network.filter(|network| *network != node) else {
            continue;
        };
        if first.get(&uid).is_none_or(|(before, _)| began < *before) {
            first.insert(uid, (began, network));
        }
    }
    let networks = first.into_iter();
    Ok(networks.map(|(uid, (_, network))| (uid, network)).collect())
}

/// The UID of the pod whose control groups these are, as kubelets name them with either driver:
/// `0::/kubepods/burstable/pod1b9d6bcd-.../CONTAINER`, `.../kubepods-burstable-pod1b9d6bcd_....slice/...`. The outermost
/// says it: further in a pod may have groups of its own.
fn pod_of(groups: &str) -> Option<String> {
    let uid = |part: &str| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        // The names of slices tell those above them, also one that all of the kubelet's is below (`cgroupRoot`).
        let own = match part.split_once("kubepods") {
            Some((above, slice)) if above.is_empty() || above.ends_with('-') => {
                slice.rsplit_once("-pod")?.1
            }
            _ => part.strip_prefix("pod")?,
        };
        let is_uid = own.len() >= 32;
        is_uid.then(|| own.replace('_', "-"))
    };
    groups
        .lines()
        .find_map(|line| line.split('/').find_map(uid))
}

/// When a process began, in ticks since the host did (`proc_pid_stat(5)`, field 22). Its name may hold anything.
fn began(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(") ")?;
    behind_name.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";

    #[test]
    fn a_pod_is_known_by_the_name_of_its_control_group() {
        let low = UID.replace('-', "_");
        for (groups, expect) in [
            (format!("0::/kubepods/burstable/pod{UID}/4a1f"), true),
            (format!("12:pids:/kubepods/pod{UID}/4a1f\n0::/"), true),
            (
                format!("0::/kubepods.slice/kubepods-pod{low}.slice/x.scope"),
                true,
            ),
            (
                format!("0::/../../kubepods-besteffort.slice/kubepods-besteffort-pod{low}.slice/x"),
                true,
            ),
            (
                format!(
                    "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{low}.slice/x"
                ),
                true,
            ),
            (
                format!("0::/../../kubelet-kubepods-besteffort-pod{low}.slice/x"),
                true,
            ),
            (format!("0::/mykubepods-pod{low}.slice/x"), false),
            // Another pod that has a group of this name within.
            (
                format!("0::/kubepods/pod{}/pod{UID}", UID.replace('1', "2")),
                false,
            ),
            (format!("0::/system.slice/not-a-pod{UID}x"), false),
            ("0::/system.slice/podman.service".to_owned(), false),
            ("0::/kubepods/burstable".to_owned(), false),
            (String::new(), false),
        ] {
            let found = pod_of(&groups);
            assert_eq!(found.as_deref() == Some(UID), expect, "{groups}");
        }
    }

    #[test]
    fn when_a_process_began_is_read_behind_its_name() {
        let stat = "7 (a) S 1) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 8812 1000 2";
        assert_eq!(began(stat), Some(8812));
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(began(&own).is_some(), "{own}");
        assert_eq!(began(""), None);
    }
}
