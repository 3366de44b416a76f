//! What a TelemetryPolicy says, seen from outside: spans that a collector links, headers that an
//! application gets, lines that are there or are not.

use leno_e2e::{Answer, Collector, World};

use crate::pair::Pair;

/// `web` calls `cart`, whose calls this TelemetryPolicy is about; proxies send to `@otel`.
fn world(spec: &str) -> World {
    let world = World::pair().objects(&format!(
        "kind: TelemetryPolicy\napiVersion: leno.dev/v1alpha1\n\
         metadata: {{name: cart, namespace: shop}}\n\
         spec: {{targetRefs: [{{kind: Service, name: cart}}], {spec}}}\n"
    ));
    let otel = world.at("otel", 4317);
    world.replace(
        "default: Deny",
        &format!(
            "default: Deny, telemetry: {{collector: {{endpoint: \"http://{otel}\", interval: 1s}}}}"
        ),
    );
    world
}

/// One span, as the collector got it.
#[derive(Debug)]
struct Span {
    trace: String,
    parent: String,
    id: String,
}

/// The spans of both proxies of the one call with this in its attributes: web's, then cart's.
fn spans(collector: &Collector, with: &str) -> [Span; 2] {
    let of = |kind: &str| {
        let told = collector.told();
        let line = told
            .iter()
            .find(|line| line.contains(kind) && line.contains(with));
        let (_, place) = line?.split_once(" in ")?;
        let mut words = place.split(' ');
        let (trace, parent) = words.next()?.split_once('/')?;
        Some(Span {
            trace: trace.to_owned(),
            parent: parent.to_owned(),
            id: words.nth(1)?.to_owned(),
        })
    };
    collector.until_told(&[" kind 3 of", " kind 2 of"]);
    let span = |kind| of(kind).unwrap_or_else(|| panic!("{kind}: {:#?}", collector.told()));
    [span(" kind 3 of"), span(" kind 2 of")]
}

/// The `traceparent` and `tracestate` with which a request came to the application.
fn came_with(answer: &Answer) -> [Option<String>; 2] {
    ["traceparent", "tracestate"].map(|name| {
        let mut lines = answer.text().lines();
        lines.find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    })
}

fn collector(pair: &Pair) -> Option<Collector> {
    let (grpc, http) = (pair.world.at("otel", 4317), pair.world.at("otel", 4318));
    let collector = Collector::start(&pair.world, grpc, http);
    if collector.is_none() {
        eprintln!("not checked: Go is not installed here, which the collector is built with");
    }
    collector
}

#[test]
fn a_call_is_a_span_at_each_proxy_and_both_are_one_trace() {
    let pair = Pair::of(world("tracing: {sample: 100%}, redact: [\"[0-9]+\"]"));
    let Some(collector) = collector(&pair) else {
        return;
    };
    let stale = ["-H", "tracestate: of=nothing", "-H", "traceparent: 00-xyz"];
    let answer = pair.curl("/items/42", &stale);
    assert_eq!(answer.outcome(), "200");
    let [web, cart] = spans(&collector, "url.path=/items/***");
    assert_eq!(web.parent, "");
    assert_eq!(cart.parent, web.id);
    assert_eq!(cart.trace, web.trace);
    // The application's own span would stand under cart's; a state of no trace is gone.
    let sent = format!("00-{}-{}-01", cart.trace, cart.id);
    assert_eq!(came_with(&answer), [Some(sent), None]);
}

#[test]
fn what_the_caller_decided_is_kept_and_what_fails_is_told_all_the_same() {
    let pair = Pair::of(world("tracing: {sample: 100%, errors: true}"));
    let Some(collector) = collector(&pair) else {
        return;
    };
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let not_sampled = format!("00-{trace}-00f067aa0ba902b7-00");
    let ask = |path: &str| {
        let parent = format!("traceparent: {not_sampled}");
        pair.curl(path, &["-H", &parent, "-H", "tracestate: a=b"])
    };
    let kept = [Some(not_sampled.clone()), Some("a=b".to_owned())];
    assert_eq!(came_with(&ask("/fine")), kept);
    assert_eq!(ask("/status/503").outcome(), "503");
    let [web, cart] = spans(&collector, "url.path=/status/503");
    assert_eq!((web.trace.as_str(), cart.trace.as_str()), (trace, trace));
    assert_eq!(web.parent, "00f067aa0ba902b7");
    assert_eq!(cart.parent, web.id);
    let told = collector.told();
    let is_fine = |line: &&String| line.starts_with("span") && line.contains("/fine");
    assert_eq!(told.iter().find(is_fine), None);
}

#[test]
fn a_line_is_written_where_the_filter_lets_it_and_tells_what_may_be_read() {
    let pair = Pair::of(world(
        "accessLog: {when: 'response.status >= 400 && request.headers[\"x-user\"] != \"root\"', \
         fields: [path, status], requestHeaders: [x-user, authorization], responseHeaders: [server]}, redact: [\"[0-9]+\"]",
    ));
    let ask = |path: &str, user: &str| {
        let user = format!("x-user: {user}");
        pair.curl(path, &["-H", &user, "-H", "authorization: secret"])
    };
    assert_eq!(ask("/fine", "ada").outcome(), "200");
    assert_eq!(ask("/status/503", "root").outcome(), "503");
    assert_eq!(ask("/status/503", "ada").outcome(), "503");
    // Without the header the filter has no value for the call, which has its line then.
    assert_eq!(pair.curl("/status/500", &[]).outcome(), "500");
    for proxy in [&pair.web, &pair.cart] {
        proxy.until_says(&[r#""status":500"#]);
        let log = proxy.log();
        let lines = log
            .lines()
            .filter(|line| line.contains(r#""event":"call""#));
        let told = lines.map(|line| line.split_once(r#","path""#).map(|(_, told)| told));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                Some(
                    r#":"/status/***","headers":{"x-user":"ada","authorization":"***"},"status":503,"response_headers":{"server":"cart"}}"#
                ),
                Some(r#":"/status/***","status":500,"response_headers":{"server":"cart"}}"#),
            ]
        );
    }
}
