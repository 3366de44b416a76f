//! The CA: roots that replace each other and the intermediate that signs, kept in the store, and what
//! they sign. When which step of a rotation is due, `identity` decides.

mod held;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_channel::generate_key;
use leno_compile::Lifetimes;
use leno_identity::{
    BadCredential, BadKey, BadRequest, BundleHash, CannotSign, Credential, Endorsed, Fingerprint,
    Intermediate, LONGEST_CHAIN, PublicKey, Root, Rotation, SHORTEST_LIFE, Step, Validity,
    intermediate_is_due,
};
use leno_model::{Code, Dice, SpiffeId, TrustDomain, Wall};
use leno_store::{Bridge, Failed, Label, Secret, Store};
use leno_wire::certificates::{Issued, control_plane};
use leno_wire::{Encoded, Part, PartName};

use crate::authority::held::{Held, HeldRoot, Signer, key_of};
use crate::clock;
use crate::keys::Keys;

pub use held::NotOpened;

/// The CA of one trust domain, from the moment it is founded.
#[derive(Debug)]
pub(crate) struct Authority {
    store: Arc<Store>,
    keys: Arc<Keys>,
    state: Mutex<State>,
    /// Held while roots or the intermediate change.
    turning: Mutex<()>,
}

#[derive(Debug)]
struct State {
    held: Option<Arc<Held>>,
    /// The roots of the control plane that this one stands beside: bundles hold them, too.
    beside: Vec<Vec<u8>>,
    dice: Dice,
}

/// What can be told of a CA.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) domain: TrustDomain,
    /// The roots in DER, in the order in which they came: the bundle.
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) rotation: Rotation,
    pub(crate) intermediate_validity: Validity,
    /// The authority outside that gave the intermediate, if one did.
    pub(crate) source: Option<String>,
    /// What such an authority gave last: what signs, or what is to sign next.
    pub(crate) given: Option<Given>,
}

/// An intermediate that an authority outside gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Given {
    pub(crate) source: String,
    /// In DER.
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: PublicKey,
    pub(crate) validity: Validity,
}

/// Something has changed about the CA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turned {
    Announced(Fingerprint),
    Activated(Fingerprint),
    Removed(Fingerprint),
    Intermediate(Wall),
}

/// What is signed for somebody, and what must be remembered of it.
pub(crate) struct Signed<T> {
    pub(crate) what: T,
    pub(crate) leaf: Fingerprint,
    pub(crate) root: Fingerprint,
    pub(crate) validity: Validity,
}

impl Told {
    /// SHA-256 of the root that signs.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.rotation.active().root
    }

    /// The name of the bundle as a part of a view, and what tells it from others.
    pub(crate) fn bundle(&self) -> (PartName, BundleHash) {
        bundle_of(&self.domain, &self.roots)
    }
}

/// The name of the bundle of these roots as a part of a view, and what tells it from others.
pub(crate) fn bundle_of(domain: &TrustDomain, roots: &[Vec<u8>]) -> (PartName, BundleHash) {
    let part = Part::Bundle(domain.clone(), Arc::new(roots.to_vec()));
    let version = Encoded::new(part.encode()).version();
    (part.name(), BundleHash(*version.bytes()))
}

impl Authority {
    /// Takes up the CA that the store holds, if it holds one. Keys that do not lie there as they
    /// should by what `keys` says lie so when this returns.
    pub(crate) fn open(store: Arc<Store>, keys: Arc<Keys>) -> Result<Self, NotOpened> {
        let (held, kept_anew) = Held::read(&store, &keys)?.unzip();
        if let Some(secrets) = kept_anew.filter(|secrets| !secrets.is_empty()) {
            store.keep_secrets(&secrets)?;
        }
        let dice = clock::dice();
        Ok(Self {
            store,
            keys,
            state: Mutex::new(State {
                held: held.map(Arc::new),
                beside: Vec::new(),
                dice,
            }),
            turning: Mutex::default(),
        })
    }

