//! Who a process is: by the network namespace that it is in, else by what its workload demands of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use leno_channel::grpc::{Status, StatusCode};
use leno_host::Peer;
use leno_model::{Code, ProcessFacts, SpiffeId};

use crate::served::Served;

/// Of how many workloads it is said why a process is none of them.
const MOST_TOLD: usize = 3;

/// Whom `peer` may act as, which is somebody; or why nobody, in words.
pub(crate) async fn attest(
    peer: &Arc<Peer>,
    served: &Arc<Served>,
) -> Result<BTreeSet<SpiffeId>, String> {
    let inside = served.workloads.iter().filter(|it| it.network.is_some());
    let mut inside = inside.filter(|it| it.network == peer.network());
    let found = match inside.next() {
        Some(workload) => BTreeSet::from([workload.identity.clone()]),
        None => by_process(peer, served).await?,
    };
    let is_revoked = |id: &&SpiffeId| served.revoked.contains(*id);
    match found.iter().find(is_revoked) {
        Some(id) => Err(format!("{id} is revoked")),
        None => Ok(found),
    }
}

/// The same as an answer.
pub(crate) fn denied(why: &str) -> Status {
    let (code, slug) = (Code::T021, Code::T021.slug());
    Status::new(
        StatusCode::PermissionDenied,
        format_args!("{code} {slug}: {why}"),
    )
}

async fn by_process(peer: &Arc<Peer>, served: &Arc<Served>) -> Result<BTreeSet<SpiffeId>, String> {
    if served.workloads.iter().all(|it| it.processes.is_empty()) {
        return Err(
            "it is in no workload's network namespace, and none that this proxy serves has \
             spec.attestation.processes"
                .to_owned(),
        );
    }
    let (peer, known) = (Arc::clone(peer), Arc::clone(served));
    let facts = tokio::task::spawn_blocking(move || {
        peer.facts(|facts| {
            let mut demands = known.workloads.iter().flat_map(|it| it.processes.iter());
            demands.any(|demand| demand.wants_hash(facts))
        })
    });
    let facts = facts.await;
    let facts = facts.map_err(|_| "it could not be looked at".to_owned())?;
    judge(&facts, served)
}

fn judge(facts: &ProcessFacts, served: &Served) -> Result<BTreeSet<SpiffeId>, String> {
    let (mut found, mut others) = (BTreeSet::new(), BTreeSet::new());
    for workload in &served.workloads {
        let SpiffeId {
            namespace,
            service_account,
            ..
        } = &workload.identity;
        for demand in workload.processes.iter() {
            let why = demand.mismatch(facts);
            others.extend(why.map(|why| format!("for {namespace}/{service_account} {why}")));
            if why.is_none() {
                found.insert(workload.identity.clone());
            }
        }
    }
    if found.is_empty() {
        let told: Vec<_> = others.into_iter().take(MOST_TOLD).collect();
        return Err(told.join("; "));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use leno_model::{ProcessMatch, TrustDomain, Unread};

    use super::*;
    use crate::served::Workload;

    #[test]
    fn a_process_is_whoever_demands_nothing_that_it_is_not() {
        let workload = |name: &str, user, path: Option<&str>| Workload {
            identity: SpiffeId::parse(&format!("spiffe://shop.local/ns/shop/sa/{name}")).unwrap(),
            network: None,
            processes: Arc::new([ProcessMatch {
                user: Some(user),
                path: path.map(Into::into),
                ..ProcessMatch::default()
            }]),
        };
        let served = Served {
            trust_domain: TrustDomain::new("shop.local").unwrap(),
            workloads: vec![
                workload("cart", 1001, None),
                workload("batch", 1001, None),
                workload("mail", 1001, Some("/usr/bin/mail")),
                workload("web", 1002, None),
            ],
            bundles: BTreeMap::new(),
            token_keys: BTreeMap::new(),
            revoked: Arc::default(),
        };
        let check = |user, expect: &str| {
            let facts = ProcessFacts {
                pid: 7,
                user,
                group: 7,
                path: Err(Unread::NotAllowed),
                sha256: Err(Unread::NotAsked),
            };
            let told = match judge(&facts, &served) {
                Ok(ids) => {
                    let accounts = ids.iter().map(|id| id.service_account.as_str());
                    accounts.collect::<Vec<_>>().join(" ")
                }
                Err(why) => why,
            };
            assert_eq!(told, expect, "{user}");
        };
        check(1001, "batch cart");
        check(1002, "web");
        check(
            1003,
            "for shop/batch the user differs; for shop/cart the user differs; \
             for shop/mail the user differs",
        );
    }
}
