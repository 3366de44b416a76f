//! Changes that are watched, as people read them: what fails first.

use std::io;

use leno_admin::figures::{count, moment, percent, short};
use leno_admin::{Aftermath, WatchEnd, WatchEnded, WatchedChange, Watches, Weight, WorseCalls};

use crate::render::table::Table;
use crate::render::{head, short as identity};
use crate::terminal::{Line, Terminal};

/// How many kinds of call are shown that fail.
const MOST: usize = 8;

/// Prints those that run, then those that are over.
pub(crate) fn print(told: &Watches, terminal: &mut Terminal) -> io::Result<()> {
    let now = &told.status.now;
    terminal.line(head(&told.status))?;
    if told.watches.is_empty() {
        terminal.line("no change is or was watched: leno apply -f DIR --watch 5m")?;
        return Ok(());
    }
    if let [one] = told.watches.as_slice() {
        for line in lines(one, now) {
            terminal.line(line)?;
        }
        return Ok(());
    }
    let mut table = Table::new(&["REVISION", "AT", "WHO", "WATCH", "WHY"]);
    for one in &told.watches {
        let (how, why) = match &one.ended {
            None => (
                Line::new().doubtful(format_args!("runs until {}", moment(&one.until, now))),
                one.objects.join(", "),
            ),
            Some(ended) => (end(ended), ended.why.clone()),
        };
        table.row([
            Line::new().strong(one.revision),
            moment(&one.at, now).into(),
            identity(&one.who, &told.status.context).into(),
            how,
            why.into(),
        ]);
    }
    table.print(terminal)
}

fn end(ended: &WatchEnded) -> Line {
    let by = ended.by.map(|by| format!(" as revision {by}"));
    let by = by.unwrap_or_default();
    match ended.end {
        WatchEnd::Stayed => Line::new().good("stayed"),
        WatchEnd::Kept => Line::new().plain("was let stay"),
        WatchEnd::WentBack => Line::new().bad("went back").plain(by),
        WatchEnd::Unseen => Line::new().bad("could not be watched").plain(by),
        WatchEnd::TakenBack => Line::new().plain("was taken back").plain(by),
        WatchEnd::Stuck => Line::new().bad("could not be taken back"),
    }
}

/// What a watch says to whoever looks on for a while: whatever it is worth to be told of.
pub(crate) fn gist(watch: &WatchedChange) -> String {
    let Some(seen) = &watch.seen else {
        return "begins".to_owned();
    };
    let worse = seen.worse.iter().map(|one| {
        let (from, to, request, weight) = (&one.from, &one.to, &one.request, one.weight);
        format!("{from} {to} {request} {weight:?}")
    });
    let proxies = seen.unwell.iter().chain(&seen.unheard);
    let proxies = proxies.chain(&seen.behind).cloned();
    worse.chain(proxies).collect::<Vec<_>>().join("\n")
}

/// A watch as it is at this moment.
pub(crate) fn lines(watch: &WatchedChange, now: &str) -> Vec<Line> {
    let mut lines = vec![first(watch, now)];
    if let Some(ended) = &watch.ended {
        lines.push(Line::new().plain("  ").plain(&ended.why));
    }
    if let Some(seen) = &watch.seen {
        lines.extend(of_calls(seen));
    }
    lines.push(last(watch));
    lines
}

fn first(watch: &WatchedChange, now: &str) -> Line {
    let revision = format!("revision {}", watch.revision);
    let until = moment(&watch.until, now);
    match &watch.ended {
        Some(ended) => match ended.end {
            WatchEnd::Stayed | WatchEnd::Kept => Line::new().good("✓ "),
            WatchEnd::WentBack | WatchEnd::Unseen | WatchEnd::TakenBack | WatchEnd::Stuck => {
                Line::new().bad("✗ ")
            }
        }
        .strong(revision)
        .plain("  ")
        .then(&end(ended)),
        None => {
            let line = Line::new().strong(revision).plain("  watched until ");
            let left = match watch.left {
                0 => "the last reports are on their way".to_owned(),
                left => format!(
                    "{}:{:02} left of {}",
                    left / 60,
                    left % 60,
                    whole(watch.seconds)
                ),
            };
            line.plain(until).dim(format_args!(" · {left}"))
        }
    }
}

