//! Proxies that follow: views, questions, certificates, and what goes on without a control plane.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leno_admin::{Check, ProxiesOf, Recover, Reinstate, Revoke};
use leno_identity::Boot;
use leno_model::Wall;
use leno_model::view::{EndpointSlice, View};
use leno_model::{SpiffeId, Subscription, TrustDomain};
use leno_proxy::Clocks;
use leno_proxy::follow::{Event, Unanswered};
use leno_wire::{Client, Holder, NotRestored};
use tokio::time::timeout;

use crate::world::{Place, Proxy, SHOP, World, join, within};

fn cart() -> Subscription {
    Subscription::parse("service/shop/cart").unwrap()
}

/// The tunnels of everything that answers in a view.
fn tunnels(view: &View) -> Vec<Option<SocketAddr>> {
    let slices = view.endpoints.values().flatten();
    let endpoints = slices.flat_map(|slice: &Arc<EndpointSlice>| slice.endpoints());
    endpoints.map(|endpoint| endpoint.tunnel).collect()
}

/// The view in what a proxy has kept.
fn kept(proxy: &Proxy, bytes: &[u8]) -> Result<View, NotRestored> {
    let view = proxy.held().unwrap();
    let (trust, _) = leno_identity::Trust::new(&view.bundles, Arc::default());
    let domain = view.bundles.keys().next().unwrap();
    let identity = format!("spiffe://{domain}/ns/shop/sa/web");
    let holder = Holder {
        proxy: "proxy".to_owned(),
        identity: SpiffeId::parse(&identity).unwrap(),
    };
    Client::restore(&holder, bytes, &trust).map(|(_, view)| view)
}

