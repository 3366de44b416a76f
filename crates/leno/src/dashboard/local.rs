//! How a mesh is that is up on this machine: what runs, and what is counted and heard of its calls.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use leno_admin::{Edge, Failure, Overview, Step, Traffic, Workload, WorkloadState};
use leno_control::Desk;
use leno_proxy::Clocks;
use leno_telemetry::{Snapshot, Telemetry};
use tokio::sync::{mpsc, oneshot};

use super::failures::Failures;
use super::recent::Recent;
use crate::render::edges::in_order;
use crate::signals::{self, By};
use crate::up::{Happened, Outside, Question, Row, State, Up, trouble};

/// A mesh that is up in this process.
pub(crate) struct Local {
    desk: Desk,
    folder: PathBuf,
    clocks: Clocks,
    inbox: mpsc::UnboundedSender<Happened>,
    telemetry: Telemetry,
    recent: Mutex<Recent<Snapshot>>,
    failures: Failures,
}

impl Local {
    /// Needs a runtime around it.
    pub(crate) fn of(up: &Up) -> Self {
        let clocks = Clocks::start();
        let recent = Recent::new(clocks.now().mono, Snapshot::default());
        Self {
            desk: up.desk().clone(),
            folder: up.folder().to_owned(),
            clocks,
            inbox: up.inbox(),
            telemetry: up.telemetry().clone(),
            recent: Mutex::new(recent),
            failures: Failures::hear(up.witness()),
        }
    }

    /// How the mesh is at this moment.
    pub(crate) async fn look(&self) -> Result<Overview, Failure> {
        let ending = || Failure::plain("the mesh is ending");
        let (answer, rows) = oneshot::channel();
        let asked = self.inbox.send(Happened::Asked(Question::Rows(answer)));
        asked.map_err(|_| ending())?;
        let rows = rows.await.map_err(|_| ending())?;
        let names = rows.iter().map(|row| row.name.clone());
        let outside = Outside::read(&self.folder, &names.collect::<Vec<_>>());
        let mut workloads: Vec<_> = rows.iter().map(workload).collect();
        workloads.extend(outside.workloads());
        Ok(Overview {
            workloads,
            traffic: Some(self.traffic()),
            failed: Some(self.failures.all()),
            next: NEXT.map(Step::from).into(),
            ..self.desk.overview()?
        })
    }

    /// What went since a while ago.
    fn traffic(&self) -> Traffic {
        let now = self.telemetry.snapshot();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, time) = recent.look(self.clocks.now().mono, now.clone());
        let edges = signals::edges(before, &now, By::Edge);
        let shown = in_order(&edges).into_iter();
        let shown = shown.filter_map(|key| edges.get(key).map(|edge| told(key, edge)));
        Traffic {
            seconds: time.as_secs_f64(),
            edges: shown.collect(),
            ..Traffic::default()
        }
    }
}

fn told((from, to): &(String, String), edge: &signals::Edge) -> Edge {
    let micros = |took: std::time::Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    Edge {
        from: from.clone(),
        to: to.clone(),
        calls: edge.calls,
        failed: edge.failed,
        mtls: edge.mtls + edge.open_mtls,
        plain: edge.plain + edge.open_plain,
        open: edge.open(),
        sent: edge.sent,
        received: edge.received,
        p50_us: edge.p50.map(micros),
        p99_us: edge.p99.map(micros),
        ..Edge::default()
    }
}

fn workload(row: &Row) -> Workload {
    let has_failed = row.has_failed();
    Workload {
        name: row.name.clone(),
        state: match row.state {
            State::Starting => WorkloadState::Starting,
            State::Up(_) => WorkloadState::Up,
            State::Ended { .. } if has_failed => WorkloadState::Failed,
            State::Ended { .. } => WorkloadState::Ended,
        },
        what: row.typed.clone(),
        trouble: trouble(row),
        place: Some(row.place.clone()).filter(|place| !place.is_empty()),
        published: row.published.iter().map(ToString::to_string).collect(),
        next: has_failed.then(|| format!("leno logs {}", row.name)),
    }
}

/// What to go on with.
const NEXT: [(&str, &str); 5] = [
    ("leno tap --failed", "calls that fail, as they happen"),
    ("leno stat --edges", "what goes over each edge"),
    ("leno logs -f", "what the workloads say"),
    ("leno ps", "what runs, and where it is reached"),
    ("leno history", "what was changed, and by whom"),
];
