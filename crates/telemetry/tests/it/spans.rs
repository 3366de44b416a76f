//! A traced call is a span, told by the names of OpenTelemetry; whoever is slow loses spans, never time.

use leno_telemetry::{Settings, Span, Telemetry, Value};

use crate::world::{call, record, scrape};

/// The span of a call, told line by line.
fn told(story: &str) -> String {
    let telemetry = Telemetry::new(Settings::default());
    let spans = telemetry.spans();
    record(&mut telemetry.recorder(), &[call(story)]);
    match spans.take(2).as_slice() {
        [] => "no span".to_owned(),
        [span] => tell(span),
        spans => panic!("{spans:?}"),
    }
}

fn tell(span: &Span) -> String {
    let Span { traced, kind, .. } = span;
    let parent = traced
        .parent
        .map_or(String::new(), |it| format!(" in {it:x}"));
    let of = span.of.as_ref().map_or_else(
        || "nobody".to_owned(),
        |(namespace, name)| format!("{namespace}/{name}"),
    );
    let mut lines = vec![format!(
        "{kind:?} {} of {of}, {:x} {:x}{parent}, {:?}",
        span.name, traced.trace, traced.span, span.took
    )];
    lines.extend(span.error.as_ref().map(|why| format!("  failed: {why}")));
    for (name, value) in &span.attributes {
        lines.push(match value {
            Value::Text(text) => format!("  {name} = {text}"),
            Value::Number(number) => format!("  {name} = {number}"),
        });
    }
    lines.join("\n")
}

#[test]
fn a_call_is_a_span_at_each_of_its_proxies() {
    assert_eq!(
        told("shop/web -> shop/cart GET cart/items 200 3ms rule=2 sent=10 received=20 traced"),
        "\
Client GET of shop/web, 4bf92f3577b34da6a3ce929d0e0e4736 a1, 3ms
  leno.id = 7c1e4b02d41e8a7710aa3c9e0f52b6d8
  http.request.method = GET
  url.full = http://cart/items
  url.scheme = http
  url.path = /items
  server.address = cart
  http.response.status_code = 200
  network.protocol.name = http
  network.peer.address = 10.2.1.7
  network.peer.port = 8080
  http.request.body.size = 10
  http.response.body.size = 20
  leno.source = shop/web
  leno.destination = shop/cart
  leno.security = mtls
  leno.route = HTTPRoute shop/cart rule 2"
    );
    assert_eq!(
        told("shop/web -> shop/cart GET cart/items 403 3ms inbound R003 traced=a1"),
        "\
Server GET of shop/cart, 4bf92f3577b34da6a3ce929d0e0e4736 b2 in a1, 3ms
  failed: R003 no-allow-rule
  leno.id = 7c1e4b02d41e8a7710aa3c9e0f52b6d8
  http.request.method = GET
  url.scheme = http
  url.path = /items
  server.address = cart
  http.response.status_code = 403
  network.protocol.name = http
  client.address = 10.2.0.3
  http.request.body.size = 0
  http.response.body.size = 0
  leno.source = shop/web
  leno.destination = shop/cart
  leno.security = mtls
  leno.code = R003
  error.type = no-allow-rule
  leno.fault = caller"
    );
}

#[test]
fn an_answer_is_an_error_by_the_conventions_of_either_end() {
    let failed = |story: &str| {
        let told = told(story);
        let mut lines = told.lines();
        lines.find_map(|line| line.strip_prefix("  failed: ").map(str::to_owned))
    };
    let not_found = "shop/web -> shop/cart GET cart/items 404 3ms";
    assert_eq!(
        failed(&format!("{not_found} traced")).as_deref(),
        Some("404")
    );
    assert_eq!(failed(&format!("{not_found} inbound traced=a1")), None);
    let broken = "shop/web -> shop/cart GET cart/items 500 3ms inbound traced=a1";
    assert_eq!(failed(broken).as_deref(), Some("500"));
}

#[test]
fn what_is_not_traced_is_no_span() {
    assert_eq!(
        told("shop/web -> shop/cart GET cart/items 200 3ms"),
        "no span"
    );
}

#[test]
fn spans_are_made_while_somebody_takes_them_and_further_ones_are_counted() {
    const ROOM: usize = 2048;
    let telemetry = Telemetry::new(Settings::default());
    let mut recorder = telemetry.recorder();
    assert!(!recorder.takes_spans());
    let spans = telemetry.spans();
    assert!(recorder.takes_spans());
    let traced = call("shop/web -> shop/cart GET cart/items 200 3ms traced");
    for _ in 0..ROOM + 5 {
        record(&mut recorder, std::slice::from_ref(&traced));
    }
    let lost = r#"leno_export_lost_total{signal="traces",reason="no-room"} 5"#;
    assert!(scrape(&telemetry).lines().any(|line| line == lost));
    assert_eq!(spans.take(2 * ROOM).len(), ROOM);
    drop(spans);
    assert!(!recorder.takes_spans());
    record(&mut recorder, &[traced]);
    assert!(scrape(&telemetry).lines().any(|line| line == lost));
}
