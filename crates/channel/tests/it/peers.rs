//! Who may speak with whom, and what both sides say of it.

use std::slice;

use leno_channel::{Alpn, Keyring, peer_name};
use rustls::{NamedGroup, ProtocolVersion};
use tokio::io::duplex;

use crate::mesh::{HOUR, Mesh, exchange, meet, meet_over_sockets, refusal, told};

#[tokio::test]
async fn the_right_peer_is_proven_on_both_sides() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (connected, accepted) = meet(&web, &cart, &mesh.id("web"), &[mesh.id("cart")]).await;
    let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
    assert_eq!(connected.peer.id(), &mesh.id("cart"));
    assert_eq!(accepted.caller.id(), &mesh.id("web"));
    assert_eq!(accepted.own, mesh.id("cart"));
    assert_eq!(accepted.alpn, Alpn::Hbone);
    let ends = "2026-11-21T10:00:00.000Z";
    assert_eq!(connected.peer.ends().to_string(), ends);
    assert_eq!(accepted.caller.ends().to_string(), ends);
    exchange(&mut connected.stream, &mut accepted.stream).await;
}

#[tokio::test]
async fn tls_1_3_with_the_post_quantum_exchange_first() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (connected, _accepted) = meet(&web, &cart, &mesh.id("web"), &[mesh.id("cart")]).await;
    let stream = connected.unwrap().stream;
    let (_, tls) = stream.get_ref();
    assert_eq!(tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = tls.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn each_protocol_of_the_tunnel_is_agreed_on_when_offered() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    for alpn in Alpn::ALL {
        let (near, far) = duplex(64 * 1024);
        let (own, expected) = (mesh.id("web"), [mesh.id("cart")]);
        let offered = [alpn];
        let (connected, accepted) = tokio::join!(
            web.connect(near, &own, &expected, &offered),
            cart.accept(far)
        );
        assert_eq!(accepted.unwrap().alpn, alpn);
        drop(connected.unwrap());
    }
}

#[tokio::test]
async fn over_sockets_of_the_loopback() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let (own, expected) = (mesh.id("web"), [mesh.id("cart")]);
    let (connected, accepted) = meet_over_sockets(&web, &cart, &own, &expected, Alpn::Leno1).await;
    let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
    exchange(&mut connected.stream, &mut accepted.stream).await;
}

#[tokio::test]
async fn somebody_else_than_expected_is_refused() {
    let mesh = Mesh::new("shop.local");
    let (web, mail) = (mesh.process(&["web"]), mesh.process(&["mail"]));
    let expected = [mesh.id("cart"), mesh.id("payments")];
    let (connected, _accepted) = meet(&web, &mail, &mesh.id("web"), &expected).await;
    assert_eq!(
        told(connected),
        "T006 (mesh) handshake of spiffe://shop.local/ns/default/sa/web with \
         spiffe://shop.local/ns/default/sa/mail: spiffe://shop.local/ns/default/sa/cart or \
         spiffe://shop.local/ns/default/sa/payments was expected, and \
         spiffe://shop.local/ns/default/sa/mail came"
    );
}

#[tokio::test]
async fn one_of_several_expected_will_do() {
    let mesh = Mesh::new("shop.local");
    let (web, cart) = (mesh.process(&["web"]), mesh.process(&["cart"]));
    let expected = [mesh.id("payments"), mesh.id("cart")];
    let (connected, accepted) = meet(&web, &cart, &mesh.id("web"), &expected).await;
    assert_eq!(connected.unwrap().peer.id(), &mesh.id("cart"));
    drop(accepted);
}

#[tokio::test]
async fn an_expired_server_is_refused_by_its_client() {
    let mesh = Mesh::new("shop.local");
    let cart = mesh.process(&[]);
    cart.install(&mesh.credential("cart", HOUR)).unwrap();
    let web = mesh.process(&["web"]);
    mesh.pass(2 * HOUR);
    let (connected, _accepted) = meet(&web, &cart, &mesh.id("web"), &[mesh.id("cart")]).await;
    assert_eq!(
        told(connected),
        "T001 (mesh) handshake of spiffe://shop.local/ns/default/sa/web with \
         spiffe://shop.local/ns/default/sa/cart: the certificate of \
         spiffe://shop.local/ns/default/sa/cart ended at 2026-11-20T11:00:00.000Z, and it is \
         2026-11-20T12:00:00.000Z"
    );
}