    /// Makes root and intermediate of `domain`, unless there are some; they are on disk when this
    /// returns.
    pub(crate) fn found(
        &self,
        domain: &TrustDomain,
        lifetimes: Lifetimes,
        now: Wall,
    ) -> Result<(), NotFounded> {
        let _turning = lock(&self.turning);
        if self.told().is_some() {
            return Ok(());
        }
        let key = generate_key();
        let dice = &mut self.dice();
        let root = Root::establish(domain, key.clone(), lifetimes.root, now, dice)?;
        let fingerprint = Fingerprint::of(root.certificate());
        let signer = self.signer(&root, lifetimes, now, dice)?;
        let mut secrets = signer.kept(&self.keys);
        secrets.push(self.keys.kept(key_of(fingerprint), &key));
        let held = Held {
            domain: domain.clone(),
            rotation: Rotation::found(fingerprint, root.validity(), now),
            roots: BTreeMap::from([(fingerprint, HeldRoot::new(root, None))]),
            signer: Arc::new(signer),
            next: None,
        };
        Ok(self.keep(held, &secrets)?)
    }

    /// Takes up what an authority outside gave. It signs at once, if nothing does yet or the root that
    /// it leads to is the one that signs; else that root is announced, and it signs when its root does.
    pub(crate) fn take(
        &self,
        endorsed: Endorsed,
        source: String,
        now: Wall,
        turned: &mut Vec<Turned>,
    ) -> Result<(), NotFounded> {
        let _turning = lock(&self.turning);
        let Endorsed { intermediate, root } = endorsed;
        let fingerprint = Fingerprint::of(&root);
        let validity = Validity::of(&root).ok_or(NotFounded::NoRoot)?;
        let signer = Arc::new(Signer {
            intermediate,
            root: fingerprint,
            source: Some(source),
            is_of_this_process: true,
        });
        let mut secrets = signer.kept(&self.keys);
        let ends = signer.intermediate.validity().ends;
        let Ok(mut held) = self.changing() else {
            let held = Held {
                domain: signer.intermediate.domain().clone(),
                rotation: Rotation::found(fingerprint, validity, now),
                roots: BTreeMap::from([(fingerprint, HeldRoot::outside(root))]),
                signer,
                next: None,
            };
            return Ok(self.keep(held, &secrets)?);
        };
        let announced = held.rotation.announced().map(|one| one.root);
        if announced.is_some_and(|announced| announced != fingerprint) {
            secrets.extend(held.withdraw(now));
        }
        let root = HeldRoot::outside(root);
        held.roots.entry(fingerprint).or_insert(root);
        if held.rotation.active().root == fingerprint {
            held.signer = signer;
            self.keep(held, &secrets)?;
            turned.push(Turned::Intermediate(ends));
            return Ok(());
        }
        let is_news = held.rotation.announce(fingerprint, validity, now);
        held.next = Some(signer);
        // What is to sign next is asked for again, should this process end before it does.
        self.keep(held, &[])?;
        turned.extend(is_news.then_some(Turned::Announced(fingerprint)));
        Ok(())
    }

    /// Takes each step that is due, and adds what it was to `turned`, also where a later one fails.
    /// `awaited` says of a bundle until when those must be waited for who do not hold it. Roots are made here only if
    /// the CA is our own.
    pub(crate) fn turn(
        &self,
        awaited: impl Fn(BundleHash) -> Option<Wall>,
        (is_own, lifetimes): (bool, Lifetimes),
        now: Wall,
        turned: &mut Vec<Turned>,
    ) -> Result<(), NotFounded> {
        let _turning = lock(&self.turning);
        if is_own {
            turned.extend(self.reclaim(lifetimes, now)?);
        }
        while let Some(held) = self.held() {
            let Some(bundle) = self.told().map(|told| told.bundle().1) else {
                break;
            };
            turned.push(match held.rotation.step(awaited(bundle), now) {
                Some(Step::Remove(root)) => self.remove(root)?,
                Some(Step::Activate(root)) if held.may_sign(root) => self.activate(now)?,
                Some(Step::Announce) if is_own => self.announce(lifetimes, now)?,
                Some(Step::Activate(_) | Step::Announce) | None => break,
            });
        }
        turned.extend(self.renew_intermediate(lifetimes, now)?);
        Ok(())
    }

    /// Where an authority outside signs, or was to sign next, and shall not any more: a root of our own
    /// is announced.
    fn reclaim(&self, lifetimes: Lifetimes, now: Wall) -> Result<Option<Turned>, NotFounded> {
        let Ok(mut held) = self.changing() else {
            return Ok(None);
        };
        let announced = held.rotation.announced().map(|one| one.root);
        if announced.is_some_and(|root| !held.is_own(root)) {
            let secrets = held.withdraw(now);
            self.keep(held.clone(), &secrets)?;
        }
        if held.rotation.announced().is_some() || held.is_own(held.rotation.active().root) {
            return Ok(None);
        }
        self.announce(lifetimes, now).map(Some)
    }

