//! Lets proxies renew a certificate at once, because somebody asks for it.

use std::sync::Arc;
use std::time::Duration;

use leno_admin::{Failure, RenewCertificate, Renewed, RenewedAt};
use leno_channel::generate_key;
use leno_model::{Code, SpiffeId, Wall};
use tokio::time::timeout;

use crate::administer::{identity, status};
use crate::authority::NotIssued;
use crate::center::Center;
use crate::clock;
use crate::fleet::{Certificate, Member};

/// How long proxies may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells each proxy that acts as the identity to renew, and waits for what comes of it.
pub(crate) async fn renew(center: Arc<Center>, ask: RenewCertificate) -> Result<Renewed, Failure> {
    let id = identity(&center, &ask.identity)?;
    let would_end = try_to_sign(&center, &id)?;
    let before = those_who_act_as(&center, &id);
    if before.is_empty() {
        return Err(Failure {
            advice: Some("leno proxies".to_owned()),
            ..Failure::plain(format_args!("no proxy that acts as {id} is connected"))
        });
    }
    if !ask.dry_run {
        tell_and_wait(&center, &before, &id).await;
    }
    let proxies = before.iter().map(|(number, member)| {
        let (ends, failed) = match ask.dry_run {
            true => (None, None),
            false => outcome(&center, *number, member, &id),
        };
        RenewedAt {
            proxy: member.name.clone(),
            ended: certificate(member, &id).ends.map(|ends| ends.to_string()),
            ends: ends.map(|ends| ends.to_string()),
            failed,
        }
    });
    Ok(Renewed {
        status: status(&center),
        identity: id.to_string(),
        dry_run: ask.dry_run,
        would_end: would_end.to_string(),
        proxies: proxies.collect(),
    })
}

/// Waits until each of the proxies has asked for a certificate or is gone, for a bounded time.
async fn tell_and_wait(center: &Center, before: &[(u64, Member)], id: &SpiffeId) {
    let mut heard = center.fleet.hear();
    for (_, member) in before {
        // One that is gone, or has too much to do, will not have asked in time.
        drop(member.renew.try_send(id.clone()));
    }
    let is_awaited = |(number, member): &(u64, Member)| {
        let asked = certificate(member, id).asked;
        let now = center.fleet.member(*number);
        now.is_some_and(|now| certificate(&now, id).asked == asked)
    };
    let all_have_asked =
        async { while before.iter().any(is_awaited) && heard.changed().await.is_ok() {} };
    // Who has not asked by then is told.
    drop(timeout(PATIENCE, all_have_asked).await);
}

/// What has become of the certificate of a proxy since it was as in `before`: its new end, or why not.
fn outcome(
    center: &Center,
    number: u64,
    before: &Member,
    id: &SpiffeId,
) -> (Option<Wall>, Option<String>) {
    let Some(now) = center.fleet.member(number) else {
        return (None, Some("it went away".to_owned()));
    };
    let now = certificate(&now, id);
    if now.asked == certificate(before, id).asked {
        let patience = PATIENCE.as_secs();
        return (None, Some(format!("it has not asked within {patience} s")));
    }
    match now.failures {
        Some(failures) => (None, Some(failures.why)),
        None => (now.ends, None),
    }
}

/// Signs a certificate for a key that nobody keeps, and says when it would end.
fn try_to_sign(center: &Center, id: &SpiffeId) -> Result<Wall, Failure> {
    let edition = center.edition();
    if edition.trusted.revoked.contains(id) {
        return Err(Failure {
            advice: Some(format!(
                "leno certs reinstate {}/{} (lets it in again)",
                id.namespace, id.service_account
            )),
            ..Failure::coded(
                Code::T005,
                format_args!("{id} is revoked: nothing is signed for it"),
            )
        });
    }
    let request = generate_key().request();
    let life = edition.mesh.lifetimes.leaf;
    let issued = center.authority.issue(&request, id, life, clock::wall());
    let issued = issued.map_err(|error| match error {
        NotIssued::NotFounded => {
            Failure::plain("there is no CA yet: no certificate can be renewed")
        }
        NotIssued::Request(_)
        | NotIssued::CannotSign(_)
        | NotIssued::RootElsewhere
        | NotIssued::Revoked(_)
        | NotIssued::Key(_)
        | NotIssued::NotRemembered(_)
        | NotIssued::Bad(_) => Failure::coded(Code::T007, error),
    })?;
    Ok(issued.validity.ends)
}

/// The proxies that act as `id`, each with its number.
fn those_who_act_as(center: &Center, id: &SpiffeId) -> Vec<(u64, Member)> {
    let edition = center.edition();
    let acts = |member: &Member| {
        let mut instances = member
            .workloads
            .iter()
            .filter_map(|workload| edition.mesh.instances.get(workload));
        member.identity == *id || instances.any(|instance| instance.workload.identity == *id)
    };
    let mut members = center.fleet.members();
    members.retain(|(_, member)| acts(member));
    members
}

fn certificate(member: &Member, id: &SpiffeId) -> Certificate {
    member.certificates.get(id).cloned().unwrap_or_default()
}
