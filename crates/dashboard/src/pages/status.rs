//! How the mesh is: what is wrong first, then what runs, what goes between it, and what to do next.

mod calls;
mod problems;
mod workloads;

use leno_admin::{Failure, Grade, Overview, Step, Traffic, figures};

use super::frame::{self, Life};
use crate::html::Html;

/// The page.
pub(crate) fn page(overview: &Overview) -> String {
    let mut body = Html::default();
    head(&mut body, overview);
    body.raw("<main>\n");
    verdict(&mut body, overview);
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
    body.raw("</header>\n");
}

/// Whether the mesh is well, in a line.
fn verdict(body: &mut Html, overview: &Overview) {
    let verdict = overview.verdict();
    let (mark, class) = match verdict.grade() {
        Grade::Well => ("✓", "good"),
        Grade::Doubtful => ("!", "doubtful"),
        Grade::Wrong => ("✗", "bad"),
    };
    body.raw("<p class=\"verdict ").raw(class);
    body.raw("\"><span class=\"mark\" aria-hidden=\"true\">");
    body.raw(mark)
        .raw("</span> <strong role=\"status\">")
        .text(verdict.words());
    body.raw("</strong>");
    let up = match overview.up() {
        (_, 0) => None,
        (1, 1) => Some("the workload is up".to_owned()),
        (up, all) if up == all => Some(format!("all {all} workloads are up")),
        (up, all) => Some(format!("{up} of {all} workloads are up")),
    };
    for detail in up
        .into_iter()
        .chain(overview.traffic.as_ref().and_then(carried))
    {
        body.raw(" <span class=\"detail\">")
            .text(detail)
            .raw("</span>");
    }
    body.raw("</p>\n");
}

/// What went in the time that is shown, and how safely.
fn carried(traffic: &Traffic) -> Option<String> {
    let sum = |count: fn(&leno_admin::Edge) -> u64| traffic.edges.iter().map(count).sum::<u64>();
    let (calls, mtls, plain) = (traffic.calls(), sum(|e| e.mtls), sum(|e| e.plain));
    let what = counted(calls, "call", "calls");
    let over = figures::span(traffic.seconds);
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

/// `12:04:31 UTC` of a time in RFC 3339.
fn clock(at: &str) -> String {
    match (at.get(11..19), at.ends_with('Z')) {
        (Some(clock), true) => format!("{clock} UTC"),
        _ => at.to_owned(),
    }
}

#[cfg(test)]
mod tests;
