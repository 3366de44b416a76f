//! Control planes beside this one, of the same mesh: each is told of roots and revocations, and is given an intermediate.
//! One is whoever proves to be a pod of Leno's own namespace that acts as the account of one.

use std::sync::Arc;

use leno_channel::grpc::{Call, Status, StatusCode};
use leno_identity::BundleHash;
use leno_model::Code;
use leno_wire::beside::{Endorse, Endorsed, Follow, Lead};

use crate::authority::NotIssued;
use crate::center::Center;
use crate::clock;
use crate::event::Event;
use crate::serve::Peer;

/// Tells one that stands beside of each change, for as long as it is one, and notes what it holds.
pub(crate) async fn run(center: &Arc<Center>, peer: &Peer, call: Call) {
    let Call {
        mut messages,
        mut answer,
        ..
    } = call;
    let mut editions = center.editions.subscribe();
    let mut told = None;
    let end = loop {
        let led = peer.beside(center).and_then(|name| {
            let lead = lead(center).ok_or_else(not_founded)?;
            Ok((name, lead))
        });
        let (name, lead) = match led {
            Ok(led) => led,
            Err(status) => break Err(status),
        };
        if told.as_ref() != Some(&lead) {
            if told.is_none() {
                // The processes before this one hold nothing any more.
                if let Err(failed) = peer.seat.outlive() {
                    center.trouble(failed.code(), failed);
                }
            }
            if let Err(status) = answer.send(&lead.encode()).await {
                break Err(status);
            }
            told = Some(lead);
        }
        tokio::select! {
            message = messages.next() => match message.map(|it| it.map(|it| Follow::decode(&it))) {
                Ok(Some(Ok(follow))) => {
                    peer.seat.holds(name.account().as_str(), follow.holds.map(BundleHash));
                }
                Ok(Some(Err(misfit))) => break Err(Status::new(StatusCode::InvalidArgument, misfit)),
                Ok(None) => break Ok(()),
                Err(status) => break Err(status),
            },
            changed = editions.changed() => if changed.is_err() {
                break Err(Status::new(StatusCode::Unavailable, "the control plane is stopping"));
            },
        }
        editions.borrow_and_update();
    };
    // One that is gone needs no answer.
    drop(answer.finish(end));
}

/// What those beside this one are told; nothing while there is no CA.
fn lead(center: &Center) -> Option<Lead> {
    let told = center.authority.told()?;
    Some(Lead {
        active: told.fingerprint().0,
        trust_domain: told.domain,
        roots: told.roots,
        revoked: center.edition().trusted.revoked.iter().cloned().collect(),
    })
}

/// Gives one that stands beside an intermediate, for a key of its own.
pub(crate) fn endorse(center: &Center, peer: &Peer, ask: &Endorse) -> Result<Vec<u8>, Status> {
    let name = peer.beside(center)?;
    let lifetimes = center.edition().mesh.lifetimes;
    let endorsed = center
        .authority
        .endorse(&ask.request, lifetimes, clock::wall());
    let (chain, validity) = endorsed.map_err(|why| not_endorsed(&why))?;
    center.tell(&Event::Endorsed {
        name,
        until: validity.ends,
    });
    Ok(Endorsed { chain }.encode())
}

fn not_founded() -> Status {
    Status::new(StatusCode::Unavailable, "there is no CA yet")
}

fn not_endorsed(why: &NotIssued) -> Status {
    let code = match why {
        NotIssued::Request(_) => StatusCode::InvalidArgument,
        NotIssued::NotFounded | NotIssued::NotRemembered(_) => StatusCode::Unavailable,
        NotIssued::RootElsewhere => StatusCode::FailedPrecondition,
        NotIssued::Revoked(_) => StatusCode::PermissionDenied,
        NotIssued::CannotSign(_) | NotIssued::Key(_) | NotIssued::Bad(_) => StatusCode::Internal,
    };
    Status::new(code, why)
}

/// Why somebody is none that stands beside.
pub(crate) fn stranger(why: &str) -> Status {
    let (code, slug) = (Code::T021, Code::T021.slug());
    Status::new(
        StatusCode::PermissionDenied,
        format!("{code} {slug}: {why}"),
    )
}
