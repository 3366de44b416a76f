//! What a CA holds, and how it lies in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use leno_identity::{BadAuthority, Fingerprint, Intermediate, Root, Rotation, Standing, Validity};
use leno_model::{TrustDomain, Wall};
use leno_store::{Bridge, Failed, KeptRoot, Label, Secret, Store};

use crate::authority::{Given, Told};
use crate::keys::{Keys, NotUnsealed};

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) domain: TrustDomain,
    pub(super) rotation: Rotation,
    pub(super) roots: BTreeMap<Fingerprint, HeldRoot>,
    pub(super) signer: Arc<Signer>,
    /// What an authority outside gave, and signs once the root is active that it leads to.
    pub(super) next: Option<Arc<Signer>>,
}

#[derive(Clone, Debug)]
pub(super) struct HeldRoot {
    pub(super) certificate: Vec<u8>,
    pub(super) bridge: Option<Bridge>,
    /// With its key, for as long as it may sign; never for a root of an authority outside.
    pub(super) signs: Option<Arc<Root>>,
}

/// The intermediate that signs, and the root that it leads to.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) intermediate: Intermediate,
    pub(super) root: Fingerprint,
    /// The authority outside that gave it; none for one under a root of our own.
    pub(super) source: Option<String>,
    /// Whether this process got it, and not one before it that used the same store.
    pub(super) is_of_this_process: bool,
}

