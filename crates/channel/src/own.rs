//! The TLS state of one own identity: its certificate, how it calls, how it answers, and what it may
//! resume. Nothing of it is shared with another identity of the same process.

use std::sync::Arc;

use arc_swap::ArcSwap;
use leno_identity::{BadKey, Credential};
use leno_model::SpiffeId;
use rustls::{
    ClientConfig, ServerConfig, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, StoresServerSessions},
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{
    alpn::Alpn,
    basis::Basis,
    judge::{Judge, KeyWitness},
    sessions::Sessions,
};

/// The most sessions that a client remembers: eight for each of 128 peers.
const MOST_CLIENT_SESSIONS: usize = 8 * 128;

/// One identity with one credential. A renewed credential makes a new one, with no sessions.
#[derive(Debug)]
pub(crate) struct Own {
    id: SpiffeId,
    shown: Arc<Shown>,
    sessions: Arc<Sessions>,
    client: ArcSwap<ClientConfig>,
}

impl Own {
    pub(crate) fn new(credential: &Credential, basis: &Basis) -> Result<Self, BadKey> {
        let shown = Arc::new(Shown::new(credential, basis)?);
        let sessions = Sessions::new(basis.clock.clone(), credential.validity().ends);
        let client = client_config(basis, Arc::clone(&shown));
        Ok(Self {
            id: credential.id().clone(),
            shown,
            sessions: Arc::new(sessions),
            client: ArcSwap::from_pointee(client),
        })
    }

    /// Who it is.
    pub(crate) fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// How it calls.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client.load_full()
    }

    /// What it shows.
    pub(crate) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Forgets what it could resume as a client.
    pub(crate) fn forget_client_sessions(&self) {
        let mut client = ClientConfig::clone(&self.client.load());
        client.resumption = client_sessions();
        self.client.store(Arc::new(client));
    }

    /// How it answers, in one handshake.
    pub(crate) fn server(&self, basis: &Basis, judge: Arc<Judge>) -> Arc<ServerConfig> {
        let shown = Arc::clone(&self.shown);
        server_config(basis, judge, shown, Arc::clone(&self.sessions) as _)
    }
}

/// How a process answers a client that asks for somebody who is not here: it says so, in an alert.
pub(crate) fn nobody(basis: &Basis, judge: Arc<Judge>) -> Arc<ServerConfig> {
    let shown = Arc::new(Shown(None));
    server_config(basis, judge, shown, Arc::new(NoServerSessionStorage {}))
}

fn client_config(basis: &Basis, shown: Arc<Shown>) -> ClientConfig {
    let clock = Arc::new(basis.clock.clone());
    let witness = KeyWitness::new(basis.algorithms());
    let builder = ClientConfig::builder_with_details(Arc::clone(&basis.provider), clock);
    let mut config = builder
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has suites of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(witness)
        .with_client_cert_resolver(shown);
    config.resumption = client_sessions();
    config
}

fn client_sessions() -> Resumption {
    Resumption::in_memory_sessions(MOST_CLIENT_SESSIONS)
}

fn server_config(
    basis: &Basis,
    judge: Arc<Judge>,
    shown: Arc<Shown>,
    sessions: Arc<dyn StoresServerSessions>,
) -> Arc<ServerConfig> {
    let clock = Arc::new(basis.clock.clone());
    let builder = ServerConfig::builder_with_details(Arc::clone(&basis.provider), clock);
    let mut config = builder
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has suites of TLS 1.3")
        .with_client_cert_verifier(judge)
        .with_cert_resolver(shown);
    config.alpn_protocols = Alpn::ALL.map(Alpn::wire).to_vec();
    config.session_storage = sessions;
    config.send_tls13_tickets = 1;
    Arc::new(config)
}

/// The certificate that is shown, to servers and clients alike; `None` shows nothing.
#[derive(Debug)]
pub(crate) struct Shown(Option<Arc<CertifiedKey>>);

impl Shown {
    fn new(credential: &Credential, basis: &Basis) -> Result<Self, BadKey> {
        let chain = credential.chain().iter();
        let chain = chain.map(|der| CertificateDer::from(der.clone())).collect();
        let secret = credential.key().secret().to_vec();
        let secret = PrivateKeyDer::try_from(secret).map_err(|_| BadKey::Unreadable)?;
        let certified = CertifiedKey::from_der(chain, secret, &basis.provider);
        let certified = certified.map_err(|_| BadKey::Unreadable)?;
        Ok(Self(Some(Arc::new(certified))))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
