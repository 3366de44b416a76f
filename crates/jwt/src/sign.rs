//! Tokens of our own.

use alloc::string::{String, ToString};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Map, Value, json};

use crate::claims::Claims;
use crate::key::{KeyHash, Material};

/// A private key that signs tokens with ES256.
#[derive(Clone)]
pub struct Signer {
    key: EncodingKey,
    public: Map<String, Value>,
    hash: KeyHash,
}

impl Signer {
    /// Takes a private key of P-256 in PKCS #8.
    pub fn new(pkcs8: &[u8]) -> Result<Self, BadSigningKey> {
        let key = EncodingKey::from_ec_der(pkcs8);
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|_| BadSigningKey)?;
        let AlgorithmParameters::EllipticCurve(point) = jwk.algorithm else {
            return Err(BadSigningKey);
        };
        let coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| BadSigningKey);
        let public = Material::of_p256(&coordinate(&point.x)?, &coordinate(&point.y)?);
        Ok(Self {
            key,
            public: public.required(),
            hash: public.hash(),
        })
    }

    /// The hash of its public half, which is also the id (`kid`) that tokens name.
    pub fn hash(&self) -> KeyHash {
        self.hash
    }

    /// Its public half as a JWK, for a set that others read; `used` is its `use`: `sig` or `jwt-svid`.
    pub fn jwk(&self, used: &str) -> Value {
        let mut jwk = self.public.clone();
        jwk.insert("kid".into(), self.hash.to_string().into());
        jwk.insert("use".into(), used.into());
        jwk.insert("alg".into(), "ES256".into());
        Value::Object(jwk)
    }

    /// A token that says this.
    pub fn sign(&self, claims: &Claims) -> String {
        let header = json!({"alg": "ES256", "kid": self.hash.to_string(), "typ": "JWT"});
        let part = |json: String| URL_SAFE_NO_PAD.encode(json);
        let claims = Value::Object(claims.all().clone()).to_string();
        let mut token = [part(header.to_string()), part(claims)].join(".");
        let signature = crypto::sign(token.as_bytes(), &self.key, Algorithm::ES256);
        token.push('.');
        token.push_str(&signature.expect("the key was taken for this algorithm"));
        token
    }
}

/// Shows which key it is, and nothing of it.
impl core::fmt::Debug for Signer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Signer({})", self.hash)
    }
}

/// Why a key does not sign tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is not a private key of P-256 in PKCS #8")]
pub struct BadSigningKey;
