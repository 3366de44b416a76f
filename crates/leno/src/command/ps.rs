//! `leno ps`: what runs in the mesh that is up here.

use crate::arguments::Ps;
use crate::command::Answer;
use crate::terminal::{Line, Terminal};
use crate::up::{Client, Columns, Outside, Place, Row};

/// Prints a line for each workload.
pub(crate) fn run(_: &Ps, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let place = Place::here()?;
    let rows = Client::require(&place)?.rows()?;
    terminal.line(Line::new().dim(format_args!("up in {}", place.folder().display())))?;
    terminal.gap()?;
    let ids = rows.iter().map(|row| row.id.clone());
    let outside = Outside::read(place.folder(), &ids.collect::<Vec<_>>());
    let names = rows.iter().map(Row::called).collect::<Vec<_>>();
    let typed = rows.iter().map(|row| row.typed.as_str());
    let widths = names.iter().map(String::as_str).zip(typed);
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
