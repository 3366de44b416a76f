//! Roots that replace each other while proxies follow.

use std::sync::Arc;

use leno_admin::{Check, RenewCertificate, RotateRoot, Rotated, Trust, TrustOf};
use leno_control::Event;
use leno_proxy::Clocks;
use leno_proxy::follow;

use crate::world::{Place, Proxy, SHOP, World, join};

/// What becomes of the roots, one a line, and who is waited for.
fn told(trust: &Trust) -> String {
    let roots = trust
        .roots
        .iter()
        .map(|root| format!("{:?}", root.stage).to_lowercase());
    let next = trust.next_root.as_ref().unwrap();
    let silent = next
        .silent
        .iter()
        .map(|one| format!("{:?} is silent", one.name));
    let told: Vec<_> = roots.chain(silent).collect();
    told.join(", ")
}

async fn trust(world: &World) -> Trust {
    world.admin.ask(TrustOf {}).await.unwrap()
}

async fn until_told(world: &World, expect: &str) {
    let mut last = String::new();
    let reached = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while last != expect {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            last = told(&trust(world).await);
        }
    });
    assert!(reached.await.is_ok(), "{last}");
}

async fn rotate(world: &World, force: bool, dry_run: bool) -> Rotated {
    world
        .admin
        .ask(RotateRoot { force, dry_run })
        .await
        .unwrap()
}

fn roots(proxy: &Proxy) -> usize {
    let view = proxy.held().unwrap();
    view.bundles.values().next().map_or(0, |roots| roots.len())
}

/// Against the pain "Certificates that end" (docs/pains.md).
#[tokio::test(flavor = "multi_thread")]
async fn a_root_signs_as_soon_as_all_who_have_certificates_hold_it() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    let mut cart = world.proxy(Some("cart"), &["cart-v1"]).await;
    for proxy in [&mut web, &mut cart] {
        proxy.view(|view| view.workloads.len() == 1).await;
    }
    let before = trust(&world).await.root;
    let rotated = rotate(&world, false, false).await;
    assert!(rotated.done && rotated.broken.is_empty());
    until_told(&world, "leaving, active").await;
    assert_ne!(trust(&world).await.root, before);
    assert_eq!((roots(&web), roots(&cart)), (2, 2));
    // What is told of a step comes after it.
    let happened = world
        .event(|event| matches!(event, Event::RootActivated(_)))
        .await;
    let count = |is_it: fn(&Event) -> bool| happened.iter().filter(|event| is_it(event)).count();
    assert_eq!(count(|event| matches!(event, Event::RootAnnounced(_))), 1);
    assert_eq!(count(|event| matches!(event, Event::RootActivated(_))), 1);
    assert_eq!(count(|event| matches!(event, Event::RootRemoved(_))), 0);
    // What is signed from here on leads to it, and those who have it are believed.
    let ask = RenewCertificate {
        identity: "shop/web".to_owned(),
        dry_run: false,
    };
    let renewed = world.admin.ask(ask).await.unwrap();
    assert_eq!(renewed.proxies[0].failed, None);
    let web = web.restart(&["web"]).await;
    assert_eq!(roots(&web), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_silent_is_waited_for_and_one_that_was_not_finds_its_way_back() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    let mut cart = world.proxy(Some("cart"), &["cart-v1"]).await;
    for proxy in [&mut web, &mut cart] {
        proxy.view(|view| view.workloads.len() == 1).await;
    }
    let token = world.token(Some("late")).await;
    let cart = cart.kill().await;
    assert!(rotate(&world, false, false).await.done);
    until_told(&world, r#"active, announced, "proxy" is silent"#).await;
    assert!(
        !rotate(&world, false, false).await.done,
        "it is announced already"
    );
    assert_eq!(roots(&web), 2);

    // It is known who is waited for also after the control plane has started again.
    let world = World::again(world.kill().await).await;
    until_told(&world, r#"active, announced, "proxy" is silent"#).await;
    let findings = world.admin.ask(Check {}).await.unwrap().findings;
    let is_told = findings.iter().any(|finding| finding.code == "T015");
    assert!(!is_told, "it has just been announced");
    let told = rotate(&world, true, true).await;
    assert!(!told.done);
    assert_eq!(
        told.broken[0].identity,
        "spiffe://shop.local/ns/shop/sa/cart"
    );
    let told = rotate(&world, true, false).await;
    assert!(told.done);
    assert_eq!(told.broken.len(), 1);
    until_told(&world, "leaving, active").await;

    // It knows only the root before, and the control plane proves itself to it all the same.
    let mut cart = Proxy::start(cart, &["cart-v1"]);
    let both = |view: &leno_model::view::View| view.bundles.values().all(|it| it.len() == 2);
    cart.view(both).await;
    // As it does to whoever has a token that was made before.
    let late = Arc::new(Place::new());
    join(&token, None, &late).await.unwrap();
    // Roots are kept before a view that they prove.
    let cart = cart.restart(&["cart-v1"]).await;
    assert_eq!(roots(&cart), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_who_has_left() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    web.view(|view| view.workloads.len() == 1).await;
    let place = web.kill().await;
    let folder = follow::Folder::open(&place.path("")).unwrap();
    follow::leave(&folder, &Clocks::start()).await.unwrap();
    rotate(&world, false, false).await;
    until_told(&world, "leaving, active").await;
}
