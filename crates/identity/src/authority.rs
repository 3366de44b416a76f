//! The CA's rules: what a root, an intermediate and a leaf must hold, and who may sign what.
//!
//! A [`Root`] signs intermediates and the root that follows it, and nothing else; an [`Intermediate`]
//! signs leaves and nothing else. Each replica of a control plane has an intermediate of its own.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use leno_model::{Dice, SpiffeId, TrustDomain, Wall};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::{
    certificate::{Certificate, Unfit, Validity},
    key::{Key, PublicKey},
};

/// How long a root stands by default: ten years.
pub const ROOT_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);

/// How long an intermediate stands by default: ninety days.
pub const INTERMEDIATE_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long a leaf stands by default: a day.
pub const LEAF_LIFE: Duration = Duration::from_secs(24 * 3600);

/// The shortest life that is given to anything.
pub const SHORTEST_LIFE: Duration = Duration::from_secs(60);

/// How far a certificate is dated back at most, for peers whose clocks are behind.
const LONGEST_BACKDATING: Duration = Duration::from_secs(300);

/// The root of a trust domain.
#[derive(Debug)]
pub struct Root(Authority);

impl Root {
    /// Makes the root of `domain`, signed by itself.
    pub fn establish(
        domain: &TrustDomain,
        key: Key,
        life: Duration,
        now: Wall,
        dice: &mut Dice,
    ) -> Result<Self, CannotSign> {
        let profile = Profile::authority("root", domain, 2, serial(dice));
        let params = profile.valid(validity(life, now, None)?);
        let certificate = params.self_signed(key.pair()).map_err(CannotSign::of)?;
        let certificate = certificate.der().to_vec();
        Ok(Self(
            Authority::restore(certificate, key).map_err(CannotSign::Own)?,
        ))
    }

    /// Takes up a root that was established earlier.
    pub fn restore(certificate: Vec<u8>, key: Key) -> Result<Self, BadAuthority> {
        Authority::restore(certificate, key).map(Self)
    }

    /// Signs an intermediate's key and gives its certificate in DER. It never outlives the root.
    pub fn sign_intermediate(
        &self,
        key: &PublicKey,
        life: Duration,
        now: Wall,
        dice: &mut Dice,
    ) -> Result<Vec<u8>, CannotSign> {
        let profile = Profile::authority("intermediate", &self.0.domain, 0, serial(dice));
        self.0.sign(profile, key, life, now)
    }

    /// Vouches for the root that follows this one, and gives the certificate that says so in DER: who
    /// knows only this root can follow a chain to the next one by it. It stands for as long as the
    /// next root does: what ends earlier is this root's word, not the paper.
    pub fn vouch_for(&self, next: &Self) -> Result<Vec<u8>, CannotSign> {
        let next = &next.0;
        // Of the same serial is of the same subject, by which intermediates name their root.
        let profile = Profile::authority("root", &next.domain, 1, next.serial());
        self.0
            .signed(&profile.valid(next.validity), &next.key.public())
    }

    /// The trust domain it is the root of.
    pub fn domain(&self) -> &TrustDomain {
        &self.0.domain
    }

    /// Its certificate in DER: what goes into bundles.
    pub fn certificate(&self) -> &[u8] {
        &self.0.certificate
    }

    /// When it stands.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }
}

/// An authority that signs leaves.
#[derive(Debug)]
pub struct Intermediate {
    authority: Authority,
    /// What stands between it and its root, in DER, the nearest first.
    above: Vec<Vec<u8>>,
}

impl Intermediate {
    /// Takes up an intermediate that a root signed for `key`.
    pub fn restore(certificate: Vec<u8>, key: Key) -> Result<Self, BadAuthority> {
        let authority = Authority::restore(certificate, key)?;
        let above = Vec::new();
        Ok(Self { authority, above })
    }

    /// Takes up an intermediate of `domain` that somebody else's authority signed. `above` is what
    /// stands between it and its root, which itself stands for `root`: somebody else's authority may sign for longer
    /// than it lives. Whether anybody would believe it, [`endorsed`] says.
    ///
    /// [`endorsed`]: crate::endorsed
    pub fn restore_under(
        (above, root): (Vec<Vec<u8>>, Validity),
        certificate: Vec<u8>,
        key: Key,
        domain: &TrustDomain,
    ) -> Result<Self, BadAuthority> {
        let mut authority = Authority::restore_of(certificate, key, Some(domain))?;
        let mut stands = authority.validity.within(root);
        for above in &above {
            let unread = BadAuthority::Certificate(Unfit::NotACertificate);
            stands = stands.within(Validity::of(above).ok_or(unread)?);
        }
        authority.validity = stands;
        Ok(Self { authority, above })
    }

