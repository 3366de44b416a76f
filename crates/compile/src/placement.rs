//! Where the proxy of a pod is: in the pod, on its node, or nowhere.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt::Display;

use leno_model::view::access::IpBlock;
use leno_model::view::{self, LeftOut, OwnProcess, WorkloadId};
use leno_model::{Code, Namespace, Notes, Origin, Ports};
use leno_resources::mesh::{MeshKubernetes, PodIsolation};
use leno_resources::pod::{
    AMBIENT, ISOLATION, ISTIO_MODE, MODE, NODE, OWN_PROCESS, Pod, Pods, SIDECAR,
    SKIP_INBOUND_PORTS, SKIP_OUTBOUND_CIDRS, SKIP_OUTBOUND_PORTS, in_ambient,
};
use leno_resources::{Outline, Resources};

use crate::everywhere::oldest;
use crate::finding::{self, Complete as _};
use crate::mesh::Sidecars;

/// How pods are to take part in the mesh.
pub(crate) struct Modes<'a> {
    by_namespace: BTreeMap<&'a str, &'a str>,
    /// The namespaces whose pods Istio is asked to carry from their nodes.
    ambient: BTreeSet<&'a str>,
    /// What the mesh says of pods.
    said: Option<&'a MeshKubernetes>,
    /// Where it asks for a process for each pod, if it does.
    isolates: Option<Origin>,
}

impl<'a> Modes<'a> {
    /// As their namespaces and the mesh say.
    pub(crate) fn of(resources: &'a Resources) -> Self {
        let by_namespace = resources.namespaces.iter().filter_map(|namespace| {
            let mode = namespace.meta.labels.get(MODE)?;
            Some((namespace.meta.name.as_str(), &**mode))
        });
        let ambient = resources.namespaces.iter().filter(|namespace| {
            let mode = namespace.meta.labels.get(ISTIO_MODE);
            mode.is_some_and(|mode| **mode == *AMBIENT)
        });
        let mesh = oldest(resources);
        let spec = mesh.and_then(|mesh| mesh.spec.partly());
        let said = spec.and_then(|spec| spec.kubernetes.as_ref()?.sound());
        let isolates = said.is_some_and(|said| said.isolation == PodIsolation::Pod);
        let isolates = mesh.filter(|_| isolates);
        Self {
            by_namespace: by_namespace.collect(),
            ambient: ambient
                .map(|namespace| namespace.meta.name.as_str())
                .collect(),
            said,
            isolates: isolates.map(|mesh| mesh.origin("/spec/kubernetes/isolation")),
        }
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
        own.or_else(|| self.by_namespace.get(namespace?.as_str()).copied())
    }

    /// The namespaces that take part, by their label or by one of these pods.
    pub(crate) fn taking_part(&self, pods: &Pods) -> BTreeSet<Namespace> {
        let all = self.by_namespace.keys();
        let all = all.filter_map(|name| Namespace::new(name).ok());
        let labelled = all.filter(|namespace| self.is_labelled(namespace));
        let of_pods = pods.iter().filter(|(_, pod)| self.has_part(pod));
        let of_pods = of_pods.map(|((namespace, _), _)| namespace.clone());
        labelled.chain(of_pods).collect()
    }

    /// Whether the label of a namespace has its pods take part.
    pub(crate) fn is_labelled(&self, namespace: &Namespace) -> bool {
        let mode = self.by_namespace.get(namespace.as_str());
        mode.is_some_and(|mode| is_part(mode))
    }

    /// Whether a pod takes part.
    pub(crate) fn has_part(&self, pod: &Pod) -> bool {
        pod.has_proxy || pod.is_served || self.mode(pod).is_some_and(is_part)
    }

