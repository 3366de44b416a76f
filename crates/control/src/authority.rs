//! The CA: a root and an intermediate, kept in the store, and what they sign.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use leno_channel::generate_key;
use leno_identity::{
    BadAuthority, BadCredential, BadRequest, CannotSign, Credential, INTERMEDIATE_LIFE,
    Intermediate, Key, PublicKey, ROOT_LIFE, Root, SHORTEST_LIFE, Validity,
};
use leno_model::{Dice, SpiffeId, TrustDomain, Wall};
use leno_store::{Failed, Label, Secret, Store};
use leno_wire::certificates::{Issued, control_plane};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock;

/// The CA of one trust domain, from the moment it is founded.
#[derive(Debug)]
pub(crate) struct Authority {
    store: Arc<Store>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    held: Option<Held>,
    dice: Dice,
}

#[derive(Debug)]
struct Held {
    root: Root,
    intermediate: Intermediate,
}

/// What can be told of a CA.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) domain: TrustDomain,
    /// The root in DER.
    pub(crate) root: Vec<u8>,
    pub(crate) root_validity: Validity,
    pub(crate) intermediate_validity: Validity,
}

impl Told {
    /// SHA-256 of the root.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let digest = digest(&SHA256, &self.root);
        digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

impl Authority {
    /// Takes up the CA that the store holds, if it holds one.
    pub(crate) fn open(store: Arc<Store>) -> Result<Self, NotOpened> {
        let held = match read(&store, ROOT)? {
            None => None,
            Some((certificate, key)) => {
                let root = Root::restore(certificate, key).map_err(NotOpened::Root)?;
                let (certificate, key) = read(&store, INTERMEDIATE)?.ok_or(NotOpened::Half)?;
                let intermediate = Intermediate::restore(certificate, key);
                Some(Held {
                    root,
                    intermediate: intermediate.map_err(NotOpened::Intermediate)?,
                })
            }
        };
        let dice = clock::dice();
        Ok(Self {
            store,
            state: Mutex::new(State { held, dice }),
        })
    }

    /// Makes root and intermediate of `domain`, unless there are some; they are on disk when this
    /// returns. Not to be called twice at the same time.
    pub(crate) fn found(&self, domain: &TrustDomain, now: Wall) -> Result<(), NotFounded> {
        if self.told().is_some() {
            return Ok(());
        }
        let root_key = generate_key();
        let (root, intermediate, key) = {
            let dice = &mut self.state().dice;
            let root = Root::establish(domain, root_key.clone(), ROOT_LIFE, now, dice)?;
            let (intermediate, key) = intermediate(&root, now, dice)?;
            (root, intermediate, key)
        };
        let mut secrets = secrets(ROOT, root.certificate(), &root_key);
        secrets.extend(secrets_of(&intermediate, &key));
        // Without the lock: who changes the store may ask here for the trust domain.
        self.store.keep_secrets(&secrets)?;
        self.state().held = Some(Held { root, intermediate });
        Ok(())
    }

    /// Replaces the intermediate if half of its life is over. What it signed stays valid. Not to be
    /// called twice at the same time.
    pub(crate) fn renew_intermediate(&self, now: Wall) -> Result<(), NotFounded> {
        let (renewed, key) = {
            let mut state = self.state();
            let State { held, dice } = &mut *state;
            let is_old = |held: &&mut Held| {
                let validity = held.intermediate.validity();
                validity.left(now) <= validity.life() / 2
            };
            let Some(held) = held.as_mut().filter(is_old) else {
                return Ok(());
            };
            intermediate(&held.root, now, dice)?
        };
        // As above.
        self.store.keep_secrets(&secrets_of(&renewed, &key))?;
        if let Some(held) = &mut self.state().held {
            held.intermediate = renewed;
        }
        Ok(())
    }

    /// What can be told of it; `None` until it is founded.
    pub(crate) fn told(&self) -> Option<Told> {
        let state = self.state();
        let held = state.held.as_ref()?;
        Some(Told {
            domain: held.root.domain().clone(),
            root: held.root.certificate().to_vec(),
            root_validity: held.root.validity(),
            intermediate_validity: held.intermediate.validity(),
        })
    }

