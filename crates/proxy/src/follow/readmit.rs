//! Another certificate for one that has ended, for as long as people let that be at the control plane.
//! The one that ended says who asks, and its key that it is still the same.

use leno_channel::grpc::{self, Line, Proven};
use leno_channel::{Clocks, HandshakeFailure, WhyFailed, generate_key, words};
use leno_identity::{Credential, Distrust, Trust};
use leno_model::SpiffeId;
use leno_wire::call;
use leno_wire::certificates::{Issued, Readmit, control_plane};

use crate::follow::stream::EndWith;

/// Asks the control plane at `address` for another certificate in the place of `ended`.
pub(super) async fn readmit(
    ended: &Credential,
    trust: &Trust,
    clocks: &Clocks,
    address: &str,
) -> Result<Credential, String> {
    let stream = grpc::connect(address).await;
    let stream = stream.map_err(|error| format!("{address}: {}", words(&error)))?;
    let expected = control_plane(&ended.id().trust_domain);
    let joining = grpc::join(stream, clocks.clock(), Proven::ByTrust(trust), &expected).await;
    let joining = joining.map_err(|failure| not_proven(&failure, ended.id()))?;
    let (line, run) = Line::open(joining.stream)
        .await
        .map_err(|status| status.to_string())?;
    let _run = EndWith(tokio::spawn(async move {
        // Why it ended is told by the call that ends with it.
        drop(run.await);
    }));
    let key = generate_key();
    let request = key.request();
    let seal = ended.seal(&request, ended.validity().ends);
    let readmit = Readmit {
        chain: ended.chain().to_vec(),
        signature: seal.map_err(|error| error.to_string())?.signature,
        request,
    };
    let issued = line.ask(call::READMIT, &readmit.encode()).await;
    let issued = issued.map_err(|status| format!("its certificate has ended: {status}"))?;
    let issued = Issued::decode(&issued).map_err(|misfit| misfit.to_string())?;
    let credential = Credential::new(issued.chain, key).map_err(|error| error.to_string())?;
    match credential.id() == ended.id() {
        true => Ok(credential),
        false => Err(format!("a certificate of {} came", credential.id())),
    }
}

/// Why whoever answered is not the control plane, and what lets this host in again where no root that it knows can tell.
fn not_proven(failure: &HandshakeFailure, own: &SpiffeId) -> String {
    let (namespace, account) = (&own.namespace, &own.service_account);
    match &failure.why {
        WhyFailed::Distrusted(Distrust::Expired { .. } | Distrust::UnknownAuthority { .. }) => {
            format!(
                "{failure}; no root that this host knows leads to it: join again here by another token, from `leno token \
             create {namespace}/{account}`"
            )
        }
        _ => failure.to_string(),
    }
}
