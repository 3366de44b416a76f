//! What a set of resources means: the whole mesh as one value. Only the control plane and the
//! offline commands hold it; a proxy gets its own [`View`](leno_model::view::View) of it.

mod find;
mod keys;
mod known;
mod share;
mod view;

use alloc::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use leno_model::address::reach;
use leno_model::view::{
    AddressBlock, Locality, Pod, PortRef, Service, Settings, State, Workload, WorkloadId,
};
use leno_model::{Name, Namespace, Network, Origin, ServiceName, SpiffeId, TrustDomain, Warrant};

use crate::attested::{TokenIssuer, TokenMatch};
use crate::ca::Ca;
use crate::peers::Peer;

pub use find::{Destination, NotFound};
pub use known::Known;
pub use view::ViewOf;

/// How long certificates live, each renewed or replaced at half of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// That of a workload.
    pub leaf: Duration,
    /// That of a control plane that signs those of workloads.
    pub intermediate: Duration,
    /// That of a root.
    pub root: Duration,
}

/// Who may do what with the mesh from another host. Whoever is not in it may do nothing.
pub type Administration = BTreeMap<SpiffeId, Warrant>;

/// Pods that have proxies of their own, by the name of the node that they run on.
pub type Sidecars = BTreeMap<Arc<str>, Arc<BTreeMap<WorkloadId, Arc<Pod>>>>;

/// Everything that was written, with its meaning: routes in order of precedence inside their
/// services, access gathered inside the ports of their workloads, defaults filled in. A clone
/// shares it until one of the two changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mesh {
    /// What the `Mesh` object says to every proxy.
    pub settings: Arc<Settings>,
    /// How long certificates live.
    pub lifetimes: Lifetimes,
    /// Those whose tokens prove who a proxy is that joins, as workloads call them.
    pub token_issuers: BTreeMap<Name, TokenIssuer>,
    /// Who may do what with it from another host; no proxy is told.
    pub administration: Arc<Administration>,
    /// Who signs what signs them.
    pub ca: Ca,
    /// The other trust domains whose identities are believed. What proves them, whoever looks for it adds.
    pub peers: BTreeMap<TrustDomain, Peer>,
    /// All services, also those that a workload implies.
    pub services: Arc<BTreeMap<ServiceName, Arc<Service>>>,
    /// All that runs, one entry for each instance.
    pub instances: Arc<BTreeMap<WorkloadId, Arc<Instance>>>,
    /// Those of them whose calls the proxy of their node carries, by the name of the node.
    pub nodes: Arc<BTreeMap<Arc<str>, BTreeSet<WorkloadId>>>,
    /// The pods that have proxies of their own, and whose capture the proxy of their node keeps, by the name of the node.
    pub sidecars: Arc<Sidecars>,
    /// The namespaces that take part, by their label or by a pod of theirs.
    pub taking_part: Arc<BTreeSet<Namespace>>,
    /// Who answers for each service port. A port without an entry has nobody.
    pub answers: Arc<BTreeMap<PortRef, Vec<Answer>>>,
    /// What an address means.
    pub addresses: Arc<BTreeMap<Called, AddressOwner>>,
    /// The services that want an address of their own and say none: [`Mesh::give_address`].
    pub unaddressed: BTreeSet<ServiceName>,
    /// The identities of which a `NetworkPolicy` lets in, or out, some and not others, so that where those are stands in
    /// [`Isolation`](leno_model::view::Isolation).
    pub by_address: Arc<BTreeSet<SpiffeId>>,
    /// The addresses to which a `NetworkPolicy` lets callers out, so that
    /// [`Isolation`](leno_model::view::Isolation) may be another for each instance of a workload.
    pub by_block: Arc<Vec<AddressBlock>>,
    /// Whom nobody believes any more. No resource says so: whoever knows it sets it.
    pub revoked: Arc<BTreeSet<SpiffeId>>,
}

/// One instance of a `MeshWorkload`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// What its proxy knows about it.
    pub workload: Arc<Workload>,
    /// The workload it is an instance of, as policies mean it in its namespace.
    pub of: Name,
    /// The `MeshWorkload` or the pod that says so.
    pub origin: Origin,
    /// Where it runs.
    pub locality: Locality,
    /// Where its proxy takes mesh calls; only that proxy's own report sets it.
    pub tunnel: Option<SocketAddr>,
    /// The tokens whose bearers may join as it.
    pub tokens: Arc<[TokenMatch]>,
    /// Whether a proxy may stand in front of it: not where nothing is known but an address.
    pub takes_proxy: bool,
}

impl Instance {
    /// Where its mesh calls are taken that are said to be at `tunnel`: an address that is none in particular stands for
    /// its own, as the proxy of a node says it of pods. `None` while it has none.
    pub fn taken_at(&self, tunnel: SocketAddr) -> Option<SocketAddr> {
        if !tunnel.ip().is_unspecified() {
            return Some(tunnel);
        }
        let own = self.workload.addresses.first();
        own.map(|own| SocketAddr::new(*own, tunnel.port()))
    }
}

