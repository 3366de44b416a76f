//! What the tasks of a control plane share, and what they do with it that takes no waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use leno_admin::{Addressed, Failure, Overview, Story, StoryOf};
use leno_channel::Keyring;
use leno_compile::{Ca, Mesh};
use leno_identity::{Credential, Seal, Trust, Validity};
use leno_model::view::{Generation, WorkloadId};
use leno_model::{Code, ControlName, Name, Override, ServiceName, TrustDomain};
use leno_resources::pod::Pods;
use leno_store::{
    Failed, Head, KeptOverride, NotRead, Object, ObjectChange, Revision, SOURCE, Store,
};
use leno_telemetry::Telemetry;
use leno_telemetry::export::{Export, Trouble};
use leno_wire::MeshAddress;
use tokio::sync::{Semaphore, watch};

use crate::accounts::Accounts;
use crate::auditing::Paces;
use crate::authority::{Authority, NotFounded, NotIssued};
use crate::clock::{self, Clocks};
use crate::condition::{Failing, Withheld};
use crate::desk::Desk;
use crate::edition::{Addresses, Edition, Reports, State, Trusted};
use crate::entitled::serves_nodes;
use crate::event::Event;
use crate::export;
use crate::fleet::{Fleet, Member};
use crate::flows::Ledger;
use crate::found::{First, Found};
use crate::holders::Holders;
use crate::holders::Whose;
use crate::issuers::Issuers;
use crate::jwks::Jwks;
use crate::keys::Keys;
use crate::meaning::{Gist, Known, Meaning, Written};
use crate::metrics::Troubles;
use crate::mint::Minter;
use crate::observed::{self, Recorded, Said};
use crate::outside::Standing;
use crate::overrides;
use crate::peers::Peers;
use crate::positions::Positions;
use crate::present::{Presence, Reported};
use crate::principal::{Beside, Principal};
use crate::published::Published;
use crate::readmit::Readmission;
use crate::remote::Rooms;
use crate::since::Since;
use crate::troubled::Troubled;
use crate::tunnels::{self, Report, Tunnels};
use crate::validate::{self, Place};
use crate::watching::Watching;

/// What the tasks share.
pub(crate) struct Center {
    pub(crate) store: Arc<Store>,
    pub(crate) authority: Authority,
    /// Signs tokens.
    pub(crate) minter: Minter,
    /// Those whose tokens let proxies join.
    pub(crate) accounts: Accounts,
    pub(crate) issuers: Issuers,
    pub(crate) holders: Arc<Holders>,
    /// The default control plane, of one that stands beside it.
    pub(crate) principal: Option<Principal>,
    /// What the authority outside says that is to sign, if one is.
    pub(crate) outside: Standing,
    pub(crate) readmission: Readmission,
    pub(crate) tunnels: Tunnels,
    pub(crate) jwks: Jwks,
    /// Other trust domains.
    pub(crate) peers: Peers,
    /// What those are told of our own.
    pub(crate) published: Published,
    pub(crate) fleet: Fleet,
    /// What its proxies say to be wrong.
    pub(crate) troubled: Troubled,
    /// What goes between services.
    pub(crate) ledger: Ledger,
    pub(crate) keyring: Keyring,
    /// What it proves itself by.
    proven: Mutex<Option<Credential>>,
    pub(crate) clocks: Clocks,
    /// What tells the cluster that is followed from others, if one is.
    pub(crate) cluster: Option<Arc<str>>,
    /// Host and port at which proxies find this control plane.
    pub(crate) address: String,
    /// The image of the proxy that pods of the cluster get.
    pub(crate) sidecar: Option<String>,
    /// Whether the proxies of nodes load the packet rules of these pods.
    pub(crate) node_capture: bool,
    /// Where it is asked about changes of the cluster's objects.
    pub(crate) validate: Place,
    /// Room for looks at such changes.
    pub(crate) changes: Arc<Semaphore>,
    /// The newest state of the mesh.
    pub(crate) editions: watch::Sender<Arc<Edition>>,
    /// Rises when there is something that the newest edition lacks.
    pub(crate) news: watch::Sender<u64>,
    sources: Mutex<Vec<Found>>,
    /// What is written and was refused.
    withheld: Mutex<Option<Withheld>>,
    /// What keeps it from the log that it shares with others.
    apart: Mutex<Option<(Code, String)>>,
    positions: Mutex<Positions>,
    /// What runs.
    pub(crate) presence: Presence,
    /// What the mesh is called where nobody has written a `Mesh`.
    pub(crate) mesh: Option<Name>,
    /// Which revisions brought the findings of the newest one.
    pub(crate) since: Since,
    /// What was read last, so that a revision that was checked is not read again.
    read: Mutex<Option<(Basis, Arc<Meaning>)>>,
    /// The services that were last given virtual addresses, and these.
    addresses: Mutex<Given>,
    /// Held while an edition is made, so that a later one never comes first.
    renewing: Mutex<()>,
    /// Held while pods are seen, or some of them are found to be served, so that those seen last are marked.
    seeing: Mutex<()>,
    /// Held while the CA is founded, so that whoever finds it founded also finds it proven.
    founding: Mutex<()>,
    /// Makes an address at which the dashboard lets in whoever opens it first.
    pub(crate) links: OnceLock<Box<dyn Fn() -> String + Send + Sync>>,
    /// How the mesh is, as who runs this control plane in its own process knows it better.
    pub(crate) look: OnceLock<Box<Look>>,
    /// What became of a call, as who runs this control plane tells it.
    pub(crate) stories: OnceLock<Box<Stories>>,
    /// The measures that hold.
    overrides: Mutex<Arc<Vec<KeptOverride>>>,
    /// The changes that are watched.
    pub(crate) watching: Watching,
    /// How often of late something was written down that changed nothing.
    pub(crate) paces: Paces,
    /// How many may ask at once from elsewhere.
    pub(crate) askers: Semaphore,
    /// And how many of each.
    pub(crate) rooms: Rooms,
    /// What is tried again and again, and fails.
    failing: Mutex<BTreeMap<Code, Failing>>,
    /// How often something went wrong.
    pub(crate) troubles: Troubles,
    /// What becomes of what it sends to a collector.
    pub(crate) telemetry: Telemetry,
    /// What becomes of what a proxy in the same process sends to it.
    pub(crate) export: OnceLock<Arc<Export>>,
    tell: Box<dyn Fn(&Event) + Send + Sync>,
}

