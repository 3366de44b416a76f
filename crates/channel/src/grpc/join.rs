//! The client's side of a handshake without a certificate: before it has one, all it knows is the
//! fingerprint of the one root that may vouch for the server; after it has ended, the roots.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use leno_identity::{Caller, Distrust, Trust, expect_peer, verify};
use leno_model::SpiffeId;
use rustls::{ClientConfig, client::Resumption, pki_types::CertificateDer, version::TLS13};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    HANDSHAKE_LIMIT,
    alpn::Alpn,
    basis::Basis,
    clock::Clock,
    failure::{HandshakeFailure, WhyFailed},
    judge::KeyWitness,
    sni::server_name,
};

/// A stream whose server proved to be the one that was expected.
#[derive(Debug)]
pub struct Joining<S> {
    /// The stream, at the first byte after the handshake.
    pub stream: TlsStream<S>,
    /// Who answered.
    pub peer: Caller,
}

/// What proves a server to a client that shows nothing.
#[derive(Clone, Copy, Debug)]
pub enum Proven<'a> {
    /// A chain that the server sends whole, with a root of this SHA-256 fingerprint.
    ByFingerprint(&'a [u8; 32]),
    /// A chain to one of these roots.
    ByTrust(&'a Trust),
}

/// Calls as nobody, and takes an answer only from `expected`, proven so.
pub async fn join<S>(
    stream: S,
    clock: Clock,
    proven: Proven<'_>,
    expected: &SpiffeId,
) -> Result<Joining<S>, HandshakeFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = Box::pin(join_unhurried(stream, clock, proven, expected));
    let result = timeout(HANDSHAKE_LIMIT, handshake).await;
    result
        .unwrap_or(Err(WhyFailed::Late))
        .map_err(|why| HandshakeFailure {
            own: None,
            peer: Some(expected.clone()),
            why,
        })
}

async fn join_unhurried<S>(
    stream: S,
    clock: Clock,
    proven: Proven<'_>,
    expected: &SpiffeId,
) -> Result<Joining<S>, WhyFailed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let basis = Basis::new(clock);
    let witness = KeyWitness::new(basis.algorithms());
    let time = Arc::new(basis.clock.clone());
    let builder = ClientConfig::builder_with_details(Arc::clone(&basis.provider), time);
    let mut config = builder
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has suites of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(witness)
        .with_no_client_auth();
    config.alpn_protocols = vec![Alpn::Hbone.wire()];
    config.resumption = Resumption::disabled();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(server_name(expected), stream)
        .await
        .map_err(|error| WhyFailed::of_stream(error, &[Alpn::Hbone]))?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = judge(chain, proven, expected, &basis.clock).map_err(WhyFailed::Distrusted)?;
    Ok(Joining { stream, peer })
}

fn judge(
    chain: &[CertificateDer<'_>],
    proven: Proven<'_>,
    expected: &SpiffeId,
    clock: &Clock,
) -> Result<Caller, Distrust> {
    let peer = match proven {
        Proven::ByTrust(trust) => verify(chain, trust, clock.now())?,
        Proven::ByFingerprint(fingerprint) => {
            let pinned = |der: &&CertificateDer<'_>| digest(&SHA256, der).as_ref() == fingerprint;
            let root = chain.iter().find(pinned);
            let root = root.ok_or_else(|| Distrust::UnknownAuthority {
                id: expected.clone(),
            })?;
            let roots = Arc::new(vec![root.to_vec()]);
            let bundles = [(expected.trust_domain.clone(), roots)].into();
            let (trust, _) = Trust::new(&bundles, Arc::default());
            verify(chain, &trust, clock.now())?
        }
    };
    expect_peer(&peer, std::slice::from_ref(expected))?;
    Ok(peer)
}
