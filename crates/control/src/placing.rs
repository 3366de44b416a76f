//! Whether the proxy of a node is to carry the calls of a pod that gets its network there now.

use std::sync::Arc;
use std::time::Duration;

use leno_channel::grpc::{Messages, Status, StatusCode};
use leno_compile::Mesh;
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
            let pods = center.presence.reported().pods;
            let placed = placed(&pods, &editions.borrow_and_update().mesh, &node, &pod);
            if placed != Placed::NotSeen || editions.changed().await.is_err() {
                return placed;
            }
        }
    };
    let placed = timeout(PATIENCE, seen).await;
    Ok(placed.unwrap_or(Placed::NotSeen).encode())
}

fn placed(pods: &Pods, mesh: &Mesh, node: &str, pod: &Arriving) -> Placed {
    let id = &pod.id;
    let named = (id.namespace.clone(), id.name.clone());
    let seen = pods.get(&named).filter(|seen| *seen.uid == *pod.uid);
    let (Some(seen), Some(instance)) = (seen, mesh.instances.get(id)) else {
        return Placed::NotSeen;
    };
    if seen.locality.node.as_deref() != Some(node) {
        return Placed::Elsewhere;
    }
    match instance.workload.pod.as_deref() {
        Some(served) if served.uid == seen.uid => Placed::Here(served.clone()),
        // The mesh knows the one of its name before it.
        Some(_) => Placed::NotSeen,
        None => Placed::Elsewhere,
    }
}
