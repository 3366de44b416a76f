//! What goes through the proxy of a mesh that is up, reported to the control plane beside it.

use std::time::Duration;

use leno_control::NotTaken as NotKept;
use leno_proxy::reports::{NotTaken, Reports};
use leno_wire::flows::Taken;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long the end of a mesh may wait until its last calls are kept.
const LAST: Duration = Duration::from_secs(2);

/// Reports for as long as it lives, on a task of its own.
pub(super) struct Reporting {
    is_over: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Reporting {
    /// Reports to `take`, and tells `trouble` what is amiss. Needs a `LocalSet` around it.
    pub(super) fn begin(
        reports: Reports,
        take: impl Fn(&[u8]) -> Result<Taken, NotKept> + Clone + Send + 'static,
        trouble: impl FnMut(String) + 'static,
    ) -> Self {
        let (is_over, over) = oneshot::channel();
        let task = tokio::task::spawn_local(report(reports, take, trouble, over));
        Self { is_over, task }
    }

    /// Reports what is left, once nothing goes through the proxy any more.
    pub(super) async fn end(self) {
        // One that has ended by itself has told why.
        self.is_over.send(()).ok();
        drop(tokio::time::timeout(LAST, self.task).await);
    }
}

async fn report(
    mut reports: Reports,
    take: impl Fn(&[u8]) -> Result<Taken, NotKept> + Clone + Send + 'static,
    mut trouble: impl FnMut(String),
    mut over: oneshot::Receiver<()>,
) {
    loop {
        let take = take.clone();
        reports.send(|message| hand_over(take, message));
        let told = tokio::select! {
            told = reports.turn() => told,
            _ = &mut over => break,
        };
        if let Some(told) = told {
            trouble(leno_proxy::follow::Event::Report(told).to_string());
        }
    }
    if reports.gather_the_last() {
        reports
            .finish(|message| hand_over(take.clone(), message))
            .await;
    }
}

async fn hand_over(
    take: impl Fn(&[u8]) -> Result<Taken, NotKept> + Send + 'static,
    message: Vec<u8>,
) -> Result<Taken, NotTaken> {
    let taken = tokio::task::spawn_blocking(move || take(&message)).await;
    match taken {
        Ok(Ok(taken)) => Ok(taken),
        Ok(Err(NotKept::Misfit(why))) => Err(NotTaken::Never(why.to_string())),
        Ok(Err(NotKept::Failed(_))) | Err(_) => Err(NotTaken::Yet),
    }
}
