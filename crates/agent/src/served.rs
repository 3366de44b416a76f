//! What an agent goes by: who may be whom on this host, and what proves identities.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_host::NetworkId;
use leno_model::view::{View, WorkloadId};
use leno_model::{ProcessMatch, SpiffeId, TrustDomain};

/// What an agent goes by, replaced as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Served {
    /// The own trust domain.
    pub trust_domain: TrustDomain,
    /// The workloads of this host.
    pub workloads: Vec<Workload>,
    /// The roots that prove identities, by trust domain.
    pub bundles: BTreeMap<TrustDomain, Arc<Vec<Vec<u8>>>>,
    /// The keys that prove JWT-SVIDs, by trust domain, each a JWK Set.
    pub token_keys: BTreeMap<TrustDomain, Arc<str>>,
    /// Who gets nothing.
    pub revoked: Arc<BTreeSet<SpiffeId>>,
}

/// A workload of this host, and what makes a process be it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// Who it is.
    pub identity: SpiffeId,
    /// The network namespace that is its alone. Whoever is in there is it, and nobody else.
    pub network: Option<NetworkId>,
    /// What else may be it.
    pub processes: Arc<[ProcessMatch]>,
}

impl Served {
    /// What an agent goes by that knows nothing yet: nobody is anybody.
    pub fn nothing(trust_domain: TrustDomain) -> Self {
        Self {
            trust_domain,
            workloads: Vec::new(),
            bundles: BTreeMap::new(),
            token_keys: BTreeMap::new(),
            revoked: Arc::default(),
        }
    }

    /// What a proxy goes by that holds `view`, on whose host some workloads have network namespaces
    /// of their own.
    pub fn of(view: &View, networks: &BTreeMap<WorkloadId, NetworkId>) -> Self {
        let workloads = view.workloads.values().map(|workload| Workload {
            identity: workload.identity.clone(),
            network: networks.get(&workload.id).copied(),
            processes: Arc::clone(&workload.processes),
        });
        let proven = view.bundles.iter().filter(|(_, roots)| !roots.is_empty());
        Self {
            trust_domain: view.settings.trust_domain.clone(),
            workloads: workloads.collect(),
            bundles: proven
                .map(|(domain, roots)| (domain.clone(), Arc::clone(roots)))
                .collect(),
            token_keys: view.token_keys.clone(),
            revoked: Arc::clone(&view.revoked),
        }
    }
}
