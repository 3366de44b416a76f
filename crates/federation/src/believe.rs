//! What of another trust domain's bundle is believed.

use alloc::{format, string::String, string::ToString, sync::Arc, vec::Vec};
use core::time::Duration;

use leno_identity::Anchor;
use leno_jwt::{BadKeys, SpiffeBundle};
use leno_model::{TrustDomain, Wall};

/// A bundle that was judged: what proves the identities of one trust domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Believed {
    /// Rises with each change, where the trust domain says it.
    pub sequence: Option<u64>,
    /// How often others are to look for another one, where it says it.
    pub refresh_hint: Option<Duration>,
    /// The roots in DER.
    pub roots: Arc<Vec<Vec<u8>>>,
    /// The last second of the last of them; `None` without roots.
    pub ends: Option<Wall>,
    /// The keys that prove JWT-SVIDs, as a JWK Set.
    pub token_keys: Option<Arc<str>>,
    /// Which of its keys were left out, and why, in words.
    pub left_out: Vec<String>,
}

impl Believed {
    /// Whether both prove the same, whatever else is said of them.
    pub(crate) fn proves_as(&self, other: &Self) -> bool {
        self.roots == other.roots && self.token_keys == other.token_keys
    }
}

/// Judges a bundle that is said to be that of `domain`, by itself. A key that cannot be used costs itself; one that
/// says to be an authority of another trust domain is none here.
pub fn believe(text: &[u8], domain: &TrustDomain, now: Wall) -> Result<Believed, NotBelieved> {
    let (bundle, skipped) = SpiffeBundle::read(text)?;
    let mut left_out: Vec<_> = skipped.iter().map(ToString::to_string).collect();
    let token_keys = bundle.token_key_set().map(Arc::from);
    let (mut roots, mut ends) = (Vec::new(), None);
    for (place, root) in bundle.authorities.into_iter().enumerate() {
        match judge(&root, domain, now) {
            Ok(last) => {
                ends = ends.max(Some(last));
                roots.push(root);
            }
            Err(why) => left_out.push(format!("authority {} is not used: {why}", place + 1)),
        }
    }
    if roots.is_empty() && token_keys.is_none() {
        return Err(NotBelieved::Empty(left_out.into_iter().next()));
    }
    Ok(Believed {
        sequence: bundle.sequence,
        refresh_hint: bundle.refresh_hint,
        roots: Arc::new(roots),
        ends,
        token_keys,
        left_out,
    })
}

/// The last second of a root that may stand in the bundle of `domain`.
fn judge(root: &[u8], domain: &TrustDomain, now: Wall) -> Result<Wall, String> {
    let anchor = Anchor::of(root).map_err(|why| why.to_string())?;
    let ends = anchor.validity.ends;
    match anchor.trust_domain {
        Some(other) if other != *domain => Err(format!("it says to be an authority of {other}")),
        _ if anchor.validity.is_over(now) => Err(format!("it ended at {ends}")),
        Some(_) | None => Ok(ends),
    }
}

/// Why a bundle is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotBelieved {
    /// It is none.
    #[error("it is no SPIFFE bundle: {0}")]
    Unreadable(#[from] BadKeys),
    /// Nothing in it proves anything.
    #[error("nothing in it proves an identity{}", because(.0.as_deref()))]
    Empty(Option<String>),
    /// It has no roots, and there were some.
    #[error("it has no root, and the one before had: that would end all connections{}", because(.0.as_deref()))]
    NoRoot(Option<String>),
    /// An older one.
    #[error("its sequence {}, and {held} was there before: it is an older one", said(*.came))]
    Older {
        /// The sequence of the one that is held.
        held: u64,
        /// Its own.
        came: Option<u64>,
    },
}

fn because(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}

fn said(sequence: Option<u64>) -> String {
    sequence.map_or_else(|| "is not said".into(), |sequence| format!("is {sequence}"))
}
