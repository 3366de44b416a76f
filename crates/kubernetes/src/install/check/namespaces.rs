//! Whether namespaces that are in the mesh let its proxies work: what their pods may do, and what their network lets
//! through.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
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
                Ok(policies) => checked.problems.extend(shut(&policies.items)),
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

/// What of a namespace's policies calls of the mesh do not get through. What one of them opens to all of its pods, and
/// for everybody, is open whatever others say.
fn shut(policies: &[NetworkPolicy]) -> impl Iterator<Item = Problem> {
    let specs = || policies.iter().filter_map(|policy| policy.spec.as_ref());
    let open = Way::ALL.map(|way| specs().any(|spec| way.is_opened_to_all(spec)));
    policies.iter().filter_map(move |policy| {
        let ways = Way::ALL.into_iter().zip(open);
        let spec = policy.spec.as_ref()?;
        let missing = ways.filter(|(way, is_open)| !is_open && way.is_shut(spec));
        let missing: Vec<_> = missing.map(|(way, _)| way.told()).collect();
        let (namespace, name) = (&policy.metadata.namespace, &policy.metadata.name);
        let (namespace, name) = (namespace.as_deref()?, name.as_deref()?);
        let message = format!("it does not allow {}", missing.join(", "));
        (!missing.is_empty()).then(|| Problem {
            object: Some(format!("NetworkPolicy {namespace}/{name}")),
            next: Some(format!("kubectl edit networkpolicy {name} -n {namespace}")),
            ..Problem::warning(
                Code::K013,
                message,
                "the network drops these callers' calls by the mesh",
            )
        })
    })
}

/// A way that proxies take through a network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// What others call.
    In,
    /// What is called of others.
    Out,
    /// Where proxies get what they need.
    ToControl,
}

impl Way {
    const ALL: [Self; 3] = [Self::In, Self::Out, Self::ToControl];

    fn told(self) -> String {
        match self {
            Self::In => format!("ingress to port {TUNNEL}"),
            Self::Out => format!("egress to port {TUNNEL}"),
            Self::ToControl => format!("egress to port {CONTROL} of leno-system"),
        }
    }

    fn port(self) -> i32 {
        match self {
            Self::In | Self::Out => TUNNEL,
            Self::ToControl => CONTROL,
        }
    }

    /// The rules of a policy about it: the ports that each is about, and whether it is for everybody.
    fn rules(self, spec: &NetworkPolicySpec) -> Vec<(Option<&[NetworkPolicyPort]>, bool)> {
        let is_all = |peers: &Option<Vec<NetworkPolicyPeer>>| {
            peers.as_ref().is_none_or(|peers| peers.is_empty())
        };
        match self {
            Self::In => {
                let rules = spec.ingress.iter().flatten();
                let rules = rules.map(|rule| (rule.ports.as_deref(), is_all(&rule.from)));
                rules.collect()
            }
            Self::Out | Self::ToControl => {
                let rules = spec.egress.iter().flatten();
                let rules = rules.map(|rule| (rule.ports.as_deref(), is_all(&rule.to)));
                rules.collect()
            }
        }
    }

    /// Whether a policy lets others through and not this.
    fn is_shut(self, spec: &NetworkPolicySpec) -> bool {
        let rules = self.rules(spec);
        let mut rules = rules.iter();
        match self {
            Self::In | Self::Out => {
                rules.any(|(ports, _)| is_about_calls(*ports) && !lets_through(*ports, TUNNEL))
            }
            // One rule that lets it out is enough: there is one control plane.
            Self::ToControl => {
                rules.len() > 0 && !rules.any(|(ports, _)| lets_through(*ports, CONTROL))
            }
        }
    }

    /// Whether a policy lets it through for each pod of its namespace, and for everybody.
    fn is_opened_to_all(self, spec: &NetworkPolicySpec) -> bool {
        let is_of_all = spec
            .pod_selector
            .as_ref()
            .is_none_or(|it| *it == LabelSelector::default());
        let rules = self.rules(spec);
        let mut rules = rules.iter();
        is_of_all && rules.any(|(ports, is_all)| *is_all && lets_through(*ports, self.port()))
    }
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

    /// What is said of the first of a namespace's policies.
    fn said_beside(specs: &[Value]) -> String {
        let policy = |spec: &Value| {
            let metadata = json!({"name": "web", "namespace": "shop"});
            serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
        };
        let policies: Vec<NetworkPolicy> = specs.iter().map(policy).collect();
        shut(&policies)
            .next()
            .map_or_else(String::new, |it| it.message)
    }

    fn said(spec: Value) -> String {
        said_beside(&[spec])
    }

    #[test]
    fn what_one_policy_opens_to_all_pods_is_open_whatever_others_say() {
        let web = json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 8080}]}]});
        let beside = |other: Value| said_beside(&[web.clone(), other]);
        let tunnel = json!([{"port": 15008}]);
        assert_eq!(
            beside(json!({"podSelector": {}, "ingress": [{"ports": tunnel}]})),
            ""
        );
        let shut = "it does not allow ingress to port 15008";
        for other in [
            json!({"podSelector": {}, "ingress": [{"ports": tunnel, "from": [{"podSelector": {}}]}]}),
            json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": tunnel}]}),
            json!({"podSelector": {}, "egress": [{"ports": tunnel}]}),
        ] {
            assert_eq!(beside(other.clone()), shut, "{other}");
        }
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
