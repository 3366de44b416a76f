//! Peers that do not play by the rules: silent, garbled, bare, or with a certificate that is not theirs.

use std::sync::Arc;

use leno_channel::{Alpn, KeyWitness, Keyring, generate_key, peer_name};
use rustls::{
    ClientConfig, ServerConfig, SignatureScheme,
    client::ResolvesClientCert,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::mesh::{Mesh, told};

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_not_waited_for_longer_than_ten_seconds() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let (near, _far) = duplex(64 * 1024);
    assert_eq!(
        told(web.accept(near).await),
        "T011 (caller) handshake of somebody unknown with somebody unknown: it was not finished \
         within 10s"
    );
    let (near, _far) = duplex(64 * 1024);
    let (own, expected) = (mesh.id("web"), [mesh.id("cart")]);
    assert_eq!(
        told(web.connect(near, &own, &expected, &[Alpn::Hbone]).await),
        "T011 (caller) handshake of spiffe://shop.local/ns/default/sa/web with \
         spiffe://shop.local/ns/default/sa/cart: it was not finished within 10s"
    );
}

#[tokio::test]
async fn what_is_not_tls_is_refused() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let say = async |bytes: &[u8]| {
        let (near, mut far) = duplex(64 * 1024);
        far.write_all(bytes).await.unwrap();
        far.shutdown().await.unwrap();
        let told = told(web.accept(near).await);
        let (_, why) = told.split_once("unknown: ").unwrap();
        why.to_owned()
    };
    assert_eq!(
        say(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await,
        "TLS failed: received corrupt message of type InvalidContentType"
    );
    assert_eq!(
        say(b"").await,
        "the other end closed the connection without a word"
    );
    assert_eq!(
        say(b"\x16\x03\x01").await,
        "the other end closed the connection without a word"
    );
}

#[tokio::test]
async fn a_client_without_certificate_is_refused() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let bare = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(witness())
        .with_no_client_auth();
    assert_eq!(
        call(&web, bare, &[b"h2"]).await,
        "T008 (caller) handshake of spiffe://shop.local/ns/default/sa/web with somebody unknown: a \
         certificate was expected, and none came"
    );
}

#[tokio::test]
async fn a_client_of_another_protocol_is_refused() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let why = "leno/1 or h2 was offered, and the peer does not speak it";
    let (none, other) = (client(&mesh), client(&mesh));
    let told = call(&web, other, &[b"http/1.1"]).await;
    assert!(told.ends_with(why), "{told}");
    assert_eq!(
        call(&web, none, &[]).await,
        format!(
            "T011 (caller) handshake of spiffe://shop.local/ns/default/sa/web with \
             spiffe://shop.local/ns/default/sa/cart: {why}"
        )
    );
}

#[tokio::test]
async fn a_server_without_protocol_is_refused() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let key = shown(&mesh, "cart");
    assert_eq!(
        answer(&mesh, &web, key).await,
        "T011 (caller) handshake of spiffe://shop.local/ns/default/sa/web with \
         spiffe://shop.local/ns/default/sa/cart: h2 was offered, and the peer does not speak it"
    );
}

#[tokio::test]
async fn a_certificate_is_worth_nothing_without_its_key() {
    let mesh = Mesh::new("shop.local");
    let web = mesh.process(&["web"]);
    let why = "TLS failed: invalid peer certificate: BadSignature";
    let stolen = || {
        let shown = shown(&mesh, "cart");
        let other = PrivateKeyDer::try_from(generate_key().secret().to_vec()).unwrap();
        let other = default_provider().key_provider.load_private_key(other);
        Shown(Arc::new(CertifiedKey::new(
            shown.0.cert.clone(),
            other.unwrap(),
        )))
    };
    let told = answer(&mesh, &web, stolen()).await;
    assert!(told.ends_with(why), "{told}");
    let told = call(&web, client_with(stolen()), &[b"h2"]).await;
    assert!(told.ends_with(why), "{told}");
}

/// A client that we did not write calls `server`; what the server says of it.
pub(crate) async fn call(server: &Keyring, mut client: ClientConfig, alpn: &[&[u8]]) -> String {
    client.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let (near, far) = duplex(64 * 1024);
    let name = peer_name(&server.identities()[0]);
    let connector = TlsConnector::from(Arc::new(client));
    let calling = connector.connect(ServerName::try_from(name).unwrap(), near);
    let (_called, accepted) = tokio::join!(calling, server.accept(far));
    told(accepted)
}

/// A server that we did not write answers `client`; what the client says of it.
pub(crate) async fn answer(mesh: &Mesh, client: &Keyring, shown: Shown) -> String {
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    let (near, far): (DuplexStream, DuplexStream) = duplex(64 * 1024);
    let (own, expected) = (mesh.id("web"), [mesh.id("cart")]);
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let calling = client.connect(near, &own, &expected, &[Alpn::Hbone]);
    let (connected, _accepted) = tokio::join!(calling, acceptor.accept(far));
    told(connected)
}

/// Believes every server that holds its key.
fn witness() -> Arc<KeyWitness> {
    KeyWitness::new(default_provider().signature_verification_algorithms)
}

fn client(mesh: &Mesh) -> ClientConfig {
    client_with(shown(mesh, "cart"))
}

pub(crate) fn client_with(shown: Shown) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(witness())
        .with_client_cert_resolver(Arc::new(shown))
}

fn shown(mesh: &Mesh, account: &str) -> Shown {
    let credential = mesh.credential(account, 3600);
    show(credential.chain(), credential.key().secret())
}

/// A chain, leaf first, and the key of its leaf in DER.
pub(crate) fn show(chain: &[Vec<u8>], key: &[u8]) -> Shown {
    let chain = chain.iter();
    let chain = chain.map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::try_from(key.to_vec()).unwrap();
    let key = default_provider().key_provider.load_private_key(key);
    Shown(Arc::new(CertifiedKey::new(chain, key.unwrap())))
}

#[derive(Clone, Debug)]
pub(crate) struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