    /// Signs a leaf for `id`, whom somebody has attested, and gives the chain in DER: the leaf, this
    /// intermediate, what stands above it but the root. The leaf never outlives the intermediate.
    pub fn sign_leaf(
        &self,
        key: &PublicKey,
        id: &SpiffeId,
        life: Duration,
        now: Wall,
        dice: &mut Dice,
    ) -> Result<Vec<Vec<u8>>, CannotSign> {
        self.sign_leaf_at(key, (id, &[]), life, now, dice)
    }

    /// The same for somebody whom those also call who know nothing of the mesh, and expect one of these `hosts`:
    /// names or addresses. What is neither is left out.
    pub fn sign_leaf_at(
        &self,
        key: &PublicKey,
        (id, hosts): (&SpiffeId, &[&str]),
        life: Duration,
        now: Wall,
        dice: &mut Dice,
    ) -> Result<Vec<Vec<u8>>, CannotSign> {
        let authority = &self.authority;
        if id.trust_domain != authority.domain {
            return Err(CannotSign::ForeignTrustDomain {
                id: id.clone(),
                ours: authority.domain.clone(),
            });
        }
        let leaf = authority.sign(Profile::leaf(id, hosts, dice), key, life, now)?;
        let mut chain = Vec::from([leaf, authority.certificate.clone()]);
        chain.extend_from_slice(&self.above);
        Ok(chain)
    }

    /// The trust domain it signs for.
    pub fn domain(&self) -> &TrustDomain {
        &self.authority.domain
    }

    /// Its certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.authority.certificate
    }

    /// What stands between it and its root, in DER, the nearest first.
    pub fn above(&self) -> &[Vec<u8>] {
        &self.above
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        &self.authority.key
    }

    /// When it stands, and all above it.
    pub fn validity(&self) -> Validity {
        self.authority.validity
    }
}

/// A certificate that may sign, with its key.
#[derive(Debug)]
struct Authority {
    domain: TrustDomain,
    certificate: Vec<u8>,
    validity: Validity,
    key: Key,
}

impl Authority {
    fn restore(certificate: Vec<u8>, key: Key) -> Result<Self, BadAuthority> {
        Self::restore_of(certificate, key, None)
    }

    /// One that needs not say its trust domain, where that is known; it may not say another one.
    fn restore_of(
        certificate: Vec<u8>,
        key: Key,
        expected: Option<&TrustDomain>,
    ) -> Result<Self, BadAuthority> {
        let read = Certificate::read(&certificate).map_err(BadAuthority::Certificate)?;
        read.check_authority().map_err(BadAuthority::Certificate)?;
        if PublicKey::read(read.public_key()).as_ref() != Ok(&key.public()) {
            return Err(BadAuthority::OtherKey);
        }
        let validity = read.validity();
        let said = match expected {
            Some(_) if read.says_no_uri() => expected.cloned(),
            Some(_) | None => read.trust_domain(),
        };
        let domain = said.ok_or(BadAuthority::TrustDomain)?;
        if let Some(expected) = expected
            && domain != *expected
        {
            return Err(BadAuthority::ForeignTrustDomain { domain });
        }
        Ok(Self {
            domain,
            certificate,
            validity,
            key,
        })
    }

    /// The serial of its certificate; zeros for one of a length that is not ours.
    fn serial(&self) -> Serial {
        let read = Certificate::read(&self.certificate);
        let serial = read.ok().and_then(|read| read.serial().try_into().ok());
        serial.unwrap_or_default()
    }

    fn sign(
        &self,
        profile: Profile,
        key: &PublicKey,
        life: Duration,
        now: Wall,
    ) -> Result<Vec<u8>, CannotSign> {
        let params = profile.valid(validity(life, now, Some(self.validity))?);
        self.signed(&params, key)
    }

    fn signed(&self, params: &CertificateParams, key: &PublicKey) -> Result<Vec<u8>, CannotSign> {
        let certificate = CertificateDer::from(self.certificate.as_slice());
        let issuer =
            Issuer::from_ca_cert_der(&certificate, self.key.pair()).map_err(CannotSign::of)?;
        let signed = params
            .signed_by(key.info(), &issuer)
            .map_err(CannotSign::of)?;
        Ok(signed.der().to_vec())
    }
}

/// When a certificate of this `life` stands: dated back a little, and never beyond `above`, the
/// certificate that signs it.
fn validity(life: Duration, now: Wall, above: Option<Validity>) -> Result<Validity, CannotSign> {
    if life < SHORTEST_LIFE {
        return Err(CannotSign::TooShort { life });
    }
    let begins = now - (life / 10).min(LONGEST_BACKDATING);
    let ends = now + life;
    let Some(above) = above else {
        return Ok(Validity { begins, ends });
    };
    if above.left(now) < SHORTEST_LIFE {
        return Err(CannotSign::Ending { ends: above.ends });
    }
    Ok(Validity { begins, ends }.within(above))
}

