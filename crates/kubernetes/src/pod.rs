//! What is read of pods and nodes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use kube::api::{ApiResource, Object, ObjectMeta};
use leno_model::view::Locality;
use leno_model::{Name, Namespace, ObjectRef};
use leno_resources::Metadata;
use leno_resources::pod::Pod;
use serde::Deserialize;

/// A pod as the cluster tells it, as far as it is used.
pub(crate) type Told = Object<Spec, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Spec {
    service_account_name: Option<String>,
    node_name: Option<String>,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    ports: Vec<Port>,
    restart_policy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    name: Option<String>,
    container_port: i64,
    protocol: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Status {
    phase: Option<String>,
    #[serde(rename = "podIPs")]
    addresses: Vec<Address>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    ip: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
}

/// Where the cluster has its pods.
pub(crate) fn pods() -> ApiResource {
    core("Pod", "pods")
}

/// Where it has its nodes.
pub(crate) fn nodes() -> ApiResource {
    core("Node", "nodes")
}

fn core(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// The pod that was told of; `None` for one that has ended, whose addresses are others' by now, and for what
/// no cluster says. Its region and zone are its node's.
pub(crate) fn pod(told: Told) -> Option<Pod> {
    let status = told.status.unwrap_or_default();
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return None;
    }
    let namespace = Namespace::new(told.metadata.namespace.as_deref()?).ok()?;
    let name = Name::new(told.metadata.name.as_deref()?).ok()?;
    let account = told.spec.service_account_name.as_deref();
    let service_account = Name::new(account.unwrap_or("default")).ok()?;
    let is_ready =
        |condition: &Condition| condition.r#type == "Ready" && condition.status == "True";
    let is_to_end = told.metadata.deletion_timestamp.is_some();
    let is_ready = !is_to_end && status.conditions.iter().any(is_ready);
    let addresses = status.addresses.iter();
    let addresses = addresses.filter_map(|address| address.ip.parse::<IpAddr>().ok());
    Some(Pod {
        uid: told.metadata.uid.as_deref().unwrap_or_default().into(),
        workload: workload(&told.metadata).unwrap_or_else(|| name.clone()),
        service_account,
        ports: ports(&told.spec),
        addresses: addresses.map(|address| address.to_canonical()).collect(),
        locality: Locality {
            node: told.spec.node_name.map(Into::into),
            ..Locality::default()
        },
        is_ready,
        reference: Arc::new(ObjectRef {
            kind: "Pod".into(),
            namespace: Some(namespace.clone()),
            name: name.clone(),
        }),
        meta: Metadata {
            namespace: Some(namespace),
            name,
            labels: labels(told.metadata.labels),
            annotations: BTreeMap::new(),
            created: None,
            generation: None,
        },
    })
}

/// Region and zone of a node, as the labels say that every provider writes.
pub(crate) fn place(node: &ObjectMeta) -> Locality {
    let label = |name: &str| {
        let value = node.labels.as_ref()?.get(name)?;
        Some(value.as_str().into())
    };
    Locality {
        region: label("topology.kubernetes.io/region"),
        zone: label("topology.kubernetes.io/zone"),
        node: node.name.as_deref().map(Into::into),
    }
}

fn labels(told: Option<BTreeMap<String, String>>) -> BTreeMap<Arc<str>, Arc<str>> {
    let told = told.unwrap_or_default().into_iter();
    told.map(|(key, value)| (key.into(), value.into()))
        .collect()
}

/// The TCP ports of all that runs for as long as the pod does.
fn ports(spec: &Spec) -> BTreeMap<u16, Option<Arc<str>>> {
    let stays = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().filter(stays);
    let all = spec.containers.iter().chain(sidecars);
    let all = all.flat_map(|container| &container.ports);
    let tcp = all.filter(|port| matches!(port.protocol.as_deref(), None | Some("TCP")));
    tcp.filter_map(|port| {
        Some((
            u16::try_from(port.container_port).ok()?,
            port.name.as_deref().map(Into::into),
        ))
    })
    .collect()
}

/// What controls a pod, by the name that people gave that: of a `ReplicaSet` its `Deployment`, of a `Job` its
/// `CronJob`, whose own names end in what Kubernetes added.
fn workload(meta: &ObjectMeta) -> Option<Name> {
    let owners = meta.owner_references.iter().flatten();
    let owner = owners
        .into_iter()
        .find(|owner| owner.controller == Some(true))?;
    let added = match owner.kind.as_str() {
        // A pod of a node's own manifests.
        "Node" => return None,
        "ReplicaSet" => {
            let hash = meta.labels.as_ref()?.get("pod-template-hash");
            hash.map(|hash| format!("-{hash}"))
        }
        "Job" => {
            let minutes = owner.name.rsplit_once('-').map(|(_, end)| end);
            let is_time = |end: &&str| end.len() >= 8 && end.bytes().all(|it| it.is_ascii_digit());
            minutes.filter(is_time).map(|end| format!("-{end}"))
        }
        _ => None,
    };
    let name = added.and_then(|added| owner.name.strip_suffix(&added));
    Name::new(name.unwrap_or(&owner.name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> Option<Pod> {
        pod(serde_json::from_str(json).unwrap())
    }

    /// A pod with a controller: the workload it is of.
    fn of(kind: &str, owner: &str, labels: &str) -> String {
        let json = format!(
            r#"{{"metadata": {{"namespace": "shop", "name": "x-1", "labels": {{{labels}}}, "ownerReferences":
               [{{"apiVersion": "v1", "kind": "{kind}", "name": "{owner}", "uid": "1", "controller": true}}]}},
               "spec": {{}}}}"#
        );
        told(&json).unwrap().workload.to_string()
    }

    #[test]
    fn a_workload_has_the_name_that_people_gave_it() {
        let hash = r#""pod-template-hash": "7d9f8bc5d""#;
        assert_eq!(of("ReplicaSet", "cart-7d9f8bc5d", hash), "cart");
        assert_eq!(of("ReplicaSet", "cart", hash), "cart");
        assert_eq!(of("StatefulSet", "db", ""), "db");
        assert_eq!(of("Job", "report-29384723", ""), "report");
        assert_eq!(of("Job", "once-2", ""), "once-2");
        assert_eq!(of("Node", "node-1", ""), "x-1");
    }

    #[test]
    fn a_pod_is_ready_until_its_end_is_asked_for() {
        let pod = |deleted: &str, phase: &str, ready: &str| {
            told(&format!(
                r#"{{"metadata": {{"namespace": "shop", "name": "cart-1"{deleted}}},
                   "spec": {{"serviceAccountName": "cart", "nodeName": "n1",
                             "initContainers": [{{"ports": [{{"containerPort": 1}}]}},
                                                {{"restartPolicy": "Always",
                                                  "ports": [{{"containerPort": 2}}]}}],
                             "containers": [{{"ports": [{{"name": "http", "containerPort": 8080}},
                                                        {{"containerPort": 53, "protocol": "UDP"}},
                                                        {{"containerPort": 99999}}]}}]}},
                   "status": {{"phase": "{phase}", "podIPs": [{{"ip": "10.1.0.7"}}, {{"ip": "fd00::7"}}],
                               "conditions": [{{"type": "Ready", "status": "{ready}"}}]}}}}"#
            ))
        };
        let told = pod("", "Running", "True").unwrap();
        assert!(told.is_ready);
        assert_eq!(told.service_account.as_str(), "cart");
        assert_eq!(told.ports.keys().collect::<Vec<_>>(), [&2, &8080]);
        assert_eq!(told.addresses.len(), 2);
        assert!(!pod("", "Running", "False").unwrap().is_ready);
        let deleted = r#", "deletionTimestamp": "2026-11-20T10:00:00Z""#;
        assert!(!pod(deleted, "Running", "True").unwrap().is_ready);
        assert!(pod("", "Succeeded", "False").is_none());
    }
}
