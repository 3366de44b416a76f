//! What is read of pods and nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::SecurityContext;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{ApiResource, Object, ObjectMeta};
use leno_model::view::{Check, Locality, NameServers, Probe, Resolver, State};
use leno_model::{Name, Namespace};
use leno_resources::pod::{
    ISOLATION, MIRROR, Pod, PodProbe, SKIP_INBOUND_PORTS, SKIP_OUTBOUND_CIDRS, SKIP_OUTBOUND_PORTS,
    is_static,
};
use serde::Deserialize;

use crate::injection::unfit::{self, Judged};
use crate::injection::{CAPTURE, PROXY, Placement};

/// A pod as the cluster tells it, as far as it is used.
pub(crate) type Told = Object<Spec, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Spec {
    service_account_name: Option<String>,
    node_name: Option<String>,
    host_network: bool,
    dns_policy: Option<String>,
    dns_config: Option<DnsConfig>,
    readiness_gates: Vec<Gate>,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    security_context: OfAll,
}

/// What holds of all containers of a pod that say nothing else.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OfAll {
    run_as_user: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct DnsConfig {
    nameservers: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    name: String,
    ports: Vec<Port>,
    restart_policy: Option<String>,
    startup_probe: Option<Asking>,
    readiness_probe: Option<Asking>,
    liveness_probe: Option<Asking>,
    lifecycle: Option<Lifecycle>,
    security_context: Option<SecurityContext>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Lifecycle {
    post_start: Option<Asking>,
    pre_stop: Option<Asking>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Asking {
    http_get: Option<HttpGet>,
    tcp_socket: Option<TcpSocket>,
    grpc: Option<Grpc>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TcpSocket {
    host: Option<String>,
    port: IntOrString,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct HttpGet {
    host: Option<String>,
    path: Option<String>,
    port: IntOrString,
    scheme: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Grpc {
    port: i32,
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
    #[serde(rename = "hostIPs")]
    hosts: Vec<Address>,
    conditions: Vec<Condition>,
}

fn parsed(addresses: &[Address]) -> Vec<IpAddr> {
    let parsed = addresses
        .iter()
        .filter_map(|address| address.ip.parse::<IpAddr>().ok());
    parsed.map(|address| address.to_canonical()).collect()
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    ip: String,
}

/// A condition that has to hold of a pod before it is ready.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Gate {
    condition_type: String,
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
    let is_to_end = told.metadata.deletion_timestamp.is_some();
    let state = state(is_to_end, &told.spec.readiness_gates, &status.conditions);
    let mut pod = Pod {
        uid: uid(&told.metadata).into(),
        workload: workload(&told.metadata).unwrap_or_else(|| name.clone()),
        service_account,
        ports: ports(&told.spec),
        has_proxy: has_proxy(&told.spec),
        unfit: unfit(&told.metadata, &told.spec).map(Into::into),
        is_on_host: told.spec.host_network,
        resolver: resolver(&told.spec),
        probes: probes(&told.spec),
        hosts: parsed(&status.hosts),
        addresses: parsed(&status.addresses),
        locality: Locality {
            node: told.spec.node_name.map(Into::into),
            ..Locality::default()
        },
        state,
        ..Pod::named(namespace, name)
    };
    pod.meta.labels = texts(told.metadata.labels);
    pod.meta.annotations = texts(told.metadata.annotations);
    pod.meta.annotations.retain(|key, _| is_read(key));
    Some(pod)
}

/// Whether it was made with a proxy of ours in it.
fn has_proxy(spec: &Spec) -> bool {
    spec.init_containers.iter().any(|it| it.name == PROXY)
}

/// Why a pod would not have been made, had somebody been asked. Of one with a proxy of ours, all else in it is judged.
fn unfit(meta: &ObjectMeta, spec: &Spec) -> Option<String> {
    let placement = match has_proxy(spec) {
        true => Placement::Sidecar,
        false => Placement::Node,
    };
    let is_ours = |container: &&Container| {
        placement == Placement::Sidecar && [PROXY, CAPTURE].contains(&container.name.as_str())
    };
    let init = spec.init_containers.iter().filter(|it| !is_ours(it));
    let others = init.chain(&spec.containers).map(|container| Judged {
        name: &container.name,
        context: container.security_context.as_ref(),
    });
    let others: Vec<_> = others.collect();
    unfit::unfit(placement, meta, spec.security_context.run_as_user, &others)
}

/// Whom a pod asks for names, as the kubelet writes it into its containers; nothing where that is the cluster's name servers
/// alone.
fn resolver(spec: &Spec) -> Option<Resolver> {
    let first = match (spec.dns_policy.as_deref(), spec.host_network) {
        (Some("None"), _) => NameServers::Nobody,
        (Some("Default"), _) | (Some("ClusterFirst") | None, true) => NameServers::Node,
        (Some(_) | None, _) => NameServers::Cluster,
    };
    let own = spec.dns_config.iter().flat_map(|said| &said.nameservers);
    let own = own.filter_map(|server| Some(server.parse::<IpAddr>().ok()?.to_canonical()));
    let more: Vec<_> = own.take(Resolver::MOST).collect();
    let is_plain = first == NameServers::Cluster && more.is_empty();
    (!is_plain).then_some(Resolver { first, more })
}

/// Whether a pod takes calls. What its node says last is that its containers, and what else it waits for, are ready; who
/// says that the pod is not is then the cluster, which has not heard of the node for a while. Calls may go there still,
/// if there is nobody else, as they may to a pod that is to end and serves.
fn state(is_to_end: bool, gates: &[Gate], conditions: &[Condition]) -> Option<State> {
    let holds = |kind: &str| {
        let mut said = conditions.iter().filter(|it| it.r#type == kind);
        said.any(|it| it.status == "True")
    };
    let is_ready = holds("Ready");
    let serves = || holds("ContainersReady") && gates.iter().all(|it| holds(&it.condition_type));
    match is_ready && !is_to_end {
        true => Some(State::Ready),
        false => (is_ready || serves()).then_some(State::Unknown),
    }
}

/// The UID by which a node knows a pod, in names of control groups and towards its network plugin.
fn uid(meta: &ObjectMeta) -> &str {
    let annotations = meta.annotations.as_ref();
    let hash = annotations.and_then(|all| all.get(MIRROR));
    let hash = hash.filter(|hash| is_static(hash));
    hash.or(meta.uid.as_ref()).map_or("", String::as_str)
}

/// A node as the cluster tells it, as far as it is used.
pub(crate) type ToldNode = Object<NodeSpec, NotUsed>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NodeSpec {
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct NotUsed {}

/// What its pods have from a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) locality: Locality,
    /// Its own addresses in the networks of its pods, from which it calls them: the first of each, as those that give
    /// pods their addresses have it.
    pub(crate) gateways: Vec<IpAddr>,
}

/// Region and zone of a node, as the labels say that every provider writes, and where it calls its pods from.
pub(crate) fn place(node: &ToldNode) -> Place {
    let meta = &node.metadata;
    let label = |name: &str| {
        let value = meta.labels.as_ref()?.get(name)?;
        Some(value.as_str().into())
    };
    Place {
        locality: Locality {
            region: label("topology.kubernetes.io/region"),
            zone: label("topology.kubernetes.io/zone"),
            node: meta.name.as_deref().map(Into::into),
        },
        gateways: node
            .spec
            .pod_cidrs
            .iter()
            .filter_map(|block| first(block))
            .collect(),
    }
}

/// The first address of a block that a host may have: `10.244.0.1` of `10.244.0.0/24`.
fn first(block: &str) -> Option<IpAddr> {
    match block.split_once('/')?.0.parse().ok()? {
        IpAddr::V4(net) => Some(Ipv4Addr::from_bits(net.to_bits().checked_add(1)?).into()),
        IpAddr::V6(net) => Some(Ipv6Addr::from_bits(net.to_bits().checked_add(1)?).into()),
    }
}

/// Whether an annotation of a pod is one that we read.
fn is_read(key: &str) -> bool {
    [
        SKIP_INBOUND_PORTS,
        SKIP_OUTBOUND_PORTS,
        SKIP_OUTBOUND_CIDRS,
        ISOLATION,
    ]
    .contains(&key)
}

fn texts(told: Option<BTreeMap<String, String>>) -> BTreeMap<Arc<str>, Arc<str>> {
    let told = told.unwrap_or_default().into_iter();
    told.map(|(key, value)| (key.into(), value.into()))
        .collect()
}

/// What the node asks of all containers that stay: health checks over HTTP, gRPC and by a connection, and hooks over
/// HTTP.
fn probes(spec: &Spec) -> Vec<PodProbe> {
    let stays = |container: &Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().enumerate();
    let sidecars = sidecars.filter(|(_, container)| stays(container));
    let sidecars = sidecars.map(|(index, container)| ("initContainers", index, container));
    let all = spec.containers.iter().enumerate();
    let all = all.map(|(index, container)| ("containers", index, container));
    let all = all.chain(sidecars).flat_map(|(list, index, container)| {
        let checks = [
            ("startupProbe", &container.startup_probe),
            ("readinessProbe", &container.readiness_probe),
            ("livenessProbe", &container.liveness_probe),
        ];
        let hooks = container.lifecycle.iter().flat_map(|hooks| {
            [
                ("lifecycle/postStart", &hooks.post_start),
                ("lifecycle/preStop", &hooks.pre_stop),
            ]
        });
        checks
            .into_iter()
            .chain(hooks)
            .filter_map(move |(field, asking)| {
                let (port, check) = container.asked(asking.as_ref()?)?;
                let pointer = format!("/spec/{list}/{index}/{field}").into();
                Some(PodProbe {
                    port,
                    check,
                    pointer,
                })
            })
    });
    let mut all: Vec<_> = all.collect();
    all.sort();
    all.dedup_by(|one, other| (one.port, &one.check) == (other.port, &other.check));
    all
}

impl Container {
    /// The port that the node asks, and how; `None` if it does not ask this pod.
    fn asked(&self, asking: &Asking) -> Option<(u16, Check)> {
        if let Some(Grpc { port }) = &asking.grpc {
            let check = Check::Request(Probe::GRPC_PATH.into());
            return Some((u16::try_from(*port).ok()?, check));
        }
        if let Some(TcpSocket { host, port }) = &asking.tcp_socket {
            let is_own = host.is_none();
            return is_own.then_some((self.number(port)?, Check::Connection));
        }
        let get = asking.http_get.as_ref()?;
        if get.host.is_some() {
            return None;
        }
        let port = self.number(&get.port)?;
        if get.scheme.as_deref().is_some_and(|scheme| scheme != "HTTP") {
            return Some((port, Check::Tls));
        }
        let path = get.path.as_deref().unwrap_or_default();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = format!("/{}", path.strip_prefix('/').unwrap_or(path));
        Some((port, Check::Request(path.into())))
    }

    /// The number of a port that may be named.
    fn number(&self, port: &IntOrString) -> Option<u16> {
        let number = match port {
            IntOrString::Int(port) => i64::from(*port),
            IntOrString::String(name) => {
                let mut ports = self.ports.iter();
                ports
                    .find(|port| port.name.as_ref() == Some(name))?
                    .container_port
            }
        };
        u16::try_from(number).ok()
    }
}

/// The TCP ports of all that runs for as long as the pod does. Several may have the same number, and each its name.
fn ports(spec: &Spec) -> BTreeMap<u16, Vec<Arc<str>>> {
    let stays = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().filter(stays);
    let all = spec.containers.iter().chain(sidecars);
    let all = all.flat_map(|container| &container.ports);
    let tcp = all.filter(|port| matches!(port.protocol.as_deref(), None | Some("TCP")));
    let mut ports = BTreeMap::<_, Vec<_>>::new();
    let mut named = BTreeSet::new();
    for port in tcp {
        let Ok(number) = u16::try_from(port.container_port) else {
            continue;
        };
        let names = ports.entry(number).or_default();
        let name = port.name.as_deref().filter(|name| named.insert(*name));
        names.extend(name.map(Arc::from));
    }
    ports
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
    fn a_static_pod_is_known_as_its_node_knows_it() {
        let check = |annotations: &str, expect: &str| {
            let pod = told(&format!(
                r#"{{"metadata": {{"namespace": "kube-system", "name": "etcd-n1", "uid": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
                   "annotations": {{{annotations}}}}}, "spec": {{}}}}"#
            ));
            assert_eq!(&*pod.unwrap().uid, expect);
        };
        let own = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";
        check("", own);
        let hash = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        check(&format!(r#""kubernetes.io/config.mirror": "{hash}""#), hash);
        // Nobody is taken for a pod that the API server has made.
        let other = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d";
        check(&format!(r#""kubernetes.io/config.mirror": "{other}""#), own);
    }

    /// Why a pod with these would not have been made.
    fn unfit(metadata: &str, spec: &str) -> String {
        let pod = told(&format!(
            r#"{{"metadata": {{"namespace": "shop", "name": "cart-1" {metadata}}}, "spec": {{{spec}}}}}"#
        ));
        let unfit = pod.unwrap().unfit;
        unfit.map_or_else(String::new, |why| why.to_string())
    }

    #[test]
    fn a_pod_that_runs_is_judged_as_one_that_is_to_be_made() {
        let has = |security: &str| {
            format!(r#""containers": [{{"name": "cart", "securityContext": {security}}}]"#)
        };
        let plain = has("{}");
        assert_eq!(unfit("", &plain), "");
        let raw = has(r#"{"capabilities": {"add": ["NET_RAW"]}}"#);
        let expect = "container cart has NET_RAW, by which it can get around its proxy: take it away, or say \
                      leno.dev/dataplane-mode: none";
        assert_eq!(unfit("", &raw), expect);
        assert!(unfit("", &has(r#"{"privileged": true}"#)).contains("has privileged"));
        let twice =
            r#""initContainers": [{"name": "istio-init"}], "containers": [{"name": "cart"}]"#;
        assert!(unfit("", twice).starts_with("Istio is asked to carry this pod's calls too"));
        let marked = r#", "annotations": {"linkerd.io/inject": "enabled"}"#;
        assert!(unfit(marked, &plain).starts_with("Linkerd is asked"));
        let ambient = r#", "labels": {"istio.io/dataplane-mode": "ambient"}"#;
        assert!(unfit(ambient, &plain).starts_with("Istio is asked"));
        // The proxy of a node is known by its mark, one in a pod by its user; and what is ours may what it does.
        let user = r#""securityContext": {"runAsUser": 15008}"#;
        assert_eq!(unfit("", &format!("{user}, {plain}")), "");
        let ours = r#""initContainers": [
            {"name": "leno-capture", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}},
            {"name": "leno-proxy", "restartPolicy": "Always", "securityContext": {"runAsUser": 15008}}]"#;
        assert_eq!(unfit("", &format!("{ours}, {plain}")), "");
        let as_proxy = unfit("", &format!("{user}, {ours}, {plain}"));
        assert!(as_proxy.starts_with("the pod runs as user 15008"));
        assert!(unfit("", &format!("{ours}, {raw}")).starts_with("container cart has NET_RAW"));
    }

    #[test]
    fn whom_a_pod_asks_for_names_is_what_the_kubelet_writes_for_it() {
        let config = r#""dnsConfig": {"nameservers": ["10.0.0.53", "nonsense", "fd00::53"], "searches": ["a"]}"#;
        for (spec, expect) in [
            (String::new(), ""),
            (r#""dnsPolicy": "ClusterFirst""#.to_owned(), ""),
            (
                r#""dnsPolicy": "ClusterFirst", "hostNetwork": true"#.to_owned(),
                "its node's name servers",
            ),
            (
                r#""dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true"#.to_owned(),
                "",
            ),
            (
                r#""dnsPolicy": "Default""#.to_owned(),
                "its node's name servers",
            ),
            (
                format!(r#""dnsPolicy": "Default", {config}"#),
                "its node's name servers, then 10.0.0.53, fd00::53",
            ),
            (
                format!(r#""dnsPolicy": "None", {config}"#),
                "10.0.0.53, fd00::53",
            ),
            (
                config.to_owned(),
                "the cluster's name servers, then 10.0.0.53, fd00::53",
            ),
        ] {
            let json = format!(
                r#"{{"metadata": {{"namespace": "shop", "name": "web-1"}}, "spec": {{{spec}}}}}"#
            );
            let resolver = told(&json).unwrap().resolver;
            let told = resolver.map_or_else(String::new, |it| it.to_string());
            assert_eq!(told, expect, "{spec}");
        }
    }

    #[test]
    fn a_pod_is_told_with_what_its_containers_declare() {
        let pod = |deleted: &str, phase: &str, ready: &str| {
            told(&format!(
                r#"{{"metadata": {{"namespace": "shop", "name": "cart-1"{deleted}}},
                   "spec": {{"serviceAccountName": "cart", "nodeName": "n1",
                             "initContainers": [{{"ports": [{{"containerPort": 1}}]}},
                                                {{"restartPolicy": "Always",
                                                  "ports": [{{"containerPort": 2}}]}}],
                             "containers": [{{"livenessProbe": {{"httpGet": {{"path": "live?x=1", "port": "http"}}}},
                                              "readinessProbe": {{"httpGet": {{"path": "/live", "port": 8080}}}},
                                              "startupProbe": {{"grpc": {{"port": 9090}}}},
                                              "lifecycle": {{"preStop": {{"httpGet": {{"path": "/stop", "port": "http"}}}},
                                                             "postStart": {{"exec": {{"command": ["true"]}}}}}},
                                              "ports": [{{"name": "http", "containerPort": 8080}},
                                                        {{"containerPort": 8080}}, {{"name": "metrics", "containerPort": 8080}},
                                                        {{"name": "http", "containerPort": 8081}},
                                                        {{"containerPort": 53, "protocol": "UDP"}},
                                                        {{"containerPort": 99999}}]}},
                                             {{"readinessProbe": {{"httpGet": {{"scheme": "HTTPS", "port": 8443}}}},
                                              "livenessProbe": {{"tcpSocket": {{"port": 5432}}}},
                                              "startupProbe": {{"tcpSocket": {{"host": "10.0.0.9", "port": 5432}}}}}}]}},
                   "status": {{"phase": "{phase}", "podIPs": [{{"ip": "10.1.0.7"}}, {{"ip": "fd00::7"}}],
                               "conditions": [{{"type": "Ready", "status": "{ready}"}}]}}}}"#
            ))
        };
        let told = pod("", "Running", "True").unwrap();
        assert_eq!(told.state, Some(State::Ready));
        assert_eq!(told.service_account.as_str(), "cart");
        let ports = told
            .ports
            .iter()
            .map(|(port, names)| (*port, names.join(" ")));
        assert_eq!(
            ports.collect::<Vec<_>>(),
            [
                (2, String::new()),
                (8080, "http metrics".to_owned()),
                (8081, String::new())
            ]
        );
        assert_eq!(told.addresses.len(), 2);
        assert!(!told.has_proxy);
        let probes = told.probes.iter();
        let probes =
            probes.map(|probe| format!("{} {} {}", probe.port, probe.check, probe.pointer));
        let expect = [
            "5432 a connection /spec/containers/1/livenessProbe",
            "8080 /live /spec/containers/0/livenessProbe",
            "8080 /stop /spec/containers/0/lifecycle/preStop",
            "8443 TLS /spec/containers/1/readinessProbe",
            "9090 /grpc.health.v1.Health/Check /spec/containers/0/startupProbe",
        ];
        assert_eq!(probes.collect::<Vec<_>>(), expect);
        assert!(pod("", "Succeeded", "False").is_none());
    }

    #[test]
    fn a_pod_that_ends_or_whose_node_is_silent_takes_calls_if_nobody_else_does() {
        let (ready, doubtful) = (Some(State::Ready), Some(State::Unknown));
        let deleted = r#", "deletionTimestamp": "2026-11-20T10:00:00Z""#;
        for (meta, holding, expect) in [
            ("", "Ready ContainersReady example.com/warm", ready),
            ("", "Ready", ready),
            ("", "", None),
            // Its node says so, or something that it waits for.
            ("", "example.com/warm", None),
            ("", "ContainersReady", None),
            // The cluster says so, and not its node.
            ("", "ContainersReady example.com/warm", doubtful),
            (deleted, "Ready ContainersReady example.com/warm", doubtful),
            (deleted, "example.com/warm", None),
        ] {
            let said = ["Ready", "ContainersReady", "example.com/warm"].map(|kind| {
                let holds = holding.split(' ').any(|it| it == kind);
                let status = if holds { "True" } else { "False" };
                format!(r#"{{"type": "{kind}", "status": "{status}"}}"#)
            });
            let pod = told(&format!(
                r#"{{"metadata": {{"namespace": "shop", "name": "cart-1"{meta}}},
                   "spec": {{"readinessGates": [{{"conditionType": "example.com/warm"}}]}},
                   "status": {{"phase": "Running", "conditions": [{}]}}}}"#,
                said.join(", ")
            ));
            assert_eq!(pod.unwrap().state, expect, "{meta} {holding}");
        }
    }
}
