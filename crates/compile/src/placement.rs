//! Where the proxy of a pod is: in the pod, on its node, or nowhere.

use alloc::{collections::BTreeMap, format, string::ToString, sync::Arc, vec::Vec};
use core::fmt::Display;

use leno_model::view::access::IpBlock;
use leno_model::view::{self, LeftOut, WorkloadId};
use leno_model::{Code, Namespace, Notes, Ports};
use leno_resources::Resources;
use leno_resources::pod::{
    MODE, NODE, Pod, Pods, SKIP_INBOUND_PORTS, SKIP_OUTBOUND_CIDRS, SKIP_OUTBOUND_PORTS,
};

use crate::finding::{self, Complete as _};
use crate::mesh::Sidecars;

/// How pods are to take part in the mesh.
pub(crate) struct Modes<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Modes<'a> {
    /// As their namespaces say.
    pub(crate) fn of(resources: &'a Resources) -> Self {
        let said = resources.namespaces.iter().filter_map(|namespace| {
            let mode = namespace.meta.labels.get(MODE)?;
            Some((namespace.meta.name.as_str(), &**mode))
        });
        Self(said.collect())
    }

    /// How a pod is to: as it says itself, else as its namespace says.
    pub(crate) fn mode<'p>(&self, pod: &'p Pod) -> Option<&'p str>
    where
        'a: 'p,
    {
        self.said(pod.meta.namespace.as_ref(), &pod.meta.labels)
    }

    /// The same of a pod with these labels.
    pub(crate) fn said<'p>(
        &self,
        namespace: Option<&Namespace>,
        labels: &'p BTreeMap<Arc<str>, Arc<str>>,
    ) -> Option<&'p str>
    where
        'a: 'p,
    {
        let own = labels.get(MODE).map(|mode| &**mode);
        own.or_else(|| self.0.get(namespace?.as_str()).copied())
    }

    /// What the proxy of its node needs to know of a pod, if that is to carry its calls. A pod that was made with a
    /// proxy in it goes on with that one.
    pub(crate) fn of_node(&self, pod: &Pod) -> Option<Arc<view::Pod>> {
        let has_other = pod.has_proxy || pod.is_on_host;
        let is_of_node = !has_other && self.mode(pod) == Some(NODE);
        is_of_node.then(|| reached(pod))
    }
}

/// The pods of each node that have proxies of their own.
pub(crate) fn sidecars(pods: &Pods) -> Sidecars {
    let mut sidecars = Sidecars::new();
    for ((namespace, name), pod) in pods {
        if let (Some(node), true) = (&pod.locality.node, has_own_proxy(pod)) {
            let id = WorkloadId {
                namespace: namespace.clone(),
                name: name.clone(),
            };
            let of_node = sidecars.entry(node.clone()).or_default();
            Arc::make_mut(of_node).insert(id, reached(pod));
        }
    }
    sidecars
}

/// Takes a pod that has a proxy of its own in among those of its node, or out.
pub(crate) fn turn(sidecars: &mut Sidecars, id: &WorkloadId, was: Option<&Pod>, is: Option<&Pod>) {
    let node = |pod: Option<&Pod>| {
        let pod = pod.filter(|pod| has_own_proxy(pod))?;
        pod.locality.node.clone()
    };
    if let Some(node) = node(was)
        && let Some(of_node) = sidecars.get_mut(&node)
    {
        Arc::make_mut(of_node).remove(id);
        if of_node.is_empty() {
            sidecars.remove(&node);
        }
    }
    if let (Some(node), Some(pod)) = (node(is), is) {
        let of_node = sidecars.entry(node).or_default();
        Arc::make_mut(of_node).insert(id.clone(), reached(pod));
    }
}

/// Whether a pod has a proxy of its own, and a network of its own that could be captured.
fn has_own_proxy(pod: &Pod) -> bool {
    pod.has_proxy && !pod.is_on_host
}

/// What the proxy of its node needs to know of a pod to reach into its network.
fn reached(pod: &Pod) -> Arc<view::Pod> {
    Arc::new(view::Pod {
        uid: pod.uid.clone(),
        left_out: left_out(pod, |_, _| {}),
    })
}

/// Says which annotations of pods cannot be read.
pub(crate) fn note(resources: &Resources, pods: &Pods, notes: &mut Notes) {
    let modes = Modes::of(resources);
    let annotated = pods.values().filter(|pod| !pod.meta.annotations.is_empty());
    let is_captured = |pod: &&Arc<Pod>| has_own_proxy(pod) || modes.of_node(pod).is_some();
    for pod in annotated.filter(is_captured) {
        left_out(pod, |annotation, why| {
            let message = format!("{annotation}: {why}");
            let pointer = format!("/metadata/annotations/{}", annotation.replace('/', "~1"));
            let found = finding::error(&**pod, &pointer, Code::C200, message);
            notes.push(found.in_force("what this annotation names is captured"));
        });
    }
}

/// What a pod leaves out of its capture. An annotation that cannot be read leaves out nothing, and is told to `bad`.
fn left_out(pod: &Pod, mut bad: impl FnMut(&str, &dyn Display)) -> LeftOut {
    let ports = |text: &str| text.parse::<Ports>().map_err(|why| why.to_string());
    let block = |text: &str| {
        let block = IpBlock::parse(text);
        block.ok_or_else(|| format!("{text:?} is no block of addresses like 10.0.0.0/8"))
    };
    LeftOut {
        inbound: listed(pod, SKIP_INBOUND_PORTS, ports, &mut bad),
        outbound: listed(pod, SKIP_OUTBOUND_PORTS, ports, &mut bad),
        outbound_blocks: listed(pod, SKIP_OUTBOUND_CIDRS, block, &mut bad),
    }
}

/// What the annotation of a pod lists, with commas between.
fn listed<T, E: Display>(
    pod: &Pod,
    annotation: &str,
    read: impl Fn(&str) -> Result<T, E>,
    bad: &mut impl FnMut(&str, &dyn Display),
) -> Vec<T> {
    let Some(text) = pod.meta.annotations.get(annotation) else {
        return Vec::new();
    };
    let parts = text.split(',').map(|part| read(part.trim()));
    match parts.collect::<Result<Vec<_>, _>>() {
        Ok(all) if all.len() <= LeftOut::MOST => return all,
        Ok(_) => bad(
            annotation,
            &format!("at most {} can be left out", LeftOut::MOST),
        ),
        Err(why) => bad(annotation, &why),
    }
    Vec::new()
}
