//! Boards of Grafana: the mesh, one service, Leno itself.

use serde_json::{Value, json};

/// Every service at a glance.
pub(super) fn mesh() -> String {
    Board::new("leno-mesh", "Leno: mesh")
        .row("Now")
        .number("Requests a second", "reqps", "sum(leno:requests:rate5m{reporter=\"destination\"})")
        .number("Failing", "percentunit", "sum(rate(leno_requests_total{reporter=\"destination\", fault!~\"none|caller\"}[5m])) / sum(rate(leno_requests_total{reporter=\"destination\"}[5m]))")
        .number("Over mTLS", "percentunit", "sum(rate(leno_requests_total{reporter=\"destination\", security=\"mtls\"}[5m])) / sum(rate(leno_requests_total{reporter=\"destination\"}[5m]))")
        .number("Refused a second", "reqps", "sum(rate(leno_refused_total[5m]))")
        .row("Services")
        .lines("Requests", "reqps", &[("sum by (destination) (leno:requests:rate5m{reporter=\"destination\"})", "{{destination}}")])
        .lines("Failing, the callers' fault aside", "percentunit", &[("leno:failure_ratio:5m{reporter=\"destination\"}", "{{destination}}")])
        .lines("99 of 100 calls took at most", "s", &[("leno:request_duration_seconds:p99_5m{reporter=\"destination\"}", "{{destination}}")])
        .lines("Refused, by code", "reqps", &[("sum by (code, slug) (rate(leno_refused_total[5m]))", "{{code}} {{slug}}")])
        .row("Edges")
        .table("Who calls whom", "reqps", "topk(50, leno:requests:rate5m{reporter=\"source\"})")
        .table("In plain", "reqps", "topk(50, leno:plain:rate5m)")
        .lines("Bytes", "Bps", &[("sum by (destination, direction) (leno:bytes:rate5m{reporter=\"destination\"})", "{{destination}} {{direction}}")])
        .lines("Streams that are open", "short", &[("sum by (destination) (leno_connections_open{reporter=\"destination\"})", "{{destination}}")])
        .json()
}

/// One service: who calls it, and how it does.
pub(super) fn service() -> String {
    Board::new("leno-service", "Leno: service")
        .choice("service", "label_values(leno_requests_total{reporter=\"destination\"}, destination)")
        .row("$service")
        .number("Requests a second", "reqps", "sum(leno:requests:rate5m{reporter=\"destination\", destination=\"$service\"})")
        .number("Failing", "percentunit", "leno:failure_ratio:5m{reporter=\"destination\", destination=\"$service\"}")
        .number("Half took at most", "s", "leno:request_duration_seconds:p50_5m{reporter=\"destination\", destination=\"$service\"}")
        .number("99 of 100 took at most", "s", "leno:request_duration_seconds:p99_5m{reporter=\"destination\", destination=\"$service\"}")
        .row("Calls")
        .lines("By status", "reqps", &[("sum by (status_class) (rate(leno_requests_total{reporter=\"destination\", destination=\"$service\"}[5m]))", "{{status_class}}")])
        .lines("Failures, by whose fault", "reqps", &[("sum by (fault) (leno:failures:rate5m{reporter=\"destination\", destination=\"$service\"})", "{{fault}}")])
        .lines("How long they took", "s", &[
            ("leno:request_duration_seconds:p50_5m{reporter=\"destination\", destination=\"$service\"}", "50 %"),
            ("leno:request_duration_seconds:p90_5m{reporter=\"destination\", destination=\"$service\"}", "90 %"),
            ("leno:request_duration_seconds:p99_5m{reporter=\"destination\", destination=\"$service\"}", "99 %"),
        ])
        .lines("By route", "reqps", &[("sum by (route) (rate(leno_requests_total{reporter=\"source\", destination=\"$service\"}[5m]))", "{{route}}")])
        .row("Callers and callees")
        .lines("Who calls it", "reqps", &[("sum by (source) (leno:requests:rate5m{reporter=\"destination\", destination=\"$service\"})", "{{source}}")])
        .lines("As its callers see it: failing", "reqps", &[("sum by (source, fault) (leno:failures:rate5m{reporter=\"source\", destination=\"$service\"})", "{{source}} {{fault}}")])
        .lines("How calls came", "reqps", &[("sum by (security) (rate(leno_requests_total{reporter=\"destination\", destination=\"$service\"}[5m]))", "{{security}}")])
        .lines("Tried again", "reqps", &[("sum by (source) (rate(leno_retries_total{destination=\"$service\"}[5m]))", "{{source}}")])
        .json()
}

