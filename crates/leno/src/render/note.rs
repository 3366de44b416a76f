//! A finding as people read it: what, the picture of the line, what is in force, whose fault, what next.

use std::collections::BTreeMap;
use std::io;

use leno_model::note::Span;
use leno_model::{Note, Severity};
use serde_json::{Value, json};

use crate::terminal::{Line, Terminal};

/// Prints one finding. `texts` are the files that spans may point into.
pub(crate) fn print(
    note: &Note,
    texts: &BTreeMap<&str, &[u8]>,
    terminal: &mut Terminal,
) -> io::Result<()> {
    let mark = match note.severity {
        Severity::Error => Line::new().bad("✗ "),
        Severity::Warning => Line::new().doubtful("! "),
        Severity::Info => Line::new().dim("· "),
    };
    let head = mark.strong(note.code).plain(" ").plain(note.code.slug());
    terminal.line(match note.object() {
        Some(object) => head.column(28, 2).plain(object),
        None => head,
    })?;
    print_picture(note, texts, terminal)?;
    if !note.in_force.is_empty() {
        terminal.line(Line::new().dim("    In force  ").plain(&note.in_force))?;
    }
    let fault = Line::new().dim("    Fault     ").plain(note.fault());
    terminal.line(
        fault
            .column(35, 2)
            .dim("Next  ")
            .plain(format_args!("leno explain {}", note.code)),
    )
}

fn print_picture(
    note: &Note,
    texts: &BTreeMap<&str, &[u8]>,
    terminal: &mut Terminal,
) -> io::Result<()> {
    let message = match &note.suggestion {
        Some(suggestion) => format!("{}; {suggestion}", note.message),
        None => note.message.clone(),
    };
    let Some(span) = &note.span else {
        if let Some(place) = note
            .origin
            .as_ref()
            .and_then(|origin| origin.place.as_ref())
        {
            terminal.line(format!("    {place}"))?;
        }
        return terminal.line(format!("    {message}"));
    };
    let start = &span.start;
    terminal.line(format!("    {start}:{}", start.column))?;
    let Some(source) = source_line(span, texts) else {
        return terminal.line(format!("    {message}"));
    };
    let number = start.line.to_string();
    let (shown, before, width) = window(&source, span);
    terminal.line(
        Line::new()
            .dim(format_args!("    {number} | "))
            .plain(shown),
    )?;
    let margin = format!("    {:1$} | ", "", number.len());
    let picture = Line::new().dim(margin).plain(" ".repeat(before));
    terminal.line(picture.bad("^".repeat(width)).plain(" ").plain(message))
}

/// The line a span is on, with tabs as single spaces so that columns are what they seem.
fn source_line(span: &Span, texts: &BTreeMap<&str, &[u8]>) -> Option<String> {
    let text = String::from_utf8_lossy(texts.get(&*span.start.file)?);
    let index = usize::try_from(span.start.line.checked_sub(1)?).ok()?;
    Some(text.lines().nth(index)?.replace('\t', " "))
}

/// The part of a line that is shown, how many characters of it stand before the span, and how
/// many of the span are on it. A long line is cut around the span.
fn window(line: &str, span: &Span) -> (String, usize, usize) {
    const WIDEST: usize = 100;
    let column = usize::try_from(span.start.column).map_or(0, |column| column.saturating_sub(1));
    let cut = column.saturating_sub(WIDEST / 2);
    let cut = if line.chars().count() <= WIDEST {
        0
    } else {
        cut
    };
    let shown: String = line.chars().skip(cut).take(WIDEST).collect();
    let before = (column - cut).min(shown.chars().count());
    let room = shown.chars().count().saturating_sub(before).max(1);
    let width = usize::try_from(span.width).map_or(room, |width| width.clamp(1, room));
    (shown, before, width)
}

/// The finding for programs.
pub(crate) fn json(note: &Note) -> Value {
    let place = note.span.as_ref().map(|span| &span.start);
    let place = place.or(note
        .origin
        .as_ref()
        .and_then(|origin| origin.place.as_ref()));
    json!({
        "code": note.code.as_str(),
        "slug": note.code.slug(),
        "severity": match note.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        },
        "fault": note.fault().as_str(),
        "object": note.object().map(|object| json!({
            "kind": &*object.kind,
            "namespace": object.namespace.as_ref().map(|namespace| namespace.as_str()),
            "name": object.name.as_str(),
        })),
        "pointer": note.origin.as_ref().map(|origin| &*origin.pointer),
        "place": place.map(|place| json!({
            "file": &*place.file,
            "line": place.line,
            "column": place.column,
        })),
        "message": note.message,
        "suggestion": note.suggestion,
        "inForce": note.in_force,
    })
}