/// How many questions from elsewhere may be under way, taps included.
const MOST_ASKERS: usize = 64;

/// Looks at the mesh; nothing if nobody knows more than the control plane does.
pub(crate) type Look = dyn Fn() -> Option<Looking> + Send + Sync;

/// A look that is under way.
pub(crate) type Looking = Pin<Box<dyn Future<Output = Result<Overview, Failure>> + Send>>;

/// Tells the story of a call, by what the control plane behind a desk has.
pub(crate) type Stories = dyn Fn(Desk, StoryOf) -> Telling + Send + Sync;

/// A story that is being told.
pub(crate) type Telling = Pin<Box<dyn Future<Output = Result<Story, Failure>> + Send>>;

/// What a meaning was read from, and what was known beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Basis {
    written: (Revision, Vec<u64>),
    /// The revision that is served of what others own, if one is held.
    held: Option<u64>,
    domain: Option<TrustDomain>,
    present: u64,
    overrides: Vec<Name>,
}

/// Virtual addresses, and whom they were asked for.
type Given = (BTreeSet<ServiceName>, Arc<Addresses>);

/// What whoever started it asks of it.
pub(crate) struct Start {
    /// Where proxies find it.
    pub(crate) address: String,
    /// What the mesh is called where nobody has written a `Mesh`.
    pub(crate) mesh: Option<Name>,
    /// The image of the proxy that pods of the cluster get.
    pub(crate) sidecar: Option<String>,
    /// Whether the proxies of nodes load the packet rules of these pods.
    pub(crate) node_capture: bool,
    /// How it stands beside the default one, if it does.
    pub(crate) beside: Option<Beside>,
}

