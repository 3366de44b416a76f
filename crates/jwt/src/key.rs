//! One public key of a JWK Set: for what it is good, and by what it is known.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::json::shown;
use crate::keys::Purpose;
use crate::token::Algorithm;

/// A public key that proves tokens.
#[derive(Clone, Debug)]
pub(crate) struct PublicKey {
    pub(crate) id: Option<String>,
    /// The one algorithm it is for, where it says so; always one of its kind's.
    pub(crate) only: Option<Algorithm>,
    pub(crate) kind: Kind,
    pub(crate) key: DecodingKey,
    pub(crate) hash: KeyHash,
}

impl PublicKey {
    pub(crate) fn read(jwk: &Map<String, Value>, purpose: Purpose) -> Result<Self, WhySkipped> {
        is_for(jwk, purpose)?;
        let material = Material::read(jwk)?;
        let only = match jwk.get("alg") {
            None => None,
            Some(alg) => {
                let alg = alg.as_str().ok_or(WhySkipped::Malformed("alg"))?;
                let algorithm = Algorithm::named(alg);
                let fits = algorithm.filter(|it| material.kind().signs(*it));
                Some(fits.ok_or_else(|| WhySkipped::Algorithm(shown(alg)))?)
            }
        };
        let id = match jwk.get("kid") {
            None => None,
            Some(id) => Some(id.as_str().ok_or(WhySkipped::Malformed("kid"))?.to_string()),
        };
        Ok(Self {
            id,
            only,
            kind: material.kind(),
            hash: material.hash(),
            key: material.into_key(),
        })
    }

    /// Whether it may prove a token that was signed so, by the key with this id.
    pub(crate) fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let of_id = match (&self.id, id) {
            (Some(own), Some(wanted)) => own == wanted,
            (None, _) | (_, None) => true,
        };
        of_id && self.only.is_none_or(|only| only == algorithm) && self.kind.signs(algorithm)
    }
}

/// By what a key is known: its thumbprint (RFC 7638) with SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyHash([u8; 32]);

/// As tokens name it: in base64url.
impl core::fmt::Display for KeyHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The kinds of keys that prove tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    //= RFC 8725 section 3.1: "Libraries MUST enable the caller to specify a supported set of algorithms and MUST NOT use
    //= any other algorithms when performing cryptographic operations."
    fn signs(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa => matches!(
                algorithm,
                Algorithm::Rs256
                    | Algorithm::Rs384
                    | Algorithm::Rs512
                    | Algorithm::Ps256
                    | Algorithm::Ps384
                    | Algorithm::Ps512
            ),
            Self::P256 => algorithm == Algorithm::Es256,
            Self::P384 => algorithm == Algorithm::Es384,
            Self::Ed25519 => algorithm == Algorithm::EdDsa,
        }
    }
}

/// The numbers of a key.
pub(crate) enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ec { kind: Kind, x: Vec<u8>, y: Vec<u8> },
    Ed25519 { x: Vec<u8> },
}

