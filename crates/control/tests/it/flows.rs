//! Proxies report what goes through them; whatever happens to either side, it is kept once, and only what
//! they took part in.

use std::fs;

use leno_admin::{By, Check, Edge as Told, TrafficOf};
use leno_control::Event;
use leno_model::Code;
use leno_telemetry::{Bytes, Edge, Flow, Party, Reporter, Security};
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
    let told = world.events.lock().unwrap().clone();
    let refused = |event: &Event| {
        matches!(
            event,
            Event::Trouble {
                code: Code::D008,
                ..
            }
        )
    };
    assert_eq!(told.iter().filter(|event| refused(event)).count(), 1);
    let checked = world.admin.ask(Check {}).await.unwrap();
    assert!(checked.findings.iter().any(|found| found.code == "D008"));

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
