//! Sessions that are resumed: judged again each time, never shared, and not for long.

use leno_channel::Alpn;

use crate::mesh::{HOUR, Mesh, greet, meet, meet_over_sockets, told};

#[tokio::test]
async fn the_second_call_is_resumed_and_proven_all_the_same() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let mut resumed = Vec::new();
    for _ in 0..3 {
        resumed.push(greet(&web, &cart, &mesh.id("web"), &mesh.id("cart")).await);
    }
    assert_eq!(resumed, [false, true, true]);
}

#[tokio::test]
async fn a_client_that_was_revoked_is_refused_on_a_resumed_session() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (own, peer) = (mesh.id("web"), mesh.id("cart"));
    assert!(!greet(&web, &cart, &own, &peer).await);
    assert!(greet(&web, &cart, &own, &peer).await);

    cart.judge_by(mesh.trust(&["web"]));
    let (connected, accepted) = meet(&web, &cart, &own, &[peer]).await;
    assert!(connected.unwrap().resumed);
    assert_eq!(
        told(accepted),
        "T005 (caller) handshake of spiffe://shop.local/ns/default/sa/cart with \
         spiffe://shop.local/ns/default/sa/web: spiffe://shop.local/ns/default/sa/web proved who it \
         is, and has been revoked"
    );
}

#[tokio::test]
async fn a_server_that_was_revoked_is_refused_on_a_resumed_session() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (own, peer) = (mesh.id("web"), mesh.id("cart"));
    assert!(!greet(&web, &cart, &own, &peer).await);
    assert!(greet(&web, &cart, &own, &peer).await);

    web.judge_by(mesh.trust(&["cart"]));
    let expected = [peer.clone()];
    let (connected, accepted) = meet_over_sockets(&web, &cart, &own, &expected, Alpn::Hbone).await;
    assert_eq!(connected.unwrap_err().code().as_str(), "T005");
    assert!(accepted.unwrap().resumed);

    // Taken back, the next call is a full one: what was distrusted is not tried again.
    web.judge_by(mesh.trust(&[]));
    assert!(!greet(&web, &cart, &own, &peer).await);
}

#[tokio::test]
async fn who_has_expired_is_refused_on_a_resumed_session_whichever_side_it_is() {
    let mesh = Mesh::new("shop.local");
    let (own, peer) = (mesh.id("web"), mesh.id("cart"));
    let brief = |account| {
        let process = mesh.process(&[]);
        process.install(&mesh.credential(account, HOUR)).unwrap();
        process
    };
    let (web, cart) = (brief("web"), mesh.process(&["cart"]));
    assert!(!greet(&web, &cart, &own, &peer).await);
    mesh.pass(HOUR + 1);
    let expected = [peer.clone()];
    let (connected, accepted) = meet(&web, &cart, &own, &expected).await;
    assert!(connected.unwrap().resumed);
    assert_eq!(accepted.unwrap_err().code().as_str(), "T001");

    // A server gives out no session that outlives half of what is left of its own certificate: what
    // ends before is an authority above it, or a clock that was corrected.
    let (web, cart) = (mesh.process(&["web"]), brief("cart"));
    assert!(!greet(&web, &cart, &own, &peer).await);
    mesh.pass(HOUR / 2 - 1);
    assert!(greet(&web, &cart, &own, &peer).await);
    mesh.pass(HOUR / 2 + 2);
    let (connected, _accepted) = meet(&web, &cart, &own, &expected).await;
    assert_eq!(connected.unwrap_err().code().as_str(), "T001");
}

#[tokio::test]
async fn a_foreigner_has_nothing_to_resume() {
    let (shop, bank) = (Mesh::new("shop.local"), Mesh::new("bank.local"));
    let (web, cart) = (shop.process(&["web"]), shop.process(&["cart"]));
    let (own, peer) = (shop.id("web"), shop.id("cart"));
    assert!(!greet(&web, &cart, &own, &peer).await);
    // The bundle is another mesh's from here on: what was proven proves nothing.
    cart.judge_by(bank.trust(&[]));
    let (connected, accepted) = meet(&web, &cart, &own, &[peer]).await;
    assert!(connected.unwrap().resumed);
    assert_eq!(
        told(accepted),
        "T003 (caller) handshake of spiffe://shop.local/ns/default/sa/cart with \
         spiffe://shop.local/ns/default/sa/web: spiffe://shop.local/ns/default/sa/web came, and \
         what is trusted here is bank.local"
    );
}

#[tokio::test]
async fn a_root_that_is_trusted_no_more_proves_nothing_on_a_resumed_session() {
    let (mesh, other) = (Mesh::new("shop.local"), Mesh::new("shop.local"));
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (own, peer) = (mesh.id("web"), mesh.id("cart"));
    assert!(!greet(&web, &cart, &own, &peer).await);
    cart.judge_by(other.trust(&[]));
    let (connected, accepted) = meet(&web, &cart, &own, &[peer]).await;
    assert!(connected.unwrap().resumed);
    assert_eq!(accepted.unwrap_err().code().as_str(), "T004");
}

#[tokio::test]
async fn two_identities_of_one_process_share_no_session() {
    let mesh = Mesh::new("shop.local");
    let node = mesh.process(&["web", "mail"]);
    let cart = mesh.process(&["cart"]);
    let (web, mail, peer) = (mesh.id("web"), mesh.id("mail"), mesh.id("cart"));
    assert!(!greet(&node, &cart, &web, &peer).await);
    assert!(greet(&node, &cart, &web, &peer).await);
    // `greet` checks who the server saw.
    assert!(!greet(&node, &cart, &mail, &peer).await);
    assert!(greet(&node, &cart, &mail, &peer).await);
    assert!(greet(&node, &cart, &web, &peer).await);
}

#[tokio::test]
async fn two_identities_of_one_server_share_no_session() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let node = mesh.process(&["cart", "mail"]);
    let own = mesh.id("web");
    assert!(!greet(&web, &node, &own, &mesh.id("cart")).await);
    assert!(!greet(&web, &node, &own, &mesh.id("mail")).await);
    assert!(greet(&web, &node, &own, &mesh.id("cart")).await);
    assert!(greet(&web, &node, &own, &mesh.id("mail")).await);
}

#[tokio::test]
async fn a_session_is_resumed_for_half_of_what_is_left_of_the_servers_certificate() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (own, peer) = (mesh.id("web"), mesh.id("cart"));
    assert!(!greet(&web, &cart, &own, &peer).await);
    mesh.pass(12 * HOUR - 1);
    assert!(greet(&web, &cart, &own, &peer).await);
    mesh.pass(6 * HOUR + 1);
    assert!(!greet(&web, &cart, &own, &peer).await);
}
