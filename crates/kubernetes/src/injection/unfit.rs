//! Pods that get no sidecar: because one could not capture what they send, or because they could get around it.

use k8s_openapi::api::core::v1::{Container, PodSpec, SecurityContext};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{CAPTURE, PROXY, UID};

/// Why a pod has no part in the mesh, though it may be made.
pub(super) fn left_out(spec: &PodSpec) -> Option<String> {
    let os = spec.os.as_ref().map(|os| os.name.as_str());
    match (spec.host_network, os) {
        (Some(true), _) => {
            Some("a pod with hostNetwork shares its node's network: it gets no sidecar, and what it calls goes out in plain".to_owned())
        }
        (_, Some(os)) if os != "linux" => {
            Some(format!("a pod for {os} gets no sidecar, and what it calls goes out in plain"))
        }
        _ => None,
    }
}

/// Why a pod is not made.
pub(super) fn refused(meta: &ObjectMeta, spec: &PodSpec) -> Option<String> {
    let others = containers(spec).filter(|container| !is_ours(container));
    foreign(meta, spec)
        .or_else(|| {
            let user = spec.security_context.as_ref()?.run_as_user;
            (user == Some(UID)).then(|| as_proxy("the pod"))
        })
        .or_else(|| others.filter_map(around).next())
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
    if context.run_as_user == Some(UID) {
        return Some(as_proxy(&name));
    }
    let may = may_change_rules(context)?;
    Some(format!(
        "{name} has {may}, by which it can get around its proxy: take it away, or say leno.dev/dataplane-mode: none"
    ))
}

fn as_proxy(what: &str) -> String {
    format!("{what} runs as user {UID}, which is the proxy's: what that one sends is not captured")
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

fn is_ours(container: &Container) -> bool {
    [PROXY, CAPTURE].contains(&container.name.as_str())
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