    /// Announces the next root before it is due; does nothing if one is announced already.
    pub(crate) fn hasten(
        &self,
        lifetimes: Lifetimes,
        now: Wall,
        turned: &mut Vec<Turned>,
    ) -> Result<(), NotFounded> {
        let _turning = lock(&self.turning);
        let told = self.told();
        if told.is_some_and(|told| told.rotation.announced().is_none()) {
            turned.push(self.announce(lifetimes, now)?);
        }
        Ok(())
    }

    /// Lets the announced root sign from here on, whoever holds it; does nothing if none is announced.
    pub(crate) fn force(
        &self,
        lifetimes: Lifetimes,
        now: Wall,
        turned: &mut Vec<Turned>,
    ) -> Result<(), NotFounded> {
        let _turning = lock(&self.turning);
        let Some(held) = self.held() else {
            return Ok(());
        };
        if let Some(announced) = held.rotation.announced() {
            if !held.may_sign(announced.root) {
                return Err(NotFounded::NotGiven);
            }
            turned.push(self.activate(now)?);
            turned.extend(self.renew_intermediate(lifetimes, now)?);
        }
        Ok(())
    }

    fn announce(&self, lifetimes: Lifetimes, now: Wall) -> Result<Turned, NotFounded> {
        let mut held = self.changing()?;
        let key = generate_key();
        let root = Root::establish(
            &held.domain,
            key.clone(),
            lifetimes.root,
            now,
            &mut self.dice(),
        )?;
        let fingerprint = Fingerprint::of(root.certificate());
        let before = held.roots.get(&held.rotation.active().root);
        let before = before.and_then(|before| before.signs.as_ref());
        let bridge = before.map(|before| {
            Ok::<_, CannotSign>(Bridge {
                certificate: before.vouch_for(&root)?,
                before: before.certificate().to_vec(),
            })
        });
        held.rotation.announce(fingerprint, root.validity(), now);
        let root = HeldRoot::new(root, bridge.transpose()?);
        held.roots.insert(fingerprint, root);
        self.keep(held, &[self.keys.kept(key_of(fingerprint), &key)])?;
        Ok(Turned::Announced(fingerprint))
    }

    fn activate(&self, now: Wall) -> Result<Turned, NotFounded> {
        let mut held = self.changing()?;
        held.rotation.activate(now);
        let active = held.rotation.active().root;
        // What signs no more needs no key, and nobody can take it.
        let mut secrets = Vec::new();
        for (fingerprint, root) in &mut held.roots {
            if *fingerprint != active && root.signs.take().is_some() {
                secrets.push((key_of(*fingerprint), None));
            }
        }
        let next = held.next.take();
        if let Some(next) = next.filter(|next| next.root == active) {
            secrets.extend(next.kept(&self.keys));
            held.signer = next;
        }
        self.keep(held, &secrets)?;
        Ok(Turned::Activated(active))
    }

    fn remove(&self, root: Fingerprint) -> Result<Turned, NotFounded> {
        let mut held = self.changing()?;
        held.rotation.remove(root);
        held.roots.remove(&root);
        self.keep(held, &[(key_of(root), None)])?;
        Ok(Turned::Removed(root))
    }

    /// Replaces an intermediate of our own if that is due, or a process before this one made it: no two
    /// processes sign by the same. What it signed stays valid.
    fn renew_intermediate(
        &self,
        lifetimes: Lifetimes,
        now: Wall,
    ) -> Result<Option<Turned>, NotFounded> {
        let Ok(mut held) = self.changing() else {
            return Ok(None);
        };
        let (active, signer_before) = (*held.rotation.active(), &held.signer);
        let is_of_active = signer_before.root == active.root;
        let validity = signer_before.intermediate.validity();
        let leaf = lifetimes.leaf;
        let root = held.roots.get(&active.root);
        let Some(root) = root.and_then(|root| root.signs.clone()) else {
            return Ok(None);
        };
        let is_due = intermediate_is_due(validity, is_of_active, active.validity, leaf, now);
        if !is_due && signer_before.is_of_this_process {
            return Ok(None);
        }
        let signer = self.signer(&root, lifetimes, now, &mut self.dice())?;
        let secrets = signer.kept(&self.keys);
        let ends = signer.intermediate.validity().ends;
        held.signer = Arc::new(signer);
        self.keep(held, &secrets)?;
        Ok(Some(Turned::Intermediate(ends)))
    }

