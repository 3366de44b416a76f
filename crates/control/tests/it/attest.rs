//! Who is let in, by what it shows: processes of the control plane's own host.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use leno_control::Event;
use leno_model::{Name, Namespace};
use leno_proxy::Clocks;
use leno_proxy::follow::{self, NotJoined, Shown, Wanted};

use crate::world::{Place, World};

/// The mesh `shop`, whose workload `cart` is the process of `demand`.
fn shop(demand: &str) -> String {
    format!(
        "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: shop}}\n---\n\
         apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\n\
         metadata: {{name: cart, namespace: shop}}\n\
         spec:\n  instances: [{{address: 10.0.0.7}}]\n  attestation:\n    processes:\n    - {demand}\n"
    )
}

/// The user that this process runs as.
fn user() -> u32 {
    fs::metadata("/proc/self").unwrap().uid()
}

async fn world(demand: &str) -> World {
    let place = Arc::new(Place::new());
    let socket = place.path("join.sock");
    let world = World::with(place, |settings| settings.join_socket = Some(socket)).await;
    world.apply(&shop(demand)).await;
    world.desk.found().unwrap();
    world
}

async fn join(socket: &Path, wanted: &Wanted) -> Result<String, NotJoined> {
    let place = Place::new();
    let shown = Shown::Process(socket);
    let joined = follow::join(shown, wanted, &place.path("proxy"), Clocks::start()).await;
    joined.map(|id| id.to_string())
}

/// Joins where `demand` describes `cart`; what comes of it, and what the control plane tells.
async fn check(demand: &str, account: Option<&str>, expect: &str, told: &str) {
    let world = world(demand).await;
    let (namespace, account) = match account.and_then(|it| it.split_once('/')) {
        Some((namespace, account)) => (
            Some(Namespace::new(namespace).unwrap()),
            Some(Name::new(account).unwrap()),
        ),
        None => (None, None),
    };
    let wanted = Wanted { namespace, account };
    let joined = join(&world.place.path("join.sock"), &wanted).await;
    let joined = match joined {
        Ok(id) => id,
        Err(error) => format!("{} {error}", error.code()),
    };
    assert!(joined.contains(expect), "{demand}: {joined}");
    let is_of_it = |event: &Event| matches!(event, Event::Joined { .. } | Event::NotJoined { .. });
    let events = world.event(is_of_it).await;
    let event = events
        .iter()
        .find(|event| is_of_it(event))
        .unwrap()
        .to_string();
    assert!(event.contains(told), "{demand}: {event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_joins_as_the_workload_that_it_is() {
    let own = std::env::current_exe().unwrap();
    let demand = format!("{{user: {}, path: {}}}", user(), own.display());
    let cart = "spiffe://shop.local/ns/shop/sa/cart";
    let told = "joined from this host by process";
    check(&demand, None, cart, told).await;
    check(&demand, Some("shop/cart"), cart, told).await;
    let nobody_else = "it may act as shop/cart and nobody else";
    check(&demand, Some("shop/web"), nobody_else, "T021 not-attested").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_differs_in_anything_is_nobody() {
    let own = std::env::current_exe().unwrap();
    let zeros = "0".repeat(64);
    for (demand, why) in [
        (
            format!("{{user: {}, path: /usr/bin/cart}}", user()),
            "the path differs",
        ),
        (
            format!(
                "{{user: {}, path: {}, sha256: \"{zeros}\"}}",
                user(),
                own.display()
            ),
            "for shop/cart the SHA-256 differs",
        ),
        (
            format!("{{path: {}, user: 4711}}", own.display()),
            "for shop/cart the user differs",
        ),
    ] {
        let expect = format!("T021 not-attested: process {}", std::process::id());
        check(&demand, None, &expect, why).await;
    }
}
