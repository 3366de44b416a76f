//! The calls that failed of late, heard as they happen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_admin::{FailedCall, Recorded, Reply, TapOf, Tapped, Which};
use leno_proxy::Witness;
use tokio::task::JoinSet;

/// The calls that failed of late. They are heard for as long as this is there.
pub(super) struct Failures {
    held: Arc<Mutex<VecDeque<FailedCall>>>,
    _hearing: JoinSet<()>,
}

/// How many are held.
const MOST: usize = 20;

impl Failures {
    /// Hears from here on. Needs a runtime around it.
    pub(super) fn hear(witness: &Witness) -> Self {
        let held = Arc::default();
        let mut hearing = JoinSet::new();
        hearing.spawn(hear(witness.clone(), Arc::clone(&held)));
        Self {
            held,
            _hearing: hearing,
        }
    }

    /// The calls, newest first.
    pub(super) fn all(&self) -> Vec<FailedCall> {
        lock(&self.held).iter().cloned().collect()
    }
}

async fn hear(witness: Witness, held: Arc<Mutex<VecDeque<FailedCall>>>) {
    let ask = TapOf {
        which: Which {
            failed: true,
            ..Which::default()
        },
        limit: Which::LIMIT,
        both: false,
    };
    let Ok(Reply::Tap(mut tap)) = witness.answer(ask.into()).await else {
        return;
    };
    while let Some(tapped) = tap.recv().await {
        if let Tapped::Call(call) = tapped {
            let mut held = lock(&held);
            held.truncate(MOST - 1);
            held.push_front(failed(&call));
        }
    }
}

fn lock(held: &Mutex<VecDeque<FailedCall>>) -> MutexGuard<'_, VecDeque<FailedCall>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(told: &Recorded) -> FailedCall {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    FailedCall {
        id: told.short_id().to_owned(),
        at: told.time.clone(),
        from: text(&told.source),
        to: text(&told.destination),
        request: told.request(),
        status: told.status,
        took_us: told.duration_ms.map(|millis| (millis * 1e3) as u64),
        fault: text(&told.fault),
        code: told.code.clone(),
        why: told.why().to_owned(),
        count: 1,
    }
}
