//! A finding as people read it: what, the picture of the line, what is in force, whose fault, what next.

use std::collections::BTreeMap;
use std::io;

use leno_admin::Finding;
use leno_model::note::Span;
use leno_model::{Note, Severity};

use crate::terminal::{Line, Terminal};

/// Prints what a note says. `texts` are the files that spans may point into.
pub(crate) fn print(
    note: &Note,
    texts: &BTreeMap<&str, &[u8]>,
    terminal: &mut Terminal,
) -> io::Result<()> {
    print_finding(&finding(note, texts), "", terminal)
}

/// The finding that a note comes to, with what stands on its line.
pub(crate) fn finding(note: &Note, texts: &BTreeMap<&str, &[u8]>) -> Finding {
    let line = note.span.as_ref().and_then(|span| line(span, texts));
    Finding::of(note, line)
}

/// Prints one finding of a mesh whose clock says `now`; times of the same day are told without it.
pub(crate) fn print_finding(
    finding: &Finding,
    now: &str,
    terminal: &mut Terminal,
) -> io::Result<()> {
    terminal.line(head(finding, now))?;
    print_picture(finding, terminal)?;
    if !finding.in_force.is_empty() {
        terminal.line(Line::new().dim("    In force  ").plain(&finding.in_force))?;
    }
    let fault = Line::new().dim("    Fault     ").plain(&finding.fault);
    let fault = fault.column(35, 2).dim("Next  ");
    terminal.line(fault.plain(finding.commands().join(" · ")))
}

/// The first line of a finding: what, about what, since when.
pub(crate) fn head(finding: &Finding, now: &str) -> Line {
    let head = mark(finding.severity());
    let head = head.strong(&finding.code).plain(" ").plain(&finding.slug);
    let head = match &finding.object {
        Some(object) => head.column(28, 2).plain(object),
        None => head,
    };
    match &finding.since {
        Some(since) => head.column(50, 4).dim(since.told(now)),
        None => head,
    }
}

/// A line that begins with how bad it is.
pub(crate) fn mark(severity: Severity) -> Line {
    match severity {
        Severity::Error => Line::new().bad("✗ "),
        Severity::Warning => Line::new().doubtful("! "),
        Severity::Info => Line::new().dim("· "),
    }
}

/// What is wrong, and what was probably meant.
pub(crate) fn message(finding: &Finding) -> String {
    match &finding.suggestion {
        Some(suggestion) => format!("{}; {suggestion}", finding.message),
        None => finding.message.clone(),
    }
}

fn print_picture(finding: &Finding, terminal: &mut Terminal) -> io::Result<()> {
    let message = message(finding);
    let Some((file, line)) = finding.file.as_ref().zip(finding.line) else {
        return terminal.line(format!("    {message}"));
    };
    let (Some(column), Some(width)) = (finding.column, finding.width) else {
        terminal.line(format!("    {file}:{line}"))?;
        return terminal.line(format!("    {message}"));
    };
    terminal.line(format!("    {file}:{line}:{column}"))?;
    let Some(source) = &finding.text else {
        return terminal.line(format!("    {message}"));
    };
    let (shown, before, width) = window(&source.replace('\t', " "), column, width);
    let number = line.to_string();
    terminal.line(
        Line::new()
            .dim(format_args!("    {number} | "))
            .plain(shown),
    )?;
    let margin = format!("    {:1$} | ", "", number.len());
    let picture = Line::new().dim(margin).plain(" ".repeat(before));
    terminal.line(picture.bad("^".repeat(width)).plain(" ").plain(message))
}

/// The line a span is on.
fn line(span: &Span, texts: &BTreeMap<&str, &[u8]>) -> Option<String> {
    let text = String::from_utf8_lossy(texts.get(&*span.start.file)?);
    let index = usize::try_from(span.start.line.checked_sub(1)?).ok()?;
    text.lines().nth(index).map(str::to_owned)
}

/// The part of a line that is shown, how many characters of it stand before `column`, and how many
/// of `width` are on it. A long line is cut around them. A tab is shown as one space.
fn window(line: &str, column: u32, width: u32) -> (String, usize, usize) {
    const WIDEST: usize = 100;
    let column = usize::try_from(column).map_or(0, |column| column.saturating_sub(1));
    let cut = column.saturating_sub(WIDEST / 2);
    let cut = if line.chars().count() <= WIDEST {
        0
    } else {
        cut
    };
    let shown: String = line.chars().skip(cut).take(WIDEST).collect();
    let before = (column - cut).min(shown.chars().count());
    let room = shown.chars().count().saturating_sub(before).max(1);
    let width = usize::try_from(width).map_or(room, |width| width.clamp(1, room));
    (shown, before, width)
}
