//! What is wrong, as `leno check` says it: what, where, what is in force meanwhile, whose fault, what next.

use leno_admin::{Finding, Overview, Verdict, Workload, figures};
use leno_model::Severity;

use crate::html::Html;

/// How many are shown; `leno check` shows all.
const MOST: usize = 50;

/// Everything that is wrong, then what is doubtful; nothing if nothing is.
pub(super) fn section(body: &mut Html, overview: &Overview) {
    let Verdict {
        wrong, doubtful, ..
    } = overview.verdict();
    if wrong + doubtful == 0 {
        return;
    }
    body.raw("<section aria-labelledby=\"problems\">\n<h2 id=\"problems\">To mend</h2>\n");
    let mut room = MOST;
    for severity in [Severity::Error, Severity::Warning] {
        for workload in overview.troubled_workloads(severity).take(room) {
            running(body, severity, workload);
            room -= 1;
        }
        for finding in overview.findings_of(severity).take(room) {
            written(body, severity, finding, &overview.status.now);
            room -= 1;
        }
    }
    if wrong + doubtful > MOST {
        body.raw("<p>").text(wrong + doubtful - MOST).raw(" more: ");
        body.raw("<code class=\"command\">leno check</code></p>\n");
    }
    body.raw("</section>\n");
}

/// Begins a heading: with a sign for those who see it, a word for those who hear it.
fn open(body: &mut Html, severity: Severity) {
    let (class, sign, word) = match severity {
        Severity::Error => ("bad", "✗", "Error:"),
        Severity::Warning | Severity::Info => ("doubtful", "!", "Warning:"),
    };
    body.raw("<article class=\"problem ")
        .raw(class)
        .raw("\">\n");
    body.raw("<h3><span class=\"mark\" aria-hidden=\"true\">");
    body.raw(sign)
        .raw("</span><span class=\"heard\">")
        .raw(word);
    body.raw("</span> ");
}

/// A workload that does not run, or not as it should.
fn running(body: &mut Html, severity: Severity, workload: &Workload) {
    open(body, severity);
    body.raw("<span class=\"what\">");
    body.text(figures::short(&workload.name));
    body.raw(match severity {
        Severity::Error => "</span> does not run</h3>\n",
        Severity::Warning | Severity::Info => "</span> has trouble</h3>\n",
    });
    place(body, workload.place.as_deref());
    if let Some(trouble) = &workload.trouble {
        body.raw("<p>").text(trouble).raw("</p>\n");
    }
    if let Some(next) = &workload.next {
        body.raw("<dl class=\"terms\">");
        commands(body, std::slice::from_ref(next));
        body.raw("</dl>\n");
    }
    body.raw("</article>\n");
}

/// Something that does not hold as it was written.
fn written(body: &mut Html, severity: Severity, finding: &Finding, now: &str) {
    open(body, severity);
    body.raw("<span class=\"code\">").text(&finding.code);
    body.raw("</span> ").text(&finding.slug);
    if let Some(object) = &finding.object {
        body.raw(" <span class=\"what\">").text(object);
        body.raw("</span>");
    }
    if let Some(since) = &finding.since {
        body.raw(" <span class=\"since\">").text(since.told(now));
        body.raw("</span>");
    }
    body.raw("</h3>\n");
    let at = finding.file.as_ref();
    let at = at.map(|file| match (finding.line, finding.column) {
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
    commands(body, &finding.commands());
    body.raw("</dl>\n</article>\n");
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
    let chars = |count: Option<u32>| usize::try_from(count.unwrap_or_default()).unwrap_or(0);
    let start = chars(finding.column).saturating_sub(1);
    let width = chars(finding.width);
    let part = |from: usize, most: usize| text.chars().skip(from).take(most).collect::<String>();
    body.raw("<pre class=\"source\"><span class=\"number\">");
    body.text(line).raw("</span><code>").text(part(0, start));
    body.raw("<mark>").text(part(start, width)).raw("</mark>");
    body.text(part(start.saturating_add(width), usize::MAX));
    body.raw("</code></pre>\n");
}

fn term(body: &mut Html, name: &'static str, value: &str) {
    body.raw("<div><dt>").raw(name).raw("</dt><dd>");
    body.text(value).raw("</dd></div>");
}

fn commands(body: &mut Html, commands: &[String]) {
    body.raw("<div><dt>Next</dt>");
    for command in commands {
        body.raw("<dd><code class=\"command\">").text(command);
        body.raw("</code></dd>");
    }
    body.raw("</div>");
}