impl Center {
    /// Puts together what the store holds; the first edition is of it alone.
    pub(crate) fn open(
        store: Arc<Store>,
        keys: Arc<Keys>,
        jwks: Jwks,
        start: Start,
        found: First,
        tell: Box<dyn Fn(&Event) + Send + Sync>,
    ) -> Result<Self, crate::NotStarted> {
        let known = Known {
            domain: None,
            mesh: None,
            present: &BTreeMap::new(),
            pods: &Arc::default(),
            overrides: &[],
        };
        let meaning = Meaning::of(&Arc::default(), known, None);
        let first = State {
            revision: Revision::EMPTY,
            generation: Generation::default(),
            meaning: Arc::new(meaning),
            trusted: Arc::default(),
            made: clock::wall(),
        };
        let first = Edition::new(first, &Reports::default(), None);
        let clocks = Clocks::start();
        let mut positions = Positions::open(&store)?;
        let First {
            mut sources,
            said,
            cluster,
            pods,
        } = found;
        let said = said.map(|said| said.record(&store, clock::wall()));
        let (of_cluster, refused) = match said.transpose()? {
            Some(recorded) => (Some(recorded.found), recorded.refused),
            None => (None, None),
        };
        sources.extend(of_cluster);
        let beside = start
            .beside
            .map(|it| Principal::open(it, Arc::clone(&store)));
        let principal = beside.transpose()?;
        positions.settle(&mut sources, &store)?;
        let center = Self {
            accounts: Accounts::default(),
            issuers: Issuers::default(),
            minter: Minter::open(Arc::clone(&store), Arc::clone(&keys))?,
            authority: Authority::open(Arc::clone(&store), keys)?,
            holders: Holders::open(Arc::clone(&store))?,
            principal,
            outside: Standing::default(),
            readmission: Readmission::default(),
            tunnels: Tunnels::open(Arc::clone(&store))?,
            jwks,
            peers: Peers::open(Arc::clone(&store))?,
            published: Published::open(Arc::clone(&store))?,
            fleet: Fleet::default(),
            troubled: Troubled::default(),
            ledger: Ledger::open(store.folder()),
            keyring: Keyring::new(clocks.clock()),
            proven: Mutex::default(),
            clocks,
            cluster,
            address: start.address,
            sidecar: start.sidecar,
            node_capture: start.node_capture,
            validate: Place::new(),
            changes: Arc::new(Semaphore::new(validate::MOST)),
            editions: watch::Sender::new(Arc::new(first)),
            news: watch::Sender::new(0),
            sources: Mutex::new(sources),
            withheld: Mutex::default(),
            apart: Mutex::default(),
            presence: Presence::new(Arc::clone(&store)),
            mesh: start.mesh,
            addresses: Mutex::default(),
            positions: Mutex::new(positions),
            since: Since::default(),
            overrides: Mutex::default(),
            read: Mutex::default(),
            renewing: Mutex::default(),
            seeing: Mutex::default(),
            founding: Mutex::default(),
            links: OnceLock::new(),
            look: OnceLock::new(),
            stories: OnceLock::new(),
            watching: Watching::default(),
            paces: Paces::default(),
            askers: Semaphore::new(MOST_ASKERS),
            rooms: Rooms::default(),
            failing: Mutex::default(),
            troubles: Troubles::default(),
            telemetry: export::telemetry(),
            export: OnceLock::new(),
            tell,
            store,
        };
        let news = center.news.clone();
        center
            .store
            .on_new_head(move |_| news.send_modify(|count| *count += 1));
        if let Some(refused) = refused {
            center.trouble(refused.code(), refused);
        }
        if let Some(lead) = center.principal.as_ref().and_then(Principal::lead) {
            center.authority.stand_beside(lead.roots.clone());
        }
        center.watching.refresh(&center.store)?;
        let follows = pods.is_some();
        if let Some(pods) = pods {
            if !center.node_capture && !serves_nodes(&pods) {
                center.tunnels.let_go()?;
            }
            center.take_pods(pods)?;
        }
        center.renew()?;
        if follows {
            let mesh = &center.edition().mesh;
            center
                .tunnels
                .forget(|id| mesh.instances.contains_key(id))?;
        }
        Ok(center)
    }

    /// Makes the newest edition of what all sources say, unless it is there already. When this
    /// returns, whatever was committed before is in force.
    pub(crate) fn renew(&self) -> Result<(), NotRead> {
        let _renewing = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.store.head();
        let sources = self.sources();
        let present = self.presence.reported();
        let generation = generation(head, &sources, &present);
        if self.editions.borrow().generation == generation {
            return Ok(());
        }
        *self
            .overrides
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(self.store.overrides()?);
        let meaning = self.standing(head.revision, &sources, &present)?;
        let revoked = self.store.revoked()?.into_iter();
        let mut revoked: BTreeSet<_> = revoked.map(|revocation| revocation.identity).collect();
        revoked.extend(self.principal.iter().flat_map(Principal::revoked));
        let told = self.authority.settled();
        let keys = told.as_ref().and_then(|told| {
            let keys = self.minter.published()?;
            Some((told.domain.clone(), keys))
        });
        let roots = told.map(|told| (told.domain, Arc::new(told.roots)));
        let mut trusted = Trusted {
            revoked: Arc::new(revoked),
            ..Trusted::default()
        };
        let believed = self.peers.believed(&meaning.mesh.peers, self.clocks.now());
        for (domain, believed) in believed {
            let token_keys = believed.token_keys.clone();
            trusted
                .token_keys
                .extend(token_keys.map(|keys| (domain.clone(), keys)));
            trusted.bundles.insert(domain, Arc::clone(&believed.roots));
        }
        // Last: nobody else ever speaks for our own trust domain.
        trusted.bundles.extend(roots);
        trusted.token_keys.extend(keys);
        let trusted = self.trust(trusted);
        let (objects, problems) = (meaning.written.objects(), meaning.problems());
        let reports = Reports {
            proxies: self.proxies(&meaning.mesh, &present.pods),
            addresses: self.addresses(&meaning.mesh.unaddressed)?,
            keys: self.jwks.given(),
        };
        let state = State {
            revision: head.revision,
            generation,
            meaning,
            trusted,
            made: clock::wall(),
        };
        let edition = Edition::new(state, &reports, Some(&self.edition()));
        let before = self.editions.send_replace(Arc::new(edition));
        if before.revision != head.revision || before.meaning.written.objects() != objects {
            self.tell(&Event::Compiled {
                revision: head.revision,
                objects,
                problems,
            });
        }
        Ok(())
    }

