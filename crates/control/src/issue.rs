//! Certificates for proxies: the first one for a token, the next ones for the one before.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use leno_channel::grpc::{Status, StatusCode};
use leno_identity::{Fingerprint, Validity};
use leno_model::{Name, SpiffeId};
use leno_store::{Grant, NotSpent};
use leno_wire::certificates::{Issued, Join, Leave, Renew};

use crate::authority::NotIssued;
use crate::center::Center;
use crate::clock;
use crate::entitled::{entitled, may_act_as, node};
use crate::event::Event;
use crate::serve::Peer;

/// Gives whoever shows a good token a certificate for the identity that it grants.
pub(crate) fn join(center: &Center, address: IpAddr, join: &Join) -> Result<Vec<u8>, Status> {
    let refused = |why: &dyn ToString| {
        let (token, why) = (join.token.clone(), why.to_string());
        center.tell(&Event::NotJoined {
            address,
            token,
            why,
        });
    };
    let wanted = join.service_account.as_deref().map(Name::new).transpose();
    let wanted = wanted.map_err(|error| Status::new(StatusCode::InvalidArgument, error))?;
    let now = clock::wall();
    let hash = digest(&SHA256, &join.secret);
    let hash = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
    let grant = match center.store.spend_token(&join.token, &hash, now) {
        Ok(grant) => grant,
        Err(NotSpent::Failed(failed)) => {
            center.trouble(failed.code(), &failed);
            return Err(Status::new(StatusCode::Unavailable, "the store failed"));
        }
        Err(why) => {
            refused(&why);
            // Which of the reasons it is, is not for somebody who guesses.
            return Err(Status::new(
                StatusCode::Unauthenticated,
                "the token is not good",
            ));
        }
    };
    let account = account(&grant, wanted).inspect_err(|status| refused(status))?;
    let told = center
        .authority
        .told()
        .ok_or_else(|| failed(&NotIssued::NotFounded))?;
    let identity = SpiffeId {
        trust_domain: told.domain,
        namespace: grant.namespace,
        service_account: account,
    };
    let why = format!("token {}", join.token);
    let issued = issue(center, None, &identity, &join.request, &why)?;
    let token = join.token.clone();
    center.tell(&Event::Joined {
        identity,
        address,
        token,
    });
    Ok(issued.encode())
}

/// Gives `peer` a certificate, for itself or for one that it is entitled to act as, and notes at its
/// proxy what came of it.
pub(crate) fn renew(center: &Center, peer: &Peer, renew: &Renew) -> Result<Vec<u8>, Status> {
    let issued = issue_to(center, peer, renew);
    let noted = match &issued {
        Ok(issued) => {
            let leaf = issued.chain.first();
            let validity = leaf.and_then(|leaf| Validity::of(leaf));
            validity
                .map(|validity| validity.ends)
                .ok_or_else(|| "what was signed cannot be read".to_owned())
        }
        Err(status) => Err(status.to_string()),
    };
    center.fleet.certified(peer.address, &renew.identity, noted);
    issued.map(|issued| issued.encode())
}

/// Lets `peer` go away for good, and the workloads with it that it is entitled to stand in front of.
pub(crate) fn leave(center: &Center, peer: &Peer, leave: &Leave) -> Result<Vec<u8>, Status> {
    let proven = peer.caller.id();
    let (granted, _) = entitled(&center.edition().mesh, proven, &leave.workloads);
    let left = center.tunnels.leave(&granted);
    left.and_then(|()| peer.seat.leave()).map_err(|failed| {
        center.trouble(failed.code(), &failed);
        Status::new(StatusCode::Unavailable, "the store failed")
    })?;
    center.tell(&Event::Left {
        identity: proven.clone(),
        workloads: granted,
    });
    Ok(Vec::new())
}

fn issue_to(center: &Center, peer: &Peer, renew: &Renew) -> Result<Issued, Status> {
    let (id, proven) = (&renew.identity, peer.caller.id());
    let revoked = center.edition().trusted.revoked.contains(id);
    if revoked || !may_act_as(proven, id) {
        let message = match revoked {
            true => format!("{id} is revoked"),
            false => format!("{proven} may not act as {id}"),
        };
        return Err(Status::new(StatusCode::PermissionDenied, message));
    }
    let why = format!("renewed by {}/{}", proven.namespace, proven.service_account);
    issue(center, Some(peer.seat.holder()), id, &renew.request, &why)
}

/// Signs a certificate for `id`, whom the caller has attested, because of `why`.
pub(crate) fn issue(
    center: &Center,
    holder: Option<Fingerprint>,
    id: &SpiffeId,
    request: &[u8],
    why: &str,
) -> Result<Issued, Status> {
    let life = center.edition().mesh.lifetimes.leaf;
    let issued = center.authority.issue(request, id, life, clock::wall());
    let issued = issued.and_then(|signed| {
        center.holders.remember(&signed, holder, id, why)?;
        Ok(signed.what)
    });
    issued.map_err(|error| failed(&error))
}

/// Whom a grant lets its bearer act as: the one that it names, else the one that is wanted, else a node.
fn account(grant: &Grant, wanted: Option<Name>) -> Result<Name, Status> {
    match (&grant.service_account, wanted) {
        (Some(granted), Some(wanted)) if *granted != wanted => {
            let message = format!("the token is for {granted}, not for {wanted}");
            Err(Status::new(StatusCode::PermissionDenied, message))
        }
        (Some(granted), _) => Ok(granted.clone()),
        (None, Some(wanted)) => Ok(wanted),
        (None, None) => Ok(node()),
    }
}

fn failed(error: &NotIssued) -> Status {
    let code = match error {
        NotIssued::Request(_) => StatusCode::InvalidArgument,
        NotIssued::NotFounded | NotIssued::NotRemembered(_) => StatusCode::Unavailable,
        NotIssued::Revoked(_) => StatusCode::PermissionDenied,
        NotIssued::CannotSign(_) | NotIssued::Key(_) | NotIssued::Bad(_) => StatusCode::Internal,
    };
    Status::new(code, error)
}
