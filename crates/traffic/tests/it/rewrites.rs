//! What changes on the way: rewrites, redirects, timeouts.

use std::time::Duration;

use leno_model::Dice;
use leno_traffic::{Routed, Scope, Table, Timed};

use crate::routes::outcome;
use crate::world::{World, local, origin, port, with_request};

fn check(rule: &str, request: &str, expect: &str) {
    let world = World::new().services(&["cart", "a"]).routes("cart", rule);
    let table = Table::new(world.view(), Scope::Whole);
    let outcome = outcome(&table, request, &mut Dice::new(1));
    assert_eq!(outcome, expect, "{rule} | {request}");
}

/// The table of `HTTPPathModifier.replacePrefixMatch`, and what it leaves out.
#[test]
fn a_prefix_is_replaced_as_the_specification_says() {
    for (path, prefix, with, expect) in [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/bar", "/", "/xyz", "/xyz/bar"),
        ("/", "/", "/xyz", "/xyz/"),
    ] {
        check(
            &format!("path={prefix} -> a prefix={with}"),
            &format!("GET http://cart{path}"),
            &format!("a path={expect}"),
        );
        check(
            &format!("path={prefix} -> redirect scheme=http prefix={with}"),
            &format!("GET http://cart{path}"),
            &format!("302 http://cart{expect}"),
        );
    }
}

#[test]
fn host_and_whole_path_are_replaced_and_the_query_stays() {
    check(
        "path=/ -> a full=/x",
        "GET http://cart/a/b?c=d",
        "a path=/x",
    );
    check(
        "path=/ -> a rewrite-host=v2.shop",
        "GET http://cart/a",
        "a host=v2.shop",
    );
    check(
        "path=/ -> redirect full=/x",
        "GET http://cart/a?c=d",
        "302 http://cart/x?c=d",
    );
    check("path=/ -> a prefix=/x", "OPTIONS http://cart", "a");
}

#[test]
fn a_redirect_names_the_port_only_where_the_scheme_does_not() {
    let to = |redirect: &str, expect: &str| {
        check(
            &format!("path=/ -> redirect {redirect}"),
            "GET http://cart/a",
            expect,
        );
    };
    to("host=shop.example", "302 http://shop.example/a");
    to("scheme=https", "302 https://cart/a");
    to("scheme=https port=443", "302 https://cart/a");
    to("scheme=https port=8443", "302 https://cart:8443/a");
    to("scheme=http port=80 status=301", "301 http://cart/a");
    to("scheme=http port=8080", "302 http://cart:8080/a");
    to("port=8080", "302 http://cart:8080/a");
    to("port=443", "302 http://cart:443/a");
}

#[test]
fn a_redirect_without_scheme_keeps_the_port_that_was_called() {
    let world = World::new()
        .services(&["cart"])
        .routes("cart", "path=/ -> redirect status=308");
    let mut world = world;
    let service = world.0.services.values_mut().next().unwrap();
    let service = std::sync::Arc::make_mut(service);
    let port = service.ports.remove(&80).unwrap();
    service.ports.insert(8080, port);
    let table = Table::new(world.view(), Scope::Whole);
    let peer = local("web");
    with_request("GET http://cart/a", |request| {
        let admitted = table.outbound().admit(&peer, request).unwrap();
        let port = &table.ports()[0];
        let routed = table
            .route(admitted, port, &mut Dice::new(1), None)
            .unwrap();
        let Routed::Redirect(redirected) = routed else {
            panic!("{routed:?}");
        };
        assert_eq!(redirected.location().to_string(), "http://cart:8080/a");
        assert_eq!(redirected.status(), 308);
    });
}

/// What a prefix is put before must not climb out of it again.
#[test]
fn a_rewritten_path_keeps_its_readings() {
    check(
        "path=/ -> a prefix=/v2",
        "GET http://cart/x//y",
        "a path=/v2/x//y",
    );
    check(
        "path=/ -> a prefix=/v2",
        "GET http://cart/x/../y",
        "a path=/v2/x/../y",
    );
    check("path=/ -> a prefix=/v2", "GET http://cart/../y", "400 R035");
    check(
        "path=/ -> a prefix=/v2",
        "GET http://cart/x/..%2f../y",
        "400 R035",
    );
    check("path=/ -> a", "GET http://cart/../y", "a");
}

#[test]
fn the_rules_own_timeout_stands_before_the_services_and_each_says_who_set_it() {
    let check = |rule: &str, of_service: Option<u64>, expect: &str| {
        let world = World::new().services(&["cart", "a"]).routes("cart", rule);
        let world = world.change_port("cart", |port| {
            let tuning = std::sync::Arc::make_mut(&mut port.tuning);
            tuning.request_timeout = of_service.map(Duration::from_millis);
            if of_service.is_some() {
                let said = origin("TrafficPolicy", "cart", "/spec/timeouts/request", 9);
                tuning.origins.insert("timeouts.request".into(), said);
            }
        });
        let table = Table::new(world.view(), Scope::Whole);
        let peer = local("web");
        let told = with_request("GET http://cart/", |request| {
            let admitted = table.outbound().admit(&peer, request).unwrap();
            let port = table.port(&port("cart")).unwrap();
            let forward = match table.route(admitted, port, &mut Dice::new(1), None) {
                Ok(Routed::Forward(forward)) => forward,
                other => panic!("{other:?}"),
            };
            let by = forward.limited_by(Timed::Request);
            let by = by.map(|origin| origin.object.to_string());
            format!("{:?} by {by:?}", forward.request_timeout())
        });
        assert_eq!(told, expect, "{rule}");
    };
    check("path=/ -> a", None, "None by None");
    check(
        "path=/ -> a",
        Some(700),
        "Some(700ms) by Some(\"TrafficPolicy shop/cart\")",
    );
    check(
        "path=/ -> a timeout=50",
        Some(700),
        "Some(50ms) by Some(\"HTTPRoute shop/cart\")",
    );
    check(
        "path=/ -> a timeout=0",
        Some(700),
        "None by Some(\"HTTPRoute shop/cart\")",
    );
}