    /// Judges by `trusted` from here on, and gives the value that stands for it.
    fn trust(&self, trusted: Trusted) -> Arc<Trusted> {
        let before = Arc::clone(&self.edition().trusted);
        if *before == trusted {
            return before;
        }
        let (trust, _) = Trust::new(&trusted.bundles, trusted.revoked.clone());
        self.keyring.judge_by(Arc::new(trust.with_people()));
        Arc::new(trusted)
    }

    /// Proves itself by a new certificate from here on; says when that stands, or why there is none.
    pub(crate) fn prove(&self) -> Result<Validity, NotIssued> {
        let life = self.edition().mesh.lifetimes.leaf;
        let signed = self.authority.own(&self.hosts(), life, clock::wall())?;
        let id = signed.what.id();
        self.holders
            .remember(&signed, &Whose::default(), id, "the control plane itself")?;
        let own = signed.what;
        self.keyring.install(&own).map_err(NotIssued::Key)?;
        let validity = own.validity();
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
        Ok(validity)
    }

    /// Where the mesh is, and what proves it; `None` while there is no CA.
    pub(crate) fn mesh_address(&self) -> Option<MeshAddress> {
        let told = self.authority.told()?;
        Some(MeshAddress {
            fingerprint: told.fingerprint().0,
            trust_domain: told.domain,
            address: self.address.clone(),
        })
    }

    /// The hosts at which others find it.
    fn hosts(&self) -> Vec<&str> {
        let hosts = self.address.split(',');
        let hosts = hosts.filter_map(|address| Some(address.rsplit_once(':')?.0));
        hosts.map(|host| host.trim_matches(['[', ']'])).collect()
    }

    /// Founds the CA for what a `Mesh` object says, once there is one.
    pub(crate) fn found_if_named(&self) {
        let edition = self.edition();
        if edition.meaning.is_named
            && self.has_own_ca()
            && let Err(error) = self.found(&edition.mesh.settings.trust_domain)
        {
            self.trouble(error.code(), error);
        }
    }

    /// What `objects`, what sources say and what runs would mean: those of `revision`, should it be committed.
    pub(crate) fn foreseen(
        &self,
        revision: Revision,
        objects: Vec<Object>,
        sources: &[Found],
    ) -> Result<(Basis, Arc<Meaning>), Failed> {
        let present = self.presence.reported();
        let basis = self.basis(revision, sources, &present);
        let objects = self.in_force(objects)?;
        let known = &self.edition().meaning.written;
        let written = Written::read(&objects, sources, known);
        let meaning = self.understand(&basis, &Arc::new(written), &present);
        Ok((basis, meaning))
    }

    /// Takes what was foreseen as what was read: its revision is committed. Of any other it would be wrong, for another
    /// one may have been committed by that number.
    pub(crate) fn came_true(&self, basis: Basis, meaning: Arc<Meaning>) {
        *self.lock_read() = Some((basis, meaning));
    }

    /// What the newest revision, what sources say and what runs mean.
    fn standing(
        &self,
        revision: Revision,
        sources: &[Found],
        present: &Reported,
    ) -> Result<Arc<Meaning>, NotRead> {
        let basis = self.basis(revision, sources, present);
        let read = self.lock_read().clone();
        let written = match read {
            Some((known, meaning)) if known == basis => return Ok(meaning),
            Some((known, meaning))
                if known.written == basis.written && known.held == basis.held =>
            {
                Arc::clone(&meaning.written)
            }
            read @ (Some(_) | None) => {
                let known = read.map(|(_, meaning)| Arc::clone(&meaning.written));
                let objects = self.in_force(self.store.at(revision)?)?;
                Arc::new(Written::read(&objects, sources, &known.unwrap_or_default()))
            }
        };
        let meaning = self.understand(&basis, &written, present);
        *self.lock_read() = Some((basis, Arc::clone(&meaning)));
        Ok(meaning)
    }

