//! The golden signals of an edge.

use std::fmt::Write;

use leno_telemetry::{EdgeName, Signals};

use crate::world::{duration, observe, tell};

fn check(stories: &[&str], expect: &str) {
    let edges = observe(stories).snapshot().edges();
    let lines = edges.iter().map(|(edge, signals)| describe(edge, signals));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.join("\n"), expect.trim(), "{stories:#?}");
}

fn describe(edge: &EdgeName, signals: &Signals) -> String {
    let EdgeName {
        source,
        destination,
        reporter,
    } = edge;
    let mut text = format!("{source} -> {destination} ({}):", reporter.as_str());
    let mut add = |word: &str, number: u64| {
        if number > 0 {
            write!(text, " {word} {number}").unwrap();
        }
    };
    add("requests", signals.requests);
    add("streams", signals.streams);
    for (fault, count) in &signals.failures {
        add(fault.as_str(), *count);
    }
    for (security, count) in &signals.security {
        add(security.as_str(), *count);
    }
    add("sent", signals.sent);
    add("received", signals.received);
    text
}

#[test]
fn an_edge_has_traffic_errors_and_how_it_is_secured() {
    check(
        &[
            "shop/web -> shop/cart GET cart/items 200 3ms rule=1 sent=1 received=100",
            "shop/web -> shop/cart GET cart/items 404 3ms rule=2 received=10",
            "shop/web -> shop/cart GET cart/items 500 3ms rule=2",
            "shop/web -> shop/cart GET cart/items 503 3ms unsecured R014",
            "shop/web -> shop/cart GET cart/items 200 2ms inbound",
            "shop/cart -> shop/redis tcp 3s sent=7",
            "shop/cart -> shop/redis tcp 3ms R020 unsecured",
            "unknown -> shop/cart GET cart/items 403 0ms inbound plain=caller-not-in-mesh R002",
            r#"handshake T005 "is of no edge""#,
        ],
        "
shop/cart -> shop/redis (source): streams 2 service 1 mtls 1 none 1 sent 7
shop/web -> shop/cart (source): requests 4 service 1 mesh 1 mtls 3 none 1 sent 1 received 110
shop/web -> shop/cart (destination): requests 1 mtls 1
unknown -> shop/cart (destination): requests 1 caller 1 caller-not-in-mesh 1
",
    );
}

#[test]
fn latency_is_told_by_quantiles() {
    let stories: Vec<_> = (1..=100)
        .map(|millis| format!("shop/web -> shop/cart GET cart/ 200 {millis}ms"))
        .collect();
    let edges = observe(&stories).snapshot().edges();
    let [signals] = edges.values().collect::<Vec<_>>()[..] else {
        panic!("{edges:?}");
    };
    let quantiles = [0.5, 0.9, 0.99].map(|share| signals.took.quantile(share).unwrap());
    assert_eq!(quantiles, ["50ms", "90ms", "99ms"].map(duration));
}

#[test]
fn what_came_since_is_the_difference() {
    let before = ["shop/web -> shop/cart GET cart/ 200 3ms sent=1"; 3];
    let later = [
        "shop/web -> shop/cart GET cart/ 200 900ms sent=1",
        "shop/web -> shop/cart GET cart/ 503 900ms R014",
    ];
    let telemetry = observe(&before);
    let whole = |snapshot: leno_telemetry::Snapshot| snapshot.signals(|_| ()).remove(&()).unwrap();
    let first = whole(telemetry.snapshot());
    tell(&mut telemetry.recorder(), &later);
    let both = whole(telemetry.snapshot());
    assert_eq!(both.since(&first), whole(observe(&later).snapshot()));
    assert_eq!(both.since(&both), Signals::default());
    assert_eq!(both.failed(), 1);
}

#[test]
fn signals_are_put_together_as_one_likes() {
    let telemetry = observe(&[
        "shop/web -> shop/cart GET cart/ 200 3ms",
        "shop/app -> shop/cart GET cart/ 200 3ms",
        "shop/app -> shop/pay GET cart/ 200 3ms",
    ]);
    let services = telemetry
        .snapshot()
        .signals(|labels| labels.destination.clone());
    let services: Vec<_> = services
        .iter()
        .map(|(name, signals)| (&**name, signals.requests))
        .collect();
    assert_eq!(services, [("shop/cart", 2), ("shop/pay", 1)]);
}