/// What a certificate holds beside key and time.
struct Profile(CertificateParams);

impl Profile {
    fn authority(role: &str, domain: &TrustDomain, path_length: u8, serial: Serial) -> Self {
        let mut params = named(role, &format!("spiffe://{domain}"), serial);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
        params.key_usages = Vec::from([KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
        Self(params)
    }

    fn leaf(id: &SpiffeId, hosts: &[&str], dice: &mut Dice) -> Self {
        let mut params = named("workload", &id.to_string(), serial(dice));
        let hosts = hosts.iter().filter_map(|host| by_host(host));
        params.subject_alt_names.extend(hosts);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = Vec::from([KeyUsagePurpose::DigitalSignature]);
        params.extended_key_usages = Vec::from([
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ]);
        Self(params)
    }

    fn valid(self, validity: Validity) -> CertificateParams {
        let Self(mut params) = self;
        params.not_before = civil(validity.begins);
        params.not_after = civil(validity.ends);
        params
    }
}

/// A certificate for `uri` with a serial of its own. The subject carries part of the serial, so that
/// no certificate has the subject of its issuer: OpenSSL would take it for self-signed.
fn named(role: &str, uri: &str, serial: Serial) -> CertificateParams {
    let [a, b, c, d, ..] = serial;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Leno");
    subject.push(
        DnType::CommonName,
        format!("{role} {a:02x}{b:02x}{c:02x}{d:02x}"),
    );
    let uri = uri.try_into().expect("an identity is ASCII");
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.subject_alt_names = Vec::from([SanType::URI(uri)]);
    params.distinguished_name = subject;
    params.use_authority_key_identifier_extension = true;
    params
}

/// How a certificate says that it is for a host (RFC 5280 section 4.2.1.6).
fn by_host(host: &str) -> Option<SanType> {
    match host.parse() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) => Some(SanType::DnsName(host.try_into().ok()?)),
    }
}

/// 126 rolled bits, above zero and of a fixed length (RFC 5280 section 4.1.2.2).
type Serial = [u8; 16];

fn serial(dice: &mut Dice) -> Serial {
    let bits = u128::from(dice.next_u64()) << 64 | u128::from(dice.next_u64());
    (bits >> 2 | 1 << 126).to_be_bytes()
}

/// The whole second, and the last one that a certificate can hold for everything after it.
fn civil(wall: Wall) -> OffsetDateTime {
    const LAST: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z, RFC 5280 section 4.1.2.5
    let seconds = i64::try_from(wall.elapsed_since_epoch().as_secs()).unwrap_or(LAST);
    OffsetDateTime::from_unix_timestamp(seconds.min(LAST)).expect("a year of at most four digits")
}

/// Why certificate and key do not make an authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthority {
    /// The certificate cannot sign.
    #[error("the certificate is not an authority's: {0}")]
    Certificate(Unfit),
    /// The key is another certificate's.
    #[error("the key is not that of the certificate")]
    OtherKey,
    /// The certificate does not say whose trust domain it is for.
    #[error("the certificate does not hold exactly one spiffe://<trust-domain>")]
    TrustDomain,
    /// The certificate is for another trust domain.
    #[error("the certificate is an authority's of {domain}")]
    ForeignTrustDomain {
        /// Whose authority it is.
        domain: TrustDomain,
    },
}

/// Why something was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    /// A life so short that renewal could not keep up.
    #[error("a life of {life:?} was asked for, and the shortest is {SHORTEST_LIFE:?}")]
    TooShort {
        /// What was asked for.
        life: Duration,
    },
    /// The identity is another trust domain's to prove.
    #[error("{id} was asked for, and this authority signs for {ours}")]
    ForeignTrustDomain {
        /// Who was asked for.
        id: SpiffeId,
        /// The domain that is signed for.
        ours: TrustDomain,
    },
    /// The authority itself is about to end, or has ended.
    #[error("the authority ends at {ends}, too soon for anything to be signed")]
    Ending {
        /// Its last second.
        ends: Wall,
    },
    /// What was signed is not fit to sign.
    #[error("the root that was made is not fit: {0}")]
    Own(BadAuthority),
    /// The signature could not be made.
    #[error("the signature could not be made: {0}")]
    Signature(String),
}

impl CannotSign {
    pub(crate) fn of(error: rcgen::Error) -> Self {
        Self::Signature(error.to_string())
    }
}
