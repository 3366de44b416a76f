//! SPIFFE bundles: the keys of a trust domain, as it publishes them to others (SPIFFE Trust Domain and
//! Bundle, section 4). Reading proves nothing: a bundle does not even say whose it is.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use leno_model::KeyNumbers;
use serde_json::{Map, Value};

use crate::json;
use crate::key::{Material, PublicKey, WhySkipped};
use crate::keys::{BadKeys, Keys, Purpose, Skipped};

/// What a trust domain publishes to prove its identities by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SpiffeBundle {
    /// Rises whenever the rest changes, where it is said.
    pub sequence: Option<u64>,
    /// How often others are to look for another one, where it is said.
    pub refresh_hint: Option<Duration>,
    /// The certificates in DER of those who sign its X.509-SVIDs, each once.
    pub authorities: Vec<Vec<u8>>,
    /// The keys that sign its JWT-SVIDs, each as a JWK.
    pub token_keys: Vec<Value>,
}

/// Who signs X.509-SVIDs, as a bundle tells of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authority {
    /// Its certificate in DER.
    pub certificate: Vec<u8>,
    /// The key in it.
    pub key: KeyNumbers,
}

impl SpiffeBundle {
    /// How many bytes a bundle may have.
    pub const MOST_BYTES: usize = Keys::MOST_BYTES;

    /// Reads a bundle. A key that cannot be used costs nothing but itself: it is skipped, and it is said why.
    /// Of a key for another use nothing is said.
    pub fn read(bytes: &[u8]) -> Result<(Self, Vec<Skipped>), BadKeys> {
        if bytes.len() > Self::MOST_BYTES {
            return Err(BadKeys::TooLong(Self::MOST_BYTES));
        }
        let set = json::read_object(bytes)?;
        //= SPIFFE Trust Domain and Bundle section 4.1.3: "The parameter `keys` MUST be present."
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(BadKeys::NoList)?;
        if keys.len() > Keys::MOST {
            return Err(BadKeys::TooMany(keys.len()));
        }
        let mut bundle = Self {
            sequence: number(&set, "spiffe_sequence")?,
            refresh_hint: number(&set, "spiffe_refresh_hint")?.map(Duration::from_secs),
            ..Self::default()
        };
        let mut skipped = Vec::new();
        for (position, jwk) in keys.iter().enumerate() {
            if let Err(why) = bundle.take(jwk) {
                let id = jwk.get("kid").and_then(Value::as_str);
                skipped.push(Skipped {
                    position,
                    id: id.map(ToString::to_string),
                    why,
                });
            }
        }
        Ok((bundle, skipped))
    }

    fn take(&mut self, jwk: &Value) -> Result<(), WhySkipped> {
        let members = jwk.as_object().ok_or(WhySkipped::Malformed("form"))?;
        //= SPIFFE Trust Domain and Bundle section 4.2.1: "The `kty` parameter MUST be set"
        if members.get("kty").and_then(Value::as_str).is_none() {
            return Err(WhySkipped::Malformed("kty"));
        }
        match members.get("use").and_then(Value::as_str) {
            Some(X509) => {
                let certificate = certificate(members).ok_or(WhySkipped::Malformed("x5c"))?;
                if !self.authorities.contains(&certificate) {
                    self.authorities.push(certificate);
                }
            }
            Some(JWT) => {
                self.token_keys.push(token_key(members)?);
            }
            //= SPIFFE Trust Domain and Bundle section 4.2.2: "Clients encountering unknown `use` values MUST ignore the
            //= entire JWK element."
            Some(_) => {}
            None => return Err(WhySkipped::Malformed("use")),
        }
        Ok(())
    }

    /// The keys that sign its JWT-SVIDs as a JWK Set; `None` if there are none.
    pub fn token_key_set(&self) -> Option<String> {
        let keys = self.token_keys.clone();
        let set = || Map::from_iter([("keys".into(), Value::Array(keys))]);
        (!self.token_keys.is_empty()).then(|| Value::Object(set()).to_string())
    }

    /// The bundle that says so, as text: `authorities` for X.509-SVIDs, and `token_keys`, a JWK Set, for JWT-SVIDs.
    pub fn write(
        sequence: u64,
        refresh_hint: Duration,
        authorities: &[Authority],
        token_keys: Option<&str>,
    ) -> String {
        let mut keys: Vec<Value> = authorities.iter().map(Authority::jwk).collect();
        let read = token_keys.and_then(|set| Self::read(set.as_bytes()).ok());
        keys.extend(read.into_iter().flat_map(|(own, _)| own.token_keys));
        let bundle = Map::from_iter([
            ("keys".into(), Value::Array(keys)),
            ("spiffe_sequence".into(), sequence.into()),
            ("spiffe_refresh_hint".into(), refresh_hint.as_secs().into()),
        ]);
        Value::Object(bundle).to_string()
    }
}

impl Authority {
    fn jwk(&self) -> Value {
        let numbers = match &self.key {
            KeyNumbers::Rsa { n, e } => Material::Rsa {
                n: n.clone(),
                e: e.clone(),
            },
            KeyNumbers::P256 { x, y } => Material::of_p256(x, y),
            KeyNumbers::P384 { x, y } => Material::of_p384(x, y),
            KeyNumbers::Ed25519 { x } => Material::Ed25519 { x: x.clone() },
        };
        let mut members = numbers.required();
        members.insert("use".into(), X509.into());
        //= RFC 7517 section 4.7: each string is "a base64-encoded (Section 4 of [RFC4648] -- not base64url-encoded) DER
        //= [ITU.X690.2008] PKIX certificate value."
        let certificate = STANDARD.encode(&self.certificate).into();
        members.insert("x5c".into(), Value::Array([certificate].into()));
        Value::Object(members)
    }
}

const X509: &str = "x509-svid";
const JWT: &str = "jwt-svid";

/// The one certificate of a key.
fn certificate(jwk: &Map<String, Value>) -> Option<Vec<u8>> {
    let [certificate] = jwk.get("x5c")?.as_array()?.as_slice() else {
        return None;
    };
    let text = certificate.as_str()?;
    STANDARD.decode(text).ok().filter(|der| !der.is_empty())
}

/// A key for JWT-SVIDs, with what is needed of it and nothing else.
fn token_key(jwk: &Map<String, Value>) -> Result<Value, WhySkipped> {
    PublicKey::read(jwk, Purpose::JwtSvids)?;
    let mut members = Material::read(jwk)?.required();
    //= JWT-SVID section 4.2.2: a key of a bundle has a `kid`, by which tokens name it.
    let id = jwk.get("kid").and_then(Value::as_str);
    let id = id.filter(|id| id.len() <= LONGEST_ID);
    members.insert("kid".into(), id.ok_or(WhySkipped::Malformed("kid"))?.into());
    members.insert("use".into(), JWT.into());
    if let Some(algorithm) = jwk.get("alg") {
        members.insert("alg".into(), algorithm.clone());
    }
    Ok(Value::Object(members))
}

/// How long the id of a key may be.
const LONGEST_ID: usize = 256;

/// A number that need not be said, and must be one where it is.
fn number(set: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, BadKeys> {
    let written = set.get(name).filter(|it| !it.is_null());
    let read = written.map(|it| it.as_u64().ok_or(BadKeys::NoNumber(name)));
    read.transpose()
}
