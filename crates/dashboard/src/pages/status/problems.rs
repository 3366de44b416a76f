//! What is wrong, as `leno check` says it: what, where, what is in force meanwhile, whose fault, what next.

use leno_admin::{Finding, Overview, Workload, WorkloadState};

use crate::html::Html;

/// How many are shown; the commands show all.
const MOST: usize = 50;

/// How many things are wrong.
pub(super) fn count(overview: &Overview) -> usize {
    let findings = overview.findings.iter();
    let errors = findings
        .filter(|finding| finding.severity == "error")
        .count();
    errors + failed(overview).count()
}

/// Everything that is wrong or doubtful, errors first; nothing if nothing is.
pub(super) fn section(body: &mut Html, overview: &Overview) {
    let of = |severity: &'static str| {
        let findings = overview.findings.iter();
        findings.filter(move |finding| finding.severity == severity)
    };
    let (errors, warnings) = (of("error"), of("warning"));
    let shown = errors.chain(warnings).take(MOST).collect::<Vec<_>>();
    if shown.is_empty() && failed(overview).next().is_none() {
        return;
    }
    body.raw("<section aria-labelledby=\"problems\">\n<h2 id=\"problems\">To mend</h2>\n");
    failed(overview)
        .take(MOST)
        .for_each(|workload| down(body, workload));
    shown.into_iter().for_each(|finding| written(body, finding));
    let all = of("error").count() + of("warning").count() + failed(overview).count();
    if all > 2 * MOST {
        body.raw("<p>Not all are shown. <code class=\"command\">leno check</code></p>\n");
    }
    body.raw("</section>\n");
}

fn failed(overview: &Overview) -> impl Iterator<Item = &Workload> {
    let workloads = overview.workloads.iter();
    workloads.filter(|workload| workload.state == WorkloadState::Failed)
}

/// A workload that does not run.
fn down(body: &mut Html, workload: &Workload) {
    body.raw("<article class=\"problem bad\">\n<h3>");
    mark(body, "✗", "Error: ");
    body.raw("<span class=\"what\">").text(&workload.name);
    body.raw("</span> does not run</h3>\n");
    place(body, workload.place.as_deref());
    if let Some(trouble) = &workload.trouble {
        body.raw("<p>").text(trouble).raw("</p>\n");
    }
    body.raw("<dl class=\"terms\">");
    if let Some(next) = &workload.next {
        command(body, next);
    }
    body.raw("</dl>\n</article>\n");
}

/// Something that does not hold as it was written.
fn written(body: &mut Html, finding: &Finding) {
    let is_error = finding.severity == "error";
    body.raw("<article class=\"problem ")
        .raw(if is_error { "bad" } else { "doubtful" });
    body.raw("\">\n<h3>");
    match is_error {
        true => mark(body, "✗", "Error: "),
        false => mark(body, "!", "Warning: "),
    }
    body.raw("<span class=\"code\">")
        .text(&finding.code)
        .raw("</span> ");
    body.text(&finding.slug);
    if let Some(object) = &finding.object {
        body.raw(" <span class=\"what\">")
            .text(object)
            .raw("</span>");
    }
    body.raw("</h3>\n");
    let at = finding
        .file
        .as_ref()
        .map(|file| match (finding.line, finding.column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
            (Some(line), None) => format!("{file}:{line}"),
            (None, _) => file.clone(),
        });
    place(body, at.as_deref());
    picture(body, finding);
    body.raw("<p>").text(&finding.message);
    if let Some(suggestion) = &finding.suggestion {
        body.raw("; ").text(suggestion);
    }
    body.raw("</p>\n<dl class=\"terms\">");
    if !finding.in_force.is_empty() {
        term(body, "In force", &finding.in_force);
    }
    term(body, "Fault", &finding.fault);
    command(body, &format!("leno explain {}", finding.code));
    body.raw("</dl>\n</article>\n");
}

/// A sign for those who see it, a word for those who hear it.
fn mark(body: &mut Html, sign: &'static str, word: &'static str) {
    body.raw("<span class=\"mark\" aria-hidden=\"true\">")
        .raw(sign);
    body.raw("</span><span class=\"heard\">")
        .raw(word)
        .raw("</span> ");
}

fn place(body: &mut Html, place: Option<&str>) {
    if let Some(place) = place {
        body.raw("<p class=\"place\">").text(place).raw("</p>\n");
    }
}

/// The line it is about, with what is meant marked.
fn picture(body: &mut Html, finding: &Finding) {
    let (Some(text), Some(line)) = (&finding.text, finding.line) else {
        return;
    };
    let chars =
        |count: Option<u32>| usize::try_from(count.unwrap_or_default()).unwrap_or(usize::MAX);
    let start = chars(finding.column).saturating_sub(1);
    let width = chars(finding.width);
    let part = |from: usize, most: usize| text.chars().skip(from).take(most).collect::<String>();
    body.raw("<pre class=\"source\"><span class=\"number\">")
        .text(line);
    body.raw("</span><code>").text(part(0, start)).raw("<mark>");
    body.text(part(start, width)).raw("</mark>");
    body.text(part(start.saturating_add(width), usize::MAX))
        .raw("</code></pre>\n");
}

fn term(body: &mut Html, name: &'static str, value: &str) {
    body.raw("<div><dt>")
        .raw(name)
        .raw("</dt><dd>")
        .text(value)
        .raw("</dd></div>");
}

fn command(body: &mut Html, command: &str) {
    body.raw("<div><dt>Next</dt><dd><code class=\"command\">")
        .text(command);
    body.raw("</code></dd></div>");
}
