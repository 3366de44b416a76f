//! Who holds certificates, and which bundle each of them judges others by: those who must be waited
//! for before another root signs.
//!
//! Somebody who renews stays the same holder, known by its first certificate; of a proxy of this
//! process, its name stands for that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_identity::{BundleHash, Consumer, Consumers, Fingerprint};
use leno_model::{Name, Namespace, SpiffeId, Wall};
use leno_resources::pod::{Pod, Pods};
use leno_store::{Failed, HolderState, Issued, Label, Store};
use leno_wire::certificates::control_plane;
use tokio::sync::watch;

use crate::authority::Signed;
use crate::clock;

/// The holders.
#[derive(Debug)]
pub(crate) struct Holders {
    store: Arc<Store>,
    state: Mutex<State>,
    /// Rises whenever somebody holds another bundle.
    news: watch::Sender<u64>,
}

#[derive(Default, Debug)]
struct State {
    consumers: Consumers<Fingerprint>,
    known: BTreeMap<Fingerprint, Known>,
    /// Whose each certificate is that has not ended, and its last second.
    leaves: BTreeMap<Fingerprint, (Fingerprint, Wall)>,
    /// Those of whom the store knows less.
    unwritten: BTreeSet<Fingerprint>,
    /// When the store last forgot what ended long ago.
    pruned: Option<Wall>,
}

#[derive(Clone, Debug)]
struct Known {
    name: String,
    identity: SpiffeId,
    pod: Option<PodRef>,
    /// When the store was last told that something was heard of it, or is about to be.
    written: Wall,
}

/// How often the store is told that something was heard of a holder of whom nothing else is news, and
/// how often it forgets what ended long ago.
const COARSELY: Duration = Duration::from_secs(3600);

/// A pod, of which there may be others of its name before and after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PodRef {
    pub(crate) namespace: Namespace,
    pub(crate) name: Name,
    pub(crate) uid: Arc<str>,
}

impl PodRef {
    /// It, if it is among those that are there.
    pub(crate) fn find<'a>(&self, pods: &'a Pods) -> Option<&'a Pod> {
        let pod = pods.get(&(self.namespace.clone(), self.name.clone()))?;
        (pod.uid == self.uid).then_some(pod)
    }

    /// Reads what it prints as.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (named, uid) = text.split_once(' ')?;
        let (namespace, name) = named.split_once('/')?;
        Some(Self {
            namespace: Namespace::new(namespace).ok()?,
            name: Name::new(name).ok()?,
            uid: uid.into(),
        })
    }
}

/// `leno-system/leno-node-x2x4k 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed`
impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.namespace, self.name, self.uid)
    }
}

/// For whom a certificate is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Whose {
    /// Its first certificate; nothing for somebody new.
    pub(crate) holder: Option<Fingerprint>,
    /// The pod that its first evidence was bound to.
    pub(crate) pod: Option<PodRef>,
}

/// A holder that is connected.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    holders: Arc<Holders>,
    holder: Fingerprint,
}

/// Somebody who is not known to hold a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Silent {
    /// What it calls itself; empty where it never said.
    pub(crate) name: String,
    pub(crate) identity: SpiffeId,
    /// The last second of its certificates.
    pub(crate) ends: Wall,
    /// When something was last heard of it.
    pub(crate) seen: Wall,
}

impl Holders {
    /// Takes up those that the store knows.
    pub(crate) fn open(store: Arc<Store>) -> Result<Arc<Self>, Failed> {
        let mut state = State::default();
        let mut consumers = Vec::new();
        for kept in store.holders(clock::wall())? {
            if is_not_awaited(&kept.identity) {
                continue;
            }
            let leaves = kept.leaves.iter();
            let leaves = leaves.map(|(leaf, ends)| (*leaf, (kept.holder, *ends)));
            state.leaves.extend(leaves);
            let consumer = Consumer {
                ends: kept.ends,
                holds: kept.bundle,
                seen: kept.seen,
            };
            consumers.push((kept.holder, consumer));
            let known = Known {
                name: kept.name,
                identity: kept.identity,
                pod: kept.pod.and_then(|pod| PodRef::read(pod.as_str())),
                written: kept.seen,
            };
            state.known.insert(kept.holder, known);
        }
        state.consumers = Consumers::restore(consumers);
        Ok(Arc::new(Self {
            store,
            state: Mutex::new(state),
            news: watch::Sender::new(0),
        }))
    }

