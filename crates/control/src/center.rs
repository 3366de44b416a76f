//! What the tasks of a control plane share, and what they do with it that takes no waiting.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use leno_channel::Keyring;
use leno_identity::{Trust, Validity};
use leno_model::view::Generation;
use leno_model::{Code, TrustDomain};
use leno_store::{Failed, Head, NotRead, Object, Revision, Store};
use tokio::sync::watch;

use crate::authority::{Authority, NotFounded};
use crate::clock::{self, Clocks};
use crate::edition::{Edition, Trusted};
use crate::event::Event;
use crate::fleet::Fleet;
use crate::folder::Found;
use crate::meaning::Meaning;
use crate::tunnels::Tunnels;

/// What the tasks share.
pub(crate) struct Center {
    pub(crate) store: Arc<Store>,
    pub(crate) authority: Authority,
    pub(crate) tunnels: Tunnels,
    pub(crate) fleet: Fleet,
    pub(crate) keyring: Keyring,
    pub(crate) clocks: Clocks,
    /// Host and port at which proxies find this control plane.
    pub(crate) address: String,
    /// The newest state of the mesh.
    pub(crate) editions: watch::Sender<Arc<Edition>>,
    /// Rises when there is something that the newest edition lacks.
    pub(crate) news: watch::Sender<u64>,
    pub(crate) folders: Mutex<Vec<Found>>,
    /// What was read last, so that a revision that was checked is not read again.
    read: Mutex<Option<(Basis, Arc<Meaning>)>>,
    /// Held while an edition is made, so that a later one never comes first.
    renewing: Mutex<()>,
    /// Held while the CA is founded, so that whoever finds it founded also finds it proven.
    founding: Mutex<()>,
    tell: Box<dyn Fn(&Event) + Send + Sync>,
}

/// What a meaning was read from.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Basis {
    revision: Revision,
    folders: Vec<u64>,
    domain: Option<TrustDomain>,
}

impl Center {
    /// Puts together what the store holds; the first edition is of it alone.
    pub(crate) fn open(
        store: Arc<Store>,
        address: String,
        folders: Vec<Found>,
        tell: Box<dyn Fn(&Event) + Send + Sync>,
    ) -> Result<Self, crate::NotStarted> {
        let meaning = Arc::new(Meaning::of(&[], &[], None));
        let first = Edition::new(
            Revision::EMPTY,
            Generation::default(),
            meaning,
            &Default::default(),
            Trusted::default(),
        );
        let center = Self {
            authority: Authority::open(Arc::clone(&store))?,
            tunnels: Tunnels::open(Arc::clone(&store))?,
            fleet: Fleet::default(),
            keyring: Keyring::new(clock::wall_clock()),
            clocks: Clocks::start(),
            address,
            editions: watch::Sender::new(Arc::new(first)),
            news: watch::Sender::new(0),
            folders: Mutex::new(folders),
            read: Mutex::default(),
            renewing: Mutex::default(),
            founding: Mutex::default(),
            tell,
            store,
        };
        let news = center.news.clone();
        center
            .store
            .on_new_head(move |_| news.send_modify(|count| *count += 1));
        center.renew()?;
        Ok(center)
    }

