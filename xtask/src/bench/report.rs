//! What a case has brought: figures beside their targets, a table and pictures.

use std::time::Duration;

use crate::bench::plot::Plot;

/// What was measured of one case.
pub(super) struct Figures {
    /// What stands beside a target.
    pub(super) rows: Vec<Row>,
    pub(super) table: Table,
    pub(super) plots: Vec<Plot>,
}

/// A figure beside its target.
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) target: String,
    pub(super) measured: String,
    /// Whether the figure is as good as the target.
    pub(super) reached: bool,
}

/// A table in Markdown, built line by line.
pub(super) struct Table(String);

impl Row {
    /// A line of the table of all targets, for the case of this name.
    pub(super) fn line(&self, case: &str) -> String {
        let met = match self.reached {
            true => "reached",
            false => "**missed**",
        };
        let Self {
            what,
            target,
            measured,
            ..
        } = self;
        format!("| `{case}` | {what} | {target} | {measured} | {met} |\n")
    }
}

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = Self(String::new());
        table.line(headings);
        table.0 += &"|---".repeat(headings.len());
        table.0 += "|\n";
        table
    }

    /// Adds a line.
    pub(super) fn line(&mut self, cells: &[impl AsRef<str>]) {
        for cell in cells {
            self.0 += "| ";
            self.0 += cell.as_ref();
            self.0 += " ";
        }
        self.0 += "|\n";
    }

    /// The lines, each with its end.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// As memory is told.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// As little memory is told.
pub(super) fn kilobytes(bytes: f64) -> String {
    format!("{:.1} kB", bytes / 1024.0)
}

/// As times are told.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Text as XML takes it.
pub(super) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_is_said_plainly() {
        let line = |reached| {
            let row = Row {
                what: "memory",
                target: "at most 1 MB".to_owned(),
                measured: "2 MB".to_owned(),
                reached,
            };
            row.line("idle")
        };
        assert_eq!(
            line(true),
            "| `idle` | memory | at most 1 MB | 2 MB | reached |\n"
        );
        assert_eq!(
            line(false),
            "| `idle` | memory | at most 1 MB | 2 MB | **missed** |\n"
        );
    }
}
