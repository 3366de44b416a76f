//! What goes between workloads: the golden signals of each edge, and the calls that failed.

use std::time::Duration;

use leno_admin::{Edge, FailedCall, Traffic, figures};

use crate::html::Html;

/// How many edges are shown; `leno stat` shows all.
const MOST: usize = 200;

/// A row for each edge.
pub(super) fn section(body: &mut Html, traffic: &Traffic) {
    body.raw("<section aria-labelledby=\"calls\">\n<h2 id=\"calls\">Calls <span class=\"when\">");
    body.raw("last ")
        .text(figures::span(traffic.seconds))
        .raw("</span></h2>\n");
    if traffic.edges.is_empty() {
        body.raw("<p class=\"nothing\">Nobody has called anybody.</p>\n</section>\n");
        return;
    }
    body.raw("<div class=\"wide\" role=\"region\" aria-labelledby=\"calls\" tabindex=\"0\">\n");
    body.raw("<table>\n<thead><tr><th scope=\"col\">From</th><th scope=\"col\">To</th>");
    for column in [
        "Per second",
        "Failed",
        "Half within",
        "99 % within",
        "Open",
        "Bytes per second",
    ] {
        body.raw("<th scope=\"col\" class=\"figure\">")
            .raw(column)
            .raw("</th>");
    }
    body.raw("<th scope=\"col\">Encrypted</th></tr></thead>\n<tbody>\n");
    for edge in traffic.edges.iter().take(MOST) {
        row(body, edge, traffic.seconds);
    }
    body.raw("</tbody>\n</table>\n</div>\n");
    if traffic.edges.len() > MOST {
        body.raw("<p>Not all are shown. <code class=\"command\">leno stat --edges</code></p>\n");
    }
    body.raw("</section>\n");
}

fn row(body: &mut Html, edge: &Edge, seconds: f64) {
    body.raw("<tr><td>").text(figures::short(&edge.from));
    body.raw("</td><th scope=\"row\">")
        .text(figures::short(&edge.to));
    let rate = match edge.calls as f64 / seconds.max(0.001) {
        ..0.05 => "<0.1".to_owned(),
        rate => format!("{rate:.1}"),
    };
    body.raw("</th><td class=\"figure\">").text(rate);
    body.raw("</td><td class=\"figure");
    if edge.failed > 0 {
        body.raw(" bad");
    }
    body.raw("\">")
        .text(figures::percent(edge.failed, edge.calls))
        .raw("</td>");
    for took in [edge.p50_us, edge.p99_us] {
        body.raw("<td class=\"figure\">");
        match took {
            Some(micros) => body.text(figures::duration(Duration::from_micros(micros))),
            None => body.raw("–"),
        };
        body.raw("</td>");
    }
    body.raw("<td class=\"figure\">");
    match edge.open {
        0 => body.raw("–"),
        open => body.text(figures::count(open)),
    };
    body.raw("</td><td class=\"figure\">");
    body.text(figures::bytes(edge.bytes() as f64 / seconds.max(0.001)));
    body.raw("</td>");
    match (edge.mtls, edge.plain) {
        (0, 0) => body.raw("<td class=\"faint\">–"),
        (_, 0) => body.raw("<td class=\"good\">yes"),
        (0, _) => body.raw("<td class=\"bad\">no"),
        (mtls, plain) => {
            body.raw("<td class=\"bad\">");
            body.text(figures::percent(mtls, mtls + plain))
        }
    };
    body.raw("</td></tr>\n");
}

/// A row for each call that failed of late.
pub(super) fn failed(body: &mut Html, calls: &[FailedCall]) {
    body.raw("<section aria-labelledby=\"failed\">\n<h2 id=\"failed\">Calls that failed</h2>\n");
    if calls.is_empty() {
        body.raw("<p class=\"nothing\">None.</p>\n</section>\n");
        return;
    }
    body.raw("<div class=\"wide\" role=\"region\" aria-labelledby=\"failed\" tabindex=\"0\">\n");
    body.raw("<table>\n<thead><tr><th scope=\"col\">Time</th><th scope=\"col\">From</th>");
    body.raw("<th scope=\"col\">To</th><th scope=\"col\">Request</th>");
    body.raw("<th scope=\"col\" class=\"figure\">Status</th><th scope=\"col\" class=\"figure\">Took</th>");
    body.raw("<th scope=\"col\">Why</th><th scope=\"col\">Fault</th></tr></thead>\n<tbody>\n");
    for call in calls {
        failure(body, call);
    }
    body.raw("</tbody>\n</table>\n</div>\n</section>\n");
}

fn failure(body: &mut Html, call: &FailedCall) {
    body.raw("<tr><td class=\"faint\"><time datetime=\"")
        .text(&call.at)
        .raw("\">");
    body.text(call.at.get(11..23).unwrap_or(&call.at));
    body.raw("</time></td><td>")
        .text(figures::short(&call.from));
    body.raw("</td><th scope=\"row\">")
        .text(figures::short(&call.to));
    body.raw("</th><td><code>").text(&call.request);
    body.raw("</code></td><td class=\"figure\">");
    match call.status {
        Some(status) => body.text(status),
        None => body.raw("–"),
    };
    body.raw("</td><td class=\"figure\">");
    match call.took_us {
        Some(micros) => body.text(figures::duration(Duration::from_micros(micros))),
        None => body.raw("–"),
    };
    body.raw("</td><td>");
    if let Some(code) = &call.code {
        body.raw("<span class=\"code\">").text(code).raw("</span> ");
    }
    body.text(&call.why)
        .raw("</td><td>")
        .text(&call.fault)
        .raw("</td></tr>\n");
}
