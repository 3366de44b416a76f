//! Where a request goes, and what changes on the way.

use std::collections::BTreeMap;

use leno_e2e::{Application, Client, Process, World, curl, refuse};

/// `web` calls the service `cart`, which has two versions.
pub(crate) fn world(rules: &str) -> World {
    let labelled = |name: &str| {
        format!(
            "kind: MeshWorkload\napiVersion: leno.dev/v1alpha1\n\
             metadata: {{name: {name}, namespace: shop, labels: {{part: cart}}}}\n\
             spec: {{ports: [{{port: 8080, protocol: HTTP}}], instances: [{{address: @{name}}}]}}\n"
        )
    };
    World::new("mtls: Strict, default: Allow")
        .workload("web", "")
        .proxied("cart-v1", &labelled("cart-v1"))
        .proxied("cart-v2", &labelled("cart-v2"))
        .objects(
            "
kind: Service
apiVersion: v1
metadata: {name: cart, namespace: shop}
spec: {selector: {part: cart}, ports: [{port: 8080}]}
",
        )
        .objects(&format!(
            "
kind: HTTPRoute
apiVersion: gateway.networking.k8s.io/v1
metadata: {{name: cart, namespace: shop, creationTimestamp: 2026-01-01T00:00:00Z}}
spec:
  parentRefs: [{{group: '', kind: Service, name: cart}}]
  rules:{rules}
"
        ))
}

/// Starts both versions, each with its proxy, and the proxy of `web`.
fn start(world: &World) -> Vec<Process> {
    for name in ["cart-v1", "cart-v2"] {
        Application::start(world.at(name, 8080), name);
    }
    proxies(world)
}

pub(crate) fn proxies(world: &World) -> Vec<Process> {
    vec![
        world.proxy("cart-v1").start(),
        world.proxy("cart-v2").start(),
        world.proxy("web").upstream("cart", 8080).start(),
    ]
}

/// How many of `count` requests each server answered.
fn split(world: &World, count: usize) -> BTreeMap<String, usize> {
    let mut client = Client::to(world.at("web", 8080));
    let mut split = BTreeMap::new();
    for _ in 0..count {
        let answer = client.get("/").unwrap();
        assert_eq!(answer.outcome(), "200");
        *split
            .entry(answer.header("server").unwrap().to_owned())
            .or_default() += 1;
    }
    split
}

#[test]
fn weights_split_requests_and_a_change_of_them_is_followed() {
    let route = |v1, v2| {
        format!(
            "
  - backendRefs:
    - {{name: cart-v1, port: 8080, weight: {v1}}}
    - {{name: cart-v2, port: 8080, weight: {v2}}}
"
        )
    };
    let world = world(&route(90, 10));
    let proxies = start(&world);
    let web = &proxies[2];
    // 40 are expected with a deviation of 6: seven of those are never seen.
    let first = split(&world, 400);
    assert!((1..=82).contains(&first["cart-v2"]), "{first:?}");

    world.replace(&route(90, 10), &route(0, 1));
    web.signal("HUP");
    web.until_says(&["read again"]);
    assert_eq!(
        split(&world, 50),
        BTreeMap::from([("cart-v2".to_owned(), 50)])
    );
}

#[test]
fn requests_are_redirected_rewritten_and_marked() {
    let world = world(
        "
  - matches: [{path: {type: PathPrefix, value: /old}}]
    filters:
    - type: RequestRedirect
      requestRedirect: {statusCode: 301, hostname: new.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}
  - matches: [{path: {type: PathPrefix, value: /v1}}]
    filters:
    - type: URLRewrite
      urlRewrite: {hostname: cart-v1.internal, path: {type: ReplacePrefixMatch, replacePrefixMatch: /api}}
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set: [{name: x-set, value: by-route}]
        add: [{name: x-added, value: by-route}]
        remove: [x-gone]
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: server, value: hidden}], add: [{name: x-version, value: '1'}]}
    backendRefs: [{name: cart-v1, port: 8080}]
  - matches: [{headers: [{name: x-user, value: beta}]}]
    backendRefs: [{name: cart-v2, port: 8080}]
  - matches: [{path: {type: Exact, value: /broken}}]
    backendRefs: [{name: cart-v3, port: 8080}]