impl Material {
    pub(crate) fn read(jwk: &Map<String, Value>) -> Result<Self, WhySkipped> {
        let kty = jwk.get("kty").and_then(Value::as_str);
        let kty = kty.ok_or(WhySkipped::Malformed("kty"))?;
        if kty == "oct" {
            return Err(WhySkipped::Symmetric);
        }
        if jwk.contains_key("d") {
            return Err(WhySkipped::Private);
        }
        let curve = || {
            let curve = jwk.get("crv").and_then(Value::as_str);
            curve.ok_or(WhySkipped::Malformed("crv"))
        };
        let bytes = |name: &'static str| {
            let text = jwk.get(name).and_then(Value::as_str);
            let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            bytes.ok_or(WhySkipped::Malformed(name))
        };
        let coordinate = |name: &'static str, length: usize| {
            let bytes = bytes(name)?;
            let is_whole = bytes.len() == length;
            is_whole.then_some(bytes).ok_or(WhySkipped::Malformed(name))
        };
        match kty {
            "RSA" => {
                let (n, e) = (without_zeros(bytes("n")?), without_zeros(bytes("e")?));
                is_strong(&n, &e)?;
                Ok(Self::Rsa { n, e })
            }
            "EC" => {
                let (kind, length) = match curve()? {
                    "P-256" => (Kind::P256, 32),
                    "P-384" => (Kind::P384, 48),
                    other => return Err(WhySkipped::Kind(format!("EC {}", shown(other)))),
                };
                let (x, y) = (coordinate("x", length)?, coordinate("y", length)?);
                Ok(Self::Ec { kind, x, y })
            }
            "OKP" => match curve()? {
                "Ed25519" => Ok(Self::Ed25519 {
                    x: coordinate("x", 32)?,
                }),
                other => Err(WhySkipped::Kind(format!("OKP {}", shown(other)))),
            },
            other => Err(WhySkipped::Kind(shown(other))),
        }
    }

    pub(crate) fn of_p256(x: &[u8], y: &[u8]) -> Self {
        Self::Ec {
            kind: Kind::P256,
            x: x.to_vec(),
            y: y.to_vec(),
        }
    }

    pub(crate) fn of_p384(x: &[u8], y: &[u8]) -> Self {
        Self::Ec {
            kind: Kind::P384,
            x: x.to_vec(),
            y: y.to_vec(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Rsa { .. } => Kind::Rsa,
            Self::Ec { kind, .. } => *kind,
            Self::Ed25519 { .. } => Kind::Ed25519,
        }
    }

    /// What a JWK needs to have of it, and nothing more: what RFC 7638 hashes.
    pub(crate) fn required(&self) -> Map<String, Value> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let value = match self {
            Self::Rsa { n, e } => json!({"kty": "RSA", "n": text(n), "e": text(e)}),
            Self::Ec { kind, x, y } => {
                let curve = if *kind == Kind::P256 {
                    "P-256"
                } else {
                    "P-384"
                };
                json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
            }
            Self::Ed25519 { x } => json!({"kty": "OKP", "crv": "Ed25519", "x": text(x)}),
        };
        match value {
            Value::Object(members) => members,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        }
    }

    //= RFC 7638 section 3: "Construct a JSON object [RFC7159] containing only the required members of a JWK [..] and
    //= with the required members ordered lexicographically by the Unicode code points of the member names."
    pub(crate) fn hash(&self) -> KeyHash {
        let text = Value::Object(self.required()).to_string();
        KeyHash(Sha256::digest(text.as_bytes()).into())
    }

    fn into_key(self) -> DecodingKey {
        match self {
            Self::Rsa { n, e } => DecodingKey::from_rsa_raw_components(&n, &e),
            Self::Ec { x, y, .. } => {
                // SEC 1 section 2.3.3: a point that is not compressed.
                let point = [&[4], x.as_slice(), &y].concat();
                DecodingKey::from_ec_der(&point)
            }
            Self::Ed25519 { x } => DecodingKey::from_ed_der(&x),
        }
    }
}

fn without_zeros(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}

//= RFC 7518 section 3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
fn is_strong(n: &[u8], e: &[u8]) -> Result<(), WhySkipped> {
    let bits = n.first().map_or(0, |first| {
        n.len()
            .saturating_mul(8)
            .saturating_sub(first.leading_zeros() as usize)
    });
    if !(2048..=8192).contains(&bits) {
        return Err(WhySkipped::Size { bits });
    }
    let is_odd = e.last().is_some_and(|last| last & 1 == 1);
    let is_one = matches!(e, [1]);
    if !is_odd || is_one || e.len() > 4 {
        return Err(WhySkipped::Exponent);
    }
    Ok(())
}

/// Whether a key is meant to prove tokens.
fn is_for(jwk: &Map<String, Value>, purpose: Purpose) -> Result<(), WhySkipped> {
    let used = match jwk.get("use") {
        None => None,
        Some(used) => Some(used.as_str().ok_or(WhySkipped::Malformed("use"))?),
    };
    let fits = match purpose {
        Purpose::Tokens => used.is_none_or(|used| used == "sig"),
        Purpose::JwtSvids => used == Some("jwt-svid"),
    };
    if !fits {
        return Err(WhySkipped::Use(used.map_or("nothing".into(), shown)));
    }
    let Some(operations) = jwk.get("key_ops") else {
        return Ok(());
    };
    let operations = operations.as_array();
    let operations = operations.ok_or(WhySkipped::Malformed("key_ops"))?;
    match operations.iter().any(|it| it == "verify") {
        true => Ok(()),
        false => Err(WhySkipped::Use("other operations".into())),
    }
}

/// Why a key is not used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WhySkipped {
    /// A member is missing, or is not what it must be.
    #[error("its {0} is missing or malformed")]
    Malformed(&'static str),
    /// Whoever can check with it can sign with it.
    #[error("it is symmetric (kty oct): whoever could check tokens with it could make them")]
    Symmetric,
    /// Its private half was published with it.
    #[error("its private half stands beside it: whoever reads it can make tokens")]
    Private,
    /// Of a kind that is not built in.
    #[error("keys of kind {0} are not known here: RSA, EC P-256, EC P-384 and OKP Ed25519 are")]
    Kind(String),
    /// For an algorithm that is not one of its kind.
    #[error("algorithm {0} is not one for its kind of key")]
    Algorithm(String),
    /// It is for something else.
    #[error("it is for {0}")]
    Use(String),
    /// RSA of a size that is not taken.
    #[error("its modulus has {bits} bits, and 2048 to 8192 are taken")]
    Size {
        /// Bits of the modulus.
        bits: usize,
    },
    /// RSA with an exponent that proves nothing.
    #[error("its exponent is not an odd number from 3 to 32 bits")]
    Exponent,
}
