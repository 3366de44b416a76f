//! What a change would mean for calls that were recorded, as people read it: what breaks first.

use std::io;

use leno_admin::figures::{count, moment, short, span};
use leno_admin::{Foreseen, ForeseenCalls, Means};
use leno_model::flow::Kind;

use crate::render::failure;
use crate::terminal::{Line, Terminal};

/// How many rows of each kind are shown.
const MOST: usize = 12;

/// Where the words behind a count begin.
const INDENT: &str = "                      ";

/// Prints what was judged, and what it means; `now` is the control plane's time.
pub(crate) fn print(told: &Foreseen, now: &str, terminal: &mut Terminal) -> io::Result<()> {
    let window = format!(
        "{} to {}",
        moment(&told.from, now),
        moment(&told.until, now)
    );
    let calls = match told.calls {
        _ if told.not_read.is_some() => "what was recorded could not be read".to_owned(),
        0 => "no recorded call".to_owned(),
        1 => "1 recorded call".to_owned(),
        many => format!("{} recorded calls", count(many)),
    };
    let head = Line::new()
        .strong("traffic")
        .plain(format_args!("   {calls}"));
    terminal.line(head.dim(format_args!(", {window}")))?;
    if let Some(not_read) = &told.not_read {
        failure::print(not_read, terminal)?;
    }
    for line in crate::command::stat::trouble(&told.kept) {
        terminal.line(Line::new().plain("  ").then(&line))?;
    }
    for means in [Means::Breaks, Means::Changes, Means::Undecided] {
        let rows: Vec<_> = told.rows.iter().filter(|row| row.means == means).collect();
        for row in rows.iter().take(MOST) {
            terminal.line(first(row, told, now))?;
            if let Some(line) = second(row) {
                terminal.line(line)?;
            }
        }
        let more = rows.len().saturating_sub(MOST);
        if more > 0 {
            let line = format!("{INDENT}and {more} rows more (-o json)");
            terminal.line(Line::new().dim(line))?;
        }
    }
    if told.undecided > 0 {
        let all = count(told.calls);
        let share = share(told.undecided, told.calls);
        let line = Line::new().plain(format_args!("  {:<10} ", "undecided"));
        let of = format!(
            "{} of {all} calls, {share}, cannot be told",
            count(told.undecided)
        );
        terminal.line(line.plain(of))?;
    }
    if told.same > 0 {
        let rest = match told.same == told.calls {
            true => "all of them",
            false => "the rest",
        };
        terminal.line(Line::new().plain(format_args!("  {:<10} {rest}", "same")))?;
    }
    for row in told.silent.iter().take(MOST) {
        terminal.line(silent(row, now))?;
    }
    let more = told.silent.len().saturating_sub(MOST);
    if more > 0 {
        let line = format!("{INDENT}and {more} silent ones more (-o json)");
        terminal.line(Line::new().dim(line))?;
    }
    Ok(())
}

/// `9 %`; what is not nothing and not all is told as neither.
fn share(part: u64, of: u64) -> String {
    let of = of.max(1);
    match part.saturating_mul(100).saturating_add(of / 2) / of {
        0 if part > 0 => "less than 1 %".to_owned(),
        100 if part < of => "more than 99 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

fn first(row: &ForeseenCalls, told: &Foreseen, now: &str) -> Line {
    let line = match row.means {
        Means::Breaks => Line::new().bad(format_args!("  {:<10}", "BREAKS")),
        Means::Changes => Line::new().doubtful(format_args!("  {:<10}", "changes")),
        Means::Undecided => Line::new().plain(format_args!("  {:<10}", "undecided")),
    };
    let line = line.plain(format_args!(" {:<8} ", count(row.count)));
    let line = line.strong(caller(row)).plain(" → ").strong(short(&row.to));
    let line = line.plain(format_args!("  {}", asked(row)));
    match row.means {
        Means::Breaks => line.plain(format_args!(
            "   {}, {}",
            becomes(row),
            pace(row, told, now)
        )),
        Means::Changes | Means::Undecided => line,
    }
}

/// Who says so, and in which words.
fn second(row: &ForeseenCalls) -> Option<Line> {
    if row.means == Means::Undecided {
        let why = match row.why.ends_with("not recorded") {
            true => row.why.clone(),
            false => format!("it depends on {}, which was not recorded", row.why),
        };
        return Some(Line::new().plain(INDENT).dim(why));
    }
    let said = row.place.as_ref().or(row.object.as_ref());
    let line = Line::new().plain(INDENT);
    Some(match said {
        Some(said) => line.strong(said).plain(format_args!("  {}", row.why)),
        None => line.plain(&row.why),
    })
}

/// `refunds`; who proves nothing is told by its address.
fn caller(row: &ForeseenCalls) -> String {
    match (&row.workload, &row.address) {
        (_, Some(address)) if row.from == Kind::PROBE => format!("health checks of {address}"),
        (Some(workload), Some(address)) => {
            format!("{} ({address}, without a proxy)", short(workload))
        }
        (None, Some(address)) => format!("{address} (without a proxy)"),
        (_, None) => short(&row.from).to_owned(),
    }
}

fn asked(row: &ForeseenCalls) -> String {
    let first = row.requests.first();
    let first = first
        .map(|request| request.request.as_str())
        .unwrap_or_default();
    let others = u64::try_from(row.requests.len().saturating_sub(1)).unwrap_or(0) + row.more;
    match others {
        0 => first.to_owned(),
        1 => format!("{first} and 1 other request"),
        many => format!("{first} and {many} other requests"),
    }
}

/// `200 → 403 R003`
fn becomes(row: &ForeseenCalls) -> String {
    let was = row.requests.first().and_then(|request| request.status);
    let Some(becomes) = &row.becomes else {
        return String::new();
    };
    match (was, becomes.status) {
        (Some(was), Some(status)) => format!("{was} → {status} {}", becomes.code),
        (_, Some(status)) => format!("→ {status} {}", becomes.code),
        (_, None) => format!("→ cut, {}", becomes.code),
    }
}

/// `every 18 s, last 02:58 UTC`
fn pace(row: &ForeseenCalls, told: &Foreseen, now: &str) -> String {
    let last = moment(&row.last, now);
    let length = told.seconds;
    match row.count {
        1 => format!("once, {last}"),
        many => format!(
            "every {}, last {last}",
            span((length / many as f64).max(1.0))
        ),
    }
}

fn silent(row: &ForeseenCalls, now: &str) -> Line {
    let line = Line::new().plain(format_args!("  {:<10} ", "silent"));
    let line = line.strong(caller(row)).plain(" → ").strong(short(&row.to));
    let what = match row.means {
        Means::Breaks => format!("would be refused: {}", becomes(row)),
        Means::Changes => format!("would change: {}", row.why),
        Means::Undecided => format!("undecided: {}", row.why),
    };
    line.plain(format_args!(
        "  {}   last {}, not in this window; {what}",
        asked(row),
        moment(&row.last, now)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_nothing_or_all_only_where_it_is() {
        for (part, of, expect) in [
            (0, 0, "0 %"),
            (12, 140, "9 %"),
            (2, 3, "67 %"),
            (1, 1000, "less than 1 %"),
            (999, 1000, "more than 99 %"),
            (7, 7, "100 %"),
        ] {
            assert_eq!(share(part, of), expect, "{part} of {of}");
        }
    }
}