",
    );
    let _proxies = start(&world);
    let ask = |path: &str, more: &[&str]| curl(&[&[&*world.url("web", 8080, path)], more].concat());

    let redirected = ask("/old/shoes?size=7", &[]);
    assert_eq!(redirected.status, 301);
    assert_eq!(
        redirected.header("location"),
        Some("http://new.example:8080/new/shoes?size=7")
    );

    let rewritten = ask(
        "/v1/items?a=b",
        &[
            "-H",
            "x-set: by-me",
            "-H",
            "x-gone: 1",
            "-H",
            "x-added: by-me",
        ],
    );
    let head = rewritten.text();
    assert!(
        head.starts_with("GET /api/items?a=b HTTP/1.1\r\nHost: cart-v1.internal\r\n"),
        "{head}"
    );
    assert!(
        head.contains("x-set: by-route\r\n") && !head.contains("x-set: by-me"),
        "{head}"
    );
    assert!(
        head.contains("x-added: by-me\r\n") && head.contains("x-added: by-route\r\n"),
        "{head}"
    );
    assert!(!head.contains("x-gone"), "{head}");
    assert_eq!(rewritten.header("server"), Some("hidden"));
    assert_eq!(rewritten.header("x-version"), Some("1"));

    let beta = ask("/", &["-H", "X-User: beta"]);
    assert_eq!(beta.header("server"), Some("cart-v2"));
    assert_eq!(ask("/broken", &[]).outcome(), "500 R012 backend-not-usable");
    assert_eq!(ask("/", &[]).outcome(), "404 R010 no-route-matches");
}

#[test]
fn a_rule_says_how_long_a_request_may_take() {
    let world = world(
        "
  - timeouts: {request: 4s}
    backendRefs: [{name: cart-v1, port: 8080}]
",
    );
    let proxies = start(&world);
    let url = |path: &str| world.url("web", 8080, path);
    assert_eq!(curl(&[&url("/")]).outcome(), "200");
    let late = curl(&[&url("/never")]);
    assert_eq!(late.outcome(), "504 R023 response-timeout");
    assert!(
        late.text().contains("\nNo answer came within 4s."),
        "{late:?}"
    );
    proxies[2].until_says(&[r#""path":"/never""#, r#""tries":1"#, r#""code":"R023""#]);
}

#[test]
fn another_endpoint_is_tried_when_one_refuses() {
    let world = world(
        "
  - backendRefs: [{name: cart, port: 8080}]
",
    );
    // The application of one is down, its proxy is up and says so.
    Application::start(world.at("cart-v1", 8080), "cart-v1");
    refuse(world.at("cart-v2", 8080));
    let mut proxies = proxies(&world);
    assert_eq!(
        split(&world, 100),
        BTreeMap::from([("cart-v1".to_owned(), 100)])
    );
    let tried = proxies[2].until_says(&[r#""tries":2"#, r#""status":200"#]);
    assert!(tried.contains(r#""source":"shop/web""#), "{tried}");

    // And when its proxy is down, too. A body that was kept can be sent again.
    proxies[1].kill();
    assert_eq!(split(&world, 50).get("cart-v1"), Some(&50));
    for _ in 0..20 {
        let answer = curl(&["-d", "a=b", &world.url("web", 8080, "/order")]);
        assert_eq!(
            (answer.outcome(), answer.text().contains("body 3 ")),
            ("200".to_owned(), true)
        );
    }
}

#[test]
fn an_answer_is_tried_again_where_the_rule_says_so() {
    let world = world(
        "
  - backendRefs: [{name: cart-v1, port: 8080}]
",
    )
    .objects(
        "
kind: TrafficPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  retry: {attempts: 3, codes: [503], backoff: 1ms}
",
    );
    let application = Application::start(world.at("cart-v1", 8080), "cart-v1");
    let proxies = proxies(&world);
    assert_eq!(
        curl(&[&world.url("web", 8080, "/status/503")]).outcome(),
        "503"
    );
    assert_eq!(application.requests(), 4);
    assert_eq!(
        curl(&[&world.url("web", 8080, "/status/500")]).outcome(),
        "500"
    );
    assert_eq!(application.requests(), 5);
    proxies[2].until_says(&[r#""path":"/status/503""#, r#""tries":4"#]);
}
