//! How the process of one pod gets its first certificate: the proxy of its node asks for it, which may act for the pod and
//! never sees the key.

use std::path::Path;

use leno_channel::generate_key;
use leno_channel::grpc::Line;
use leno_model::SpiffeId;
use leno_wire::call;
use leno_wire::certificates::{Issued, Joined, Renew};
use leno_wire::pods::Arriving;
use tokio::sync::watch;

use crate::follow::folder::Folder;
use crate::follow::join::{NotJoined, keep};

/// Asks the control plane that the proxy of a node follows.
#[derive(Clone, Debug)]
pub struct Voucher {
    line: watch::Receiver<Option<Line>>,
    /// Host and port of the control plane.
    address: String,
}

impl Voucher {
    /// Asks over the line that stands at the moment, of the control plane at this host and port.
    pub fn new(line: watch::Receiver<Option<Line>>, address: String) -> Self {
        Self { line, address }
    }

    /// What [`join_vouched`] takes: a certificate of `identity` for whoever made `request`, the process of `pod`. Waits
    /// until there is a connection to the control plane, for as long as it is polled.
    pub async fn vouch(
        &mut self,
        pod: &Arriving,
        identity: &SpiffeId,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let line = self.line.wait_for(Option::is_some).await;
        let line = line.ok().and_then(|line| line.clone());
        let line = line.ok_or("nobody follows the control plane")?;
        let renew = Renew {
            identity: identity.clone(),
            request,
            pod: Some(pod.clone()),
        };
        let issued = line.ask(call::RENEW, &renew.encode()).await;
        let issued = issued.map_err(|status| status.to_string())?;
        let issued = Issued::decode(&issued).map_err(|misfit| misfit.to_string())?;
        let address = self.address.clone();
        Ok(Joined { issued, address }.encode())
    }
}

/// Joins by what a [`Voucher`] brings, whom `ask` shows a request for a certificate, and keeps what came of it in
/// `folder`; says who the process is from then on. Blocks for as long as `ask` does.
pub fn join_vouched(
    ask: impl FnOnce(Vec<u8>) -> std::io::Result<Vec<u8>>,
    folder: &Path,
) -> Result<SpiffeId, Box<NotJoined>> {
    let folder = Folder::make(folder).map_err(NotJoined::NotKept)?;
    let key = generate_key();
    let vouched = ask(key.request()).map_err(NotJoined::Away)?;
    let Joined { issued, address } = Joined::decode(&vouched).map_err(NotJoined::Misfit)?;
    keep(&folder, key, issued, address)
}
