//! How a mesh is that is up on this machine: what its control plane knows, and what runs.

use std::path::PathBuf;

use leno_admin::{Failure, Overview, Step, Workload, WorkloadState};
use leno_control::Desk;
use tokio::sync::{mpsc, oneshot};

use crate::up::{Happened, Outside, Question, Row, Source, State, Up, trouble};

/// A mesh that is up in this process.
pub(crate) struct Local {
    desk: Desk,
    folder: PathBuf,
    inbox: mpsc::UnboundedSender<Happened>,
}

impl Local {
    pub(crate) fn of(up: &Up) -> Self {
        Self {
            desk: up.desk().clone(),
            folder: up.folder().to_owned(),
            inbox: up.inbox(),
        }
    }

    /// How the mesh is at this moment.
    pub(crate) async fn look(&self) -> Result<Overview, Failure> {
        let ending = || Failure::plain("the mesh is ending");
        let (answer, rows) = oneshot::channel();
        let asked = self.inbox.send(Happened::Asked(Question::Rows(answer)));
        asked.map_err(|_| ending())?;
        let rows = rows.await.map_err(|_| ending())?;
        let ids = rows.iter().map(|row| row.id.clone());
        let outside = Outside::read(&self.folder, &ids.collect::<Vec<_>>());
        let mut workloads: Vec<_> = rows.iter().map(workload).collect();
        workloads.extend(outside.workloads());
        let desk = self.desk.clone();
        // It reads what is kept of calls.
        let known = tokio::task::spawn_blocking(move || desk.overview());
        let known = known.await.map_err(|_| ending())??;
        let told = Overview {
            file: Source::file_of(&self.folder).map(str::to_owned),
            workloads,
            next: NEXT.map(Step::from).into(),
            ..known
        };
        Ok(told.judged())
    }
}

fn workload(row: &Row) -> Workload {
    let has_failed = row.has_failed();
    Workload {
        name: row.called(),
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
        next: has_failed.then(|| format!("leno logs {}", row.called())),
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
