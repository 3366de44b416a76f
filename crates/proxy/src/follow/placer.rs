//! How the proxy of a node finds out about a pod that is about to run there: over the connection by which it follows.

use leno_channel::grpc::Line;
use leno_wire::call;
use leno_wire::pods::{Arriving, Placed};
use tokio::sync::watch;

/// Asks the control plane that a proxy follows.
#[derive(Clone, Debug)]
pub struct Placer(pub(super) watch::Receiver<Option<Line>>);

impl Placer {
    /// Who carries the calls of a pod. Waits until there is a connection to the control plane, for as long as it is
    /// polled.
    pub async fn place(&mut self, pod: &Arriving) -> Result<Placed, String> {
        let line = self.0.wait_for(Option::is_some).await;
        let line = line.ok().and_then(|line| line.clone());
        let line = line.ok_or("nobody follows the control plane")?;
        let placed = line.ask(call::PLACE, &pod.encode()).await;
        let placed = placed.map_err(|status| status.to_string())?;
        Placed::decode(&placed).map_err(|misfit| misfit.to_string())
    }
}
