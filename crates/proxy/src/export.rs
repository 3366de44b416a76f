//! Sends what the proxy has to tell to the collector that its view names, on a thread of its own.
//! While no view has named one, there is none.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use leno_channel::Clocks;
use leno_model::view::{Collector, View};
use leno_otlp::{Exporter, Teller};
use leno_telemetry::Telemetry;
use tokio::runtime;
use tokio::sync::watch;

/// The way to the thread that sends. With it, the thread ends.
#[derive(Debug)]
pub(crate) struct Export {
    wanted: watch::Sender<Option<Arc<Collector>>>,
    exporter: Exporter,
    has_begun: Mutex<bool>,
}

impl Export {
    pub(crate) fn new(telemetry: &Telemetry, clocks: Clocks, view: &View, seed: u64) -> Self {
        let teller = Teller {
            service: "leno-proxy",
            instance: instance(view, seed),
        };
        let exporter = Exporter::new(telemetry.clone(), teller, clocks, seed);
        let export = Self {
            wanted: watch::Sender::new(None),
            exporter,
            has_begun: Mutex::new(false),
        };
        export.follow(view);
        export
    }

    /// Sends to the collector of `view` from here on.
    pub(crate) fn follow(&self, view: &View) {
        let collector = &view.settings.collector;
        self.wanted.send_if_modified(|wanted| {
            let is_other = wanted != collector;
            wanted.clone_from(collector);
            is_other
        });
        if collector.is_some() {
            self.begin();
        }
    }

    /// Begins the thread, if it has not begun. Where no thread can be had, the next view tries again.
    fn begin(&self) {
        let mut has_begun = self
            .has_begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *has_begun {
            return;
        }
        let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        let exporter = self.exporter.clone();
        let (wanted, ended) = (self.wanted.subscribe(), self.wanted.subscribe());
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    never = exporter.run(wanted) => match never {},
                    () = closed(ended) => {}
                }
            });
            // Nobody waits for a name that is still being looked up.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("leno-export".into());
        *has_begun = thread.spawn(run).is_ok();
    }
}

/// Waits until nobody wants anything any more.
async fn closed(mut wanted: watch::Receiver<Option<Arc<Collector>>>) {
    while wanted.changed().await.is_ok() {}
}

/// What a proxy calls itself: by the first of its workloads, and by what is different in each process.
fn instance(view: &View, seed: u64) -> String {
    let workload = view.workloads.keys().next();
    let workload = workload.map_or_else(|| "proxy".to_owned(), ToString::to_string);
    format!("{workload}-{:08x}", seed as u32)
}
