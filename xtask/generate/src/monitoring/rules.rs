//! The rules of Prometheus: what is recorded for boards and alerts, and the alerts.

use std::fmt::Write;

use leno_model::Code;

/// Something that is computed again and again under a name of its own.
struct Recorded {
    name: &'static str,
    expression: &'static str,
}

/// Something to be woken for, or to look at in the morning.
struct Alert {
    name: &'static str,
    expression: &'static str,
    /// For how long it must hold.
    wait: &'static str,
    severity: Severity,
    page: Page,
    /// What is the matter.
    summary: &'static str,
    /// What that means, and the next command.
    description: &'static str,
}

#[derive(Clone, Copy)]
enum Severity {
    /// Somebody's calls fail, or will within hours.
    Critical,
    /// Somebody should look today.
    Warning,
    /// Worth knowing.
    Info,
}

/// Where it is explained.
#[derive(Clone, Copy)]
enum Page {
    /// On the page of a code.
    Of(Code),
    /// On the page of the code that its label `code` names.
    OfLabel,
    /// Under a heading of the guide.
    Guide(&'static str),
}

const RECORDED: &[Recorded] = &[
    Recorded {
        name: "leno:requests:rate5m",
        expression: "sum by (reporter, source, destination) (rate(leno_requests_total[5m]))",
    },
    Recorded {
        name: "leno:failures:rate5m",
        expression: "sum by (reporter, source, destination, fault) (rate(leno_requests_total{fault!=\"none\"}[5m]))",
    },
    Recorded {
        name: "leno:failure_ratio:5m",
        expression: "(sum by (reporter, destination) (rate(leno_requests_total{fault!~\"none|caller\"}[5m])) or 0 * sum by (reporter, destination) (rate(leno_requests_total[5m]))) / sum by (reporter, destination) (rate(leno_requests_total[5m]))",
    },
    Recorded {
        name: "leno:request_duration_seconds:p50_5m",
        expression: QUANTILES[0],
    },
    Recorded {
        name: "leno:request_duration_seconds:p90_5m",
        expression: QUANTILES[1],
    },
    Recorded {
        name: "leno:request_duration_seconds:p99_5m",
        expression: QUANTILES[2],
    },
    Recorded {
        name: "leno:plain:rate5m",
        expression: "sum by (source, destination, security) (rate(leno_requests_total{reporter=\"destination\", security!~\"mtls|none\"}[5m]))",
    },
    Recorded {
        name: "leno:bytes:rate5m",
        expression: "sum by (reporter, source, destination, direction) (rate(leno_bytes_total[5m]))",
    },
];

/// From the buckets of text formats, or else from native ones.
const QUANTILES: [&str; 3] = [
    "histogram_quantile(0.5, sum by (reporter, destination, le) (rate(leno_request_duration_seconds_bucket[5m]))) or histogram_quantile(0.5, sum by (reporter, destination) (rate(leno_request_duration_seconds[5m])))",
    "histogram_quantile(0.9, sum by (reporter, destination, le) (rate(leno_request_duration_seconds_bucket[5m]))) or histogram_quantile(0.9, sum by (reporter, destination) (rate(leno_request_duration_seconds[5m])))",
    "histogram_quantile(0.99, sum by (reporter, destination, le) (rate(leno_request_duration_seconds_bucket[5m]))) or histogram_quantile(0.99, sum by (reporter, destination) (rate(leno_request_duration_seconds[5m])))",
];

const ALERTS: &[Alert] = &[
    Alert {
        name: "LenoServiceFails",
        expression: "leno:failure_ratio:5m{reporter=\"destination\"} > 0.05 and on (destination) sum by (destination) (leno:requests:rate5m{reporter=\"destination\"}) > 0.1",
        wait: "5m",
        severity: Severity::Critical,
        page: Page::Guide("a-service-fails"),
        summary: "{{ $labels.destination }} fails {{ $value | humanizePercentage }} of its calls",
        description: "Failures that are not the callers'. Next: leno why {{ $labels.destination }} --since 30m",
    },
    Alert {
        name: "LenoCallsRefused",
        expression: "sum by (reporter, code, slug, fault) (rate(leno_refused_total{fault!=\"caller\"}[5m])) > 0.1",
        wait: "5m",
        severity: Severity::Critical,
        page: Page::OfLabel,
        summary: "Proxies refuse or cut short {{ $value | humanize }} calls a second: {{ $labels.code }} {{ $labels.slug }}",
        description: "Fault: {{ $labels.fault }}. Next: leno tap --failed · leno explain {{ $labels.code }}",
    },
    Alert {
        name: "LenoCallersRefused",
        expression: "sum by (reporter, code, slug) (rate(leno_refused_total{fault=\"caller\"}[5m])) > 1",
        wait: "15m",
        severity: Severity::Warning,
        page: Page::OfLabel,
        summary: "Callers are refused {{ $value | humanize }} times a second: {{ $labels.code }} {{ $labels.slug }}",
        description: "Somebody calls what it may not, or in a way that is not carried. Next: leno tap --code {{ $labels.code }}",
    },
    Alert {
        name: "LenoHandshakesFail",
        expression: "sum by (reporter, code, slug, fault) (rate(leno_handshake_failures_total[5m])) > 0.1",
        wait: "5m",
        severity: Severity::Critical,
        page: Page::OfLabel,
        summary: "Handshakes between proxies fail: {{ $labels.code }} {{ $labels.slug }}",
        description: "{{ $value | humanize }} a second, fault: {{ $labels.fault }}. Next: leno certs list · leno explain {{ $labels.code }}",
    },
    Alert {
        name: "LenoCannotAccept",
        expression: "sum by (reporter, code, slug) (increase(leno_accept_failures_total[10m])) > 0",
        wait: "0m",
        severity: Severity::Critical,
        page: Page::OfLabel,
        summary: "A proxy cannot take connections that wait: {{ $labels.code }} {{ $labels.slug }}",
        description: "Its host gives it too little. Next: leno explain {{ $labels.code }}",
    },
    Alert {
        name: "LenoProxyBehind",
        expression: "leno_control_proxies{state=\"behind\"} > 0",
        wait: "5m",
        severity: Severity::Warning,
        page: Page::Of(Code::D003),
        summary: "{{ $value }} proxies have not adopted what is in force for five minutes",
        description: "They decide by the view that they had before. Next: leno proxies",
    },
    Alert {
        name: "LenoProxyAway",
        expression: "leno_control_proxies{state=\"away\"} > 0",
        wait: "5m",
        severity: Severity::Warning,
        page: Page::Of(Code::D005),
        summary: "{{ $value }} workloads took mesh calls and have no connected proxy",
        description: "What they are called for goes to others, or fails. Next: leno check · leno proxies",
    },
    Alert {
        name: "LenoControlPlaneAway",
        expression: "absent(leno_control_revision)",
        wait: "5m",
        severity: Severity::Critical,
        page: Page::Of(Code::D001),
        summary: "Nobody hears of a control plane",
        description: "Traffic goes on by the last views; certificates are not renewed, and end within their lifetime. Next: leno status",
    },
    Alert {
        name: "LenoRenewalsFail",
        expression: "increase(leno_control_troubles_total{code=\"T007\"}[30m]) > 0",
        wait: "0m",
        severity: Severity::Critical,
        page: Page::Of(Code::T007),
        summary: "Certificates are not renewed",
        description: "The valid ones stay in force until they end. Next: leno certs list",
    },
    Alert {
        name: "LenoProxyNotRenewing",
        expression: "(min by (identity) (leno_certificate_ends_seconds) - time()) and on (identity) max by (identity) (leno_certificate_renewals_failed) > 2",
        wait: "5m",
        severity: Severity::Critical,
        page: Page::Of(Code::T007),
        summary: "The certificate of {{ $labels.identity }} is not renewed, and ends in {{ $value | humanizeDuration }}",
        description: "Its proxy says so, also where no control plane is there to say it. Next: leno check · leno certs list",
    },
    Alert {
        name: "LenoCaptureLost",
        expression: "min by (workload) (leno_capture_proven) < 1",
        wait: "1m",
        severity: Severity::Critical,
        page: Page::Of(Code::H007),
        summary: "What {{ $labels.workload }} sends does not come to its proxy",
        description: "It may go past it in plain; nobody new is led there. Next: leno check",
    },
    Alert {
        name: "LenoPodsWithoutProxy",
        expression: "max by (code, slug) (leno_control_pods_without_proxy) > 0",
        wait: "5m",
        severity: Severity::Critical,
        page: Page::OfLabel,
        summary: "{{ $value }} pods are to be in the mesh and have no proxy: {{ $labels.code }} {{ $labels.slug }}",
        description: "What they call and are called by goes in plain, and no policy holds there. Next: leno check · leno explain {{ $labels.code }}",
    },
    Alert {
        name: "LenoAuthorityEnds",
        expression: "leno_control_certificate_ends_seconds{of=~\"intermediate|root\"} - time() < 7 * 86400",
        wait: "1h",
        severity: Severity::Warning,
        page: Page::Of(Code::T007),
        summary: "The {{ $labels.of }} of the CA ends in {{ $value | humanizeDuration }}",
        description: "It rotates by itself; that it has not says that it cannot. Next: leno certs list · leno check",
    },
    Alert {
        name: "LenoControlPlaneTrouble",
        expression: "sum by (code, slug, fault) (increase(leno_control_troubles_total{code!~\"T007|T012\"}[15m])) > 0",
        wait: "5m",
        severity: Severity::Warning,
        page: Page::OfLabel,
        summary: "The control plane is in trouble: {{ $labels.code }} {{ $labels.slug }}",
        description: "Fault: {{ $labels.fault }}. Next: leno check · leno explain {{ $labels.code }}",
    },
    Alert {
        name: "LenoFindings",
        expression: "leno_control_findings{severity=\"error\"} > 0",
        wait: "15m",
        severity: Severity::Warning,
        page: Page::Guide("what-leno-check-finds"),
        summary: "leno check finds {{ $value }} errors",
        description: "Something does not hold as it was written, or does not run as it should. Next: leno check",
    },
    Alert {
        name: "LenoCollectorGetsNothing",
        expression: "sum by (signal) (increase(leno_export_failures_total[10m])) > 0 and sum by (signal) (increase(leno_export_taken_total[10m])) == 0",
        wait: "5m",
        severity: Severity::Warning,
        page: Page::Of(Code::X001),
        summary: "The collector gets no {{ $labels.signal }}",
        description: "Traffic is untouched; what finds no room is lost and counted. Next: leno check · leno explain X001",
    },
    Alert {
        name: "LenoTelemetryLost",
        expression: "sum by (signal, reason) (increase(leno_export_lost_total[10m])) > 0",
        wait: "10m",
        severity: Severity::Info,
        page: Page::Of(Code::X002),
        summary: "The collector does not get all {{ $labels.signal }}: {{ $labels.reason }}",
        description: "{{ $value | humanize }} in ten minutes. Next: leno check · leno explain X002",
    },
    Alert {
        name: "LenoSeriesFolded",
        expression: "sum(increase(leno_series_folded_total[10m])) > 0",
        wait: "10m",
        severity: Severity::Info,
        page: Page::Guide("too-many-series"),
        summary: "A proxy counts calls as other, because it tells 10,000 series apart and no more",
        description: "Totals stay exact; which edge they belong to is not told. Next: leno stat --edges",
    },
    Alert {
        name: "LenoPlainCalls",
        expression: "leno:plain:rate5m > 0",
        wait: "1h",
        severity: Severity::Info,
        page: Page::Guide("calls-in-plain"),
        summary: "{{ $labels.source }} calls {{ $labels.destination }} in plain: {{ $labels.security }}",
        description: "Nobody proved who called. Next: leno tap {{ $labels.destination }}",
    },
];

/// Whether a rule records under this name.
pub(super) fn is_recorded(name: &str) -> bool {
    RECORDED.iter().any(|recorded| recorded.name == name)
}

/// The file of recording rules.
pub(super) fn recorded() -> String {
    let mut text = head(
        "What boards and alerts read, computed once.",
        "leno-recorded",
    );
    for Recorded { name, expression } in RECORDED {
        text += &format!("  - record: {name}\n    expr: {}\n", quoted(expression));
    }
    text
}

/// The file of alerts.
pub(super) fn alerts() -> String {
    let what = "What somebody should know of a mesh, with where it is explained.";
    let mut text = head(what, "leno-alerts");
    for alert in ALERTS {
        let severity = match alert.severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let lines = [
            ("  - alert: ", alert.name.to_owned()),
            ("    expr: ", quoted(alert.expression)),
            ("    for: ", alert.wait.to_owned()),
            ("    labels:\n      severity: ", severity.to_owned()),
            ("    annotations:\n      summary: ", quoted(alert.summary)),
            ("      description: ", quoted(alert.description)),
            ("      runbook_url: ", quoted(&url(alert.page))),
        ];
        for (key, value) in lines {
            writeln!(text, "{key}{value}").expect("a String takes every letter");
        }
    }
    text
}

fn head(what: &str, group: &str) -> String {
    format!(
        "# {what}\n# Made by `cargo xtask generate` from xtask/generate/src/monitoring/rules.rs.\n\
         groups:\n- name: {group}\n  rules:\n"
    )
}

fn url(page: Page) -> String {
    match page {
        Page::Of(code) => format!("{DOCS}/errors/{code}.md"),
        Page::OfLabel => format!("{DOCS}/errors/{{{{ $labels.code }}}}.md"),
        Page::Guide(heading) => format!("{DOCS}/guides/monitoring.md#{heading}"),
    }
}

/// Where the documentation is read.
const DOCS: &str = "https://leno.dev/docs";

/// A text in single quotes, as YAML has it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guide_explains_has_its_heading_there() {
        let guide = include_str!("../../../../docs/guides/monitoring.md");
        let headings = guide.lines().filter_map(|line| line.strip_prefix("### "));
        let headings: Vec<_> = headings
            .map(|heading| heading.to_lowercase().replace(' ', "-"))
            .collect();
        for alert in ALERTS {
            if let Page::Guide(heading) = alert.page {
                assert!(headings.iter().any(|found| found == heading), "{heading}");
            }
        }
    }

    #[test]
    fn an_alert_that_names_the_code_of_a_label_keeps_the_label() {
        for alert in ALERTS {
            if matches!(alert.page, Page::OfLabel) {
                assert!(alert.expression.contains("code"), "{}", alert.name);
            }
        }
    }
}
