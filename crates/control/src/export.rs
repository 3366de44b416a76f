//! Sends what the control plane tells of itself to the collector of its own mesh.

use std::sync::Arc;

use leno_otlp::{Exporter, Teller};
use leno_telemetry::Telemetry;
use tokio::sync::watch;

use crate::center::Center;
use crate::{clock, metrics};

/// Sends for as long as it is polled.
pub(crate) async fn send(center: Arc<Center>) {
    let mut dice = clock::dice();
    let seed = dice.next_u64();
    let teller = Teller {
        service: "leno-control",
        instance: format!("{}-{:08x}", center.address, seed as u32),
    };
    let clocks = center.clocks.clone();
    let exporter = Exporter::new(center.telemetry.clone(), teller, clocks, seed);
    let told = Arc::clone(&center);
    let exporter = exporter.of_control(move || metrics::told(&told));
    let wanted = watch::Sender::new(None);
    let mut editions = center.editions.subscribe();
    editions.mark_changed();
    let follow = async {
        while editions.changed().await.is_ok() {
            let collector = editions.borrow_and_update().mesh.settings.collector.clone();
            wanted.send_if_modified(|wanted| {
                let is_other = *wanted != collector;
                *wanted = collector;
                is_other
            });
        }
    };
    tokio::select! {
        never = exporter.run(wanted.subscribe()) => match never {},
        () = follow => {}
    }
}

/// What a control plane sends is counted as a proxy's is.
pub(crate) fn telemetry() -> Telemetry {
    Telemetry::new(leno_telemetry::Settings {
        series: 0,
        kept: 0,
        ..leno_telemetry::Settings::default()
    })
}
