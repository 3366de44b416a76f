//! `leno why ID`: what became of a call, and why.

use std::collections::BTreeMap;

use leno_admin::ConfigurationOf;
use leno_telemetry::Kept;
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::command::context::Context;
use crate::command::{Answer, tap};
use crate::happened::{Call, Happened, Present};
use crate::live::Live;
use crate::render;
use crate::terminal::{Line, Terminal};
use crate::up::{Client, Place, Wanted, Watched};

/// The exit code of what could not be found out.
const UNKNOWN: u8 = 3;

/// Tells of the call whose id begins so, as its proxies kept it.
pub(crate) fn run(id: &str, output: Output, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let place = Place::here()?;
    let mut client = Client::require(&place)?;
    client.kept(&Wanted::Named(id.to_owned()))?;
    let mut calls = BTreeMap::<String, Vec<Watched>>::new();
    while let Some(told) = client.watched()? {
        calls
            .entry(told.text("id").to_owned())
            .or_default()
            .push(told);
    }
    let mut calls = calls.into_values();
    match (calls.next(), calls.next()) {
        (None, _) => not_kept(id, terminal),
        (Some(records), None) => tell(&records, &place, output, terminal),
        (Some(first), Some(second)) => {
            let rest = calls.collect::<Vec<_>>();
            ambiguous(id, [first, second].iter().chain(&rest), terminal)
        }
    }
}

fn not_kept(id: &str, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let line = Line::new().strong(id);
    terminal.line(line.plain(" is not kept: no proxy of this mesh remembers such a call"))?;
    let (failed, slowest, sampled) = (Kept::FAILED, Kept::SLOWEST, Kept::SAMPLED);
    for line in [
        format!(
            "Kept are, of each second and worker, {failed} calls that failed, the {slowest} slowest"
        ),
        format!("and {sampled} others, until newer ones take their place or the mesh ends."),
    ] {
        terminal.line(Line::new().plain("  ").dim(line))?;
    }
    let next = Line::new().dim("  Next  ").plain("leno tap --last 20");
    terminal.line(next.plain(" · leno why SOURCE URL"))?;
    Ok(Answer::Exit(UNKNOWN))
}

fn ambiguous<'a>(
    id: &str,
    calls: impl Iterator<Item = &'a Vec<Watched>>,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    terminal
        .line(Line::new().doubtful(format_args!("{id} begins the id of more than one call:")))?;
    terminal.line(tap::head())?;
    for records in calls {
        if let Some(told) = Call::new(records).end() {
            terminal.line(tap::row(told))?;
        }
    }
    Ok(Answer::Exit(UNKNOWN))
}

fn tell(
    records: &[Watched],
    place: &Place,
    output: Output,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let call = Call::new(records);
    let told = match Context::choose(Some(&place.control_socket()))?.ask(ConfigurationOf {}) {
        Ok(Ok(told)) => Some(told),
        // What was recorded can be told without it.
        Ok(Err(_)) | Err(_) => None,
    };
    let live = told
        .as_ref()
        .and_then(|told| Live::of(told, "default").ok());
    let present = told.as_ref().zip(live.as_ref());
    let present = present.map(|(told, live)| Present {
        told,
        mesh: &live.mesh,
    });
    let happened = call.explain(present.as_ref());
    let (Some(begin), Some(end)) = (call.begin(), call.end()) else {
        return Ok(Answer::Exit(UNKNOWN));
    };
    if output == Output::Json {
        let json = json(records, &happened);
        terminal.text(&serde_json::to_string_pretty(&json)?)?;
    } else {
        if let Some(live) = &live {
            terminal.line(live.context())?;
        }
        terminal.line(headline(begin, end))?;
        render::story::print_steps(&happened.proxies, terminal)?;
        for line in at_present(&happened) {
            terminal.line(line)?;
        }
        if let Some(next) = next(end, &happened) {
            terminal.line(Line::new().dim("  Next  ").plain(next))?;
        }
    }
    Ok(match end.text("fault") {
        "" => Answer::Fine,
        _ => Answer::Bad,
    })
}

/// `02:51:07.312  checkout → payments  POST /charge   503 R014 no-endpoint after 2 ms   answered by: ..`.
fn headline(begin: &Watched, end: &Watched) -> Line {
    let short = leno_admin::figures::short;
    let time = begin.text("time");
    let (source, destination) = (
        short(begin.text("source")),
        short(begin.text("destination")),
    );
    let line = Line::new()
        .dim(time.get(11..23).unwrap_or(time))
        .plain("  ");
    let line = line
        .strong(format_args!("{source} → {destination}"))
        .plain("  ");
    let line = line.plain(begin.request().unwrap_or_default()).plain("   ");
    let status = end.number("status").map(|status| format!("{status} "));
    let outcome = match end.text("code") {
        "" => status.unwrap_or_default(),
        code => format!("{}{code} {} ", status.unwrap_or_default(), end.why()),
    };
    let line = match end.text("fault") {
        "" => line.good(outcome),
        _ => line.bad(outcome),
    };
    let took = begin.number("duration_ms").unwrap_or_default();
    let by = match (end.text("code"), end.text("reporter")) {
        ("", _) => destination.to_owned(),
        (_, "source") => format!("proxy of {source}"),
        _ => format!("proxy of {destination}"),
    };
    line.plain(format_args!("after {took:.0} ms   answered by: {by}"))
}

/// What would become of the call by what is in force, and what that leaves out.
fn at_present(happened: &Happened) -> Vec<Line> {
    let line = Line::new().plain("  ");
    if happened.present.is_empty() {
        let why = "what the revision in force would do: not known, this was not recorded whole";
        return vec![line.dim(why)];
    }
    let left_out = "decided without headers and query, which are not recorded";
    vec![line.clone().plain(&happened.present), line.dim(left_out)]
}

/// What helps further with a call that failed.
fn next(end: &Watched, happened: &Happened) -> Option<String> {
    let last = happened.proxies.last();
    let workload = last.and_then(|proxy| proxy.name.strip_prefix("proxy of "));
    match (end.text("code"), end.text("fault"), workload) {
        ("", "", _) | ("", _, None) => None,
        ("", _, Some(workload)) => {
            let service = leno_admin::figures::short(end.text("destination"));
            Some(format!(
                "leno logs {workload} · leno tap {service} --failed"
            ))
        }
        (code, ..) => Some(format!(
            "leno explain {code} · leno tap --last 20 --code {code}"
        )),
    }
}

fn json(records: &[Watched], happened: &Happened) -> Value {
    let proxies = happened.proxies.iter().map(|proxy| {
        json!({
            "proxy": proxy.name,
            "view": proxy.view,
            "steps": render::story::story_json(&proxy.story),
        })
    });
    json!({
        "records": records.iter().map(Watched::value).collect::<Vec<_>>(),
        "proxies": proxies.collect::<Vec<_>>(),
        "present": happened.present,
    })
}
