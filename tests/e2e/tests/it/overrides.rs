//! Measures of an emergency, taken at a terminal: what becomes of real calls while they hold, and once
//! they have ended.

use std::collections::BTreeSet;

use leno_e2e::{Application, Ended, Process, curl, until};

use crate::control::Control;

/// Two versions of `cart`, between which a route splits the calls of `web`.
const SHOP: &str = "\
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec: {instances: [{address: @web}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart-v1, labels: {part: cart}}
spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{address: @cart-v1}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart-v2, labels: {part: cart}}
spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{address: @cart-v2}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {part: cart}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: carts}
spec: {selector: {part: cart}, ports: [{port: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, creationTimestamp: 2026-01-01T00:00:00Z}
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules:
  - matches: [{path: {value: /split}}]
    backendRefs: [{name: cart-v1, port: 8080}, {name: cart-v2, port: 8080}]
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart}
spec:
  rules:
  - {callers: [{identity: shop/web}], requests: [{methods: [GET]}]}
  - {action: Deny, requests: [{paths: [{value: /split/secret}]}]}
";

/// A mesh that runs, by a control plane.
struct Shop {
    control: Control,
    versions: [Application; 2],
    proxies: [Process; 3],
}

impl Shop {
    fn start() -> Self {
        let control = Control::start(&[], "{mtls: Strict, default: Allow}", SHOP);
        let version = |name| Application::start(control.world.at(name, 8080), name);
        let versions = [version("cart-v1"), version("cart-v2")];
        let upstreams = [("cart", 8080), ("carts", 8081)]
            .map(|(service, port)| format!("{service}:8080={}", control.world.at("web", port)));
        let log = ["--access-log", "json"];
        let proxies = [
            control.joined("cart-v1", &log),
            control.joined("cart-v2", &log),
            control.joined(
                "web",
                &["--upstream", &upstreams[0], "--upstream", &upstreams[1]],
            ),
        ];
        let shop = Self {
            control,
            versions,
            proxies,
        };
        for proxy in &shop.proxies {
            proxy.until_says(&["adopted view"]);
        }
        shop.until_answers("GET", "/split", "200");
        shop
    }

    /// What becomes of a call of `web`.
    fn outcome(&self, method: &str, path: &str) -> String {
        let port = if path == "/any" { 8081 } else { 8080 };
        let url = self.control.world.url("web", port, path);
        curl(&["-X", method, &url]).outcome()
    }

    /// Waits until calls meet this.
    fn until_answers(&self, method: &str, path: &str, expect: &str) {
        until(&format!("{method} {path}: {expect}"), || {
            (self.outcome(method, path) == expect).then_some(())
        });
    }

    /// How many requests each version got of so many calls, if all of them succeed.
    fn split(&self, path: &str, calls: usize) -> Option<[usize; 2]> {
        let count = || self.versions.each_ref().map(Application::requests);
        let before = count();
        let succeed = (0..calls).all(|_| self.outcome("GET", path) == "200");
        let after = count();
        succeed.then_some([after[0] - before[0], after[1] - before[1]])
    }

    /// Waits until one version gets all calls, and the other none.
    fn until_all_go_to(&self, version: usize, path: &str) {
        until("all calls go to one version", || {
            (self.split(path, 8)?[version] == 8).then_some(())
        });
        assert_eq!(self.split(path, 16).expect("no call fails")[version], 16);
    }

    /// Waits until both versions get calls.
    fn until_both_get_some(&self, path: &str) {
        until("both versions get calls", || {
            let split = self.split(path, 8)?;
            split.iter().all(|count| *count > 0).then_some(())
        });
    }

    /// Takes a measure, or tries to.
    fn add(&self, measure: &[&str]) -> Ended {
        let words = [&["override", "add"], measure, &["-n", "shop"]].concat();
        self.control.told(&words)
    }

    /// Takes a measure, and gives what it is called.
    fn take(&self, measure: &[&str]) -> String {
        let Ended { out, status, .. } = self.add(measure);
        assert!(status.success(), "{out}");
        let id = out.split_once("leno override drop ");
        let id = id.and_then(|(_, rest)| rest.split(' ').next());
        id.expect("it says how to take it back").to_owned()
    }

    /// Takes a measure back.
    fn take_back(&self, id: &str) {
        let told = self.control.ask(&["override", "drop", id]);
        assert!(told.contains("holds no more"), "{told}");
    }
}

/// What is denied as it is written, and how.
const DENIED: [(&str, &str, &str); 2] = [
    ("POST", "/split/items", "403 R003 no-allow-rule"),
    ("GET", "/split/secret", "403 R004 denied-by-rule"),
];

#[test]
fn a_policy_that_only_audits_carries_what_it_denies_and_tells_it() {
    let shop = Shop::start();
    for (method, path, expect) in DENIED {
        assert_eq!(shop.outcome(method, path), expect);
    }
    let id = shop.take(&["audit", "cart", "-m", "incident 7"]);
    for (method, path, _) in DENIED {
        shop.until_answers(method, path, "200");
    }
    let listed = shop.control.ask(&["override", "list"]);
    for part in ["1 override holds", &id, "audit shop/cart", "incident 7"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let found = shop.control.ask(&["check"]);
    assert!(found.contains("C170 override-holds"), "{found}");
    until("the call is told as audited", || {
        let told = |proxy: &Process| {
            let log = proxy.log();
            let mut lines = log.lines().filter(|line| line.contains("/split/secret"));
            lines.any(|line| line.contains(r#""audited":"AccessPolicy shop/cart rule 2""#))
        };
        shop.proxies.iter().any(told).then_some(())
    });
    shop.take_back(&id);
    for (method, path, expect) in DENIED {
        shop.until_answers(method, path, expect);
    }
}

#[test]
fn a_measure_ends_by_itself_where_calls_are_decided() {
    let shop = Shop::start();
    let (method, path, expect) = DENIED[0];
    let take = || shop.take(&["audit", "cart", "--for", "10s"]);
    take();
    until("a call is carried while it holds", || {
        let is_carried = shop.outcome(method, path) == "200";
        // A machine that does other things for so long has missed it.
        let listed = || shop.control.ask(&["override", "list"]);
        if !is_carried && listed().contains("no override holds") {
            take();
        }
        is_carried.then_some(())
    });
    // Nobody does anything, and what is written holds again.
    shop.until_answers(method, path, expect);
    let listed = shop.control.ask(&["override", "list"]);
    assert!(listed.contains("no override holds"), "{listed}");
    let audit = shop.control.ask(&["history", "--audit"]);
    assert!(audit.contains("audit shop/cart"), "{audit}");
}

#[test]
fn an_ejected_instance_gets_nothing_and_calls_go_where_a_measure_sends_them() {
    let shop = Shop::start();
    shop.until_both_get_some("/any");

    // Nobody else answers for the Service that a workload of its own implies.
    let refused = shop.add(&["eject", "cart-v1"]);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.out);
    let why = "cart-v1 is the last that answers for shop/cart-v1:8080";
    assert!(refused.out.contains(why), "{}", refused.out);
    assert!(refused.out.contains("--force"), "{}", refused.out);
    let id = shop.take(&["eject", "cart-v1", "--force"]);
    shop.until_all_go_to(CART_V2, "/any");
    // Of the route that names it, its share fails, and no other one's.
    until("its share has no endpoint", || {
        let outcomes = (0..8).map(|_| shop.outcome("GET", "/split"));
        let outcomes = outcomes.collect::<BTreeSet<_>>();
        (outcomes == BTreeSet::from(["200".into(), "503 R013 no-endpoint".into()])).then_some(())
    });

    // Where calls are sent that a route can send there.
    let of_route = shop.take(&["all-to", "cart", "cart-v2"]);
    shop.until_all_go_to(CART_V2, "/split");
    shop.take_back(&id);
    shop.until_both_get_some("/any");
    shop.until_all_go_to(CART_V2, "/split");
    shop.take_back(&of_route);
    shop.until_both_get_some("/split");
    let listed = shop.control.ask(&["override", "list"]);
    assert!(listed.contains("no override holds"), "{listed}");
}

const CART_V2: usize = 1;
