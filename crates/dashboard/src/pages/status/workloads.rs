//! What runs.

use leno_admin::{Workload, WorkloadState, figures};

use crate::html::Html;

/// How many are shown; `leno ps` shows all.
const MOST: usize = 500;

/// A row for each workload.
pub(super) fn section(body: &mut Html, workloads: &[Workload]) {
    body.raw("<section aria-labelledby=\"workloads\">\n<h2 id=\"workloads\">Workloads</h2>\n");
    if workloads.is_empty() {
        body.raw("<p class=\"nothing\">Nothing runs yet.</p>\n</section>\n");
        return;
    }
    body.raw("<div class=\"wide\" role=\"region\" aria-labelledby=\"workloads\" tabindex=\"0\">\n");
    body.raw("<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">State</th>");
    body.raw(
        "<th scope=\"col\">What</th><th scope=\"col\">Reached at</th></tr></thead>\n<tbody>\n",
    );
    for workload in workloads.iter().take(MOST) {
        row(body, workload);
    }
    body.raw("</tbody>\n</table>\n</div>\n");
    if workloads.len() > MOST {
        body.raw("<p>Not all are shown. <code class=\"command\">leno ps</code></p>\n");
    }
    body.raw("</section>\n");
}

fn row(body: &mut Html, workload: &Workload) {
    body.raw("<tr><th scope=\"row\">")
        .text(figures::short(&workload.name));
    let (class, word) = match workload.state {
        WorkloadState::Starting => ("doubtful", "starting"),
        WorkloadState::Up => ("good", "up"),
        WorkloadState::Ended => ("faint", "ended"),
        WorkloadState::Failed => ("bad", "failed"),
        WorkloadState::Outside => ("faint", "outside"),
    };
    body.raw("</th><td><span class=\"state ")
        .raw(class)
        .raw("\">")
        .raw(word);
    body.raw("</span></td><td><code>")
        .text(&workload.what)
        .raw("</code>");
    body.raw("</td><td>");
    if workload.published.is_empty() {
        body.raw("<span class=\"faint\">–</span>");
    }
    for address in &workload.published {
        match address.starts_with("http://") {
            true => {
                body.raw("<a href=\"")
                    .text(address)
                    .raw("\" target=\"_blank\" rel=\"noopener\">");
                body.text(address).raw("</a> ");
            }
            false => {
                body.raw("<code>").text(address).raw("</code> ");
            }
        }
    }
    body.raw("</td></tr>\n");
}
