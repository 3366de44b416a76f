//! Numbers that one thread counts and others read.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number with one writer: adding to it costs no more than to a plain one, because no other
/// thread's addition can fall between the reading and the writing.
#[derive(Default, Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// To be called by the one writer.
    pub(crate) fn add(&self, more: u64) {
        let sum = self.get().wrapping_add(more);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// To be called by the one writer, for what it added before.
    pub(crate) fn take(&self, less: u64) {
        let rest = self.get().wrapping_sub(less);
        self.0.store(rest, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
