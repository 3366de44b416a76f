//! An intermediate that an authority outside has signed: whether anybody would believe what it signs.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use leno_model::{Dice, Name, Namespace, SpiffeId, TrustDomain, Wall};

use crate::authority::{BadAuthority, CannotSign, Intermediate};
use crate::certificate::{Certificate, Unfit};
use crate::distrust::Distrust;
use crate::key::Key;
use crate::trust::Trust;
use crate::verify::verify;

/// An intermediate from outside, and the root that it leads to.
#[derive(Debug)]
pub struct Endorsed {
    /// What signs leaves.
    pub intermediate: Intermediate,
    /// The root in DER: what goes into bundles.
    pub root: Vec<u8>,
}

/// The most authorities that stand between an intermediate from outside and its root.
pub const MOST_ABOVE: usize = 1;

/// Takes up the intermediate of `key`, if a leaf that it signs for `domain` would be believed by whoever
/// trusts its root. `chain` is in DER: the intermediate, what stands above it, the root last. `leaf`
/// is how long leaves live: an intermediate that ends sooner is of no use.
pub fn endorsed(
    chain: &[Vec<u8>],
    key: Key,
    domain: &TrustDomain,
    leaf: Duration,
    now: Wall,
    dice: &mut Dice,
) -> Result<Endorsed, NotEndorsed> {
    let [certificate, above @ .., root] = chain else {
        return Err(NotEndorsed::NoRoot);
    };
    let read = Certificate::read(root).map_err(NotEndorsed::Root)?;
    if !read.is_root() {
        return Err(NotEndorsed::NoRoot);
    }
    if above.len() > MOST_ABOVE {
        return Err(NotEndorsed::TooLong { above: above.len() });
    }
    // Proxies of Leno take a root's name and key alone; others read what else it says.
    let below = above.len() + 1;
    if read
        .path_length()
        .is_some_and(|most| (most as usize) < below)
    {
        return Err(NotEndorsed::Root(Unfit::PathLength));
    }
    let above = (above.to_vec(), read.validity());
    let intermediate = Intermediate::restore_under(above, certificate.clone(), key, domain)?;
    let validity = intermediate.validity();
    if validity.left(now) < leaf {
        let ends = validity.ends;
        return Err(NotEndorsed::EndsTooSoon { ends, leaf });
    }
    let id = SpiffeId {
        trust_domain: domain.clone(),
        namespace: Namespace::default_namespace(),
        service_account: Name::new("trial").expect("a constant that is a name"),
    };
    let public = intermediate.key().public();
    let trial = intermediate.sign_leaf(&public, &id, leaf, now, dice)?;
    let roots = BTreeMap::from([(domain.clone(), Arc::new(Vec::from([root.clone()])))]);
    let (trust, bad) = Trust::new(&roots, Arc::default());
    if let Some(bad) = bad.into_iter().next() {
        return Err(NotEndorsed::Root(bad.why));
    }
    verify(&trial, &trust, now)?;
    Ok(Endorsed {
        intermediate,
        root: root.clone(),
    })
}

/// Why an intermediate from outside is not taken up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEndorsed {
    /// The chain does not end with a root.
    #[error("the chain does not end with a root: a certificate that is signed by itself")]
    NoRoot,
    /// More stands between the intermediate and its root than proxies would follow.
    #[error(
        "{above} authorities stand between the intermediate and its root, and at most {MOST_ABOVE} may"
    )]
    TooLong {
        /// How many.
        above: usize,
    },
    /// Certificate and key cannot sign for the trust domain.
    #[error(transparent)]
    Authority(#[from] BadAuthority),
    /// What it signs would end with it, or with what is above it, before its time.
    #[error("it, or an authority above it, ends at {ends}, sooner than a leaf of {leaf:?}")]
    EndsTooSoon {
        /// The last second of the first of them.
        ends: Wall,
        /// How long a leaf is to live.
        leaf: Duration,
    },
    /// The root cannot stand in a bundle.
    #[error("its root is not fit: {0}")]
    Root(Unfit),
    /// It cannot sign.
    #[error(transparent)]
    CannotSign(#[from] CannotSign),
    /// Nobody would believe what it signs.
    #[error("nobody would believe what it signs: {0}")]
    Disbelieved(#[from] Distrust),
}
