//! A cluster of Kubernetes as a source: its objects are read as those of files are, its pods are what runs.

use std::sync::Arc;
use std::time::Duration;

use leno_compile::reports;
use leno_kubernetes::{Cluster, Seen, Standings, Watch};
use leno_model::Code;
use leno_model::view::Generation;
use leno_resources::pod::Pods;
use tokio::sync::watch;

use crate::AGAIN;
use crate::center::Center;
use crate::clock;
use crate::event::Event;
use crate::fleet::Fleet;
use crate::observed::{self, Authors, Said};
use crate::programmed::Programming;
use crate::replicas::Tell;

/// A cluster, and what was seen of it last.
pub(crate) struct Followed {
    cluster: Cluster,
    watch: Watch,
    seen: Seen,
    /// Who has changed objects since they were taken last; nobody saw who did before the first time.
    authors: Option<Authors>,
    standings: watch::Sender<Arc<Standings>>,
}

/// What is reported of a cluster's objects, and how it is written.
pub(crate) struct Reporting {
    cluster: Cluster,
    standings: watch::Receiver<Arc<Standings>>,
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
                return Self {
                    cluster: cluster.clone(),
                    watch,
                    standings: watch::Sender::new(Arc::clone(&seen.standings)),
                    seen,
                    authors: None,
                };
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

    /// Where it is.
    pub(crate) fn cluster(&self) -> Cluster {
        self.cluster.clone()
    }

    /// What tells it from other clusters, if it said so.
    pub(crate) fn uid(&self) -> Option<Arc<str>> {
        self.seen.cluster.clone()
    }

    /// What its objects say, and who made them say so since they were taken last.
    pub(crate) fn said(&self) -> Said {
        let troubles = &self.seen.troubles;
        Said {
            documents: Arc::clone(&self.seen.documents),
            authors: self.authors.clone(),
            trouble: (!troubles.is_empty()).then(|| troubles.join("; ").into()),
        }
    }

    /// What runs in it.
    pub(crate) fn pods(&self) -> Arc<Pods> {
        Arc::clone(&self.seen.pods)
    }

    /// What is reported of its objects, from here on.
    pub(crate) fn reporting(&self) -> Reporting {
        Reporting {
            cluster: self.cluster.clone(),
            standings: self.standings.subscribe(),
        }
    }

    /// Waits until it says something else, and says whether its objects or its troubles are others, and whether
    /// its pods are.
    async fn next(&mut self) -> (bool, bool) {
        let seen = self.watch.next().await.clone();
        let before = std::mem::replace(&mut self.seen, seen);
        self.standings.send_if_modified(|standings| {
            let is_same = Arc::ptr_eq(standings, &self.seen.standings);
            standings.clone_from(&self.seen.standings);
            !is_same
        });
        let is_same = Arc::ptr_eq(&before.documents, &self.seen.documents);
        if !is_same {
            let since = observed::authors(&before.documents, &self.seen.documents);
            self.authors.get_or_insert_default().extend(since);
        }
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
            tokio::time::sleep(AGAIN).await;
        } else {
            let (others_say, others_run) = followed.next().await;
            says |= others_say;
            runs |= others_run;
        }
        let said = says.then(|| followed.said());
        let pods = runs.then(|| followed.pods());
        let shared = Arc::clone(&center);
        let taken = tokio::task::spawn_blocking(move || {
            let said = said.map_or(Ok(()), |said| shared.take_said(said));
            let pods = pods.map_or(Ok(()), |pods| shared.take_pods(pods));
            let taken = said.and(pods);
            taken.inspect_err(|failed| shared.trouble(failed.code(), failed))
        });
        let Ok(taken) = taken.await else {
            return;
        };
        if taken.is_ok() {
            if says {
                followed.authors = Some(Authors::default());
            }
            (says, runs) = (false, false);
        }
    }
}

/// Writes into the status of the cluster's objects what holds of them, for as long as this is polled.
pub(crate) async fn report(center: Arc<Center>, reporting: Option<Reporting>) {
    let Some(Reporting {
        cluster,
        mut standings,
    }) = reporting
    else {
        return std::future::pending().await;
    };
    let mut editions = center.editions.subscribe();
    let mut programming = Programming::default();
    let mut told = None;
    let mut reported = None;
    loop {
        let (generation, written, notes) = {
            let edition = editions.borrow_and_update();
            let meaning = &edition.meaning;
            let (written, notes) = (Arc::clone(&meaning.written), Arc::clone(&meaning.notes));
            (Arc::new(edition.generation.clone()), written, notes)
        };
        let known = Arc::clone(&standings.borrow_and_update());
        // What runs changes all the time, and nothing of what is reported.
        let is_reported = reported.as_ref().is_some_and(|(before, noted, standing)| {
            Arc::ptr_eq(before, &written)
                && Arc::ptr_eq(noted, &notes)
                && Arc::ptr_eq(standing, &known)
        });
        let mut failed = None;
        if !is_reported {
            settled(&center.fleet, &generation).await;
            let mut reports = reports(&written.resources, &notes);
            let lacking = |generation: &Generation| center.fleet.lacking(generation);
            programming.add_to(&mut reports, &known, &generation, lacking);
            for report in &reports {
                let written = cluster.report(report, &known, clock::wall()).await;
                failed = failed.or(written.err());
            }
        }
        let why = failed.map(|failed| failed.to_string());
        let is_due_again = why.is_some() || programming.is_waiting();
        reported = (!is_due_again).then_some((written, notes, known));
        center.trouble_anew(Code::D013, &mut told, why);
        tokio::select! {
            changed = editions.changed() => if changed.is_err() { return },
            changed = standings.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(REPORT_AGAIN), if is_due_again => {}
        }
    }
}

/// Waits until every proxy has taken `generation`, for a moment: mostly that is all it takes, and what is reported is
/// written once.
async fn settled(fleet: &Fleet, generation: &Generation) {
    for _ in 0..SETTLING {
        if fleet.lacking(generation).is_empty() {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// How often it is looked whether proxies have taken what is to be reported, and how long it is rested between.
const SETTLING: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long until a status that could not be written is tried again, and proxies that are waited for are looked at.
const REPORT_AGAIN: Duration = Duration::from_secs(5);
