//! The one way to a [`Caller`]. Paths and signatures are judged by webpki over the roots of the
//! leaf's own trust domain alone; everything SPIFFE asks for beside that is judged here.

use alloc::{borrow::ToOwned, vec::Vec};
use core::time::Duration;

use leno_model::{SpiffeId, Wall};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, aws_lc_rs as algorithm};

use crate::{
    certificate::{Certificate, Unfit, Validity},
    distrust::{Distrust, Link},
    trust::{Bundle, Trust},
};

/// The most certificates a chain may have, the leaf included: that of a control plane holds the roots
/// before and after a rotation, and the certificate that leads from one to the other.
pub const LONGEST_CHAIN: usize = 5;

/// A caller that proved who it is. Only [`verify`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    id: SpiffeId,
    stands: Validity,
}

impl Caller {
    /// Who it is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The last second of its proof: the earliest end in its chain, the root included. A connection
    /// of this caller must not live longer.
    pub fn ends(&self) -> Wall {
        self.stands.ends
    }

    /// When its whole chain stands, the root included.
    pub fn stands(&self) -> Validity {
        self.stands
    }
}

/// Judges a chain of DER certificates, leaf first, as `trust` stands at `now` (mesh time).
///
/// That the peer holds the leaf's key is for the TLS handshake to prove. A session that was
/// resumed brings its old chain back unjudged: judge it again.
pub fn verify(chain: &[impl AsRef<[u8]>], trust: &Trust, now: Wall) -> Result<Caller, Distrust> {
    let leaf = chain.first().ok_or(Distrust::NoCertificate)?;
    let unreadable = |why| Distrust::NotFit {
        id: None,
        link: Link::Leaf,
        why,
    };
    let certificate = Certificate::read(leaf.as_ref()).map_err(unreadable)?;
    if chain.len() > LONGEST_CHAIN {
        return Err(Distrust::ChainTooLong {
            id: certificate.identity().ok(),
            came: chain.len(),
        });
    }
    let id = certificate.identity();
    let id = id.map_err(|why| Distrust::MalformedIdentity {
        said: certificate.said(&why),
        why,
    })?;
    let bundle = trust.bundle(&id.trust_domain);
    let bundle = bundle.ok_or_else(|| Distrust::ForeignTrustDomain {
        id: id.clone(),
        trusted: trust.domains().cloned().collect(),
    })?;
    let stands = judge(&certificate, chain, bundle, now);
    let stands = stands.map_err(|flaw| flaw.of(&id, now))?;
    if trust.is_revoked(&id) {
        return Err(Distrust::Revoked { id });
    }
    if id.is_person() && !trust.takes_people() {
        return Err(Distrust::Person { id });
    }
    Ok(Caller { id, stands })
}

/// Checks that `caller` is one of those who may answer.
pub fn expect_peer(caller: &Caller, expected: &[SpiffeId]) -> Result<(), Distrust> {
    if expected.contains(&caller.id) {
        return Ok(());
    }
    Err(Distrust::UnexpectedPeer {
        came: caller.id.clone(),
        expected: expected.to_owned(),
    })
}

/// What is wrong with a chain, whomever it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    Expired { link: Link, ended: Wall },
    NotYetValid { link: Link, begins: Wall },
    NotFit { link: Link, why: Unfit },
    UnknownAuthority,
}

impl Flaw {
    fn of(self, id: &SpiffeId, now: Wall) -> Distrust {
        let id = id.clone();
        match self {
            Self::Expired { link, ended } => Distrust::Expired {
                id,
                link,
                ended,
                now,
            },
            Self::NotYetValid { link, begins } => Distrust::NotYetValid {
                id,
                link,
                begins,
                now,
            },
            Self::NotFit { link, why } => Distrust::NotFit {
                id: Some(id),
                link,
                why,
            },
            Self::UnknownAuthority => Distrust::UnknownAuthority { id },
        }
    }
}

/// Judges a chain whose leaf has been read, by the roots of one trust domain: says when all of it stands. Whom
/// the leaf names is for the caller to see to.
pub(crate) fn judge(
    leaf: &Certificate<'_>,
    chain: &[impl AsRef<[u8]>],
    bundle: &Bundle,
    now: Wall,
) -> Result<Validity, Flaw> {
    let (first, others) = chain.split_first().ok_or(Flaw::UnknownAuthority)?;
    let of_leaf = |why| Flaw::NotFit {
        link: Link::Leaf,
        why,
    };
    leaf.check_leaf().map_err(of_leaf)?;
    check_time(leaf.validity(), now)?;
    check_path(first.as_ref(), others, bundle, now)
}

