//! Control planes of two trust domains: what each has of the other, and what somebody of the other may do here.

use leno_admin::remote::ADMINISTER;
use leno_admin::{BundleOf, Delete, PeerState, RotateRoot, TrustOf};
use leno_channel::Alpn;
use leno_channel::grpc::Line;
use leno_model::{SpiffeId, TrustDomain};
use leno_wire::call;
use leno_wire::certificates::control_plane;
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};

use crate::world::{World, within};

/// A mesh of this trust domain, in which `cart` runs.
async fn mesh(name: &str) -> World {
    let world = World::new().await;
    let text = format!(
        "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: {name}}}\n\
         spec: {{trustDomain: {name}.example}}\n---\n\
         apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {{name: cart}}\n\
         spec: {{ports: [{{port: 80}}], instances: [{{address: 10.9.9.9}}]}}\n"
    );
    world.apply(&text).await;
    // With the first token its CA is founded.
    world.token(None).await;
    world
}

/// Lets `world` believe `other`.
async fn believe(world: &World, other: &World, name: &str) {
    let told = within(other.admin.ask(BundleOf {})).await.unwrap();
    let (domain, url, id) = (told.trust_domain, told.endpoint, told.identity);
    let text = format!(
        "apiVersion: leno.dev/v1alpha1\nkind: MeshPeer\nmetadata: {{name: {name}}}\nspec:\n  \
         trustDomain: {domain}\n  bundle: {{inline: '{}'}}\n  \
         endpoint: {{url: '{url}', profile: Spiffe, spiffeId: '{id}'}}\n",
        told.bundle
    );
    world.apply(&text).await;
}

/// The one peer of `world`, once it is as expected.
async fn peer(world: &World, is_it: impl Fn(&PeerState) -> bool) -> PeerState {
    within(async {
        loop {
            let told = world.admin.ask(TrustOf {}).await.unwrap();
            if let Some(peer) = told.peers.into_iter().find(&is_it) {
                return peer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_of_a_peer_is_nobody_of_this_mesh() {
    let (shop, bank) = (mesh("shop").await, mesh("bank").await);
    believe(&shop, &bank, "bank").await;
    believe(&bank, &shop, "shop").await;
    let shops = TrustDomain::new("shop.example").unwrap();
    let mut proxy = bank.proxy(Some("cart"), &["cart"]).await;
    proxy.view(|view| view.bundles.contains_key(&shops)).await;

    let id = SpiffeId::parse("spiffe://bank.example/ns/shop/sa/cart").unwrap();
    let stream = TcpStream::connect(shop.address).await.unwrap();
    let expected = [control_plane(&shops)];
    let connected = proxy
        .keyring
        .connect(stream, &id, &expected, &[Alpn::Hbone]);
    let (line, run) = Line::open(connected.await.unwrap().stream).await.unwrap();
    let run = tokio::spawn(run);
    let asks = [
        call::RENEW,
        call::MINT,
        call::DISTRIBUTE,
        call::REPORT,
        call::LEAVE,
        call::ANSWER,
        call::TROUBLES,
        call::LOOK,
        call::TIME,
        call::JOIN,
    ];
    for path in asks {
        let refused = within(line.ask(path, b"")).await.unwrap_err().to_string();
        assert!(
            refused.contains("of another trust domain"),
            "{path}: {refused}"
        );
    }
    let refused = within(line.ask(ADMINISTER, b"{}\n")).await.unwrap();
    let refused = String::from_utf8_lossy(&refused).into_owned();
    assert!(refused.contains("has no role in this mesh"), "{refused}");
    // Nobody waits for it before another root signs.
    let rotate = RotateRoot {
        force: false,
        dry_run: true,
    };
    let told = within(shop.admin.ask(rotate)).await.unwrap();
    assert_eq!(told.next.holders, 0);

    // With the MeshPeer its connection ends.
    let delete = Delete {
        objects: vec!["MeshPeer bank".to_owned()],
        if_revision: None,
        message: String::new(),
        allow_errors: false,
        watch: None,
        dry_run: false,
    };
    within(shop.admin.ask(delete)).await.unwrap();
    within(run).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_got_of_a_peer_outlives_both_control_planes() {
    let (shop, bank) = (mesh("shop").await, mesh("bank").await);
    believe(&shop, &bank, "bank").await;
    // The bank has no MeshPeer, and tells nobody its keys: what is written holds.
    let before = peer(&shop, |it| it.trouble.is_some()).await;
    let why = before.trouble.unwrap().why;
    assert!(why.contains("404"), "{why}");
    assert_eq!((before.roots, before.got), (1, None));
    believe(&bank, &shop, "shop").await;
    let got = peer(&shop, |it| it.got.is_some() && it.trouble.is_none()).await;
    drop(bank.kill().await);
    let left = shop.kill().await;
    let shop = World::again(left).await;
    let after = peer(&shop, |it| it.trouble.is_some()).await;
    assert_eq!(after.trouble.unwrap().code, "T023");
    assert_eq!(after.sequence, got.sequence);
    assert!(after.got.is_some());
}