    /// What can be told of it; `None` until it is founded.
    pub(crate) fn told(&self) -> Option<Told> {
        let state = self.state();
        let (held, beside) = (state.held.clone()?, state.beside.clone());
        drop(state);
        let mut told = held.told();
        // In the order of the one that has their keys, so that all know the bundle by one hash.
        let own = std::mem::replace(&mut told.roots, beside);
        for root in own {
            if !told.roots.contains(&root) {
                told.roots.push(root);
            }
        }
        Some(told)
    }

    /// Bundles hold these roots, too, from here on: those of the control plane that this one stands beside.
    pub(crate) fn stand_beside(&self, roots: Vec<Vec<u8>>) {
        self.state().beside = roots;
    }

    /// What can be told of it once all is in force that the store has been told to keep: whoever hears
    /// of a change from the store may be earlier than this.
    pub(crate) fn settled(&self) -> Option<Told> {
        let _turning = lock(&self.turning);
        self.told()
    }

    /// Signs the key of a certificate request for `id`, whom the caller has attested.
    pub(crate) fn issue(
        &self,
        request: &[u8],
        id: &SpiffeId,
        life: Duration,
        now: Wall,
    ) -> Result<Signed<Issued>, NotIssued> {
        let key = PublicKey::of_request(request)?;
        let signed = self.sign(&key, (id, &[]), life, now)?;
        let told = self.told().ok_or(NotIssued::NotFounded)?;
        Ok(signed.with(|chain| Issued {
            chain,
            trust_domain: told.domain,
            roots: told.roots,
        }))
    }

    /// Signs an intermediate for the key of a certificate request, of a control plane that the caller has attested: its
    /// chain down from the root that signs, which stays in bundles for as long as that may sign.
    pub(crate) fn endorse(
        &self,
        request: &[u8],
        lifetimes: Lifetimes,
        now: Wall,
    ) -> Result<(Vec<Vec<u8>>, Validity), NotIssued> {
        let _turning = lock(&self.turning);
        let key = PublicKey::of_request(request)?;
        let mut held = Held::clone(&*self.held().ok_or(NotIssued::NotFounded)?);
        let active = held.rotation.active().root;
        let root = held.roots.get(&active).and_then(|root| root.signs.clone());
        let root = root.ok_or(NotIssued::RootElsewhere)?;
        let dice = &mut self.dice();
        let certificate = root.sign_intermediate(&key, lifetimes.intermediate, now, dice)?;
        let validity = Validity::of(&certificate).expect("what was signed is a certificate");
        held.rotation.note_signed(active, validity.ends);
        self.keep(held, &[])?;
        Ok((vec![certificate, root.certificate().to_vec()], validity))
    }

    /// Signs a new key for `id`, which this process acts as.
    pub(crate) fn credential(
        &self,
        id: &SpiffeId,
        life: Duration,
        now: Wall,
    ) -> Result<Signed<Credential>, NotIssued> {
        let key = generate_key();
        let signed = self.sign(&key.public(), (id, &[]), life, now)?;
        let credential = Credential::new(signed.what.clone(), key)?;
        Ok(signed.with(|_| credential))
    }

    /// A certificate for the control plane itself. Its chain holds the root too, so that whoever
    /// knows nothing but the root's fingerprint can judge it, and leads on to the root before, for
    /// whoever knows no later one. It is for these `hosts`, too.
    pub(crate) fn own(
        &self,
        hosts: &[&str],
        life: Duration,
        now: Wall,
    ) -> Result<Signed<Credential>, NotIssued> {
        let held = self.held().ok_or(NotIssued::NotFounded)?;
        let key = generate_key();
        let id = control_plane(&held.domain);
        let life = life.max(SHORTEST_LIFE);
        let mut signed = self.sign(&key.public(), (&id, hosts), life, now)?;
        if let Some(root) = held.roots.get(&signed.root) {
            signed.what.push(root.certificate.clone());
            if let Some(bridge) = &root.bridge {
                signed.what.push(bridge.certificate.clone());
                signed.what.push(bridge.before.clone());
            }
        }
        signed.what.truncate(LONGEST_CHAIN);
        let credential = Credential::new(signed.what.clone(), key)?;
        Ok(signed.with(|_| credential))
    }

