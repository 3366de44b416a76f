//! Seals: signatures by which something that was kept for later proves where it came from.

use alloc::vec::Vec;

use leno_model::{Code, Wall};
use rcgen::SigningKey;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::{EndEntityCert, aws_lc_rs as algorithm};

use crate::{
    authority::CannotSign,
    credential::Credential,
    distrust::Distrust,
    trust::Trust,
    verify::{Caller, verify},
};

/// What no other signature by such a key begins with.
const CONTEXT: &[u8] = b"leno seal 1\0";

/// A signature over bytes, with who made it and when.
///
/// Its chain is judged as of that moment: what was sealed is proven for longer than the certificate
/// of its signer lasts. The price is that a key that leaks after its end can still seal for before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seal {
    /// The signer's certificates in DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// When it was made, in whole milliseconds.
    pub at: Wall,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Credential {
    /// Seals `bytes` at this moment.
    pub fn seal(&self, bytes: &[u8], now: Wall) -> Result<Seal, CannotSign> {
        let mut seal = Seal {
            chain: self.chain().to_vec(),
            at: now,
            signature: Vec::new(),
        };
        let signed = self.key().pair().sign(&seal.signed(bytes));
        seal.signature = signed.map_err(CannotSign::of)?;
        Ok(seal)
    }
}

impl Seal {
    /// Says who sealed `bytes`, if somebody whom `trust` proves has sealed just these.
    pub fn verify(&self, bytes: &[u8], trust: &Trust) -> Result<Caller, BrokenSeal> {
        let signer = verify(&self.chain, trust, self.at)?;
        let leaf = self.chain.first().map(Vec::as_slice).unwrap_or_default();
        let leaf = CertificateDer::from(leaf);
        let leaf = EndEntityCert::try_from(&leaf).map_err(|_| BrokenSeal::Signature)?;
        let signed = self.signed(bytes);
        let holds = |algorithm: &&dyn SignatureVerificationAlgorithm| {
            let verified = leaf.verify_signature(*algorithm, &signed, &self.signature);
            verified.is_ok()
        };
        match ALGORITHMS.iter().any(holds) {
            true => Ok(signer),
            false => Err(BrokenSeal::Signature),
        }
    }

    /// What the signature is over: all of the seal but itself, too.
    fn signed(&self, bytes: &[u8]) -> Vec<u8> {
        let millis = self.at.elapsed_since_epoch().as_millis();
        let mut signed = Vec::from(CONTEXT);
        signed.extend(millis.to_be_bytes());
        for part in self.chain.iter().map(Vec::as_slice).chain([bytes]) {
            signed.extend((part.len() as u64).to_be_bytes());
            signed.extend(part);
        }
        signed
    }
}

/// One for each kind of [`crate::Key`].
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithm::ECDSA_P256_SHA256,
    algorithm::ECDSA_P384_SHA384,
    algorithm::ED25519,
];

/// Why a seal proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenSeal {
    /// Its signer proves nobody.
    #[error("whoever signed it is not believed: {0}")]
    Signer(#[from] Distrust),
    /// The signature is not over these bytes.
    #[error("the signature does not fit: it was changed after it was signed")]
    Signature,
}

impl BrokenSeal {
    /// The code of every such finding about a kept view.
    pub fn code(&self) -> Code {
        Code::T014
    }
}
