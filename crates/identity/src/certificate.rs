//! One certificate, read: the few facts that trust hangs on. Reading proves nothing; signatures
//! and paths are judged in `verify`.

use alloc::{string::ToString as _, vec::Vec};
use core::{fmt, time::Duration};

use leno_model::{BadSpiffeId, KeyNumbers, SpiffeId, TrustDomain, Wall};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, KeyUsage},
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
        OID_SIG_ED25519,
    },
    prelude::FromDer,
    public_key::PublicKey,
    time::ASN1Time,
    x509::SubjectPublicKeyInfo,
};

use crate::distrust::Said;

/// The longest certificate that is read, in bytes.
const LONGEST: usize = 16 * 1024;

/// How many of a certificate's URIs are told, where it has several.
const MOST_URIS: usize = 3;

/// The SAN tag of a URI (RFC 5280 section 4.2.1.6).
const URI_TAG: u32 = 6;

/// When a certificate stands: from `begins` to `ends`, both included (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// The first second.
    pub begins: Wall,
    /// The last second.
    pub ends: Wall,
}

impl Validity {
    /// When the certificate in DER stands; `None` if it is none.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        Some(Certificate::read(certificate).ok()?.validity())
    }

    /// The whole span.
    pub fn life(&self) -> Duration {
        self.ends.since(self.begins)
    }

    /// Whether its first second has come.
    pub fn has_begun(&self, now: Wall) -> bool {
        self.begins <= now
    }

    /// Whether its last second has passed.
    pub fn is_over(&self, now: Wall) -> bool {
        now.since(self.ends) >= Duration::from_secs(1)
    }

    /// When both stand.
    pub(crate) fn within(self, other: Self) -> Self {
        Self {
            begins: self.begins.max(other.begins),
            ends: self.ends.min(other.ends),
        }
    }

    /// What is left of it at `now`; zero when it is over.
    pub fn left(&self, now: Wall) -> Duration {
        self.ends.since(now)
    }
}

/// A certificate that could be read.
pub(crate) struct Certificate<'a>(X509Certificate<'a>);