    /// What the proxy of its node needs to know of a pod, if that is to carry its calls. A pod that was made with a
    /// proxy in it goes on with that one.
    ///
    /// So does one that is served go on: what is said of placement is said of the next start of a pod. Let go of while it
    /// runs, it would be without a proxy until then, for nothing can be added to it: its calls would be cut, no policy would
    /// hold there, and who asks for `mtls: Strict` would refuse it.
    pub(crate) fn of_node(&self, pod: &Pod) -> Option<Arc<view::Pod>> {
        let has_other = pod.has_proxy || pod.is_on_host;
        let is_taken_up = self.mode(pod) == Some(NODE) && self.unfit(pod).is_none();
        let is_of_node = !has_other && (pod.is_served || is_taken_up);
        is_of_node.then(|| {
            let resolver = pod.resolver.clone();
            Arc::new(view::Pod {
                resolver,
                ..reached(pod, self.own_process(pod))
            })
        })
    }

    /// Why a pod is not taken up by the proxy of its node, and what a proxy in it does not hold: it would not have been
    /// made, had somebody been asked.
    pub(crate) fn unfit(&self, pod: &Pod) -> Option<Arc<str>> {
        let by_namespace = || {
            let namespace = pod.meta.namespace.as_ref()?;
            let is_asked = !pod.meta.labels.contains_key(ISTIO_MODE);
            let is_ambient = is_asked && self.ambient.contains(namespace.as_str());
            is_ambient.then(|| in_ambient(namespace).into())
        };
        pod.unfit.clone().or_else(by_namespace)
    }

    /// The process of its own that a pod gets: as it asks for itself, else as the mesh says.
    fn own_process(&self, pod: &Pod) -> Option<OwnProcess> {
        let asks = pod.meta.annotations.get(ISOLATION);
        let asks = asks.filter(|value| ***value == *OWN_PROCESS);
        let origin = match asks {
            Some(_) => Outline::from(pod).origin(&pointer(ISOLATION)),
            None => self.isolates.clone()?,
        };
        let said = self.said.and_then(|said| said.pod_process.as_ref());
        Some(OwnProcess {
            memory_mib: said.map_or(OwnProcess::MEMORY_MIB, |said| said.memory_mib),
            cpu_milli: said.and_then(|said| said.cpu_milli),
            origin,
        })
    }
}

/// Whether who is in this mode takes part.
fn is_part(mode: &str) -> bool {
    [NODE, SIDECAR].contains(&mode)
}

/// Where an annotation stands in an object.
fn pointer(annotation: &str) -> String {
    format!("/metadata/annotations/{}", annotation.replace('/', "~1"))
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
            Arc::make_mut(of_node).insert(id, Arc::new(reached(pod, None)));
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
        Arc::make_mut(of_node).insert(id.clone(), Arc::new(reached(pod, None)));
    }
}

/// Whether a pod has a proxy of its own, and a network of its own that could be captured.
pub(crate) fn has_own_proxy(pod: &Pod) -> bool {
    pod.has_proxy && !pod.is_on_host
}

/// What the proxy of its node needs to know of a pod to reach into its network.
fn reached(pod: &Pod, own_process: Option<OwnProcess>) -> view::Pod {
    view::Pod {
        uid: pod.uid.clone(),
        left_out: left_out(pod, |_, _| {}),
        own_process,
        // A proxy in the pod asks whom its container does.
        resolver: None,
    }
}

/// Says which annotations of pods cannot be read.
pub(crate) fn note(resources: &Resources, pods: &Pods, notes: &mut Notes) {
    let modes = Modes::of(resources);
    let annotated = pods.values().filter(|pod| !pod.meta.annotations.is_empty());
    let is_captured = |pod: &&Arc<Pod>| has_own_proxy(pod) || modes.of_node(pod).is_some();
    for pod in annotated.filter(is_captured) {
        let bad = |code, annotation: &str, why: &dyn Display| {
            let message = format!("{annotation}: {why}");
            finding::error(&**pod, &pointer(annotation), code, message)
        };
        left_out(pod, |annotation, why| {
            let found = bad(Code::C200, annotation, why);
            notes.push(found.in_force("what this annotation names is captured"));
        });
        let asks = pod.meta.annotations.get(ISOLATION);
        if let Some(other) = asks.filter(|value| ***value != *OWN_PROCESS) {
            let why =
                format!("{other:?} is not {OWN_PROCESS:?}, which is all that a pod can ask for");
            let found = bad(Code::H026, ISOLATION, &why);
            notes.push(found.in_force("what the mesh says in kubernetes.isolation"));
        }
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
