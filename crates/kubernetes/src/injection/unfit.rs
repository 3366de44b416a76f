//! Pods that get no proxy: because one could not capture what they send, or because they could get around it.

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec, SecurityContext};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use leno_model::control_name::DEFAULT_CONTROL;
use leno_resources::pod::{CONTROL, MIRROR};

use super::{CAPTURE, PROXY, Placement, UID};

/// Why a pod has no part in the mesh, though it may be made.
pub(super) fn left_out(placement: Placement, meta: &ObjectMeta, spec: &PodSpec) -> Option<String> {
    let without = match placement {
        Placement::Sidecar => "it gets no sidecar",
        Placement::Node => "the proxy of its node does not serve it",
    };
    let what = match (spec.host_network, spec.os.as_ref()) {
        (Some(true), _) => "a pod with hostNetwork shares its node's network".to_owned(),
        (_, Some(os)) if os.name != "linux" => format!("this pod is for {}", os.name),
        _ if placement == Placement::Sidecar && is_mirror(meta) => {
            "a static pod is made by its node, and this is its mirror".to_owned()
        }
        _ => return None,
    };
    Some(format!(
        "{what}: {without}, and what it calls goes out in plain"
    ))
}

/// Whether it is what the cluster is told of a static pod: what is changed in it is not changed in what runs.
pub(super) fn is_mirror(meta: &ObjectMeta) -> bool {
    let mut annotations = meta.annotations.iter().flatten();
    annotations.any(|(name, _)| name == MIRROR)
}

/// Why a pod is not made.
pub(super) fn refused(
    placement: Placement,
    meta: &ObjectMeta,
    spec: &PodSpec,
    is_ours: impl Fn(&Container) -> bool,
) -> Option<String> {
    let others: Vec<_> = containers(spec).filter(|it| !is_ours(it)).collect();
    foreign(meta, spec)
        .or_else(|| by_another(placement, meta))
        .or_else(|| past_the_proxy(placement, spec, &others))
}

/// Why a pod that runs does not get the containers that it is to get.
pub(super) fn refused_running(placement: Placement, spec: &PodSpec) -> Option<String> {
    let added = spec.ephemeral_containers.iter().flatten();
    let added: Vec<_> = added.map(as_container).collect();
    let added: Vec<_> = added.iter().collect();
    past_the_proxy(placement, spec, &added)
}

/// What is judged of a container that is added to a pod which runs.
fn as_container(added: &EphemeralContainer) -> Container {
    Container {
        name: added.name.clone(),
        security_context: added.security_context.clone(),
        ..Container::default()
    }
}

/// How these containers of a pod, none of them ours, could pass by its proxy.
fn past_the_proxy(
    placement: Placement,
    spec: &PodSpec,
    containers: &[&Container],
) -> Option<String> {
    let mut all = containers.iter().copied();
    all.clone()
        .find_map(called_as_ours)
        .or_else(|| by_user(placement, spec, containers))
        .or_else(|| all.find_map(around))
}

/// Whoever looks for the proxy of a pod finds it by its name.
fn called_as_ours(container: &Container) -> Option<String> {
    let name = &container.name;
    [PROXY, CAPTURE].contains(&name.as_str()).then(|| {
        format!(
            "container {name} bears the name of one that Leno adds to pods, and is not that one: call it otherwise"
        )
    })
}

/// Which control plane a pod names that its node's proxy does not follow.
fn by_another(placement: Placement, meta: &ObjectMeta) -> Option<String> {
    let named = meta.labels.as_ref()?.get(CONTROL)?;
    let is_refused = placement == Placement::Node && named != DEFAULT_CONTROL;
    is_refused.then(|| {
        format!(
            "{CONTROL}: {named:.64}: the proxies of nodes follow the default control plane, and so do their pods; leave \
             that label out, or let the pod have a sidecar"
        )
    })
}