    /// Hears when somebody holds another bundle.
    pub(crate) fn hear(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The place of whoever has shown a certificate that ends then.
    pub(crate) fn seat(self: &Arc<Self>, leaf: Fingerprint, id: &SpiffeId, ends: Wall) -> Seat {
        let mut state = self.state();
        let holder = state.leaves.get(&leaf).map_or(leaf, |(holder, _)| *holder);
        state.note(leaf, holder, (id, None), ends, clock::wall());
        drop(state);
        self.seat_of(holder)
    }

    /// The place of a holder that is known.
    pub(crate) fn seat_of(self: &Arc<Self>, holder: Fingerprint) -> Seat {
        Seat {
            holders: Arc::clone(self),
            holder,
        }
    }

    /// Remembers what was signed for `id` and because of `why`; it is on disk when this returns, and
    /// not to be given away before.
    pub(crate) fn remember<T>(
        &self,
        signed: &Signed<T>,
        whose: &Whose,
        id: &SpiffeId,
        why: &str,
    ) -> Result<(), Failed> {
        let holder = whose.holder.unwrap_or(signed.leaf);
        let (now, ends) = (clock::wall(), signed.validity.ends);
        self.store.remember(Issued {
            leaf: signed.leaf,
            holder,
            identity: id.clone(),
            at: now,
            ends,
            root: signed.root,
            why: Label::new(why).unwrap_or_else(|_| unsaid()),
            pod: whose
                .pod
                .as_ref()
                .and_then(|pod| Label::new(&pod.to_string()).ok()),
        })?;
        let mut state = self.state();
        state.note(signed.leaf, holder, (id, whose.pod.as_ref()), ends, now);
        Ok(())
    }

    /// Until when those must be waited for who do not hold `bundle`, and are not `revoked`.
    pub(crate) fn awaited(
        &self,
        bundle: BundleHash,
        revoked: &BTreeSet<SpiffeId>,
        now: Wall,
    ) -> Option<Wall> {
        let silent = self.silent(bundle, revoked, now).into_iter();
        silent.map(|silent| silent.ends).max()
    }

    /// Those who are not known to hold `bundle`, could still be believed, and are not `revoked`.
    pub(crate) fn silent(
        &self,
        bundle: BundleHash,
        revoked: &BTreeSet<SpiffeId>,
        now: Wall,
    ) -> Vec<Silent> {
        let state = self.state();
        let silent = state.consumers.silent(bundle, now);
        let silent = silent.filter_map(|(holder, consumer)| {
            let Known { name, identity, .. } = state.known.get(holder)?.clone();
            (!revoked.contains(&identity)).then_some(Silent {
                name,
                identity,
                ends: consumer.ends,
                seen: consumer.seen,
            })
        });
        silent.collect()
    }

    /// How many hold certificates that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.state().known.len()
    }

    /// Forgets certificates that have ended and those who have no other, and writes down what the
    /// store does not know.
    pub(crate) fn tidy(&self, now: Wall) -> Result<(), Failed> {
        self.write(now)?;
        let pruned = self.state().pruned;
        if pruned.is_none_or(|at| now < at || now.since(at) >= COARSELY) {
            self.store.forget_ended(now)?;
            self.state().pruned = Some(now);
        }
        Ok(())
    }

