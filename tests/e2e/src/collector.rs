//! A collector of telemetry: the receiver of the OpenTelemetry Collector, built from its Go modules.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::go::program;
use crate::process::{Process, until};
use crate::world::World;

/// A collector that runs.
#[derive(Debug)]
pub struct Collector(Process);

impl Collector {
    /// Starts one that takes OTLP by gRPC and by HTTP. `None`, and it says so, where Go is not
    /// installed.
    pub fn start(world: &World, grpc: SocketAddr, http: SocketAddr) -> Option<Self> {
        Self::start_with(world, grpc, http, &[])
    }

    /// The same by TLS, proven by the certificate `otel.pem` and its key `otel.key` in the folder of
    /// the world.
    pub fn start_secure(world: &World, grpc: SocketAddr, http: SocketAddr) -> Option<Self> {
        Self::start_with(world, grpc, http, &["otel.pem", "otel.key"])
    }

    fn start_with(
        world: &World,
        grpc: SocketAddr,
        http: SocketAddr,
        files: &[&str],
    ) -> Option<Self> {
        let mut command = Command::new(program("collector")?);
        command.args([grpc.to_string(), http.to_string()]);
        command.args(files).current_dir(world.folder());
        let process = world.process("collector", &mut command);
        process.until_says(&["\"ready\""]);
        Some(Self(process))
    }

    /// Waits until all of `lines` have come, each as [`told`](Self::told) tells it.
    pub fn until_told(&self, lines: &[&str]) {
        let what = format!("{lines:#?}");
        until(&what, || {
            let told = self.told();
            let missing = |line: &&&str| !told.iter().any(|told| told.contains(**line));
            lines.iter().find(missing).is_none().then_some(())
        });
    }

    /// Everything that came: a line for each point of a metric, each span, each log record.
    pub fn told(&self) -> BTreeSet<String> {
        let log = self.0.log();
        let requests = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        requests.flat_map(|request: Value| told(&request)).collect()
    }
}

fn told(request: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (of, scope, items, tell) in [
        (
            "/metrics/resourceMetrics",
            "scopeMetrics",
            "metrics",
            tell_metric as fn(&str, &Value, &mut Vec<String>),
        ),
        ("/traces/resourceSpans", "scopeSpans", "spans", tell_span),
        ("/logs/resourceLogs", "scopeLogs", "logRecords", tell_record),
    ] {
        for resource in list(request.pointer(of)) {
            let whose = attributes(&resource["resource"]);
            let scopes = list(resource.get(scope));
            for item in scopes.flat_map(|scope| list(scope.get(items))) {
                tell(&whose, item, &mut lines);
            }
        }
    }
    lines
}

fn tell_metric(_: &str, metric: &Value, lines: &mut Vec<String>) {
    let (name, unit) = (text(&metric["name"]), text(&metric["unit"]));
    for kind in ["sum", "gauge", "histogram"] {
        for point in list(metric[kind].get("dataPoints")) {
            let value = match kind {
                "histogram" => format!(
                    "{} in {} buckets",
                    text(&point["count"]),
                    list(point.get("bucketCounts")).count()
                ),
                _ => text(&point["asInt"]),
            };
            lines.push(format!("{name}[{unit}] {} {value}", attributes(point)));
        }
    }
}

fn tell_span(whose: &str, span: &Value, lines: &mut Vec<String>) {
    let field = |name: &str| text(&span[name]);
    lines.push(format!(
        "span {} kind {} of {whose} in {}/{} as {} {} {}",
        field("name"),
        field("kind"),
        field("traceId"),
        field("parentSpanId"),
        field("spanId"),
        attributes(span),
        text(&span["status"]["message"]),
    ));
}

fn tell_record(whose: &str, record: &Value, lines: &mut Vec<String>) {
    let field = |name: &str| text(&record[name]);
    lines.push(format!(
        "log {} severity {} of {whose} in {} {} {}",
        field("eventName"),
        field("severityNumber"),
        field("traceId"),
        text(&record["body"]["stringValue"]),
        attributes(record),
    ));
}

/// `{name=value,..}`, by name.
fn attributes(of: &Value) -> String {
    let pairs = list(of.get("attributes")).map(|pair| {
        let value = pair["value"].as_object();
        let value = value.and_then(|value| value.values().next());
        format!(
            "{}={}",
            text(&pair["key"]),
            value.map(text).unwrap_or_default()
        )
    });
    let mut pairs = pairs.collect::<Vec<_>>();
    pairs.sort();
    format!("{{{}}}", pairs.join(","))
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}
