//! One state of the whole mesh, ready to be cut for each proxy: compiled once, each part encoded
//! once, shared by all who hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use leno_compile::{AddressOwner, Called, Mesh, ViewOf};
use leno_identity::BundleHash;
use leno_model::view::{
    Action, Backend, Generation, Routes, Service, ServicePort, View, Workload, WorkloadId,
};
use leno_model::{Namespace, Network, ServiceName, SpiffeId, Subscription, TrustDomain, Wall};
use leno_resources::Resources;
use leno_store::{Revision, VirtualAddress};
use leno_wire::part::parts_of;
use leno_wire::{Encoded, Part, PartName, Target};

use crate::jwks::Given;
use crate::meaning::Meaning;
use crate::tunnels::Reported;

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
    /// What every proxy gets.
    everywhere: Vec<(PartName, Encoded)>,
    workloads: BTreeMap<WorkloadId, (PartName, Encoded)>,
    services: BTreeMap<ServiceName, Cut>,
    /// Services without the consumer routes of others, by the callers' namespaces.
    narrowed: Mutex<BTreeMap<(ServiceName, Vec<Namespace>), Encoded>>,
}

/// A service and all that comes with it.
#[derive(Debug)]
struct Cut {
    service: Arc<Service>,
    name: PartName,
    whole: Encoded,
    /// The namespaces whose callers have routes of their own.
    consumers: BTreeSet<Namespace>,
    /// The services that its routes may lead to, as far as they exist.
    leads_to: BTreeSet<ServiceName>,
    endpoints: Vec<(PartName, Encoded)>,
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

    /// Puts together what the sources say, what is reported and kept, and who is trusted.
    pub(crate) fn new(
        revision: Revision,
        generation: Generation,
        meaning: Arc<Meaning>,
        reports: &Reports,
        trusted: Arc<Trusted>,
        made: Wall,
    ) -> Self {
        let mut mesh = meaning.mesh.clone();
        for (workload, tunnel) in &reports.proxies.tunnels {
            mesh.set_tunnel(workload, Some(*tunnel));
        }
        for workload in &reports.proxies.left {
            mesh.leave(workload);
        }
        mesh.give_keys(&reports.keys);
        let network = Network::default_network();
        for (service, address) in reports.addresses.iter() {
            mesh.give_address(service, &network, address.v4().into());
            mesh.give_address(service, &network, address.v6().into());
        }
        let mut edition = Self {
            revision,
            generation,
            meaning,
            trusted,
            made,
            everywhere: Vec::new(),
            workloads: BTreeMap::new(),
            services: mesh
                .services
                .iter()
                .map(|(name, service)| (name.clone(), Cut::of(service)))
                .collect(),
            narrowed: Mutex::default(),
            mesh,
        };
        let all = edition.mesh.instances.keys().cloned().collect();
        for part in parts_of(&edition.view(&all)) {
            edition.add(&part);
        }
        edition
    }

    /// The bundle of our own trust domain.
    pub(crate) fn bundle(&self) -> Option<BundleHash> {
        let domain = self.mesh.settings.trust_domain.clone();
        let name = Part::Bundle(domain, Arc::default()).name();
        let mut everywhere = self.everywhere.iter();
        let (_, bundle) = everywhere.find(|(other, _)| *other == name)?;
        Some(BundleHash(*bundle.version().bytes()))
    }

    fn add(&mut self, part: &Part) {
        let named = (part.name(), Encoded::new(part.encode()));
        match part {
            Part::Settings(_)
            | Part::Revoked(_)
            | Part::Bundle(..)
            | Part::PeerBundle(..)
            | Part::TokenKeys(..) => {
                self.everywhere.push(named);
            }
            Part::Workload(workload) => {
                self.workloads.insert(workload.id.clone(), named);
            }
            // Encoded when it was cut.
            Part::Service(_) => {}
            Part::Endpoints { port, .. } => {
                if let Some(cut) = self.services.get_mut(&port.service) {
                    cut.endpoints.push(named);
                }
            }
        }
    }

    /// Subscriptions to all that there is.
    pub(crate) fn every_service(&self) -> BTreeSet<Subscription> {
        let names = self.services.keys().cloned();
        names.map(Subscription::Service).collect()
    }

