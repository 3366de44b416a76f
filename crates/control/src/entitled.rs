//! Which workloads a proxy may be told of, and which certificates it may ask for: a function of the
//! identity it has proven, of the node that it serves, and of nothing else.
//!
//! An identity `ns/NAMESPACE/sa/ACCOUNT` is entitled to the workloads that act as it. The identity
//! `ns/NAMESPACE/sa/leno-node` is a node's: it is entitled to every workload of its namespace, and to
//! certificates for them. A join token gives one or the other, never more than its grant.
//!
//! In a cluster, a pod that acts as `leno-node` in Leno's own namespace serves the node that it runs on, for as long
//! as it does: it is entitled to the pods there that say so, and to no other.

use std::collections::BTreeSet;
use std::sync::Arc;

use leno_compile::Mesh;
use leno_model::role::SYSTEM;
use leno_model::view::WorkloadId;
use leno_model::{ControlName, Name, SpiffeId};
use leno_resources::pod::{Pod, Pods};
use leno_wire::certificates::NODE;

use crate::holders::PodRef;

/// The service account of a node, as a name.
pub(crate) fn node() -> Name {
    Name::new(NODE).expect("a constant that is a name")
}

/// The node that a proxy serves which proved to be `proven` and has its certificates by evidence that was bound
/// to `pod`: where that runs, if it is there.
pub(crate) fn node_of(proven: &SpiffeId, pod: &PodRef, pods: &Pods) -> Option<Arc<str>> {
    let pod = acts_as(proven, pod, pods)?;
    pod.locality.node.clone().filter(|_| is_of_nodes(proven))
}

/// The control plane beside this one that somebody is who proved to be `proven`, by evidence that was bound to `pod`: if
/// that is there, in Leno's own namespace, and acts as the account of one.
pub(crate) fn beside(proven: &SpiffeId, pod: &PodRef, pods: &Pods) -> Option<ControlName> {
    acts_as(proven, pod, pods)?;
    ControlName::proven_by(proven)
}

/// The pod, if it is there and acts as `proven`.
fn acts_as<'a>(proven: &SpiffeId, pod: &PodRef, pods: &'a Pods) -> Option<&'a Pod> {
    pod.find(pods).filter(|pod| {
        let namespace = pod.meta.namespace.as_ref();
        namespace == Some(&proven.namespace) && pod.service_account == proven.service_account
    })
}

/// Whether `proven` is whom the proxies of a cluster's nodes act as.
pub(crate) fn is_of_nodes(proven: &SpiffeId) -> bool {
    proven.namespace.as_str() == SYSTEM && proven.service_account.as_str() == NODE
}

/// Whether one of these pods is a proxy of a node.
pub(crate) fn serves_nodes(pods: &Pods) -> bool {
    let mut accounts = pods
        .iter()
        .map(|((namespace, _), pod)| (namespace, &pod.service_account));
    accounts.any(|(namespace, account)| namespace.as_str() == SYSTEM && account.as_str() == NODE)
}

/// What a proxy is entitled to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entitled<'a> {
    mesh: &'a Mesh,
    proven: &'a SpiffeId,
    /// The workloads of the node that it serves.
    on_node: Option<&'a BTreeSet<WorkloadId>>,
}

impl<'a> Entitled<'a> {
    /// Of whoever proved to be `proven`, and serves this node.
    pub(crate) fn new(mesh: &'a Mesh, proven: &'a SpiffeId, node: Option<&str>) -> Self {
        Self {
            mesh,
            proven,
            on_node: node.and_then(|node| mesh.nodes.get(node)),
        }
    }

