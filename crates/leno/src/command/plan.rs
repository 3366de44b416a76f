//! `leno plan`: what a change would mean, for the configuration, for proxies, and for calls that were
//! recorded. Nothing is changed but, where that is asked for, what is recorded from then on.

mod recording;

use anyhow::bail;
use leno_admin::{Failure, Foreseen, ForeseenCalls, Means, OverrideTold, PlanOf, Planned};
use leno_model::Code;
use serde::Serialize;

use crate::arguments::Output;
use crate::arguments::change::{FailOn, Plan};
use crate::command::context::Context;
use crate::command::plan::recording::Recording;
use crate::command::{Answer, fleet};
use crate::folder::Files;
use crate::render::{change, failure, foreseen};
use crate::terminal::{Line, Terminal};

/// The set of what is imagined without a file.
const IMAGINED: &str = "imagined";

/// Asks the control plane what the change would mean, and says so.
pub(crate) fn run(options: &Plan, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let mut files = Vec::new();
    if !options.files.is_empty() {
        let read = Files::read(&options.files)?;
        if read.resources.is_empty() {
            bail!("there is no .yaml, .yml or .json file in what -f names");
        }
        files = fleet::asked(read)?;
    }
    let set = match (&options.set, options.files.is_empty()) {
        (Some(set), _) => set.clone(),
        (None, true) => IMAGINED.to_owned(),
        (None, false) => fleet::set_of(&options.files)?,
    };
    let question = PlanOf {
        files,
        namespace: options
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
        set,
        prune: options.prune,
        with: options.with.clone(),
        with_in: options.namespace.clone(),
        seconds: options.since.as_secs().max(1),
    };
    let asked = &options.context;
    let json = asked.output == Output::Json;
    let context = Context::choose(asked.context.as_deref())?;
    let planned = match context.ask(question)? {
        Ok(planned) => planned,
        Err(failure) => return fleet::refused(&failure, json, terminal),
    };
    let reason = format!("leno plan{}", named(options));
    let recording = options
        .record
        .map(|lasts| Recording::begin(&context, &planned, lasts, &reason))
        .transpose()?;
    match json {
        true => terminal.text(&serde_json::to_string_pretty(&Told {
            planned: &planned,
            recorded: recording.iter().flat_map(|it| &it.taken).collect(),
            not_recorded: recording.as_ref().and_then(|it| it.refused.as_ref()),
        })?)?,
        false => {
            print(&planned, options, terminal)?;
            if let Some(recording) = &recording {
                recording.print(&planned.status.now, terminal)?;
            }
        }
    }
    if recording.is_some_and(|it| it.refused.is_some()) {
        return Ok(Answer::Bad);
    }
    // What changes nothing needs no call to prove it.
    let fail_on = match planned.changes.is_empty() {
        true => &[],
        false => options.fail_on.as_slice(),
    };
    Ok(match planned.refused {
        Some(_) => Answer::Bad,
        None => answer(&planned.traffic, fail_on),
    })
}

/// It all, for programs.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    planned: &'a Planned,
    /// The measures that were taken so that more is recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recorded: Vec<&'a OverrideTold>,
    /// Why no others were.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_recorded: Option<&'a Failure>,
}

/// What it comes to for calls: one that would break is always bad. Where no call could tell, whoever asked
/// that something fail is not told that all is well.
fn answer(traffic: &Foreseen, fail_on: &[FailOn]) -> Answer {
    let is_bad = |on: &FailOn| match on {
        FailOn::Breaks => traffic.breaks > 0,
        FailOn::Changes => traffic.changes > 0,
        FailOn::Undecided => traffic.undecided > 0,
    };
    if traffic.breaks > 0 || fail_on.iter().any(is_bad) {
        return Answer::Bad;
    }
    match traffic.not_read.is_some() || traffic.calls == 0 && !fail_on.is_empty() {
        true => Answer::Exit(3),
        false => Answer::Fine,
    }
}