impl<'a> Certificate<'a> {
    /// Reads one certificate in DER, and nothing beside it.
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, Unfit> {
        if der.len() > LONGEST {
            return Err(Unfit::TooLarge { bytes: der.len() });
        }
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Ok(Self(certificate)),
            Ok(_) | Err(_) => Err(Unfit::NotACertificate),
        }
    }

    /// When it stands.
    pub(crate) fn validity(&self) -> Validity {
        let validity = self.0.validity();
        Validity {
            begins: wall(validity.not_before),
            ends: wall(validity.not_after),
        }
    }

    /// What its issuer calls it.
    pub(crate) fn serial(&self) -> &'a [u8] {
        self.0.raw_serial()
    }

    /// The public key, as a DER SubjectPublicKeyInfo.
    pub(crate) fn public_key(&self) -> &'a [u8] {
        self.0.tbs_certificate.subject_pki.raw
    }

    /// The identity it claims.
    pub(crate) fn identity(&self) -> Result<SpiffeId, BadIdentity> {
        SpiffeId::parse(self.uri()?).map_err(BadIdentity::Form)
    }

    /// The one URI it is for.
    //= SPIFFE X509-SVID section 5.2: "SVIDs containing more than one URI SAN MUST be rejected."
    pub(crate) fn uri(&self) -> Result<&str, BadIdentity> {
        match self.uris()?.as_slice() {
            [] => Err(BadIdentity::None),
            [Some(uri)] => Ok(uri),
            [None] => Err(BadIdentity::NotText),
            several => Err(BadIdentity::Several {
                came: several.len(),
            }),
        }
    }

    /// What it says of whom it is for, where that is no identity and `why` does not quote it: its URIs, or else
    /// its subject.
    pub(crate) fn said(&self, why: &BadIdentity) -> Said {
        if let BadIdentity::Form(BadSpiffeId::Form { .. } | BadSpiffeId::TrustDomain { .. }) = why {
            return Said::default();
        }
        let uris = self.uris().unwrap_or_default();
        let uris: Vec<_> = uris.into_iter().flatten().take(MOST_URIS).collect();
        match uris.is_empty() {
            true => Said::of(&self.0.subject().to_string()),
            false => Said::of(&uris.join(" and ")),
        }
    }

    /// The trust domain it claims to be an authority of.
    //= SPIFFE X509-SVID section 3.2: "the SPIFFE ID of a signing certificate MUST NOT have a path
    //= component"
    pub(crate) fn trust_domain(&self) -> Option<TrustDomain> {
        let uris = self.uris().ok()?;
        let [Some(uri)] = uris.as_slice() else {
            return None;
        };
        TrustDomain::new(uri.strip_prefix("spiffe://")?).ok()
    }

    /// Whether there is no URI among its names.
    pub(crate) fn says_no_uri(&self) -> bool {
        self.uris().is_ok_and(|uris| uris.is_empty())
    }

    /// How many authorities may stand below it; `None` if it does not say.
    pub(crate) fn path_length(&self) -> Option<u32> {
        let constraints = self.0.basic_constraints().ok()??;
        constraints.value.path_len_constraint
    }

    /// Whether it is signed by itself, as far as its names say.
    pub(crate) fn is_root(&self) -> bool {
        self.0.subject().as_raw() == self.0.issuer().as_raw()
    }

    /// The URIs it is for; `None` stands for one that is not text.
    fn uris(&self) -> Result<Vec<Option<&str>>, BadIdentity> {
        let names = self.0.subject_alternative_name();
        let Some(names) = names.map_err(|_| BadIdentity::Unreadable)? else {
            return Ok(Vec::new());
        };
        let uri = |name: &GeneralName<'a>| {
            if let GeneralName::URI(uri) = name {
                return Some(Some(*uri));
            }
            let broken = matches!(name, GeneralName::Invalid(tag, _) if tag.0 == URI_TAG);
            broken.then_some(None)
        };
        Ok(names.value.general_names.iter().filter_map(uri).collect())
    }

    /// Checks that it is made to stand for a workload, and not to sign others.
    pub(crate) fn check_leaf(&self) -> Result<(), Unfit> {
        if self.is_authority()? {
            return Err(Unfit::AuthorityAsLeaf);
        }
        //= SPIFFE X509-SVID section 4.3: "Leaf SVIDs MUST NOT set `keyCertSign` or `cRLSign`."
        let usage = self.key_usage()?.ok_or(Unfit::KeyUsage)?;
        if !usage.digital_signature() || usage.key_cert_sign() || usage.crl_sign() {
            return Err(Unfit::KeyUsage);
        }
        //= SPIFFE X509-SVID section 4.4: "When included, fields `id-kp-serverAuth` and
        //= `id-kp-clientAuth` MUST be set."
        let extended = self.0.extended_key_usage();
        if let Some(extended) = extended.map_err(|_| Unfit::ExtendedKeyUsage)?
            && !(extended.value.server_auth && extended.value.client_auth)
        {
            return Err(Unfit::ExtendedKeyUsage);
        }
        check_key(&self.0.tbs_certificate.subject_pki)
    }

    /// Checks that it is made to sign certificates.
    pub(crate) fn check_authority(&self) -> Result<(), Unfit> {
        if !self.is_authority()? {
            return Err(Unfit::LeafAsAuthority);
        }
        //= SPIFFE X509-SVID section 4.3: "SVID signing certificates MUST set `keyCertSign`."
        if !self.key_usage()?.is_some_and(KeyUsage::key_cert_sign) {
            return Err(Unfit::KeyUsage);
        }
        check_key(&self.0.tbs_certificate.subject_pki)
    }

    /// The numbers of its public key.
    pub(crate) fn key_numbers(&self) -> Result<KeyNumbers, Unfit> {
        let key = &self.0.tbs_certificate.subject_pki;
        check_key(key)?;
        let other = || Unfit::WeakKey(KeyKind::Other);
        if key.algorithm.algorithm == OID_SIG_ED25519 {
            let x = key.subject_public_key.data.to_vec();
            return Ok(KeyNumbers::Ed25519 { x });
        }
        match key.parsed().map_err(|_| other())? {
            PublicKey::RSA(rsa) => Ok(KeyNumbers::Rsa {
                n: without_zeros(rsa.modulus),
                e: without_zeros(rsa.exponent),
            }),
            PublicKey::EC(point) => match point.data() {
                // SEC 1 section 2.3.3: a point that is not compressed, of a curve that was let through above.
                [4, point @ ..] if matches!(point.len(), 64 | 96) => {
                    let (x, y) = point.split_at(point.len() / 2);
                    let (x, y) = (x.to_vec(), y.to_vec());
                    Ok(match point.len() {
                        64 => KeyNumbers::P256 { x, y },
                        _ => KeyNumbers::P384 { x, y },
                    })
                }
                _ => Err(other()),
            },
            PublicKey::DSA(_)
            | PublicKey::GostR3410(_)
            | PublicKey::GostR3410_2012(_)
            | PublicKey::Unknown(_) => Err(other()),
        }
    }

    fn is_authority(&self) -> Result<bool, Unfit> {
        let constraints = self.0.basic_constraints();
        let constraints = constraints.map_err(|_| Unfit::NotACertificate)?;
        Ok(constraints.is_some_and(|constraints| constraints.value.ca))
    }

    fn key_usage(&self) -> Result<Option<&KeyUsage>, Unfit> {
        let usage = self.0.key_usage().map_err(|_| Unfit::KeyUsage)?;
        Ok(usage.map(|usage| usage.value))
    }
}