impl Held {
    /// What the store holds, and the keys that it should keep otherwise.
    pub(super) fn read(store: &Store, keys: &Keys) -> Result<Option<(Self, Secrets)>, NotOpened> {
        let kept = store.roots()?;
        if kept.is_empty() {
            return Ok(None);
        }
        let mut roots = BTreeMap::new();
        let (mut standings, mut anew) = (Vec::new(), Vec::new());
        for root in kept {
            let name = key_of(root.fingerprint);
            let key = keys.read(store, &name)?.map(|(key, is_well)| {
                anew.extend((!is_well).then(|| keys.kept(name, &key)));
                key
            });
            let signs = key.map(|key| Root::restore(root.certificate.clone(), key));
            let signs = signs.transpose().map_err(NotOpened::Root)?;
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
        let (signer, key) = Signer::read(store, keys, &roots)?;
        anew.extend(key);
        let held = Self {
            domain: signer.intermediate.domain().clone(),
            rotation: Rotation::restore(standings).ok_or(NotOpened::Half)?,
            roots,
            signer: Arc::new(signer),
            next: None,
        };
        Ok(Some((held, anew)))
    }

    pub(super) fn told(&self) -> Told {
        let standings = self.rotation.standings().iter();
        let roots = standings.filter_map(|one| self.roots.get(&one.root));
        let given = self.next.as_ref().unwrap_or(&self.signer);
        let validity = given.intermediate.validity();
        Told {
            roots: roots.map(|root| root.certificate.clone()).collect(),
            intermediate_validity: self.signer.intermediate.validity(),
            source: self.signer.source.clone(),
            given: given.source.clone().map(|source| Given {
                source,
                certificate: given.intermediate.certificate().to_vec(),
                key: given.intermediate.key().public(),
                validity,
            }),
            rotation: self.rotation.clone(),
            domain: self.domain.clone(),
        }
    }

    /// Whether the root is one of ours, and its key is here.
    pub(super) fn is_own(&self, root: Fingerprint) -> bool {
        let root = self.roots.get(&root);
        root.is_some_and(|root| root.signs.is_some())
    }

    /// Whether there is what signs under the root.
    pub(super) fn may_sign(&self, root: Fingerprint) -> bool {
        let next = self.next.as_ref();
        self.is_own(root) || next.is_some_and(|next| next.root == root)
    }

    /// The announced root is not to sign after all. Gives what the store is to forget.
    pub(super) fn withdraw(&mut self, now: Wall) -> Secrets {
        self.next = None;
        let Some(announced) = self.rotation.announced().map(|one| one.root) else {
            return Vec::new();
        };
        self.rotation.withdraw(now);
        let root = self.roots.get_mut(&announced);
        let key = root.and_then(|root| root.signs.take());
        Vec::from_iter(key.map(|_| (key_of(announced), None)))
    }

    pub(super) fn kept(&self) -> Vec<KeptRoot> {
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
    pub(super) fn new(root: Root, bridge: Option<Bridge>) -> Self {
        Self {
            certificate: root.certificate().to_vec(),
            bridge,
            signs: Some(Arc::new(root)),
        }
    }

    /// One that somebody else has the key of.
    pub(super) fn outside(certificate: Vec<u8>) -> Self {
        Self {
            certificate,
            bridge: None,
            signs: None,
        }
    }
}

impl Signer {
    /// What the store holds, and its key if the store should keep that otherwise.
    pub(super) fn read(
        store: &Store,
        keys: &Keys,
        roots: &BTreeMap<Fingerprint, HeldRoot>,
    ) -> Result<(Self, Option<Kept>), NotOpened> {
        let part = |name| store.secret(&label(name))?.ok_or(NotOpened::Half);
        let (certificate, root) = (part(INTERMEDIATE)?, part(INTERMEDIATE_ROOT)?);
        let name = label(INTERMEDIATE_KEY);
        let (key, is_well) = keys.read(store, &name)?.ok_or(NotOpened::Half)?;
        let anew = (!is_well).then(|| keys.kept(name, &key));
        let domain = text(part(DOMAIN)?).and_then(|domain| TrustDomain::new(&domain).ok());
        let domain = domain.ok_or(NotOpened::Half)?;
        let above = store.secret(&label(INTERMEDIATE_ABOVE))?.map(|it| it.0);
        let root = Fingerprint(root.0.try_into().map_err(|_| NotOpened::Half)?);
        let stands = roots.get(&root).map(|root| Validity::of(&root.certificate));
        let above = (
            Vec::from_iter(above),
            stands.flatten().ok_or(NotOpened::Half)?,
        );
        let intermediate = Intermediate::restore_under(above, certificate.0, key, &domain);
        let signer = Self {
            intermediate: intermediate.map_err(NotOpened::Intermediate)?,
            root,
            source: store.secret(&label(INTERMEDIATE_SOURCE))?.and_then(text),
            is_of_this_process: false,
        };
        Ok((signer, anew))
    }

    /// What the store is to keep of what signs.
    pub(super) fn kept(&self, keys: &Keys) -> Secrets {
        let intermediate = &self.intermediate;
        let bytes = |bytes: &[u8]| Some(Secret(bytes.to_vec()));
        let above = intermediate.above().first();
        let source = self.source.as_ref();
        vec![
            (
                label(DOMAIN),
                bytes(intermediate.domain().to_string().as_bytes()),
            ),
            (label(INTERMEDIATE), bytes(intermediate.certificate())),
            (
                label(INTERMEDIATE_ABOVE),
                above.and_then(|above| bytes(above)),
            ),
            (label(INTERMEDIATE_ROOT), bytes(&self.root.0)),
            (
                label(INTERMEDIATE_SOURCE),
                source.and_then(|it| bytes(it.as_bytes())),
            ),
            keys.kept(label(INTERMEDIATE_KEY), intermediate.key()),
        ]
    }
}

/// What is to be kept under a name, or forgotten.
type Kept = (Label, Option<Secret>);

pub(super) type Secrets = Vec<Kept>;

fn text(secret: Secret) -> Option<String> {
    String::from_utf8(secret.0).ok()
}

/// The name under which the store keeps whose CA it is.
const DOMAIN: &str = "ca/domain";

/// The names under which the store keeps the intermediate.
const INTERMEDIATE_ABOVE: &str = "ca/intermediate/above";
const INTERMEDIATE_SOURCE: &str = "ca/intermediate/source";
const INTERMEDIATE: &str = "ca/intermediate/certificate";
const INTERMEDIATE_KEY: &str = "ca/intermediate/key";
const INTERMEDIATE_ROOT: &str = "ca/intermediate/root";

/// The name under which the store keeps a root's key.
pub(super) fn key_of(root: Fingerprint) -> Label {
    label(&format!("ca/root/{root}/key"))
}

fn label(name: &str) -> Label {
    Label::new(name).expect("a name of ours is a label")
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
