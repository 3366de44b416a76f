//! Pods that would not have been made, had somebody been asked, and run all the same: they are older than their label, or
//! were made while nobody answered. The proxy of a node does not take them up.

use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};

use leno_model::view::WorkloadId;
use leno_model::{Code, Name, Namespace, Notes};
use leno_resources::Resources;
use leno_resources::pod::{MODE, NODE, Pod, Pods};

use crate::finding::{self, Complete as _};
use crate::placement::{Modes, has_own_proxy};

/// What pods have in common of which one thing is said.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike<'a> {
    namespace: &'a Namespace,
    workload: &'a Name,
    has_proxy: bool,
    why: Arc<str>,
}

/// The pods that the proxy of their node is to serve and does not take up, each with why. Linear in the pods.
pub fn unfit(resources: &Resources) -> Vec<(WorkloadId, Arc<str>)> {
    let left_out = all(resources, &resources.pods).filter(|(alike, _)| !alike.has_proxy);
    let left_out = left_out.map(|(alike, pod)| {
        let id = WorkloadId {
            namespace: alike.namespace.clone(),
            name: pod.meta.name.clone(),
        };
        (id, alike.why)
    });
    left_out.collect()
}

/// Says of each workload how many of its pods are such, and why.
pub(crate) fn note(resources: &Resources, pods: &Pods, notes: &mut Notes) {
    let mut unfit = BTreeMap::<_, Vec<&Pod>>::new();
    for (alike, pod) in all(resources, pods) {
        unfit.entry(alike).or_default().push(pod);
    }
    for (alike, pods) in unfit {
        if let Some(first) = pods.first() {
            let message = alike.told(first, pods.len());
            let note = match alike.has_proxy {
                true => finding::warning(*first, "", Code::C196, message),
                false => finding::error(*first, "", Code::C196, message),
            };
            notes.push(note.in_force(alike.in_force()));
        }
    }
}

fn all<'a>(resources: &'a Resources, pods: &'a Pods) -> impl Iterator<Item = (Alike<'a>, &'a Pod)> {
    let modes = Modes::of(resources);
    pods.iter().filter_map(move |((namespace, _), pod)| {
        let has_proxy = has_own_proxy(pod) || pod.is_served;
        let is_of_node = !pod.is_on_host && modes.mode(pod) == Some(NODE);
        let why = modes.unfit(pod).filter(|_| has_proxy || is_of_node)?;
        let alike = Alike {
            namespace,
            workload: &pod.workload,
            has_proxy,
            why,
        };
        Some((alike, &**pod))
    })
}

impl Alike<'_> {
    fn told(&self, first: &Pod, count: usize) -> String {
        let (pods, are, have, their) = match count {
            1 => (format!("pod {}", first.meta.name), "is", "has", "its"),
            _ => {
                let pods = format!("{count} pods, {} among them,", first.meta.name);
                (pods, "are", "have", "their")
            }
        };
        let what = match self.has_proxy {
            true => format!("{have} a proxy that does not hold all of {their} calls"),
            false => format!(
                "{are} to be served by the proxy of {their} node ({MODE}: {NODE}) and {are} not"
            ),
        };
        format!(
            "{pods} of {}/{} {what}: {}",
            self.namespace, self.workload, self.why
        )
    }

    fn in_force(&self) -> &'static str {
        match self.has_proxy {
            true => "what goes past its proxy goes in plain, and no policy holds there",
            false => "all that goes to and from there goes in plain, and no policy holds there",
        }
    }
}