/// Waits until what a proxy holds is on disk: it is saved beside everything else.
async fn until_kept(proxy: &Proxy) {
    let file = proxy.folder().join("view");
    let is_kept = || {
        let bytes = std::fs::read(&file).unwrap_or_default();
        kept(proxy, &bytes).is_ok_and(|view| Some(view) == proxy.held().as_deref().cloned())
    };
    within(async {
        while !is_kept() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_told_of_its_workload_and_of_what_it_asks_for() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    let view = web.view(|view| view.workloads.len() == 1).await;
    assert!(view.services.is_empty(), "nothing was asked for");
    assert_eq!(view.bundles.len(), 1);

    within(web.asker.ask(cart())).await.unwrap();
    let view = web.held().unwrap();
    assert_eq!(view.services.len(), 1);
    assert_eq!(tunnels(&view), [None]);

    let nope = Subscription::parse("service/shop/nope").unwrap();
    within(web.asker.ask(nope)).await.unwrap();
    let by_address = Subscription::parse("address/default/10.1.0.1").unwrap();
    within(web.asker.ask(by_address)).await.unwrap();
    assert_eq!(web.held().unwrap().services.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_proxy_takes_mesh_calls_is_told_to_the_others() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    web.view(|view| view.workloads.len() == 1).await;
    within(web.asker.ask(cart())).await.unwrap();
    let _cart = world.proxy(Some("cart"), &["cart-v1"]).await;
    let tunnel: SocketAddr = "10.9.9.9:15008".parse().unwrap();
    web.view(|view| tunnels(view) == [Some(tunnel)]).await;

    let mut proxies = world.admin.ask(ProxiesOf {}).await.unwrap().proxies;
    proxies.sort_by(|one, other| one.identity.cmp(&other.identity));
    assert_eq!(proxies.len(), 2);
    assert_eq!(proxies[0].workloads, ["shop/cart-v1"]);
    assert_eq!(proxies[0].tunnel.as_deref(), Some("10.9.9.9:15008"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_workloads_of_others_and_a_node_of_all_in_its_namespace() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web", "cart-v1"]).await;
    let view = web.view(|view| !view.workloads.is_empty()).await;
    assert_eq!(
        view.workloads
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["shop/web"]
    );
    let proxies = world.admin.ask(ProxiesOf {}).await.unwrap().proxies;
    assert_eq!(proxies[0].not_entitled, ["shop/cart-v1"]);

    let mut node = world.proxy(None, &["web", "cart-v1"]).await;
    node.view(|view| view.workloads.len() == 2).await;
    node.event(|event| matches!(event, Event::Certified { identity, .. } if identity.service_account.as_str() == "cart")).await;
    node.event(|event| matches!(event, Event::Certified { identity, .. } if identity.service_account.as_str() == "web")).await;
    assert_eq!(node.keyring.identities().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_route_reaches_those_who_asked() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    within(web.asker.ask(cart())).await.unwrap();
    let route = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 80}]
  rules: [{backendRefs: [{name: cart, port: 80, weight: 9}, {name: mail, port: 25, weight: 1}]}]
";
    world
        .try_apply(route, |apply| apply.allow_errors = true)
        .await
        .unwrap();
    let view = web.view(|view| view.services.len() == 2).await;
    let port = view
        .services
        .values()
        .next()
        .unwrap()
        .ports
        .values()
        .next()
        .unwrap();
    assert_eq!(
        port.producer.as_ref().unwrap().rules.len(),
        1,
        "and mail comes with it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_without_a_control_plane_and_over_a_restart() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let web = world.proxy(Some("web"), &["web"]).await;
    within(web.asker.ask(cart())).await.unwrap();
    let left = world.kill().await;
    let words = "the connection was refused";
    web.event(|event| matches!(event, Event::Away { why } if why.ends_with(words)))
        .await;
    let held = web.held().unwrap();
    until_kept(&web).await;

    let mut web = web.restart(&["web"]).await;
    assert_eq!(*web.held().unwrap(), *held);
    let mail = Subscription::parse("service/shop/mail").unwrap();
    assert_eq!(
        within(web.asker.ask(cart())).await,
        Ok(()),
        "it was asked for before"
    );
    assert_eq!(
        within(web.asker.ask(mail.clone())).await,
        Err(Unanswered::NotYet)
    );
    for entry in std::fs::read_dir(web.folder()).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let is_public = path.extension().is_some_and(|end| end == "pem");
        assert!(is_public || mode == 0o600, "{} {mode:o}", path.display());
    }

    let world = World::again(left).await;
    web.view(|view| view.services.len() == 2).await;
    assert_eq!(within(web.asker.ask(mail)).await, Ok(()));
    assert!(!world.events.borrow().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_is_cut_off_and_let_in_again_when_reinstated() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    let mut other = world.proxy(Some("cart"), &["cart-v1"]).await;
    web.view(|view| view.workloads.len() == 1).await;
    other.view(|view| view.workloads.len() == 1).await;
    let revoke = Revoke {
        identity: "shop/web".into(),
        reason: String::new(),
    };
    world.admin.ask(revoke).await.unwrap();
    other.view(|view| view.revoked.len() == 1).await;
    let words = "our identity is revoked there";
    web.event(|event| matches!(event, Event::Away { why } if why.ends_with(words)))
        .await;
    let generation = web.held().unwrap().generation.clone();

    let reinstate = Reinstate {
        identity: "shop/web".into(),
    };
    world.admin.ask(reinstate).await.unwrap();
    other.view(|view| view.revoked.is_empty()).await;
    web.view(|view| view.generation != generation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_a_watched_folder_is_configuration() {
    let place = Arc::new(Place::new());
    let folder = place.path("watched");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("shop.yaml"),
        SHOP.replace("metadata: {name: ", "metadata: {namespace: shop, name: ")
            .replace("{namespace: shop, name: shop}", "{name: shop}"),
    )
    .unwrap();
    let world = World::watching(&folder, Arc::clone(&place)).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    web.view(|view| view.workloads.len() == 1).await;
    let taken = world.try_apply(SHOP, |_| {}).await.unwrap_err();
    assert_eq!(taken.findings[0].code, "C008", "each object has one source");

    std::fs::remove_file(folder.join("shop.yaml")).unwrap();
    web.view(|view| view.workloads.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_that_nobody_has_written_is_of_the_trust_domain_of_its_ca() {
    let place = Arc::new(Place::new());
    let folder = place.path("watched");
    std::fs::create_dir_all(&folder).unwrap();
    let web = "apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\n\
               metadata: {namespace: shop, name: web}\nspec: {instances: [{name: web, address: 10.0.0.1}]}\n";
    std::fs::write(folder.join("web.yaml"), web).unwrap();
    let world = World::with(place, |settings| {
        settings.folders = vec![folder];
        settings.trust_domain = Some(TrustDomain::new("bank.example").unwrap());
    })
    .await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    let view = web.view(|view| view.workloads.len() == 1).await;
    let mut held = view.workloads.values();
    assert_eq!(
        held.next().unwrap().identity.to_string(),
        "spiffe://bank.example/ns/shop/sa/web"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_stands_where_it_stood_when_the_control_plane_is_back() {
    let place = Arc::new(Place::new());
    let folder = place.path("watched");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |account: &str| {
        let text = format!(
            "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: shop}}\n---\n\
             apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\n\
             metadata: {{namespace: shop, name: web}}\n\
             spec: {{serviceAccount: {account}, instances: [{{name: web, address: 10.0.0.1}}]}}\n"
        );
        std::fs::write(folder.join("shop.yaml"), text).unwrap();
    };
    write("web");
    let world = World::watching(&folder, Arc::clone(&place)).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    let positions = |view: Arc<View>| view.generation.positions.clone();
    let before = positions(web.view(|view| view.workloads.len() == 1).await);
    let left = world.kill().await;
    web.event(|event| matches!(event, Event::Away { .. })).await;

    let world = World::again_watching(left, &folder).await;
    let connected = |events: &Vec<Event>| {
        let connected = events
            .iter()
            .filter(|event| matches!(event, Event::Connected));
        connected.count() == 2
    };
    drop(within(web.events.wait_for(connected)).await.unwrap());
    write("someone-else");
    let after = positions(web.view(|view| view.workloads.is_empty()).await);
    let key = format!("watched folder {}", folder.display());
    assert_eq!((before[&*key], after[&*key]), (1, 2));
    drop(world);
}

/// Waits until `leno check` tells something that begins so.
async fn until_found(world: &World, expect: &str) {
    let mut last = Vec::new();
    let found = timeout(Duration::from_secs(60), async {
        while !last.iter().any(|line: &String| line.starts_with(expect)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let findings = world.admin.ask(Check {}).await.unwrap().findings;
            let lines = findings.into_iter().map(|finding| {
                let subject = finding.object.unwrap_or_default();
                format!("{} {subject}: {}", finding.code, finding.message)
            });
            last = lines.collect();
        }
    });
    assert!(found.await.is_ok(), "{last:#?}");
}

/// A mesh, and a proxy of it on a host with these clocks.
async fn on_a_host_with(clocks: Clocks) -> (World, Proxy) {
    let world = World::new().await;
    world.apply(SHOP).await;
    let (token, place) = (world.token(Some("web")).await, Arc::new(Place::new()));
    join(&token, None, &place).await.unwrap();
    (world, Proxy::start_by(clocks, place, &["web"]))
}

/// How far mesh time is from what the host's wall clock shows, which is right.
fn off(clocks: &Clocks) -> Duration {
    let (right, now) = (leno_channel::wall(), clocks.now().wall);
    right.since(now).max(now.since(right))
}

const FIVE_MINUTES: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_whose_clock_is_wrong_goes_by_mesh_time_also_without_a_control_plane() {
    fn ahead() -> Wall {
        leno_channel::wall() + FIVE_MINUTES
    }
    fn behind() -> Wall {
        leno_channel::wall() - FIVE_MINUTES
    }
    fn at_the_epoch() -> Wall {
        Wall::default()
    }
    for wrong in [ahead as fn() -> Wall, behind] {
        let (world, mut web) = on_a_host_with(Clocks::with_wall(wrong)).await;
        web.event(|event| matches!(event, Event::ClockOff(_))).await;
        until_found(&world, "T013 proxy proxy: the host's clock is 300.").await;
        let minute = Duration::from_secs(60);
        assert!(off(&web.clocks) < minute);
        web.view(|view| view.workloads.len() == 1).await;

        // A restart, and the clock is set back before the control plane is there again.
        world.kill().await;
        let place = web.kill().await;
        let web = Proxy::start_by(Clocks::with_wall(at_the_epoch), place, &["web"]);
        assert!(off(&web.clocks) < minute);
    }
}

/// What a boot clock shows that stood still for `seconds`. It runs for long, whenever this host began.
fn stood_still(seconds: &AtomicU64) -> Boot {
    let stood = Duration::from_secs(seconds.load(Ordering::SeqCst));
    Boot(leno_channel::boot().0 + 10 * DAY - stood)
}

const DAY: Duration = Duration::from_secs(86_400);

/// A mesh, and a proxy that goes by these clocks and has been told the time.
async fn told(clocks: &Clocks) -> (World, Proxy) {
    let (world, web) = on_a_host_with(clocks.clone()).await;
    within(async {
        while !web.clocks.is_told() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    (world, web)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_paused_hears_the_time_at_once_and_it_is_told() {
    static SECONDS: AtomicU64 = AtomicU64::new(0);
    let clocks = Clocks::with(leno_channel::wall, || stood_still(&SECONDS));
    let (world, web) = told(&clocks).await;

    // Its connection lives on, and nothing would ask for the time for ten minutes.
    SECONDS.store(3600, Ordering::SeqCst);
    assert!(off(&web.clocks) > FIVE_MINUTES);
    web.event(|event| matches!(event, Event::StoodStill(_)))
        .await;
    assert!(off(&web.clocks) < FIVE_MINUTES);
    until_found(&world, "T029 proxy proxy: the machine had counted ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_paused_for_long_asks_for_the_time_before_it_can_connect() {
    static SECONDS: AtomicU64 = AtomicU64::new(0);
    let clocks = Clocks::with(leno_channel::wall, || stood_still(&SECONDS));
    let (world, web) = told(&clocks).await;

    // By what it has counted, the certificate of the control plane has not begun.
    let place = web.kill().await;
    SECONDS.store(2 * DAY.as_secs(), Ordering::SeqCst);
    let web = Proxy::start_by(clocks, place, &["web"]);
    web.event(|event| *event == Event::Connected).await;
    assert!(off(&web.clocks) < FIVE_MINUTES);
    until_found(&world, "T029 proxy proxy: the machine had counted ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_joins_again_while_the_proxy_runs_brings_it_to_a_control_plane_it_could_not_believe()
 {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    web.view(|view| view.workloads.len() == 1).await;
    let connections = || {
        let events = web.events.borrow();
        events.iter().filter(|it| **it == Event::Connected).count()
    };
    assert_eq!(connections(), 1);

    // Another CA answers at the same address: no root that the proxy holds leads to it.
    let (_, address) = world.kill().await;
    let world = World::again((Arc::new(Place::new()), address)).await;
    world.apply(SHOP).await;
    let is_refused = |event: &Event| matches!(event, Event::Away { why } if why.contains("was expected to lead to a root"));
    web.event(is_refused).await;
    let token = world.token(Some("web")).await;
    join(&token, None, &web.place).await.unwrap();
    within(async {
        while connections() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_view_that_was_changed_is_set_aside_and_another_is_waited_for() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    web.view(|view| view.workloads.len() == 1).await;
    // Nobody tells it of anything newer, which it would be about to keep when it is killed.
    let left = world.kill().await;
    web.event(|event| matches!(event, Event::Away { .. })).await;
    until_kept(&web).await;
    let place = web.kill().await;
    let file = place.path("view");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();

    let _world = World::again(left).await;
    let mut web = Proxy::start(place, &["web"]);
    web.event(|event| {
        event
            .to_string()
            .starts_with("T014 kept-view-not-proven: the view that was kept is not used")
    })
    .await;
    assert!(!file.exists() || std::fs::read(&file).unwrap() != bytes);
    assert_eq!(
        std::fs::read(web.folder().join("view.refused")).unwrap(),
        bytes
    );
    web.view(|view| view.workloads.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_put_back_is_not_followed_before_it_is_recovered() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let mut web = world.proxy(Some("web"), &["web"]).await;
    web.view(|view| view.workloads.len() == 1).await;
    let nothing = world.admin.ask(Recover {}).await.unwrap_err().to_string();
    assert_eq!(
        nothing,
        "there is nothing to recover: no connected proxy holds more than this store knows"
    );
    let backup = world.place.path("backup");
    let (place, address) = world.kill().await;
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    let store = place.path("store");
    until_free(&store).await;
    copy(&store, &backup);

    let world = World::again((place, address)).await;
    // More than a control plane that starts writes by itself: keys that follow each other are positions too.
    for number in 0..8 {
        let revoke = Revoke {
            identity: format!("shop/mail-{number}"),
            reason: String::new(),
        };
        world.admin.ask(revoke).await.unwrap();
    }
    let later = web.view(|view| view.revoked.len() == 8).await;
    let (place, address) = world.kill().await;
    until_free(&store).await;
    std::fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store);

    let world = World::again((place, address)).await;
    web.event(|event| {
        let told = event.to_string();
        told.starts_with("D004 store-behind: ") && told.contains("leno control recover")
    })
    .await;
    assert_eq!(web.held(), Some(later), "what it holds stays in force");
    within(async {
        // What the proxy says of it is on its way.
        while world.admin.ask(ProxiesOf {}).await.unwrap().proxies[0]
            .code
            .as_deref()
            != Some("D004")
        {}
    })
    .await;

    let recovered = world.admin.ask(Recover {}).await.unwrap();
    assert_eq!((recovered.epoch, recovered.ahead.len()), (2, 1));
    let view = web.view(|view| view.revoked.is_empty()).await;
    assert_eq!(view.generation.epoch, 2);
    assert!(world.admin.ask(Recover {}).await.is_err(), "once is enough");
}

/// Waits until nobody has the store open: a thread of the one who had may still be writing.
async fn until_free(store: &std::path::Path) {
    within(async {
        while leno_store::Store::open(store, leno_store::Settings::default()).is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_minute_is_renewed_at_half_of_it() {
    // By this clock half of every new certificate is over, and none has ended.
    fn ahead() -> Wall {
        leno_channel::wall() + Duration::from_secs(40)
    }
    let world = World::new().await;
    let brief = "metadata: {name: shop}\nspec: {certificates: {lifetime: 1m}}\n---";
    world
        .apply(&SHOP.replace("metadata: {name: shop}\n---", brief))
        .await;
    let (token, place) = (world.token(Some("web")).await, Arc::new(Place::new()));
    join(&token, None, &place).await.unwrap();
    let mut web = Proxy::start_by(Clocks::with_wall(ahead), place, &["web"]);
    web.view(|view| view.workloads.len() == 1).await;
    web.event(|event| matches!(event, Event::Certified { .. }))
        .await;
}