fn check_time(leaf: Validity, now: Wall) -> Result<(), Flaw> {
    let (link, Validity { begins, ends }) = (Link::Leaf, leaf);
    if !leaf.has_begun(now) {
        return Err(Flaw::NotYetValid { link, begins });
    }
    if leaf.is_over(now) {
        return Err(Flaw::Expired { link, ended: ends });
    }
    Ok(())
}

/// Finds a path to a root that is in force, checks each authority on it, and says when
/// all certificates of the path stand.
fn check_path(
    leaf: &[u8],
    others: &[impl AsRef<[u8]>],
    bundle: &Bundle,
    now: Wall,
) -> Result<Validity, Flaw> {
    let der = CertificateDer::from(leaf);
    let end_entity = EndEntityCert::try_from(&der).map_err(|error| flaw(Link::Leaf, &error))?;
    let others: Vec<_> = others
        .iter()
        .map(|other| CertificateDer::from(other.as_ref()))
        .collect();
    let path = end_entity
        .verify_for_usage(
            ALGORITHMS,
            bundle.anchors(),
            &others,
            unix_time(now),
            KeyUsage::client_auth(),
            None,
            Some(&|path| root_in_force(bundle.validity_of(path.anchor()), now)),
        )
        .map_err(|error| flaw(Link::Authority, &error))?;
    stands(&path, bundle)
}

fn stands(path: &VerifiedPath<'_>, bundle: &Bundle) -> Result<Validity, Flaw> {
    let unfit = |link| move |why| Flaw::NotFit { link, why };
    let leaf = path.end_entity().der();
    let leaf = Certificate::read(&leaf).map_err(unfit(Link::Leaf))?;
    let root = bundle.validity_of(path.anchor());
    let mut stands = leaf.validity().within(root);
    for authority in path.intermediate_certificates() {
        let der = authority.der();
        let certificate = Certificate::read(&der).map_err(unfit(Link::Authority))?;
        let fit = certificate.check_authority();
        fit.map_err(unfit(Link::Authority))?;
        stands = stands.within(certificate.validity());
    }
    Ok(stands)
}

/// What webpki found wrong with `link`, in our words. Once the leaf has passed our own checks,
/// all that is left to be wrong is above it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "webpki may add reasons; one without words here still proves nothing"
)]
fn flaw(link: Link, error: &webpki::Error) -> Flaw {
    use webpki::Error;
    let why = match error {
        Error::CertExpired { not_after, .. } => {
            let ended = wall(*not_after);
            return Flaw::Expired { link, ended };
        }
        Error::CertNotValidYet { not_before, .. } => {
            let begins = wall(*not_before);
            return Flaw::NotYetValid { link, begins };
        }
        Error::EndEntityUsedAsCa => Unfit::LeafAsAuthority,
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => Unfit::PathLength,
        Error::NameConstraintViolation => Unfit::NameConstraints,
        Error::EmptyEkuExtension | Error::RequiredEkuNotFoundContext(_) => Unfit::ExtendedKeyUsage,
        Error::UnsupportedCriticalExtension => Unfit::CriticalExtension,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Unfit::WeakSignature,
        _ => return Flaw::UnknownAuthority,
    };
    Flaw::NotFit { link, why }
}

/// webpki takes a root's word for ever; a root whose time is over is one that we should have
/// replaced, and another root of the bundle may still prove the same chain.
fn root_in_force(root: Validity, now: Wall) -> Result<(), webpki::Error> {
    let time = unix_time(now);
    if !root.has_begun(now) {
        let not_before = unix_time(root.begins);
        return Err(webpki::Error::CertNotValidYet { time, not_before });
    }
    if root.is_over(now) {
        let not_after = unix_time(root.ends);
        return Err(webpki::Error::CertExpired { time, not_after });
    }
    Ok(())
}

fn unix_time(wall: Wall) -> UnixTime {
    UnixTime::since_unix_epoch(wall.elapsed_since_epoch())
}

fn wall(time: UnixTime) -> Wall {
    Wall::since_epoch(Duration::from_secs(time.as_secs()))
}

/// How certificates may be signed: the keys of [`Unfit::WeakKey`], with SHA-2.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithm::ECDSA_P256_SHA256,
    algorithm::ECDSA_P256_SHA384,
    algorithm::ECDSA_P384_SHA256,
    algorithm::ECDSA_P384_SHA384,
    algorithm::ED25519,
    algorithm::RSA_PKCS1_2048_8192_SHA256,
    algorithm::RSA_PKCS1_2048_8192_SHA384,
    algorithm::RSA_PKCS1_2048_8192_SHA512,
    algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];
