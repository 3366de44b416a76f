//! Proxies for pods of the followed cluster: the API server asks us about each pod, for as long as it knows who is to
//! prove us; those of nodes find the mesh by what we keep told there.

use std::sync::Arc;
use std::time::Duration;

use leno_channel::files::certificates_text;
use leno_kubernetes::{Cluster, Injection, Known, Placement};
use leno_model::Code;
use leno_model::view::Unknown;
use tokio::time::sleep;

use crate::center::Center;

/// How often it is looked whether the cluster still knows it: whoever installs again may have taken it away.
const LOOK: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(2);

/// What sidecars get, if pods get any and there is a CA.
pub(crate) fn injection(center: &Center) -> Option<Injection> {
    let settings = &center.edition().mesh.settings;
    Some(Injection {
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
            roots: roots.as_bytes(),
            away: center.edition().mesh.settings.while_away,
            validate: center.validate.path(),
        };
        let unproven = cluster.keep_webhooks(&known).await.err();
        let untold = cluster.tell_mesh(&mesh.to_string()).await.err();
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
