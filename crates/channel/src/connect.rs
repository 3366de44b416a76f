//! The client's side of a handshake.

use leno_identity::{Caller, Distrust, expect_peer};
use leno_model::SpiffeId;
use rustls::HandshakeKind;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    HANDSHAKE_LIMIT,
    alpn::Alpn,
    failure::{HandshakeFailure, WhyFailed},
    keyring::Keyring,
    proof::Proof,
    sni::server_name,
};

/// A stream whose server proved to be one of those who may answer.
#[derive(Debug)]
pub struct Connected<S> {
    /// The stream, at the first byte after the handshake. The server may still refuse us: its first
    /// read then fails, with a [`crate::Refusal`].
    pub stream: TlsStream<S>,
    /// Who answered. The connection must end no later than [`Caller::ends`].
    pub peer: Caller,
    /// What the peer proved itself with, to be judged again when trust changes.
    pub proof: Proof,
    /// What the server chose to speak of what it was offered.
    pub alpn: Alpn,
    /// Whether an earlier session was resumed. The peer was judged anew all the same.
    pub resumed: bool,
}

impl Keyring {
    /// Calls as `own`, offers `offered`, the preferred first, and nothing else, and takes an answer only from one of
    /// `expected`, the first of whom is asked for. Dropping the future breaks the connection off.
    pub async fn connect<S>(
        &self,
        stream: S,
        own: &SpiffeId,
        expected: &[SpiffeId],
        offered: &[Alpn],
    ) -> Result<Connected<S>, HandshakeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = Box::pin(self.connect_unhurried(stream, own, expected, offered));
        let result = timeout(HANDSHAKE_LIMIT, handshake).await;
        result
            .unwrap_or(Err(WhyFailed::Late))
            .map_err(|why| HandshakeFailure {
                own: Some(own.clone()),
                peer: why.claimed().or(expected.first()).cloned(),
                why,
            })
    }

    async fn connect_unhurried<S>(
        &self,
        stream: S,
        own: &SpiffeId,
        expected: &[SpiffeId],
        offered: &[Alpn],
    ) -> Result<Connected<S>, WhyFailed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let asked = expected.first().ok_or(WhyFailed::NobodyExpected)?;
        let own = self.own(own).ok_or(WhyFailed::NotHeld)?;
        let stream = TlsConnector::from(own.client())
            .with_alpn(offered.iter().copied().map(Alpn::wire).collect())
            .connect(server_name(asked), stream)
            .await
            .map_err(|error| WhyFailed::of_stream(error, offered))?;
        let (_, tls) = stream.get_ref();
        let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
        let proof = Proof::of(tls);
        let peer = self.judge_peer(&proof, expected).map_err(|distrust| {
            if resumed {
                own.forget_client_sessions();
            }
            WhyFailed::Distrusted(distrust)
        })?;
        let agreed = Alpn::agreed(tls.alpn_protocol()).filter(|alpn| offered.contains(alpn));
        let alpn = agreed.ok_or_else(|| WhyFailed::NoProtocol {
            offered: offered.to_vec(),
        })?;
        Ok(Connected {
            stream,
            peer,
            proof,
            alpn,
            resumed,
        })
    }

    fn judge_peer(&self, proof: &Proof, expected: &[SpiffeId]) -> Result<Caller, Distrust> {
        let peer = self.judge(proof)?;
        expect_peer(&peer, expected)?;
        Ok(peer)
    }
}
