//! Proxies report what goes through them; whatever happens to either side, it is kept once, and only what
//! they took part in.

use std::fs;
use std::time::Duration;

use leno_admin::{By, Check, Client, Edge as Told, NotAsked, PlanOf, SuggestOf, TrafficOf};
use leno_control::Event;
use leno_model::{CallId, Code, Dice};
use leno_telemetry::{
    Bytes, Decided, Edge, Event as Reported, Flow, Party, Reporter, Security, Stream,
};
use tokio::task::yield_now;

use crate::world::{Proxy, SHOP, World, within};

/// The proxy carries so many bytes from one to the other, as the caller's.
fn carry(proxy: &Proxy, from: &str, to: &str, sent: u64) {
    let party = |name| Party::Known {
        namespace: "shop",
        name,
    };
    let mut recorder = proxy.telemetry.recorder();
    recorder.flow(&Flow {
        edge: Edge {
            reporter: Reporter::Source,
            source: party(from),
            destination: party(to),
            security: Security::Mtls,
        },
        route: None,
        status: None,
        bytes: Bytes { sent, received: 0 },
    });
    recorder.hand_over(proxy.clocks.now().wall);
}

async fn edges(world: &World) -> Vec<Told> {
    let asked = world.admin.ask(TrafficOf {
        seconds: 600,
        until: None,
        step: None,
        by: By::Edge,
        of: None,
        namespace: String::new(),
    });
    let mut told = asked.await.unwrap();
    told.steps.remove(0).edges
}

/// Waits until so many bytes from web to cart are kept, and nothing else.
async fn kept(world: &World, sent: u64) {
    let kept = async {
        loop {
            let edges = edges(world).await;
            assert!(edges.iter().all(|edge| edge.sent <= sent), "{edges:?}");
            match &*edges {
                [edge] if edge.sent == sent => break edge.clone(),
                _ => yield_now().await,
            }
        }
    };
    let edge = within(kept).await;
    assert_eq!((&*edge.from, &*edge.to), ("shop/web", "shop/cart"));
}

#[tokio::test]
async fn what_a_proxy_carries_is_kept_once_and_what_it_does_not_is_refused() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let proxy = world.proxy(Some("web"), &["web"]).await;
    carry(&proxy, "web", "cart", 3);
    kept(&world, 3).await;
    carry(&proxy, "cart", "web", 50);
    carry(&proxy, "web", "cart", 4);
    kept(&world, 7).await;
    // What is refused of a report is told after its rest is kept.
    let refused = |event: &Event| {
        matches!(
            event,
            Event::Trouble {
                code: Code::D008,
                ..
            }
        )
    };
    let told = world.event(refused).await;
    let checked = world.admin.ask(Check {}).await.unwrap();
    assert!(checked.findings.iter().any(|found| found.code == "D008"));
    assert_eq!(told.iter().filter(|event| refused(event)).count(), 1);

    // Nobody takes it, and nothing is lost.
    let left = world.kill().await;
    carry(&proxy, "web", "cart", 5);
    let world = World::again(left).await;
    kept(&world, 12).await;
    drop(proxy);
}

#[tokio::test]
async fn a_damaged_file_costs_the_past_and_nothing_else() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let proxy = world.proxy(Some("web"), &["web"]).await;
    carry(&proxy, "web", "cart", 3);
    kept(&world, 3).await;
    let (place, address) = world.kill().await;
    for end in ["", "-wal", "-shm"] {
        let file = place.path("store").join(format!("flows.db{end}"));
        drop(fs::remove_file(file));
    }
    fs::write(place.path("store").join("flows.db"), "no such thing").unwrap();
    let world = World::again((place, address)).await;
    let checked = world.admin.ask(Check {}).await.unwrap();
    let codes: Vec<_> = checked
        .findings
        .iter()
        .map(|finding| &*finding.code)
        .collect();
    assert!(codes.contains(&"S011"), "{codes:?}");
    assert!(world.place.path("store").join("flows.db.damaged").exists());
    carry(&proxy, "web", "cart", 2);
    kept(&world, 2).await;
    let again = SHOP.replace("labels: {app: web}", "labels: {app: web, tier: front}");
    world.apply(&again).await;
}