fn print(planned: &Planned, options: &Plan, terminal: &mut Terminal) -> anyhow::Result<()> {
    let status = &planned.status;
    let head = Line::new().dim("context ").plain(&status.context);
    let head = head.dim(" · base revision ").plain(status.revision);
    terminal.line(head.dim(" · ").strong("NOTHING IS CHANGED"))?;
    terminal.gap()?;
    let told = change::counted(&planned.changes);
    let (differ, all) = (planned.proxies.len(), status.proxies);
    let line = Line::new()
        .strong("objects")
        .plain(format_args!("   {told}"));
    let line = line.plain("          ").strong("proxies");
    terminal.line(line.plain(format_args!("   {differ} of {all} get a new view")))?;
    for line in change::lines(&planned.changes, true) {
        terminal.line(Line::new().plain("  ").then(&line))?;
    }
    for left in &planned.left {
        terminal.line(Line::new().doubtful("! ").plain(left))?;
    }
    failure::findings(&planned.findings, &status.now, terminal)?;
    terminal.gap()?;
    foreseen::print(&planned.traffic, &status.now, terminal)?;
    for line in recording::hints(&planned.traffic, &status.now) {
        terminal.line(line)?;
    }
    terminal.gap()?;
    for line in verdict(planned, options) {
        terminal.line(line)?;
    }
    Ok(())
}

/// What it comes to, and what helps further.
fn verdict(planned: &Planned, options: &Plan) -> Vec<Line> {
    let traffic = &planned.traffic;
    let mut lines = Vec::new();
    if let Some(refused) = &planned.refused {
        let code = refused.code.as_deref().unwrap_or_default();
        let line = Line::new()
            .bad("It would not be applied")
            .plain(": ")
            .strong(code);
        lines.push(line.plain(format_args!(" {}", refused.message)));
    }
    let line = match traffic.broken_callers {
        _ if traffic.not_read.is_some() => {
            Line::new().bad("It could not be found out who would break.")
        }
        0 if traffic.calls == 0 => Line::new().doubtful("No call was recorded that could tell."),
        0 => Line::new().good("No caller would break."),
        1 => Line::new().bad("1 caller would break."),
        many => Line::new().bad(format_args!("{many} callers would break.")),
    };
    let by_access = |row: &&ForeseenCalls| {
        let becomes = row.becomes.as_ref();
        row.means == Means::Breaks
            && becomes.is_some_and(|becomes| becomes.code == Code::R003.as_str())
    };
    let broken = traffic.rows.iter().find(by_access);
    let mut next = Vec::new();
    next.extend(broken.map(|row| format!("leno policy suggest {}", row.to)));
    if recording::could_help(traffic) && options.record.is_none() {
        next.push(format!("leno plan{} --record 24h", named(options)));
    }
    if !options.files.is_empty() && planned.refused.is_none() && !planned.changes.is_empty() {
        let revision = planned.status.revision;
        let paths = paths(options);
        next.push(format!("leno apply{paths} --if-revision {revision}"));
    }
    lines.push(match next.is_empty() {
        true => line,
        false => line.dim("   Next  ").plain(next.join(" · ")),
    });
    lines
}

/// What is planned, in the words of the command line.
fn named(options: &Plan) -> String {
    let with = options.with.iter().map(|field| format!(" --with {field}"));
    with.chain([paths(options)]).collect()
}

/// The files that are planned, and the namespace of what names none.
fn paths(options: &Plan) -> String {
    let paths = options.files.iter();
    let paths = paths.map(|path| format!(" -f {}", path.display()));
    let namespace = options.namespace.iter().map(|name| format!(" -n {name}"));
    paths.chain(namespace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_that_could_tell_is_no_good_answer_to_who_asks_that_it_fail() {
        let code = |traffic: &Foreseen, fail_on: &[FailOn]| match answer(traffic, fail_on) {
            Answer::Fine => 0,
            Answer::Bad => 1,
            Answer::Exit(code) => code,
        };
        let nothing = Foreseen::default();
        let not_read = Foreseen {
            not_read: Some(Failure::coded(Code::S010, "no such file")),
            ..Foreseen::default()
        };
        let same = Foreseen {
            calls: 2,
            same: 2,
            ..Foreseen::default()
        };
        let broken = Foreseen {
            calls: 2,
            breaks: 2,
            ..Foreseen::default()
        };
        let undecided = Foreseen {
            calls: 2,
            undecided: 2,
            ..Foreseen::default()
        };
        let each = [&[][..], &[FailOn::Breaks], &[FailOn::Undecided]];
        for (traffic, expect) in [
            (nothing, [0, 3, 3]),
            (not_read, [3, 3, 3]),
            (same, [0, 0, 0]),
            (broken, [1, 1, 1]),
            (undecided, [0, 0, 1]),
        ] {
            assert_eq!(each.map(|fail_on| code(&traffic, fail_on)), expect);
        }
    }
}
