//! What a peer proved itself with, kept for as long as its connection lives: what is trusted may
//! change meanwhile.

use leno_identity::{Caller, Distrust, Fingerprint, verify};
use rustls::{CommonState, pki_types::CertificateDer};

use crate::keyring::Keyring;

/// The chain of a peer, whose key the handshake has proven.
#[derive(Clone, Debug)]
pub struct Proof(Vec<CertificateDer<'static>>);

impl Proof {
    /// The chain of this handshake, or of the one that it resumed.
    pub(crate) fn of(tls: &CommonState) -> Self {
        Self(tls.peer_certificates().unwrap_or_default().to_vec())
    }

    /// What tells the peer's own certificate from others; `None` if it showed none.
    pub fn leaf(&self) -> Option<Fingerprint> {
        self.0.first().map(|leaf| Fingerprint::of(leaf))
    }
}

impl Keyring {
    /// Judges a peer by what is trusted at this moment. To be asked of every open connection when
    /// trust has changed: one whose peer is believed no more must be cut.
    pub fn judge(&self, proof: &Proof) -> Result<Caller, Distrust> {
        verify(&proof.0, &self.trust(), self.basis.clock.now())
    }
}
