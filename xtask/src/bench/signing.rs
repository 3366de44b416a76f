//! How many certificates are signed in a second: the benchmark of `leno-control`, run and read.

use crate::bench::{
    Measured, beside,
    report::{Figures, Row, Table},
};
use crate::rig::process::Core;

/// How cargo builds the benchmark.
pub(super) const BUILD: &str =
    "bench --locked --profile dist --package leno-control --bench signing --no-run";

/// In a second.
const FEWEST: f64 = 1000.0;

/// Runs the benchmark, which has been built.
pub(super) fn measure() -> Measured {
    let said = beside::run(Core::Proxy, BUILD)?;
    let rows = beside::rows(&said);
    let [count, millis, rate] = rows.first().ok_or("the benchmark told no figures")?;
    let mut table = Table::new(&["certificates", "ms", "per second"]);
    table.line(&[count, millis, rate]);
    let reached = rate.parse::<f64>()? >= FEWEST;
    Ok(Figures {
        rows: vec![Row {
            what: "certificates signed on one core, each written down",
            target: format!("{FEWEST}/s"),
            measured: format!("{rate}/s"),
            reached,
        }],
        table,
        plots: Vec::new(),
    })
}
