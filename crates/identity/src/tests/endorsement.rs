//! Which intermediates of an authority outside are taken up.

use rcgen::{CustomExtension, PKCS_ECDSA_P521_SHA512};

use super::*;
use crate::{NotEndorsed, Validity, endorsed};

/// A company's root, free to sign whatever it wants.
struct Company(CertifiedIssuer<'static, KeyPair>);

impl Company {
    fn new(path_length: Option<u8>) -> Self {
        let pair = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority("company", path_length), pair).unwrap())
    }

    /// The chain of an intermediate like this, and its key.
    fn endorse(&self, params: &CertificateParams) -> (Vec<Vec<u8>>, Key) {
        let pair = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&pair, &self.0).unwrap();
        let chain = vec![certificate.der().to_vec(), self.0.der().to_vec()];
        (chain, key_of(&pair))
    }
}

fn take(chain: &[Vec<u8>], key: Key) -> Result<crate::Endorsed, NotEndorsed> {
    let domain = TrustDomain::new("shop.local").unwrap();
    endorsed(chain, key, &domain, HOUR, NOW, &mut Dice::new(7))
}

/// What is said of a chain: that a leaf is believed, or why it is not taken up.
#[track_caller]
fn check((chain, key): (Vec<Vec<u8>>, Key), expect: &str) {
    let told = match take(&chain, key) {
        Ok(taken) => {
            let public = new_key().public();
            let signed = taken.intermediate;
            let signed = signed.sign_leaf(&public, &id(WEB), HOUR, NOW, &mut Dice::new(8));
            let signed = signed.unwrap();
            let trust = trust(&[("shop.local", &taken.root)], &[]);
            format!(
                "{} certificates: {}",
                signed.len(),
                told(&signed, &trust, NOW)
            )
        }
        Err(why) => why.to_string(),
    };
    assert_eq!(told, expect);
}

fn ours() -> CertificateParams {
    authority("our intermediate", Some(0))
}

const TAKEN: &str =
    "2 certificates: spiffe://shop.local/ns/default/sa/web until 2026-11-20T11:00:00.000Z";

#[test]
fn one_that_may_sign_for_us_is_taken_up() {
    check(Company::new(None).endorse(&ours()), TAKEN);
    let mut named = ours();
    named.subject_alt_names = vec![SanType::URI("spiffe://shop.local".try_into().unwrap())];
    check(Company::new(Some(1)).endorse(&named), TAKEN);

    // One authority may stand between it and the root, as it often does in a company.
    let company = Company::new(None);
    let pair = KeyPair::generate().unwrap();
    let between = authority("issuing", Some(1));
    let between = CertifiedIssuer::signed_by(between, pair, &company.0).unwrap();
    let pair = KeyPair::generate().unwrap();
    let signed = ours().signed_by(&pair, &between).unwrap();
    let whole = vec![
        signed.der().to_vec(),
        between.der().to_vec(),
        company.0.der().to_vec(),
    ];
    check(
        (whole.clone(), key_of(&pair)),
        "3 certificates: spiffe://shop.local/ns/default/sa/web until 2026-11-20T11:00:00.000Z",
    );
    let without = "the chain does not end with a root: a certificate that is signed by itself";
    check((whole[..2].to_vec(), key_of(&pair)), without);
    check((whole[..1].to_vec(), key_of(&pair)), without);
    let doubled = [&whole[..2], &whole[1..]].concat();
    check(
        (doubled, key_of(&pair)),
        "2 authorities stand between the intermediate and its root, and at most 1 may",
    );
}

