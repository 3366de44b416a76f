//! `leno status`: is the mesh well, in one screen and one verdict? What is wrong first, then what is
//! in force, who follows, what goes.

use leno_admin::figures::{self, duration, moment, percent, short};
use leno_admin::{
    Edge, Finding, Followers, Grade, Overview, OverviewOf, Traffic, Verdict, Workload,
    WorkloadState,
};
use leno_model::Severity;

use crate::arguments::Output;
use crate::arguments::fleet::Status;
use crate::command::context::Context;
use crate::command::{Answer, fleet};
use crate::render::{self, note};
use crate::terminal::{Line, Terminal};

/// How many things that are wrong or doubtful are shown.
const MOST_TROUBLES: usize = 5;

/// How many names are spelled out where there may be many.
const MOST_NAMES: usize = 3;

/// Where the values stand.
const VALUES: usize = 14;

/// Asks how the mesh is.
pub(crate) fn run(options: &Status, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let asked = &options.context;
    let json = asked.output == Output::Json;
    let overview = match Context::choose(asked.context.as_deref())?.ask(OverviewOf {})? {
        Ok(overview) => overview,
        Err(failure) => return fleet::refused(&failure, json, terminal),
    };
    if json {
        terminal.text(&serde_json::to_string_pretty(&overview)?)?;
    } else {
        print(&overview, terminal)?;
    }
    Ok(match overview.verdict.grade {
        Grade::Well | Grade::Doubtful => Answer::Fine,
        Grade::Wrong => Answer::Bad,
    })
}

fn print(overview: &Overview, terminal: &mut Terminal) -> anyhow::Result<()> {
    let Verdict { grade, words } = &overview.verdict;
    let line = render::head(&overview.status).column(72, 6);
    terminal.line(match grade {
        Grade::Well => line.good("✓ ").good(words),
        Grade::Doubtful => line.doubtful("! ").doubtful(words),
        Grade::Wrong => line.bad("✗ ").bad(words),
    })?;
    let (shown, hidden) = troubles(overview);
    if !shown.is_empty() {
        terminal.gap()?;
    }
    for line in shown {
        terminal.line(line)?;
    }
    if hidden > 0 {
        terminal.line(Line::new().dim(format_args!("  {hidden} more: leno check")))?;
    }
    terminal.gap()?;
    for (name, value) in facts(overview) {
        let line = Line::new().dim(name).column(VALUES, 1);
        terminal.line(line.then(&value))?;
    }
    let next = next(overview);
    if !next.is_empty() {
        terminal.gap()?;
        terminal.line(Line::new().dim("Next  ").plain(next.join(" · ")))?;
    }
    Ok(())
}

/// The commands that tell more of what is not well.
fn next(overview: &Overview) -> Vec<&'static str> {
    let severities = [Severity::Error, Severity::Warning];
    let any = |found: &dyn Fn(Severity) -> bool| severities.into_iter().any(found);
    let steps = [
        (
            any(&|severity| overview.findings_of(severity).next().is_some()),
            "leno check",
        ),
        (
            any(&|severity| overview.troubled_workloads(severity).next().is_some()),
            "leno ps",
        ),
        (
            overview
                .traffic
                .as_ref()
                .is_some_and(|all| all.failed() > 0),
            "leno tap --failed",
        ),
    ];
    let steps = steps.into_iter().filter(|(holds, _)| *holds);
    steps.map(|(_, step)| step).collect()
}

/// What is wrong and what is doubtful, the worst first, and how much more of it there is.
fn troubles(overview: &Overview) -> (Vec<Line>, usize) {
    let now = &overview.status.now;
    let all = [Severity::Error, Severity::Warning].map(|severity| {
        let workloads = overview.troubled_workloads(severity);
        let workloads = workloads.map(move |one| troubled(severity, one));
        let findings = overview.findings_of(severity);
        workloads.chain(findings.map(|finding| found(finding, now)))
    });
    let mut all: Vec<_> = all.into_iter().flatten().collect();
    let hidden = all.len().saturating_sub(MOST_TROUBLES);
    all.truncate(MOST_TROUBLES);
    (all.into_iter().flatten().collect(), hidden)
}

fn troubled(severity: Severity, workload: &Workload) -> Vec<Line> {
    let head = note::mark(severity).strong(short(&workload.name));
    let head = head.plain(match severity {
        Severity::Error => " does not run",
        Severity::Warning | Severity::Info => " has trouble",
    });
    let place = workload.place.iter().map(|place| format!("{place}  "));
    let why = workload.trouble.as_deref().unwrap_or_default();
    let why = Line::new().plain(format_args!("    {}{why}", place.collect::<String>()));
    let why = match &workload.next {
        Some(next) => why.plain("   ").dim(next),
        None => why,
    };
    vec![head, why]
}

