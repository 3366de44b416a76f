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
