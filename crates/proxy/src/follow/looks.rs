//! Tells the control plane who asked this proxy by its own socket, for the audit log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_channel::Clocks;
use leno_channel::grpc::{Line, StatusCode};
use leno_wire::call;
use leno_wire::looks::{Look, Next, Outbox};
use tokio::sync::Notify;
use tokio::time::sleep;

/// How long to wait after one that was not taken.
const REST: Duration = Duration::from_secs(5);

/// Those who looked, for the control plane that a proxy follows. What it is not told while it is away waits
/// for it, within a bound. A clone is the same.
#[derive(Clone, Default, Debug)]
pub struct Looks(Arc<Waiting>);

#[derive(Default, Debug)]
struct Waiting {
    outbox: Mutex<Outbox>,
    put: Notify,
}

impl Looks {
    /// Has the control plane told of one more. Nobody waits for it.
    pub fn tell(&self, look: Look) {
        self.outbox().put(look);
        self.0.put.notify_one();
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        let Waiting { outbox, .. } = &*self.0;
        outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells each, for as long as it is polled; an older control plane hears of none.
pub(super) async fn tell(line: Line, looks: Looks, clocks: Clocks) {
    loop {
        let next = looks.outbox().next(clocks.mono());
        match next {
            Next::Nothing => looks.0.put.notified().await,
            Next::Wait(rest) => sleep(rest).await,
            Next::Tell(look) => {
                let answer = line.ask(call::LOOK, &look.encode()).await;
                let failed = answer.err().map(|status| status.code);
                if failed == Some(StatusCode::Unimplemented) {
                    return;
                }
                // One that makes no sense there never will.
                if failed.is_none_or(|code| code == StatusCode::InvalidArgument) {
                    looks.outbox().taken(clocks.mono());
                } else {
                    sleep(REST).await;
                }
            }
        }
    }
}
