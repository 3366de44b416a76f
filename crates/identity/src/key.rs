//! Keys: the private one of an identity or authority, and the public one that asks to be signed.
//!
//! Making a key takes chance that is fit for secrets, so that it is left to the shell.

use alloc::{format, sync::Arc, vec::Vec};
use core::fmt;

use leno_model::TrustDomain;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, SanType,
    SignatureAlgorithm, SubjectPublicKeyInfo,
};
use rustls_pki_types::PrivateKeyDer;
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

/// The longest request that is read, in bytes.
const LONGEST_REQUEST: usize = 16 * 1024;

/// A private key: P-256, P-384 or Ed25519. A clone is the same key.
#[derive(Clone)]
pub struct Key(Arc<KeyPair>);

impl Key {
    /// Reads a private key in PKCS #8 or SEC 1 form.
    pub fn read(der: &PrivateKeyDer<'_>) -> Result<Self, BadKey> {
        let pair = KeyPair::try_from(der).map_err(|_| BadKey::Unreadable)?;
        if !is_taken(pair.algorithm()) {
            return Err(BadKey::Kind);
        }
        Ok(Self(Arc::new(pair)))
    }

    /// The private key in the form it was read in. Secret: it goes to a file of mode 0600 or to TLS.
    pub fn secret(&self) -> &[u8] {
        self.0.serialized_der()
    }

    /// The half that everyone may see.
    pub fn public(&self) -> PublicKey {
        let der = self.0.subject_public_key_info();
        PublicKey::read(&der).expect("the key was taken, and so is its public half")
    }

    /// A certificate request (PKCS #10) in DER that proves this key and names nobody: who is behind
    /// it is for the CA to find out.
    pub fn request(&self) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(self.pair());
        request
            .expect("a request without names is always well formed")
            .der()
            .to_vec()
    }

    /// A certificate request (PKCS #10) in DER for an authority of a trust domain, for signers that go by what it says.
    /// That it is one, no request can say: who signs is told so otherwise.
    pub fn authority_request(&self, domain: &TrustDomain) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let name = format!("leno intermediate of {domain}");
        params.distinguished_name.push(DnType::CommonName, name);
        let uri = format!("spiffe://{domain}").try_into();
        let uri = uri.expect("a trust domain is ASCII");
        params.subject_alt_names = Vec::from([SanType::URI(uri)]);
        let request = params.serialize_request(self.pair());
        request
            .expect("a name and a URI are always well formed")
            .der()
            .to_vec()
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }
}

/// Shows what kind of key it is, and nothing of the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.0.algorithm())
    }
}

/// A public key of a kind that is signed here: P-256, P-384 or Ed25519.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey(SubjectPublicKeyInfo);

impl PublicKey {
    /// Takes the key out of a certificate request (PKCS #10) in DER, once the request's own
    /// signature has proved that the asker holds it. The names in it are not looked at.
    pub fn of_request(der: &[u8]) -> Result<Self, BadRequest> {
        if der.len() > LONGEST_REQUEST {
            return Err(BadRequest::TooLarge { bytes: der.len() });
        }
        let Ok(([], request)) = X509CertificationRequest::from_der(der) else {
            return Err(BadRequest::Unreadable);
        };
        let key = &request.certification_request_info.subject_pki;
        let key = Self::read(key.raw).map_err(BadRequest::Key)?;
        request
            .verify_signature()
            .map_err(|_| BadRequest::Signature)?;
        Ok(key)
    }

    /// Reads a DER SubjectPublicKeyInfo.
    pub fn read(der: &[u8]) -> Result<Self, BadKey> {
        let key = SubjectPublicKeyInfo::from_der(der).map_err(|_| BadKey::Unreadable)?;
        if !is_taken(key.algorithm()) {
            return Err(BadKey::Kind);
        }
        Ok(Self(key))
    }

    /// The DER SubjectPublicKeyInfo.
    pub fn der(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    pub(crate) fn info(&self) -> &SubjectPublicKeyInfo {
        &self.0
    }
}

fn is_taken(algorithm: &SignatureAlgorithm) -> bool {
    [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ]
    .contains(&algorithm)
}

/// Why a key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not a key.
    #[error("it is not a key")]
    Unreadable,
    /// A key of another kind.
    #[error("the key is of another kind than P-256, P-384 and Ed25519")]
    Kind,
}

/// Why a certificate request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Longer than any that Leno reads.
    #[error("it has {bytes} bytes, and at most {LONGEST_REQUEST} are read")]
    TooLarge {
        /// How many bytes it has.
        bytes: usize,
    },
    /// Not one PKCS #10 request in DER.
    #[error("it is not a certificate request")]
    Unreadable,
    /// The key in it is not taken.
    #[error("the key in it is not taken: {0}")]
    Key(BadKey),
    /// The asker has not shown that it holds the key.
    #[error("it is not signed with the key in it")]
    Signature,
}