    /// What a proxy gets that stands in front of `workloads` and wants to know about
    /// `subscriptions`: the services that answer them, those that are asked about calls to its workloads,
    /// and all that their routes may lead to.
    pub(crate) fn target(
        &self,
        workloads: &BTreeSet<WorkloadId>,
        subscriptions: &BTreeSet<Subscription>,
    ) -> Target {
        let mut parts: BTreeMap<_, _> = self.everywhere.iter().cloned().collect();
        parts.extend(
            workloads
                .iter()
                .filter_map(|id| self.workloads.get(id).cloned()),
        );
        let callers: BTreeSet<_> = workloads.iter().map(|id| &id.namespace).collect();
        let mut answers = BTreeMap::new();
        let mut wanted = Vec::new();
        for subscription in subscriptions {
            let services = self.answering(subscription, &callers);
            answers.insert(subscription.clone(), !services.is_empty());
            wanted.extend(services);
        }
        let instances = workloads
            .iter()
            .filter_map(|id| self.mesh.instances.get(id));
        wanted.extend(instances.flat_map(|instance| authorizers(&instance.workload)));
        let mut cut = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            let Some(service) = self.services.get(&name) else {
                continue;
            };
            if !cut.insert(name) {
                continue;
            }
            parts.insert(service.name.clone(), self.as_seen_from(service, &callers));
            parts.extend(service.endpoints.iter().cloned());
            wanted.extend(service.leads_to.iter().cloned());
        }
        Target::of_parts(self.generation.clone(), parts, answers)
    }

    /// The services that answer a subscription of `callers`; none if it names nothing.
    fn answering(
        &self,
        subscription: &Subscription,
        callers: &BTreeSet<&Namespace>,
    ) -> Vec<ServiceName> {
        match subscription {
            Subscription::Service(name) => {
                let exists = self.services.contains_key(name);
                exists.then(|| name.clone()).into_iter().collect()
            }
            Subscription::Address(network, ip) => {
                let by = callers.iter().map(|caller| Some((*caller).clone()));
                let called = by.chain([None]).map(|by| Called {
                    network: network.clone(),
                    address: ip.to_canonical(),
                    by,
                });
                let owners = called.filter_map(|called| self.mesh.addresses.get(&called));
                owners.flat_map(|owner| self.reaching(owner)).collect()
            }
        }
    }

    /// The services by which calls to an address get to who has it.
    fn reaching(&self, owner: &AddressOwner) -> Vec<ServiceName> {
        match owner {
            AddressOwner::Service(name) => vec![name.clone()],
            AddressOwner::Instances(ids) => {
                let answered = |answers: &Vec<leno_compile::Answer>| {
                    answers.iter().any(|answer| ids.contains(&answer.instance))
                };
                let ports = self.mesh.answers.iter();
                let ports = ports.filter(|(_, answers)| answered(answers));
                ports.map(|(port, _)| port.service.clone()).collect()
            }
        }
    }

    /// The service with the consumer routes of `callers` and of nobody else.
    fn as_seen_from(&self, cut: &Cut, callers: &BTreeSet<&Namespace>) -> Encoded {
        if cut
            .consumers
            .iter()
            .all(|namespace| callers.contains(namespace))
        {
            return cut.whole.clone();
        }
        let seen = cut
            .consumers
            .iter()
            .filter(|namespace| callers.contains(namespace));
        let key = (cut.service.name.clone(), seen.cloned().collect::<Vec<_>>());
        let mut narrowed = self.narrowed.lock().unwrap_or_else(PoisonError::into_inner);
        let encode = || {
            let mut service = Service::clone(&cut.service);
            for port in service.ports.values_mut() {
                port.consumers
                    .retain(|namespace, _| callers.contains(namespace));
            }
            Encoded::new(Part::Service(Arc::new(service)).encode())
        };
        narrowed.entry(key).or_insert_with(encode).clone()
    }
}

impl Cut {
    fn of(service: &Arc<Service>) -> Self {
        let part = Part::Service(service.clone());
        let ports = || service.ports.values();
        Self {
            service: service.clone(),
            name: part.name(),
            whole: Encoded::new(part.encode()),
            consumers: ports()
                .flat_map(|port| port.consumers.keys().cloned())
                .collect(),
            leads_to: ports().flat_map(routes).flat_map(backends).collect(),
            endpoints: Vec::new(),
        }
    }
}

/// The services that are asked about calls to a workload.
fn authorizers(workload: &Workload) -> impl Iterator<Item = ServiceName> {
    let ports = workload.ports.values().map(|port| &port.access);
    let accesses = ports.chain([&workload.other_ports]);
    accesses.flat_map(|access| access.external.iter().map(|asked| asked.to.service.clone()))
}

fn routes(port: &ServicePort) -> impl Iterator<Item = &Arc<Routes>> {
    port.producer.iter().chain(port.consumers.values())
}

fn backends(routes: &Arc<Routes>) -> BTreeSet<ServiceName> {
    let mut names = BTreeSet::new();
    for rule in &routes.rules {
        let Action::Forward(split) = &rule.action else {
            continue;
        };
        let of_parts = split.parts().iter().flat_map(|part| &part.mirrors);
        let mirrors = rule.mirrors.iter().chain(of_parts);
        names.extend(mirrors.map(|mirror| mirror.to.service.clone()));
        for part in split.parts() {
            if let Backend::Service(port) = &part.backend {
                names.insert(port.service.clone());
            }
        }
    }
    names
}
