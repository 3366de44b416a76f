//! How others than the proxy get something signed for those whom it stands in front of: over the
//! connection by which it follows.

use leno_agent::{Authority, Given};
use leno_channel::grpc::Line;
use leno_identity::Credential;
use leno_model::SpiffeId;
use leno_wire::call;
use leno_wire::tokens::{Mint, Minted};
use tokio::sync::watch;

use crate::follow::certify::issued;

/// Asks the control plane that a proxy follows to sign.
#[derive(Clone, Debug)]
pub struct Signer(pub(super) watch::Receiver<Option<Line>>);

impl Signer {
    fn line(&self) -> Result<Line, String> {
        let line = self.0.borrow().clone();
        line.ok_or_else(|| "the control plane is away".to_owned())
    }
}

impl Authority for Signer {
    fn certificate(&self, id: &SpiffeId) -> Given<Credential> {
        let (line, id) = (self.line(), id.clone());
        Box::pin(async move {
            let (credential, _) = issued(&line?, &id).await?;
            Ok(credential)
        })
    }

    fn token(&self, id: &SpiffeId, audiences: &[String]) -> Given<String> {
        let line = self.line();
        let mint = Mint {
            identity: id.clone(),
            audiences: audiences.to_vec(),
        };
        Box::pin(async move {
            let minted = line?.ask(call::MINT, &mint.encode()).await;
            let minted = minted.map_err(|status| status.to_string())?;
            let minted = Minted::decode(&minted).map_err(|misfit| misfit.to_string())?;
            Ok(minted.token)
        })
    }
}
