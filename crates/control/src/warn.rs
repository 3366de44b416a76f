//! Tells of pods that are to be in the mesh and are not, of those whose capture is lost, or was mended, and of those whose
//! own process ended, where people look at pods: as events of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leno_kubernetes::{Cluster, Warning};
use leno_model::view::WorkloadId;
use leno_model::{Code, Wall};
use leno_wire::troubles::Trouble;
use tokio::time::sleep;

use crate::center::Center;
use crate::clock;
use crate::missing::{Lasting, Missing};
use crate::troubled;

/// How long after an event the next one about the same pod may be written.
const REST: Duration = Duration::from_secs(60);
/// How soon an event that could not be written is tried again, one that was too soon is looked at, and who is missing.
const AGAIN: Duration = Duration::from_secs(5);
/// How many are written at most before it is rested: each pod of a cluster may be missing.
const MOST_AT_ONCE: usize = 32;

/// Whom it was told of, and what: since when that was so, and when it was told.
#[derive(Default)]
struct Told(BTreeMap<(WorkloadId, Code), (Wall, Wall)>);

impl Told {
    /// What is to be told now, of what is known. Who has been told of is not told of anew for a while.
    fn due(
        &mut self,
        lost: BTreeMap<(WorkloadId, Code), Trouble>,
        now: Wall,
    ) -> Vec<((WorkloadId, Code), Trouble)> {
        let has_rested = |at: &Wall| now.since(*at) >= REST;
        self.0
            .retain(|about, (_, at)| lost.contains_key(about) || !has_rested(at));
        let is_due = |(about, trouble): &((WorkloadId, Code), Trouble)| match self.0.get(about) {
            Some((since, at)) => *since != trouble.since && has_rested(at),
            None => true,
        };
        lost.into_iter().filter(is_due).collect()
    }

    fn is_told(&mut self, about: (WorkloadId, Code), since: Wall, now: Wall) {
        self.0.insert(about, (since, now));
    }
}

/// Tells, for as long as it is polled.
pub(crate) async fn keep(center: Arc<Center>, cluster: Option<Cluster>) {
    let Some(cluster) = cluster else {
        return std::future::pending().await;
    };
    let (mut told, mut lasting) = (Told::default(), Lasting::default());
    let mut trouble = None;
    loop {
        let now = clock::wall();
        let pods = center.presence.reported().pods;
        let mut wrong = troubled::of_pods(&center);
        wrong.extend(lasting.look(&Missing::of(&center), &pods, now));
        let mut failed = None;
        for (about, what) in told.due(wrong, now).into_iter().take(MOST_AT_ONCE) {
            let WorkloadId { namespace, name } = &about.0;
            let Some(pod) = pods.get(&(namespace.clone(), name.clone())) else {
                continue;
            };
            let warning = Warning {
                pod,
                code: what.code,
                why: &what.why,
                since: what.since,
            };
            match cluster.warn(&warning, now).await {
                Ok(()) => told.is_told(about, what.since, now),
                Err(why) => failed = Some(why.to_string()),
            }
        }
        center.trouble_anew(Code::D015, &mut trouble, failed);
        tokio::select! {
            () = center.troubled.says_of_pod() => {}
            () = sleep(AGAIN) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace};

    use super::*;

    #[test]
    fn one_loss_is_told_once_and_many_not_without_end() {
        let web = WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new("web").unwrap(),
        };
        let at = |second| Wall::since_epoch(Duration::from_secs(second));
        let mut told = Told::default();
        let mut due = |since: Option<u64>, now| {
            let trouble = |since| Trouble {
                code: Code::H007,
                about: "shop/web".into(),
                why: "nothing came".to_owned(),
                since: at(since),
            };
            let lost = since.map(|since| ((web.clone(), Code::H007), trouble(since)));
            let due = told.due(lost.into_iter().collect(), at(now));
            for (about, trouble) in &due {
                told.is_told(about.clone(), trouble.since, at(now));
            }
            due.len()
        };
        assert_eq!(due(Some(10), 10), 1);
        assert_eq!(due(Some(10), 500), 0);
        assert_eq!(due(Some(510), 511), 1);
        assert_eq!(due(None, 512), 0);
        assert_eq!(due(Some(513), 513), 0);
        assert_eq!(due(Some(513), 575), 1);
    }
}
