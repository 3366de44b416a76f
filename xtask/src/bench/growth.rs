//! How the cost of a change grows: the benchmark of `leno-control`, run and read.

use crate::bench::{
    Measured, beside,
    report::{Figures, Table},
};
use crate::rig::process::Core;

/// How cargo builds the benchmark.
pub(super) const BUILD: &str =
    "bench --locked --profile dist --package leno-control --bench fleet --no-run";

/// Runs the benchmark, which has been built.
pub(super) fn measure() -> Measured {
    let said = beside::run(Core::Both, BUILD)?;
    let mut table = Table::new(&[
        "proxies",
        "services in the mesh",
        "services that each proxy knows",
        "ms until the last has adopted",
        "ms of CPU",
    ]);
    for row in beside::rows::<5>(&said) {
        table.line(&row);
    }
    Ok(Figures {
        rows: Vec::new(),
        table,
        plots: Vec::new(),
    })
}
