//! Counts bytes while they flow, so that a stream or a body that lives for hours is seen meanwhile.
//! What moves a byte pays a comparison for it, and no stream has a timer of its own: to set one wakes
//! the worker by a system call.

use std::task::Context;

use leno_telemetry::{Bytes, Flow};

use crate::news::Reader;
use crate::worker::Worker;

/// Counts the bytes of one call or stream.
pub(crate) struct Meter<'a> {
    flow: Flow<'a>,
    counted: Bytes,
    /// The worker's next beat, while some bytes are not counted.
    due: Option<Reader>,
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
        let due = self.due.get_or_insert_with(|| worker.next_beat());
        if due.poll_changed(context).is_pending() {
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

    #[test]
    fn bytes_count_at_the_beat_and_a_silent_stream_waits_for_none() {
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
        let mut after = |beats, sent| {
            for _ in 0..beats {
                worker.beat();
            }
            meter.poll(&mut context, &worker, Bytes { sent, received: 0 });
            let counted = worker.telemetry.snapshot().series;
            let counted = counted.first().map_or(0, |series| series.sent);
            assert_eq!(counted, meter.counted().sent);
            (counted, meter.due.is_some())
        };
        assert_eq!(after(9, 0), (0, false));
        assert_eq!(after(0, 5), (0, true));
        assert_eq!(after(0, 7), (0, true));
        assert_eq!(after(1, 8), (8, false));
        assert_eq!(after(9, 8), (8, false));
        assert_eq!(after(0, 9), (8, true));
        assert_eq!(after(1, 9), (9, false));
    }
}