    /// Signs the key of a certificate request for `id`, whom the caller has attested.
    pub(crate) fn issue(
        &self,
        request: &[u8],
        id: &SpiffeId,
        life: Duration,
        now: Wall,
    ) -> Result<Issued, NotIssued> {
        let key = PublicKey::of_request(request)?;
        let mut state = self.state();
        let State { held, dice } = &mut *state;
        let held = held.as_ref().ok_or(NotIssued::NotFounded)?;
        Ok(Issued {
            chain: held.intermediate.sign_leaf(&key, id, life, now, dice)?,
            trust_domain: held.root.domain().clone(),
            roots: vec![held.root.certificate().to_vec()],
        })
    }

    /// Signs a new key for `id`, which this process acts as.
    pub(crate) fn credential(
        &self,
        id: &SpiffeId,
        life: Duration,
        now: Wall,
    ) -> Result<Credential, NotIssued> {
        let mut state = self.state();
        let State { held, dice } = &mut *state;
        let held = held.as_ref().ok_or(NotIssued::NotFounded)?;
        let key = generate_key();
        let public = key.public();
        let chain = held.intermediate.sign_leaf(&public, id, life, now, dice)?;
        Ok(Credential::new(chain, key)?)
    }

    /// A certificate for the control plane itself. Its chain holds the root too, so that whoever
    /// knows nothing but the root's fingerprint can judge it.
    pub(crate) fn own(&self, life: Duration, now: Wall) -> Option<Credential> {
        let mut state = self.state();
        let State { held, dice } = &mut *state;
        let held = held.as_ref()?;
        let key = generate_key();
        let id = control_plane(held.root.domain());
        let life = life.max(SHORTEST_LIFE);
        let signed = held
            .intermediate
            .sign_leaf(&key.public(), &id, life, now, dice);
        let mut chain = signed.ok()?;
        chain.push(held.root.certificate().to_vec());
        Credential::new(chain, key).ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names under which the store keeps a certificate and its key.
type Names = (&'static str, &'static str);

const ROOT: Names = ("ca/root/certificate", "ca/root/key");
const INTERMEDIATE: Names = ("ca/intermediate/certificate", "ca/intermediate/key");

fn intermediate(
    root: &Root,
    now: Wall,
    dice: &mut Dice,
) -> Result<(Intermediate, Key), NotFounded> {
    let key = generate_key();
    let certificate = root.sign_intermediate(&key.public(), INTERMEDIATE_LIFE, now, dice)?;
    let intermediate = Intermediate::restore(certificate, key.clone());
    Ok((intermediate.map_err(CannotSign::Own)?, key))
}

fn secrets_of(intermediate: &Intermediate, key: &Key) -> Vec<(Label, Option<Secret>)> {
    secrets(INTERMEDIATE, intermediate.certificate(), key)
}

fn secrets((certificate, key): Names, der: &[u8], secret: &Key) -> Vec<(Label, Option<Secret>)> {
    vec![
        (label(certificate), Some(Secret(der.to_vec()))),
        (label(key), Some(Secret(secret.secret().to_vec()))),
    ]
}

fn label(name: &str) -> Label {
    Label::new(name).expect("a constant that is a label")
}

fn read(store: &Store, (certificate, key): Names) -> Result<Option<(Vec<u8>, Key)>, NotOpened> {
    let certificate = store.secret(&label(certificate))?;
    let key = store.secret(&label(key))?;
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.0));
            let key = Key::read(&der).map_err(|_| NotOpened::Half)?;
            Ok(Some((certificate.0, key)))
        }
        (None, Some(_)) | (Some(_), None) => Err(NotOpened::Half),
    }
}

/// Why the CA in a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] Failed),
    /// A key or a certificate is missing or cannot be read.
    #[error("the store holds only half of a CA")]
    Half,
    /// The root cannot sign.
    #[error("the CA's root cannot be used: {0}")]
    Root(BadAuthority),
    /// The intermediate cannot sign.
    #[error("the CA's intermediate cannot be used: {0}")]
    Intermediate(BadAuthority),
}

/// Why a CA was not founded, or its intermediate not renewed.
#[derive(Debug, thiserror::Error)]
pub enum NotFounded {
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
    /// What was signed proves nothing.
    #[error(transparent)]
    Bad(#[from] BadCredential),
}