    fn write(&self, now: Wall) -> Result<(), Failed> {
        let (kept, unwritten) = {
            let mut state = self.state();
            state.forget_ended(now);
            let unwritten = std::mem::take(&mut state.unwritten);
            (state.kept(&unwritten), unwritten)
        };
        if kept.is_empty() {
            return Ok(());
        }
        let written = self.store.keep_holders(&kept);
        if written.is_err() {
            self.state().unwritten.extend(unwritten);
        }
        written
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(
        &mut self,
        leaf: Fingerprint,
        holder: Fingerprint,
        (id, pod): (&SpiffeId, Option<&PodRef>),
        ends: Wall,
        now: Wall,
    ) {
        if is_not_awaited(id) {
            return;
        }
        self.consumers.note_certified(holder, ends, now);
        self.leaves.insert(leaf, (holder, ends));
        self.known.entry(holder).or_insert_with(|| Known {
            name: String::new(),
            identity: id.clone(),
            pod: pod.cloned(),
            written: now,
        });
        self.note_heard(holder, now);
    }

    /// Something was heard of a holder, which the store is to know of coarsely.
    fn note_heard(&mut self, holder: Fingerprint, now: Wall) {
        if let Some(known) = self.known.get_mut(&holder)
            && now.since(known.written) >= COARSELY
        {
            known.written = now;
            self.unwritten.insert(holder);
        }
    }

    fn forget_ended(&mut self, now: Wall) {
        let ended: BTreeSet<_> = self.consumers.forget_ended(now).into_iter().collect();
        self.leaves.retain(|_, (_, ends)| now <= *ends);
        self.known.retain(|holder, _| !ended.contains(holder));
    }

    fn kept(&self, holders: &BTreeSet<Fingerprint>) -> Vec<HolderState> {
        let all = self.consumers.all();
        let all = all.filter(|(holder, _)| holders.contains(holder));
        let kept = all.map(|(holder, consumer)| HolderState {
            holder: *holder,
            name: self
                .known
                .get(holder)
                .map_or_else(String::new, |it| it.name.clone()),
            bundle: consumer.holds,
            seen: consumer.seen,
            has_left: false,
        });
        kept.collect()
    }
}

impl Seat {
    /// The same as one for whom certificates are.
    pub(crate) fn whose(&self) -> Whose {
        Whose {
            holder: Some(self.holder),
            pod: self.pod(),
        }
    }

    /// The pod that its first evidence was bound to.
    pub(crate) fn pod(&self) -> Option<PodRef> {
        self.holders.state().known.get(&self.holder)?.pod.clone()
    }

    /// It calls itself so, and holds this bundle.
    pub(crate) fn holds(&self, name: &str, bundle: Option<BundleHash>) {
        let now = clock::wall();
        let mut state = self.holders.state();
        let is_news = state.consumers.note_holds(&self.holder, bundle, now);
        state.note_heard(self.holder, now);
        let named = state.known.get_mut(&self.holder);
        let is_named = named.is_some_and(|known| {
            let is_other = known.name != name;
            if is_other {
                name.clone_into(&mut known.name);
            }
            is_other
        });
        if is_news || is_named {
            state.unwritten.insert(self.holder);
        }
        drop(state);
        if is_news {
            self.holders.news.send_modify(|count| *count += 1);
        }
    }

    /// It is the only one of its identity: nobody need wait for those before it.
    pub(crate) fn outlive(&self) -> Result<(), Failed> {
        let state = self.holders.state();
        let own = state.known.get(&self.holder).map(|own| &own.identity);
        let others = state
            .known
            .iter()
            .filter(|(holder, known)| **holder != self.holder && Some(&known.identity) == own);
        let others: Vec<_> = others.map(|(holder, _)| *holder).collect();
        drop(state);
        let mut seats = others.into_iter().map(|it| self.holders.seat_of(it));
        seats.try_for_each(|seat| seat.leave())
    }

