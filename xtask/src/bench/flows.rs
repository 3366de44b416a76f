//! How large a day of flows is and how long answers from it take: the benchmark of `leno-control`, run
//! and read.

use crate::bench::{
    Measured, Options,
    report::{Figures, Row, Table},
    setting::Setting,
};
use crate::rig::process::{self, Core};

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
pub(super) fn measure(_setting: &Setting, _options: &Options) -> Measured {
    let said = process::cargo(Core::Both, &BUILD.replace("--no-run", "--offline"))?;
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
    let lines = read(&said);
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

/// Reads its table: rows of eight figures.
fn read(said: &str) -> Vec<[&str; 8]> {
    let rows = said.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let row = <[&str; 8]>::try_from(words).ok()?;
        row.iter()
            .all(|word| word.parse::<f64>().is_ok())
            .then_some(row)
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let said =
            "medians\nservices edges kinds MB a b c d\n200  600  6000  81.5  300  310  350  400\n";
        let expect = ["200", "600", "6000", "81.5", "300", "310", "350", "400"];
        assert_eq!(read(said), [expect]);
    }
}
