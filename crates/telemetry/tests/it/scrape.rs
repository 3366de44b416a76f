//! What a scrape says of what happened.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_model::view::WorkloadId;
use leno_model::{Name, Namespace, SpiffeId, Wall};
use leno_telemetry::capture::Whose;
use leno_telemetry::metric::METRICS;
use leno_telemetry::prometheus::Format;
use leno_telemetry::{Settings, Telemetry};

use crate::world::{Story, call, observe, record, scrape};

/// The samples that are not zero, without their heads.
fn check(stories: &[&str], metric: &str, expect: &str) {
    let text = scrape(&observe(stories));
    let samples: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with(metric) && !line.ends_with(" 0"))
        .collect();
    assert_eq!(samples.join("\n"), expect.trim(), "{stories:#?}");
}

#[test]
fn requests_are_told_apart_by_edge_rule_status_security_and_fault() {
    check(
        &[
            "shop/web -> shop/cart GET cart/items 200 3ms rule=2",
            "shop/web -> shop/cart GET cart/items/7?x 204 4ms rule=2",
            "shop/web -> shop/cart GET cart/items 500 3ms rule=1",
            "shop/web -> shop/cart GET cart/ 404 1ms",
            "shop/web -> shop/pay POST pay/charge 503 2ms unsecured R014",
            "unknown -> shop/cart GET cart/cart 403 0ms inbound plain=caller-not-in-mesh R002",
            "shop/web -> unknown GET example.com/ 0 9ms plain=destination-unknown R026",
        ],
        "leno_requests_total",
        r#"
leno_requests_total{reporter="source",source="shop/web",destination="shop/cart",route="HTTPRoute shop/cart rule 1",status_class="5xx",security="mtls",fault="service"} 1
leno_requests_total{reporter="source",source="shop/web",destination="shop/cart",route="HTTPRoute shop/cart rule 2",status_class="2xx",security="mtls",fault="none"} 2
leno_requests_total{reporter="source",source="shop/web",destination="shop/cart",route="none",status_class="4xx",security="mtls",fault="none"} 1
leno_requests_total{reporter="source",source="shop/web",destination="shop/pay",route="none",status_class="5xx",security="none",fault="mesh"} 1
leno_requests_total{reporter="source",source="shop/web",destination="unknown",route="none",status_class="none",security="destination-unknown",fault="service"} 1
leno_requests_total{reporter="destination",source="unknown",destination="shop/cart",route="none",status_class="4xx",security="caller-not-in-mesh",fault="caller"} 1
"#,
    );
}

#[test]
fn durations_are_counted_up_to_each_limit() {
    let (name, labels) = (
        "leno_request_duration_seconds",
        r#"reporter="source",source="shop/web",destination="shop/cart",route="none",status_class="2xx",security="mtls",fault="none""#,
    );
    let took = ["400us", "500us", "501us", "3ms", "2s", "40s"];
    let stories = took.map(|took| format!("shop/web -> shop/cart GET cart/ 200 {took}"));
    let text = scrape(&observe(&stories));
    let value = |sample: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(&sample));
        line.unwrap_or_else(|| panic!("{sample} is not there"))
            .trim()
            .to_owned()
    };
    for (limit, count) in [
        ("0.0005", "2"),
        ("0.001", "3"),
        ("0.0025", "3"),
        ("0.005", "4"),
        ("1.0", "4"),
        ("2.5", "5"),
        ("10.0", "5"),
        ("+Inf", "6"),
    ] {
        let sample = format!("{name}_bucket{{{labels},le=\"{limit}\"}}");
        assert_eq!(value(sample), count, "{limit}");
    }
    assert_eq!(value(format!("{name}_sum{{{labels}}}")), "42.004401");
    assert_eq!(value(format!("{name}_count{{{labels}}}")), "6");
}