fn found(finding: &Finding, now: &str) -> Vec<Line> {
    let place = finding.file.as_ref().zip(finding.line);
    let place = place.map(|(file, line)| format!("{file}:{line}  "));
    let why = format!(
        "    {}{}",
        place.unwrap_or_default(),
        note::message(finding)
    );
    vec![note::head(finding, now), why.into()]
}

/// What is so, a line each.
fn facts(overview: &Overview) -> Vec<(&'static str, Line)> {
    let now = &overview.status.now;
    let mut facts = vec![
        ("revision", revision(overview)),
        ("proxies", proxies(overview)),
    ];
    if overview.traffic.is_some() {
        let (up, all) = overview.up();
        facts.push(("workloads", format!("{up} of {all} up").into()));
    }
    facts.push(("calls", calls(overview.traffic.as_ref())));
    if let Some(first) = &overview.certificate {
        let ends = moment(&first.ends, now);
        let whose = render::short(&first.identity, &overview.status.context);
        let value = format!("the first to end is that of {whose}, {ends}");
        facts.push(("certificates", value.into()));
    }
    let outside = overview.workloads.iter();
    let outside = outside.filter(|one| one.state == WorkloadState::Outside);
    for (index, workload) in outside.enumerate() {
        let name = if index == 0 { "outside" } else { "" };
        let at = workload.published.join(", ");
        let place = workload.place.iter().map(|place| format!(" ({place})"));
        let place = place.collect::<String>();
        let value = format!("{}  {at}{place}, {}", workload.name, workload.what);
        facts.push((name, value.into()));
    }
    facts
}

fn revision(overview: &Overview) -> Line {
    let Some(past) = &overview.change else {
        return match overview.status.objects {
            0 => "nothing was applied yet: leno apply -f DIR".into(),
            count => Line::new().plain(format_args!(
                "none: {} come from what the control plane follows",
                figures::count(count)
            )),
        };
    };
    let at = moment(&past.at, &overview.status.now);
    let line = Line::new().plain(format_args!(
        "{} since {at}, by {}: {}",
        past.revision, past.who, past.what
    ));
    match past.message.lines().next() {
        Some(why) => line.dim(format_args!(", {why:?}")),
        None => line,
    }
}

fn proxies(overview: &Overview) -> Line {
    let Followers {
        connected,
        behind,
        away,
    } = &overview.followers;
    if *connected == 0 && away.is_empty() {
        let is_of_cluster = overview.change.as_ref().is_some_and(|past| past.observed);
        return match is_of_cluster {
            true => {
                "none has joined yet: kubectl label namespace NAME leno.dev/dataplane-mode=sidecar"
                    .into()
            }
            false => "none has joined yet: leno token create --help".into(),
        };
    }
    let line = Line::new().plain(format_args!("{} connected", figures::count(*connected)));
    let line = match (connected, behind.as_slice()) {
        (0, _) => line,
        (_, []) => line.plain(", none behind"),
        (_, behind) => {
            line.plain(", ")
                .doubtful(format_args!("{} behind: {}", behind.len(), names(behind)))
        }
    };
    match away.as_slice() {
        [] => line,
        away => line
            .plain(", ")
            .bad(format_args!("{} away: {}", away.len(), names(away))),
    }
}

/// A few of the names, and how many others there are.
fn names(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES);
    let shown = shown.cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn calls(traffic: Option<&Traffic>) -> Line {
    let Some(traffic) = traffic else {
        return Line::new().dim("not known here: proxies do not report calls to a control plane");
    };
    let (calls, failed) = (traffic.calls(), traffic.failed());
    let over = figures::span(traffic.seconds);
    if calls == 0 {
        return format!("none in the last {over}").into();
    }
    let rate = calls as f64 / traffic.seconds.max(0.001);
    let line = Line::new().plain(format_args!("{rate:.1} a second in the last {over}, "));
    let line = match failed {
        0 => line.good("none failed"),
        _ => line.bad(format_args!("{failed} failed ({})", percent(failed, calls))),
    };
    let slowest = traffic
        .edges
        .iter()
        .filter_map(|edge| Some((edge.p99_us?, edge)));
    match slowest.max_by_key(|(p99, _)| *p99) {
        Some((p99, edge)) => line.plain(format_args!(", p99 {}", slow(p99, edge))),
        None => line,
    }
}

/// `21 ms at most (web → cart)`.
fn slow(p99_us: u64, edge: &Edge) -> String {
    let took = duration(std::time::Duration::from_micros(p99_us));
    format!(
        "{took} at most ({} → {})",
        short(&edge.from),
        short(&edge.to)
    )
}
