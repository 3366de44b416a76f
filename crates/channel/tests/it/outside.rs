//! Servers outside the mesh, as a client of theirs meets them.

use std::sync::Arc;

use leno_channel::{Clocks, Roots};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::TlsAcceptor;

/// Somebody who signs certificates of servers.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn root(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// A server of this name, whose certificate is changed so before it is signed.
    fn server(&self, name: &str, change: impl Fn(&mut CertificateParams)) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut config = ServerConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What comes of a call to `host` at this server: what it says, or why it is not heard.
async fn call(roots: &[Vec<u8>], host: &str, server: TlsAcceptor) -> String {
    let (near, far) = duplex(64 * 1024);
    let serving = tokio::spawn(async move {
        if let Ok(mut stream) = server.accept(far).await {
            drop(stream.write_all(b"hello").await);
            drop(stream.shutdown().await);
        }
    });
    let roots = Roots::new(Clocks::start().clock(), roots.to_vec()).expect("a root is usable");
    let told = match roots.connect(near, host, b"http/1.1").await {
        Ok(mut stream) => {
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            said
        }
        Err(why) => why.to_string(),
    };
    serving.await.unwrap();
    told
}

#[tokio::test]
async fn a_server_is_believed_by_a_root_a_name_and_its_time() {
    let (ca, other) = (Ca::new("one"), Ca::new("other"));
    let ended = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(3000, 1, 1);
    for (host, server, expect) in [
        ("id.example", ca.server("id.example", |_| {}), "hello"),
        ("api.id.example", ca.server("*.id.example", |_| {}), "hello"),
        ("127.0.0.1", ca.server("127.0.0.1", |_| {}), "hello"),
        (
            "id.example",
            other.server("id.example", |_| {}),
            "no root that is trusted leads to its certificate",
        ),
        (
            "id.example",
            ca.server("evil.example", |_| {}),
            "not valid for name",
        ),
        (
            "a.b.id.example",
            ca.server("*.id.example", |_| {}),
            "not valid for name",
        ),
        ("id.example", ca.server("id.example", ended), "expired"),
        (
            "id.example",
            ca.server("id.example", early),
            "not valid yet",
        ),
    ] {
        let told = call(&[ca.root()], host, server).await;
        assert!(told.contains(expect), "{host}: {told}");
    }
}

#[tokio::test]
async fn who_answers_in_plain_is_no_server_of_tls() {
    let (near, mut far) = duplex(1024);
    let serving = tokio::spawn(async move {
        drop(far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        let mut heard = Vec::new();
        drop(far.read_to_end(&mut heard).await);
    });
    let roots = Roots::new(Clocks::start().clock(), vec![Ca::new("one").root()]).unwrap();
    let failed = roots.connect(near, "id.example", b"http/1.1").await;
    assert!(failed.unwrap_err().to_string().starts_with("TLS failed: "));
    serving.await.unwrap();
}

#[test]
fn what_is_no_certificate_is_no_root() {
    let clock = Clocks::start().clock();
    assert!(Roots::new(clock.clone(), vec![]).is_none());
    assert!(Roots::new(clock, vec![b"root".to_vec()]).is_none());
}
