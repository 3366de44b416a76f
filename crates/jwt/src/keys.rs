//! The keys of one issuer, as a JWK Set publishes them (RFC 7517).

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde_json::Value;

use crate::json::{self, Flaw, shown};
use crate::key::{KeyHash, PublicKey, WhySkipped};

/// The keys that prove an issuer's tokens.
#[derive(Clone, Debug, Default)]
pub struct Keys(pub(crate) Vec<PublicKey>);

impl Keys {
    /// How many bytes a JWK Set may have.
    pub const MOST_BYTES: usize = 128 * 1024;

    /// How many keys a JWK Set may have, those that are not used among them.
    pub const MOST: usize = 64;

    /// Reads a JWK Set. A key that cannot be used costs nothing but itself: it is skipped, and it is
    /// said why.
    //= RFC 7517 section 5: "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" (key type) values that
    //= are not understood by them, that are missing required members, or for which values are out of the supported ranges."
    pub fn read(jwks: &[u8], purpose: Purpose) -> Result<(Self, Vec<Skipped>), BadKeys> {
        if jwks.len() > Self::MOST_BYTES {
            return Err(BadKeys::TooLong(Self::MOST_BYTES));
        }
        let set = json::read_object(jwks)?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(BadKeys::NoList)?;
        if keys.len() > Self::MOST {
            return Err(BadKeys::TooMany(keys.len()));
        }
        let (mut used, mut skipped) = (Vec::new(), Vec::new());
        for (position, jwk) in keys.iter().enumerate() {
            let read = jwk.as_object().ok_or(WhySkipped::Malformed("form"));
            match read.and_then(|jwk| PublicKey::read(jwk, purpose)) {
                Ok(key) => used.push(key),
                Err(why) => skipped.push(Skipped {
                    position,
                    id: jwk
                        .get("kid")
                        .and_then(Value::as_str)
                        .map(ToString::to_string),
                    why,
                }),
            }
        }
        Ok((Self(used), skipped))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no token can be proven.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key with this hash is one of them.
    pub fn contains(&self, hash: KeyHash) -> bool {
        self.0.iter().any(|key| key.hash == hash)
    }
}

/// What keys are wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Tokens: keys whose `use` is `sig`, or that have none.
    Tokens,
    /// JWT-SVIDs, from a SPIFFE bundle: keys whose `use` is `jwt-svid`.
    JwtSvids,
}

/// A key of a JWK Set that is not used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Which one of the set, counted from 0.
    pub position: usize,
    /// Its id.
    pub id: Option<String>,
    /// Why.
    pub why: WhySkipped,
}

/// `key 2 ("old") is not used: its modulus has 1024 bits, ..`, counted from 1.
impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.position.saturating_add(1))?;
        if let Some(id) = &self.id {
            write!(f, " ({})", shown(id))?;
        }
        write!(f, " is not used: {}", self.why)
    }
}

/// Why bytes are not a JWK Set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadKeys {
    /// Longer than any that is read.
    #[error("it has more than {0} bytes")]
    TooLong(usize),
    /// Not JSON.
    #[error("it is not a JWK Set: {0}")]
    Json(#[from] Flaw),
    /// There is no list of keys.
    #[error("it is not a JWK Set: it has no list `keys`")]
    NoList,
    /// Something that must be a whole number is none.
    #[error("its {0} is not a whole number of at most 64 bits")]
    NoNumber(&'static str),
    /// More keys than are read.
    #[error("it has {0} keys, and at most {most} are read", most = Keys::MOST)]
    TooMany(usize),
}
