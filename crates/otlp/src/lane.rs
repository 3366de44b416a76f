//! The way of one signal, from where it waits to the collector: when it is sent, when it is tried
//! again, and when it is given up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use leno_model::view::Collector;
use leno_model::{Code, Mono};
use leno_telemetry::export::{Export, Lost, Signal, Taker, Trouble};
use leno_telemetry::exposition::Exposition;
use leno_telemetry::{Record, Span};
use tokio::time::{Instant, sleep, sleep_until};

use crate::batch::Batch;
use crate::door::Door;
use crate::message::Resource;
use crate::patience::{Patience, is_worth_while};
use crate::verdict::Verdict;
use crate::{Exporter, logs, metrics, scope, traces};

/// The way of one signal.
pub(crate) struct Lane {
    exporter: Arc<Exporter>,
    signal: Signal,
    collector: Arc<Collector>,
    resource: Resource,
    door: Door,
    patience: Patience,
}

/// What came of a try to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    /// It is done with, well or not.
    Over,
    /// It is to be tried again after this.
    Again(Duration),
}

/// How many spans or lines are sent at once.
const BATCH: usize = 512;

impl Lane {
    pub(crate) fn new(
        exporter: &Arc<Exporter>,
        signal: Signal,
        collector: &Arc<Collector>,
    ) -> Self {
        let clocks = exporter.clocks.clone();
        Self {
            exporter: Arc::clone(exporter),
            signal,
            collector: Arc::clone(collector),
            resource: exporter.resource(),
            door: Door::new(Arc::clone(collector), clocks, signal),
            patience: Patience::new(exporter.seed.wrapping_add(signal as u64)),
        }
    }

    /// Sends for as long as it is polled.
    pub(crate) async fn send_all(self) -> Infallible {
        match self.signal {
            Signal::Metrics => self.send_metrics().await,
            Signal::Traces => {
                let taker = self.exporter.telemetry.spans();
                let encode =
                    |resource: &_, spans: &[Span]| traces::batch(resource, &scope(), spans);
                self.send_taken(taker, encode).await
            }
            Signal::Logs => {
                let taker = self.exporter.telemetry.lines();
                let encode =
                    |resource: &_, lines: &[Record]| logs::batch(resource, &scope(), lines);
                self.send_taken(taker, encode).await
            }
        }
    }

    /// Sends metrics as often as the collector is to get them. They are counted since the process
    /// began, so that nothing is lost with those that are not taken: the next ones say all of it.
    async fn send_metrics(mut self) -> Infallible {
        let mut due = Instant::now() + self.collector.interval;
        loop {
            sleep_until(due).await;
            due = Instant::now() + self.collector.interval;
            for batch in self.metrics() {
                if let Sent::Again(rest) = self.send(&batch).await {
                    due = Instant::now() + rest;
                    break;
                }
            }
        }
    }

    fn metrics(&self) -> Vec<Batch> {
        let Exporter {
            telemetry, control, ..
        } = &*self.exporter;
        if let Some(control) = control {
            return self.batches(&(control.0)().exposition());
        }
        let (snapshot, kept) = (telemetry.snapshot(), telemetry.kept());
        self.batches(&snapshot.exposition(&kept))
    }

    fn batches(&self, exposition: &Exposition<'_>) -> Vec<Batch> {
        let span = metrics::Span {
            began: self.exporter.began,
            now: metrics::nanos(self.exporter.clocks.now().wall),
        };
        let batches = metrics::batches(&self.resource, &scope(), exposition, span);
        batches.into_iter().map(Batch::packed).collect()
    }

    /// Sends what workers put in, as it comes.
    async fn send_taken<T>(
        mut self,
        taker: Taker<T>,
        encode: impl Fn(&Resource, &[T]) -> Batch,
    ) -> Infallible {
        loop {
            tokio::select! {
                () = sleep(self.collector.interval) => {}
                () = taker.filled() => {}
            }
            loop {
                let taken = taker.take(BATCH);
                if taken.is_empty() {
                    break;
                }
                let batch = encode(&self.resource, &taken).packed();
                drop(taken);
                self.send_for_long(&batch).await;
            }
        }
    }

    /// Tries for as long as it is worth while.
    async fn send_for_long(&mut self, batch: &Batch) {
        let began = self.now();
        while let Sent::Again(rest) = self.send(batch).await {
            if !is_worth_while(began, self.now(), rest) {
                self.export()
                    .lost(self.signal, Lost::TriedLong, batch.items);
                return;
            }
            sleep(rest).await;
        }
    }

    async fn send(&mut self, batch: &Batch) -> Sent {
        let verdict = self.door.send(batch).await;
        let since = self.exporter.clocks.now().wall;
        let endpoint = Arc::clone(&self.collector.endpoint);
        let trouble = |code, why| Trouble {
            code,
            endpoint,
            why,
            since,
        };
        let (export, signal) = (self.exporter.telemetry.export(), self.signal);
        match verdict {
            Verdict::Taken { rejected, why } => {
                let rejected = rejected.min(batch.items);
                export.taken(signal, batch.items - rejected);
                export.lost(signal, Lost::Rejected, rejected);
                match rejected {
                    0 => export.well(signal),
                    _ => {
                        let why = format!("it did not take {rejected} of {}: {why}", batch.items);
                        export.failed(signal, trouble(Code::X002, why));
                    }
                }
                self.patience.reset();
                Sent::Over
            }
            Verdict::Later { code, why, after } => {
                export.failed(signal, trouble(code, why));
                Sent::Again(self.patience.rest(after))
            }
            Verdict::Never { code, why } => {
                export.failed(signal, trouble(code, why));
                export.lost(signal, Lost::Refused, batch.items);
                Sent::Over
            }
        }
    }

    fn now(&self) -> Mono {
        self.exporter.clocks.mono()
    }

    fn export(&self) -> &Export {
        self.exporter.telemetry.export()
    }
}
