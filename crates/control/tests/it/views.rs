//! What a proxy holds, as people read it.

use leno_admin::{Item, ViewOf};

use crate::world::{SHOP, World, within};

/// Who may call `shop/cart-v1`, and whom `shop/web` may call.
const POLICIES: &str = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - ports: [{port: 8080}, {port: 15008}]
";

/// An item with what belongs to it, a line each.
fn story(item: &Item, depth: usize) -> String {
    let below = item.items.iter().map(|it| story(it, depth + 1));
    let line = format!(
        "{:width$}{} {}",
        "",
        item.name,
        item.told(),
        width = depth * 2
    );
    let lines: Vec<_> = [line.trim_end().to_owned()]
        .into_iter()
        .chain(below)
        .collect();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_and_who_is_let_out_to_it_is_told_of_a_workload() {
    let world = World::new().await;
    world.apply(&format!("{SHOP}---\n{POLICIES}")).await;
    let mut cart = world.proxy(Some("cart"), &["cart-v1"]).await;
    cart.view(|view| !view.workloads.is_empty()).await;
    let ask = ViewOf {
        name: "cart-v1".into(),
        namespace: "shop".into(),
        diff: true,
    };
    // What it holds is told once it has said that it does.
    let told = within(async {
        loop {
            let told = world.admin.ask(ask.clone()).await;
            let held = told.ok().and_then(|told| told.proxies.into_iter().next());
            match held.filter(|held| !held.items.is_empty()) {
                Some(held) => break held,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(told.differences, Some(Vec::new()));
    let mut items = told.items.iter().flat_map(|item| &item.items);
    let calls = items.find(|item| item.name == "calls by the mesh");
    assert_eq!(
        story(calls.unwrap(), 0),
        "\
calls by the mesh
  rule 1 shop/web to port 8080 (shop.yaml:31)
  all others denied (shop.yaml:29)
  callers 1 shop/web
    rule 1 to port 8080, 15008 (shop.yaml:41)
    all other ports denied (shop.yaml:38)"
    );
}
