//! What every handshake of a process rests on: its clock and its cryptography.

use std::sync::Arc;

use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms,
    aws_lc_rs::{
        default_provider,
        kx_group::{SECP256R1, X25519, X25519MLKEM768},
    },
};

use crate::clock::Clock;

/// The clock and the cryptography.
#[derive(Debug)]
pub(crate) struct Basis {
    pub(crate) clock: Clock,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl Basis {
    /// aws-lc, with the key exchange that a quantum computer does not undo before the others.
    pub(crate) fn new(clock: Clock) -> Self {
        let provider = CryptoProvider {
            kx_groups: vec![X25519MLKEM768, X25519, SECP256R1],
            ..default_provider()
        };
        Self {
            clock,
            provider: Arc::new(provider),
        }
    }

    /// How a peer may sign to prove its key.
    pub(crate) fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.provider.signature_verification_algorithms
    }
}
