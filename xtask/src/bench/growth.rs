//! How the cost of a change grows: the benchmark of `leno-control`, run and read.

use crate::bench::{
    Measured, Options,
    report::{Figures, Table},
    setting::Setting,
};
use crate::rig::process::{self, Core};

/// How cargo builds the benchmark.
pub(super) const BUILD: &str =
    "bench --locked --profile dist --package leno-control --bench fleet --no-run";

/// Runs the benchmark, which has been built.
pub(super) fn measure(_setting: &Setting, _options: &Options) -> Measured {
    let said = process::cargo(Core::Both, &BUILD.replace("--no-run", "--offline"))?;
    let mut table = Table::new(&[
        "proxies",
        "services in the mesh",
        "services that each proxy knows",
        "ms until the last has adopted",
        "ms of CPU",
    ]);
    for row in read(&said) {
        table.line(&row);
    }
    Ok(Figures {
        rows: Vec::new(),
        table,
        plots: Vec::new(),
    })
}

/// Reads its table: rows of five figures.
fn read(said: &str) -> Vec<[&str; 5]> {
    let rows = said.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let row = <[&str; 5]>::try_from(words).ok()?;
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
        let said = "medians\nproxies mesh knows ms cpu\n  100  200  10  46.1  51.0\n";
        assert_eq!(read(said), [["100", "200", "10", "46.1", "51.0"]]);
    }
}
