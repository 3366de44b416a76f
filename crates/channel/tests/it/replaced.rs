//! Certificates that are renewed while connections live.

use std::sync::{Arc, OnceLock};

use leno_channel::{Clock, Keyring};

use crate::mesh::{HOUR, Mesh, exchange, greet, meet};

#[tokio::test]
async fn a_connection_outlives_the_renewal_of_both_sides() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (own, expected) = (mesh.id("web"), [mesh.id("cart")]);
    let (connected, accepted) = meet(&web, &cart, &own, &expected).await;
    let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());

    mesh.pass(12 * HOUR);
    web.install(&mesh.credential("web", 24 * HOUR)).unwrap();
    cart.install(&mesh.credential("cart", 24 * HOUR)).unwrap();
    exchange(&mut connected.stream, &mut accepted.stream).await;
    assert_eq!(
        accepted.caller.ends().to_string(),
        "2026-11-21T10:00:00.000Z"
    );

    let (connected, accepted) = meet(&web, &cart, &own, &expected).await;
    let renewed = "2026-11-21T22:00:00.000Z";
    assert_eq!(connected.unwrap().peer.ends().to_string(), renewed);
    assert_eq!(accepted.unwrap().caller.ends().to_string(), renewed);
}

#[tokio::test]
async fn a_session_ends_with_the_credential_it_was_made_with() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (own, peer) = (mesh.id("web"), mesh.id("cart"));
    let renew = |account| mesh.credential(account, 24 * HOUR);
    assert!(!greet(&web, &cart, &own, &peer).await);
    web.install(&renew("web")).unwrap();
    assert!(!greet(&web, &cart, &own, &peer).await);
    cart.install(&renew("cart")).unwrap();
    assert!(!greet(&web, &cart, &own, &peer).await);
    assert!(greet(&web, &cart, &own, &peer).await);
}

#[tokio::test]
async fn the_others_keep_their_sessions() {
    let mesh = Mesh::new("shop.local");
    let node = mesh.process(&["web", "mail"]);
    let cart = mesh.process(&["cart"]);
    assert!(!greet(&node, &cart, &mesh.id("web"), &mesh.id("cart")).await);
    let renewed = mesh.credential("mail", 24 * HOUR);
    node.install(&renewed).unwrap();
    assert!(greet(&node, &cart, &mesh.id("web"), &mesh.id("cart")).await);
}

#[tokio::test]
async fn who_is_revoked_while_the_handshake_goes_on_is_refused() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    // The server reads its clock once the handshake has begun, and revokes the client right then.
    let cart = Arc::new(OnceLock::<Keyring>::new());
    let (later, clock, revoked) = (Arc::clone(&cart), mesh.clock(), mesh.trust(&["web"]));
    let keyring = Keyring::new(Clock::new(move || {
        if let Some(cart) = later.get() {
            cart.judge_by(Arc::clone(&revoked));
        }
        clock.now()
    }));
    keyring.judge_by(mesh.trust(&[]));
    keyring
        .install(&mesh.credential("cart", 24 * HOUR))
        .unwrap();
    let cart = cart.get_or_init(|| keyring);
    let (_connected, accepted) = meet(&web, cart, &mesh.id("web"), &[mesh.id("cart")]).await;
    assert_eq!(accepted.unwrap_err().code().as_str(), "T005");
}

#[tokio::test]
async fn an_open_connection_is_judged_again_when_trust_changes() {
    let (mesh, other) = (Mesh::new("shop.local"), Mesh::new("shop.local"));
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (connected, accepted) = meet(&web, &cart, &mesh.id("web"), &[mesh.id("cart")]).await;
    let (connected, accepted) = (connected.unwrap(), accepted.unwrap());
    assert_eq!(cart.judge(&accepted.proof), Ok(accepted.caller));
    assert_eq!(web.judge(&connected.proof), Ok(connected.peer));

    let code = |keyring: &Keyring, proof| keyring.judge(proof).unwrap_err().code().as_str();
    cart.judge_by(mesh.trust(&["web"]));
    assert_eq!(code(&cart, &accepted.proof), "T005");
    cart.judge_by(other.trust(&[]));
    assert_eq!(code(&cart, &accepted.proof), "T004");
    web.judge_by(Arc::default());
    assert_eq!(code(&web, &connected.proof), "T003");
}
