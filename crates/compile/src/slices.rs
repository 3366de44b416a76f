//! Who is behind Services that select nobody: the endpoints of their `EndpointSlice`s. One at the address of a
//! workload is that workload; of the others nothing is known but where they are, and no proxy stands before
//! them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::view::{Locality, PortRef, Protocol, State, WorkloadId};
use leno_model::{Code, Name, Network, Notes, ServiceName, SpiffeId, TrustDomain};
use leno_resources::endpoint_slice::{AddressType, EndpointSliceBody, SliceEndpoint, SlicePort};
use leno_resources::service::{ServiceSpec, ServiceType, TransportProtocol};
use leno_resources::{Object, Resources};

use crate::finding::{self, Complete};
use crate::mesh::Answer;
use crate::services::{Port, Service};
use crate::spoken;
use crate::workloads::{self, Running, Workload};

/// The label by which a slice says whose it is.
const SERVICE: &str = "kubernetes.io/service-name";
/// The label by which a slice says who keeps it, and who does so for Services that select.
const KEEPER: &str = "endpointslice.kubernetes.io/managed-by";
const KEEPER_OF_SELECTED: &str = "endpointslice-controller.k8s.io";

/// What slices say.
#[derive(Default)]
pub(crate) struct Slices<'a> {
    /// Those endpoints that are no workload's, one workload for each Service.
    pub(crate) workloads: Vec<Workload<'a>>,
    behind: BTreeMap<ServiceName, BTreeSet<Behind>>,
}

/// One endpoint at one port.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Behind {
    /// The name of the Service's port; empty for the one without.
    port_name: Arc<str>,
    answer: Answer,
}

impl<'a> Slices<'a> {
    /// Reads those of all Services that select nobody.
    pub(crate) fn read(
        resources: &'a Resources,
        workloads: &[Workload<'_>],
        trust_domain: &TrustDomain,
        notes: &mut Notes,
    ) -> Self {
        let known = Known::of(resources, workloads);
        let mut slices = Self::default();
        let mut strangers = BTreeMap::new();
        for object in resources.endpoint_slices.iter() {
            let Some((service, body)) = service(object, resources, notes) else {
                continue;
            };
            let ports = ports(body);
            let stranger = strangers.entry(service.clone());
            let stranger: &mut Workload<'_> =
                stranger.or_insert_with(|| of_strangers(object, &service, trust_domain));
            for (number, name, spoken) in &ports {
                let name = (!name.is_empty()).then(|| name.clone());
                let port = workloads::Port {
                    names: name.into_iter().collect(),
                    spoken: *spoken,
                };
                stranger.ports.entry(*number).or_insert(port);
            }
            let behind = slices.behind.entry(service).or_default();
            for (index, endpoint) in body.endpoints.iter().enumerate() {
                // What newer clusters say beside it takes nobody away.
                let Some(endpoint) = endpoint.partly() else {
                    continue;
                };
                let instance = match placed(endpoint, stranger, &known) {
                    Ok(instance) => instance,
                    Err(not) => {
                        notes.extend(not.note(object, index));
                        continue;
                    }
                };
                behind.extend(ports.iter().map(|(port, name, _)| Behind {
                    port_name: name.clone(),
                    answer: Answer {
                        instance: instance.clone(),
                        port: *port,
                        state: State::Ready,
                    },
                }));
            }
        }
        let strangers = strangers.into_values();
        slices.workloads = strangers.filter(|it| !it.instances.is_empty()).collect();
        slices
    }

    /// Who answers for each port of a service.
    pub(crate) fn answers(&self, service: &Service<'_>) -> BTreeMap<PortRef, Vec<Answer>> {
        let Some(behind) = self.behind.get(&service.name) else {
            return BTreeMap::new();
        };
        let answers = |port: &Port| {
            let name = port.name.as_deref().unwrap_or_default();
            let behind = behind.iter().filter(|it| &*it.port_name == name);
            behind.map(|it| it.answer.clone()).collect::<Vec<_>>()
        };
        let ports = service.ports.iter().map(|(number, port)| {
            let reference = PortRef {
                service: service.name.clone(),
                port: *number,
            };
            (reference, answers(port))
        });
        ports.filter(|(_, answers)| !answers.is_empty()).collect()
    }
}

/// The Service that a slice is of, if its endpoints are behind it.
fn service<'a>(
    object: &'a Object<EndpointSliceBody>,
    resources: &Resources,
    notes: &mut Notes,
) -> Option<(ServiceName, &'a EndpointSliceBody)> {
    let namespace = finding::namespace(object);
    let mut unused = |pointer: &str, message: String| {
        let note = finding::information(object, pointer, Code::C193, message);
        notes.push(note.in_force("nobody is called by it"));
    };
    let name = object.meta.labels.get(SERVICE);
    let Some(name) = name.and_then(|name| Name::new(name).ok()) else {
        let message = format!("it does not say whose it is, by the label {SERVICE}");
        unused("/metadata/labels", message);
        return None;
    };
    let found: Option<&Object<ServiceSpec>> = resources.services.get(Some(&namespace), &name);
    let Some(found) = found else {
        unused(
            "/metadata/labels",
            format!("no Service {name} in {namespace}"),
        );
        return None;
    };
    let spec = found.spec.partly()?;
    if spec.type_ == ServiceType::ExternalName {
        let message = format!("Service {name} is another name for a host outside");
        unused("/metadata/labels", message);
        return None;
    }
    if !spec.selector.is_empty() || found.is_written("/spec/selector") {
        let keeper = object.meta.labels.get(KEEPER).map(AsRef::as_ref);
        if keeper != Some(KEEPER_OF_SELECTED) {
            let message = format!("Service {name} selects its workloads by their labels");
            unused("/endpoints", message);
        }
        return None;
    }
    let body = object.spec.partly()?;
    if body.address_type == AddressType::Fqdn {
        unused("/addressType", "nobody takes calls by a name".to_string());
        return None;
    }
    Some((ServiceName::new(namespace, name), body))
}

