//! How long it takes to judge what was recorded by another configuration: the benchmark of
//! `leno-preview`, run and read.

use crate::bench::{
    Measured, beside,
    report::{Figures, Row, Table},
};
use crate::rig::process::Core;

/// How cargo builds the benchmark.
pub(super) const BUILD: &str =
    "bench --locked --profile dist --package leno-preview --bench preview --no-run";

/// How many kinds of call the target is for.
const KINDS: &str = "1000000";

/// In milliseconds.
const LONGEST: f64 = 5000.0;

/// Runs the benchmark, which has been built.
pub(super) fn measure() -> Measured {
    let said = beside::run(Core::Both, BUILD)?;
    let mut table = Table::new(&["kinds of call", "ms", "% undecided", "% that break"]);
    let lines = beside::rows(&said);
    for line in &lines {
        table.line(line);
    }
    let line = lines.iter().find(|line| line[0] == KINDS);
    let [_, millis, undecided, _] = line.ok_or("the benchmark told no figures")?;
    let rows = vec![Row {
        what: "1,000,000 recorded flows judged against a candidate configuration",
        target: "under 5 s".to_owned(),
        measured: format!(
            "{:.1} s, {undecided} % undecided",
            millis.parse::<f64>()? / 1e3
        ),
        reached: millis.parse::<f64>()? < LONGEST,
    }];
    Ok(Figures {
        rows,
        table,
        plots: Vec::new(),
    })
}
