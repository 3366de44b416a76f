//! What is so of one service.

use leno_admin::{Item, Revoke, Served, ServiceOf, ServicesOf};

use crate::world::{SHOP, World, within};

/// Routes and rules beside [`SHOP`].
const RULES: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules:
  - matches: [{path: {value: /admin}}]
    backendRefs: [{name: cart, port: 80}]
    timeouts: {request: 3s}
  - backendRefs:
    - {name: cart, port: 80, weight: 9}
    - {name: nobody, port: 80, weight: 1}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Service, name: cart}]
  rules:
  - callers: [{identity: shop/web}]
    requests: [{methods: [GET]}]
";

/// What is then so of `shop/cart`.
const TOLD: &str = r#"
shop/cart Some("shop.yaml:15")
port 80 HTTP
  HTTPRoute shop/cart rule 1 shop.yaml:31: → shop/cart:80
    match 1 /admin/* (shop.yaml:31)
    request timeout 3s (shop.yaml:31)
    1 of 1 shop/cart Some("shop.yaml:32")
  HTTPRoute shop/cart rule 2 shop.yaml:34: → shop/cart:80 9 of 10, 500 (C113 backend-not-found) 1 of 10
    match 2 /* (shop.yaml:34)
    9 of 10 shop/cart Some("shop.yaml:35")
    1 of 10 C113 backend-not-found Some("shop.yaml:36")
  shop/cart-v1 10.0.0.2:8080 Ready: no proxy of it has reported: it is called in plain
  ["shop/cart-v1"] 8080: mTLS permissive (default); rule 1 allow shop/web of shop.local GET (shop.yaml:44); all others denied: a rule allows some
"#;

fn story(served: &Served) -> String {
    let items = |items: &[Item]| {
        let told = items
            .iter()
            .map(|item| format!("{} {}", item.name, item.told()));
        told.collect::<Vec<_>>().join("; ")
    };
    let mut lines = vec![format!("{} {:?}", served.service, served.place)];
    for port in &served.ports {
        lines.push(format!("port {} {}", port.port, port.protocol));
        for rule in &port.rules {
            lines.push(format!("  {} {}: {}", rule.route, rule.place, rule.action));
            lines.push(format!("    {}", items(&rule.matches)));
            lines.extend(
                rule.limits
                    .iter()
                    .map(|item| format!("    {} {}", item.name, item.told())),
            );
            lines.extend(rule.shares.iter().map(|share| {
                let (backend, wrong) = (share.backend.as_deref(), share.wrong.as_deref());
                let who = backend.or(wrong).unwrap_or_default();
                format!(
                    "    {} of {} {who} {:?}",
                    share.weight, share.of, share.place
                )
            }));
        }
        for one in &port.endpoints {
            let address = one.address.as_deref().unwrap_or("-");
            lines.push(format!(
                "  {} {address} {:?}: {}",
                one.workload, one.state, one.why
            ));
        }
        for access in &port.access {
            lines.push(format!(
                "  {:?} {}: {}",
                access.workloads,
                access.port,
                items(&access.rules)
            ));
        }
    }
    lines.join("\n")
}

async fn told(world: &World) -> String {
    let ask = ServiceOf {
        name: "cart".into(),
        namespace: "shop".into(),
    };
    story(&world.admin.ask(ask).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_told_with_its_rules_who_answers_and_who_may_call() {
    let world = World::new().await;
    let both = format!("{SHOP}---\n{RULES}");
    let applied = world
        .try_apply(&both, |apply| apply.allow_errors = true)
        .await;
    applied.unwrap();
    assert_eq!(told(&world).await, TOLD.trim());
    world
        .admin
        .ask(Revoke {
            identity: "shop/cart".into(),
            reason: String::new(),
        })
        .await
        .unwrap();
    // It is told once the edition that knows of it is there.
    within(async {
        while !told(&world)
            .await
            .contains("Revoked: its identity is refused")
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let all = world.admin.ask(ServicesOf {}).await.unwrap();
    let lines = all.services.iter().map(|one| {
        let (ports, rules) = (one.ports.join(", "), one.rules);
        format!(
            "{} {ports}, {rules} rules, {} of {} ready",
            one.service, one.ready, one.endpoints
        )
    });
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "shop/cart 80 HTTP, 2 rules, 0 of 1 ready",
            "shop/cart-v1 8080 HTTP, 0 rules, 0 of 1 ready",
            "shop/mail 25 TCP, 0 rules, 0 of 0 ready",
        ]
    );
    let unknown = ServiceOf {
        name: "nobody".into(),
        namespace: "shop".into(),
    };
    let refused = world.admin.ask(unknown).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no service shop/nobody");
}