    fn sign(
        &self,
        key: &PublicKey,
        whom: (&SpiffeId, &[&str]),
        life: Duration,
        now: Wall,
    ) -> Result<Signed<Vec<Vec<u8>>>, NotIssued> {
        let held = self.held().ok_or(NotIssued::NotFounded)?;
        let signer = Arc::clone(&held.signer);
        drop(held);
        let dice = &mut self.dice();
        let chain = signer
            .intermediate
            .sign_leaf_at(key, whom, life, now, dice)?;
        let leaf = chain.first().expect("a chain begins with its leaf");
        let validity = Validity::of(leaf).expect("what was signed is a certificate");
        let leaf = Fingerprint::of(leaf);
        if let Some(held) = &mut self.state().held {
            let rotation = &mut Arc::make_mut(held).rotation;
            rotation.note_signed(signer.root, validity.ends);
        }
        Ok(Signed {
            what: chain,
            leaf,
            root: signer.root,
            validity,
        })
    }

    /// An intermediate under `root` with a new key.
    fn signer(
        &self,
        root: &Root,
        lifetimes: Lifetimes,
        now: Wall,
        dice: &mut Dice,
    ) -> Result<Signer, CannotSign> {
        let (key, life) = (generate_key(), lifetimes.intermediate);
        let certificate = root.sign_intermediate(&key.public(), life, now, dice)?;
        Ok(Signer {
            intermediate: Intermediate::restore(certificate, key).map_err(CannotSign::Own)?,
            root: Fingerprint::of(root.certificate()),
            source: None,
            is_of_this_process: true,
        })
    }

    /// Goes by `held` from here on, once it is on disk.
    fn keep(&self, mut held: Held, secrets: &[(Label, Option<Secret>)]) -> Result<(), Failed> {
        // Without the lock: who changes the store may ask here for the trust domain.
        self.store.keep_roots(&held.kept(), secrets)?;
        let mut state = self.state();
        // What was signed meanwhile.
        for before in state
            .held
            .iter()
            .flat_map(|before| before.rotation.standings())
        {
            held.rotation.note_signed(before.root, before.needed_until);
        }
        state.held = Some(Arc::new(held));
        Ok(())
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.state().held.clone()
    }

    /// What is held, to be changed.
    fn changing(&self) -> Result<Held, NotFounded> {
        let held = self.held().ok_or(NotFounded::Nothing)?;
        Ok(Held::clone(&held))
    }

    /// Dice of their own for one thing that is signed.
    fn dice(&self) -> Dice {
        Dice::new(self.state().dice.next_u64())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl<T> Signed<T> {
    fn with<U>(self, make: impl FnOnce(T) -> U) -> Signed<U> {
        Signed {
            what: make(self.what),
            leaf: self.leaf,
            root: self.root,
            validity: self.validity,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a CA was not founded, or is not renewed.
#[derive(Debug, thiserror::Error)]
pub enum NotFounded {
    /// There is none that could be renewed.
    #[error("there is no CA yet")]
    Nothing,
    /// Nothing is there that could sign under the root that is announced.
    #[error("the authority of the announced root has not given an intermediate yet")]
    NotGiven,
    /// What was given as a root is none.
    #[error("what was given as a root is no certificate")]
    NoRoot,
    /// An authority outside is to sign, and has not given anything yet.
    #[error(
        "the CA that the Mesh names has not given an intermediate yet, so that nothing can be signed"
    )]
    Awaited,
    /// Something could not be signed.
    #[error(transparent)]
    CannotSign(#[from] CannotSign),
    /// The store could not be written.
    #[error(transparent)]
    Store(#[from] Failed),
}

impl NotFounded {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::Nothing | Self::NotGiven | Self::NoRoot | Self::CannotSign(_) => Code::T007,
            Self::Awaited => Code::T019,
            Self::Store(failed) => failed.code(),
        }
    }
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum NotIssued {
    /// The request is not taken.
    #[error("the certificate request is not taken: {0}")]
    Request(#[from] BadRequest),
    /// There is no CA.
    #[error("there is no CA yet")]
    NotFounded,
    /// The root's key is an authority's outside.
    #[error(
        "an authority outside has the root's key: the Mesh names it (spec.ca), and each control plane asks it itself"
    )]
    RootElsewhere,
    /// It is refused.
    #[error("{0} is revoked")]
    Revoked(SpiffeId),
    /// It could not be signed.
    #[error(transparent)]
    CannotSign(#[from] CannotSign),
    /// The key that was made for it cannot be used for TLS.
    #[error(transparent)]
    Key(BadKey),
    /// What was signed proves nothing.
    #[error(transparent)]
    Bad(#[from] BadCredential),
    /// It is not remembered, so it is not given away.
    #[error("the certificate could not be written down: {0}")]
    NotRemembered(#[from] Failed),
}