/// Who in a pod runs as the user whose proxy is left alone. The proxy of a node is known by its mark, which takes a right
/// to set.
fn by_user(placement: Placement, spec: &PodSpec, others: &[&Container]) -> Option<String> {
    if placement == Placement::Node {
        return None;
    }
    let pod = spec.security_context.as_ref();
    let pod = pod.filter(|context| context.run_as_user == Some(UID));
    let as_proxy = |container: &&&Container| {
        let context = container.security_context.as_ref();
        context.is_some_and(|context| context.run_as_user == Some(UID))
    };
    let who = match (pod, others.iter().find(as_proxy)) {
        (Some(_), _) => "the pod".to_owned(),
        (None, Some(container)) => format!("container {}", container.name),
        (None, None) => return None,
    };
    Some(format!(
        "{who} runs as user {UID}, which is the proxy's: what that one sends is not captured"
    ))
}

/// What in a pod belongs to another mesh.
fn foreign(meta: &ObjectMeta, spec: &PodSpec) -> Option<String> {
    let mut all = containers(spec).map(|container| container.name.as_str());
    let sidecar = all.find_map(|name| FOREIGN_SIDECARS.iter().find(|(known, _)| *known == name));
    if let Some((name, mesh)) = sidecar {
        return Some(captured_twice(mesh, &format!("the container {name}")));
    }
    let said = [&meta.labels, &meta.annotations];
    let mut said = said.into_iter().flatten().flatten();
    said.find_map(|(key, value)| {
        let known = FOREIGN_MARKS.iter();
        let mut known =
            known.filter(|(mark, values, _)| mark == key && values.contains(&value.as_str()));
        let (_, _, mesh) = known.next()?;
        Some(captured_twice(mesh, &format!("{key}: {value}")))
    })
}

fn captured_twice(mesh: &str, by: &str) -> String {
    format!(
        "{mesh} is asked to carry this pod's calls too ({by}), and two proxies cannot capture one pod: take that away, or \
         say leno.dev/dataplane-mode: none"
    )
}

/// How a container could send what is not captured.
fn around(container: &Container) -> Option<String> {
    let name = format!("container {}", container.name);
    let context = container.security_context.as_ref()?;
    let may = may_change_rules(context)?;
    Some(format!(
        "{name} has {may}, by which it can get around its proxy: take it away, or say leno.dev/dataplane-mode: none"
    ))
}

fn may_change_rules(context: &SecurityContext) -> Option<String> {
    if context.privileged == Some(true) {
        return Some("privileged".to_owned());
    }
    let added = context.capabilities.as_ref()?.add.as_ref()?;
    let name = |named: &&String| {
        let named = named.to_uppercase();
        let named = named.strip_prefix("CAP_").unwrap_or(&named).to_owned();
        ["NET_ADMIN", "NET_RAW", "SYS_ADMIN", "ALL"].contains(&named.as_str())
    };
    added.iter().find(name).cloned()
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
}

/// Containers of other meshes.
const FOREIGN_SIDECARS: [(&str, &str); 6] = [
    ("istio-proxy", "Istio"),
    ("istio-init", "Istio"),
    ("linkerd-proxy", "Linkerd"),
    ("linkerd-init", "Linkerd"),
    ("kuma-sidecar", "Kuma"),
    ("consul-dataplane", "Consul"),
];

/// Labels and annotations by which other meshes are asked to capture a pod.
const FOREIGN_MARKS: [(&str, &[&str], &str); 6] = [
    ("sidecar.istio.io/inject", &["true"], "Istio"),
    ("istio.io/dataplane-mode", &["ambient"], "Istio"),
    ("linkerd.io/inject", &["enabled", "ingress"], "Linkerd"),
    ("kuma.io/sidecar-injection", &["true", "enabled"], "Kuma"),
    ("consul.hashicorp.com/connect-inject", &["true"], "Consul"),
    ("consul.hashicorp.com/mesh-inject", &["true"], "Consul"),
];
