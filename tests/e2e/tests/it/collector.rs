//! What real proxies send to a real collector: by both forms of OTLP, and what
//! becomes of traffic where the collector is away.

use std::io::Write;

use leno_e2e::{Collector, World, deaf, prove, serve};

use crate::pair::Pair;

/// A mesh whose proxies send to `@otel`, by `protocol` at `port`.
fn world(protocol: &str, port: u16) -> World {
    let world = World::pair();
    let otel = world.at("otel", port);
    world.replace(
        "default: Deny",
        &format!(
            "default: Deny, telemetry: {{collector: {{endpoint: \"http://{otel}\", \
             protocol: {protocol}, interval: 1s}}}}"
        ),
    );
    world
}

fn check(protocol: &str, port: u16) {
    let pair = Pair::of(world(protocol, port));
    let (grpc, http) = (pair.world.at("otel", 4317), pair.world.at("otel", 4318));
    let Some(collector) = Collector::start(&pair.world, grpc, http) else {
        return;
    };
    let traced = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(
        pair.curl("/items?secret=1", &["-H", traced]).outcome(),
        "200"
    );
    assert_eq!(pair.curl("/items", &[]).outcome(), "200");
    let edge = "destination=shop/cart,fault=none,reporter=REPORTER,route=none,security=mtls,\
                source=shop/web,status_class=2xx";
    let [at_source, at_destination] =
        ["source", "destination"].map(|reporter| edge.replace("REPORTER", reporter));
    collector.until_told(&[
        &format!("leno.requests[{{request}}] {{{at_source}}} 2"),
        &format!("leno.requests[{{request}}] {{{at_destination}}} 2"),
        &format!("leno.request.duration[s] {{{at_source}}} 2 in 15 buckets"),
        "leno.build.info[] {version=",
        // What was sent before was also understood to be taken.
        "leno.export.failures[{try}] {signal=logs} 0",
        "leno.export.lost[{item}] {reason=refused,signal=metrics} 0",
        "log leno.call severity 9 of {service.instance.id=shop/web-",
        "http.request.method=GET,http.response.status_code=200",
        // Both proxies' spans, each of the workload that it stands for, within the application's.
        "span GET kind 3 of {service.instance.id=shop/web-",
        "service.name=web,service.namespace=shop} in \
         4bf92f3577b34da6a3ce929d0e0e4736/00f067aa0ba902b7 as ",
        "span GET kind 2 of {service.instance.id=shop/cart-",
        "in 4bf92f3577b34da6a3ce929d0e0e4736 ",
    ]);
    let told = collector.told();
    assert!(
        told.iter().all(|line| !line.contains("secret")),
        "{told:#?}"
    );
}

/// The same, where the collector proves itself: by roots that this world has made, which a file
/// names if `roots` says so, and which no host trusts.
fn secure(protocol: &str, port: u16, roots: &str) -> World {
    let world = world(protocol, port);
    let otel = world.at("otel", port);
    prove(&world, "otel", "ca");
    world.replace(
        &format!("\"http://{otel}\""),
        &format!("\"https://{otel}\"{roots}"),
    );
    world
}

#[test]
fn a_collector_that_proves_itself_gets_everything_by_either_form() {
    for (protocol, port) in [("GRPC", 4317), ("HTTP", 4318)] {
        let pair = Pair::of(secure(protocol, port, ", rootsFile: ca.pem"));
        let (grpc, http) = (pair.world.at("otel", 4317), pair.world.at("otel", 4318));
        let Some(collector) = Collector::start_secure(&pair.world, grpc, http) else {
            return eprintln!(
                "not checked: Go is not installed here, which the collector is built with"
            );
        };
        assert_eq!(pair.curl("/items", &[]).outcome(), "200");
        collector.until_told(&[
            "leno.requests[{request}] ",
            "log leno.call severity 9 of {service.instance.id=shop/web-",
            "log leno.call severity 9 of {service.instance.id=shop/cart-",
        ]);
    }
}

#[test]
fn a_collector_that_nobody_trusts_gets_nothing_and_is_told_of() {
    let world = secure("GRPC", 4317, "");
    let (grpc, http) = (world.at("otel", 4317), world.at("otel", 4318));
    let Some(collector) = Collector::start_secure(&world, grpc, http) else {
        return eprintln!(
            "not checked: Go is not installed here, which the collector is built with"
        );
    };
    // It is there from the first try on, of which alone is told.
    let pair = Pair::of(world);
    assert_eq!(pair.curl("/items", &[]).outcome(), "200");
    // Whom the host trusts; where it trusts nobody, that is what is wrong.
    let distrusted = pair
        .web
        .until_says(&["collector-", "https://", "traffic is untouched"]);
    let expected = ["no root that is trusted", "no file of roots"];
    assert!(
        expected.iter().any(|why| distrusted.contains(why)),
        "{distrusted}"
    );
    assert!(collector.told().is_empty());
}

#[test]
fn a_collector_gets_everything_by_grpc() {
    check("GRPC", 4317);
}

#[test]
fn a_collector_gets_everything_by_http() {
    check("HTTP", 4318);
}

#[test]
fn a_collector_that_is_away_costs_no_call_and_is_told_of() {
    let pair = Pair::of(world("GRPC", 4317));
    let away = ["X001", "collector-away", "the connection was refused"];
    for proxy in [&pair.web, &pair.cart] {
        // Only a thread of its own waits for it.
        proxy.until_says(&away);
    }
    assert_eq!(pair.curl("/items", &[]).outcome(), "200");
    let (grpc, http) = (pair.world.at("otel", 4317), pair.world.at("otel", 4318));
    let collector = Collector::start(&pair.world, grpc, http);
    if collector.is_some() {
        pair.web.until_says(&["collector", "takes what is sent"]);
    }
}

#[test]
fn a_collector_that_answers_with_nonsense_costs_no_call() {
    for (protocol, port) in [("HTTP", 4318), ("GRPC", 4317)] {
        let world = world(protocol, port);
        serve(world.at("otel", port), |mut stream| {
            let endless = [b"220 mail is taken here\r\n".as_slice(), &[0xff; 64 << 10]].concat();
            while stream.write_all(&endless).is_ok() {}
        });
        let pair = Pair::of(world);
        pair.web.until_says(&["X001", "collector-away"]);
        assert_eq!(pair.curl("/items", &[]).outcome(), "200", "{protocol}");
    }
}

#[test]
fn a_collector_that_says_nothing_costs_no_call() {
    let world = world("GRPC", 4317);
    let _deaf = deaf(world.at("otel", 4317));
    let pair = Pair::of(world);
    assert_eq!(pair.curl("/items", &[]).outcome(), "200");
    pair.web
        .until_says(&["X001", "it did not answer within 5s"]);
    assert_eq!(pair.curl("/items", &[]).outcome(), "200");
}
