//! Which policy lets in what was recorded and nothing else, and that it does.

use leno_preview::{Ground, Suggestion, Verdict, preview, suggest};

use crate::world::{mesh, read};

const CALLS: &str = "
    web > cart:8080 GET /items 200 x12
    web > cart:8080 GET /items/{id} 200 x30
    web > cart:8080 GET /items/{id} 404 x3
    web > cart:8080 POST /orders/order-{id}/lines 201 x9
    web > cart:8080 GET /debug 200 x1
    web > cart:8080 other other 200 x7
    admin > cart:8080 DELETE /a/b/... 200 x4
    thief > cart:8080 GET /items 403 R003 x90
    10.0.0.9 > cart:8080 GET /items 200 x5
    cart > db:5432 tcp x8";

fn of_cart() -> Suggestion {
    let told = suggest(&read(CALLS), 3, |service| service.name.as_str() == "cart");
    let [told] = <[_; 1]>::try_from(told).unwrap();
    told
}

#[test]
fn each_caller_may_what_it_did_often_enough() {
    let told = of_cart();
    let expect = "\
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart-callers, namespace: shop}
spec:
  targetRefs:
  - {kind: Service, name: cart}
  rules:
  # 4 calls recorded
  - callers: [{identity: shop/admin}]
    requests:
    - methods: [DELETE]
      paths:
      - {type: Template, value: \"/a/b/**\"}
  # 54 calls recorded
  - callers: [{identity: shop/web}]
    requests:
    - methods: [GET]
      paths:
      - {type: Exact, value: \"/items\"}
      - {type: Template, value: \"/items/{id}\"}
    - methods: [POST]
      paths:
      - {type: Template, value: \"/orders/*/lines\"}
";
    assert_eq!(told.yaml(), expect);
    let left = told.left.iter().map(|left| {
        let (count, asked, why) = (left.seen.count, &left.asked, left.why);
        format!("{} {asked} x{count}: {why}", left.from)
    });
    let left: Vec<_> = left.collect();
    let expect = [
        "shop/web GET /debug x1: too rare to be trusted",
        "shop/web other x7: what it asks was not told apart",
        "unknown GET /items x5: its caller proves nothing that a rule could name",
    ];
    assert_eq!(left, expect);
    assert_eq!((told.calls, told.covered), (71, 58));
}

#[test]
fn a_suggestion_breaks_nothing_but_what_it_leaves_out() {
    let told = of_cart();
    let (before, after) = (mesh(""), mesh(&told.yaml()));
    let (before, after) = (Ground::new(&before), Ground::new(&after));
    let preview = preview(&before, &after, read(CALLS), []);
    let broken = preview
        .rows
        .iter()
        .filter(|row| row.outcome.verdict == Verdict::Breaks);
    let broken = broken.flat_map(|row| row.requests.iter().map(move |it| (&*row.from, &*it.asked)));
    let mut broken: Vec<_> = broken.collect();
    broken.sort_unstable();
    let expect = [
        ("shop/thief", "GET /items"),
        ("shop/web", "GET /debug"),
        ("unknown", "GET /items"),
    ];
    assert_eq!(broken, expect);
}

#[test]
fn who_sends_bytes_may_send_them() {
    let told = suggest(&read(CALLS), 3, |service| service.name.as_str() == "db");
    let expect = "  # 8 calls recorded\n  - callers: [{identity: shop/cart}]\n";
    assert!(told[0].yaml().ends_with(expect), "{}", told[0].yaml());
}

#[test]
fn what_nobody_provably_called_is_open_to_nobody() {
    let told = suggest(&read("10.0.0.9 > cart:8080 GET /items 200 x5"), 3, |_| true);
    assert!(told[0].yaml().ends_with("  default: Deny\n"));
}