#[tokio::test]
async fn an_expired_client_is_refused_by_its_server_and_told_why() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&[]);
    web.install(&mesh.credential("web", HOUR)).unwrap();
    let cart = mesh.process(&["cart"]);
    mesh.pass(2 * HOUR);
    let (connected, accepted) = meet(&web, &cart, &mesh.id("web"), &[mesh.id("cart")]).await;
    assert_eq!(
        told(accepted),
        "T001 (mesh) handshake of spiffe://shop.local/ns/default/sa/cart with \
         spiffe://shop.local/ns/default/sa/web: the certificate of \
         spiffe://shop.local/ns/default/sa/web ended at 2026-11-20T11:00:00.000Z, and it is \
         2026-11-20T12:00:00.000Z"
    );
    let refusal = refusal(connected.unwrap()).await.unwrap();
    assert_eq!(
        refusal.to_string(),
        "the peer refused: it finds our certificate's time wrong"
    );
}

#[tokio::test]
async fn a_foreigner_is_refused_whoever_calls() {
    let (shop, bank) = (Mesh::new("shop.local"), Mesh::new("bank.local"));
    let (web, vault) = (shop.process(&["web"]), bank.process(&["vault"]));
    let (connected, accepted) = meet(&web, &vault, &shop.id("web"), &[bank.id("vault")]).await;
    assert_eq!(
        told(connected),
        "T003 (caller) handshake of spiffe://shop.local/ns/default/sa/web with \
         spiffe://bank.local/ns/default/sa/vault: spiffe://bank.local/ns/default/sa/vault came, \
         and what is trusted here is shop.local"
    );
    assert_eq!(
        told(accepted),
        "T003 (caller) handshake of spiffe://bank.local/ns/default/sa/vault with \
         spiffe://shop.local/ns/default/sa/web: spiffe://shop.local/ns/default/sa/web came, and \
         what is trusted here is bank.local"
    );
}

#[tokio::test]
async fn a_forger_of_our_trust_domain_is_refused() {
    let (shop, forged) = (Mesh::new("shop.local"), Mesh::new("shop.local"));
    let (web, cart) = (shop.process(&["web"]), forged.process(&["cart"]));
    let (connected, accepted) = meet(&web, &cart, &shop.id("web"), &[shop.id("cart")]).await;
    assert_eq!(connected.unwrap_err().code().as_str(), "T004");
    assert_eq!(accepted.unwrap_err().code().as_str(), "T004");
}

#[tokio::test]
async fn a_process_of_many_identities_answers_as_the_one_asked_for() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let node = mesh.process(&["cart", "mail", "payments"]);
    for asked in ["mail", "cart", "payments"] {
        let expected = mesh.id(asked);
        let expected = slice::from_ref(&expected);
        let (connected, accepted) = meet(&web, &node, &mesh.id("web"), expected).await;
        assert_eq!(connected.unwrap().peer.id(), &mesh.id(asked));
        assert_eq!(accepted.unwrap().own, mesh.id(asked));
    }
}

#[tokio::test]
async fn a_process_of_many_identities_answers_for_nobody_else() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    for accounts in [&["mail", "payments"][..], &[]] {
        let node = mesh.process(accounts);
        let (connected, accepted) = meet(&web, &node, &mesh.id("web"), &[mesh.id("cart")]).await;
        let asked = peer_name(&mesh.id("cart"));
        assert_eq!(
            told(accepted),
            format!(
                "T011 (caller) handshake of somebody unknown with somebody unknown: the peer asked \
                 for {asked}, who is not here"
            )
        );
        assert_eq!(
            told(connected),
            "T011 (caller) handshake of spiffe://shop.local/ns/default/sa/web with \
             spiffe://shop.local/ns/default/sa/cart: the peer refused: it will not speak with us"
        );
    }
}

#[tokio::test]
async fn a_call_needs_an_identity_and_somebody_to_expect() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let call = async |keyring: &Keyring, own: &str, expected: &[_]| {
        let (near, _far) = duplex(64);
        let own = mesh.id(own);
        told(keyring.connect(near, &own, expected, &[Alpn::Hbone]).await)
    };
    assert_eq!(
        call(&web, "mail", &[mesh.id("cart")]).await,
        "T011 (caller) handshake of spiffe://shop.local/ns/default/sa/mail with \
         spiffe://shop.local/ns/default/sa/cart: there is no certificate to make this call with"
    );
    assert_eq!(
        call(&web, "web", &[]).await,
        "T011 (caller) handshake of spiffe://shop.local/ns/default/sa/web with somebody unknown: \
         it is not known who should answer"
    );
    web.remove(&mesh.id("web"));
    assert_eq!(web.identities(), []);
    let gone = call(&web, "web", &[mesh.id("cart")]).await;
    assert!(gone.ends_with("there is no certificate to make this call with"));
}
