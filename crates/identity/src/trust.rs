//! Whom to believe: the roots of each trust domain, and the identities that are refused all the same.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::ptr;

use leno_model::{Code, SpiffeId, TrustDomain};
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::certificate::{Certificate, Unfit, Validity};

/// What callers are judged by. Made when a view is adopted, replaced as a whole.
#[derive(Debug, Default)]
pub struct Trust {
    bundles: BTreeMap<TrustDomain, Bundle>,
    revoked: Arc<BTreeSet<SpiffeId>>,
    people: bool,
}

impl Trust {
    /// Reads a view's `bundles` and keeps its `revoked`. A root that cannot be used is left out
    /// and named; the others stand. People are not believed.
    pub fn new(
        bundles: &BTreeMap<TrustDomain, Arc<Vec<Vec<u8>>>>,
        revoked: Arc<BTreeSet<SpiffeId>>,
    ) -> (Self, Vec<BadRoot>) {
        let mut bad = Vec::new();
        let bundles = bundles.iter().map(|(domain, roots)| {
            let mut bundle = Bundle::default();
            for (index, root) in roots.iter().enumerate() {
                if let Err(why) = bundle.add(root) {
                    let domain = domain.clone();
                    bad.push(BadRoot { domain, index, why });
                }
            }
            (domain.clone(), bundle)
        });
        let trust = Self {
            bundles: bundles.collect(),
            revoked,
            people: false,
        };
        (trust, bad)
    }

    /// Believes people, too: for who is asked by people, and carries no calls.
    pub fn with_people(self) -> Self {
        Self {
            people: true,
            ..self
        }
    }

    /// Whether a person may be the peer.
    pub(crate) fn takes_people(&self) -> bool {
        self.people
    }

    /// The trust domains that have roots.
    pub fn domains(&self) -> impl Iterator<Item = &TrustDomain> {
        let with_roots = |(_, bundle): &(_, &Bundle)| !bundle.anchors.is_empty();
        self.bundles.iter().filter(with_roots).map(|(name, _)| name)
    }

    /// Whether `id` is refused although its certificates are valid.
    pub fn is_revoked(&self, id: &SpiffeId) -> bool {
        self.revoked.contains(id)
    }

    /// The roots of `domain`, if there are any.
    pub(crate) fn bundle(&self, domain: &TrustDomain) -> Option<&Bundle> {
        let bundle = self.bundles.get(domain)?;
        (!bundle.anchors.is_empty()).then_some(bundle)
    }
}

/// The roots of one trust domain.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    /// Each root's name and key.
    anchors: Vec<TrustAnchor<'static>>,
    /// When each of `anchors` stands, in the same order.
    validities: Vec<Validity>,
}

impl Bundle {
    fn add(&mut self, root: &[u8]) -> Result<(), Unfit> {
        let certificate = Certificate::read(root)?;
        certificate.check_authority()?;
        let der = CertificateDer::from(root);
        let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|_| Unfit::NotACertificate)?;
        self.anchors.push(anchor.to_owned());
        self.validities.push(certificate.validity());
        Ok(())
    }

    /// Each root's name and key.
    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// When one of [`Self::anchors`] stands, told by its place in memory: two roots may share
    /// name and key and differ in nothing but their time.
    pub(crate) fn validity_of(&self, anchor: &TrustAnchor<'_>) -> Validity {
        let index = self.anchors.iter().position(|ours| ptr::eq(ours, anchor));
        let validity = index.and_then(|index| self.validities.get(index));
        *validity.expect("the anchor is one of this bundle, and each has its validity")
    }
}

/// A root that was left out of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("root {} of {domain} is left out: {why}", index + 1)]
pub struct BadRoot {
    /// Whose root it should be.
    pub domain: TrustDomain,
    /// Its place in the bundle, counted from 0.
    pub index: usize,
    /// What is wrong with it.
    pub why: Unfit,
}

impl BadRoot {
    /// The code of every such finding.
    pub fn code(&self) -> Code {
        Code::T010
    }
}
