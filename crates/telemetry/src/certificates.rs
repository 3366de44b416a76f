//! How the certificates of a proxy stand, for whoever reads its metrics: also while there is no control plane that
//! could tell.

use std::collections::BTreeMap;
use std::sync::Mutex;

use leno_model::{SpiffeId, Wall};

use crate::lock::lock;

/// How each certificate stands that a process holds or waits for.
#[derive(Default, Debug)]
pub struct Certificates(Mutex<BTreeMap<SpiffeId, Standing>>);

/// How one certificate stands.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its last second; `None` for one that never came.
    pub ends: Option<Wall>,
    /// How many times in a row it was asked for in vain.
    pub failures: u64,
}

impl Certificates {
    /// One for `id` is held whose last second is `ends`.
    pub fn held(&self, id: &SpiffeId, ends: Wall) {
        let standing = Standing {
            ends: Some(ends),
            failures: 0,
        };
        lock(&self.0).insert(id.clone(), standing);
    }

    /// One for `id` was asked for in vain; the one that is held stays.
    pub fn failed(&self, id: &SpiffeId) {
        let mut all = lock(&self.0);
        let standing = all.entry(id.clone()).or_default();
        standing.failures = standing.failures.saturating_add(1);
    }

    /// None for `id` is held or waited for any more.
    pub fn forgotten(&self, id: &SpiffeId) {
        lock(&self.0).remove(id);
    }

    /// Each of them, by whose it is.
    pub(crate) fn standings(&self) -> Vec<(SpiffeId, Standing)> {
        let all = lock(&self.0);
        let each = all.iter();
        each.map(|(id, standing)| (id.clone(), *standing)).collect()
    }
}
