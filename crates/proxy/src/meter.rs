//! Counts bytes while they flow, so that a stream or a body that lives for hours is seen meanwhile.
//! What moves a byte pays a comparison for it, and what moves nothing holds no timer.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use leno_telemetry::{Bytes, Flow};
use tokio::time::Sleep;

use crate::worker::Worker;

/// How often bytes of one stream are counted while it lives.
const EVERY: Duration = Duration::from_secs(1);

/// Counts the bytes of one call or stream.
pub(crate) struct Meter<'a> {
    flow: Flow<'a>,
    counted: Bytes,
    due: Option<Pin<Box<Sleep>>>,
}

impl<'a> Meter<'a> {
    /// For what counts as `flow` does.
    pub(crate) fn new(flow: Flow<'a>) -> Self {
        Self {
            flow,
            counted: Bytes::default(),
            due: None,
        }
    }

    /// An answer with this status has begun.
    pub(crate) fn answered(&mut self, status: u16) {
        self.flow.status = Some(status);
    }

    /// Takes note that `bytes` have gone in all, and counts them if that is due. Where some are
    /// left it wakes the task later.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, worker: &Worker, bytes: Bytes) {
        if bytes == self.counted {
            return;
        }
        let due = self
            .due
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(EVERY)));
        if due.as_mut().poll(context).is_pending() {
            return;
        }
        self.due = None;
        worker.count(&Flow {
            bytes: bytes.since(self.counted),
            ..self.flow
        });
        self.counted = bytes;
    }

    /// What has been counted in all.
    pub(crate) fn counted(&self) -> Bytes {
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use leno_telemetry::{Edge, Party, Reporter, Security};

    use super::*;
    use crate::worker::tests::worker;

    #[tokio::test(start_paused = true)]
    async fn bytes_count_once_a_second_and_a_silent_stream_holds_no_timer() {
        let (worker, mut context) = (worker(), Context::from_waker(Waker::noop()));
        let mut meter = Meter::new(Flow {
            edge: Edge {
                reporter: Reporter::Source,
                source: Party::Unknown,
                destination: Party::Unknown,
                security: Security::None,
            },
            route: None,
            status: None,
            bytes: Bytes::default(),
        });
        let mut after = async |millis, sent| {
            tokio::time::advance(Duration::from_millis(millis)).await;
            meter.poll(&mut context, &worker, Bytes { sent, received: 0 });
            let counted = worker.telemetry.snapshot().series;
            let counted = counted.first().map_or(0, |series| series.sent);
            assert_eq!(counted, meter.counted().sent);
            (counted, meter.due.is_some())
        };
        assert_eq!(after(9_000, 0).await, (0, false));
        assert_eq!(after(0, 5).await, (0, true));
        assert_eq!(after(900, 7).await, (0, true));
        assert_eq!(after(101, 8).await, (8, false));
        assert_eq!(after(9_000, 8).await, (8, false));
        assert_eq!(after(0, 9).await, (8, true));
        assert_eq!(after(1_001, 9).await, (9, false));
    }
}
