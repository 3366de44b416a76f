//! `leno stat`: the golden signals of a mesh that is up.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::arguments::{Output, Stat};
use crate::command::Answer;
use crate::render;
use crate::signals::{By, Edges};
use crate::terminal::{Line, Terminal};
use crate::up::{Client, Place};

/// Counts for a while, and prints a row for each service, or for each edge.
pub(crate) fn run(options: &Stat, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let place = Place::here()?;
    let mut client = Client::require(&place)?;
    let by = if options.edges { By::Edge } else { By::Service };
    let (edges, time) = client.stat(by, options.over)?;
    if options.output == Output::Json {
        terminal.text(&json(&edges, time, by))?;
        return Ok(Answer::Fine);
    }
    let folder = place.folder().display();
    let seconds = time.as_secs_f64();
    terminal.line(Line::new().dim(format_args!("up in {folder} · {seconds} s")))?;
    terminal.gap()?;
    if edges.is_empty() {
        terminal.line(format!("no call in {seconds} s"))?;
        let next = "leno curl WORKLOAD URL · leno stat --over 60s";
        terminal.line(Line::new().dim("Next  ").plain(next))?;
        return Ok(Answer::Fine);
    }
    for line in render::edges::table(&edges, &BTreeMap::new(), time) {
        terminal.line(line)?;
    }
    Ok(Answer::Fine)
}

fn json(edges: &Edges, time: Duration, by: By) -> String {
    let millis = |took: Option<Duration>| took.map(|took| took.as_secs_f64() * 1e3);
    let rows = edges.iter().map(|((from, to), edge)| {
        let mut row = json!({
            "destination": to,
            "calls": edge.calls,
            "failed": edge.failed,
            "mtls": edge.mtls,
            "plain": edge.plain,
            "open": edge.open(),
            "sent": edge.sent,
            "received": edge.received,
            "p50_ms": millis(edge.p50),
            "p99_ms": millis(edge.p99),
        });
        if by == By::Edge {
            row["source"] = from.as_str().into();
        }
        row
    });
    let rows = rows.collect::<Vec<_>>();
    json!({ "seconds": time.as_secs_f64(), "rows": rows }).to_string()
}