    /// Whom it has proven to be.
    pub(crate) fn proven(&self) -> &'a SpiffeId {
        self.proven
    }

    /// Whether it may act as `id`. Nobody may act as the control plane.
    pub(crate) fn may_act_as(&self, id: &SpiffeId) -> bool {
        if id.is_control_plane() {
            return false;
        }
        let proven = self.proven;
        let is_node_of = proven.service_account.as_str() == NODE
            && proven.namespace == id.namespace
            && proven.trust_domain == id.trust_domain;
        let acts_so = |workload: &WorkloadId| {
            let instance = self.mesh.instances.get(workload);
            instance.is_some_and(|instance| instance.workload.identity == *id)
        };
        let mut on_node = self.on_node.into_iter().flatten();
        proven == id || is_node_of || on_node.any(acts_so)
    }

    /// Whether it serves the node that a pod runs on which acts as `id` and has this UID.
    pub(crate) fn serves(&self, pod: &WorkloadId, uid: &str, id: &SpiffeId) -> bool {
        let here = self.on_node.filter(|here| here.contains(pod));
        let instance = here.and_then(|_| self.mesh.instances.get(pod));
        instance.is_some_and(|instance| {
            let is_same = instance
                .workload
                .pod
                .as_ref()
                .is_some_and(|it| *it.uid == *uid);
            is_same && instance.workload.identity == *id
        })
    }

    /// Those of the workloads that a proxy says it stands in front of that it may be told of, and the others.
    pub(crate) fn split(
        &self,
        asked: &BTreeSet<WorkloadId>,
    ) -> (BTreeSet<WorkloadId>, BTreeSet<WorkloadId>) {
        let granted = |id: &WorkloadId| {
            let instance = self.mesh.instances.get(id);
            instance.is_some_and(|instance| {
                instance.takes_proxy && self.may_act_as(&instance.workload.identity)
            })
        };
        asked.iter().cloned().partition(granted)
    }

    /// The workloads that it is told of, whether it asks or not: those of the node that it serves.
    pub(crate) fn on_node(&self) -> impl Iterator<Item = &'a WorkloadId> + use<'a> {
        self.on_node.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use leno_model::Namespace;
    use leno_resources::Resources;
    use leno_resources::pod::Pod;

    use super::*;

    #[test]
    fn who_may_act_as_whom() {
        let (mesh, _) = leno_compile::compile(&Resources::default());
        let id = |text: &str| SpiffeId::parse(&format!("spiffe://{text}")).unwrap();
        for (proven, other, expect) in [
            (
                "shop.local/ns/shop/sa/cart",
                "shop.local/ns/shop/sa/cart",
                true,
            ),
            (
                "shop.local/ns/shop/sa/cart",
                "shop.local/ns/shop/sa/web",
                false,
            ),
            (
                "shop.local/ns/shop/sa/cart",
                "shop.local/ns/shop/sa/leno-node",
                false,
            ),
            (
                "shop.local/ns/shop/sa/leno-node",
                "shop.local/ns/shop/sa/cart",
                true,
            ),
            (
                "shop.local/ns/shop/sa/leno-node",
                "shop.local/ns/bank/sa/cart",
                false,
            ),
            (
                "shop.local/ns/shop/sa/leno-node",
                "bank.local/ns/shop/sa/cart",
                false,
            ),
            (
                "shop.local/ns/leno-system/sa/leno-node",
                "shop.local/ns/leno-system/sa/leno-control",
                false,
            ),
            (
                "shop.local/ns/leno-system/sa/leno-control",
                "shop.local/ns/leno-system/sa/leno-control",
                false,
            ),
        ] {
            assert_eq!(
                Entitled::new(&mesh, &id(proven), None).may_act_as(&id(other)),
                expect,
                "{proven} as {other}"
            );
        }
    }

    /// A pod on a node: its namespace, name, account, mode.
    fn pod(text: &str) -> ((Namespace, Name), Arc<Pod>) {
        let [namespace, name, account, node, mode] = text.split(' ').collect::<Vec<_>>()[..] else {
            unreachable!("{text}");
        };
        let (namespace, name) = (Namespace::new(namespace).unwrap(), Name::new(name).unwrap());
        let mut pod = Pod {
            uid: format!("uid-{name}").into(),
            service_account: Name::new(account).unwrap(),
            ..Pod::named(namespace.clone(), name.clone())
        };
        pod.locality.node = Some(node.into());
        let mode = ("leno.dev/dataplane-mode".into(), mode.into());
        pod.meta.labels = [mode].into();
        ((namespace, name), Arc::new(pod))
    }

    #[test]
    fn a_control_plane_beside_this_one_is_a_pod_that_acts_as_one() {
        let pods: Pods = [
            "leno-system canary-1 leno-control-canary n1 none",
            "leno-system control-1 leno-control n1 none",
            "leno-system node-1 leno-node n1 none",
            "shop liar leno-control-canary n1 none",
        ]
        .map(pod)
        .into();
        let check = |proven: &str, bound: &str, expect: Option<&str>| {
            let (namespace, account) = proven.split_once('/').unwrap();
            let id = format!("spiffe://shop.local/ns/{namespace}/sa/{account}");
            let id = SpiffeId::parse(&id).unwrap();
            let name = beside(&id, &PodRef::read(bound).unwrap(), &pods);
            assert_eq!(name.as_ref().map(ControlName::as_str), expect, "{bound}");
        };
        let canary = "leno-system/leno-control-canary";
        check(canary, "leno-system/canary-1 uid-canary-1", Some("canary"));
        // A pod that came later, one that acts as another, and those of no such account.
        check(canary, "leno-system/canary-1 uid-2", None);
        check(canary, "leno-system/control-1 uid-control-1", None);
        check(
            "leno-system/leno-control",
            "leno-system/control-1 uid-control-1",
            None,
        );
        check(
            "leno-system/leno-node",
            "leno-system/node-1 uid-node-1",
            None,
        );
        check("shop/leno-control-canary", "shop/liar uid-liar", None);
    }

    #[test]
    fn the_proxy_of_a_node_acts_as_those_who_run_there_and_say_so() {
        let pods: Pods = [
            "leno-system proxy-1 leno-node n1 none",
            "leno-system other leno-control n1 none",
            "shop liar leno-node n1 none",
            "shop cart-1 cart n1 node",
            "shop web-1 web n2 node",
            "shop mail-1 mail n1 sidecar",
        ]
        .map(pod)
        .into();
        let resources = Resources {
            pods: Arc::new(pods.clone()),
            ..Resources::default()
        };
        let (mesh, _) = leno_compile::compile(&resources);
        let id = |text: &str| {
            let domain = &mesh.settings.trust_domain;
            let (namespace, account) = text.split_once('/').unwrap();
            SpiffeId::parse(&format!("spiffe://{domain}/ns/{namespace}/sa/{account}")).unwrap()
        };
        let node = id("leno-system/leno-node");
        let bound = |text: &str| PodRef::read(text).unwrap();
        let serves = |proven: &SpiffeId, pod: &str| node_of(proven, &bound(pod), &pods);
        let n1 = serves(&node, "leno-system/proxy-1 uid-proxy-1");
        assert_eq!(n1.as_deref(), Some("n1"));
        // A pod of its name that came later, one that acts as another, one of another namespace.
        assert_eq!(serves(&node, "leno-system/proxy-1 uid-2"), None);
        assert_eq!(serves(&node, "leno-system/other uid-other"), None);
        assert_eq!(serves(&node, "shop/liar uid-liar"), None);
        assert_eq!(serves(&id("shop/leno-node"), "shop/liar uid-liar"), None);

        let entitled = Entitled::new(&mesh, &node, n1.as_deref());
        let workloads: Vec<_> = entitled.on_node().map(WorkloadId::to_string).collect();
        assert_eq!(workloads, ["shop/cart-1"]);
        assert!(entitled.may_act_as(&id("shop/cart")));
        for other in ["shop/web", "shop/mail", "leno-system/leno-control"] {
            assert!(!entitled.may_act_as(&id(other)), "{other}");
        }
        let alone = Entitled::new(&mesh, &node, None);
        assert!(!alone.may_act_as(&id("shop/cart")));

        // Whom it may ask for a process of its own, by name, UID and identity.
        let cart = entitled.on_node().next().unwrap();
        assert!(entitled.serves(cart, "uid-cart-1", &id("shop/cart")));
        assert!(!entitled.serves(cart, "uid-cart-2", &id("shop/cart")));
        assert!(!entitled.serves(cart, "uid-cart-1", &id("shop/web")));
        assert!(!alone.serves(cart, "uid-cart-1", &id("shop/cart")));
        let web = mesh.nodes["n2"].first().unwrap();
        assert!(!entitled.serves(web, "uid-web-1", &id("shop/web")));
    }
}
