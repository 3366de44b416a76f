//! What runs in a cluster of Kubernetes, as the cluster tells it. Nobody writes pods into files that
//! Leno reads, so that there is nothing to find in them but what they say.

use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_model::view::{Check, Locality, Resolver, State};
use leno_model::{Name, Namespace, ObjectRef};

use crate::object::Metadata;

/// The label that says how a pod, or all pods of a namespace, take part in the mesh.
pub const MODE: &str = "leno.dev/dataplane-mode";
/// A value of [`MODE`]: a proxy in each pod.
pub const SIDECAR: &str = "sidecar";
/// A value of [`MODE`]: the proxy of the node that the pod runs on.
pub const NODE: &str = "node";

/// The label that says which control plane serves the proxy in a pod, or in all pods of a namespace: the name of one that
/// stands beside the default one. A control plane's own pods say so which they are.
pub const CONTROL: &str = "leno.dev/control";
/// The label, and its value, of the pods of a control plane that stands beside the default one.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// A value of [`COMPONENT`].
pub const CONTROL_BESIDE: &str = "control-beside";

/// The annotation of a pod that names ports at which it is called without a proxy.
pub const SKIP_INBOUND_PORTS: &str = "leno.dev/skip-inbound-ports";
/// That which names ports that it calls without a proxy.
pub const SKIP_OUTBOUND_PORTS: &str = "leno.dev/skip-outbound-ports";
/// That which names addresses that it calls without a proxy.
pub const SKIP_OUTBOUND_CIDRS: &str = "leno.dev/skip-outbound-cidrs";
/// That by which a pod asks for a process of its own at its node's proxy.
pub const ISOLATION: &str = "leno.dev/isolation";
/// The value of [`ISOLATION`].
pub const OWN_PROCESS: &str = "Pod";

/// That by which the kubelet says that a pod is a static one, made of a file on its node, and what the cluster knows a
/// mirror of it: the hash of that file, which is the UID of what runs there.
pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// The label by which Istio is asked to carry the calls of a pod, or of all pods of a namespace, from their node.
pub const ISTIO_MODE: &str = "istio.io/dataplane-mode";
/// The value of [`ISTIO_MODE`] that asks for it. Any other of a pod asks for nothing, whatever its namespace says.
pub const AMBIENT: &str = "ambient";

/// Why a pod is not captured that another mesh is asked to carry, by that.
pub fn captured_twice(mesh: &str, by: &str) -> String {
    format!(
        "{mesh} is asked to carry this pod's calls too ({by}), and two proxies cannot capture one pod: take that away, or \
         say {MODE}: none"
    )
}

/// The same of a pod whose namespace asks Istio for all of its pods, and which says nothing itself.
pub fn in_ambient(namespace: &Namespace) -> String {
    captured_twice(
        "Istio",
        &format!("{ISTIO_MODE}: {AMBIENT} of namespace {namespace}"),
    )
}

/// Whether this is the UID of a static pod: an MD5 sum. The API server's own have hyphens (RFC 9562).
pub fn is_static(uid: &str) -> bool {
    let is_digit = |letter: u8| matches!(letter, b'0'..=b'9' | b'a'..=b'f');
    uid.len() == 32 && uid.bytes().all(is_digit)
}

/// All pods, by namespace and name. Two states of a cluster share those that are the same in both.
pub type Pods = BTreeMap<(Namespace, Name), Arc<Pod>>;

/// A pod that has not ended (core v1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    /// Its name, its labels, and the annotations that say how it is captured and served.
    pub meta: Metadata,
    /// By which its node knows it: what tells it from others of its name, before and after. The hash of its file if it is
    /// [static](is_static). Empty where nobody needs to.
    pub uid: Arc<str>,
    /// What it is called in findings and origins.
    pub reference: Arc<ObjectRef>,
    /// The workload it is an instance of: what controls it, by the name that people gave that. A pod
    /// that nothing controls is alone in a workload of its own name.
    pub workload: Name,
    /// Whom it acts as.
    pub service_account: Name,
    /// The TCP ports that its containers declare, with the names of each. A name is of one port: the first that has it.
    pub ports: BTreeMap<u16, Vec<Arc<str>>>,
    /// Whether it was made with a proxy of ours in it.
    pub has_proxy: bool,
    /// Why it would not have been made, had somebody been asked: another mesh carries its calls too, or it can get around
    /// its proxy.
    pub unfit: Option<Arc<str>>,
    /// Whether the proxy of its node carries its calls. That goes on until it ends, whatever is said of it by then.
    pub is_served: bool,
    /// Whether it has the network of its node, and none of its own.
    pub is_on_host: bool,
    /// Whom it asks for names. Without it, the cluster's name servers.
    pub resolver: Option<Resolver>,
    /// The health checks that its node makes over HTTP.
    pub probes: Vec<PodProbe>,
    /// The addresses from which its node calls it.
    pub hosts: Vec<IpAddr>,
    /// Its addresses, of either family. None while it has not got them.
    pub addresses: Vec<IpAddr>,
    /// Where it runs.
    pub locality: Locality,
    /// Whether it takes calls; `None`: it does not.
    pub state: Option<State>,
}

impl Pod {
    /// Whether it takes calls, and not only where nobody else does.
    pub fn is_ready(&self) -> bool {
        self.state == Some(State::Ready)
    }

    /// A pod of which nothing is known but its name: it is alone in a workload of that name, acts as the account of
    /// that name, and does not run yet.
    pub fn named(namespace: Namespace, name: Name) -> Self {
        Self {
            uid: Arc::default(),
            reference: Arc::new(ObjectRef {
                kind: "Pod".into(),
                namespace: Some(namespace.clone()),
                name: name.clone(),
            }),
            workload: name.clone(),
            service_account: name.clone(),
            ports: BTreeMap::new(),
            has_proxy: false,
            unfit: None,
            is_served: false,
            is_on_host: false,
            resolver: None,
            probes: Vec::new(),
            hosts: Vec::new(),
            addresses: Vec::new(),
            locality: Locality::default(),
            state: None,
            meta: Metadata {
                namespace: Some(namespace),
                name,
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                created: None,
                generation: None,
            },
        }
    }
}

/// A health check that a node makes, or a hook: GET over HTTP/1.1, a check of gRPC by its own path, or a connection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PodProbe {
    /// The port.
    pub port: u16,
    /// How it asks.
    pub check: Check,
    /// Where the pod says so: `/spec/containers/0/livenessProbe`.
    pub pointer: Arc<str>,
}
