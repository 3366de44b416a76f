//! `leno ps`: what runs in the mesh that is up here.

use crate::arguments::Ps;
use crate::command::Answer;
use crate::terminal::{Line, Terminal};
use crate::up::{Client, Columns, Outside, Place};

/// Prints a line for each workload.
pub(crate) fn run(_: &Ps, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let place = Place::here()?;
    let rows = Client::require(&place)?.rows()?;
    terminal.line(Line::new().dim(format_args!("up in {}", place.folder().display())))?;
    terminal.gap()?;
    let names = rows.iter().map(|row| row.name.clone());
    let outside = Outside::read(place.folder(), &names.collect::<Vec<_>>());
    let widths = rows
        .iter()
        .map(|row| (row.name.as_str(), row.typed.as_str()));
    let widths = widths.chain(outside.names().map(|name| (name, "")));
    let columns = Columns::of(widths);
    for row in &rows {
        terminal.line(columns.workload(row))?;
    }
    for line in outside.lines(&columns) {
        terminal.line(line)?;
    }
    let failed = rows.iter().any(|row| row.has_failed());
    Ok(if failed { Answer::Bad } else { Answer::Fine })
}
