//! What a process has to tell, sent to a collector over OTLP: metrics, traces, logs.
//!
//! [`Exporter`] sends for as long as it is polled. It takes everything from `leno-telemetry`'s
//! bounded queues and never makes anybody wait: a collector that is slow, away or hostile costs
//! what finds no room, which is counted, and nothing else.

mod batch;
mod door;
mod grpc;
mod headers;
mod http;
mod lane;
mod logs;
mod message;
mod metrics;
mod patience;
mod traces;
mod verdict;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use leno_channel::Clocks;
use leno_model::Code;
use leno_model::view::Collector;
use leno_telemetry::Telemetry;
use leno_telemetry::control::ControlPlane;
use leno_telemetry::export::{Signal, Trouble};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::lane::Lane;
use crate::message::{KeyValue, Resource, Scope};

/// Who tells.
#[derive(Clone, Debug)]
pub struct Teller {
    /// What kind of program: `leno-proxy`.
    pub service: &'static str,
    /// Which one of its kind.
    pub instance: String,
}

/// How to ask what a control plane tells of itself.
#[derive(Clone)]
struct ToldByControl(Arc<dyn Fn() -> ControlPlane + Send + Sync>);

impl fmt::Debug for ToldByControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToldByControl")
    }
}

/// Sends what a process has to tell to the collector that is wanted at the time.
#[derive(Clone, Debug)]
pub struct Exporter {
    telemetry: Telemetry,
    /// What is told in the place of calls, by who carries none.
    control: Option<ToldByControl>,
    teller: Teller,
    clocks: Clocks,
    /// When counts began.
    began: u64,
    seed: u64,
}

impl Exporter {
    /// An exporter of what is counted from here on. `seed` is where dice begin, different in each
    /// process: many do not come back to a collector at once.
    pub fn new(telemetry: Telemetry, teller: Teller, clocks: Clocks, seed: u64) -> Self {
        let began = metrics::nanos(clocks.now().wall);
        Self {
            telemetry,
            control: None,
            teller,
            clocks,
            began,
            seed,
        }
    }

    /// One that sends the metrics of a control plane, which carries no calls.
    pub fn of_control(mut self, told: impl Fn() -> ControlPlane + Send + Sync + 'static) -> Self {
        self.control = Some(ToldByControl(Arc::new(told)));
        self
    }

    /// Sends to whichever collector is wanted. What is on its way when another one is wanted is lost.
    pub async fn run(self, mut wanted: watch::Receiver<Option<Arc<Collector>>>) -> Infallible {
        let exporter = Arc::new(self);
        loop {
            let collector = wanted.borrow_and_update().clone();
            tokio::select! {
                never = send_to(&exporter, collector) => match never {},
                changed = wanted.changed() => if changed.is_err() {
                    return pending().await;
                }
            }
        }
    }

    /// The process as OpenTelemetry's semantic conventions describe it.
    fn resource(&self) -> Resource {
        Resource {
            attributes: vec![
                KeyValue::text("service.name", self.teller.service),
                KeyValue::text("service.instance.id", &self.teller.instance),
                KeyValue::text("service.version", env!("CARGO_PKG_VERSION")),
            ],
        }
    }
}

/// Sends each signal that the collector gets by a task of its own. One that panics begins anew.
async fn send_to(exporter: &Arc<Exporter>, collector: Option<Arc<Collector>>) -> Infallible {
    let export = exporter.telemetry.export();
    for signal in Signal::ALL {
        export.well(signal);
    }
    let Some(collector) = collector else {
        return pending().await;
    };
    let mut lanes = JoinSet::new();
    let mut begun = HashMap::new();
    // A control plane carries no calls that could be traced or logged.
    let signals: &[Signal] = match exporter.control {
        Some(_) => &[Signal::Metrics],
        None => &Signal::ALL,
    };
    let signals = signals.iter().copied();
    for signal in signals.filter(|signal| is_sent(*signal, &collector)) {
        let lane = Lane::new(exporter, signal, &collector);
        begun.insert(lanes.spawn(lane.send_all()).id(), signal);
    }
    loop {
        match lanes.join_next_with_id().await {
            Some(Ok((_, never))) => match never {},
            Some(Err(panicked)) => {
                let Some(signal) = begun.remove(&panicked.id()) else {
                    continue;
                };
                let trouble = Trouble {
                    code: Code::X004,
                    endpoint: Arc::clone(&collector.endpoint),
                    why: format!("sending {} met a bug", signal.as_str()),
                    since: exporter.clocks.now().wall,
                };
                export.failed(signal, trouble);
                let lane = Lane::new(exporter, signal, &collector);
                let again = async move {
                    sleep(REST).await;
                    lane.send_all().await
                };
                begun.insert(lanes.spawn(again).id(), signal);
            }
            None => return pending().await,
        }
    }
}

/// How long a task that panicked rests.
const REST: Duration = Duration::from_secs(10);

fn is_sent(signal: Signal, collector: &Collector) -> bool {
    match signal {
        Signal::Metrics => collector.signals.metrics,
        Signal::Traces => collector.signals.traces,
        Signal::Logs => collector.signals.logs,
    }
}

/// What made all of it up.
fn scope() -> Scope {
    Scope {
        name: "leno".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

#[cfg(test)]
mod played;