    fn understand(
        &self,
        basis: &Basis,
        written: &Arc<Written>,
        present: &Reported,
    ) -> Arc<Meaning> {
        let overrides = self.overrides();
        let known = Known {
            domain: basis.domain.as_ref(),
            mesh: self.mesh.as_ref(),
            present: &present.all,
            pods: &present.pods,
            overrides: &measures(&overrides),
        };
        let before = self.lock_read().clone();
        let before = before.as_ref().map(|(_, before)| &**before);
        let mut meaning = Meaning::of(written, known, before);
        let of_overrides = overrides::notes(&overrides, &written.resources);
        if !of_overrides.is_empty() {
            Arc::make_mut(&mut meaning.notes).extend(of_overrides);
        }
        Arc::new(meaning)
    }

    fn basis(&self, revision: Revision, sources: &[Found], present: &Reported) -> Basis {
        let positions = sources.iter().map(|source| source.position);
        Basis {
            written: (revision, positions.collect()),
            held: self.held(),
            domain: self.authority.told().map(|told| told.domain),
            present: present.position,
            overrides: self
                .overrides()
                .iter()
                .map(|kept| kept.over.id.clone())
                .collect(),
        }
    }

    /// The measures that hold.
    pub(crate) fn overrides(&self) -> Arc<Vec<KeptOverride>> {
        let overrides = self.overrides.lock();
        Arc::clone(&overrides.unwrap_or_else(PoisonError::into_inner))
    }

    /// The revision that is served of what others own, if one is held.
    fn held(&self) -> Option<u64> {
        let overrides = self.overrides();
        overrides.iter().find_map(|kept| kept.over.measure.held())
    }

    /// What is served where a revision has these objects: what others own may be held as it was.
    fn in_force(&self, objects: Vec<Object>) -> Result<Vec<Object>, Failed> {
        let Some(to) = self.held() else {
            return Ok(objects);
        };
        match self.store.at(Revision(to)) {
            Ok(then) => Ok(observed::hold(objects, then)),
            // It was held for longer than it was kept.
            Err(gone @ NotRead::NoSuchRevision(_)) => {
                self.trouble(gone.code(), gone);
                Ok(objects)
            }
            Err(NotRead::Failed(failed)) => Err(failed),
        }
    }

    /// What leads from what others own to what they owned in a revision.
    pub(crate) fn not_own(&self, then: Revision) -> Result<Vec<ObjectChange>, NotRead> {
        let mut changes = self.store.diff(self.store.head().revision, then)?;
        changes.retain(|change| {
            let mut sides = change.before().into_iter().chain(change.after());
            sides.all(|object| object.owner.source.as_str() != SOURCE)
        });
        Ok(changes)
    }

    /// What was found in an earlier revision, with all else as it is.
    pub(crate) fn found_at(&self, revision: Revision) -> Result<BTreeSet<Gist>, NotRead> {
        let objects = self.store.at(revision)?;
        Ok(self.supposed(&objects, &self.sources()).gists())
    }

    /// What other objects, and other words of sources, would mean, with all else as it is.
    pub(crate) fn supposed(&self, objects: &[Object], sources: &[Found]) -> Meaning {
        let written = Written::read(objects, sources, &self.edition().meaning.written);
        let domain = self.authority.told().map(|told| told.domain);
        let present = self.presence.reported();
        let known = Known {
            domain: domain.as_ref(),
            mesh: self.mesh.as_ref(),
            present: &present.all,
            pods: &present.pods,
            overrides: &measures(&self.overrides()),
        };
        Meaning::of(&Arc::new(written), known, None)
    }

    fn lock_read(&self) -> MutexGuard<'_, Option<(Basis, Arc<Meaning>)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The virtual addresses of `services`, which are all that want one.
    fn addresses(&self, services: &BTreeSet<ServiceName>) -> Result<Arc<Addresses>, Failed> {
        let mut given = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if given.0 != *services {
            let addresses = self.store.addresses(services, clock::wall())?;
            *given = (services.clone(), Arc::new(addresses));
        }
        Ok(Arc::clone(&given.1))
    }

