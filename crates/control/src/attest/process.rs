//! A process of this host, by its connection to a Unix socket: it is whom a `MeshWorkload` says it to be
//! (`spec.attestation.processes`).

use std::collections::{BTreeMap, BTreeSet};

use leno_host::Peer;
use leno_model::view::Workload;
use leno_model::{ProcessFacts, SpiffeId};

use super::{Attested, Evidence, NotAttested, Wanted};
use crate::center::Center;

/// What is known of the process at the other end of a connection.
pub(crate) struct Process(ProcessFacts);

/// Of how many workloads it is said why the process is none of them.
const MOST_TOLD: usize = 3;

impl Process {
    /// Reads what `center` wants to know of the peer. Blocks while its program is read.
    pub(crate) fn of(peer: &Peer, center: &Center) -> Self {
        let edition = center.edition();
        Self(peer.facts(|facts| {
            let workloads = edition.mesh.instances.values().map(|it| &it.workload);
            let mut demands = workloads.flat_map(|it| it.processes.iter());
            demands.any(|demand| demand.wants_hash(facts))
        }))
    }
}

impl Evidence for Process {
    fn shown(&self) -> String {
        self.0.to_string()
    }

    fn attest(&self, center: &Center, wanted: &Wanted) -> Result<Attested, NotAttested> {
        let edition = center.edition();
        let workloads = edition.mesh.instances.values().map(|it| &*it.workload);
        let (matching, others) = judge(&self.0, workloads);
        let chosen = wanted.choose(matching, || {
            if others.is_empty() {
                let known = "no MeshWorkload has spec.attestation.processes";
                return format!("{}: {known}", self.0);
            }
            let told: Vec<_> = others.into_iter().take(MOST_TOLD).collect();
            format!("{} is none that is known: {}", self.0, told.join("; "))
        });
        chosen.map(Attested::from)
    }
}

/// Whom the process may act as, and why it may not act as others, in words.
fn judge<'a>(
    facts: &ProcessFacts,
    workloads: impl Iterator<Item = &'a Workload>,
) -> (BTreeSet<SpiffeId>, BTreeSet<String>) {
    let demands = workloads.flat_map(|it| it.processes.iter().map(|one| (&it.identity, one)));
    let mut matching = BTreeSet::new();
    let mut others = BTreeMap::new();
    for (id, demand) in demands {
        let why = demand.mismatch(facts);
        others.extend(why.map(|why| (id, why)));
        if why.is_none() {
            matching.insert(id.clone());
        }
    }
    let others = others.into_iter().map(|(id, why)| {
        let SpiffeId {
            namespace,
            service_account,
            ..
        } = id;
        format!("for {namespace}/{service_account} {why}")
    });
    (matching, others.collect())
}
