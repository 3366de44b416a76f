//! When the cluster that is followed has told of what somebody wrote there, so that it is in force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leno_admin::{Failure, Taken, TakenOf, read_object};
use leno_model::ObjectRef;
use leno_store::Revision;

use crate::administer::{not_read, status};
use crate::center::Center;
use crate::observed;
use crate::sight::Sight;

/// Waits until the cluster's objects are in force as they were written there, for a while.
pub(crate) async fn taken(
    center: Arc<Center>,
    sight: &Sight,
    ask: TakenOf,
) -> Result<Taken, Failure> {
    let mut written = BTreeMap::new();
    for one in ask.objects {
        let object = read_object(&one.object).map_err(Failure::plain)?;
        sight.may_change(&object)?;
        written.insert(object, one.text);
    }
    let mut editions = center.editions.subscribe();
    let arrival = async {
        loop {
            let revision = editions.borrow_and_update().revision;
            let (shared, asked) = (Arc::clone(&center), written.clone());
            let look = move || has(&shared, revision, &asked);
            let looked = tokio::task::spawn_blocking(look).await;
            if looked.unwrap_or(Ok(false))? {
                return Ok(Some(revision));
            }
            if editions.changed().await.is_err() {
                return Ok(None);
            }
        }
    };
    let arrived = tokio::time::timeout(PATIENCE, arrival).await;
    let revision = arrived.unwrap_or(Ok(None))?;
    Ok(Taken {
        status: status(&center),
        revision: revision.map(|revision| revision.0),
    })
}

/// So long it is waited until the cluster has told of a change, which it does within a second unless something fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a revision has these objects of the cluster so.
fn has(
    center: &Center,
    revision: Revision,
    written: &BTreeMap<ObjectRef, Option<String>>,
) -> Result<bool, Failure> {
    let cluster = observed::source();
    let objects = center.store.at(revision).map_err(not_read)?;
    let of_cluster = objects.iter().filter(|it| it.owner.source == cluster);
    let texts: BTreeMap<_, _> = of_cluster.map(|it| (&it.key, &*it.text)).collect();
    let mut written = written.iter();
    Ok(written.all(|(key, text)| texts.get(key).copied() == text.as_deref()))
}
