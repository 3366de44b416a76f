//! What stands beside Leno's metrics: the rules and boards that read them, and their reference. All of
//! it is made from the table in `leno-telemetry`, and names no metric that is not in it.

mod boards;
mod reference;
mod rules;

use std::collections::BTreeSet;

use leno_telemetry::metric::{CONTROL_METRICS, METRICS, Metric};

/// A file: its path in the repository, and what stands in it.
pub(super) type File = (&'static str, String);

/// All files. The error names what reads a metric that nobody tells.
pub(super) fn files() -> Result<Vec<File>, String> {
    let files = vec![
        ("deploy/monitoring/rules.yaml", rules::recorded()),
        ("deploy/monitoring/alerts.yaml", rules::alerts()),
        ("deploy/monitoring/grafana/mesh.json", boards::mesh()),
        ("deploy/monitoring/grafana/service.json", boards::service()),
        ("deploy/monitoring/grafana/leno.json", boards::leno()),
        ("docs/reference/metrics.md", reference::page()),
    ];
    for (path, text) in &files {
        if let Some(unknown) = words(text).find(|word| !is_told(word)) {
            return Err(format!("{path} reads {unknown}, which nobody tells"));
        }
    }
    Ok(files)
}

/// Every metric of proxies and of the control plane, each once.
fn metrics() -> impl Iterator<Item = &'static Metric> {
    let mut seen = BTreeSet::new();
    let all = METRICS.iter().chain(CONTROL_METRICS);
    all.filter(move |metric| seen.insert(metric.name))
}

/// The words of a text that could be names of ours.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let words = text.split(move |letter| !is_part(letter));
    words.filter(|word| word.starts_with("leno_") || word.starts_with("leno:"))
}

fn is_told(word: &str) -> bool {
    let ends = ["", "_bucket", "_count", "_sum"];
    let bare = ends.iter().filter_map(|end| word.strip_suffix(end));
    let mut bare = bare.map(|bare| bare.trim_end_matches(':'));
    rules::is_recorded(word) || bare.any(|bare| metrics().any(|metric| metric.name == bare))
}
