//! Rows whose cells stand in columns, each as wide as what stands in it.

use std::io;

use crate::terminal::{Line, Terminal};

/// A table that is being filled.
pub(crate) struct Table {
    rows: Vec<Vec<Line>>,
}

/// What stands between two columns.
const GAP: usize = 2;

impl Table {
    /// A table with these titles.
    pub(crate) fn new(titles: &[&str]) -> Self {
        let titles = titles.iter().map(|title| Line::new().dim(title));
        Self {
            rows: Vec::from([titles.collect()]),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Line>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// Prints it, with its titles.
    pub(crate) fn print(self, terminal: &mut Terminal) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let mut starts = vec![0];
        for column in 0..columns {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(Line::width).max().unwrap_or_default();
            let start = starts.last().copied().unwrap_or_default();
            starts.push(start + widest + GAP);
        }
        for row in self.rows {
            let line = row
                .into_iter()
                .zip(&starts)
                .fold(Line::new(), |line, (cell, start)| {
                    line.column(*start, 0).then(&cell)
                });
            terminal.line(line)?;
        }
        Ok(())
    }
}