#[test]
fn tries_and_copies_are_counted_apart() {
    let stories = [
        "shop/web -> shop/cart GET cart/ 200 3ms tries=3 sent=1",
        "shop/web -> shop/cart GET cart/ 200 3ms sent=1",
        "shop/web -> shop/cart-v2 GET cart/ 500 3ms copy sent=9",
        "shop/web -> shop/cart-v2 GET cart/ 0 3ms copy R045",
    ];
    check(
        &stories,
        "leno_retries_total",
        r#"leno_retries_total{reporter="source",source="shop/web",destination="shop/cart",route="none",status_class="2xx",security="mtls",fault="none"} 2"#,
    );
    check(
        &stories,
        "leno_copies_total",
        r#"
leno_copies_total{reporter="source",source="shop/web",destination="shop/cart-v2",route="none",status_class="none",security="mtls",fault="mesh"} 1
leno_copies_total{reporter="source",source="shop/web",destination="shop/cart-v2",route="none",status_class="5xx",security="mtls",fault="service"} 1
"#,
    );
    // Of nothing else is a copy a part.
    check(&stories, "leno_refused_total", "");
    let snapshot = observe(&stories).snapshot();
    let edges = snapshot.edges().into_values();
    assert_eq!(edges.map(|edge| edge.requests).sum::<u64>(), 2);
    check(
        &stories,
        "leno_bytes_total",
        r#"leno_bytes_total{reporter="source",source="shop/web",destination="shop/cart",route="none",status_class="2xx",security="mtls",fault="none",direction="sent"} 2"#,
    );
}

#[test]
fn streams_are_connections_and_all_have_bytes() {
    let stories = [
        "shop/cart -> shop/redis tcp 2s sent=10 received=2000",
        "shop/cart -> shop/redis tcp 9s sent=1",
        "shop/cart -> shop/db tcp 9ms R020 unsecured",
        "shop/web -> shop/cart POST cart/items 201 3ms sent=5 received=7",
    ];
    check(
        &stories,
        "leno_connections_total",
        r#"
leno_connections_total{reporter="source",source="shop/cart",destination="shop/db",route="none",status_class="none",security="none",fault="service"} 1
leno_connections_total{reporter="source",source="shop/cart",destination="shop/redis",route="none",status_class="none",security="mtls",fault="none"} 2
"#,
    );
    check(
        &stories,
        "leno_bytes_total",
        r#"
leno_bytes_total{reporter="source",source="shop/cart",destination="shop/redis",route="none",status_class="none",security="mtls",fault="none",direction="sent"} 11
leno_bytes_total{reporter="source",source="shop/cart",destination="shop/redis",route="none",status_class="none",security="mtls",fault="none",direction="received"} 2000
leno_bytes_total{reporter="source",source="shop/web",destination="shop/cart",route="none",status_class="2xx",security="mtls",fault="none",direction="sent"} 5
leno_bytes_total{reporter="source",source="shop/web",destination="shop/cart",route="none",status_class="2xx",security="mtls",fault="none",direction="received"} 7
"#,
    );
}

#[test]
fn what_lives_is_open_and_its_bytes_are_counted_once() {
    let telemetry = Telemetry::new(Settings::default());
    let mut recorder = telemetry.recorder();
    let check = |expect: &[&str]| {
        let text = scrape(&telemetry);
        let told = text.lines().filter(|line| {
            let of = ["leno_connections_", "leno_bytes_", "leno_requests_"];
            of.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0")
        });
        // A sample as its name, whose fault it was, the direction and the value.
        let told = told.map(|line| {
            let value = line.rsplit_once(' ').unwrap().1;
            let label = |name: &str| line.split(&format!("{name}=\"")).nth(1)?.split('"').next();
            let name = line.split('{').next().unwrap();
            let direction = label("direction").unwrap_or_default();
            format!("{name} {} {direction} {value}", label("fault").unwrap())
        });
        assert_eq!(told.collect::<Vec<_>>(), expect);
    };
    let opened = "shop/cart -> shop/redis opened 0ms";
    record(&mut recorder, &[opened, opened].map(call));
    check(&["leno_connections_open none  2"]);
    let cut = call("shop/cart -> shop/redis tcp 9s live sent=10 received=500 counted=7/400 R026");
    recorder.flow(&cut.flow());
    check(&[
        "leno_connections_open none  2",
        "leno_bytes_total none sent 7",
        "leno_bytes_total none received 400",
    ]);
    recorder.record(&cut.event());
    check(&[
        "leno_connections_total service  1",
        "leno_connections_open none  1",
        "leno_bytes_total none sent 7",
        "leno_bytes_total none received 400",
        "leno_bytes_total service sent 3",
        "leno_bytes_total service received 100",
    ]);
    let late = call("shop/web -> shop/cart GET cart/big 200 9s received=90 counted=0/60");
    for story in [call("shop/cart -> shop/redis tcp 9s live"), late] {
        recorder.flow(&story.flow());
        recorder.record(&story.event());
    }
    check(&[
        "leno_requests_total none  1",
        "leno_connections_total none  1",
        "leno_connections_total service  1",
        "leno_bytes_total none sent 7",
        "leno_bytes_total none received 400",
        "leno_bytes_total service sent 3",
        "leno_bytes_total service received 100",
        "leno_bytes_total none received 90",
    ]);
}