/// Proxies and control plane.
pub(super) fn leno() -> String {
    Board::new("leno-itself", "Leno: proxies and control plane")
        .row("Control plane")
        .number("Revision", "short", "max(leno_control_revision)")
        .number(
            "Proxies that are current",
            "short",
            "sum(leno_control_proxies{state=\"current\"})",
        )
        .number(
            "Behind or away",
            "short",
            "sum(leno_control_proxies{state=~\"behind|away\"})",
        )
        .number(
            "The first certificate ends in",
            "s",
            "min(leno_control_certificate_ends_seconds{of=\"workload\"}) - time()",
        )
        .lines(
            "Findings",
            "short",
            &[("max by (severity) (leno_control_findings)", "{{severity}}")],
        )
        .lines(
            "Troubles",
            "short",
            &[(
                "sum by (code, slug) (increase(leno_control_troubles_total[5m]))",
                "{{code}} {{slug}}",
            )],
        )
        .lines(
            "Files",
            "bytes",
            &[("max by (file) (leno_control_file_bytes)", "{{file}}")],
        )
        .lines(
            "Certificates end in",
            "s",
            &[("leno_control_certificate_ends_seconds - time()", "{{of}}")],
        )
        .row("Proxies")
        .lines(
            "Certificates that are asked for in vain",
            "short",
            &[(
                "max by (identity) (leno_certificate_renewals_failed) > 0",
                "{{identity}}",
            )],
        )
        .lines(
            "Handshakes that fail",
            "cps",
            &[(
                "sum by (code, slug) (rate(leno_handshake_failures_total[5m]))",
                "{{code}} {{slug}}",
            )],
        )
        .lines(
            "Connections that cannot be taken",
            "short",
            &[(
                "sum by (code) (increase(leno_accept_failures_total[5m]))",
                "{{code}}",
            )],
        )
        .lines(
            "Counted as other",
            "cps",
            &[("sum(rate(leno_series_folded_total[5m]))", "folded")],
        )
        .lines(
            "Versions",
            "short",
            &[("count by (version) (leno_build_info)", "{{version}}")],
        )
        .row("What leaves the mesh")
        .lines(
            "The collector took",
            "cps",
            &[(
                "sum by (signal) (rate(leno_export_taken_total[5m]))",
                "{{signal}}",
            )],
        )
        .lines(
            "It will not get",
            "cps",
            &[(
                "sum by (signal, reason) (rate(leno_export_lost_total[5m]))",
                "{{signal}} {{reason}}",
            )],
        )
        .lines(
            "Tries that failed",
            "cps",
            &[(
                "sum by (signal) (rate(leno_export_failures_total[5m]))",
                "{{signal}}",
            )],
        )
        .lines(
            "Log lines and tapped events dropped",
            "cps",
            &[
                ("sum(rate(leno_access_log_dropped_total[5m]))", "access log"),
                ("sum(rate(leno_tap_dropped_total[5m]))", "tap"),
            ],
        )
        .json()
}

/// A board in the making: panels flow from left to right, four to a line or two.
struct Board {
    uid: &'static str,
    title: &'static str,
    choices: Vec<Value>,
    panels: Vec<Value>,
    x: u32,
    y: u32,
}

const WIDTH: u32 = 24;
const LOW: u32 = 4;
const HIGH: u32 = 8;

impl Board {
    fn new(uid: &'static str, title: &'static str) -> Self {
        let source = json!({
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
        });
        Self {
            uid,
            title,
            choices: vec![source],
            panels: Vec::new(),
            x: 0,
            y: 0,
        }
    }

    fn choice(mut self, name: &str, query: &str) -> Self {
        self.choices.push(json!({
            "name": name,
            "type": "query",
            "datasource": source(),
            "query": { "query": query, "refId": name },
            "refresh": 2,
            "sort": 1,
        }));
        self
    }

    fn row(mut self, title: &str) -> Self {
        if self.x > 0 {
            (self.x, self.y) = (0, self.y + HIGH);
        }
        self.panel("row", title, (WIDTH, 1), json!({}))
    }

    fn number(self, title: &str, unit: &str, query: &str) -> Self {
        let more = json!({
            "fieldConfig": { "defaults": { "unit": unit }, "overrides": [] },
            "options": { "reduceOptions": { "calcs": ["lastNotNull"] }, "colorMode": "none" },
            "targets": [target(0, query, "", false)],
        });
        self.panel("stat", title, (WIDTH / 4, LOW), more)
    }

    fn lines(self, title: &str, unit: &str, queries: &[(&str, &str)]) -> Self {
        let targets = queries.iter().enumerate();
        let targets = targets.map(|(index, (query, legend))| target(index, query, legend, false));
        let more = json!({
            "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
            "options": { "legend": { "displayMode": "list", "placement": "bottom" } },
            "targets": targets.collect::<Vec<_>>(),
        });
        self.panel("timeseries", title, (WIDTH / 2, HIGH), more)
    }

    fn table(self, title: &str, unit: &str, query: &str) -> Self {
        let more = json!({
            "fieldConfig": { "defaults": { "unit": unit }, "overrides": [] },
            "targets": [target(0, query, "", true)],
            "transformations": [{
                "id": "organize",
                "options": { "excludeByName": { "Time": true, "__name__": true } },
            }],
        });
        self.panel("table", title, (WIDTH / 2, HIGH), more)
    }

    fn panel(mut self, kind: &str, title: &str, (width, height): (u32, u32), more: Value) -> Self {
        let mut panel = json!({
            "id": self.panels.len() + 1,
            "type": kind,
            "title": title,
            "datasource": source(),
            "gridPos": { "x": self.x, "y": self.y, "w": width, "h": height },
        });
        if let (Some(panel), Value::Object(more)) = (panel.as_object_mut(), more) {
            panel.extend(more);
        }
        self.panels.push(panel);
        self.x += width;
        if self.x >= WIDTH {
            (self.x, self.y) = (0, self.y + height);
        }
        self
    }

    fn json(self) -> String {
        let board = json!({
            "uid": self.uid,
            "title": self.title,
            "description": "Made by `cargo xtask generate` from xtask/generate/src/monitoring/boards.rs.",
            "tags": ["leno"],
            "schemaVersion": 39,
            "editable": true,
            "refresh": "10s",
            "time": { "from": "now-30m", "to": "now" },
            "templating": { "list": self.choices },
            "panels": self.panels,
        });
        let text = serde_json::to_string_pretty(&board);
        text.expect("its keys are texts") + "\n"
    }
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn target(index: usize, query: &str, legend: &str, is_table: bool) -> Value {
    let letter = char::from(b'A' + u8::try_from(index % 26).unwrap_or_default());
    let mut target = json!({
        "refId": letter.to_string(),
        "datasource": source(),
        "expr": query,
        "legendFormat": legend,
    });
    if is_table {
        target["format"] = json!("table");
        target["instant"] = json!(true);
    }
    target
}
