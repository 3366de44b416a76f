//! Examples: who is believed, and what the CA signs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use leno_model::{Dice, SpiffeId, TrustDomain, Wall};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SigningKey,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{INTERMEDIATE_LIFE, Intermediate, Key, LEAF_LIFE, ROOT_LIFE, Root, Trust, verify};

mod authority;
mod bytes;
mod chain;
mod endorsement;
mod endpoint;
mod mesh_time;
mod renewal;
mod rotation;
mod seal;

/// 2026-11-20T10:00:00Z.
const NOW: Wall = Wall::since_epoch(Duration::from_secs(1_795_168_800));

const WEB: &str = "spiffe://shop.local/ns/default/sa/web";

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn id(uri: &str) -> SpiffeId {
    SpiffeId::parse(uri).unwrap()
}

fn new_key() -> Key {
    key_of(&KeyPair::generate().unwrap())
}

fn key_of(pair: &KeyPair) -> Key {
    let der = PrivatePkcs8KeyDer::from(pair.serialize_der());
    Key::read(&PrivateKeyDer::from(der)).unwrap()
}

/// The CA of shop.local.
struct Shop {
    dice: Dice,
    root: Root,
    root_key: Key,
    intermediate: Intermediate,
    intermediate_key: Key,
}

impl Shop {
    fn open() -> Self {
        let mut dice = Dice::new(7);
        let domain = TrustDomain::new("shop.local").unwrap();
        let root_key = new_key();
        let root = Root::establish(&domain, root_key.clone(), ROOT_LIFE, NOW, &mut dice).unwrap();
        let key = new_key();
        let certificate = root
            .sign_intermediate(&key.public(), INTERMEDIATE_LIFE, NOW, &mut dice)
            .unwrap();
        let intermediate = Intermediate::restore(certificate, key.clone()).unwrap();
        Self {
            dice,
            root,
            root_key,
            intermediate,
            intermediate_key: key,
        }
    }

    /// A chain for `uri`, as the CA signs it.
    fn sign(&mut self, uri: &str) -> Vec<Vec<u8>> {
        let key = new_key().public();
        self.intermediate
            .sign_leaf(&key, &id(uri), LEAF_LIFE, NOW, &mut self.dice)
            .unwrap()
    }

    /// The CA's intermediate, free to sign what no rule of the CA allows.
    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        let certificate = self.intermediate.certificate().into();
        Issuer::from_ca_cert_der(&certificate, self.intermediate_key.pair()).unwrap()
    }

    /// An authority right under the root, whatever the CA's rules.
    fn authority(&self, params: CertificateParams) -> CertifiedIssuer<'static, KeyPair> {
        let root = self.root.certificate().into();
        let root = Issuer::from_ca_cert_der(&root, self.root_key.pair()).unwrap();
        CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap()
    }

    /// A chain whose leaf is `params`.
    fn sign_anything(&self, params: &CertificateParams) -> Vec<Vec<u8>> {
        self.sign_for(params, &KeyPair::generate().unwrap())
    }

    /// A chain whose leaf is `params`, for this key.
    fn sign_for(&self, params: &CertificateParams, key: &impl PublicKeyData) -> Vec<Vec<u8>> {
        let leaf = params.signed_by(key, &self.issuer()).unwrap();
        vec![
            leaf.der().to_vec(),
            self.intermediate.certificate().to_vec(),
        ]
    }

    fn trust(&self) -> Trust {
        trust(&[("shop.local", self.root.certificate())], &[])
    }

    fn check(&self, chain: &[Vec<u8>], expect: &str) {
        check(chain, &self.trust(), NOW, expect);
    }
}

/// Whom to believe: roots by trust domain, and who is revoked.
fn trust(roots: &[(&str, &[u8])], revoked: &[&str]) -> Trust {
    let mut bundles: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (domain, root) in roots {
        let domain = TrustDomain::new(domain).unwrap();
        bundles.entry(domain).or_default().push(root.to_vec());
    }
    let bundles = bundles
        .into_iter()
        .map(|(domain, roots)| (domain, Arc::new(roots)))
        .collect();
    let revoked: BTreeSet<_> = revoked.iter().map(|uri| id(uri)).collect();
    let (trust, bad) = Trust::new(&bundles, Arc::new(revoked));
    assert_eq!(bad, []);
    trust
}

/// Judges `chain` and compares what comes with one line: `ID until END`, or `CODE (fault) REASON`.
#[track_caller]
fn check(chain: &[Vec<u8>], trust: &Trust, now: Wall, expect: &str) {
    assert_eq!(told(chain, trust, now), expect);
}

fn told(chain: &[Vec<u8>], trust: &Trust, now: Wall) -> String {
    match verify(chain, trust, now) {
        Ok(caller) => format!("{} until {}", caller.id(), caller.ends()),
        Err(why) => format!("{} ({}) {why}", why.code(), why.fault()),
    }
}

/// A leaf as the CA would make it, to be spoiled.
fn leaf(uri: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.not_before = civil(NOW - HOUR);
    params.not_after = civil(NOW + DAY);
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

/// An authority that no rule of the CA holds back.
fn authority(name: &str, path_length: Option<u8>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = civil(NOW - HOUR);
    params.not_after = civil(NOW + DAY);
    params.is_ca = IsCa::Ca(match path_length {
        Some(length) => BasicConstraints::Constrained(length),
        None => BasicConstraints::Unconstrained,
    });
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn sign(issuer: &Issuer<'_, impl SigningKey>, params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, issuer).unwrap().der().to_vec()
}

fn civil(wall: Wall) -> time::OffsetDateTime {
    let seconds = wall.elapsed_since_epoch().as_secs();
    time::OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap()
}