#[test]
fn codes_are_counted_beside_series() {
    let stories = [
        "shop/web -> shop/cart GET cart/ 503 2ms R014",
        "shop/web -> shop/pay GET pay/ 503 2ms R014",
        "shop/web -> shop/cart GET cart/ 503 2ms inbound R041",
        "shop/web -> shop/db tcp 2ms R020",
        r#"handshake T005 "spiffe://shop.local/ns/shop/sa/web was revoked""#,
        r#"handshake T005 "once more""#,
        r#"accept H004 "too many open files""#,
    ];
    check(
        &stories,
        "leno_refused_total",
        r#"
leno_refused_total{reporter="source",code="R014",slug="no-endpoint-usable",fault="mesh"} 2
leno_refused_total{reporter="source",code="R020",slug="connect-refused",fault="service"} 1
leno_refused_total{reporter="destination",code="R041",slug="draining",fault="mesh"} 1
"#,
    );
    check(
        &stories,
        "leno_handshake_failures_total",
        r#"leno_handshake_failures_total{reporter="source",code="T005",slug="identity-revoked",fault="caller"} 2"#,
    );
    check(
        &stories,
        "leno_accept_failures_total",
        r#"leno_accept_failures_total{reporter="source",code="H004",slug="file-limit",fault="mesh"} 1"#,
    );
}

#[test]
fn certificates_say_when_they_end_and_how_often_they_were_asked_for_in_vain() {
    let telemetry = Telemetry::new(Settings::default());
    let certificates = telemetry.certificates();
    let check = |expect: &str| {
        let text = scrape(&telemetry);
        let samples = text.lines();
        let samples: Vec<_> = samples
            .filter_map(|line| line.strip_prefix("leno_certificate_"))
            .collect();
        assert_eq!(samples.join("\n"), expect.trim());
    };
    let day = Duration::from_secs(86_400);
    certificates.held(&identity("cart"), Wall::since_epoch(day));
    certificates.failed(&identity("cart"));
    certificates.failed(&identity("cart"));
    certificates.failed(&identity("web"));
    check(
        r#"
ends_seconds{identity="shop/cart"} 86400
renewals_failed{identity="shop/cart"} 2
renewals_failed{identity="shop/web"} 1
"#,
    );
    certificates.held(&identity("cart"), Wall::since_epoch(day * 2));
    certificates.held(&identity("web"), Wall::since_epoch(day));
    check(
        r#"
ends_seconds{identity="shop/cart"} 172800
ends_seconds{identity="shop/web"} 86400
renewals_failed{identity="shop/cart"} 0
renewals_failed{identity="shop/web"} 0
"#,
    );
    certificates.forgotten(&identity("cart"));
    check(
        r#"
ends_seconds{identity="shop/web"} 86400
renewals_failed{identity="shop/web"} 0
"#,
    );
}

