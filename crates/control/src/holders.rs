//! Who holds certificates, and which bundle each of them judges others by: those who must be waited
//! for before another root signs.
//!
//! Somebody who renews stays the same holder, known by its first certificate; of a proxy of this
//! process, its name stands for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_identity::{BundleHash, Consumer, Consumers, Fingerprint};
use leno_model::{SpiffeId, Wall};
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
    /// Whose each certificate is.
    leaves: BTreeMap<Fingerprint, Fingerprint>,
    /// Those of whom the store knows less.
    unwritten: BTreeSet<Fingerprint>,
}

#[derive(Clone, Debug)]
struct Known {
    name: String,
    identity: SpiffeId,
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
            // The control plane trusts what it says itself.
            if kept.identity == control_plane(&kept.identity.trust_domain) {
                continue;
            }
            let leaves = kept.leaves.iter().map(|leaf| (*leaf, kept.holder));
            state.leaves.extend(leaves);
            let consumer = Consumer {
                ends: kept.ends,
                holds: kept.bundle,
                seen: kept.seen,
            };
            consumers.push((kept.holder, consumer));
            let (name, identity) = (kept.name, kept.identity);
            state.known.insert(kept.holder, Known { name, identity });
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
        let holder = self.state().leaves.get(&leaf).copied().unwrap_or(leaf);
        self.state().note(leaf, holder, id, ends, clock::wall());
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
    /// not to be given away before. Without a `holder`, somebody new has it.
    pub(crate) fn remember<T>(
        &self,
        signed: &Signed<T>,
        holder: Option<Fingerprint>,
        id: &SpiffeId,
        why: &str,
    ) -> Result<(), Failed> {
        let holder = holder.unwrap_or(signed.leaf);
        let (now, ends) = (clock::wall(), signed.validity.ends);
        self.store.remember(Issued {
            leaf: signed.leaf,
            holder,
            identity: id.clone(),
            at: now,
            ends,
            root: signed.root,
            why: Label::new(why).unwrap_or_else(|_| unsaid()),
        })?;
        if *id != control_plane(&id.trust_domain) {
            self.state().note(signed.leaf, holder, id, ends, now);
        }
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
            let Known { name, identity } = state.known.get(holder)?.clone();
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

    /// Forgets those whose certificates have ended, and writes down what the store does not know.
    pub(crate) fn tidy(&self, now: Wall) -> Result<(), Failed> {
        let (kept, unwritten) = {
            let mut state = self.state();
            let ended: BTreeSet<_> = state.consumers.forget_ended(now).into_iter().collect();
            state.leaves.retain(|_, holder| !ended.contains(holder));
            state.known.retain(|holder, _| !ended.contains(holder));
            let unwritten = std::mem::take(&mut state.unwritten);
            if unwritten.is_empty() && ended.is_empty() {
                return Ok(());
            }
            (state.kept(&unwritten), unwritten)
        };
        let written = self.store.keep_holders(&kept, now);
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
        id: &SpiffeId,
        ends: Wall,
        now: Wall,
    ) {
        self.consumers.note_certified(holder, ends, now);
        self.leaves.insert(leaf, holder);
        self.known.entry(holder).or_insert_with(|| Known {
            name: String::new(),
            identity: id.clone(),
        });
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
    /// Who it is among the holders.
    pub(crate) fn holder(&self) -> Fingerprint {
        self.holder
    }

    /// It calls itself so, and holds this bundle.
    pub(crate) fn holds(&self, name: &str, bundle: Option<BundleHash>) {
        let mut state = self.holders.state();
        let is_news = state
            .consumers
            .note_holds(&self.holder, bundle, clock::wall());
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

    /// It goes away for good, and nobody need wait for it.
    pub(crate) fn leave(&self) -> Result<(), Failed> {
        let state = HolderState {
            holder: self.holder,
            name: String::new(),
            bundle: None,
            seen: clock::wall(),
            has_left: true,
        };
        self.holders.store.keep_holders(&[state], clock::wall())?;
        let mut state = self.holders.state();
        state.consumers.forget(&self.holder);
        state.known.remove(&self.holder);
        state.leaves.retain(|_, holder| *holder != self.holder);
        drop(state);
        self.holders.news.send_modify(|count| *count += 1);
        Ok(())
    }
}

fn unsaid() -> Label {
    Label::new("unsaid").expect("a word is a label")
}
