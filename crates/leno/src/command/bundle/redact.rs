//! What may be shown around of each answer: names, codes, places, numbers. What somebody wrote or sent
//! as free text is left out, by taking only what is known to be none.

use leno_admin::{
    Checked, Decided, Finding, History, Item, Overview, Past, ProxyView, Recorded, Trust, Viewed,
};

/// A call without what was sent with it.
pub(super) fn call(told: &Recorded) -> Recorded {
    let decided = Decided {
        facts: Vec::new(),
        why: String::new(),
        ..told.decided.clone()
    };
    Recorded {
        host: None,
        path: None,
        decided,
        ..told.clone()
    }
}

/// Findings without the lines of files that they are about.
pub(super) fn checked(told: &Checked) -> Checked {
    Checked {
        status: told.status.clone(),
        findings: told.findings.iter().map(finding).collect(),
        passed: Vec::new(),
    }
}

fn finding(told: &Finding) -> Finding {
    Finding {
        text: None,
        message: String::new(),
        suggestion: None,
        in_force: String::new(),
        next: None,
        ..told.clone()
    }
}

/// The mesh at a glance, without commands of workloads and what calls asked for.
pub(super) fn overview(told: &Overview) -> Overview {
    let mut told = told.clone();
    told.findings = told.findings.iter().map(finding).collect();
    told.change = told.change.as_ref().map(past);
    for workload in &mut told.workloads {
        workload.what.clear();
        workload.trouble = None;
    }
    for call in told.failed.iter_mut().flatten() {
        call.request.clear();
    }
    told
}

/// Revisions without what people said about them.
pub(super) fn history(told: &History) -> History {
    History {
        status: told.status.clone(),
        revisions: told.revisions.iter().map(past).collect(),
    }
}

fn past(told: &Past) -> Past {
    Past {
        observed: told.observed,
        message: String::new(),
        ..told.clone()
    }
}

/// Whom the mesh trusts, without why people revoked an identity.
pub(super) fn trust(told: &Trust) -> Trust {
    let mut told = told.clone();
    for revoked in &mut told.revoked {
        revoked.reason.clear();
    }
    for peer in &mut told.peers {
        peer.from.clear();
    }
    told
}

/// What proxies hold, by the names of services and workloads.
pub(super) fn viewed(told: &Viewed) -> Viewed {
    let held = |item: &Item| is_name(&item.name).then(|| Item::new(item.name.clone(), ""));
    let proxy = |proxy: &ProxyView| ProxyView {
        items: proxy.items.iter().filter_map(held).collect(),
        differences: None,
        ..proxy.clone()
    };
    Viewed {
        status: told.status.clone(),
        proxies: told.proxies.iter().map(proxy).collect(),
    }
}

/// Whether a text is made of a kind and names of objects: `service shop/cart`.
fn is_name(text: &str) -> bool {
    let mut kinds = ["service ", "workload ", "roots of ", "settings"].into_iter();
    kinds.any(|kind| text.starts_with(kind))
}

/// What Leno said, without what it quoted: lines of files, words in quotes, what follows a `?`, long
/// words that could be secrets. Nothing of a line that shows one of a file.
pub(super) fn log_line(line: &str) -> Option<String> {
    if line.contains(" | ") || line.trim_start().starts_with('|') || line.contains("-join:") {
        return None;
    }
    let unquoted = line.split(['"', '`', '\'']).step_by(2);
    let unquoted = unquoted.collect::<Vec<_>>().join("(left out)");
    let words = unquoted.split(' ').map(|word| match word.split_once('?') {
        Some((before, _)) => format!("{before}?(left out)"),
        None if is_long(word) => "(left out)".to_owned(),
        None => word.to_owned(),
    });
    Some(words.collect::<Vec<_>>().join(" "))
}

/// Whether a word has a run of letters and digits that no name has.
fn is_long(word: &str) -> bool {
    let runs = word.split(|letter: char| !letter.is_ascii_alphanumeric());
    runs.map(str::len).max().unwrap_or_default() >= 24
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "s3cr3t";

    /// Nothing of what was planted is left, and something else is.
    fn check(told: &impl serde::Serialize, kept: &str) {
        let told = serde_json::to_string(told).unwrap();
        assert!(!told.contains(SECRET), "{told}");
        assert!(told.contains(kept), "{told}");
    }

    #[test]
    fn what_was_sent_is_left_out_of_calls() {
        let told = json!({
            "time": "2026-11-20T02:51:07.312Z", "event": "call", "id": "7c1e", "reporter": "source",
            "host": SECRET, "path": format!("/{SECRET}"), "method": "GET", "code": "R003",
            "decided": {
                "why": format!("web may not GET /{SECRET}"),
                "facts": [{"of": "header", "name": "authorization", "value": {"is": SECRET}}],
            },
        });
        check(&call(&serde_json::from_value(told).unwrap()), "R003");
    }

    #[test]
    fn what_was_written_is_left_out_of_findings_and_views() {
        let status = json!({
            "context": "shop.local", "now": "", "revision": 7, "proxies": 1, "objects": 1,
            "problems": 1,
        });
        let told = json!({
            "status": status,
            "findings": [{
                "code": "C113", "slug": "backend-not-found", "severity": "error",
                "fault": "configuration", "object": "HTTPRoute shop/cart", "pointer": "/spec",
                "file": "cart.yaml", "line": 18, "column": 3, "width": 2,
                "text": SECRET, "message": SECRET, "suggestion": SECRET, "in_force": SECRET,
            }],
            "passed": [SECRET],
        });
        check(
            &checked(&serde_json::from_value(told).unwrap()),
            "HTTPRoute shop/cart",
        );
        let told = json!({
            "status": status,
            "proxies": [{
                "proxy": "shop/web", "identity": "", "generation": "1", "current": true,
                "refused": null, "unknown": [],
                "items": [
                    {"name": "service shop/cart", "value": "", "items": [
                        {"name": format!("header x-user is {SECRET}"), "value": SECRET},
                    ]},
                    {"name": SECRET, "value": "5s"},
                ],
            }],
        });
        check(
            &viewed(&serde_json::from_value(told).unwrap()),
            "service shop/cart",
        );
    }

    #[test]
    fn what_was_quoted_is_left_out_of_logs() {
        for (line, expect) in [
            (
                "connected to the control plane",
                Some("connected to the control plane"),
            ),
            (
                "error: \"s3cr3t\": the port",
                Some("error: (left out): the port"),
            ),
            (
                "see http://localhost:7070/?t=s3cr3t now",
                Some("see http://localhost:7070/?(left out) now"),
            ),
            ("    18 |   value: s3cr3t", None),
            ("leno join leno-join:shop.local:7:s3cr3t", None),
            (
                "key 7c1e4b02d41e8a7710aa3c9e0f52b6d8",
                Some("key (left out)"),
            ),
        ] {
            assert_eq!(log_line(line).as_deref(), expect);
        }
    }
}