fn workload(name: &str) -> WorkloadId {
    WorkloadId {
        namespace: Namespace::new("shop").unwrap(),
        name: Name::new(name).unwrap(),
    }
}

#[test]
fn whether_workloads_are_captured_is_told_of_those_that_are_to_be() {
    let telemetry = Telemetry::new(Settings::default());
    let check = |expect: &str| {
        let text = scrape(&telemetry);
        let lines = text.lines();
        let told = lines.filter_map(|line| line.strip_prefix("leno_capture_"));
        let told = told.map(|line| format!("{line}\n"));
        assert_eq!(told.collect::<String>(), expect.trim_start());
    };
    check("");
    let web = workload("web");
    telemetry.capture().expect(web.clone(), Whose::Own);
    check(
        r#"
proven{workload="shop/web"} 0
losses_total{workload="shop/web"} 0
repairs_total{workload="shop/web"} 0
"#,
    );
    telemetry.capture().proven(&web);
    check(
        r#"
proven{workload="shop/web"} 1
losses_total{workload="shop/web"} 0
repairs_total{workload="shop/web"} 0
"#,
    );
    let capture = telemetry.capture();
    capture.lost(&web, "nothing came".to_owned(), Wall::default());
    check(
        r#"
proven{workload="shop/web"} 0
losses_total{workload="shop/web"} 1
repairs_total{workload="shop/web"} 0
"#,
    );
    capture.repaired(&web, "no table".to_owned(), Wall::default());
    check(
        r#"
proven{workload="shop/web"} 0
losses_total{workload="shop/web"} 1
repairs_total{workload="shop/web"} 1
"#,
    );
    // Whether that of a pod with a proxy of its own works, that one sees.
    capture.forget(&web);
    capture.expect(web.clone(), Whose::Sidecar);
    check("repairs_total{workload=\"shop/web\"} 0\n");
}

#[test]
fn every_sample_has_the_labels_of_the_table() {
    let text = scrape(&everything());
    let mut seen = BTreeMap::<_, Vec<_>>::new();
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = sample.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let of = METRICS
            .iter()
            .find(|metric| name == metric.name || name.starts_with(&format!("{}_", metric.name)))
            .unwrap_or_else(|| panic!("{name} is not in the table"));
        let pairs = labels
            .trim_end_matches('}')
            .split("\",")
            .filter(|pair| !pair.is_empty());
        let names = pairs.map(|pair| pair.split('=').next().unwrap());
        let mut names: Vec<_> = names.collect();
        names.retain(|name| *name != "le");
        let expect: Vec<_> = of.labels.iter().map(|label| label.name).collect();
        assert_eq!(names, expect, "{sample}");
        seen.entry(of.name).or_default().push(sample);
    }
    assert_eq!(seen.len(), METRICS.len(), "{:?}", seen.keys());
}

#[test]
fn heads_come_once_and_before_their_samples() {
    let text = scrape(&everything());
    for metric in METRICS {
        let (name, kind) = (metric.name, metric.kind.as_str());
        let head = format!(
            "# HELP {name} {}\n# TYPE {name} {kind}\n{name}",
            metric.help
        );
        assert_eq!(text.matches(&head).count(), 1, "{name}");
    }
    assert!(text.ends_with('\n'));
}

#[test]
fn no_two_samples_are_the_same_series() {
    let text = scrape(&everything());
    let mut series: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    let count = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), count);
}

#[test]
fn before_anything_happened_the_heads_are_there() {
    let text = scrape(&Telemetry::new(Settings::default()));
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    // Each signal has the same.
    let samples: Vec<_> = samples
        .filter(|line| !line.contains("traces") && !line.contains("logs"))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        samples,
        [
            "leno_audited_total 0",
            "leno_series_folded_total 0",
            "leno_access_log_dropped_total 0",
            "leno_tap_dropped_total 0",
            "leno_access_log_unfiltered_total 0",
            r#"leno_export_taken_total{signal="metrics"} 0"#,
            r#"leno_export_lost_total{signal="metrics",reason="no-room"} 0"#,
            r#"leno_export_lost_total{signal="metrics",reason="tried-long"} 0"#,
            r#"leno_export_lost_total{signal="metrics",reason="refused"} 0"#,
            r#"leno_export_lost_total{signal="metrics",reason="rejected"} 0"#,
            r#"leno_export_failures_total{signal="metrics"} 0"#,
            &format!("leno_build_info{{version=\"{version}\"}} 1"),
        ]
    );
}

