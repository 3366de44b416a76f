//! Sidecars for pods of the followed cluster: the API server asks us about each pod, for as long as it knows who is to
//! prove us.

use std::sync::Arc;
use std::time::Duration;

use leno_channel::files::certificates_text;
use leno_kubernetes::{Cluster, Injection};
use leno_model::Code;
use leno_model::view::Unknown;
use tokio::time::sleep;

use crate::center::Center;

/// How often it is looked whether the API server still knows by what we are proven: whoever installs again may have
/// taken it away.
const LOOK: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(2);

/// What sidecars get, if pods get any and there is a CA.
pub(crate) fn injection(center: &Center) -> Option<Injection> {
    let settings = &center.edition().mesh.settings;
    Some(Injection {
        image: center.sidecar.clone()?,
        mesh: center.mesh_address()?.to_string(),
        refuses_datagrams: settings.unknown_destinations == Unknown::Refuse,
    })
}

/// Keeps the API server told by which roots we are proven, for as long as it is polled.
pub(crate) async fn keep(center: Arc<Center>, cluster: Option<Cluster>) {
    let Some(cluster) = cluster.filter(|_| center.sidecar.is_some()) else {
        return std::future::pending().await;
    };
    let mut editions = center.editions.subscribe();
    let mut told = None;
    loop {
        editions.borrow_and_update();
        let Some(authority) = center.authority.told() else {
            sleep(AGAIN).await;
            continue;
        };
        let roots = certificates_text(&authority.roots);
        let failed = cluster.prove_webhook(roots.as_bytes()).await.err();
        let rest = match &failed {
            Some(_) => AGAIN,
            None => LOOK,
        };
        center.trouble_anew(Code::D014, &mut told, failed.map(|why| why.to_string()));
        tokio::select! {
            () = sleep(rest) => {}
            changed = editions.changed() => if changed.is_err() { return },
        }
    }
}
