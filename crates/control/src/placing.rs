//! Whether the proxy of a node is to carry the calls of a pod that gets its network there now.

use std::sync::Arc;
use std::time::Duration;

use leno_channel::grpc::{Messages, Status, StatusCode};
use leno_compile::Mesh;
use leno_model::view;
use leno_resources::pod::Pods;
use leno_wire::pods::{Arriving, Placed};
use tokio::time::timeout;

use crate::center::Center;
use crate::serve::Peer;

/// How long a pod may take to be seen that its node knows already.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers the proxy of a node, once the pod that it asks about has been seen.
pub(crate) async fn place(
    center: &Arc<Center>,
    peer: &Peer,
    messages: &mut Messages,
) -> Result<Vec<u8>, Status> {
    let nothing = || Status::new(StatusCode::InvalidArgument, "the call has no message");
    let message = messages.next().await?.ok_or_else(nothing)?;
    let invalid = |misfit| Status::new(StatusCode::InvalidArgument, misfit);
    let pod = Arriving::decode(&message).map_err(invalid)?;
    let node = peer.node(center).ok_or_else(|| {
        let message =
            "this is for the proxies of nodes, and you are none that is seen in the cluster";
        Status::new(StatusCode::PermissionDenied, message)
    })?;
    let mut editions = center.editions.subscribe();
    let seen = async {
        loop {
            let edition = Arc::clone(&editions.borrow_and_update());
            let placed = placed(
                &edition.meaning.compiled_from().pods,
                &edition.mesh,
                &node,
                &pod,
            );
            if placed != Placed::NotSeen || editions.changed().await.is_err() {
                return placed;
            }
        }
    };
    let placed = timeout(PATIENCE, seen).await;
    Ok(placed.unwrap_or(Placed::NotSeen).encode())
}

/// Who carries the calls of a pod, as far as these pods tell, with which the mesh was made.
fn placed(pods: &Pods, mesh: &Mesh, node: &str, pod: &Arriving) -> Placed {
    let id = &pod.id;
    let named = (id.namespace.clone(), id.name.clone());
    let seen = pods.get(&named).filter(|seen| *seen.uid == *pod.uid);
    let (Some(seen), Some(instance)) = (seen, mesh.instances.get(id)) else {
        return Placed::NotSeen;
    };
    let has_own_proxy = seen.has_proxy && !seen.is_on_host;
    if instance.workload.pod.is_none() && !has_own_proxy {
        return Placed::Elsewhere;
    }
    match seen.locality.node.as_deref() {
        Some(on) if on == node => {}
        Some(_) => return Placed::Elsewhere,
        // The node knows by now that the pod is bound to it, and the watch does not yet.
        None => return Placed::NotSeen,
    }
    match instance.workload.pod.as_deref() {
        Some(served) if served.uid == seen.uid => Placed::Here(served.clone()),
        // The mesh knows the one of its name before it.
        Some(_) => Placed::NotSeen,
        None => {
            let sidecars = mesh.sidecars.get(node);
            match sidecars.and_then(|sidecars| sidecars.get(id)) {
                Some(kept) if kept.uid == seen.uid => Placed::Beside(view::Pod::clone(kept)),
                Some(_) | None => Placed::NotSeen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use leno_model::view::WorkloadId;
    use leno_model::{Name, Namespace};
    use leno_resources::Resources;
    use leno_resources::pod::Pod;

    use super::*;

    fn pod(name: &str, node: &str, mode: &str, has_proxy: bool) -> Pod {
        let name = Name::new(name).unwrap();
        let mut pod = Pod {
            uid: format!("uid-{name}").into(),
            has_proxy,
            ..Pod::named(Namespace::new("shop").unwrap(), name)
        };
        pod.locality.node = Some(node.into());
        let mode = ("leno.dev/dataplane-mode".into(), mode.into());
        pod.meta.labels = [mode].into();
        pod
    }

    #[test]
    fn a_node_is_told_of_its_pods_who_carries_their_calls() {
        let on_host = Pod {
            is_on_host: true,
            ..pod("host-1", "n1", "sidecar", true)
        };
        let unbound = |mut pod: Pod| {
            pod.locality.node = None;
            pod
        };
        let pods = [
            pod("cart-1", "n1", "node", false),
            unbound(pod("cart-2", "", "node", false)),
            unbound(pod("mail-2", "", "sidecar", true)),
            unbound(pod("none-2", "", "none", false)),
            pod("mail-1", "n1", "sidecar", true),
            pod("late-1", "n1", "sidecar", false),
            pod("web-1", "n2", "sidecar", true),
            on_host,
        ];
        let named = |pod: Pod| {
            let namespace = pod.meta.namespace.clone().unwrap();
            ((namespace, pod.meta.name.clone()), Arc::new(pod))
        };
        let pods: Pods = pods.map(named).into();
        let resources = Resources {
            pods: Arc::new(pods.clone()),
            ..Resources::default()
        };
        let (mesh, _) = leno_compile::compile(&resources);
        let told = |name: &str, uid: &str| {
            let arriving = Arriving {
                id: WorkloadId {
                    namespace: Namespace::new("shop").unwrap(),
                    name: Name::new(name).unwrap(),
                },
                uid: uid.to_owned(),
            };
            match placed(&pods, &mesh, "n1", &arriving) {
                Placed::NotSeen => "not seen".to_owned(),
                Placed::Elsewhere => "elsewhere".to_owned(),
                Placed::Here(pod) => format!("here {}", pod.uid),
                Placed::Beside(pod) => format!("beside {}", pod.uid),
            }
        };
        for (name, expect) in [
            ("cart-1", "here uid-cart-1"),
            ("cart-2", "not seen"),
            ("mail-2", "not seen"),
            ("none-2", "elsewhere"),
            ("mail-1", "beside uid-mail-1"),
            ("late-1", "elsewhere"),
            ("web-1", "elsewhere"),
            ("host-1", "elsewhere"),
            ("none-1", "not seen"),
        ] {
            assert_eq!(told(name, &format!("uid-{name}")), expect, "{name}");
        }
        assert_eq!(told("mail-1", "uid-of-another"), "not seen");
    }
}
