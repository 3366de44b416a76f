//! Pods that go on with the proxy of their node, while their namespace or they themselves say something else by now: that
//! counts for those that are made in their place.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use leno_model::{Code, Name, Namespace, Notes};
use leno_resources::Resources;
use leno_resources::pod::{MODE, NODE, Pod, Pods};

use crate::finding::{self, Complete as _};
use crate::placement::Modes;

/// Says of each workload how many of its pods go on so.
pub(crate) fn note(resources: &Resources, pods: &Pods, notes: &mut Notes) {
    let modes = Modes::of(resources);
    let mut by_workload = BTreeMap::<_, Vec<&Pod>>::new();
    for ((namespace, _), pod) in pods {
        let mode = modes.mode(pod);
        if modes.of_node(pod).is_some() && mode != Some(NODE) {
            let workload = (namespace, &pod.workload, mode);
            by_workload.entry(workload).or_default().push(pod);
        }
    }
    for ((namespace, workload, mode), pods) in by_workload {
        let Some(first) = pods.first() else { continue };
        let told = told(namespace, workload, first, pods.len(), mode);
        let note = finding::information(*first, "", Code::C197, told);
        notes.push(note.in_force("calls are secured, and policies hold there"));
    }
}

fn told(
    namespace: &Namespace,
    workload: &Name,
    first: &Pod,
    count: usize,
    mode: Option<&str>,
) -> String {
    let said = match mode {
        Some(mode) => format!("{MODE}: {mode}"),
        None => format!("that {MODE} is gone"),
    };
    let first = &first.meta.name;
    match count {
        1 => format!(
            "pod {first} of {namespace}/{workload} goes on with the proxy of its node, and {said} counts once it is made anew"
        ),
        _ => format!(
            "{count} pods, {first} among them, of {namespace}/{workload} go on with the proxy of their node, and {said} \
             counts once they are made anew"
        ),
    }
}