    /// Makes the newest edition of what all sources say, unless it is there already. When this
    /// returns, whatever was committed before is in force.
    pub(crate) fn renew(&self) -> Result<(), NotRead> {
        let _renewing = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.store.head();
        let folders = self.folders();
        let generation = generation(head, &folders);
        if self.editions.borrow().generation == generation {
            return Ok(());
        }
        let meaning = match self.known(head.revision, &folders) {
            Some(meaning) => meaning,
            None => self.meaning(head.revision, &self.store.at(head.revision)?, &folders),
        };
        let revoked: BTreeSet<_> = self
            .store
            .revoked()?
            .into_iter()
            .map(|revocation| revocation.identity)
            .collect();
        let roots = self
            .authority
            .told()
            .map(|told| (told.domain, Arc::new(vec![told.root])));
        let trusted = Trusted {
            bundles: roots.into_iter().collect(),
            revoked: Arc::new(revoked),
        };
        let (trust, _) = Trust::new(&trusted.bundles, trusted.revoked.clone());
        self.keyring.judge_by(Arc::new(trust));
        let (objects, problems) = (meaning.objects, meaning.problems());
        let reported = self.tunnels.reported();
        let edition = Edition::new(head.revision, generation, meaning, &reported, trusted);
        let before = self.editions.send_replace(Arc::new(edition));
        if before.revision != head.revision || before.meaning.objects != objects {
            self.tell(&Event::Compiled {
                revision: head.revision,
                objects,
                problems,
            });
        }
        Ok(())
    }

    /// Proves itself by a new certificate from here on; gives when that stands, or nothing if there
    /// is no CA or it cannot sign.
    pub(crate) fn prove(&self) -> Option<Validity> {
        let life = self.edition().mesh.certificate_lifetime;
        let own = self.authority.own(life, clock::wall())?;
        self.keyring.install(&own).ok()?;
        Some(own.validity())
    }

    /// Founds the CA for what a `Mesh` object says, once there is one.
    pub(crate) fn found_if_named(&self) {
        let edition = self.edition();
        if edition.meaning.is_named
            && let Err(error) = self.found(&edition.mesh.settings.trust_domain)
        {
            self.trouble(Code::T007, error);
        }
    }

    /// What `objects` and the watched folders mean.
    pub(crate) fn meaning(
        &self,
        revision: Revision,
        objects: &[Object],
        folders: &[Found],
    ) -> Arc<Meaning> {
        let basis = self.basis(revision, folders);
        let meaning = Arc::new(Meaning::of(objects, folders, basis.domain.as_ref()));
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((basis, Arc::clone(&meaning)));
        meaning
    }

    fn known(&self, revision: Revision, folders: &[Found]) -> Option<Arc<Meaning>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (basis, meaning) = read.as_ref()?;
        (*basis == self.basis(revision, folders)).then(|| Arc::clone(meaning))
    }

    fn basis(&self, revision: Revision, folders: &[Found]) -> Basis {
        Basis {
            revision,
            folders: folders.iter().map(|folder| folder.position).collect(),
            domain: self.authority.told().map(|told| told.domain),
        }
    }

    /// What stands in the watched folders.
    pub(crate) fn folders(&self) -> Vec<Found> {
        self.folders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The newest state of the mesh.
    pub(crate) fn edition(&self) -> Arc<Edition> {
        Arc::clone(&self.editions.borrow())
    }

    /// Founds the CA of `domain`, unless there is one.
    pub(crate) fn found(&self, domain: &TrustDomain) -> Result<(), NotFounded> {
        let _founding = self.founding.lock().unwrap_or_else(PoisonError::into_inner);
        if self.authority.told().is_none() {
            self.authority.found(domain, clock::wall())?;
            self.prove();
            self.tell(&Event::Founded(domain.clone()));
        }
        Ok(())
    }

    /// Says what happened.
    pub(crate) fn tell(&self, event: &Event) {
        (self.tell)(event);
    }

    /// Says that the store failed.
    pub(crate) fn trouble(&self, code: Code, what: impl fmt::Display) {
        self.tell(&Event::Trouble {
            code,
            what: what.to_string(),
        });
    }
}

/// Where an edition of this head and these folders stands in the order of all.
fn generation(head: Head, folders: &[Found]) -> Generation {
    let mut generation = head.generation();
    for folder in folders {
        let source = format!("folder {}", folder.folder);
        generation.positions.insert(source.into(), folder.position);
    }
    generation
}

impl From<Failed> for crate::NotStarted {
    fn from(failed: Failed) -> Self {
        Self::Read(NotRead::Failed(failed))
    }
}
