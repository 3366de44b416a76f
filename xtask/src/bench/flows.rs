//! How large a day of flows is and how long answers from it take: the benchmark of `leno-control`, run
//! and read.

use crate::bench::{
    Measured, beside,
    report::{Figures, Row, Table},
};
use crate::rig::process::Core;

/// How cargo builds the benchmark.
pub(super) const BUILD: &str =
    "bench --locked --profile dist --package leno-control --bench flows --no-run";

/// The size of the mesh that the targets are for.
const SERVICES: &str = "200";

/// In megabytes.
const LARGEST: f64 = 200.0;

/// In milliseconds.
const LONGEST: f64 = 1000.0;

/// Runs the benchmark, which has been built.
pub(super) fn measure() -> Measured {
    let said = beside::run(Core::Both, BUILD)?;
    let mut table = Table::new(&[
        "services",
        "edges",
        "kinds of call",
        "MB",
        "ms by service",
        "ms by edge",
        "ms by request",
        "ms why one fails",
    ]);
    let lines = beside::rows::<8>(&said);
    for line in &lines {
        table.line(line);
    }
    let line = lines.iter().find(|line| line[0] == SERVICES);
    let [_, _, _, size, by_service, ..] = line.ok_or("the benchmark told no figures")?;
    let (megabytes, millis): (f64, f64) = (size.parse()?, by_service.parse()?);
    let rows = vec![
        Row {
            what: "flows of 24 h, 200 services",
            target: format!("at most {LARGEST} MB"),
            measured: format!("{size} MB"),
            reached: megabytes <= LARGEST,
        },
        Row {
            what: "`leno stat --since 24h` of these",
            target: "under 1 s".to_owned(),
            measured: format!("{by_service} ms"),
            reached: millis < LONGEST,
        },
    ];
    Ok(Figures {
        rows,
        table,
        plots: Vec::new(),
    })
}
