//! The reference of all metrics.

use leno_telemetry::metric::{CONTROL_METRICS, Label, METRICS, Metric};

use super::metrics;

/// The page.
pub(super) fn page() -> String {
    let mut text = String::from(HEAD);
    text += "\n## Of a proxy\n\n";
    text += &table(METRICS);
    text += "\n## Of a control plane\n\n";
    text += &table(CONTROL_METRICS);
    text += "\n## Labels\n\n| label | what stands in it |\n|---|---|\n";
    for label in labels() {
        text += &format!("| `{}` | {} |\n", label.name, cell(label.help));
    }
    text += ELSEWHERE;
    for metric in metrics() {
        let Metric {
            name,
            otel,
            unit,
            elsewhere,
            ..
        } = metric;
        let sent = match *unit {
            "" => format!("`{otel}`"),
            unit => format!("`{otel}` in `{unit}`"),
        };
        let near = [elsewhere.conventions, elsewhere.istio, elsewhere.linkerd].map(near);
        text += &format!("| `{name}` | {sent} | {} |\n", near.join(" | "));
    }
    text
}

const HEAD: &str = "<!-- Made by `cargo xtask generate` from crates/telemetry/src/metric.rs. -->

# Metrics

A proxy tells them at `/metrics` of its metrics listener, a control plane at that of `leno control --metrics`, in the
format that is asked for: Prometheus' text, OpenMetrics (with exemplars that name calls: `leno why ID` takes them), or
protobuf with native histograms. The same go to the collector of `Mesh.spec.telemetry`, over OTLP.
[How to see them](../guides/monitoring.md).

What stands in labels comes from the configuration, never from a request: a client cannot make series. A proxy tells
10,000 series apart; what is beyond is counted as `other`, so that totals stay exact, and
`leno_series_folded_total` says how much that is.

`leno_request_duration_seconds` has 14 classic buckets from 0.5 ms to 10 s, each exact. As a native histogram it has
schema 3 (eight buckets for each doubling), in which a duration is told at most a quarter off.
";

const ELSEWHERE: &str = "
## Their names elsewhere

Over OTLP a metric has the name of the second column; OpenTelemetry's own translation makes the first of it again, so
that rules and boards read either. Labels are attributes of the same name. The other columns say what comes nearest
elsewhere: OpenTelemetry's semantic conventions, Istio, Linkerd. Istio's and Linkerd's durations are in milliseconds.

| metric | over OTLP | semantic conventions | Istio | Linkerd |
|---|---|---|---|---|
";

fn table(metrics: &[Metric]) -> String {
    let mut text = String::from("| metric | type | labels | what it tells |\n|---|---|---|---|\n");
    for metric in metrics {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| format!("`{}`", label.name))
            .collect();
        text += &format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind.as_str(),
            labels.join(", "),
            cell(metric.help)
        );
    }
    text
}

/// Every label once. One of a name may have a meaning in one metric that it has not in another.
fn labels() -> Vec<Label> {
    let mut labels = Vec::<Label>::new();
    for label in metrics().flat_map(|metric| metric.labels) {
        if !labels.contains(label) {
            labels.push(*label);
        }
    }
    labels
}

fn near(names: &str) -> String {
    let code = |name: &str| match name.split_once(' ') {
        Some((name, rest)) => format!("`{name}` {rest}"),
        None => format!("`{name}`"),
    };
    match names {
        "" => String::new(),
        names => names.split(", ").map(code).collect::<Vec<_>>().join(", "),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
