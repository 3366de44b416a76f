//! What goes through the proxy of a mesh that is up, reported to the control plane beside it.

use leno_control::NotTaken as NotKept;
use leno_proxy::reports::{NotTaken, Reports};
use leno_wire::flows::Taken;

/// Reports to `take` for as long as it is polled, and tells `trouble` what is amiss.
pub(super) async fn report(
    mut reports: Reports,
    take: impl Fn(&[u8]) -> Result<Taken, NotKept> + Clone + Send + 'static,
    mut trouble: impl FnMut(String),
) {
    loop {
        let take = take.clone();
        reports.send(|message| async move {
            let taken = tokio::task::spawn_blocking(move || take(&message)).await;
            match taken {
                Ok(Ok(taken)) => Ok(taken),
                Ok(Err(NotKept::Misfit(why))) => Err(NotTaken::Never(why.to_string())),
                Ok(Err(NotKept::Failed(_))) | Err(_) => Err(NotTaken::Yet),
            }
        });
        if let Some(told) = reports.turn().await {
            trouble(leno_proxy::follow::Event::Report(told).to_string());
        }
    }
}
