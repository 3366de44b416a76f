//! Certificates for proxies: the first one for evidence, the next ones for the one before.

use leno_channel::grpc::{Status, StatusCode};
use leno_identity::Validity;
use leno_model::{Code, SpiffeId};
use leno_wire::certificates::{Issued, Join, Joined, Leave, Renew};
use leno_wire::pods::Arriving;

use crate::attest::{Attested, Evidence, Wanted};
use crate::authority::NotIssued;
use crate::center::Center;
use crate::clock;
use crate::entitled::Entitled;
use crate::event::Event;
use crate::holders::{PodRef, Whose};
use crate::serve::Peer;

/// Gives whoever shows good evidence, `from` wherever it asks, a certificate for whom that proves it to
/// be.
pub(crate) fn join(
    center: &Center,
    from: &str,
    evidence: &dyn Evidence,
    join: &Join,
) -> Result<Vec<u8>, Status> {
    let refused = |code: Code, why: String| {
        center.tell(&Event::NotJoined {
            code,
            from: from.to_owned(),
            evidence: evidence.shown(),
            why,
        });
    };
    let wanted = Wanted::of(join);
    let wanted = wanted.map_err(|error| Status::new(StatusCode::InvalidArgument, error))?;
    let Attested { identity, pod } = evidence.attest(center, &wanted).map_err(|not| {
        refused(not.code, not.why.clone());
        Status::from(not)
    })?;
    if center.edition().trusted.revoked.contains(&identity) {
        let why = format!("{identity} is revoked");
        refused(Code::T005, why.clone());
        return Err(Status::new(StatusCode::PermissionDenied, why));
    }
    let whose = Whose { holder: None, pod };
    let issued = issue(center, &whose, &identity, &join.request, &evidence.shown())?;
    center.tell(&Event::Joined {
        identity,
        from: from.to_owned(),
        evidence: evidence.shown(),
    });
    let address = center.address.clone();
    Ok(Joined { issued, address }.encode())
}

/// Gives `peer` a certificate, for itself or for one that it is entitled to act as, and notes at its
/// proxy what came of it.
pub(crate) fn renew(center: &Center, peer: &Peer, renew: &Renew) -> Result<Vec<u8>, Status> {
    let issued = issue_to(center, peer, renew);
    if renew.pod.is_some() {
        // Another process holds it, and is no renewal of this one.
        return issued.map(|issued| issued.encode());
    }
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
    let edition = center.edition();
    let node = peer.node(center);
    let entitled = Entitled::new(&edition.mesh, proven, node.as_deref());
    let (granted, _) = entitled.split(&leave.workloads);
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
    let (edition, node) = (center.edition(), peer.node(center));
    let entitled = Entitled::new(&edition.mesh, proven, node.as_deref());
    prove_for(center, &entitled, id)?;
    let why = format!("renewed by {}/{}", proven.namespace, proven.service_account);
    let whose = match &renew.pod {
        None => peer.seat.whose(),
        Some(pod) => Whose {
            holder: None,
            pod: Some(own_process(&entitled, pod, id)?),
        },
    };
    issue(center, &whose, id, &renew.request, &why)
}

/// The pod whose own process is to have a certificate of `id`, if it is one of the node's that asks.
fn own_process(entitled: &Entitled<'_>, pod: &Arriving, id: &SpiffeId) -> Result<PodRef, Status> {
    if !entitled.serves(&pod.id, &pod.uid, id) {
        let message = format!("{} is no pod of the node's that acts as {id}", pod.id);
        return Err(Status::new(StatusCode::PermissionDenied, message));
    }
    Ok(PodRef {
        namespace: pod.id.namespace.clone(),
        name: pod.id.name.clone(),
        uid: pod.uid.as_str().into(),
    })
}

/// Whether somebody is given what proves that it acts as `id`.
pub(crate) fn prove_for(
    center: &Center,
    entitled: &Entitled<'_>,
    id: &SpiffeId,
) -> Result<(), Status> {
    let revoked = center.edition().trusted.revoked.contains(id);
    let message = match (revoked, entitled.may_act_as(id)) {
        (false, true) => return Ok(()),
        (true, _) => format!("{id} is revoked"),
        (false, false) => format!("{} may not act as {id}", entitled.proven()),
    };
    Err(Status::new(StatusCode::PermissionDenied, message))
}

/// Signs a certificate for `id`, whom the caller has attested, because of `why`.
pub(crate) fn issue(
    center: &Center,
    whose: &Whose,
    id: &SpiffeId,
    request: &[u8],
    why: &str,
) -> Result<Issued, Status> {
    if id.is_control_plane() {
        let message = format!("{id} is the control plane, and nobody else");
        return Err(Status::new(StatusCode::PermissionDenied, message));
    }
    let life = center.edition().mesh.lifetimes.leaf;
    let issued = center.authority.issue(request, id, life, clock::wall());
    let issued = issued.and_then(|signed| {
        center.holders.remember(&signed, whose, id, why)?;
        Ok(signed.what)
    });
    issued.map_err(|error| failed(&error))
}

fn failed(error: &NotIssued) -> Status {
    let code = match error {
        NotIssued::Request(_) => StatusCode::InvalidArgument,
        NotIssued::NotFounded | NotIssued::NotRemembered(_) => StatusCode::Unavailable,
        NotIssued::Revoked(_) => StatusCode::PermissionDenied,
        NotIssued::RootElsewhere => StatusCode::FailedPrecondition,
        NotIssued::CannotSign(_) | NotIssued::Key(_) | NotIssued::Bad(_) => StatusCode::Internal,
    };
    Status::new(code, error)
}
