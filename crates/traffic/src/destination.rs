//! Where a captured connection wants to go: the address it was made to, as the view knows it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};

use leno_model::address::reach;
use leno_model::view::{
    Endpoint, EndpointSlice, PortRef, Protocol, Service, Unknown, View, Workload, WorkloadId,
};
use leno_model::{Namespace, Network, ServiceName, Subscription};

use crate::table::{Port, Table};

/// What an address and port mean.
#[derive(Clone, Debug)]
pub enum Destination<'t> {
    /// A port of a service: its routes decide.
    Service(&'t Port),
    /// One endpoint, named by its own address: the service's routes are not asked.
    Endpoint(Direct<'t>),
    /// A workload that this proxy stands in front of, and that no service sends to.
    Own(&'t Workload),
    /// A service, at a port that it does not have.
    NoSuchPort(&'t Service),
    /// Nothing in the mesh.
    Unknown(Unknown),
    /// Nothing that the view was asked to hold: ask for this, and look again.
    Needs(Subscription),
}

/// One endpoint, at a port of its own.
#[derive(Clone, Copy, Debug)]
pub struct Direct<'t> {
    /// A service port that it answers for: whose tuning holds.
    pub of: &'t Port,
    /// The endpoint.
    pub endpoint: &'t Endpoint,
    /// Where the call goes: the endpoint's address, perhaps at another port than the service uses.
    pub address: SocketAddr,
}

impl Direct<'_> {
    /// What is spoken there: known for the port that the service sends to, undeclared on any other.
    pub fn protocol(&self) -> Protocol {
        if self.address.port() == self.endpoint.address.port() {
            self.of.protocol()
        } else {
            Protocol::Detect
        }
    }
}

/// How much of the mesh a view holds. What lies outside is not absent, only not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All of it.
    Whole,
    /// The answers to these.
    Answered(Arc<BTreeSet<Subscription>>),
}

impl Scope {
    /// Whether the view would hold the answer, if there is one.
    pub fn holds(&self, question: &Subscription) -> bool {
        match self {
            Self::Whole => true,
            Self::Answered(answered) => answered.contains(question),
        }
    }
}

/// What each address of a view means to callers of one namespace, or to all. An address of a service means the
/// service, whoever else claims it; one of an endpoint means the endpoint, also if its workload is our own.
#[derive(Debug)]
pub(crate) struct Addresses(
    BTreeMap<Network, BTreeMap<IpAddr, BTreeMap<Option<Namespace>, Holders>>>,
);

/// Who has one address for the same callers.
#[derive(Debug, Default)]
struct Holders {
    service: Option<ServiceName>,
    endpoints: Vec<Place>,
    workload: Option<WorkloadId>,
}

impl Holders {
    fn destination<'t>(&'t self, table: &'t Table, address: SocketAddr) -> Option<Destination<'t>> {
        if let Some(name) = &self.service {
            let service = table.view().services.get(name)?;
            let port = PortRef {
                service: name.clone(),
                port: address.port(),
            };
            return Some(match table.port(&port) {
                Some(port) => Destination::Service(port),
                None => Destination::NoSuchPort(service),
            });
        }
        let at_port = |place: &&Place| place.endpoint().address.port() == address.port();
        let found = self.endpoints.iter().find(at_port);
        if let Some(place) = found.or_else(|| self.only()) {
            return Some(Destination::Endpoint(Direct {
                of: table.port_at(place.port),
                endpoint: place.endpoint(),
                address,
            }));
        }
        let workload = table.view().workloads.get(self.workload.as_ref()?)?;
        Some(Destination::Own(workload))
    }

    /// An endpoint of the workload that has the address. Where several have it, a port that none of
    /// them declares is that of this proxy's own, if it is one of them, and nobody's else.
    fn only(&self) -> Option<&Place> {
        let mut endpoints = self.endpoints.iter();
        let first = self.endpoints.first()?;
        let owner = self.workload.as_ref().unwrap_or(&first.endpoint().workload);
        let is_its = |place: &&Place| place.endpoint().workload == *owner;
        match self.workload {
            Some(_) => endpoints.find(is_its),
            None => endpoints.all(|place| is_its(&place)).then_some(first),
        }
    }
}

/// One endpoint of a port.
#[derive(Debug)]
struct Place {
    port: u32,
    slice: Arc<EndpointSlice>,
    index: usize,
}

impl Place {
    fn endpoint(&self) -> &Endpoint {
        &self.slice.endpoints()[self.index]
    }
}

impl Addresses {
    pub(crate) fn of(view: &View, ports: &[Port]) -> Self {
        let mut addresses = Self(BTreeMap::new());
        for (name, service) in &view.services {
            for (network, ip) in &service.addresses {
                let holders = addresses.holders(network, *ip, &name.namespace);
                holders.service.get_or_insert_with(|| name.clone());
            }
        }
        for port in ports {
            for slice in port.slices() {
                for (index, endpoint) in slice.endpoints().iter().enumerate() {
                    let (ip, owner) = (endpoint.address.ip(), &endpoint.workload.namespace);
                    let holders = addresses.holders(&endpoint.network, ip, owner);
                    holders.endpoints.push(Place {
                        port: port.place(),
                        slice: slice.clone(),
                        index,
                    });
                }
            }
        }
        for (id, workload) in &view.workloads {
            for ip in &workload.addresses {
                let holders = addresses.holders(&workload.network, *ip, &id.namespace);
                holders.workload.get_or_insert_with(|| id.clone());
            }
        }
        addresses
    }

    /// What `address` means to callers of `namespace`, if anything that `table` holds.
    pub(crate) fn find<'t>(
        &'t self,
        table: &'t Table,
        namespace: &Namespace,
        network: &Network,
        address: SocketAddr,
    ) -> Option<Destination<'t>> {
        let here = self.0.get(network)?.get(&address.ip().to_canonical())?;
        let theirs = here.get(&Some(namespace.clone()));
        let mut meant = theirs.into_iter().chain(here.get(&None));
        meant.find_map(|holders| holders.destination(table, address))
    }

    /// The own workload that has an address.
    pub(crate) fn workload(&self, network: &Network, ip: IpAddr) -> Option<&WorkloadId> {
        let here = self.0.get(network)?.get(&ip.to_canonical())?;
        here.values().find_map(|holders| holders.workload.as_ref())
    }

    fn holders(&mut self, network: &Network, ip: IpAddr, owner: &Namespace) -> &mut Holders {
        let of_network = self.0.entry(network.clone()).or_default();
        let here = of_network.entry(ip.to_canonical()).or_default();
        here.entry(reach(owner, ip).cloned()).or_default()
    }
}
