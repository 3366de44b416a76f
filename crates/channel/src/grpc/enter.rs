//! The server's side of a handshake with a client that may have no certificate yet.

use std::sync::Arc;

use leno_identity::{Caller, Distrust};
use leno_model::SpiffeId;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::NoServerSessionStorage,
    server::danger::{ClientCertVerified, ClientCertVerifier},
    version::TLS13,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    HANDSHAKE_LIMIT,
    alpn::Alpn,
    failure::{HandshakeFailure, WhyFailed},
    judge::Judge,
    keyring::Keyring,
    proof::Proof,
};

/// A stream of a client that proved who it is, or showed nothing at all.
#[derive(Debug)]
pub struct Entered<S> {
    /// The stream, at the first byte after the handshake.
    pub stream: TlsStream<S>,
    /// Who it is, and what it proved that with. The connection must end no later than
    /// [`Caller::ends`]. `None`: it showed no certificate, and may do nothing but join.
    pub caller: Option<(Caller, Proof)>,
    /// Whether it speaks HTTP/1.1: that or nothing was agreed on, and not HTTP/2.
    pub is_web: bool,
}

impl Keyring {
    /// Takes a client's handshake as `own`. A client that shows a certificate is judged as by
    /// [`Self::accept`], and one that is not believed is refused. Nothing is ever resumed.
    pub async fn enter<S>(&self, stream: S, own: &SpiffeId) -> Result<Entered<S>, HandshakeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let failure = |why: WhyFailed| HandshakeFailure {
            own: Some(own.clone()),
            peer: why.claimed().cloned(),
            why,
        };
        let held = self.own(own).ok_or_else(|| failure(WhyFailed::NotHeld))?;
        let basis = &self.basis;
        let judge = Judge::new(self.trust(), basis.clock.now(), basis.algorithms());
        let clock = Arc::new(basis.clock.clone());
        let builder = ServerConfig::builder_with_details(Arc::clone(&basis.provider), clock);
        let mut config = builder
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has suites of TLS 1.3")
            .with_client_cert_verifier(Arc::new(IfAny(Arc::clone(&judge))))
            .with_cert_resolver(held.shown());
        // Who takes both is no client of gRPC.
        config.alpn_protocols = vec![WEB.to_vec(), Alpn::Hbone.wire()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let handshake = TlsAcceptor::from(Arc::new(config)).accept(stream);
        let stream = timeout(HANDSHAKE_LIMIT, handshake).await;
        let stream = stream.map_err(|_| failure(WhyFailed::Late))?;
        let stream = stream.map_err(|error| {
            failure(match judge.verdict() {
                Some(Err(distrust)) => WhyFailed::Distrusted(distrust.clone()),
                Some(Ok(_)) | None => WhyFailed::of_stream(error, &[Alpn::Hbone]),
            })
        })?;
        let proof = Proof::of(stream.get_ref().1);
        // Judged again, as trust may have been replaced meanwhile.
        let caller = match self.judge(&proof) {
            Ok(caller) => Some((caller, proof)),
            Err(Distrust::NoCertificate) => None,
            Err(distrust) => return Err(failure(WhyFailed::Distrusted(distrust))),
        };
        let agreed = Alpn::agreed(stream.get_ref().1.alpn_protocol());
        Ok(Entered {
            stream,
            caller,
            is_web: agreed.is_none(),
        })
    }
}

/// HTTP/1.1 (RFC 7301 section 6).
const WEB: &[u8] = b"http/1.1";

/// Judges the certificate of a client that shows one.
#[derive(Debug)]
struct IfAny(Arc<Judge>);

impl ClientCertVerifier for IfAny {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
