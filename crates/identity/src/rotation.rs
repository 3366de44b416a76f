//! How roots replace each other without anybody noticing: which step is due, and what it waits for.
//! A function of the roots that stand, of who holds which bundle, and of the time.
//!
//! A root is announced first: it is in bundles, and signs nothing. Once everyone who could meet what
//! it signs is known to hold it, it becomes the active one. The one before stays in bundles until
//! the last certificate that leads to it has ended. [`Consumers`] is who must be waited for.

use alloc::{collections::BTreeMap, vec::Vec};
use core::{fmt, time::Duration};

use leno_model::Wall;
use sha2::{Digest as _, Sha256};

use crate::certificate::Validity;

/// SHA-256 of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// That of the certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

/// In hex, as everywhere else.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A root among the others of its trust domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Which.
    pub root: Fingerprint,
    /// When it stands.
    pub validity: Validity,
    /// Where it is in its life.
    pub stage: Stage,
    /// The last second of all that was signed and leads to it.
    pub needed_until: Wall,
}

/// Where a root is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// In bundles since then, and signs nothing yet.
    Announced(Wall),
    /// It signs, since then.
    Active(Wall),
    /// It signs no more, since then, and stays in bundles for as long as it is needed.
    Leaving(Wall),
}

/// What is to be done to the roots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Make a root and put it into bundles.
    Announce,
    /// Let the announced root sign from here on.
    Activate(Fingerprint),
    /// Take a root out of bundles: nothing leads to it any more.
    Remove(Fingerprint),
}

/// The roots of one trust domain. Exactly one of them is active, and at most one announced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotation(Vec<Standing>);

impl Rotation {
    /// The first root of a trust domain, active at once: nobody holds anything else.
    pub fn found(root: Fingerprint, validity: Validity, now: Wall) -> Self {
        Self(Vec::from([Standing {
            root,
            validity,
            stage: Stage::Active(now),
            needed_until: now,
        }]))
    }

    /// The roots as they were kept, in the order in which they came. `None` unless exactly one is
    /// active and at most one announced.
    pub fn restore(standings: Vec<Standing>) -> Option<Self> {
        let count = |of: fn(&Stage) -> bool| standings.iter().filter(|one| of(&one.stage)).count();
        let active = count(|stage| matches!(stage, Stage::Active(_)));
        let announced = count(|stage| matches!(stage, Stage::Announced(_)));
        (active == 1 && announced <= 1).then_some(Self(standings))
    }

    /// All of them, in the order in which they came: what bundles hold.
    pub fn standings(&self) -> &[Standing] {
        &self.0
    }

    /// The root that signs.
    pub fn active(&self) -> &Standing {
        let mut all = self.0.iter();
        let active = all.find(|one| matches!(one.stage, Stage::Active(_)));
        active.expect("one of them is always active")
    }

    /// The root that is to sign next, once it is announced.
    pub fn announced(&self) -> Option<&Standing> {
        let mut all = self.0.iter();
        all.find(|one| matches!(one.stage, Stage::Announced(_)))
    }

    /// When the next root is announced by itself: at half of the active one's life, up to a tenth of
    /// that earlier or later. The root's own hash is the roll, so that it is the same after a restart.
    pub fn announces_at(&self) -> Wall {
        let Standing { root, validity, .. } = self.active();
        let half = validity.life() / 2;
        let [high, low, ..] = root.0;
        let roll = u32::from(u16::from_be_bytes([high, low]));
        let tenth = half / 10;
        validity.begins + (half - tenth) + tenth * 2 * roll / u32::from(u16::MAX)
    }

    /// The step that is due, if one is. `awaited` is the last second of the certificates of those who
    /// do not hold the present bundle, and could still meet what a new root signs; nothing if all do.
    pub fn step(&self, awaited: Option<Wall>, now: Wall) -> Option<Step> {
        let gone = self.0.iter().find(|one| one.is_needless(now));
        if let Some(gone) = gone {
            return Some(Step::Remove(gone.root));
        }
        match self.announced() {
            Some(next) if awaited.is_none() => Some(Step::Activate(next.root)),
            Some(_) => None,
            None if self.announces_at() <= now => Some(Step::Announce),
            None => None,
        }
    }

    /// When a step may be due next, with nobody heard of meanwhile.
    pub fn due(&self, awaited: Option<Wall>, now: Wall) -> Wall {
        let next = match (self.announced(), awaited) {
            (None, _) => self.announces_at(),
            (Some(_), None) => now,
            (Some(_), Some(ends)) => after(ends),
        };
        let leaving = self.0.iter().filter(|one| one.is_leaving());
        let gone = leaving.map(|one| after(one.needed_until.min(one.validity.ends)));
        gone.fold(next, Wall::min)
    }

    /// A root is in bundles from here on, and is to sign next. One that is leaving may come again. Says
    /// whether it is the one that comes next: there may be only one, and not the one that signs.
    pub fn announce(&mut self, root: Fingerprint, validity: Validity, now: Wall) -> bool {
        if self.announced().is_some() || self.active().root == root {
            return false;
        }
        match self.0.iter_mut().find(|one| one.root == root) {
            Some(leaving) => leaving.stage = Stage::Announced(now),
            None => self.0.push(Standing {
                root,
                validity,
                stage: Stage::Announced(now),
                needed_until: now,
            }),
        }
        true
    }

