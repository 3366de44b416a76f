//! Pods that would not have been made, had somebody been asked, and run all the same: they are older than their label, or
//! were made while nobody answered. The proxy of a node does not take them up.

use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};

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

/// Says of each workload how many of its pods are such, and why.
pub(crate) fn note(resources: &Resources, pods: &Pods, notes: &mut Notes) {
    let modes = Modes::of(resources);
    let mut unfit = BTreeMap::<_, Vec<&Pod>>::new();
    for ((namespace, _), pod) in pods {
        let has_proxy = has_own_proxy(pod) || pod.is_served;
        let is_of_node = !pod.is_on_host && modes.mode(pod) == Some(NODE);
        if !has_proxy && !is_of_node {
            continue;
        }
        if let Some(why) = modes.unfit(pod) {
            let alike = Alike {
                namespace,
                workload: &pod.workload,
                has_proxy,
                why,
            };
            unfit.entry(alike).or_default().push(pod);
        }
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
