//! Spans on their way to whoever sends them: a bounded queue, which no worker waits for.
//!
//! While nobody takes spans, none is made: a worker that decides whether to trace a call pays one
//! atomic load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use crate::event::Call;
use crate::lock::lock;
use crate::span::Span;

/// Takes the spans of all workers. Dropped, it ends the tracing of this process.
#[derive(Debug)]
pub struct Spans {
    outlet: Arc<Outlet>,
    queue: mpsc::Receiver<Span>,
    sender: mpsc::Sender<Span>,
}

impl Spans {
    /// How many wait at most to be taken; further ones are dropped and counted.
    pub const QUEUE: usize = 2048;

    /// Waits for the next one. It may be cancelled without losing one.
    pub async fn next(&mut self) -> Span {
        match self.queue.recv().await {
            Some(span) => span,
            // A sender is held beside the queue.
            None => std::future::pending().await,
        }
    }

    /// The next one, if there is one already.
    pub fn try_next(&mut self) -> Option<Span> {
        self.queue.try_recv().ok()
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        let mut sender = lock(&self.outlet.sender);
        if sender
            .as_ref()
            .is_some_and(|it| it.same_channel(&self.sender))
        {
            *sender = None;
            self.outlet.is_open.store(false, Ordering::Relaxed);
        }
    }
}

/// Where workers leave their spans.
#[derive(Default, Debug)]
pub(crate) struct Outlet {
    is_open: AtomicBool,
    sender: Mutex<Option<mpsc::Sender<Span>>>,
    dropped: AtomicU64,
}

impl Outlet {
    /// Gives all further spans to the one who asks, and to nobody else.
    pub(crate) fn open(self: &Arc<Self>) -> Spans {
        let (sender, queue) = mpsc::channel(Spans::QUEUE);
        *lock(&self.sender) = Some(sender.clone());
        self.is_open.store(true, Ordering::Relaxed);
        Spans {
            outlet: self.clone(),
            queue,
            sender,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Leaves the span of a call, if it is traced.
    pub(crate) fn leave(&self, call: &Call<'_>) {
        if call.traced.is_none() || !self.is_open() {
            return;
        }
        let sender = lock(&self.sender).clone();
        let Some(sender) = sender else { return };
        match (sender.try_reserve(), Span::of(call)) {
            (Ok(room), Some(span)) => room.send(span),
            (Err(_full), _) => drop(self.dropped.fetch_add(1, Ordering::Relaxed)),
            (Ok(_), None) => {}
        }
    }
}