/// Its ports over TCP: number, name, and what is spoken there.
fn ports(body: &EndpointSliceBody) -> Vec<(u16, Arc<str>, Option<Protocol>)> {
    let read_so_far = body.ports.iter().filter_map(|port| port.partly());
    let tcp = read_so_far.filter(|port| port.protocol == TransportProtocol::Tcp);
    let read = |port: &SlicePort| {
        let name = port.name.clone().unwrap_or_default();
        let said = port.app_protocol.as_deref();
        let said = said.and_then(|said| spoken::by_app_protocol(said).ok());
        let spoken = said.or_else(|| spoken::by_name(Some(&name)));
        Some((port.port?, name, spoken))
    };
    tcp.filter_map(read).collect()
}

/// The workload that endpoints are which are no workload's. Nobody acts as it.
fn of_strangers<'a>(
    object: &'a Object<EndpointSliceBody>,
    service: &ServiceName,
    trust_domain: &TrustDomain,
) -> Workload<'a> {
    Workload {
        outline: object.into(),
        namespace: service.namespace.clone(),
        name: service.name.clone(),
        identity: SpiffeId {
            trust_domain: trust_domain.clone(),
            namespace: service.namespace.clone(),
            service_account: service.name.clone(),
        },
        ports: BTreeMap::new(),
        instances: Vec::new(),
        processes: Arc::default(),
        tokens: Arc::default(),
        is_run_here: false,
        implies_service: false,
        takes_proxy: false,
    }
}

/// Who is known at an address.
struct Known<'a> {
    at: Vec<(IpAddr, &'a WorkloadId)>,
    all: Vec<&'a WorkloadId>,
    /// Those of nodes, which pods may share with each other and with what is no pod.
    hosts: BTreeSet<IpAddr>,
}

