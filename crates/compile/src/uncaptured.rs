//! Pods that are to have a proxy beside them, as their namespace or they themselves say, and have none: what they call
//! and are called goes in plain, and nobody would know.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use leno_model::{Code, Name, Namespace, Notes};
use leno_resources::Resources;
use leno_resources::pod::{MODE, Pod, Pods, SIDECAR};

use crate::finding;
use crate::placement::Modes;

/// Says of each workload how many of its pods lack a proxy.
pub(crate) fn note(resources: &Resources, pods: &Pods, notes: &mut Notes) {
    let modes = Modes::of(resources);
    let mut lacking = BTreeMap::<_, Vec<&Pod>>::new();
    for pod in pods.values() {
        if !pod.has_proxy && modes.mode(pod) == Some(SIDECAR) {
            let Some(namespace) = &pod.meta.namespace else {
                continue;
            };
            let workload = (namespace, &pod.workload);
            lacking.entry(workload).or_default().push(pod);
        }
    }
    for ((namespace, workload), pods) in lacking {
        if let Some(first) = pods.first() {
            notes.push(finding::warning(
                *first,
                "",
                Code::C195,
                told(namespace, workload, first, pods.len()),
            ));
        }
    }
}

fn told(namespace: &Namespace, workload: &Name, first: &Pod, count: usize) -> String {
    let (pods, are, have) = match count {
        1 => (format!("pod {}", first.meta.name), "is", "has"),
        _ => {
            let pods = format!("{count} pods, {} among them,", first.meta.name);
            (pods, "are", "have")
        }
    };
    format!(
        "{pods} of {namespace}/{workload} {are} to have a proxy ({MODE}: {SIDECAR}) and {have} none: all that goes to \
         and from there goes in plain, and no policy holds there"
    )
}