/// One that answers for a service port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Answer {
    /// Which instance.
    pub instance: WorkloadId,
    /// The port it listens on.
    pub port: u16,
    /// Whether it wants calls.
    pub state: State,
}

/// An address as callers mean it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Called {
    /// The address; one of IPv4 as such.
    pub address: IpAddr,
    /// The network it is called in.
    pub network: Network,
    /// The namespace whose callers mean this by it; `None` stands for all to whom it is nothing else.
    pub by: Option<Namespace>,
}

impl Called {
    /// An address as those mean it whose calls go to what `owner` declares there.
    pub fn of(owner: &Namespace, network: &Network, address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            network: network.clone(),
            address,
            by: reach(owner, address).cloned(),
        }
    }
}

/// Who has an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AddressOwner {
    /// A service: calls to the address meet its routes.
    Service(ServiceName),
    /// The instances on that address, which differ in their ports.
    Instances(Arc<[WorkloadId]>),
}

impl AddressOwner {
    /// Adds an instance, unless the address is a service's.
    pub(crate) fn add(&mut self, id: &WorkloadId) {
        if let Self::Instances(ids) = self {
            *ids = ids.iter().chain([id]).cloned().collect();
        }
    }

    /// Adds an instance to who has an address, unless a service has it.
    pub(crate) fn give<'a>(owner: Entry<'a, Called, Self>, id: &WorkloadId) -> &'a mut Self {
        match owner {
            Entry::Vacant(free) => free.insert(Self::Instances([id.clone()].into())),
            Entry::Occupied(taken) => {
                let owner = taken.into_mut();
                owner.add(id);
                owner
            }
        }
    }
}

impl Mesh {
    /// Notes where the proxy of `instance` takes mesh calls ([`Instance::taken_at`]), or that it no longer does. Nothing
    /// happens if there is no such instance.
    pub fn set_tunnel(&mut self, instance: &WorkloadId, tunnel: Option<SocketAddr>) {
        if let Some(instance) = Arc::make_mut(&mut self.instances).get_mut(instance) {
            let tunnel = tunnel.and_then(|tunnel| instance.taken_at(tunnel));
            Arc::make_mut(instance).tunnel = tunnel;
        }
    }

    /// Notes that `instances` have left: they answer for nothing, and nobody calls them.
    pub fn leave(&mut self, instances: &BTreeSet<WorkloadId>) {
        if instances.is_empty() {
            return;
        }
        for answers in Arc::make_mut(&mut self.answers).values_mut() {
            answers.retain(|answer| !instances.contains(&answer.instance));
        }
    }

    /// Gives a service an address by which it is called, unless that is somebody else's. Nothing
    /// happens if there is no such service.
    pub fn give_address(&mut self, service: &ServiceName, network: &Network, address: IpAddr) {
        let Some(named) = Arc::make_mut(&mut self.services).get_mut(service) else {
            return;
        };
        let called = Called::of(&service.namespace, network, address);
        if let Entry::Vacant(free) = Arc::make_mut(&mut self.addresses).entry(called) {
            free.insert(AddressOwner::Service(service.clone()));
            let named = Arc::make_mut(named);
            named.addresses.push((network.clone(), address));
        }
    }

    /// Lets `caller`, at `address`, act as the instances of the workload called `of` in its
    /// namespace do, without answering for anything. Nothing happens if there is none of these.
    pub fn add_caller(&mut self, caller: &WorkloadId, of: &Name, address: IpAddr) {
        let is_like = |instance: &&Arc<Instance>| {
            instance.of == *of && instance.workload.id.namespace == caller.namespace
        };
        let Some(like) = self.instances.values().find(is_like) else {
            return;
        };
        let mut instance = Instance::clone(like);
        instance.tunnel = None;
        let workload = Arc::make_mut(&mut instance.workload);
        workload.id = caller.clone();
        workload.addresses = [address].into();
        let instances = Arc::make_mut(&mut self.instances);
        instances.insert(caller.clone(), Arc::new(instance));
    }

    /// The instances that answer for a service port, with the port each listens on. They need not
    /// have an address: what `leno up` has not started yet has none.
    pub fn answering<'a>(
        &'a self,
        port: &PortRef,
    ) -> impl Iterator<Item = (&'a Arc<Instance>, u16)> + use<'a> {
        let answered = self.answered(port);
        answered.map(|(instance, answer)| (instance, answer.port))
    }

    /// The same, with whether each wants calls.
    pub fn answered<'a>(
        &'a self,
        port: &PortRef,
    ) -> impl Iterator<Item = (&'a Arc<Instance>, &'a Answer)> + use<'a> {
        let answers = self.answers.get(port).into_iter().flatten();
        answers.filter_map(|answer| Some((self.instances.get(&answer.instance)?, answer)))
    }
}
