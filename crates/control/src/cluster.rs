//! A cluster of Kubernetes as a source: its objects are read as those of files are, its pods are what runs.

use std::sync::Arc;
use std::time::Duration;

use leno_kubernetes::{Cluster, Document, Seen, Watch};
use leno_model::Code;
use leno_resources::pod::Pods;

use crate::center::Center;
use crate::event::Event;
use crate::found::{CLUSTER, Found};
use crate::replicas::Tell;

/// A cluster, and what was seen of it last.
pub(crate) struct Followed {
    watch: Watch,
    seen: Seen,
}

/// How often it is said that a cluster does not tell what it holds, while nothing can begin.
const SAY: Duration = Duration::from_secs(1);

impl Followed {
    /// Waits until the cluster has told all that it holds: who begins with less takes away what proxies
    /// hold. Says meanwhile what it waits for.
    pub(crate) async fn begin(cluster: &Cluster, tell: &Tell) -> Self {
        let mut watch = cluster.watch();
        let mut told = Vec::new();
        loop {
            if let Ok(seen) = tokio::time::timeout(SAY, watch.next()).await {
                let seen = seen.clone();
                return Self { watch, seen };
            }
            let troubles = watch.troubles();
            if told != troubles && !troubles.is_empty() {
                tell(&Event::Trouble {
                    code: Code::D012,
                    what: troubles.join("; "),
                });
            }
            told = troubles;
        }
    }

    /// What its objects say.
    pub(crate) fn found(&self) -> Found {
        let file = |document: &Document| (document.name.clone(), document.text.to_vec());
        let troubles = &self.seen.troubles;
        Found {
            source: CLUSTER.into(),
            position: 0,
            files: Arc::new(self.seen.documents.iter().map(file).collect()),
            trouble: (!troubles.is_empty()).then(|| troubles.join("; ").into()),
        }
    }

    /// What runs in it.
    pub(crate) fn pods(&self) -> Arc<Pods> {
        Arc::clone(&self.seen.pods)
    }

    /// Waits until it says something else, and says whether its objects or its troubles are others, and whether
    /// its pods are.
    async fn next(&mut self) -> (bool, bool) {
        let seen = self.watch.next().await.clone();
        let before = std::mem::replace(&mut self.seen, seen);
        let is_same = Arc::ptr_eq(&before.documents, &self.seen.documents);
        (
            !is_same || before.troubles != self.seen.troubles,
            !Arc::ptr_eq(&before.pods, &self.seen.pods),
        )
    }
}

/// Takes what the cluster says, for as long as this is polled.
pub(crate) async fn follow(center: Arc<Center>, followed: Option<Followed>) {
    let Some(mut followed) = followed else {
        return std::future::pending().await;
    };
    // What could not be taken yet.
    let (mut says, mut runs) = (false, false);
    loop {
        if says || runs {
            tokio::time::sleep(SAY).await;
        } else {
            let (others_say, others_run) = followed.next().await;
            says |= others_say;
            runs |= others_run;
        }
        let found = says.then(|| followed.found());
        let pods = runs.then(|| followed.pods());
        let shared = Arc::clone(&center);
        let taken = tokio::task::spawn_blocking(move || {
            let found = found.map_or(Ok(()), |found| shared.take_found(vec![found]));
            let pods = pods.map_or(Ok(()), |pods| shared.take_pods(pods));
            let taken = found.and(pods);
            taken.inspect_err(|failed| shared.trouble(failed.code(), failed))
        });
        let Ok(taken) = taken.await else {
            return;
        };
        if taken.is_ok() {
            (says, runs) = (false, false);
        }
    }
}
