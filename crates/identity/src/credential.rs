//! What an identity proves itself with: its key and the chain that vouches for it.

use alloc::vec::Vec;

use leno_model::SpiffeId;

use crate::{
    certificate::{BadIdentity, Certificate, Unfit, Validity},
    key::{Key, PublicKey},
    verify::LONGEST_CHAIN,
};

/// A key with the certificates that vouch for it. Whether others believe them is theirs to judge.
#[derive(Clone, Debug)]
pub struct Credential {
    id: SpiffeId,
    validity: Validity,
    chain: Vec<Vec<u8>>,
    key: Key,
}

impl Credential {
    /// Puts together a `chain` of DER certificates, leaf first and without the root, and the leaf's
    /// `key`. Fails if they do not belong together, or the leaf names no identity.
    pub fn new(chain: Vec<Vec<u8>>, key: Key) -> Result<Self, BadCredential> {
        let leaf = chain.first().ok_or(BadCredential::Empty)?;
        if chain.len() > LONGEST_CHAIN {
            return Err(BadCredential::TooLong { came: chain.len() });
        }
        let leaf = Certificate::read(leaf).map_err(BadCredential::Leaf)?;
        leaf.check_leaf().map_err(BadCredential::Leaf)?;
        if PublicKey::read(leaf.public_key()).as_ref() != Ok(&key.public()) {
            return Err(BadCredential::OtherKey);
        }
        let id = leaf.identity().map_err(BadCredential::Identity)?;
        let validity = leaf.validity();
        Ok(Self {
            id,
            validity,
            chain,
            key,
        })
    }

    /// Who it proves.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// When the leaf stands.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The certificates in DER, leaf first, without the root.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The leaf's key.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

/// Why key and certificates do not make a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCredential {
    /// No certificate.
    #[error("there is no certificate")]
    Empty,
    /// More certificates than any peer would read.
    #[error("there are {came} certificates, and peers read at most {LONGEST_CHAIN}")]
    TooLong {
        /// How many there are.
        came: usize,
    },
    /// The first certificate cannot stand for a workload.
    #[error("the first certificate is not a workload's: {0}")]
    Leaf(Unfit),
    /// The first certificate names nobody.
    #[error(transparent)]
    Identity(BadIdentity),
    /// The key is another certificate's.
    #[error("the key is not that of the first certificate")]
    OtherKey,
}
