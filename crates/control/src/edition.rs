//! One state of the whole mesh, ready to be cut for each proxy: compiled once, each part encoded
//! once and when somebody first wants it, shared by all who hold it, and with the states before that have the same.

mod cut;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use leno_compile::{Mesh, ViewOf};
use leno_identity::BundleHash;
use leno_model::view::{Generation, Settings, View, Workload, WorkloadId};
use leno_model::{Network, ServiceName, SpiffeId, Subscription, TrustDomain, Wall};
use leno_resources::Resources;
use leno_store::{Revision, VirtualAddress};
use leno_wire::part::parts_of;
use leno_wire::{Encoded, Part, PartName, Target};

use crate::jwks::Given;
use crate::meaning::Meaning;
use crate::tunnels::Reported;

use cut::Cut;
pub(crate) use wanted::Wanted;

/// Whom the mesh trusts, and whom not any more.
#[derive(PartialEq, Debug, Default)]
pub(crate) struct Trusted {
    /// The roots that prove identities, by trust domain.
    pub(crate) bundles: BTreeMap<TrustDomain, Arc<Vec<Vec<u8>>>>,
    /// The keys that prove JWT-SVIDs, by trust domain.
    pub(crate) token_keys: BTreeMap<TrustDomain, Arc<str>>,
    /// Identities that are refused although their certificates are valid.
    pub(crate) revoked: Arc<BTreeSet<SpiffeId>>,
}

impl Trusted {
    /// The same without those trust domains that `mesh` does not name.
    pub(crate) fn without_strangers(&self, mesh: &Mesh) -> Self {
        let own = &mesh.settings.trust_domain;
        let is_named = |domain: &TrustDomain| domain == own || mesh.peers.contains_key(domain);
        let bundles = self.bundles.iter().filter(|(domain, _)| is_named(domain));
        let keys = self.token_keys.iter().filter(|(it, _)| is_named(it));
        Self {
            bundles: bundles
                .map(|(it, roots)| (it.clone(), roots.clone()))
                .collect(),
            token_keys: keys.map(|(it, keys)| (it.clone(), keys.clone())).collect(),
            revoked: Arc::clone(&self.revoked),
        }
    }
}

/// The virtual addresses of services.
pub(crate) type Addresses = BTreeMap<ServiceName, VirtualAddress>;

/// What is kept beside what people write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reports {
    /// Where distant proxies take mesh calls, and which of them have left.
    pub(crate) proxies: Reported,
    pub(crate) addresses: Arc<Addresses>,
    /// The keys that prove tokens.
    pub(crate) keys: Arc<Given>,
}

/// One state of the whole mesh.
#[derive(Debug)]
pub struct Edition {
    pub(crate) revision: Revision,
    pub(crate) generation: Generation,
    pub(crate) meaning: Arc<Meaning>,
    /// The mesh, with what proxies report, and all services with an address.
    pub(crate) mesh: Mesh,
    /// The same value for as long as nobody is trusted otherwise.
    pub(crate) trusted: Arc<Trusted>,
    /// When it was made.
    pub(crate) made: Wall,
    /// What every proxy gets. The same value for as long as it is the same.
    everywhere: Arc<Vec<(PartName, Encoded)>>,
    /// What the proxies of nodes get in the place of some of it: settings with the namespaces that take part.
    of_nodes: (PartName, Encoded),
    /// The workloads that somebody wanted to be told of, as they were then.
    workloads: Arc<Mutex<EncodedWorkloads>>,
    /// The same value for as long as a service, and who answers for it, is the same.
    services: BTreeMap<ServiceName, Arc<Cut>>,
}

type EncodedWorkloads = BTreeMap<WorkloadId, (Arc<Workload>, (PartName, Encoded))>;

/// An edition, but for what is made of it for proxies.
pub(crate) struct State {
    pub(crate) revision: Revision,
    pub(crate) generation: Generation,
    pub(crate) meaning: Arc<Meaning>,
    pub(crate) trusted: Arc<Trusted>,
    pub(crate) made: Wall,
}

impl Edition {
    /// The newest revision in it; 0 if nothing was ever applied.
    pub fn revision(&self) -> u64 {
        self.revision.0
    }

    /// Where it stands in the order of all.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    /// What people wrote.
    pub fn written(&self) -> &Resources {
        &self.meaning.written.resources
    }

    /// What it means, with what runs.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Everything that a proxy may know that stands in front of `workloads`.
    pub fn view(&self, workloads: &BTreeSet<WorkloadId>) -> View {
        View {
            generation: self.generation.clone(),
            revoked: self.trusted.revoked.clone(),
            bundles: self.trusted.bundles.clone(),
            token_keys: self.trusted.token_keys.clone(),
            ..self.mesh.view(ViewOf { workloads })
        }
    }

