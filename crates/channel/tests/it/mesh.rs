//! A mesh of one CA and one clock, whose hands the test moves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use leno_channel::{
    Accepted, Alpn, Clock, Connected, HandshakeFailure, Keyring, Refusal, generate_key,
};
use leno_identity::{Credential, INTERMEDIATE_LIFE, Intermediate, Key, ROOT_LIFE, Root, Trust};
use leno_model::{Dice, SpiffeId, TrustDomain, Wall};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
};

/// 2026-11-20T10:00:00Z.
pub(crate) const NOW: u64 = 1_795_168_800;

pub(crate) const HOUR: u64 = 3600;

pub(crate) struct Mesh {
    domain: TrustDomain,
    seconds: Arc<AtomicU64>,
    dice: Mutex<Dice>,
    root: Root,
    intermediate: Intermediate,
    intermediate_key: Key,
}

impl Mesh {
    pub(crate) fn new(domain: &str) -> Self {
        let mut dice = Dice::new(7);
        let now = Wall::since_epoch(Duration::from_secs(NOW));
        let domain = TrustDomain::new(domain).unwrap();
        let root = Root::establish(&domain, generate_key(), ROOT_LIFE, now, &mut dice).unwrap();
        let key = generate_key();
        let certificate = root
            .sign_intermediate(&key.public(), INTERMEDIATE_LIFE, now, &mut dice)
            .unwrap();
        Self {
            domain,
            seconds: Arc::new(AtomicU64::new(NOW)),
            dice: Mutex::new(dice),
            root,
            intermediate: Intermediate::restore(certificate, key.clone()).unwrap(),
            intermediate_key: key,
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.seconds);
        Clock::new(move || Wall::since_epoch(Duration::from_secs(seconds.load(Ordering::Relaxed))))
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn root(&self) -> &[u8] {
        self.root.certificate()
    }

    /// The identity of this service account.
    pub(crate) fn id(&self, account: &str) -> SpiffeId {
        let domain = &self.domain;
        SpiffeId::parse(&format!("spiffe://{domain}/ns/default/sa/{account}")).unwrap()
    }

    /// A credential that stands for so many seconds from here on.
    pub(crate) fn credential(&self, account: &str, seconds: u64) -> Credential {
        let (key, id) = (generate_key(), self.id(account));
        let (life, now) = (Duration::from_secs(seconds), self.clock().now());
        let mut dice = self.dice.lock().unwrap();
        let signed = self
            .intermediate
            .sign_leaf(&key.public(), &id, life, now, &mut dice);
        Credential::new(signed.unwrap(), key).unwrap()
    }

    /// A chain whose leaf is `params`, for this key, whatever the rules of the CA.
    pub(crate) fn sign_anything(&self, params: &CertificateParams, key: &KeyPair) -> Vec<Vec<u8>> {
        let secret = self.intermediate_key.secret().to_vec();
        let secret = PrivatePkcs8KeyDer::from(secret);
        let pair = KeyPair::try_from(&secret).unwrap();
        let above = self.intermediate.certificate();
        let issuer = Issuer::from_ca_cert_der(&above.into(), pair).unwrap();
        let leaf = params.signed_by(key, &issuer).unwrap();
        vec![leaf.der().to_vec(), above.to_vec()]
    }

    /// What the members of this mesh judge by.
    pub(crate) fn trust(&self, revoked: &[&str]) -> Arc<Trust> {
        let roots = Arc::new(vec![self.root.certificate().to_vec()]);
        let bundles = BTreeMap::from([(self.domain.clone(), roots)]);
        let revoked: BTreeSet<_> = revoked.iter().map(|account| self.id(account)).collect();
        let (trust, bad) = Trust::new(&bundles, Arc::new(revoked));
        assert_eq!(bad, []);
        Arc::new(trust)
    }

    /// A process with these identities, each for a day.
    pub(crate) fn process(&self, accounts: &[&str]) -> Keyring {
        let keyring = Keyring::new(self.clock());
        for account in accounts {
            let credential = self.credential(account, 24 * HOUR);
            keyring.install(&credential).unwrap();
        }
        keyring.judge_by(self.trust(&[]));
        keyring
    }
}

pub(crate) type Met<S> = (
    Result<Connected<S>, HandshakeFailure>,
    Result<Accepted<S>, HandshakeFailure>,
);

/// One process calls another over a pipe.
pub(crate) async fn meet(
    client: &Keyring,
    server: &Keyring,
    own: &SpiffeId,
    expected: &[SpiffeId],
) -> Met<DuplexStream> {
    let (near, far) = duplex(64 * 1024);
    tokio::join!(
        client.connect(near, own, expected, &[Alpn::Hbone]),
        server.accept(far)
    )
}

/// One process calls another over sockets of the loopback. A server whose client turns away at once
/// still finishes its side: the last that it sends goes into the socket.
pub(crate) async fn meet_over_sockets(
    client: &Keyring,
    server: &Keyring,
    own: &SpiffeId,
    expected: &[SpiffeId],
    alpn: Alpn,
) -> Met<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (far, _) = far.unwrap();
    let offered = [alpn];
    tokio::join!(
        client.connect(near.unwrap(), own, expected, &offered),
        server.accept(far)
    )
}

/// Calls, greets both ways, and says of both sides whether the session was resumed.
pub(crate) async fn greet(
    client: &Keyring,
    server: &Keyring,
    own: &SpiffeId,
    expected: &SpiffeId,
) -> bool {
    let expected = std::slice::from_ref(expected);
    let (connected, accepted) = meet(client, server, own, expected).await;
    let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
    assert_eq!(accepted.caller.id(), own);
    assert_eq!(connected.peer.id(), &expected[0]);
    assert_eq!(connected.resumed, accepted.resumed);
    exchange(&mut connected.stream, &mut accepted.stream).await;
    connected.resumed
}

pub(crate) async fn exchange(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
) {
    client.write_all(b"ping").await.unwrap();
    client.flush().await.unwrap();
    let mut heard = [0; 4];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"ping");
    server.write_all(b"pong").await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"pong");
}

/// What a client finds when it first reads.
pub(crate) async fn refusal(mut connected: Connected<DuplexStream>) -> Option<Refusal> {
    let error = connected.stream.read_u8().await.unwrap_err();
    Refusal::find(&error)
}

/// A failure in one line: `CODE (fault) TEXT`.
pub(crate) fn told<T>(result: Result<T, HandshakeFailure>) -> String {
    match result {
        Ok(_) => "nothing failed".to_owned(),
        Err(failure) => format!("{} ({}) {failure}", failure.code(), failure.fault()),
    }
}
