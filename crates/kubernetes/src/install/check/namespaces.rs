//! Whether namespaces that are in the mesh let its proxies work: what their pods may do, and what their network lets
//! through.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams, PartialObjectMeta};
use leno_model::Code;
use leno_resources::pod::{MODE, NODE, SIDECAR};

use super::{Checked, Problem, unseen};
use crate::cluster::Cluster;
use crate::install::{Installation, LEVEL, NAMESPACE, PRIVILEGED};

/// Where the mesh's calls arrive, and where proxies get what they need.
const TUNNEL: i32 = 15008;
const CONTROL: i32 = 15012;

impl Cluster {
    pub(super) async fn namespaces(&self, chosen: &Installation, checked: &mut Checked) {
        let meshed = ListParams::default().labels(&format!("{MODE} in ({SIDECAR}, {NODE})"));
        let api = Api::<Namespace>::all(self.client.clone());
        let namespaces = match api.list_metadata(&meshed).await {
            Ok(namespaces) => namespaces.items,
            Err(why) => return checked.problems.push(unseen("namespaces", &why)),
        };
        let before = checked.problems.len();
        for namespace in &namespaces {
            // Where nodes have proxies, those capture: nothing in a pod needs to.
            let forbids = Some(namespace).filter(|_| !chosen.node);
            checked.problems.extend(forbids.and_then(forbids_capture));
            let name = namespace.metadata.name.as_deref().unwrap_or_default();
            let policies = Api::<NetworkPolicy>::namespaced(self.client.clone(), name);
            match policies.list(&ListParams::default()).await {
                Ok(policies) => checked
                    .problems
                    .extend(policies.items.iter().filter_map(shuts)),
                Err(why) => {
                    let what = "networkpolicies.networking.k8s.io";
                    return checked.problems.push(unseen(what, &why));
                }
            }
        }
        if checked.problems.len() == before {
            let told = match namespaces.len() {
                0 => "none is in the mesh yet".to_owned(),
                number => format!("{number} in the mesh, and nothing in the way"),
            };
            checked.passed.push(("namespaces", told));
        }
    }
}

impl Cluster {
    /// Whether Leno's own namespace, if it is there, takes the pods of nodes' proxies.
    pub(super) async fn own_namespace(&self, checked: &mut Checked) {
        let api = Api::<Namespace>::all(self.client.clone());
        match api.get_metadata_opt(NAMESPACE).await {
            Ok(own) => checked
                .problems
                .extend(own.as_ref().and_then(forbids_nodes)),
            Err(why) => checked.problems.push(unseen("namespaces", &why)),
        }
    }
}

fn forbids_nodes(own: &PartialObjectMeta<Namespace>) -> Option<Problem> {
    let level = own.metadata.labels.as_ref()?.get(LEVEL)?;
    let message = format!(
        "its level of Pod Security, {level}, lets no proxy reach into the pods of its node"
    );
    let next = format!("kubectl label namespace {NAMESPACE} {LEVEL}={PRIVILEGED} --overwrite");
    (level != PRIVILEGED).then(|| Problem {
        object: Some(format!("Namespace {NAMESPACE}")),
        next: Some(next),
        ..Problem::error(Code::K017, message)
    })
}

fn forbids_capture(namespace: &PartialObjectMeta<Namespace>) -> Option<Problem> {
    let labels = namespace.metadata.labels.as_ref()?;
    let level = labels.get(LEVEL)?;
    let is_sidecar = labels.get(MODE).is_some_and(|mode| mode == SIDECAR);
    if !is_sidecar || level == PRIVILEGED {
        return None;
    }
    let name = namespace.metadata.name.as_deref()?;
    let message = format!("its level of Pod Security, {level}, lets nobody capture calls");
    Some(Problem {
        object: Some(format!("Namespace {name}")),
        next: Some(format!(
            "kubectl label namespace {name} {LEVEL}={PRIVILEGED} --overwrite"
        )),
        ..Problem::warning(
            Code::K014,
            message,
            "no pod with a sidecar is made there; those that run go on",
        )
    })
}

/// What of a policy calls of the mesh do not get through.
fn shuts(policy: &NetworkPolicy) -> Option<Problem> {
    let spec = policy.spec.as_ref()?;
    let message = told(spec)?;
    let (namespace, name) = (&policy.metadata.namespace, &policy.metadata.name);
    let (namespace, name) = (namespace.as_deref()?, name.as_deref()?);
    Some(Problem {
        object: Some(format!("NetworkPolicy {namespace}/{name}")),
        next: Some(format!("kubectl edit networkpolicy {name} -n {namespace}")),
        ..Problem::warning(
            Code::K013,
            message,
            "the network drops these callers' calls by the mesh",
        )
    })
}

