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
    let (leaf, others) = chain.split_first().ok_or(Distrust::NoCertificate)?;
    if chain.len() > LONGEST_CHAIN {
        return Err(Distrust::ChainTooLong { came: chain.len() });
    }
    let unreadable = |why| Distrust::NotFit {
        id: None,
        link: Link::Leaf,
        why,
    };
    let certificate = Certificate::read(leaf.as_ref()).map_err(unreadable)?;
    let id = certificate
        .identity()
        .map_err(Distrust::MalformedIdentity)?;
    let bundle = trust.bundle(&id.trust_domain);
    let bundle = bundle.ok_or_else(|| Distrust::ForeignTrustDomain {
        id: id.clone(),
        trusted: trust.domains().cloned().collect(),
    })?;
    let case = Case { id: &id, now };
    certificate
        .check_leaf()
        .map_err(|why| case.not_fit(Link::Leaf, why))?;
    case.check_time(&certificate)?;
    let stands = case.check_path(leaf.as_ref(), others, bundle)?;
    if trust.is_revoked(&id) {
        return Err(Distrust::Revoked { id });
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

/// One judgement: who is claimed, and at which time.
struct Case<'a> {
    id: &'a SpiffeId,
    now: Wall,
}

impl Case<'_> {
    fn check_time(&self, leaf: &Certificate<'_>) -> Result<(), Distrust> {
        let validity = leaf.validity();
        if !validity.has_begun(self.now) {
            return Err(self.not_yet_valid(Link::Leaf, validity.begins));
        }
        if validity.is_over(self.now) {
            return Err(self.expired(Link::Leaf, validity.ends));
        }
        Ok(())
    }

    /// Finds a path to a root that is in force, checks each authority on it, and says when
    /// all certificates of the path stand.
    fn check_path(
        &self,
        leaf: &[u8],
        others: &[impl AsRef<[u8]>],
        bundle: &Bundle,
    ) -> Result<Validity, Distrust> {
        let der = CertificateDer::from(leaf);
        let end_entity =
            EndEntityCert::try_from(&der).map_err(|error| self.distrust(Link::Leaf, &error))?;
        let others: Vec<_> = others
            .iter()
            .map(|other| CertificateDer::from(other.as_ref()))
            .collect();
        let time = unix_time(self.now);
        let path = end_entity
            .verify_for_usage(
                ALGORITHMS,
                bundle.anchors(),
                &others,
                time,
                KeyUsage::client_auth(),
                None,
                Some(&|path| root_in_force(bundle.validity_of(path.anchor()), self.now)),
            )
            .map_err(|error| self.distrust(Link::Authority, &error))?;
        self.stands(&path, bundle)
    }

    fn stands(&self, path: &VerifiedPath<'_>, bundle: &Bundle) -> Result<Validity, Distrust> {
        let unfit = |why| self.not_fit(Link::Authority, why);
        let leaf = path.end_entity().der();
        let leaf = Certificate::read(&leaf).map_err(|why| self.not_fit(Link::Leaf, why))?;
        let root = bundle.validity_of(path.anchor());
        let mut stands = leaf.validity().within(root);
        for authority in path.intermediate_certificates() {
            let der = authority.der();
            let certificate = Certificate::read(&der).map_err(unfit)?;
            certificate.check_authority().map_err(unfit)?;
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
    fn distrust(&self, link: Link, error: &webpki::Error) -> Distrust {
        use webpki::Error;
        let unfit = match error {
            Error::CertExpired { not_after, .. } => return self.expired(link, wall(*not_after)),
            Error::CertNotValidYet { not_before, .. } => {
                return self.not_yet_valid(link, wall(*not_before));
            }
            Error::EndEntityUsedAsCa => Unfit::LeafAsAuthority,
            Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => Unfit::PathLength,
            Error::EmptyEkuExtension | Error::RequiredEkuNotFoundContext(_) => {
                Unfit::ExtendedKeyUsage
            }
            Error::UnsupportedCriticalExtension => Unfit::CriticalExtension,
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Unfit::WeakSignature,
            _ => {
                let id = self.id.clone();
                return Distrust::UnknownAuthority { id };
            }
        };
        self.not_fit(link, unfit)
    }

    fn expired(&self, link: Link, ended: Wall) -> Distrust {
        Distrust::Expired {
            id: self.id.clone(),
            link,
            ended,
            now: self.now,
        }
    }

    fn not_yet_valid(&self, link: Link, begins: Wall) -> Distrust {
        Distrust::NotYetValid {
            id: self.id.clone(),
            link,
            begins,
            now: self.now,
        }
    }

    fn not_fit(&self, link: Link, why: Unfit) -> Distrust {
        Distrust::NotFit {
            id: Some(self.id.clone()),
            link,
            why,
        }
    }
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
