//! The CA: roots that replace each other and the intermediate that signs, kept in the store, and what
//! they sign. When which step of a rotation is due, `identity` decides.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_channel::generate_key;
use leno_compile::Lifetimes;
use leno_identity::{
    BadAuthority, BadCredential, BadKey, BadRequest, BundleHash, CannotSign, Credential,
    Fingerprint, Intermediate, LONGEST_CHAIN, PublicKey, Root, Rotation, SHORTEST_LIFE, Stage,
    Standing, Step, Validity, intermediate_is_due,
};
use leno_model::{Dice, SpiffeId, TrustDomain, Wall};
use leno_store::{Bridge, Failed, KeptRoot, Label, Secret, Store};
use leno_wire::certificates::{Issued, control_plane};
use leno_wire::{Encoded, Part, PartName};

use crate::clock;
use crate::keys::{Keys, NotUnsealed};

/// The CA of one trust domain, from the moment it is founded.
#[derive(Debug)]
pub(crate) struct Authority {
    store: Arc<Store>,
    keys: Keys,
    state: Mutex<State>,
    /// Held while roots or the intermediate change.
    turning: Mutex<()>,
}

#[derive(Debug)]
struct State {
    held: Option<Arc<Held>>,
    dice: Dice,
}

#[derive(Clone, Debug)]
struct Held {
    domain: TrustDomain,
    rotation: Rotation,
    roots: BTreeMap<Fingerprint, HeldRoot>,
    signer: Arc<Signer>,
}

#[derive(Clone, Debug)]
struct HeldRoot {
    certificate: Vec<u8>,
    bridge: Option<Bridge>,
    /// With its key, for as long as it may sign.
    signs: Option<Arc<Root>>,
}

/// The intermediate that signs, and the root that it leads to.
#[derive(Debug)]
struct Signer {
    intermediate: Intermediate,
    root: Fingerprint,
}

/// What can be told of a CA.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) domain: TrustDomain,
    /// The roots in DER, in the order in which they came: the bundle.
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) rotation: Rotation,
    pub(crate) intermediate_validity: Validity,
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
        let part = Part::Bundle(self.domain.clone(), Arc::new(self.roots.clone()));
        let version = Encoded::new(part.encode()).version();
        (part.name(), BundleHash(*version.bytes()))
    }
}

impl Authority {
    /// Takes up the CA that the store holds, if it holds one. Keys that do not lie there as they
    /// should by what `keys` says lie so when this returns.
    pub(crate) fn open(store: Arc<Store>, keys: Keys) -> Result<Self, NotOpened> {
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
        let (signer, mut secrets) = self.signer(&root, lifetimes, now, dice)?;
        secrets.push(self.keys.kept(key_of(fingerprint), &key));
        let held = Held {
            domain: domain.clone(),
            rotation: Rotation::found(fingerprint, root.validity(), now),
            roots: BTreeMap::from([(fingerprint, HeldRoot::new(root, None))]),
            signer: Arc::new(signer),
        };
        self.keep(held, &secrets)
    }

    /// Takes each step that is due, and says what it was. `awaited` says of a bundle until when those
    /// must be waited for who do not hold it.
    pub(crate) fn turn(
        &self,
        awaited: impl Fn(BundleHash) -> Option<Wall>,
        lifetimes: Lifetimes,
        now: Wall,
    ) -> Result<Vec<Turned>, NotFounded> {
        let _turning = lock(&self.turning);
        let mut turned = Vec::new();
        while let Some(told) = self.told() {
            let Some(step) = told.rotation.step(awaited(told.bundle().1), now) else {
                break;
            };
            turned.push(match step {
                Step::Announce => self.announce(lifetimes, now)?,
                Step::Activate(_) => self.activate(now)?,
                Step::Remove(root) => self.remove(root)?,
            });
        }
        turned.extend(self.renew_intermediate(lifetimes, now)?);
        Ok(turned)
    }

