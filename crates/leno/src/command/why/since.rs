//! `leno why SERVICE --since`: from the symptom to the cause. What failed, by why and by what, since
//! when, what was changed right before, and how that is undone.

use std::time::Duration;

use leno_admin::figures::{count, moment, percent, short, span};
use leno_admin::{FailureGroup, Failures, FailuresOf};
use leno_model::Fault;

use crate::arguments::{Output, Why};
use crate::command::context::Context;
use crate::command::{Answer, fleet, stat};
use crate::render;
use crate::terminal::{Line, Terminal};

/// How many groups are shown; `-o json` has all.
const MOST: usize = 8;

/// Where the values of a group stand.
const VALUES: usize = 14;

/// Asks why calls from or to the service failed, and tells the most frequent cause first.
pub(super) fn run(
    options: &Why,
    since: Duration,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let asked = &options.subject.context;
    let json = asked.output == Output::Json;
    let question = FailuresOf {
        service: Some(options.source.clone()),
        namespace: options.namespace.clone(),
        seconds: since.as_secs().max(1),
    };
    let told = match Context::choose(asked.context.as_deref())?.ask(question)? {
        Ok(told) => told,
        Err(failure) => return fleet::refused(&failure, json, terminal),
    };
    match json {
        true => terminal.text(&serde_json::to_string_pretty(&told)?)?,
        false => print(&told, since, terminal)?,
    }
    Ok(match told.groups.is_empty() {
        true => Answer::Fine,
        false => Answer::Bad,
    })
}

fn print(told: &Failures, since: Duration, terminal: &mut Terminal) -> anyhow::Result<()> {
    let now = &told.status.now;
    terminal.line(render::head(&told.status))?;
    for line in stat::trouble(&told.kept) {
        terminal.line(line)?;
    }
    let service = told.service.as_deref().unwrap_or_default();
    let span = span(since.as_secs_f64());
    let line = Line::new().strong(short(service));
    let (calls, failed) = (count(told.calls), count(told.failed));
    terminal.line(match (told.calls, told.failed) {
        (0, _) => line.plain(format_args!("  no call from or to it in the last {span}")),
        (_, 0) => line
            .plain(format_args!(
                "  {calls} calls from or to it in the last {span}, "
            ))
            .good("none failed"),
        _ => line
            .plain(format_args!(
                "  {calls} calls from or to it in the last {span}, "
            ))
            .bad(format_args!(
                "{failed} failed ({})",
                percent(told.failed, told.calls)
            )),
    })?;
    for group in told.groups.iter().take(MOST) {
        terminal.gap()?;
        for line in lines(group, now) {
            terminal.line(line)?;
        }
    }
    if let Some(more @ 1..) = told.groups.len().checked_sub(MOST) {
        terminal.gap()?;
        terminal.line(Line::new().dim(format_args!("{more} more: -o json has all")))?;
    }
    if told.calls == 0 {
        let next = "leno stat --edges --since 24h · leno status";
        terminal.gap()?;
        terminal.line(Line::new().dim("Next  ").plain(next))?;
    }
    Ok(())
}

/// One cause, with what to do about it.
fn lines(group: &FailureGroup, now: &str) -> Vec<Line> {
    let failure = &group.failure;
    let head = Line::new().bad("✗ ");
    let head = match &failure.code {
        Some(code) => head.strong(code).plain(" "),
        None => head,
    };
    let head = head.strong(&failure.why).plain(format_args!(
        "   {} → {}   {} of {} calls",
        short(&group.from),
        short(&group.to),
        count(failure.count),
        count(group.of),
    ));
    let head = head.plain(match group.goes_on {
        true => format!("   since {}", moment(&failure.first, now)),
        false => {
            let [first, last] = [&failure.first, &failure.last].map(|at| moment(at, now));
            format!("   {first} to {last}, not since")
        }
    });
    let mut lines = vec![head];
    let mut add = |name: &str, value: Line| {
        let line = Line::new()
            .dim(format_args!("    {name}"))
            .column(VALUES, 1);
        lines.push(line.then(&value));
    };
    let culprit = Line::new().plain(short_culprit(&group.culprit));
    let culprit = match &group.place {
        Some(place) => culprit.plain(format_args!("   {place}")),
        None => culprit,
    };
    add(
        "culprit",
        culprit.dim(format_args!("   fault: {}", fault(&failure.fault))),
    );
    add("asked", asked(group));
    add("before", before(group, now));
    let next = group.next.iter().map(|step| step.command.as_str());
    let next = next.collect::<Vec<_>>().join(" · ");
    add("next", next.into());
    let undo = group
        .next
        .iter()
        .find(|step| step.command.starts_with("leno rollback"));
    if let Some(undo) = undo {
        add(
            "",
            Line::new().dim(format_args!("{} {}", undo.command, undo.shows)),
        );
    }
    lines
}

/// `POST /charge (180), GET /items/{id} (3), answered 503`.
fn asked(group: &FailureGroup) -> Line {
    let each = group
        .requests
        .iter()
        .map(|asked| match group.requests.len() {
            1 => asked.request.clone(),
            _ => format!("{} ({})", asked.request, count(asked.count)),
        });
    let line = Line::new().plain(each.collect::<Vec<_>>().join(", "));
    if group.statuses.is_empty() {
        return line;
    }
    let statuses: Vec<_> = group.statuses.iter().map(ToString::to_string).collect();
    line.plain(format_args!(", answered {}", statuses.join(", ")))
}

/// What was changed right before it began.
fn before(group: &FailureGroup, now: &str) -> Line {
    let quiet = group.quiet_before.map(|seconds| span(seconds as f64));
    match (&group.before, quiet) {
        (Some(past), quiet) => {
            let why = past.message.lines().next().filter(|why| !why.is_empty());
            let why = why.map(|why| format!(", {why:?}")).unwrap_or_default();
            let line = Line::new().strong(format_args!("revision {}", past.revision));
            let at = moment(&past.at, now);
            let line = line.plain(format_args!(
                " at {at}, by {}: {}{why}",
                past.who, past.what
            ));
            match quiet {
                Some(quiet) => line.dim(format_args!("   nothing of the kind for {quiet} before")),
                None => line,
            }
        }
        (None, Some(quiet)) => Line::new().plain(format_args!(
            "no revision came right before; nothing of the kind for {quiet}"
        )),
        (None, None) => "it is as old as what is kept".into(),
    }
}

/// Whose fault it is, as one says it.
fn fault(word: &str) -> &str {
    match word {
        word if word == Fault::Mesh.as_str() => "the mesh",
        word => word,
    }
}

/// A culprit without the namespace that all share where nobody chose one.
fn short_culprit(culprit: &str) -> String {
    culprit.replace(" default/", " ")
}
