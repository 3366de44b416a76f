//! Pods that are to have a proxy beside them, as their namespace or they themselves say, and have none: what they call
//! and are called goes in plain, and nobody would know.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use leno_model::view::WorkloadId;
use leno_model::{Code, Name, Namespace, Notes};
use leno_resources::Resources;
use leno_resources::pod::{MODE, Pod, Pods, SIDECAR};

use crate::finding;
use crate::placement::Modes;

/// The pods that could have a proxy beside them, are to, and have none. Linear in the pods.
pub fn uncaptured(resources: &Resources) -> Vec<WorkloadId> {
    let lacking = lacking(resources, &resources.pods).filter(|(_, pod)| !pod.is_on_host);
    let ids = lacking.map(|((namespace, name), _)| WorkloadId {
        namespace: namespace.clone(),
        name: name.clone(),
    });
    ids.collect()
}

/// Says of each workload which of its pods lack a proxy. One with the network of its node can have none, which its label
/// probably does not mean.
pub(crate) fn note(resources: &Resources, pods: &Pods, notes: &mut Notes) {
    let mut by_workload = BTreeMap::<_, Vec<&Pod>>::new();
    for ((namespace, _), pod) in lacking(resources, pods) {
        let workload = (namespace, &pod.workload, pod.is_on_host);
        by_workload.entry(workload).or_default().push(pod);
    }
    for ((namespace, workload, is_on_host), pods) in by_workload {
        let Some(first) = pods.first() else { continue };
        let told = told(namespace, workload, &pods, is_on_host);
        notes.push(match is_on_host {
            true => finding::warning(*first, "", Code::C195, told),
            false => finding::error(*first, "", Code::C195, told),
        });
    }
}

fn lacking<'a>(
    resources: &'a Resources,
    pods: &'a Pods,
) -> impl Iterator<Item = (&'a (Namespace, Name), &'a Pod)> {
    let modes = Modes::of(resources);
    let pods = pods.iter().map(|(name, pod)| (name, &**pod));
    let has_proxy = |pod: &Pod| pod.has_proxy || pod.is_served;
    pods.filter(move |(_, pod)| !has_proxy(pod) && modes.mode(pod) == Some(SIDECAR))
}

fn told(namespace: &Namespace, workload: &Name, pods: &[&Pod], is_on_host: bool) -> String {
    let without = match (pods, is_on_host) {
        ([_], false) => "has none".to_string(),
        ([_], true) => "has the network of its node".to_string(),
        (_, false) => format!("have none ({})", named(pods)),
        (_, true) => format!("have the network of their node ({})", named(pods)),
    };
    let (pods, are) = match pods {
        [pod] => (format!("pod {}", pod.meta.name), "is"),
        _ => (format!("{} pods", pods.len()), "are"),
    };
    format!(
        "{pods} of {namespace}/{workload} {are} to have a proxy ({MODE}: {SIDECAR}) and {without}: all that goes to \
         and from there goes in plain, and no policy holds there"
    )
}

/// `cart-1, cart-2 and 3 more`
fn named(pods: &[&Pod]) -> String {
    let names = pods.iter().map(|pod| pod.meta.name.as_str());
    let names = names.take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    match pods.len().saturating_sub(MOST_NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// How many pods of a workload are told by their names.
const MOST_NAMED: usize = 10;