    /// Puts together what the sources say, what is reported and kept, and who is trusted. What is the same as
    /// `before` is shared with it.
    pub(crate) fn new(state: State, reports: &Reports, before: Option<&Self>) -> Self {
        let State {
            revision,
            generation,
            meaning,
            trusted,
            made,
        } = state;
        let mut mesh = meaning.mesh.clone();
        tell_tunnels(&mut mesh, &meaning.mesh, &reports.proxies, before);
        mesh.leave(&reports.proxies.left().cloned().collect());
        mesh.give_keys(&reports.keys);
        let network = Network::default_network();
        for (service, address) in reports.addresses.iter() {
            mesh.give_address(service, &network, address.v4().into());
            mesh.give_address(service, &network, address.v6().into());
        }
        let mut changed = mesh.services.keys().cloned().collect();
        let mut services = BTreeMap::new();
        let mut workloads = Arc::default();
        if let Some(before) = before {
            changed = mesh.share(&before.mesh);
            services.clone_from(&before.services);
            workloads = Arc::clone(&before.workloads);
            forget_gone(&workloads, &mesh);
        }
        for name in changed {
            let known = services.remove(&name);
            if let Some(service) = mesh.services.get(&name) {
                services.insert(name, Arc::new(Cut::of(service, known.as_deref())));
            }
        }
        let settings = mesh.settings_of(mesh.instances.values());
        let of_nodes = mesh.settings_of_nodes(Arc::clone(&settings));
        let mut edition = Self {
            revision,
            generation,
            meaning,
            trusted,
            made,
            everywhere: Arc::default(),
            of_nodes: encoded(Part::Settings(of_nodes)),
            workloads,
            services,
            mesh,
        };
        let everywhere = edition.what_all_get(settings);
        edition.everywhere = match before {
            Some(before) if *before.everywhere == everywhere => Arc::clone(&before.everywhere),
            Some(_) | None => Arc::new(everywhere),
        };
        edition
    }

    /// What every proxy gets: all of a view but services and workloads.
    fn what_all_get(&self, settings: Arc<Settings>) -> Vec<(PartName, Encoded)> {
        let view = View {
            services: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            workloads: BTreeMap::new(),
            sidecars: BTreeMap::new(),
            generation: self.generation.clone(),
            settings,
            revoked: self.trusted.revoked.clone(),
            bundles: self.trusted.bundles.clone(),
            token_keys: self.trusted.token_keys.clone(),
        };
        let parts = parts_of(&view).into_iter();
        parts.map(encoded).collect()
    }

    /// The bundle of our own trust domain.
    pub(crate) fn bundle(&self) -> Option<BundleHash> {
        let domain = self.mesh.settings.trust_domain.clone();
        let name = Part::Bundle(domain, Arc::default()).name();
        let mut everywhere = self.everywhere.iter();
        let (_, bundle) = everywhere.find(|(other, _)| *other == name)?;
        Some(BundleHash(*bundle.version().bytes()))
    }

    /// A workload as its proxy is told of it.
    fn workload(&self, id: &WorkloadId) -> Option<(PartName, Encoded)> {
        let workload = &self.mesh.instances.get(id)?.workload;
        let mut known = self
            .workloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match known.get(id) {
            Some((known, part)) if Arc::ptr_eq(known, workload) || known == workload => {
                Some(part.clone())
            }
            Some(_) | None => {
                let part = encoded(Part::Workload(workload.clone()));
                known.insert(id.clone(), (workload.clone(), part.clone()));
                Some(part)
            }
        }
    }

    /// Subscriptions to all that there is.
    pub(crate) fn every_service(&self) -> BTreeSet<Subscription> {
        let names = self.services.keys().cloned();
        names.map(Subscription::Service).collect()
    }

    /// What a proxy gets that stands in front of `workloads`, serves `node` if that is one's, and wants to know about
    /// `subscriptions`: the services that answer them, those that are asked about calls to its workloads,
    /// and all that their routes may lead to.
    pub(crate) fn target(
        &self,
        workloads: &BTreeSet<WorkloadId>,
        node: Option<&str>,
        subscriptions: &BTreeSet<Subscription>,
    ) -> Target {
        Wanted::of(self, workloads, node, subscriptions).target(self)
    }
}

fn encoded(part: Part) -> (PartName, Encoded) {
    (part.name(), Encoded::new(part.encode()))
}

/// Notes where proxies take mesh calls, as it was noted `before` where nothing is another.
fn tell_tunnels(mesh: &mut Mesh, compiled: &Mesh, reported: &Reported, before: Option<&Edition>) {
    let instances = Arc::make_mut(&mut mesh.instances);
    for (id, tunnel) in reported.tunnels() {
        let known = before.and_then(|before| {
            let compiled_then = before.meaning.mesh.instances.get(id)?;
            let is_same = Arc::ptr_eq(compiled_then, compiled.instances.get(id)?);
            let known = before.mesh.instances.get(id).filter(|_| is_same)?;
            (known.tunnel == known.taken_at(*tunnel)).then_some(known)
        });
        match (known, instances.get_mut(id)) {
            (Some(known), Some(instance)) => *instance = Arc::clone(known),
            (None, Some(instance)) => {
                let tunnel = instance.taken_at(*tunnel);
                Arc::make_mut(instance).tunnel = tunnel;
            }
            (_, None) => {}
        }
    }
}

/// Lets go of what was told of workloads that are no more.
fn forget_gone(workloads: &Mutex<EncodedWorkloads>, mesh: &Mesh) {
    let mut workloads = workloads.lock().unwrap_or_else(PoisonError::into_inner);
    workloads.retain(|id, _| mesh.instances.contains_key(id));
}