fn told(spec: &NetworkPolicySpec) -> Option<String> {
    let inbound = spec.ingress.iter().flatten();
    let inbound: Vec<_> = inbound.map(|rule| rule.ports.as_deref()).collect();
    let outbound = spec.egress.iter().flatten();
    let outbound: Vec<_> = outbound.map(|rule| rule.ports.as_deref()).collect();
    let is_shut = |rules: &[Option<&[NetworkPolicyPort]>], port| {
        let mut calls = rules.iter().filter(|ports| is_about_calls(**ports));
        calls.any(|ports| !lets_through(*ports, port))
    };
    let mut missing = Vec::new();
    if is_shut(&inbound, TUNNEL) {
        missing.push(format!("ingress to port {TUNNEL}"));
    }
    if is_shut(&outbound, TUNNEL) {
        missing.push(format!("egress to port {TUNNEL}"));
    }
    // One rule that lets it out is enough: there is one control plane.
    let some = outbound.iter().any(|ports| lets_through(*ports, CONTROL));
    if !outbound.is_empty() && !some {
        missing.push(format!("egress to port {CONTROL} of leno-system"));
    }
    (!missing.is_empty()).then(|| format!("it does not allow {}", missing.join(", ")))
}

/// Whether a rule of these ports lets through what the mesh carries: something of TCP, beside names.
fn is_about_calls(ports: Option<&[NetworkPolicyPort]>) -> bool {
    let is_call = |allowed: &NetworkPolicyPort| {
        let is_tcp = allowed.protocol.as_deref().is_none_or(|it| it == "TCP");
        is_tcp && allowed.port != Some(IntOrString::Int(53))
    };
    ports.is_none_or(|ports| ports.is_empty() || ports.iter().any(is_call))
}

/// Whether a rule of these ports is about this one. A rule without ports is about all.
fn lets_through(ports: Option<&[NetworkPolicyPort]>, port: i32) -> bool {
    let Some(ports) = ports.filter(|ports| !ports.is_empty()) else {
        return true;
    };
    ports.iter().any(|allowed| {
        let is_tcp = allowed.protocol.as_deref().is_none_or(|it| it == "TCP");
        let is_in = match (&allowed.port, allowed.end_port) {
            (None, _) => true,
            (Some(IntOrString::Int(first)), last) => {
                (*first..=last.unwrap_or(*first)).contains(&port)
            }
            (Some(IntOrString::String(_)), _) => false,
        };
        is_tcp && is_in
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(spec: Value) -> String {
        told(&serde_json::from_value(spec).unwrap()).unwrap_or_default()
    }

    #[test]
    fn a_policy_has_to_let_the_tunnel_through_where_it_lets_callers_through() {
        let web = json!({"port": 8080});
        assert_eq!(
            said(json!({"ingress": [{"ports": [web]}]})),
            "it does not allow ingress to port 15008"
        );
        for open in [
            json!({"ingress": [{"ports": [web, {"port": 15008}]}]}),
            json!({"ingress": [{"from": [{"podSelector": {}}]}]}),
            json!({"ingress": [{"ports": [{"port": 15000, "endPort": 15100}]}]}),
            json!({"ingress": [{"ports": [{"protocol": "TCP"}]}]}),
            json!({"ingress": [], "policyTypes": ["Ingress"]}),
            json!({"egress": [{"ports": [{"port": 15008}]}, {"ports": [{"port": 15008}, {"port": 15012}]}]}),
            json!({"egress": [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}, {}]}),
        ] {
            assert_eq!(said(open.clone()), "", "{open}");
        }
        assert_eq!(
            said(
                json!({"egress": [{"ports": [{"port": 15008, "protocol": "UDP"}, {"port": "web"}]}]})
            ),
            "it does not allow egress to port 15008, egress to port 15012 of leno-system"
        );
    }

    #[test]
    fn a_namespace_may_forbid_what_captures() {
        let namespace = |mode: &str, level: &str| {
            let labels = json!({MODE: mode, LEVEL: level});
            let value = json!({"metadata": {"name": "shop", "labels": labels}});
            forbids_capture(&serde_json::from_value(value).unwrap()).is_some()
        };
        assert!(namespace("sidecar", "baseline") && namespace("sidecar", "restricted"));
        assert!(!namespace("sidecar", "privileged") && !namespace("node", "restricted"));
    }
}
