//! The client's side of a handshake with a server that is not of the mesh: it proves its host name
//! by roots that are given, and nobody here proves anything.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
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
        let time = Arc::new(basis.clock.clone());
        let config = ClientConfig::builder_with_details(basis.provider, time)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has suites of TLS 1.3")
            .with_webpki_verifier(verifier)
            .with_no_client_auth();
        Some(Self(Arc::new(config)))
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
