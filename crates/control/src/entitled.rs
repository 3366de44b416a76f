//! Which workloads a proxy may be told of, and which certificates it may ask for: a function of the
//! identity it has proven and of nothing else.
//!
//! An identity `ns/NAMESPACE/sa/ACCOUNT` is entitled to the workloads that act as it. The identity
//! `ns/NAMESPACE/sa/leno-node` is a node's: it is entitled to every workload of its namespace, and to
//! certificates for them. A join token gives one or the other, never more than its grant.

use std::collections::BTreeSet;

use leno_compile::Mesh;
use leno_model::view::WorkloadId;
use leno_model::{Name, SpiffeId};
use leno_wire::certificates::NODE;

/// The service account of a node, as a name.
pub(crate) fn node() -> Name {
    Name::new(NODE).expect("a constant that is a name")
}

/// Whether whoever proved to be `proven` may act as `id`. Nobody may act as the control plane.
pub(crate) fn may_act_as(proven: &SpiffeId, id: &SpiffeId) -> bool {
    if id.is_control_plane() {
        return false;
    }
    let is_node_of = proven.service_account.as_str() == NODE
        && proven.namespace == id.namespace
        && proven.trust_domain == id.trust_domain;
    proven == id || is_node_of
}

/// Those of the workloads that a proxy says it stands in front of that it is told of, and the others.
pub(crate) fn entitled(
    mesh: &Mesh,
    proven: &SpiffeId,
    asked: &BTreeSet<WorkloadId>,
) -> (BTreeSet<WorkloadId>, BTreeSet<WorkloadId>) {
    let granted = |id: &WorkloadId| {
        let instance = mesh.instances.get(id);
        instance.is_some_and(|instance| {
            instance.takes_proxy && may_act_as(proven, &instance.workload.identity)
        })
    };
    asked.iter().cloned().partition(granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_act_as_whom() {
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
                may_act_as(&id(proven), &id(other)),
                expect,
                "{proven} as {other}"
            );
        }
    }
}