impl<'a> Known<'a> {
    fn of(resources: &Resources, workloads: &'a [Workload<'_>]) -> Self {
        let mut known = Self {
            at: Vec::new(),
            all: Vec::new(),
            hosts: BTreeSet::new(),
        };
        let pods = resources.pods.values();
        known.hosts.extend(pods.flat_map(|pod| &pod.hosts).copied());
        let default = Network::default_network();
        for running in workloads.iter().flat_map(|workload| &workload.instances) {
            known.all.push(&running.id);
            if running.network == default {
                let addresses = running.addresses.iter();
                known
                    .at
                    .extend(addresses.map(|address| (*address, &running.id)));
            }
        }
        // In their order, most of them are already.
        known.all.sort();
        known.at.sort_by_key(|(address, _)| *address);
        known
    }

    /// Those at an address, in the order of workloads.
    fn at(&self, address: IpAddr) -> impl Iterator<Item = &'a WorkloadId> + Clone {
        let begin = self.at.partition_point(|(at, _)| *at < address);
        let from = self.at.get(begin..).unwrap_or_default().iter();
        let here = from.take_while(move |(at, _)| *at == address);
        here.map(|(_, id)| *id)
    }
}

/// Why nobody is called at an endpoint.
enum Not {
    /// It has no address that could be read, which was told.
    Placed,
    Address(String),
    OfOthers(IpAddr, WorkloadId),
    Taken(WorkloadId),
}

impl Not {
    fn note(self, object: &Object<EndpointSliceBody>, index: usize) -> Notes {
        let (code, message) = match self {
            Self::Placed => return Notes::default(),
            Self::Address(address) => {
                let message = format!("{address} is no address at which somebody else takes calls");
                (Code::C194, message)
            }
            Self::OfOthers(address, whose) => {
                (Code::C192, format!("{address} is the address of {whose}"))
            }
            Self::Taken(id) => (Code::C008, format!("{id} is called so already")),
        };
        let mut notes = Notes::default();
        let note = finding::error(object, &format!("/endpoints/{index}"), code, message);
        notes.push(note.in_force("no call to the Service goes there"));
        notes
    }
}

/// Who an endpoint is. One that nobody knows is from here on an instance of `stranger`.
fn placed(
    endpoint: &SliceEndpoint,
    stranger: &mut Workload<'_>,
    known: &Known<'_>,
) -> Result<WorkloadId, Not> {
    let written = endpoint
        .addresses
        .iter()
        .find_map(|address| address.sound());
    let written: &str = written.ok_or(Not::Placed)?;
    let address = written
        .parse::<IpAddr>()
        .map(|address| address.to_canonical());
    let address = address.ok().filter(|address| is_somewhere(*address));
    let address = address.ok_or_else(|| Not::Address(written.to_string()))?;
    if !known.hosts.contains(&address) {
        let mut here = known.at(address);
        let own = here.clone().find(|id| id.namespace == stranger.namespace);
        match (own, here.next()) {
            (Some(own), _) => return Ok(own.clone()),
            (None, Some(other)) => return Err(Not::OfOthers(address, other.clone())),
            (None, None) => {}
        }
    }
    let id = WorkloadId {
        namespace: stranger.namespace.clone(),
        name: named(&stranger.name, address).ok_or_else(|| Not::Address(written.to_string()))?,
    };
    if known.all.binary_search(&&id).is_ok() {
        return Err(Not::Taken(id));
    }
    let state = endpoint.state();
    let mut instances = stranger.instances.iter_mut();
    match instances.find(|running| running.id == id) {
        Some(running) => running.state = better(running.state, state),
        None => stranger.instances.push(Running {
            id: id.clone(),
            network: Network::default_network(),
            addresses: [address].into(),
            tunnel: None,
            locality: Locality {
                zone: endpoint.zone.clone(),
                node: endpoint.node_name.clone(),
                ..Locality::default()
            },
            state,
            probes: Arc::default(),
            pod: None,
        }),
    }
    Ok(id)
}

/// What several slices say of one endpoint.
fn better(one: Option<State>, other: Option<State>) -> Option<State> {
    one.into_iter().chain(other).min()
}

/// Whether an address is the same place for all who call it. At these a proxy would speak to its own host, or to
/// what clouds tell machines.
fn is_somewhere(address: IpAddr) -> bool {
    let is_of_link = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(is_of_link || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

/// `kubernetes-10-0-0-1`
fn named(service: &Name, address: IpAddr) -> Option<Name> {
    let parts: Vec<String> = match address {
        IpAddr::V4(address) => address.octets().iter().map(ToString::to_string).collect(),
        IpAddr::V6(address) => address.segments().map(|it| format!("{it:x}")).into(),
    };
    Name::new(&format!("{service}-{}", parts.join("-"))).ok()
}
