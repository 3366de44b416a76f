//! `leno stat`: the golden signals of each service, edge or route, of late or for as long as they are
//! kept.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_admin::figures::{self, moment};
use leno_admin::{By, Carried, Kept, TrafficOf};

use crate::arguments::{Output, Stat};
use crate::command::context::Context;
use crate::command::{Answer, fleet};
use crate::render;
use crate::terminal::{Line, Terminal};

/// Asks the control plane what went, and prints a row for each service, or whatever is told apart.
pub(crate) fn run(options: &Stat, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let asked = &options.context;
    let json = asked.output == Output::Json;
    let by = match (options.edges, options.routes, options.requests) {
        (_, _, true) => By::Request,
        (_, true, false) => By::Route,
        (true, false, false) => By::Edge,
        (false, false, false) => By::Service,
    };
    let question = TrafficOf {
        seconds: options.since.as_secs().max(1),
        until: None,
        step: None,
        by,
        of: options.service.clone(),
        namespace: options.namespace.clone(),
    };
    let carried = match Context::choose(asked.context.as_deref())?.ask(question)? {
        Ok(carried) => carried,
        Err(failure) => return fleet::refused(&failure, json, terminal),
    };
    match json {
        true => terminal.text(&serde_json::to_string_pretty(&carried)?)?,
        false => print(&carried, options, terminal)?,
    }
    Ok(Answer::Fine)
}

fn print(carried: &Carried, options: &Stat, terminal: &mut Terminal) -> anyhow::Result<()> {
    let span = figures::span(options.since.as_secs_f64());
    terminal.line(render::head(&carried.status))?;
    let step = carried.steps.first();
    let covered = step.and_then(|step| covered(&carried.kept, &step.from, &carried.status.now));
    let covered = covered.unwrap_or_default();
    terminal.line(Line::new().dim(format_args!("the last {span}{covered}")))?;
    terminal.gap()?;
    for line in trouble(&carried.kept) {
        terminal.line(line)?;
    }
    let Some(step) = step.filter(|step| !step.edges.is_empty()) else {
        let of = options.service.as_ref();
        let of = of.map(|of| format!(" from or to {of}")).unwrap_or_default();
        terminal.line(format!("no call{of} in {span}"))?;
        let next = "leno curl WORKLOAD URL · leno stat --since 24h";
        terminal.line(Line::new().dim("Next  ").plain(next))?;
        return Ok(());
    };
    let time = Duration::from_secs_f64(step.seconds.clamp(1.0, 1e9));
    for line in render::edges::table(&step.edges, &BTreeMap::new(), time) {
        terminal.line(line)?;
    }
    let worst = step.edges.iter().max_by_key(|edge| edge.failed);
    if let Some(worst) = worst.filter(|edge| edge.failed > 0 && !edge.to.is_empty()) {
        let of = figures::short(&worst.to);
        let minutes = options.since.as_secs().div_ceil(60);
        terminal.gap()?;
        let next = format!("leno why {of} --since {minutes}m");
        terminal.line(Line::new().dim("Next  ").plain(next))?;
    }
    Ok(())
}

/// From when on something is kept, if that is later than what was asked for.
fn covered(kept: &Kept, asked: &str, now: &str) -> Option<String> {
    // Times of one form and zone compare as texts.
    let from = kept.from.as_ref().filter(|from| from.as_str() > asked)?;
    Some(format!(", kept since {}", moment(from, now)))
}

/// What makes the figures less than all.
pub(crate) fn trouble(kept: &Kept) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(finding) = &kept.trouble {
        let line = Line::new().doubtful("! ").strong(&finding.code);
        let line = line.plain(format_args!(" {}: {}", finding.slug, finding.message));
        lines.push(line);
    }
    if kept.lost > 0 {
        let lost = figures::count(kept.lost);
        let line = Line::new().doubtful("! ");
        lines.push(line.plain(format_args!(
            "{lost} calls are not in it: proxies had no room for them (leno explain D009)"
        )));
    }
    lines
}