    /// Where proxies take mesh calls: as they reported here, and as those pods show whose proxies follow another control
    /// plane of the mesh.
    pub(crate) fn proxies(&self, mesh: &Mesh, pods: &Pods) -> tunnels::Reported {
        let own = self.name();
        self.tunnels.reported().with_elsewhere(mesh, pods, own)
    }

    /// What it is called, if it stands beside the default one.
    pub(crate) fn name(&self) -> Option<&ControlName> {
        let principal = self.principal.as_ref();
        principal.map(|principal| &principal.beside.name)
    }

    /// The proxies that are connected and would be told something else if this were in force, by name.
    /// An address that a service would be given then counts for nothing.
    pub(crate) fn affected(&self, then: &Edition) -> Vec<String> {
        let now = self.edition();
        let members = self.fleet.members();
        let differs = |member: &&Member| {
            let told = |edition: &Edition| {
                edition.target(&member.workloads, member.node.as_deref(), &member.wants)
            };
            told(&now).parts() != told(then).parts()
        };
        let members = members.iter().map(|(_, member)| member);
        members
            .filter(differs)
            .map(|member| member.name.clone())
            .collect()
    }

    /// The state of the mesh as it would be if the sources meant this, and nothing else changed.
    pub(crate) fn imagined(&self, meaning: &Arc<Meaning>) -> Edition {
        let now = self.edition();
        let given = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let reports = Reports {
            proxies: self.proxies(&meaning.mesh, &self.presence.reported().pods),
            addresses: Arc::clone(&given.1),
            keys: self.jwks.given(),
        };
        drop(given);
        let trusted = now.trusted.without_strangers(&meaning.mesh);
        let state = State {
            revision: now.revision,
            generation: now.generation.clone(),
            meaning: Arc::clone(meaning),
            trusted: Arc::new(trusted),
            made: now.made,
        };
        Edition::new(state, &reports, Some(&now))
    }

