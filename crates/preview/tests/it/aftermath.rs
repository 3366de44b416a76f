//! Since a change more calls of some kinds fail: which of that the change has done, and what cannot be
//! told yet.

use leno_preview::{Aftermath, Ends, Ground, Worse, aftermath};

use crate::world::{mesh, read};

/// An `AccessPolicy` over the cart that lets in whom `rules` names.
fn policy(rules: &str) -> String {
    format!(
        "{{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {{name: cart, namespace: shop}},
          spec: {{targetRefs: [{{kind: MeshWorkload, name: cart}}], rules: [{rules}]}}}}"
    )
}

const ONLY_CHECKOUT: &str = "{callers: [{identity: shop/checkout}]}";

/// Everything of the cart goes to its second version.
const TO_V2: &str = "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute,
  metadata: {name: cart, namespace: shop}, spec: {parentRefs: [{group: '', kind: Service, name: cart}],
  rules: [{backendRefs: [{name: cart-v2, port: 8080}]}]}}";

fn told(one: &Worse) -> String {
    let ends = |ends: Ends| format!("{} of {}", ends.failed, ends.calls);
    let (weight, since, before) = (one.weight.as_str(), ends(one.since), ends(one.before));
    let code = one.code.map(|code| format!(" {code}")).unwrap_or_default();
    let from = one.address.map_or(one.from.clone(), |at| at.to_string());
    format!(
        "{weight} {from} > {} {} {}{code}: {since}, {before} before",
        one.to, one.asked, one.status
    )
}

/// Two configurations, calls before and since the change, a hundredth more of which may fail; what is told.
fn check(after: &str, earlier: &str, since: &str, expect: &str) -> Aftermath {
    let (before, after) = (mesh(""), mesh(after));
    let (before, after) = (Ground::new(&before), Ground::new(&after));
    let found = aftermath(&before, &after, read(earlier), read(since), 0.01);
    let text: Vec<_> = found.worse.iter().map(told).collect();
    let lines = expect.lines().map(str::trim);
    let expect: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    assert_eq!(text, expect, "\n{}", text.join("\n"));
    found
}

#[test]
fn what_the_change_refuses_needs_no_number() {
    let found = check(
        &policy(ONLY_CHECKOUT),
        "web > cart:8080 GET /items 200 x900
         checkout > cart:8080 GET /items 200 x80",
        "web > cart:8080 GET /items 403 R003 x1
         checkout > cart:8080 GET /items 200 x7
         web > db:5432 tcp R041 x9",
        "refused shop/web > shop/cart GET /items 403 R003: 1 of 1, 0 of 900 before",
    );
    assert!(found.is_beyond());
    // What goes to the database meets nothing that has changed.
    assert_eq!((found.since.calls, found.others), (8, 9));
    assert_eq!((found.before.calls, found.before.failed), (980, 0));
}

#[test]
fn a_caller_that_was_not_there_before_counts_if_it_would_have_got_in() {
    check(
        &policy(ONLY_CHECKOUT),
        "",
        "legacy > cart:8080 GET /x 403 R003 x2",
        "refused shop/legacy > shop/cart GET /x 403 R003: 2 of 2, 0 of 0 before",
    );
    check(
        &policy(ONLY_CHECKOUT),
        "",
        "10.0.0.9 > cart:8080 GET /x 403 R003 x2",
        "refused 10.0.0.9 > shop/cart GET /x 403 R003: 2 of 2, 0 of 0 before",
    );
    // It would have been refused as before.
    check(
        &policy(ONLY_CHECKOUT),
        "",
        "web > cart:9999 GET /x 403 R003 x20",
        "",
    );
}

#[test]
fn errors_count_beyond_what_failed_before() {
    let found = check(
        TO_V2,
        "web > cart:8080 GET /items 200 x995
         web > cart:8080 GET /items 503 R020 x5",
        "web > cart:8080 GET /items 200 rule=1 x400
         web > cart:8080 GET /items 502 R021 rule=1 x40",
        "risen shop/web > shop/cart GET /items 502 R021: 40 of 440, 5 of 1000 before",
    );
    assert!(found.is_beyond());
    let found = check(
        TO_V2,
        "web > cart:8080 GET /items 200 x995
         web > cart:8080 GET /items 503 R020 x5",
        "web > cart:8080 GET /items 200 rule=1 x440
         web > cart:8080 GET /items 502 R021 rule=1 x4
         web > cart:8080 GET /x 502 R021 rule=1 x1",
        "too-few shop/web > shop/cart GET /x 502 R021: 1 of 1, 0 of 0 before
         tolerated shop/web > shop/cart GET /items 502 R021: 4 of 444, 5 of 1000 before",
    );
    assert!(!found.is_beyond());
}

#[test]
fn who_calls_no_more_is_counted() {
    let found = check(
        &policy(ONLY_CHECKOUT),
        "web > cart:8080 GET /items 200 x9
         checkout > cart:8080 GET /items 200 x8",
        "checkout > cart:8080 GET /items 200 x1",
        "",
    );
    assert_eq!(found.silent, 1);
}