#[test]
fn nothing_in_a_label_breaks_out_of_it() {
    let mut story: Story = call("shop/web -> shop/cart GET cart/ 200 1ms");
    story.source = "shop/we\"b\\\n# HELP".to_owned();
    let telemetry = Telemetry::new(Settings::default());
    telemetry.recorder().record(&story.event());
    let text = scrape(&telemetry);
    assert!(text.contains(r#"source="shop/we\"b\\\n# HELP","#), "{text}");
}

/// At least one sample of each metric.
/// Something of each kind has happened.
pub(crate) fn everything() -> Telemetry {
    let telemetry = observe(EVERYTHING);
    let ends = Wall::since_epoch(Duration::from_secs(86_400));
    telemetry.certificates().held(&identity("cart"), ends);
    telemetry.capture().expect(workload("cart"), Whose::Own);
    telemetry.processes().expect(workload("cart"));
    telemetry
}

fn identity(account: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://shop.local/ns/shop/sa/{account}")).unwrap()
}

pub(crate) const EVERYTHING: &[&str] = &[
    "shop/web -> shop/cart GET cart/items 200 3ms rule=2 sent=1 received=2",
    "shop/web -> shop/pay POST pay/charge 503 2ms unsecured R014",
    "shop/web -> shop/cart GET cart/items 200 3ms tries=2",
    "shop/web -> shop/cart-v2 GET cart/items 200 3ms copy traced agent=curl/8 server=nginx",
    "unknown -> shop/cart GET cart/cart 403 0ms inbound plain=caller-not-in-mesh R002",
    "shop/cart -> shop/redis tcp 2s sent=10 received=2000 audited=1",
    "shop/cart -> shop/redis opened 0ms",
    r#"handshake T005 "revoked""#,
    r#"accept H004 "too many open files""#,
];

#[test]
fn openmetrics_names_calls_that_are_kept() {
    let stories = [
        "shop/web -> shop/cart GET cart/ 200 3ms",
        "shop/web -> shop/cart GET cart/ 200 40s",
    ];
    let text = observe(&stories).scrape(Format::OpenMetrics);
    let text = String::from_utf8(text).unwrap();
    let labels = r#"reporter="source",source="shop/web",destination="shop/cart",route="none",status_class="2xx",security="mtls",fault="none""#;
    let id = r#"{call_id="7c1e4b02d41e8a7710aa3c9e0f52b6d8"}"#;
    let durations = text
        .lines()
        .filter(|line| line.starts_with("leno_request_duration_seconds_bucket"))
        .map(|line| line.replace(labels, ".."));
    let durations: Vec<_> = durations.filter(|line| line.contains(" # ")).collect();
    assert_eq!(
        durations,
        [
            format!(
                r#"leno_request_duration_seconds_bucket{{..,le="0.005"}} 1 # {id} 0.003 1795170718.253"#
            ),
            format!(
                r#"leno_request_duration_seconds_bucket{{..,le="+Inf"}} 2 # {id} 40 1795170758.25"#
            ),
        ]
    );
    assert!(text.contains("# TYPE leno_requests counter\n"), "{text}");
    assert!(text.contains(&format!("\nleno_requests_total{{{labels}}} 2\n")));
    assert!(text.ends_with("\n# EOF\n"), "{text}");
}

#[test]
fn both_texts_have_the_same_series() {
    let telemetry = everything();
    let series = |format| {
        let text = String::from_utf8(telemetry.scrape(format)).unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| line.split(" # ").next().unwrap_or_default().to_owned());
        samples.collect::<Vec<_>>()
    };
    assert_eq!(series(Format::Text), series(Format::OpenMetrics));
}