    /// The root that was announced is not to sign after all: it leaves, as soon as nothing needs it.
    pub fn withdraw(&mut self, now: Wall) {
        for one in &mut self.0 {
            if let Stage::Announced(_) = one.stage {
                one.stage = Stage::Leaving(now);
            }
        }
    }

    /// The announced root signs from here on, whoever holds it.
    pub fn activate(&mut self, now: Wall) {
        if self.announced().is_none() {
            return;
        }
        for one in &mut self.0 {
            one.stage = match one.stage {
                Stage::Announced(_) => Stage::Active(now),
                Stage::Active(_) => Stage::Leaving(now),
                Stage::Leaving(since) => Stage::Leaving(since),
            };
        }
    }

    /// A root is in bundles no more. The active one stays.
    pub fn remove(&mut self, root: Fingerprint) {
        self.0
            .retain(|one| one.root != root || matches!(one.stage, Stage::Active(_)));
    }

    /// Something was signed that leads to `root` and ends then.
    pub fn note_signed(&mut self, root: Fingerprint, ends: Wall) {
        if let Some(one) = self.0.iter_mut().find(|one| one.root == root) {
            one.needed_until = one.needed_until.max(ends);
        }
    }
}

impl Standing {
    /// Whether it only stays for what it has signed.
    pub fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Leaving(_))
    }

    fn is_needless(&self, now: Wall) -> bool {
        let is_over = |last: Wall| now.since(last) >= SECOND;
        self.is_leaving() && (is_over(self.needed_until) || self.validity.is_over(now))
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// The first moment at which what ended at `last` is over.
fn after(last: Wall) -> Wall {
    last + SECOND
}

/// Whether an intermediate that stands for `validity` is to be replaced: at half of its life, when
/// another root than its own signs, or while the leaves of life `leaf` that it signs could not live
/// whole, and one that ends later could be had from a root that `above` says when it stands.
pub fn intermediate_is_due(
    validity: Validity,
    is_of_active_root: bool,
    above: Validity,
    leaf: Duration,
    now: Wall,
) -> bool {
    let left = validity.left(now);
    let is_old = left <= validity.life() / 2 || left < leaf;
    !is_of_active_root || (is_old && validity.ends < above.ends)
}

/// What names the bundle that somebody holds, whatever roots are in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BundleHash(pub [u8; 16]);

/// Somebody who judges others by the bundle, and is judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consumer {
    /// The last second of the last of its certificates.
    pub ends: Wall,
    /// The bundle that it was last known to hold.
    pub holds: Option<BundleHash>,
    /// When something was last heard of it.
    pub seen: Wall,
}

/// Those who were heard of and whose certificates have not ended, by what tells them apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consumers<K>(BTreeMap<K, Consumer>);

impl<K: Ord> Consumers<K> {
    /// Those that were kept.
    pub fn restore(all: impl IntoIterator<Item = (K, Consumer)>) -> Self {
        Self(all.into_iter().collect())
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&K, &Consumer)> {
        self.0.iter()
    }

    /// Somebody was heard of who has a certificate until `ends`. Says whether that is news: what it
    /// has may only grow.
    pub fn note_certified(&mut self, who: K, ends: Wall, now: Wall) -> bool {
        let consumer = self.0.entry(who).or_insert(Consumer {
            ends: Wall::default(),
            holds: None,
            seen: now,
        });
        let is_news = consumer.ends < ends;
        consumer.ends = consumer.ends.max(ends);
        consumer.seen = now;
        is_news
    }

    /// Somebody says which bundle it holds. Says whether that is news.
    pub fn note_holds(&mut self, who: &K, holds: Option<BundleHash>, now: Wall) -> bool {
        let Some(consumer) = self.0.get_mut(who) else {
            return false;
        };
        let is_news = consumer.holds != holds;
        consumer.holds = holds;
        consumer.seen = now;
        is_news
    }

    /// One goes away for good, and nobody need wait for it.
    pub fn forget(&mut self, who: &K) {
        self.0.remove(who);
    }

    /// Forgets those whose certificates have ended: they have to attest again. Gives them.
    pub fn forget_ended(&mut self, now: Wall) -> Vec<K>
    where
        K: Clone,
    {
        let over = |consumer: &Consumer| now.since(consumer.ends) >= SECOND;
        let ended = self.0.iter().filter(|(_, one)| over(one));
        let ended: Vec<_> = ended.map(|(who, _)| who.clone()).collect();
        self.0.retain(|_, one| !over(one));
        ended
    }

    /// Those who are not known to hold `bundle`, and whose certificates stand at `now`.
    pub fn silent(
        &self,
        bundle: BundleHash,
        now: Wall,
    ) -> impl Iterator<Item = (&K, &Consumer)> + Clone {
        let is_silent =
            move |one: &Consumer| one.holds != Some(bundle) && now.since(one.ends) < SECOND;
        self.0.iter().filter(move |(_, one)| is_silent(one))
    }
}

impl<K> Default for Consumers<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}