    /// It goes away for good, and nobody need wait for it.
    pub(crate) fn leave(&self) -> Result<(), Failed> {
        let state = HolderState {
            holder: self.holder,
            name: String::new(),
            bundle: None,
            seen: clock::wall(),
            has_left: true,
        };
        self.holders.store.keep_holders(&[state])?;
        let mut state = self.holders.state();
        state.consumers.forget(&self.holder);
        state.known.remove(&self.holder);
        state.leaves.retain(|_, (holder, _)| *holder != self.holder);
        drop(state);
        self.holders.news.send_modify(|count| *count += 1);
        Ok(())
    }
}

/// The control plane trusts what it says itself, and people are not there most of the time: each takes
/// the roots along with the next certificate.
fn is_not_awaited(id: &SpiffeId) -> bool {
    *id == control_plane(&id.trust_domain) || id.is_person()
}

fn unsaid() -> Label {
    Label::new("unsaid").expect("a word is a label")
}

#[cfg(test)]
mod tests {
    use leno_store::Settings;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn check(name: &str, test: impl FnOnce(&Arc<Holders>, &SpiffeId, Wall)) {
        let folder = format!("leno-holders-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let store = Arc::new(Store::open(&folder, Settings::default()).unwrap());
        let holders = Holders::open(store).unwrap();
        let web = SpiffeId::parse("spiffe://shop.local/ns/shop/sa/web").unwrap();
        test(&holders, &web, clock::wall());
        drop(holders);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    fn leaf(number: u8) -> Fingerprint {
        Fingerprint([number; 32])
    }

    /// Somebody whose first evidence was bound to a pod.
    fn holder() -> Whose {
        Whose {
            holder: Some(Fingerprint([0; 32])),
            pod: PodRef::read("shop/web-1 7f"),
        }
    }

    fn remember(holders: &Holders, leaf: Fingerprint, id: &SpiffeId, ends: Wall) {
        let validity = leno_identity::Validity {
            begins: clock::wall(),
            ends,
        };
        let signed = Signed {
            what: (),
            leaf,
            root: Fingerprint([9; 32]),
            validity,
        };
        holders.remember(&signed, &holder(), id, "test").unwrap();
    }

    #[test]
    fn renewals_leave_nothing_behind_once_they_have_ended() {
        check("renewals", |holders, web, now| {
            for number in 0..5_u8 {
                let ends = now + HOUR * (u32::from(number) + 1);
                remember(holders, leaf(number), web, ends);
            }
            holders.tidy(now + HOUR * 4 + HOUR / 2).unwrap();
            let left: Vec<_> = holders.state().leaves.keys().copied().collect();
            assert_eq!(left, [leaf(4)]);
            assert_eq!(holders.len(), 1);
            // Nobody ended, and there is nothing to write.
            holders.tidy(now + HOUR * 24 * 31).unwrap();
            assert_eq!(holders.store.issued(9).unwrap(), []);
        });
    }

    #[test]
    fn nobody_waits_for_the_control_plane() {
        check("itself", |holders, web, now| {
            let id = control_plane(&web.trust_domain);
            holders.seat(leaf(1), &id, now + HOUR);
            remember(holders, leaf(2), &id, now + HOUR);
            assert_eq!(holders.len(), 0);
        });
    }

    #[test]
    fn what_is_heard_of_somebody_is_kept_coarsely() {
        check("heard", |holders, web, now| {
            remember(holders, leaf(0), web, now + HOUR * 24);
            let heard = |after: Duration| {
                let mut state = holders.state();
                state.note(leaf(0), leaf(0), (web, None), now + HOUR * 24, now + after);
                drop(state);
                holders.tidy(now + after).unwrap();
                let kept = holders.store.holders(now).unwrap();
                let seen = kept.first().map(|one| one.seen.since(now)).unwrap();
                // The store knows milliseconds.
                (seen.as_secs() + 30) / 60
            };
            assert_eq!(heard(HOUR / 2), 0);
            assert_eq!(heard(HOUR * 2), 120);
            assert_eq!(heard(HOUR * 5 / 2), 120);
            assert_eq!(heard(HOUR * 4), 240);
        });
    }
}
