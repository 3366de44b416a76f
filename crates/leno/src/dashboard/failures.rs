//! The calls that failed of late, heard as they happen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_admin::FailedCall;
use leno_telemetry::{Filter, Tap, Telemetry};
use tokio::task::JoinSet;

use crate::up::{Seen, Watched};

/// The calls that failed of late. They are heard for as long as this is there.
pub(super) struct Failures {
    held: Arc<Mutex<VecDeque<FailedCall>>>,
    _hearing: JoinSet<()>,
}

/// How many are held.
const MOST: usize = 20;

impl Failures {
    /// Hears from here on. Needs a runtime around it.
    pub(super) fn hear(telemetry: &Telemetry) -> Self {
        let filter = Filter {
            failed: true,
            ..Filter::default()
        };
        let seen = Seen::new(telemetry.tap(filter, Tap::LIMIT));
        let held = Arc::default();
        let mut hearing = JoinSet::new();
        hearing.spawn(hear(seen, Arc::clone(&held)));
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

async fn hear(mut seen: Seen, held: Arc<Mutex<VecDeque<FailedCall>>>) {
    loop {
        let watched = seen.next().await;
        if let Some(call) = failed(&watched) {
            let mut held = lock(&held);
            held.truncate(MOST - 1);
            held.push_front(call);
        }
    }
}

fn lock(held: &Mutex<VecDeque<FailedCall>>) -> MutexGuard<'_, VecDeque<FailedCall>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that was watched, if it is one.
fn failed(watched: &Watched) -> Option<FailedCall> {
    let text = |field| watched.text(field).to_owned();
    let status = watched.number("status").filter(|status| *status > 0.0);
    let took = watched.number("duration_ms");
    Some(FailedCall {
        id: watched.short_id().to_owned(),
        at: text("time"),
        from: text("source"),
        to: text("destination"),
        request: watched.request()?,
        status: status.map(|status| status as u16),
        took_us: took.map(|millis| (millis * 1e3) as u64),
        fault: text("fault"),
        code: Some(text("code")).filter(|code| !code.is_empty()),
        why: watched.why().to_owned(),
        count: 1,
    })
}
