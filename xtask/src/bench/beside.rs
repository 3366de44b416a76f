//! The benchmarks that stand beside the code of a crate, run, and the tables that they print.

use std::error::Error;

use crate::rig::process::{self, Core};

/// Runs a benchmark that cargo has built by `build`, and gives what it printed.
pub(super) fn run(core: Core, build: &str) -> Result<String, Box<dyn Error>> {
    process::cargo(core, &build.replace("--no-run", "--offline"))
}

/// The rows of its table: lines of so many figures, and nothing else.
pub(super) fn rows<const FIGURES: usize>(said: &str) -> Vec<[&str; FIGURES]> {
    let rows = said.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let row = <[&str; FIGURES]>::try_from(words).ok()?;
        let is_figure = |word: &&str| word.parse::<f64>().is_ok();
        row.iter().all(is_figure).then_some(row)
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_figures_are_read() {
        let said = "medians\nservices  kinds  MB\n  200  6000  81.5\n1 2\nx 1 2\n";
        assert_eq!(rows(said), [["200", "6000", "81.5"]]);
    }
}
