//! The client's side of a handshake with a server that is not of the mesh: it proves its host name
//! by roots that are given, or one identity of another trust domain, and nobody here proves anything.

use std::sync::Arc;

use leno_identity::{Key, Trust, verify_endpoint};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, PeerIncompatible,
    RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{HANDSHAKE_LIMIT, basis::Basis, clock::Clock, failure::WhyFailed};

/// Who may prove servers outside the mesh.
#[derive(Clone, Debug)]
pub struct Roots(Arc<ClientConfig>);

impl Roots {
    /// Each root is an X.509 certificate in DER. `None` if none of them can be used.
    pub fn new(clock: Clock, roots: Vec<Vec<u8>>) -> Option<Self> {
        let basis = Basis::new(clock);
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.into_iter().map(CertificateDer::from));
        let provider = Arc::clone(&basis.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(store.into(), provider)
            .build()
            .ok()?;
        Some(Self::by(basis, verifier))
    }

    /// Whoever proves to be `id`, a SPIFFE ID, by what `trust` holds of its trust domain, whatever its host is
    /// called.
    pub fn of_identity(clock: Clock, trust: Arc<Trust>, id: Arc<str>) -> Self {
        let basis = Basis::new(clock);
        let verifier = OneIdentity {
            id,
            trust,
            clock: basis.clock.clone(),
            algorithms: basis.algorithms(),
        };
        Self::by(basis, Arc::new(verifier))
    }

    fn by(basis: Basis, verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let time = Arc::new(basis.clock.clone());
        let config = ClientConfig::builder_with_details(basis.provider, time)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has suites of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Self(Arc::new(config))
    }

    /// The same, which shows these certificates (in DER, its own first) to servers that ask who this is.
    pub fn showing(self, chain: &[Vec<u8>], key: &Key) -> Result<Self, Error> {
        let mut config = ClientConfig::clone(&self.0);
        let chain = chain.iter().cloned().map(CertificateDer::from).collect();
        let secret = PrivateKeyDer::try_from(key.secret().to_vec());
        let secret = secret.map_err(|why| Error::General(why.to_owned()))?;
        let certified = CertifiedKey::from_der(chain, secret, config.crypto_provider())?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        Ok(Self(Arc::new(config)))
    }

    /// A stream to `host`, which proved to be it, over which `protocol` is spoken.
    pub async fn connect<S>(
        &self,
        stream: S,
        host: &str,
        protocol: &[u8],
    ) -> Result<TlsStream<S>, WhyFailed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| WhyFailed::NobodyExpected)?;
        let handshake = TlsConnector::from(Arc::clone(&self.0))
            .with_alpn(vec![protocol.to_vec()])
            .connect(name, stream);
        let stream = timeout(HANDSHAKE_LIMIT, handshake).await;
        let stream = stream.map_err(|_| WhyFailed::Late)?;
        stream.map_err(|error| WhyFailed::of_stream(error, &[]))
    }
}

/// Takes a server that proves to be one identity, and nobody else.
#[derive(Debug)]
struct OneIdentity {
    id: Arc<str>,
    trust: Arc<Trust>,
    clock: Clock,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OneIdentity {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut chain = vec![end_entity.as_ref()];
        chain.extend(intermediates.iter().map(AsRef::as_ref));
        match verify_endpoint(&chain, &self.id, &self.trust, self.clock.now()) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(why) => {
                let why = OtherError(Arc::new(why));
                Err(Error::InvalidCertificate(CertificateError::Other(why)))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
