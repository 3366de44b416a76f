//! How the mesh is: what is wrong first, then what runs, what goes between it, and what to do next.

mod calls;
mod problems;
mod workloads;

use leno_admin::{Failure, Overview, Step, Traffic, WorkloadState, figures};

use super::frame::{self, Life};
use crate::html::Html;

/// The page.
pub(crate) fn page(overview: &Overview) -> String {
    let mut body = Html::default();
    head(&mut body, overview);
    body.raw("<main>\n");
    verdict(&mut body, &Verdict::of(overview));
    problems::section(&mut body, overview);
    workloads::section(&mut body, &overview.workloads);
    if let Some(traffic) = &overview.traffic {
        calls::section(&mut body, traffic);
    }
    if let Some(failed) = &overview.failed {
        calls::failed(&mut body, failed);
    }
    next(&mut body, &overview.next);
    body.raw("</main>");
    frame::page(&overview.status.context, Life::Live, body)
}

/// The page of a mesh that does not say how it is.
pub(crate) fn unknown(failure: &Failure) -> String {
    let mut body = Html::default();
    body.raw("<header><p class=\"brand\">Leno</p><h1>How the mesh is cannot be found out</h1>");
    body.raw("</header>\n<main>\n<p class=\"verdict bad\" role=\"status\">");
    if let Some(code) = &failure.code {
        body.text(code).raw(" ");
    }
    body.text(&failure.message).raw("</p>\n");
    if let Some(advice) = &failure.advice {
        body.raw("<p>").text(advice).raw("</p>\n");
    }
    body.raw("<p>What was in force before is in force: proxies go on without being told anew.</p>");
    body.raw("\n</main>");
    frame::page("unknown", Life::Live, body)
}

fn head(body: &mut Html, overview: &Overview) {
    let status = &overview.status;
    body.raw("<header>\n<p class=\"brand\">Leno</p>\n<h1>");
    body.text(&status.context).raw("</h1>\n<p class=\"facts\">");
    if status.revision > 0 {
        body.raw("revision ").text(status.revision).raw(" · ");
    }
    if status.proxies > 0 {
        body.text(counted(status.proxies, "proxy", "proxies"))
            .raw(" · ");
    }
    body.raw("as of ")
        .raw("<time datetime=\"")
        .text(&status.now);
    body.raw("\">")
        .text(clock(&status.now))
        .raw("</time></p>\n");
    body.raw("<button type=\"button\" id=\"pause\" hidden>Pause</button>\n</header>\n");
}

/// Whether the mesh is well, in a line.
struct Verdict {
    mark: &'static str,
    class: &'static str,
    words: String,
    details: Vec<String>,
}

impl Verdict {
    fn of(overview: &Overview) -> Self {
        let (wrong, doubtful) = problems::count(overview);
        let failed = overview.traffic.as_ref().map_or(0, failed_calls);
        let (mark, class, words) = match (wrong, failed) {
            (0, 0) if doubtful > 0 => ("!", "doubtful", "Something is doubtful".to_owned()),
            (0, 0) => ("✓", "good", "All is well".to_owned()),
            (0, _) => ("!", "doubtful", "Some calls fail".to_owned()),
            (1, _) => ("✗", "bad", "One thing is wrong".to_owned()),
            (wrong, _) => ("✗", "bad", format!("{wrong} things are wrong")),
        };
        let mut details = Vec::new();
        let up = overview.workloads.iter();
        let up = up.filter(|workload| workload.state == WorkloadState::Up);
        match (up.count(), overview.workloads.len()) {
            (_, 0) => {}
            (1, 1) => details.push("the workload is up".to_owned()),
            (up, all) if up == all => details.push(format!("all {all} workloads are up")),
            (up, all) => details.push(format!("{up} of {all} workloads are up")),
        }
        details.extend(overview.traffic.as_ref().and_then(carried));
        Self {
            mark,
            class,
            words,
            details,
        }
    }
}

fn verdict(body: &mut Html, verdict: &Verdict) {
    body.raw("<p class=\"verdict ").raw(verdict.class);
    body.raw("\"><span class=\"mark\" aria-hidden=\"true\">");
    body.raw(verdict.mark)
        .raw("</span> <strong role=\"status\">")
        .text(&verdict.words);
    body.raw("</strong>");
    for detail in &verdict.details {
        body.raw(" <span class=\"detail\">")
            .text(detail)
            .raw("</span>");
    }
    body.raw("</p>\n");
}

fn failed_calls(traffic: &Traffic) -> u64 {
    traffic.edges.iter().map(|edge| edge.failed).sum()
}

/// What went in the time that is shown, and how safely.
fn carried(traffic: &Traffic) -> Option<String> {
    let sum = |count: fn(&leno_admin::Edge) -> u64| traffic.edges.iter().map(count).sum::<u64>();
    let (calls, mtls, plain) = (sum(|e| e.calls), sum(|e| e.mtls), sum(|e| e.plain));
    let what = counted(calls, "call", "calls");
    let over = span(traffic.seconds);
    match (calls, plain) {
        (0, _) => None,
        (_, 0) if mtls > 0 => Some(format!("{what} in {over}, all encrypted")),
        _ => {
            let share = figures::percent(mtls, mtls + plain);
            Some(format!("{what} in {over}, {share} encrypted"))
        }
    }
}

fn next(body: &mut Html, steps: &[Step]) {
    if steps.is_empty() {
        return;
    }
    body.raw("<section aria-labelledby=\"next\">\n<h2 id=\"next\">Go on with</h2>\n<dl class=\"steps\">\n");
    for step in steps {
        body.raw("<div><dt><code class=\"command\">")
            .text(&step.command);
        body.raw("</code></dt><dd>")
            .text(&step.shows)
            .raw("</dd></div>\n");
    }
    body.raw("</dl>\n</section>\n");
}

/// `1 call`, `7 calls`.
fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", figures::count(count)),
    }
}

/// A while, as people say it: `10 s`, `4 min`, `3 h`.
fn span(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3600.0),
    }
}

/// `12:04:31 UTC` of a time in RFC 3339.
fn clock(at: &str) -> String {
    match (at.get(11..19), at.ends_with('Z')) {
        (Some(clock), true) => format!("{clock} UTC"),
        _ => at.to_owned(),
    }
}

#[cfg(test)]
mod tests;