    /// Announces the next root before it is due. `None` if one is announced already.
    pub(crate) fn hasten(
        &self,
        lifetimes: Lifetimes,
        now: Wall,
    ) -> Result<Option<Turned>, NotFounded> {
        let _turning = lock(&self.turning);
        match self.told() {
            Some(told) if told.rotation.announced().is_none() => {
                self.announce(lifetimes, now).map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Lets the announced root sign from here on, whoever holds it. `None` if none is announced.
    pub(crate) fn force(
        &self,
        lifetimes: Lifetimes,
        now: Wall,
    ) -> Result<Option<Turned>, NotFounded> {
        let _turning = lock(&self.turning);
        match self.told() {
            Some(told) if told.rotation.announced().is_some() => {
                let turned = self.activate(now)?;
                self.renew_intermediate(lifetimes, now)?;
                Ok(Some(turned))
            }
            Some(_) | None => Ok(None),
        }
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

    /// Replaces the intermediate if that is due. What it signed stays valid.
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
        if !intermediate_is_due(validity, is_of_active, active.validity, leaf, now) {
            return Ok(None);
        }
        let root = held.roots.get(&active.root);
        let root = root.and_then(|root| root.signs.clone());
        let root = root.ok_or(NotFounded::NoKey)?;
        let (signer, secrets) = self.signer(&root, lifetimes, now, &mut self.dice())?;
        let ends = signer.intermediate.validity().ends;
        held.signer = Arc::new(signer);
        self.keep(held, &secrets)?;
        Ok(Some(Turned::Intermediate(ends)))
    }

    /// What can be told of it; `None` until it is founded.
    pub(crate) fn told(&self) -> Option<Told> {
        let held = self.held()?;
        let standings = held.rotation.standings().iter();
        let roots = standings.filter_map(|one| held.roots.get(&one.root));
        Some(Told {
            roots: roots.map(|root| root.certificate.clone()).collect(),
            intermediate_validity: held.signer.intermediate.validity(),
            rotation: held.rotation.clone(),
            domain: held.domain.clone(),
        })
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
        let signed = self.sign(&key, id, life, now)?;
        let told = self.told().ok_or(NotIssued::NotFounded)?;
        Ok(signed.with(|chain| Issued {
            chain,
            trust_domain: told.domain,
            roots: told.roots,
        }))
    }

    /// Signs a new key for `id`, which this process acts as.
    pub(crate) fn credential(
        &self,
        id: &SpiffeId,
        life: Duration,
        now: Wall,
    ) -> Result<Signed<Credential>, NotIssued> {
        let key = generate_key();
        let signed = self.sign(&key.public(), id, life, now)?;
        let credential = Credential::new(signed.what.clone(), key)?;
        Ok(signed.with(|_| credential))
    }

    /// A certificate for the control plane itself. Its chain holds the root too, so that whoever
    /// knows nothing but the root's fingerprint can judge it, and leads on to the root before, for
    /// whoever knows no later one.
    pub(crate) fn own(&self, life: Duration, now: Wall) -> Result<Signed<Credential>, NotIssued> {
        let held = self.held().ok_or(NotIssued::NotFounded)?;
        let key = generate_key();
        let id = control_plane(&held.domain);
        let life = life.max(SHORTEST_LIFE);
        let mut signed = self.sign(&key.public(), &id, life, now)?;
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
        id: &SpiffeId,
        life: Duration,
        now: Wall,
    ) -> Result<Signed<Vec<Vec<u8>>>, NotIssued> {
        let held = self.held().ok_or(NotIssued::NotFounded)?;
        let signer = Arc::clone(&held.signer);
        drop(held);
        let dice = &mut self.dice();
        let chain = signer.intermediate.sign_leaf(key, id, life, now, dice)?;
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

    /// An intermediate under `root` with a new key, and the secrets to keep of it.
    fn signer(
        &self,
        root: &Root,
        lifetimes: Lifetimes,
        now: Wall,
        dice: &mut Dice,
    ) -> Result<(Signer, Secrets), CannotSign> {
        let (key, life) = (generate_key(), lifetimes.intermediate);
        let certificate = root.sign_intermediate(&key.public(), life, now, dice)?;
        let root = Fingerprint::of(root.certificate());
        let secrets = vec![
            (label(INTERMEDIATE), Some(Secret(certificate.clone()))),
            (label(INTERMEDIATE_ROOT), Some(Secret(root.0.to_vec()))),
            self.keys.kept(label(INTERMEDIATE_KEY), &key),
        ];
        let intermediate = Intermediate::restore(certificate, key).map_err(CannotSign::Own)?;
        Ok((Signer { intermediate, root }, secrets))
    }

    /// Goes by `held` from here on, once it is on disk.
    fn keep(&self, mut held: Held, secrets: &[(Label, Option<Secret>)]) -> Result<(), NotFounded> {
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

impl Held {
    /// What the store holds, and the keys that it should keep otherwise.
    fn read(store: &Store, keys: &Keys) -> Result<Option<(Self, Secrets)>, NotOpened> {
        let kept = store.roots()?;
        if kept.is_empty() {
            return Ok(None);
        }
        let mut roots = BTreeMap::new();
        let (mut standings, mut anew) = (Vec::new(), Vec::new());
        let mut domain = None;
        for root in kept {
            let name = key_of(root.fingerprint);
            let key = keys.read(store, &name)?.map(|(key, is_well)| {
                anew.extend((!is_well).then(|| keys.kept(name, &key)));
                key
            });
            let signs = key.map(|key| Root::restore(root.certificate.clone(), key));
            let signs = signs.transpose().map_err(NotOpened::Root)?;
            if let (Stage::Active(_), Some(root)) = (root.stage, &signs) {
                domain = Some(root.domain().clone());
            }
            standings.push(Standing {
                root: root.fingerprint,
                validity: Validity::of(&root.certificate).ok_or(NotOpened::Half)?,
                stage: root.stage,
                needed_until: root.needed_until,
            });
            let held = HeldRoot {
                certificate: root.certificate,
                bridge: root.bridge,
                signs: signs.map(Arc::new),
            };
            roots.insert(root.fingerprint, held);
        }
        let (signer, key) = Signer::read(store, keys)?;
        anew.extend(key);
        let held = Self {
            domain: domain.ok_or(NotOpened::Half)?,
            rotation: Rotation::restore(standings).ok_or(NotOpened::Half)?,
            roots,
            signer: Arc::new(signer),
        };
        Ok(Some((held, anew)))
    }

    fn kept(&self) -> Vec<KeptRoot> {
        let standings = self.rotation.standings().iter();
        let kept = standings.filter_map(|one| {
            let root = self.roots.get(&one.root)?;
            Some(KeptRoot {
                fingerprint: one.root,
                certificate: root.certificate.clone(),
                bridge: root.bridge.clone(),
                stage: one.stage,
                needed_until: one.needed_until,
            })
        });
        kept.collect()
    }
}

impl HeldRoot {
    fn new(root: Root, bridge: Option<Bridge>) -> Self {
        Self {
            certificate: root.certificate().to_vec(),
            bridge,
            signs: Some(Arc::new(root)),
        }
    }
}

impl Signer {
    /// What the store holds, and its key if the store should keep that otherwise.
    fn read(store: &Store, keys: &Keys) -> Result<(Self, Option<Kept>), NotOpened> {
        let part = |name| store.secret(&label(name))?.ok_or(NotOpened::Half);
        let (certificate, root) = (part(INTERMEDIATE)?, part(INTERMEDIATE_ROOT)?);
        let name = label(INTERMEDIATE_KEY);
        let (key, is_well) = keys.read(store, &name)?.ok_or(NotOpened::Half)?;
        let anew = (!is_well).then(|| keys.kept(name, &key));
        let intermediate = Intermediate::restore(certificate.0, key);
        let root = root.0.try_into().map_err(|_| NotOpened::Half)?;
        let signer = Self {
            intermediate: intermediate.map_err(NotOpened::Intermediate)?,
            root: Fingerprint(root),
        };
        Ok((signer, anew))
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

/// What is to be kept under a name, or forgotten.
type Kept = (Label, Option<Secret>);

type Secrets = Vec<Kept>;

/// The names under which the store keeps the intermediate.
const INTERMEDIATE: &str = "ca/intermediate/certificate";
const INTERMEDIATE_KEY: &str = "ca/intermediate/key";
const INTERMEDIATE_ROOT: &str = "ca/intermediate/root";

/// The name under which the store keeps a root's key.
fn key_of(root: Fingerprint) -> Label {
    label(&format!("ca/root/{root}/key"))
}

fn label(name: &str) -> Label {
    Label::new(name).expect("a name of ours is a label")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the CA in a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] Failed),
    /// A key cannot be used as it lies there.
    #[error("{code} {slug}: {0}", code = .0.code(), slug = .0.code().slug())]
    Keys(NotUnsealed),
    /// A key or a certificate is missing or cannot be read.
    #[error("the store holds only half of a CA")]
    Half,
    /// A root cannot sign.
    #[error("the CA's root cannot be used: {0}")]
    Root(BadAuthority),
    /// The intermediate cannot sign.
    #[error("the CA's intermediate cannot be used: {0}")]
    Intermediate(BadAuthority),
}

impl From<NotUnsealed> for NotOpened {
    fn from(why: NotUnsealed) -> Self {
        Self::Keys(why)
    }
}

/// Why a CA was not founded, or is not renewed.
#[derive(Debug, thiserror::Error)]
pub enum NotFounded {
    /// There is none that could be renewed.
    #[error("there is no CA yet")]
    Nothing,
    /// The key of the root that signs is gone.
    #[error("the key of the CA's root is not in the store")]
    NoKey,
    /// Something could not be signed.
    #[error(transparent)]
    CannotSign(#[from] CannotSign),
    /// The store could not be written.
    #[error(transparent)]
    Store(#[from] Failed),
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
