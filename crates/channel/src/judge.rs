//! What rustls asks during a handshake. The signature that proves the key is checked here; who the
//! peer is, is for `leno_identity::verify` alone.

use std::sync::{Arc, OnceLock};

use leno_identity::{Caller, Distrust, Trust, verify};
use leno_model::{SpiffeId, Wall};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

/// Judges the client of one handshake while it goes on, so that the client is told why it is
/// refused, and keeps the verdict. A resumed handshake shows no certificate and asks nothing.
#[derive(Debug)]
pub(crate) struct Judge {
    trust: Arc<Trust>,
    now: Wall,
    algorithms: WebPkiSupportedAlgorithms,
    verdict: OnceLock<Result<Caller, Distrust>>,
}

impl Judge {
    pub(crate) fn new(
        trust: Arc<Trust>,
        now: Wall,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Arc<Self> {
        Arc::new(Self {
            trust,
            now,
            algorithms,
            verdict: OnceLock::new(),
        })
    }

    /// What was decided, if anything was asked.
    pub(crate) fn verdict(&self) -> Option<&Result<Caller, Distrust>> {
        self.verdict.get()
    }

    /// Who the client is, if that was asked and proven.
    pub(crate) fn proven(&self) -> Option<&SpiffeId> {
        self.verdict()?.as_ref().ok().map(Caller::id)
    }

    /// Whether `trust` is what it judges by, and not a later one.
    pub(crate) fn judges_by(&self, trust: &Arc<Trust>) -> bool {
        Arc::ptr_eq(&self.trust, trust)
    }
}

impl ClientCertVerifier for Judge {
    /// No authority is hinted at: a client has one certificate for each identity.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut chain = vec![end_entity.as_ref()];
        chain.extend(intermediates.iter().map(AsRef::as_ref));
        let verdict = self
            .verdict
            .get_or_init(|| verify(&chain, &self.trust, self.now));
        match verdict {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(distrust) => Err(told(distrust)),
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

/// What a client is told, in the words that TLS has for it (RFC 8446 section 6.2).
fn told(distrust: &Distrust) -> Error {
    let error = match distrust {
        Distrust::NoCertificate => return Error::NoCertificatesPresented,
        Distrust::Expired { .. } => CertificateError::Expired,
        Distrust::NotYetValid { .. } => CertificateError::NotValidYet,
        Distrust::ForeignTrustDomain { .. } | Distrust::UnknownAuthority { .. } => {
            CertificateError::UnknownIssuer
        }
        Distrust::MalformedIdentity { .. } => CertificateError::BadEncoding,
        Distrust::NotFit { .. } | Distrust::ChainTooLong { .. } => CertificateError::InvalidPurpose,
        Distrust::Revoked { .. } => CertificateError::Revoked,
        Distrust::Person { .. } | Distrust::UnexpectedPeer { .. } => {
            CertificateError::ApplicationVerificationFailure
        }
    };
    error.into()
}

/// Checks that a server holds the key of the certificate it shows, and leaves everything else to
/// whoever called, who must judge the chain once the handshake is done.
///
/// rustls resumes a session only with the very verifier that saw it begin, so that there is one for
/// each client configuration, and it cannot know one handshake from another.
#[derive(Debug)]
pub struct KeyWitness(WebPkiSupportedAlgorithms);

impl KeyWitness {
    /// Takes keys that sign by one of `algorithms`.
    pub fn new(algorithms: WebPkiSupportedAlgorithms) -> Arc<Self> {
        Arc::new(Self(algorithms))
    }
}

impl ServerCertVerifier for KeyWitness {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
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
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