/// `5:00`
fn whole(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn of_calls(seen: &Aftermath) -> Vec<Line> {
    if let Some(why) = &seen.not_read {
        let line = Line::new().bad("  NOT SEEN  ").plain(&why.message);
        return vec![line];
    }
    let mut lines = Vec::new();
    let line = Line::new().plain("  calls     ");
    lines.push(match seen.calls {
        0 => line.plain("none yet that it can have touched"),
        calls => line.plain(format_args!(
            "{} that it can have touched, {} failed ({})",
            count(calls),
            count(seen.failed),
            percent(seen.failed, calls),
        )),
    });
    let before = match seen.calls_before {
        0 => "none".to_owned(),
        calls => format!("{}, {} failed", count(calls), count(seen.failed_before)),
    };
    // Before anything came, nothing is missing yet.
    let silent = match seen.silent.min(seen.calls) {
        0 => String::new(),
        1 => "; 1 kind of call has not come since".to_owned(),
        _ => format!("; {} kinds of call have not come since", seen.silent),
    };
    lines.push(Line::new().dim(format_args!("  before    {before}{silent}")));
    for one in &seen.unwell {
        lines.push(Line::new().bad("  PROXY     ").plain(one));
    }
    for one in seen.unheard.iter().take(MOST) {
        let line = Line::new().doubtful("  proxy     ").plain(one);
        lines.push(line.dim("  does not count"));
    }
    lines.extend(seen.worse.iter().take(MOST).map(worse));
    let more = u64::try_from(seen.worse.len().saturating_sub(MOST)).unwrap_or(0) + seen.more;
    if more > 0 {
        lines.push(Line::new().dim(format_args!("            and {more} more (-o json)")));
    }
    if !seen.behind.is_empty() {
        let named = seen.behind.iter().take(3).cloned().collect::<Vec<_>>();
        let line = Line::new().doubtful("  behind    ").plain(named.join(", "));
        lines.push(line.dim("  not adopted yet"));
    }
    if seen.overrides > 0 {
        let line = Line::new().doubtful("  override  ");
        lines.push(line.plain("what an override lets through does not fail: leno override list"));
    }
    lines
}

fn worse(one: &WorseCalls) -> Line {
    let line = match one.weight {
        Weight::Refused => Line::new().bad("  REFUSED   "),
        Weight::Risen => Line::new().bad("  FAILING   "),
        Weight::TooFew => Line::new().doubtful("  too few   "),
        Weight::Tolerated => Line::new().plain("  tolerated "),
    };
    let from = one.address.as_deref().unwrap_or_else(|| short(&one.from));
    let line = line.strong(from).plain(" → ").strong(short(&one.to));
    let line = line.plain(format_args!("  {}   ", one.request));
    let status = one.status.map(|status| format!("{status} "));
    let code = one.code.as_ref().map(|code| format!("{code} "));
    let (status, code) = (status.unwrap_or_default(), code.unwrap_or_default());
    let line = line.plain(format_args!("{status}{code}{}", one.why));
    line.dim(format_args!(
        "   {} of {}, before {} of {}",
        count(one.failed),
        count(one.calls),
        count(one.failed_before),
        count(one.calls_before)
    ))
}

fn last(watch: &WatchedChange) -> Line {
    let revision = watch.revision;
    let before = revision.saturating_sub(1);
    let next = Line::new().dim("  Next      ");
    match watch.ended.as_ref().map(|ended| ended.end) {
        None => Line::new().dim(format_args!(
            "  goes on   without this (Ctrl-C) · leno watch {revision} --keep · leno watch {revision} --back"
        )),
        Some(WatchEnd::Stayed | WatchEnd::Kept | WatchEnd::Stuck) => next.plain(format_args!("leno rollback {before}")),
        Some(WatchEnd::WentBack | WatchEnd::Unseen | WatchEnd::TakenBack) => {
            let worst = watch.seen.iter().flat_map(|seen| &seen.worse).next();
            let why = worst.map(|worst| format!(" · leno why {} --since 10m", worst.to));
            next.plain(format_args!("leno diff {before} {revision}{}", why.unwrap_or_default()))
        }
    }
}
