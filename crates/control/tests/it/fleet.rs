//! How the fleet is: what a check finds, certificates that are renewed on demand, hosts that leave.

use leno_admin::{
    Apply, Check, Checked, ConfigurationOf, EndWatch, ProxiesOf, RenewCertificate, Renewed, Revoke,
    StatusOf, WatchFor,
};
use leno_compile::ViewOf;
use leno_control::mesh_of;
use leno_model::Subscription;
use leno_model::view::View;
use leno_proxy::Clocks;
use leno_proxy::follow::{Event, Folder, NotJoinedYet, leave};
use tokio::task::yield_now;

use crate::world::{SHOP, World, within};

const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 80}]
  rules: [{backendRefs: [{name: cart-v3, port: 80}]}]
";

fn cart() -> Subscription {
    Subscription::parse("service/shop/cart").unwrap()
}

/// What is found, a line for each.
fn found(checked: &Checked) -> Vec<String> {
    let line = |finding: &leno_admin::Finding| {
        let revision = finding.since.as_ref().and_then(|since| since.revision);
        let revision = revision.map_or_else(String::new, |revision| format!(" since {revision}"));
        let object = finding.object.as_deref().unwrap_or("-");
        format!("{} {object}{revision}", finding.code)
    };
    checked.findings.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_revision_that_brought_what_it_finds() {
    let world = World::new().await;
    world.apply(SHOP).await;
    world
        .try_apply(ROUTE, |apply| apply.allow_errors = true)
        .await
        .unwrap();
    let moved = format!("# only a comment\n{ROUTE}");
    world.try_apply(&moved, |_| {}).await.unwrap();
    let checked = world.admin.ask(Check {}).await.unwrap();
    assert_eq!(
        found(&checked),
        [
            "C120 Service shop/mail since 1",
            "C113 HTTPRoute shop/cart since 2"
        ]
    );
    assert!(checked.passed.contains(&"Service shop/cart".to_owned()));
    let since = checked.findings[1].since.as_ref().unwrap();
    assert!(since.who.is_some());

    // What is known is remembered; what a restart has forgotten is found again.
    let world = World::again(world.kill().await).await;
    let again = world.admin.ask(Check {}).await.unwrap();
    assert_eq!(found(&again), found(&checked));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_looked_at_is_not_what_comes_next() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let watch = |apply: &mut Apply| {
        apply.watch = Some(WatchFor {
            seconds: 600,
            tolerate: 0,
        });
    };
    let other = SHOP.replace("port: 25", "port: 26");
    let applied = world.try_apply(&other, watch).await.unwrap();
    assert_eq!((applied.status.revision, applied.status.objects), (2, 5));

    let more = ROUTE.replace("cart-v3", "cart");
    let rehearsed = world.try_apply(&more, |apply| apply.dry_run = true).await;
    assert_eq!(rehearsed.unwrap().changes.len(), 1);
    let back = EndWatch {
        revision: None,
        keep: false,
    };
    world.admin.ask(back).await.unwrap();
    let told = world.admin.ask(StatusOf {}).await.unwrap();
    assert_eq!((told.revision, told.objects), (3, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_change_and_for_whom() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    within(web.asker.ask(cart())).await.unwrap();
    web.view(|view| view.services.len() == 1).await;
    let mut cart = world.proxy(Some("cart"), &["cart-v1"]).await;
    cart.view(|view| view.workloads.len() == 1).await;
    let route = ROUTE.replace("cart-v3", "cart");
    let rehearsed = world.try_apply(&route, |apply| apply.dry_run = true).await;
    let told = rehearsed.unwrap();
    assert_eq!((told.made, told.status.revision), (false, 1));
    let [added] = told.changes.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(added.object, "HTTPRoute shop/cart");
    assert!(
        added
            .after
            .as_ref()
            .is_some_and(|text| text.contains("parentRefs"))
    );
    assert_eq!(
        told.proxies,
        ["proxy"],
        "of two, only that of web wants cart"
    );
    let refused = world.try_apply(ROUTE, |apply| apply.dry_run = true).await;
    assert_eq!(refused.unwrap_err().code.as_deref(), Some("S005"));
    assert_eq!(world.desk.edition().revision(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_when_somebody_asks() {
    let world = World::new().await;
    let minute = SHOP.replacen(
        "metadata: {name: shop}\n",
        "metadata: {name: shop}\nspec: {certificates: {lifetime: 1m}}\n",
        1,
    );
    world.apply(&minute).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    web.view(|view| view.workloads.len() == 1).await;
    let ask = |dry_run| RenewCertificate {
        identity: "shop/web".into(),
        dry_run,
    };
    let told: Renewed = world.admin.ask(ask(true)).await.unwrap();
    let [proxy] = told.proxies.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!((&proxy.ends, &proxy.failed), (&None, &None));
    let has_come = |event: &Event| matches!(event, Event::Certified { .. });
    assert!(
        !web.events.borrow().iter().any(has_come),
        "a dry run asks nobody"
    );

    let told = within(world.admin.ask(ask(false))).await.unwrap();
    let [proxy] = told.proxies.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(proxy.failed, None);
    assert!(proxy.ends >= proxy.ended, "{proxy:?}");
    web.event(has_come).await;

    let nobody = RenewCertificate {
        identity: "shop/cart".into(),
        dry_run: false,
    };
    let refused = world.admin.ask(nobody).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "no proxy that acts as spiffe://shop.local/ns/shop/sa/cart is connected"
    );
    let revoke = Revoke {
        identity: "shop/web".into(),
        reason: String::new(),
    };
    world.admin.ask(revoke).await.unwrap();
    web.event(|event| matches!(event, Event::Away { .. })).await;
    let refused = world.admin.ask(ask(true)).await.unwrap_err().to_string();
    assert!(refused.contains("is revoked"), "{refused}");
}

fn answering(view: &View) -> usize {
    let slices = view.endpoints.values().flatten();
    slices.map(|slice| slice.endpoints().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_called_no_more_until_it_is_back() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    within(web.asker.ask(cart())).await.unwrap();
    let mut cart_proxy = world.proxy(Some("cart"), &["cart-v1"]).await;
    cart_proxy.view(|view| view.workloads.len() == 1).await;
    web.view(|view| answering(view) == 1).await;

    let path = cart_proxy.folder();
    let folder = Folder::open(&path).unwrap();
    let left = within(leave(&folder, &Clocks::start())).await.unwrap();
    assert_eq!(left.len(), 1);
    web.view(|view| answering(view) == 0).await;
    let _place = cart_proxy.kill().await;
    folder.remove().unwrap();
    assert!(matches!(Folder::open(&path), Err(NotJoinedYet::Nobody(_))));
    let away = world.admin.ask(ProxiesOf {}).await.unwrap().away;
    assert_eq!(away, [], "who has left is not away");

    let world = World::again(world.kill().await).await;
    web.event(|event| matches!(event, Event::Away { .. })).await;
    let mut back = world.proxy(Some("cart"), &["cart-v1"]).await;
    back.view(|view| view.workloads.len() == 1).await;
    web.view(|view| answering(view) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_without_a_word_is_away() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut cart_proxy = world.proxy(Some("cart"), &["cart-v1"]).await;
    cart_proxy.view(|view| view.workloads.len() == 1).await;
    let away = async || world.admin.ask(ProxiesOf {}).await.unwrap().away;
    assert_eq!(away().await, []);
    cart_proxy.kill().await;
    within(async {
        // That the connection has ended is noticed soon after.
        while away().await.is_empty() {
            yield_now().await;
        }
    })
    .await;
    let [one] = &away().await[..] else {
        panic!("one is away");
    };
    assert_eq!(
        (one.workload.as_str(), one.since.is_some()),
        ("shop/cart-v1", true)
    );
    let checked = world.admin.ask(Check {}).await.unwrap();
    assert!(found(&checked).contains(&"D005 proxy of shop/cart-v1".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_means_the_mesh_that_proxies_are_told_of() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut node = world.proxy(None, &["web", "cart-v1"]).await;
    node.view(|view| view.workloads.len() == 2).await;
    within(node.asker.ask(cart())).await.unwrap();
    let seen = node.view(|view| view.services.len() == 1).await;

    let told = world.admin.ask(ConfigurationOf { at: None }).await.unwrap();
    let mesh = mesh_of(&told).unwrap();
    let all = mesh.instances.keys().cloned().collect();
    let view = mesh.view(ViewOf { workloads: &all });
    assert_eq!(view.workloads, seen.workloads);
    for (name, service) in &seen.services {
        assert_eq!(view.services.get(name), Some(service));
    }
    assert_eq!(answering(&seen), 1);
    assert_eq!(told.proxies.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_item_of_a_list_is_an_object() {
    let world = World::new().await;
    let list = "\
apiVersion: v1
kind: List
items:
- apiVersion: leno.dev/v1alpha1
  kind: Mesh
  metadata: {name: shop}
- apiVersion: leno.dev/v1alpha1
  kind: MeshWorkload
  metadata: {name: web}
- apiVersion: v1
  kind: Service
  metadata: {name: mail}
  spec: {selector: {app: mail}, ports: [{port: 25}]}
";
    let applied = world.apply(list).await;
    let told: Vec<_> = applied
        .changes
        .iter()
        .map(|change| format!("{} {}", change.object, change.place.as_deref().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "Mesh shop shop.yaml:4",
            "MeshWorkload shop/web shop.yaml:7",
            "Service shop/mail shop.yaml:10"
        ]
    );
    let finding = &applied.findings[0];
    assert_eq!((finding.code.as_str(), finding.line), ("C120", Some(13)));
    let other = list.replace("port: 25", "port: 26");
    let changed = world.apply(&other).await.changes;
    assert_eq!(changed.len(), 1, "the others are as they were: {changed:?}");
}
