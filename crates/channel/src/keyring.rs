//! The identities of one process, and what it judges others by. Both are replaced while connections
//! live; a handshake takes what stands when it begins, and is judged by what stands when it ends.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arc_swap::ArcSwap;
use leno_identity::{BadKey, Credential, Trust};
use leno_model::SpiffeId;

use crate::{basis::Basis, clock::Clock, own::Own, sni::peer_name};

/// The identities of one process, and what it judges others by. Shared by all its workers.
///
/// [`Self::accept`] and [`Self::connect`] are what it is for.
#[derive(Debug)]
pub struct Keyring {
    pub(crate) basis: Basis,
    trust: ArcSwap<Trust>,
    held: ArcSwap<Held>,
}

impl Keyring {
    /// A keyring with no identity, that trusts nobody.
    pub fn new(clock: Clock) -> Self {
        Self {
            basis: Basis::new(clock),
            trust: ArcSwap::default(),
            held: ArcSwap::default(),
        }
    }

    /// Holds `credential`, in the place of an earlier one of the same identity. Open connections go
    /// on; sessions of the earlier one are not resumed.
    pub fn install(&self, credential: &Credential) -> Result<(), BadKey> {
        let own = Arc::new(Own::new(credential, &self.basis)?);
        self.held.rcu(|held| held.with(&own));
        Ok(())
    }

    /// Holds `id` no more. Open connections go on.
    pub fn remove(&self, id: &SpiffeId) {
        self.held.rcu(|held| held.without(id));
    }

    /// Judges by `trust` from here on, also in handshakes that are under way.
    pub fn judge_by(&self, trust: Arc<Trust>) {
        self.trust.store(trust);
    }

    /// Resumes no session of `id` as a client: its next calls prove everything anew, and are told why
    /// they are refused.
    pub fn forget_sessions(&self, id: &SpiffeId) {
        if let Some(own) = self.own(id) {
            own.forget_client_sessions();
        }
    }

    /// What it judges by.
    pub fn trust(&self) -> Arc<Trust> {
        self.trust.load_full()
    }

    /// The identities it holds.
    pub fn identities(&self) -> Vec<SpiffeId> {
        self.held.load().by_id.keys().cloned().collect()
    }

    pub(crate) fn own(&self, id: &SpiffeId) -> Option<Arc<Own>> {
        self.held.load().by_id.get(id).cloned()
    }

    /// Whom a client means that asks for `name`. Where only one identity is held it is the one: a
    /// client that expected somebody else then learns who is here.
    pub(crate) fn asked_for(&self, name: Option<&str>) -> Option<Arc<Own>> {
        let held = self.held.load();
        if let Some(own) = name.and_then(|name| held.by_name.get(name)) {
            return Some(Arc::clone(own));
        }
        let mut all = held.by_id.values();
        match (all.next(), all.next()) {
            (Some(only), None) => Some(Arc::clone(only)),
            (None | Some(_), _) => None,
        }
    }
}

/// The identities held, by themselves and by the name that clients ask for.
#[derive(Clone, Default, Debug)]
struct Held {
    by_id: BTreeMap<SpiffeId, Arc<Own>>,
    by_name: HashMap<String, Arc<Own>>,
}

impl Held {
    fn with(&self, own: &Arc<Own>) -> Self {
        let mut held = self.clone();
        held.by_name.insert(peer_name(own.id()), Arc::clone(own));
        held.by_id.insert(own.id().clone(), Arc::clone(own));
        held
    }

    fn without(&self, id: &SpiffeId) -> Self {
        let mut held = self.clone();
        held.by_name.remove(&peer_name(id));
        held.by_id.remove(id);
        held
    }
}
