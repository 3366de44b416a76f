//! A token that was read, and of which nothing is proven.

use alloc::string::{String, ToString};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::claims::Claims;
use crate::json::{read_object, shown};
use crate::verify::WhyNot;

/// A JWS in its compact form (RFC 7515 section 7.1) whose payload is claims. Nothing it says is
/// proven.
#[derive(Clone, Debug)]
pub struct Token<'t> {
    /// What was signed.
    pub(crate) message: &'t str,
    pub(crate) signature: &'t str,
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) claims: Claims,
}

impl<'t> Token<'t> {
    /// How many bytes a token may have.
    pub const MOST_BYTES: usize = 16 * 1024;

    /// Reads a token. Refused is what no key could prove: one without a signature, one that is
    /// encrypted, one with a shared secret, one whose header asks for what is not known here.
    pub fn read(text: &'t str) -> Result<Self, WhyNot> {
        if text.len() > Self::MOST_BYTES {
            return Err(WhyNot::TooLong);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(WhyNot::NotAToken)?;
        let (header, payload) = message.split_once('.').ok_or(WhyNot::NotAToken)?;
        match payload.matches('.').count() {
            0 => {}
            2 => return Err(WhyNot::Encrypted),
            _ => return Err(WhyNot::NotAToken),
        }
        let header = part(header)?;
        let algorithm = algorithm(&header)?;
        is_plain(&header)?;
        let key_id = match header.get("kid") {
            None => None,
            Some(id) => Some(id.as_str().ok_or(WhyNot::Malformed)?.to_string()),
        };
        Ok(Self {
            message,
            signature,
            algorithm,
            key_id,
            claims: part(payload)?.into(),
        })
    }

    /// Who it says made it: by whose keys to prove it.
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.claims.issuer()
    }

    /// Whom it says it is about: by whose keys to prove a token without an issuer.
    pub fn claimed_subject(&self) -> Option<&str> {
        self.claims.get("sub")?.as_str()
    }

    /// The id of the key that it says it was signed with.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

/// By what a token is remembered: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// That of a token as it came.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

/// How a token was signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The algorithm with this name (RFC 7518 section 3.1; RFC 8037; RFC 9864), in exactly this spelling.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    pub(crate) fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Ps384 => jsonwebtoken::Algorithm::PS384,
            Self::Ps512 => jsonwebtoken::Algorithm::PS512,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

fn part(text: &str) -> Result<Map<String, Value>, WhyNot> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| WhyNot::Malformed)?;
    read_object(&bytes).map_err(|_| WhyNot::Malformed)
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, WhyNot> {
    let name = header.get("alg").and_then(Value::as_str);
    let name = name.ok_or(WhyNot::Malformed)?;
    Algorithm::named(name).ok_or_else(|| match name.to_ascii_lowercase().as_str() {
        "none" => WhyNot::Unsigned,
        "hs256" | "hs384" | "hs512" => WhyNot::Symmetric,
        _ => WhyNot::Algorithm(shown(name)),
    })
}

/// Refuses a header that changes what the token means.
fn is_plain(header: &Map<String, Value>) -> Result<(), WhyNot> {
    //= RFC 7515 section 4.1.11: "If any of the listed extension Header Parameters are not understood and supported by
    //= the recipient, then the JWS is invalid."
    if header.contains_key("crit") {
        return Err(WhyNot::Extension);
    }
    if header.contains_key("enc") || header.contains_key("zip") {
        return Err(WhyNot::Encrypted);
    }
    let Some(kind) = header.get("typ") else {
        return Ok(());
    };
    let kind = kind.as_str().ok_or(WhyNot::Malformed)?;
    //= RFC 8725 section 3.11: "Sometimes, one kind of JWT can be confused for another. If a particular kind of JWT is
    //= subject to such confusion, that JWT can include an explicit JWT type value"
    let lower = kind.to_ascii_lowercase();
    match lower.strip_prefix("application/").unwrap_or(&lower) {
        "jwt" | "jose" | "at+jwt" => Ok(()),
        other if other.ends_with("+jwt") => Err(WhyNot::Kind(shown(kind))),
        _ => Ok(()),
    }
}