/// A point before 1970 is 1970: nothing that matters here ended or began earlier.
fn wall(time: ASN1Time) -> Wall {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    Wall::since_epoch(Duration::from_secs(seconds))
}

/// Takes P-256, P-384, Ed25519, and RSA of at least 2048 bits.
fn check_key(key: &SubjectPublicKeyInfo<'_>) -> Result<(), Unfit> {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return Ok(());
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref();
        let curve = curve.and_then(|curve| curve.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 || curve == OID_NIST_EC_P384 => Ok(()),
            Some(_) | None => Err(Unfit::WeakKey(KeyKind::OtherCurve)),
        };
    }
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        let Ok(PublicKey::RSA(rsa)) = key.parsed() else {
            return Err(Unfit::WeakKey(KeyKind::Other));
        };
        return match bits(rsa.modulus) {
            2048.. => Ok(()),
            bits => Err(Unfit::WeakKey(KeyKind::Rsa { bits })),
        };
    }
    Err(Unfit::WeakKey(KeyKind::Other))
}

/// A big-endian number without zeros before it.
fn without_zeros(number: &[u8]) -> Vec<u8> {
    let leading = number.iter().take_while(|byte| **byte == 0).count();
    number.get(leading..).unwrap_or_default().to_vec()
}

/// How many bits a big-endian number has.
fn bits(number: &[u8]) -> usize {
    let significant = without_zeros(number);
    let top = significant.first().map_or(0, |byte| byte.leading_zeros());
    (significant.len() * 8).saturating_sub(top as usize)
}

/// Why a certificate's identity cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// No URI among its names.
    #[error("the certificate holds no identity: it has no URI among its names")]
    None,
    /// More than one URI: nobody can say which is meant.
    #[error("the certificate holds {came} URIs where exactly one was expected")]
    Several {
        /// How many.
        came: usize,
    },
    /// The URI has bytes that no URI has.
    #[error("the certificate's URI is not text")]
    NotText,
    /// Its list of names is broken or doubled.
    #[error("the certificate's names cannot be read")]
    Unreadable,
    /// It is a URI, and not an identity of ours.
    #[error(transparent)]
    Form(BadSpiffeId),
}

/// Why a certificate is not made for the use it was put to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not one X.509 certificate in DER.
    #[error("it is not an X.509 certificate")]
    NotACertificate,
    /// Longer than any that Leno reads.
    #[error("it has {bytes} bytes, and at most {LONGEST} are read")]
    TooLarge {
        /// How many bytes it has.
        bytes: usize,
    },
    /// A CA's certificate stood where a workload's was expected.
    #[error("it is an authority's certificate where a workload's was expected")]
    AuthorityAsLeaf,
    /// A workload's certificate signed another.
    #[error("it signs another certificate and is not an authority's")]
    LeafAsAuthority,
    /// It signed an authority further down than it may.
    #[error("more authorities stand below it than its path length allows")]
    PathLength,
    /// An authority above it may sign for other names only.
    #[error("its name constraints leave out the identity below it")]
    NameConstraints,
    /// Its key usage lacks what the use needs, or allows what it must not.
    #[error("its key usage is not that of its place in the chain")]
    KeyUsage,
    /// Its extended key usage lacks what the use needs.
    #[error("its extended key usage does not hold both serverAuth and clientAuth")]
    ExtendedKeyUsage,
    /// A critical extension that Leno does not understand.
    #[error("it has a critical extension that is not understood")]
    CriticalExtension,
    /// Its key can be broken, or is of a kind that is not taken.
    #[error("its key is {0}; P-256, P-384, Ed25519 and RSA from 2048 bits are taken")]
    WeakKey(KeyKind),
    /// It signs in a way that can be broken, or is not taken.
    #[error("it signs with an algorithm that is not taken")]
    WeakSignature,
}

/// A key that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with too few bits.
    Rsa {
        /// The bits of its modulus.
        bits: usize,
    },
    /// An elliptic curve other than P-256 and P-384.
    OtherCurve,
    /// Any other algorithm.
    Other,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA with {bits} bits"),
            Self::OtherCurve => f.write_str("on another elliptic curve"),
            Self::Other => f.write_str("of another kind"),
        }
    }
}
