//! Certificates that are renewed while connections live.

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