    /// Takes what sources say, in place of what the same ones said, once the positions it stands at are
    /// on disk.
    pub(crate) fn take_found(&self, found: Vec<Found>) -> Result<(), Failed> {
        let mut positions = self
            .positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut sources = self.sources();
        for found in found {
            match sources.iter_mut().find(|it| it.source == found.source) {
                Some(known) => *known = found,
                None => sources.push(found),
            }
        }
        positions.settle(&mut sources, &self.store)?;
        *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = sources;
        self.news.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Takes what a cluster says, in place of what it said; what is wanted there is a revision then.
    pub(crate) fn take_said(&self, said: Said) -> Result<(), Failed> {
        // Nobody sees the one without the other.
        let _renewing = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let Recorded { found, refused } = said.record(&self.store, clock::wall())?;
        if let Some(refused) = refused {
            self.trouble(refused.code(), refused);
        }
        self.take_found(vec![found])
    }

    /// Takes what pods there are.
    pub(crate) fn take_pods(&self, pods: Arc<Pods>) -> Result<(), Failed> {
        self.tunnels.settle(&pods)?;
        self.see_pods(|_| pods)
    }

    /// Takes what a proxy says of workloads. Who is served by the proxy of its node from then on is so whatever is said of
    /// it later.
    pub(crate) fn take_report(&self, reports: &BTreeMap<WorkloadId, Report>) -> Result<(), Failed> {
        self.tunnels.report(reports)?;
        let mut pods = reports.values().filter_map(|report| report.pod.as_ref());
        match pods.any(|pod| pod.is_served) {
            true => self.see_pods(Arc::clone),
            false => Ok(()),
        }
    }

    /// Sees pods in the place of those that were seen last, with those marked that are served.
    fn see_pods(&self, now: impl FnOnce(&Arc<Pods>) -> Arc<Pods>) -> Result<(), Failed> {
        let _seeing = self.seeing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.presence.reported().pods;
        let pods = self.tunnels.mark(now(&before), &before);
        self.presence.see_pods(pods)?;
        self.news.send_modify(|count| *count += 1);
        Ok(())
    }

    /// The virtual addresses that were given last, as they travel.
    pub(crate) fn addressed(&self) -> Vec<Addressed> {
        let given = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let each = given.1.iter().flat_map(|(service, address)| {
            let both = [IpAddr::from(address.v4()), IpAddr::from(address.v6())];
            both.map(|address| Addressed {
                service: service.to_string(),
                address: address.to_string(),
            })
        });
        each.collect()
    }

    /// What the sources say that are not the store.
    pub(crate) fn sources(&self) -> Vec<Found> {
        self.sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the mesh is what a cluster says: then its objects are changed there.
    pub(crate) fn follows_cluster(&self) -> bool {
        self.sources().iter().any(Found::is_cluster)
    }

    /// The newest state of the mesh.
    pub(crate) fn edition(&self) -> Arc<Edition> {
        Arc::clone(&self.editions.borrow())
    }

    /// Whether roots are made here: not by one that stands beside the default one, nor where an authority outside is to
    /// sign.
    pub(crate) fn has_own_ca(&self) -> bool {
        self.principal.is_none() && self.edition().mesh.ca == Ca::Own
    }

    /// Founds the CA of `domain`, unless there is one.
    pub(crate) fn found(&self, domain: &TrustDomain) -> Result<(), NotFounded> {
        let _founding = self.founding.lock().unwrap_or_else(PoisonError::into_inner);
        if self.authority.told().is_none() {
            if !self.has_own_ca() {
                return Err(NotFounded::Awaited);
            }
            let lifetimes = self.edition().mesh.lifetimes;
            self.authority.found(domain, lifetimes, clock::wall())?;
            self.tell_founded(domain);
        }
        Ok(())
    }

    /// The CA was just founded: proves itself by it, and says so. Whom it signs is believed when this returns.
    pub(crate) fn tell_founded(&self, domain: &TrustDomain) {
        if let Err(why) = self.prove() {
            self.trouble(Code::T007, why);
        }
        if let Err(why) = self.minter.turn(clock::wall()) {
            self.trouble(Code::T007, why);
        }
        // The store has told that there is news, should this fail.
        if let Err(error) = self.renew() {
            self.trouble(error.code(), error);
        }
        self.tell(&Event::Founded(domain.clone()));
    }

    /// Lets every task look again at whom it serves: time has jumped, and what stood may have ended.
    pub(crate) fn judge_again(&self) {
        self.editions.send_modify(|_| {});
    }

    /// Signs something that is kept by somebody else; `None` while there is nothing to sign by.
    pub(crate) fn seal(&self, bytes: &[u8]) -> Option<Seal> {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = proven.as_ref()?.seal(bytes, self.clocks.now().wall);
        sealed.ok()
    }

    /// Says what happened.
    pub(crate) fn tell(&self, event: &Event) {
        if let Some(code) = event.code() {
            self.troubles.count(code);
        }
        (self.tell)(event);
    }

    /// Tells what is written and was refused, or that all that is written is in force.
    pub(crate) fn withhold(&self, withheld: Option<Withheld>) {
        *self.withheld.lock().unwrap_or_else(PoisonError::into_inner) = withheld;
    }

    /// What is written and was refused.
    pub(crate) fn withheld(&self) -> Option<Withheld> {
        let withheld = self.withheld.lock();
        withheld.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what keeps it from the log that it shares with others, or that nothing does, and tells it
    /// if it is news.
    pub(crate) fn part(&self, trouble: Option<(Code, String)>) {
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *apart, trouble.clone());
        drop(apart);
        if let Some((code, what)) = trouble.filter(|_| before.is_none()) {
            self.trouble(code, what);
        }
    }

    /// What keeps it from the log that it shares with others.
    pub(crate) fn apart(&self) -> Option<(Code, String)> {
        let apart = self.apart.lock();
        apart.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why a collector does not get what is sent from this process.
    pub(crate) fn not_exported(&self) -> Vec<Trouble> {
        let mut troubles = self.telemetry.export().troubles();
        let beside = self.export.get().map(|export| export.troubles());
        troubles.extend(beside.unwrap_or_default());
        troubles
    }

    /// Says that the store failed.
    /// Tells why something that is tried again and again fails, if it was `told` of another reason, or of none.
    pub(crate) fn trouble_anew(&self, code: Code, told: &mut Option<String>, why: Option<String>) {
        if let Some(why) = why.as_ref().filter(|_| why != *told) {
            self.trouble(code, why);
        }
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match &why {
            Some(why) => {
                let before = failing.get(&code);
                let since = before.map_or_else(clock::wall, |before| before.since);
                let why = why.clone();
                failing.insert(code, Failing { why, since });
            }
            None => drop(failing.remove(&code)),
        }
        drop(failing);
        *told = why;
    }

    /// What is tried again and again, and fails.
    pub(crate) fn failing(&self) -> BTreeMap<Code, Failing> {
        let failing = self.failing.lock();
        failing.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn trouble(&self, code: Code, what: impl fmt::Display) {
        self.tell(&Event::Trouble {
            code,
            what: what.to_string(),
        });
    }
}

/// The source that is what runs.
pub(crate) const PRESENT: &str = "present";

/// Where an edition of this head, these sources and what runs stands in the order of all.
fn generation(head: Head, sources: &[Found], present: &Reported) -> Generation {
    let mut generation = head.generation();
    if present.position > 0 {
        generation
            .positions
            .insert(PRESENT.into(), present.position);
    }
    for found in sources {
        generation
            .positions
            .insert(found.source.clone(), found.position);
    }
    generation
}

impl From<Failed> for crate::NotStarted {
    fn from(failed: Failed) -> Self {
        Self::Read(NotRead::Failed(failed))
    }
}

fn measures(overrides: &[KeptOverride]) -> Vec<Override> {
    overrides.iter().map(|kept| kept.over.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use leno_model::Namespace;
    use leno_resources::pod::{MODE, Pod};

    use super::*;
    use crate::LocalKeys;
    use crate::tunnels::OfPod;

    fn open(folder: &Path, node_capture: bool, pods: Pods) -> Center {
        let store = Store::open(folder, leno_store::Settings::default());
        let store = Arc::new(store.unwrap());
        let keys = Arc::new(Keys::open(&store, None).unwrap());
        let jwks = Jwks::open(Arc::clone(&store), LocalKeys::default()).unwrap();
        let start = Start {
            beside: None,
            address: "127.0.0.1:15012".to_owned(),
            mesh: None,
            sidecar: None,
            node_capture,
        };
        let found = First {
            pods: Some(Arc::new(pods)),
            ..First::default()
        };
        Center::open(store, keys, jwks, start, found, Box::new(|_| {})).unwrap()
    }

    /// A pod on a node, which says how it is to be placed.
    fn pod(uid: &str, mode: &str) -> Pods {
        let (namespace, name) = (Namespace::new("shop").unwrap(), Name::new("db-0").unwrap());
        let mut pod = Pod {
            uid: uid.into(),
            addresses: vec![[10, 1, 0, 7].into()],
            ..Pod::named(namespace.clone(), name.clone())
        };
        pod.locality.node = Some("n1".into());
        pod.meta.labels = [(MODE.into(), mode.into())].into();
        [((namespace, name), Arc::new(pod))].into()
    }

    /// Who carries the calls of the pod, and where.
    fn told(center: &Center) -> String {
        center.renew().unwrap();
        let mesh = &center.edition().mesh;
        let instance = mesh.instances.values().next().unwrap();
        let carried = match instance.workload.pod.is_some() {
            true => "by its node",
            false => "by nobody",
        };
        let tunnel = instance.tunnel.map(|tunnel| format!(" at {tunnel}"));
        format!("{carried}{}", tunnel.unwrap_or_default())
    }

    #[test]
    fn a_pod_goes_on_with_the_proxy_of_its_node_until_it_ends() {
        let folder = std::env::temp_dir().join(format!("leno-center-{}", std::process::id()));
        let center = open(&folder, true, pod("1", "node"));
        // Nobody serves it yet.
        center.take_pods(Arc::new(pod("1", "none"))).unwrap();
        assert_eq!(told(&center), "by nobody");
        center.take_pods(Arc::new(pod("1", "node"))).unwrap();
        assert_eq!(told(&center), "by its node");
        let id = center.edition().mesh.instances.keys().next().cloned();
        let report = |uid: &str| Report {
            tunnel: Some("0.0.0.0:15008".parse().unwrap()),
            pod: Some(OfPod {
                uid: uid.into(),
                is_served: true,
            }),
        };
        let served = "by its node at 10.1.0.7:15008";
        center
            .take_report(&[(id.clone().unwrap(), report("1"))].into())
            .unwrap();
        for mode in ["node", "sidecar", "none"] {
            center.take_pods(Arc::new(pod("1", mode))).unwrap();
            assert_eq!(told(&center), served, "{mode}");
        }
        drop(center);
        let center = open(&folder, true, pod("1", "sidecar"));
        assert_eq!(told(&center), served);
        drop(center);

        // It was made anew while nobody looked.
        let center = open(&folder, true, pod("2", "sidecar"));
        assert_eq!(told(&center), "by nobody");
        center.take_pods(Arc::new(pod("2", "node"))).unwrap();
        center
            .take_report(&[(id.unwrap(), report("2"))].into())
            .unwrap();
        assert_eq!(told(&center), served);
        drop(center);
        // Nodes have no proxies any more.
        let center = open(&folder, false, pod("2", "sidecar"));
        assert_eq!(told(&center), "by nobody");
        drop(center);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
