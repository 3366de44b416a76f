//! However many names there are, series are few and totals exact.

use leno_telemetry::{Settings, Snapshot, Telemetry};

use crate::world::{What, call, record, scrape};

fn series(snapshot: &Snapshot) -> (usize, usize) {
    let folded = snapshot
        .series
        .iter()
        .filter(|total| &*total.labels.source == "other");
    let folded = folded.count();
    (snapshot.series.len() - folded, folded)
}

fn requests(snapshot: &Snapshot) -> u64 {
    snapshot.series.iter().map(|total| total.count).sum()
}

#[test]
fn what_a_client_chooses_makes_no_series() {
    let telemetry = Telemetry::new(Settings::default());
    let mut recorder = telemetry.recorder();
    let mut story = call("unknown -> shop/cart GET cart/ 404 1ms inbound rule=1");
    for number in 0..1_000_000 {
        let chosen = number.to_string();
        if let What::Call {
            method, host, path, ..
        } = &mut story.what
        {
            for text in [method, host, path] {
                text.clone_from(&chosen);
            }
        }
        recorder.record(&story.event());
    }
    let snapshot = telemetry.snapshot();
    assert_eq!(series(&snapshot), (1, 0));
    assert_eq!(requests(&snapshot), 1_000_000);
}

#[test]
fn edges_over_the_budget_are_counted_as_other() {
    let telemetry = Telemetry::new(Settings::default());
    let mut recorder = telemetry.recorder();
    let mut story = call("shop/web -> shop/cart GET cart/ 200 1ms sent=2");
    for round in 0..2 {
        for edge in 0..12_000 {
            story.source = format!("shop/web-{edge}");
            recorder.record(&story.event());
        }
        let snapshot = telemetry.snapshot();
        assert_eq!(series(&snapshot), (10_000, 1));
        assert_eq!(snapshot.folded, 2_000 * (round + 1));
        assert_eq!(requests(&snapshot), 12_000 * (round + 1));
        let sent: u64 = snapshot.series.iter().map(|total| total.sent).sum();
        assert_eq!(sent, 2 * requests(&snapshot));
    }
    let text = scrape(&telemetry);
    let other = r#"leno_requests_total{reporter="source",source="other",destination="other",route="other",status_class="2xx",security="mtls",fault="none"} 4000"#;
    assert!(text.lines().any(|line| line == other));
    assert!(
        text.lines()
            .any(|line| line == "leno_series_folded_total 4000")
    );
}

#[test]
fn what_is_folded_keeps_what_has_few_values() {
    let telemetry = Telemetry::new(Settings {
        series: 1,
        ..Settings::default()
    });
    let stories = [
        "shop/web -> shop/cart GET cart/ 200 1ms",
        "shop/web -> shop/pay GET pay/ 200 1ms",
        "shop/web -> shop/pay GET pay/ 503 1ms R014 unsecured",
        "shop/app -> shop/pay GET pay/ 503 1ms R014 unsecured",
        "shop/app -> shop/redis tcp 1ms",
    ]
    .map(call);
    record(&mut telemetry.recorder(), &stories);
    let text = scrape(&telemetry);
    let counted = text.lines().filter(|line| {
        line.starts_with("leno_requests_total") || line.starts_with("leno_connections_total")
    });
    let counted: Vec<_> = counted.collect();
    assert_eq!(
        counted.join("\n"),
        r#"
leno_requests_total{reporter="source",source="other",destination="other",route="other",status_class="2xx",security="mtls",fault="none"} 1
leno_requests_total{reporter="source",source="other",destination="other",route="other",status_class="5xx",security="none",fault="mesh"} 2
leno_requests_total{reporter="source",source="shop/web",destination="shop/cart",route="none",status_class="2xx",security="mtls",fault="none"} 1
leno_connections_total{reporter="source",source="other",destination="other",route="other",status_class="none",security="mtls",fault="none"} 1
"#
        .trim()
    );
}

#[test]
fn what_one_worker_knows_is_not_folded_by_another() {
    let telemetry = Telemetry::new(Settings {
        series: 2,
        ..Settings::default()
    });
    let [cart, pay, late] = ["cart", "pay", "late"]
        .map(|name| call(&format!("shop/web -> shop/{name} GET x/ 200 1ms")));
    let (mut first, mut second) = (telemetry.recorder(), telemetry.recorder());
    record(&mut first, &[cart.clone(), pay.clone(), late.clone()]);
    record(&mut second, &[late, pay, cart]);
    let snapshot = telemetry.snapshot();
    assert_eq!(series(&snapshot), (2, 1));
    assert!(
        snapshot.series.iter().all(|total| total.count == 2),
        "{snapshot:?}"
    );
}

#[test]
fn a_budget_of_nothing_still_counts() {
    let telemetry = Telemetry::new(Settings {
        series: 0,
        ..Settings::default()
    });
    record(
        &mut telemetry.recorder(),
        &[call("shop/web -> shop/cart GET cart/ 200 1ms")],
    );
    assert_eq!(series(&telemetry.snapshot()), (0, 1));
}
