//! The server's side of a handshake.

use std::sync::Arc;

use leno_identity::{Caller, Distrust};
use leno_model::SpiffeId;
use rustls::{HandshakeKind, server::Acceptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use crate::{
    HANDSHAKE_LIMIT,
    alpn::Alpn,
    failure::{HandshakeFailure, WhyFailed},
    judge::Judge,
    keyring::Keyring,
    own,
    proof::Proof,
};

/// A stream whose client proved who it is.
#[derive(Debug)]
pub struct Accepted<S> {
    /// The stream, at the first byte after the handshake.
    pub stream: TlsStream<S>,
    /// Who called. The connection must end no later than [`Caller::ends`].
    pub caller: Caller,
    /// Which of our identities answered: what comes in may only be for workloads that have it.
    pub own: SpiffeId,
    /// What the caller proved itself with, to be judged again when trust changes.
    pub proof: Proof,
    /// What is spoken.
    pub alpn: Alpn,
    /// Whether an earlier session was resumed. The caller was judged anew all the same.
    pub resumed: bool,
}

impl Keyring {
    /// Takes a client's handshake as the identity that the client asks for, and judges the client.
    /// Dropping the future breaks the connection off.
    pub async fn accept<S>(&self, stream: S) -> Result<Accepted<S>, HandshakeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = Box::pin(self.accept_unhurried(stream));
        let result = timeout(HANDSHAKE_LIMIT, handshake).await;
        result.unwrap_or(Err(anonymous(WhyFailed::Late)))
    }

    async fn accept_unhurried<S>(&self, stream: S) -> Result<Accepted<S>, HandshakeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let basis = &self.basis;
        let judge = Judge::new(self.trust(), basis.clock.now(), basis.algorithms());
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
            .await
            .map_err(|error| anonymous(WhyFailed::of_stream(error, &Alpn::ALL)))?;
        let asked = start.client_hello().server_name().map(str::to_owned);
        let Some(own) = self.asked_for(asked.as_deref()) else {
            drop(start.into_stream(own::nobody(basis, judge)).await);
            return Err(anonymous(WhyFailed::NotHere { asked }));
        };
        let failed = |why: WhyFailed| HandshakeFailure {
            own: Some(own.id().clone()),
            peer: judge.proven().or(why.claimed()).cloned(),
            why,
        };
        let config = own.server(basis, Arc::clone(&judge));
        let stream = start.into_stream(config).await.map_err(|error| {
            failed(match judge.verdict() {
                Some(Err(distrust)) => WhyFailed::Distrusted(distrust.clone()),
                Some(Ok(_)) | None => WhyFailed::of_stream(error, &Alpn::ALL),
            })
        })?;
        let (_, tls) = stream.get_ref();
        let proof = Proof::of(tls);
        let caller = self.caller(&judge, &proof);
        let caller = caller.map_err(|distrust| failed(WhyFailed::Distrusted(distrust)))?;
        let alpn = Alpn::agreed(tls.alpn_protocol()).ok_or_else(|| {
            let offered = Alpn::ALL.to_vec();
            failed(WhyFailed::NoProtocol { offered })
        })?;
        let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok(Accepted {
            stream,
            caller,
            own: own.id().clone(),
            proof,
            alpn,
            resumed,
        })
    }

    /// Takes the verdict of this very handshake. A resumed one has none, and trust may have been
    /// replaced meanwhile: then the chain is judged again.
    fn caller(&self, judge: &Judge, proof: &Proof) -> Result<Caller, Distrust> {
        match judge.verdict() {
            Some(verdict) if judge.judges_by(&self.trust()) => verdict.clone(),
            Some(_) | None => self.judge(proof),
        }
    }
}

/// A failure before anybody is known.
fn anonymous(why: WhyFailed) -> HandshakeFailure {
    HandshakeFailure {
        own: None,
        peer: None,
        why,
    }
}
