//! Pods that get no proxy: because one could not capture what they send, or because they could get around it.

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec, SecurityContext};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use leno_model::control_name::DEFAULT_CONTROL;
use leno_model::{Code, Namespace};
use leno_resources::pod::{self, AMBIENT, CONTROL, ISTIO_MODE, MIRROR, captured_twice};

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

/// Why a pod has no part in the mesh for as long as no node has a proxy. It is made all the same: the proxy of its node takes it
/// up as it is, once that is there.
pub(super) fn unserved() -> String {
    let (code, slug) = (Code::D025, Code::D025.slug());
    format!(
        "{code} {slug}: no node has a proxy (leno install --node): until its own has, what this pod calls goes out in \
         plain, and no policy holds there"
    )
}

/// Whether it is what the cluster is told of a static pod: what is changed in it is not changed in what runs.
pub(super) fn is_mirror(meta: &ObjectMeta) -> bool {
    let mut annotations = meta.annotations.iter().flatten();
    annotations.any(|(name, _)| name == MIRROR)
}

/// A container, as far as it is judged.
#[derive(Clone, Copy)]
pub(crate) struct Judged<'a> {
    /// What it is called.
    pub(crate) name: &'a str,
    /// Whom it runs as, and with which rights.
    pub(crate) context: Option<&'a SecurityContext>,
}

impl<'a> From<&'a Container> for Judged<'a> {
    fn from(container: &'a Container) -> Self {
        Self {
            name: &container.name,
            context: container.security_context.as_ref(),
        }
    }
}

impl<'a> From<&'a EphemeralContainer> for Judged<'a> {
    fn from(container: &'a EphemeralContainer) -> Self {
        Self {
            name: &container.name,
            context: container.security_context.as_ref(),
        }
    }
}

/// Why a pod is not made.
pub(super) fn refused(
    placement: Placement,
    meta: &ObjectMeta,
    spec: &PodSpec,
    is_ours: impl Fn(&Container) -> bool,
) -> Option<String> {
    let all: Vec<_> = containers(spec).map(Judged::from).collect();
    let others = containers(spec).filter(|it| !is_ours(it));
    let others: Vec<_> = others.map(Judged::from).collect();
    foreign(meta, &all)
        .or_else(|| by_another(placement, meta))
        .or_else(|| past_the_proxy(placement, user(spec), &others))
}

/// Why a pod is not made in a namespace whose pods Istio is asked to carry from their nodes: it adds nothing to them by which
/// that could be seen. A mesh with sidecars is known by these.
pub(super) fn in_ambient(meta: &ObjectMeta, namespace: &Namespace) -> Option<String> {
    let mut labels = meta.labels.iter().flatten();
    let says_itself = labels.any(|(key, _)| key == ISTIO_MODE);
    (!says_itself).then(|| pod::in_ambient(namespace))
}

/// Why a pod that runs does not get the containers that it is to get.
pub(super) fn refused_running(placement: Placement, spec: &PodSpec) -> Option<String> {
    let added = spec.ephemeral_containers.iter().flatten();
    let added: Vec<_> = added.map(Judged::from).collect();
    past_the_proxy(placement, user(spec), &added)
}

/// Why a pod that runs as this user, and has these containers beside ours, would not have been made.
pub(crate) fn unfit(
    placement: Placement,
    meta: &ObjectMeta,
    user: Option<i64>,
    others: &[Judged<'_>],
) -> Option<String> {
    foreign(meta, others)
        .or_else(|| by_user(placement, user, others))
        .or_else(|| others.iter().find_map(around))
}

/// How these containers of a pod, none of them ours, could pass by its proxy.
fn past_the_proxy(
    placement: Placement,
    user: Option<i64>,
    containers: &[Judged<'_>],
) -> Option<String> {
    let mut all = containers.iter();
    all.find_map(called_as_ours)
        .or_else(|| by_user(placement, user, containers))
        .or_else(|| containers.iter().find_map(around))
}

/// Whoever looks for the proxy of a pod finds it by its name.
fn called_as_ours(container: &Judged<'_>) -> Option<String> {
    let name = container.name;
    [PROXY, CAPTURE].contains(&name).then(|| {
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
fn by_user(placement: Placement, user: Option<i64>, others: &[Judged<'_>]) -> Option<String> {
    if placement == Placement::Node {
        return None;
    }
    let pod = user.filter(|user| *user == UID);
    let as_proxy = |container: &&Judged<'_>| {
        let context = container.context;
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
fn foreign(meta: &ObjectMeta, containers: &[Judged<'_>]) -> Option<String> {
    let mut all = containers.iter().map(|container| container.name);
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

/// How a container could send what is not captured.
fn around(container: &Judged<'_>) -> Option<String> {
    let name = format!("container {}", container.name);
    let may = may_change_rules(container.context?)?;
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

/// Whom all of a pod runs as that says nothing else.
fn user(spec: &PodSpec) -> Option<i64> {
    spec.security_context.as_ref()?.run_as_user
}

/// Containers of other meshes.
const FOREIGN_SIDECARS: [(&str, &str); 8] = [
    ("istio-proxy", "Istio"),
    ("istio-init", "Istio"),
    ("linkerd-proxy", "Linkerd"),
    ("linkerd-init", "Linkerd"),
    ("kuma-sidecar", "Kuma"),
    ("kuma-init", "Kuma"),
    ("consul-dataplane", "Consul"),
    // Its proxy is called envoy, as others are that capture nothing.
    ("proxyinit", "App Mesh"),
];

/// Labels and annotations by which other meshes are asked to capture a pod.
const FOREIGN_MARKS: [(&str, &[&str], &str); 7] = [
    ("sidecar.istio.io/inject", &["true"], "Istio"),
    (ISTIO_MODE, &[AMBIENT], "Istio"),
    ("linkerd.io/inject", &["enabled", "ingress"], "Linkerd"),
    ("kuma.io/sidecar-injection", &["true", "enabled"], "Kuma"),
    ("consul.hashicorp.com/connect-inject", &["true"], "Consul"),
    ("consul.hashicorp.com/mesh-inject", &["true"], "Consul"),
    (
        "appmesh.k8s.aws/sidecarInjectorWebhook",
        &["enabled"],
        "App Mesh",
    ),
];
