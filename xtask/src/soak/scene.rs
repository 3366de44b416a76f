//! What all clients and servers share.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::soak::ledger::Ledger;

/// The ledger, and how far it has come.
#[derive(Default)]
pub(super) struct Scene {
    pub(super) ledger: Ledger,
    enough: AtomicBool,
    over: AtomicBool,
    met: Mutex<BTreeSet<String>>,
}

impl Scene {
    /// No errand is begun from here on.
    pub(super) fn let_be(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Whether no errand is to be begun.
    pub(super) fn is_enough(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }

    /// What goes on piece by piece ends here, and servers close.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether all is over.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// A call has met this change of the configuration.
    pub(super) fn meet(&self, change: &str) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.insert(change.to_owned());
    }

    /// How many changes were met by calls.
    pub(super) fn met(&self) -> usize {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.len()
    }
}