/// An issuer that signs for as long as it is asked to, whatever is left of itself.
#[test]
fn none_stands_for_longer_than_what_is_above_it() {
    let ending = |ends| {
        let mut ending = authority("company", None);
        ending.not_after = civil(ends);
        ending
    };
    let own = |params| {
        let pair = KeyPair::generate().unwrap();
        Company(CertifiedIssuer::self_signed(params, pair).unwrap())
    };
    let (chain, key) = own(ending(NOW + HOUR * 5)).endorse(&ours());
    let taken = take(&chain, key).unwrap().intermediate;
    assert_eq!(taken.validity().ends, NOW + HOUR * 5);
    let public = new_key().public();
    let leaf = taken.sign_leaf(&public, &id(WEB), HOUR * 9, NOW, &mut Dice::new(8));
    let leaf = Validity::of(&leaf.unwrap()[0]).unwrap();
    assert_eq!(leaf.ends, NOW + HOUR * 5);

    let company = Company::new(None);
    let pair = KeyPair::generate().unwrap();
    let between = CertifiedIssuer::signed_by(ending(NOW + HOUR * 2), pair, &company.0).unwrap();
    let pair = KeyPair::generate().unwrap();
    let signed = ours().signed_by(&pair, &between).unwrap();
    let whole = [signed.der(), between.der(), company.0.der()].map(|one| one.to_vec());
    let taken = take(&whole, key_of(&pair)).unwrap().intermediate;
    assert_eq!(taken.validity().ends, NOW + HOUR * 2);

    let (chain, key) = own(ending(NOW + HOUR / 2)).endorse(&ours());
    check(
        (chain, key),
        "it, or an authority above it, ends at 2026-11-20T10:30:00.000Z, sooner than a leaf of 3600s",
    );
}

#[test]
fn one_whose_leaves_nobody_would_believe_is_not() {
    let company = Company::new(None);
    let (chain, key) = company.endorse(&ours());
    let other = new_key();
    check(
        (chain.clone(), other),
        "the key is not that of the certificate",
    );
    let foreign = Company::new(None).0.der().to_vec();
    check(
        (vec![chain[0].clone(), foreign], key),
        "nobody would believe what it signs: the certificate of \
         spiffe://shop.local/ns/default/sa/trial was expected to lead to a root of shop.local, and \
         does not",
    );
    check(
        company.endorse(&leaf(WEB)),
        "the certificate is not an authority's: it signs another certificate and is not an authority's",
    );
    let mut elsewhere = ours();
    elsewhere.subject_alt_names = vec![SanType::URI("spiffe://bank.local".try_into().unwrap())];
    check(
        company.endorse(&elsewhere),
        "the certificate is an authority's of bank.local",
    );
    let mut ending = ours();
    ending.not_after = civil(NOW + HOUR / 2);
    check(
        company.endorse(&ending),
        "it, or an authority above it, ends at 2026-11-20T10:30:00.000Z, sooner than a leaf of 3600s",
    );
    check(
        Company::new(Some(0)).endorse(&ours()),
        "its root is not fit: more authorities stand below it than its path length allows",
    );
    let mut narrow = ours();
    narrow.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    check(
        company.endorse(&narrow),
        "nobody would believe what it signs: an authority above the certificate of \
         spiffe://shop.local/ns/default/sa/trial is not fit: its extended key usage does not hold \
         both serverAuth and clientAuth",
    );
    let mut constrained = ours();
    // Permitted are URIs of bank.local alone (RFC 5280 section 4.2.1.10).
    let only = [
        b"\x30\x10\xa0\x0e\x30\x0c\x86\x0a".as_slice(),
        b"bank.local",
    ]
    .concat();
    let mut only = CustomExtension::from_oid_content(&[2, 5, 29, 30], only);
    only.set_criticality(true);
    constrained.custom_extensions = vec![only];
    check(
        company.endorse(&constrained),
        "nobody would believe what it signs: an authority above the certificate of \
         spiffe://shop.local/ns/default/sa/trial is not fit: its name constraints leave out the \
         identity below it",
    );
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let weak = CertifiedIssuer::self_signed(authority("weak", None), pair).unwrap();
    check(
        Company(weak).endorse(&ours()),
        "its root is not fit: its key is on another elliptic curve; P-256, P-384, Ed25519 and RSA \
         from 2048 bits are taken",
    );
}