#[tokio::test]
async fn a_plan_says_that_what_was_recorded_cannot_be_read() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let (place, address) = world.kill().await;
    let file = place.path("store").join("flows.db");
    for end in ["", "-wal", "-shm"] {
        drop(fs::remove_file(
            place.path("store").join(format!("flows.db{end}")),
        ));
    }
    fs::create_dir(&file).unwrap();
    let world = World::again((place, address)).await;
    let strict = || PlanOf {
        files: Vec::new(),
        namespace: "shop".to_owned(),
        set: "imagined".to_owned(),
        prune: false,
        with: ["mtls=Strict".to_owned()].into(),
        with_in: Some("shop".to_owned()),
        seconds: 600,
    };
    let planned = world.admin.ask(strict()).await.unwrap();
    let not_read = planned.traffic.not_read.expect("it is told");
    assert_eq!(not_read.code.as_deref(), Some("S010"));

    fs::remove_dir(&file).unwrap();
    let planned = world.admin.ask(strict()).await.unwrap();
    assert_eq!(planned.traffic.not_read, None);
}

/// The proxy of web carries a stream to cart and tells of it.
fn carry_stream(proxy: &Proxy) {
    let party = |name| Party::Known {
        namespace: "shop",
        name,
    };
    let now = proxy.clocks.now().wall;
    let mut recorder = proxy.telemetry.recorder();
    recorder.record(&Reported::Stream(Stream {
        id: CallId::roll(&mut Dice::new(1)),
        edge: Edge {
            reporter: Reporter::Source,
            source: party("web"),
            destination: party("cart"),
            security: Security::Mtls,
        },
        route: None,
        peer: ([10, 0, 0, 1], 40_000).into(),
        endpoint: None,
        began: now,
        took: Duration::ZERO,
        opened: false,
        refused: None,
        sent: 1,
        received: 1,
        counted: Bytes::default(),
        logged: None,
        decided: Decided::default(),
    }));
    recorder.hand_over(now);
}

/// How many calls a plan of whoever asks is about, that a namespace be strict.
async fn planned(client: &Client, namespace: &str) -> u64 {
    let plan = PlanOf {
        files: Vec::new(),
        namespace: namespace.to_owned(),
        set: "imagined".to_owned(),
        prune: false,
        with: ["mtls=Strict".to_owned()].into(),
        with_in: Some(namespace.to_owned()),
        seconds: 600,
    };
    within(client.ask(plan)).await.unwrap().traffic.calls
}

#[tokio::test(flavor = "multi_thread")]
async fn who_edits_a_namespace_plans_by_its_calls_and_by_no_others() {
    let world = World::new().await;
    let administration = "spec:\n  administration:\n  \
        - {person: anna, role: Editor, namespaces: [shop]}\n  \
        - {person: eve, role: Editor, namespaces: [bank]}\n";
    let named = "metadata: {name: shop}\n";
    let mesh = SHOP.replacen(named, &format!("{named}{administration}"), 1);
    world.apply(&mesh).await;
    let proxy = world.proxy(Some("web"), &["web"]).await;
    carry_stream(&proxy);
    let (anna, eve) = (world.person("anna").await, world.person("eve").await);
    let own = async {
        while planned(&anna, "shop").await != 1 {
            yield_now().await;
        }
    };
    within(own).await;
    assert_eq!(planned(&eve, "bank").await, 0);

    let suggested = |service: Option<&str>| SuggestOf {
        service: service.map(str::to_owned),
        namespace: "bank".into(),
        seconds: 600,
        at_least: 1,
    };
    for service in [None, Some("shop/cart")] {
        let told = within(anna.ask(suggested(service))).await.unwrap();
        let policies = told.policies.iter().map(|policy| &*policy.service);
        assert_eq!(policies.collect::<Vec<_>>(), ["shop/cart"]);
    }
    let told = within(eve.ask(suggested(None))).await.unwrap();
    assert!(told.policies.is_empty());
    let NotAsked::Refused(why) = within(eve.ask(suggested(Some("shop/cart"))))
        .await
        .unwrap_err()
    else {
        panic!("the service is of another namespace");
    };
    assert_eq!(why.code.as_deref(), Some("S017"));
}
