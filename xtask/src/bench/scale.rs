//! A control plane for a large cluster: the benchmark of `leno-control`, run and read.

use crate::bench::{
    Measured, beside,
    report::{Figures, Row, Table},
};
use crate::rig::process::Core;

/// How cargo builds the benchmark.
pub(super) const BUILD: &str =
    "bench --locked --profile dist --package leno-control --bench scale --no-run";

/// What must be reached: figure, unit, and in which column it stands.
const TARGETS: [(&str, f64, &str, usize); 4] = [
    (
        "a full start for 5,000 Services and 20,000 endpoints",
        5.0,
        "s",
        5,
    ),
    ("memory of that control plane: RSS", 300.0, "MB", 6),
    (
        "1,000 proxies, 100 changes a second, one stuck client: 99 of 100 adopted within",
        1000.0,
        "ms",
        9,
    ),
    (
        "CPU of the control plane meanwhile",
        100.0,
        "% of a core",
        11,
    ),
];

/// Runs the benchmark, which has been built.
pub(super) fn measure() -> Measured {
    let said = beside::run(Core::Both, BUILD)?;
    let rows = beside::rows::<17>(&said);
    let last = rows.last().ok_or("the benchmark told no figures")?;
    let mut table = Table::new(&[
        "services",
        "endpoints",
        "proxies",
        "changes a second",
        "s until it is there, first",
        "s, again",
        "MB RSS without proxies",
        "MB RSS after all",
        "ms until adopted, median",
        "99 of 100",
        "slowest",
        "% of a core",
        "ms until a changed route is adopted, median",
        "slowest",
        "ms of CPU for each",
        "MB RSS then",
        "MB at rest",
    ]);
    rows.iter().for_each(|row| table.line(row));
    let mut reached = Vec::new();
    for (what, most, unit, column) in TARGETS {
        let figure = last.get(column).ok_or("the benchmark told too few")?;
        reached.push(Row {
            what,
            target: format!("under {most} {unit}"),
            measured: format!("{figure} {unit}"),
            reached: figure.parse::<f64>()? < most,
        });
    }
    Ok(Figures {
        rows: reached,
        table,
        plots: Vec::new(),
    })
}
