//! Proxies for pods of the followed cluster: the API server asks us about each pod, for as long as it knows who is to
//! prove us; those of nodes find the mesh by what we keep told there.

use std::sync::Arc;
use std::time::Duration;

use leno_channel::files::certificates_text;
use leno_kubernetes::{Around, Cluster, Injection, Known, Misfit, Placement, beside, review_other};
use leno_model::role::SYSTEM;
use leno_model::view::Unknown;
use leno_model::{Code, Name, Namespace};
use leno_resources::pod::{AMBIENT, CONTROL, ISTIO_MODE, Pod, Pods};
use leno_wire::certificates::NODE;
use tokio::time::sleep;

use crate::center::Center;

/// How often it is looked whether the cluster still knows it: whoever installs again may have taken it away.
const LOOK: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(2);

/// What sidecars get, if pods get any and there is a CA.
pub(crate) fn injection(center: &Center) -> Option<Injection> {
    let settings = &center.edition().mesh.settings;
    Some(Injection {
        name: center.name().cloned(),
        image: center.sidecar.clone()?,
        mesh: center.mesh_address()?.to_string(),
        captured_by: match center.node_capture {
            true => Placement::Node,
            false => Placement::Sidecar,
        },
        refuses_datagrams: settings.unknown_destinations == Unknown::Refuse,
        while_away: settings.while_away,
    })
}

/// Answers what the API server asks about a pod that names another control plane than the default one.
pub(crate) fn review_others(center: &Center, asked: &[u8]) -> Result<Vec<u8>, Misfit> {
    let there = beside(&center.presence.reported().pods);
    review_other(&there, |namespace| said(center, namespace, CONTROL), asked)
}

/// What is seen of the cluster around a pod that is to be made in this namespace.
pub(crate) fn around(center: &Center, namespace: &Namespace) -> Around {
    let mode = said(center, namespace, ISTIO_MODE);
    Around {
        is_ambient: mode.is_some_and(|mode| mode == AMBIENT),
        is_without_nodes: is_without_nodes(&center.presence.reported().pods),
    }
}

/// Whether none of these pods is the proxy of a node. Nothing is known while no pod is seen: whoever asks is one.
fn is_without_nodes(pods: &Pods) -> bool {
    let is_proxy = |((namespace, _), pod): (&(Namespace, Name), &Arc<Pod>)| {
        namespace.as_str() == SYSTEM && pod.service_account.as_str() == NODE
    };
    !pods.is_empty() && !pods.iter().any(is_proxy)
}

/// What a namespace says by a label.
fn said(center: &Center, namespace: &Namespace, label: &str) -> Option<String> {
    let edition = center.edition();
    let mut all = edition.written().namespaces.iter();
    let namespace = all.find(|it| it.meta.name.as_str() == namespace.as_str())?;
    namespace.meta.labels.get(label).map(ToString::to_string)
}

/// Keeps the cluster told by which roots we are proven when we are asked about pods and changes, what becomes of pods while
/// nobody answers, and where the proxies of nodes find
/// the mesh, for as long as it is polled.
pub(crate) async fn keep(center: Arc<Center>, cluster: Option<Cluster>) {
    let Some(cluster) = cluster.filter(|_| center.sidecar.is_some()) else {
        return std::future::pending().await;
    };
    let mut editions = center.editions.subscribe();
    let (mut not_proven, mut not_told) = (None, None);
    loop {
        editions.borrow_and_update();
        let (Some(authority), Some(mesh)) = (center.authority.told(), center.mesh_address()) else {
            sleep(AGAIN).await;
            continue;
        };
        let roots = certificates_text(&authority.roots);
        let known = Known {
            name: center.name(),
            roots: roots.as_bytes(),
            away: center.edition().mesh.settings.while_away,
            validate: center.validate.path(),
        };
        let unproven = cluster.keep_webhooks(&known).await.err();
        // The default one tells where it is itself, and one beside it is found by pods of its own alone.
        let untold = match center.name() {
            None => cluster.tell_mesh(&mesh.to_string()).await.err(),
            Some(_) => None,
        };
        let rest = match (&unproven, &untold) {
            (None, None) => LOOK,
            _ => AGAIN,
        };
        let unproven = unproven.map(|why| why.to_string());
        center.trouble_anew(Code::D014, &mut not_proven, unproven);
        let untold = untold.map(|why| why.to_string());
        center.trouble_anew(Code::K019, &mut not_told, untold);
        tokio::select! {
            () = sleep(rest) => {}
            changed = editions.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_a_proxy_if_a_pod_of_lenos_own_namespace_acts_as_one() {
        let check = |pods: &[(&str, &str)], expect: bool| {
            let pods = pods.iter().map(|(namespace, account)| {
                let namespace = Namespace::new(namespace).unwrap();
                let name = Name::new(&format!("{account}-1")).unwrap();
                let pod = Pod {
                    service_account: Name::new(account).unwrap(),
                    ..Pod::named(namespace.clone(), name.clone())
                };
                ((namespace, name), Arc::new(pod))
            });
            assert_eq!(is_without_nodes(&pods.collect()), expect);
        };
        check(&[], false);
        let control = ("leno-system", "leno-control");
        check(&[control], true);
        check(&[control, ("shop", "leno-node")], true);
        check(&[control, ("leno-system", "leno-node")], false);
    }
}
