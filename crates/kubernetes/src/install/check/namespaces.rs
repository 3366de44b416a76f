//! Whether namespaces that are in the mesh let its proxies work: what their pods may do, and what their network lets
//! through.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::Resource as _;
use k8s_openapi::api::core::v1::{Namespace as ClusterNamespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, ListParams, PartialObjectMeta};
use leno_model::{Code, Namespace, ObjectRef};
use leno_resources::Resources;
use leno_resources::network_policy::NetworkPolicySpec;
use leno_resources::pod::{MODE, NODE, SIDECAR};
use serde_json::json;

use super::{Checked, Problem, unseen};
use crate::cluster::Cluster;
use crate::install::{Installation, LEVEL, NAMESPACE, PRIVILEGED};

type Labels = BTreeMap<Arc<str>, Arc<str>>;

impl Cluster {
    pub(super) async fn namespaces(&self, chosen: &Installation, checked: &mut Checked) {
        let api = Api::<ClusterNamespace>::all(self.client.clone());
        let namespaces = match api.list_metadata(&meshed()).await {
            Ok(namespaces) => namespaces.items,
            Err(why) => return checked.problems.push(unseen("namespaces", &why)),
        };
        let before = checked.problems.len();
        for namespace in &namespaces {
            // Where nodes have proxies, those capture: nothing in a pod needs to.
            let forbids = Some(namespace).filter(|_| !chosen.node);
            checked.problems.extend(forbids.and_then(forbids_capture));
        }
        if let Err(why) = self.networks(&namespaces, checked).await {
            return checked.problems.push(why);
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
    /// Looks at the policies about pods of the mesh: those of namespaces that are in it, and those that say so themselves.
    async fn networks(
        &self,
        namespaces: &[PartialObjectMeta<ClusterNamespace>],
        checked: &mut Checked,
    ) -> Result<(), Problem> {
        let all = Api::<Pod>::all(self.client.clone());
        let apart = all.list_metadata(&meshed()).await;
        let apart = apart.map_err(|why| unseen("pods", &why))?.items;
        let apart = apart
            .iter()
            .filter_map(|pod| pod.metadata.namespace.as_deref());
        let mut modes: BTreeMap<_, _> = apart.map(|namespace| (namespace, "")).collect();
        modes.extend(namespaces.iter().filter_map(|namespace| {
            let name = namespace.metadata.name.as_deref()?;
            Some((name, mode(namespace)))
        }));
        for (name, mode) in modes {
            let policies = Api::<NetworkPolicy>::namespaced(self.client.clone(), name);
            let policies = policies.list(&ListParams::default()).await;
            let what = "networkpolicies.networking.k8s.io";
            let policies = policies.map_err(|why| unseen(what, &why))?.items;
            if policies.is_empty() {
                continue;
            }
            let pods = Api::<Pod>::namespaced(self.client.clone(), name);
            let run = ListParams::default().fields("status.phase!=Succeeded,status.phase!=Failed");
            let pods = pods.list_metadata(&run).await;
            let pods = pods.map_err(|why| unseen("pods", &why))?.items;
            let pods: Vec<_> = pods.iter().map(labels).collect();
            checked.problems.extend(shut(&policies, &pods, mode));
        }
        Ok(())
    }

    /// Whether Leno's own namespace, if it is there, takes the pods of nodes' proxies.
    pub(super) async fn own_namespace(&self, checked: &mut Checked) {
        let api = Api::<ClusterNamespace>::all(self.client.clone());
        match api.get_metadata_opt(NAMESPACE).await {
            Ok(own) => checked
                .problems
                .extend(own.as_ref().and_then(forbids_nodes)),
            Err(why) => checked.problems.push(unseen("namespaces", &why)),
        }
    }
}

fn forbids_nodes(own: &PartialObjectMeta<ClusterNamespace>) -> Option<Problem> {
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

fn forbids_capture(namespace: &PartialObjectMeta<ClusterNamespace>) -> Option<Problem> {
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

/// What of a namespace's policies calls of the mesh do not get through, to and from these pods. One that selects none of
/// them is asked about a pod with just the labels that it names.
fn shut(policies: &[NetworkPolicy], pods: &[Labels], mode: &str) -> Vec<Problem> {
    let files = policies.iter().map(|policy| {
        let metadata =
            json!({"name": policy.metadata.name, "namespace": policy.metadata.namespace});
        let policy = json!({
            "apiVersion": NetworkPolicy::API_VERSION,
            "kind": NetworkPolicy::KIND,
            "metadata": metadata,
            "spec": policy.spec,
        });
        ("NetworkPolicy", policy.to_string().into_bytes())
    });
    let (read, _) = Resources::read(files, &Namespace::default_namespace());
    let policies: Vec<_> = read.network_policies.iter().collect();
    let sound = policies.iter().filter_map(|policy| policy.spec.sound());
    let imagined = sound.filter_map(|spec: &NetworkPolicySpec| {
        let selector = spec.pod_selector.as_ref();
        let selects = |pod| selector.is_none_or(|it| it.matches(pod) == Some(true));
        let labels = selector.map(|it| it.match_labels.clone());
        (!pods.iter().any(selects)).then(|| labels.unwrap_or_default())
    });
    let imagined: Vec<_> = imagined.collect();
    let pods = pods.iter().chain(&imagined).filter_map(|labels| {
        let mode = labels.get(MODE).map_or(mode, |own| own);
        [SIDECAR, NODE]
            .contains(&mode)
            .then_some((labels, mode == SIDECAR))
    });
    let mut missing = BTreeMap::<_, Vec<_>>::new();
    for shut in leno_compile::shut(&policies, &pods.collect()) {
        missing
            .entry(shut.policy.reference())
            .or_default()
            .push(shut.what);
    }
    let problem = |(policy, missing): (&Arc<ObjectRef>, Vec<String>)| {
        let (name, namespace) = (&policy.name, policy.namespace.as_ref()?);
        Some(Problem {
            object: Some(policy.to_string()),
            next: Some(format!("kubectl edit networkpolicy {name} -n {namespace}")),
            ..Problem::warning(
                Code::K013,
                format!("it does not allow {}", missing.join(", ")),
                "the network drops these callers' calls by the mesh",
            )
        })
    };
    missing.into_iter().filter_map(problem).collect()
}

/// What is in the mesh by its own label.
fn meshed() -> ListParams {
    ListParams::default().labels(&format!("{MODE} in ({SIDECAR}, {NODE})"))
}

/// How a namespace's pods take part.
fn mode(namespace: &PartialObjectMeta<ClusterNamespace>) -> &str {
    let labels = namespace.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(MODE))
        .map_or("", |mode| mode)
}

fn labels(pod: &PartialObjectMeta<Pod>) -> Labels {
    let labels = pod.metadata.labels.iter().flatten();
    let labels = labels.map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    labels.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What is said of a namespace's policies, where there are pods of these labels.
    fn said_of(specs: &[Value], pods: &[Value]) -> Vec<String> {
        let policy = |(number, spec): (usize, &Value)| {
            let metadata = json!({"name": format!("policy-{number}"), "namespace": "shop"});
            serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
        };
        let policies: Vec<NetworkPolicy> = specs.iter().enumerate().map(policy).collect();
        let pod = |labels: &Value| {
            let pod = json!({"metadata": {"labels": labels}});
            labels_of(serde_json::from_value(pod).unwrap())
        };
        let pods: Vec<_> = pods.iter().map(pod).collect();
        let told = shut(&policies, &pods, SIDECAR).into_iter();
        told.map(|it| format!("{}: {}", it.object.unwrap(), it.message))
            .collect()
    }

    fn labels_of(pod: PartialObjectMeta<Pod>) -> Labels {
        labels(&pod)
    }

    fn web() -> Value {
        json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 8080}]}]})
    }

    const SHUT: &str = "NetworkPolicy shop/policy-0: it does not allow ingress to port 15008";

    #[test]
    fn what_policies_about_the_same_pods_open_together_is_open() {
        let tunnel = json!([{"ports": [{"port": 15008}]}]);
        let of = |label: &str, value: &str| json!({"podSelector": {"matchLabels": {label: value}}, "ingress": tunnel});
        let front = json!({"app": "web", "tier": "front"});
        let back = json!({"app": "web", "tier": "back"});
        for (other, pods, expect) in [
            (
                json!({"podSelector": {}, "ingress": tunnel}),
                vec![],
                vec![],
            ),
            (of("app", "web"), vec![], vec![]),
            // Without a pod, nobody knows who has which other labels.
            (of("tier", "front"), vec![], vec![SHUT]),
            (of("tier", "front"), vec![front.clone()], vec![]),
            (of("tier", "front"), vec![front.clone(), back], vec![SHUT]),
            (
                json!({"podSelector": {}, "egress": [{}]}),
                vec![front.clone()],
                vec![SHUT],
            ),
            (
                of("app", "mail"),
                vec![json!({"app": "web", MODE: "none"})],
                vec![],
            ),
        ] {
            assert_eq!(
                said_of(&[web(), other.clone()], &pods),
                expect,
                "{other} {pods:?}"
            );
        }
    }

    #[test]
    fn a_policy_has_to_let_through_what_proxies_need() {
        assert_eq!(said_of(&[web()], &[]), [SHUT]);
        for open in [
            json!({"ingress": [{"ports": [{"port": 8080}, {"port": 15008}]}]}),
            json!({"ingress": [], "policyTypes": ["Ingress"]}),
            json!({"egress": [{"ports": [{"port": 15008}]}, {"ports": [{"port": 15012}]}]}),
            json!({"egress": [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}, {}]}),
        ] {
            assert_eq!(said_of(std::slice::from_ref(&open), &[]), [""; 0], "{open}");
        }
        let out =
            json!({"egress": [{"ports": [{"port": 15008, "protocol": "UDP"}, {"port": "web"}]}]});
        assert_eq!(
            said_of(&[out], &[]),
            [
                "NetworkPolicy shop/policy-0: it does not allow egress to port 15008, egress to port 15012 of leno-system"
            ]
        );
        // One that lets nobody out keeps the proxy beside the pod from its certificate, but not that of a node.
        let nobody = json!({"policyTypes": ["Ingress", "Egress"]});
        let cut =
            "NetworkPolicy shop/policy-0: it does not allow egress to port 15012 of leno-system";
        assert_eq!(said_of(std::slice::from_ref(&nobody), &[]), [cut]);
        assert_eq!(said_of(&[nobody], &[json!({MODE: NODE})]), [""; 0]);
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
