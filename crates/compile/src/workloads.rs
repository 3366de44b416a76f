//! What runs: the instances of each `MeshWorkload`.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::view::{Locality, Protocol, WorkloadId};
use leno_model::{Code, Name, Namespace, Network, Notes, SpiffeId, TrustDomain};
use leno_resources::mesh::{self, MeshWorkloadSpec, WorkloadProtocol};
use leno_resources::{Object, Resources};

use crate::finding::{self, Complete};
use crate::spoken;

/// A `MeshWorkload`, and all its instances.
pub(crate) struct Workload<'a> {
    pub(crate) object: &'a Object<MeshWorkloadSpec>,
    pub(crate) namespace: Namespace,
    pub(crate) identity: SpiffeId,
    /// The ports it declares.
    pub(crate) ports: BTreeMap<u16, Port>,
    pub(crate) locality: Locality,
    pub(crate) instances: Vec<Running>,
}

/// A port that a workload declares.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) name: Option<Arc<str>>,
    /// What somebody has said is spoken on it.
    pub(crate) spoken: Option<Protocol>,
}

/// One instance.
pub(crate) struct Running {
    pub(crate) id: WorkloadId,
    pub(crate) network: Network,
    /// Absent while it is not known where it runs.
    pub(crate) address: Option<IpAddr>,
}

impl Workload<'_> {
    /// The namespace and name of its `MeshWorkload`.
    pub(crate) fn name(&self) -> (Namespace, Name) {
        (self.namespace.clone(), self.object.meta.name.clone())
    }

    /// Whether it is started here, and its ports are those that it opens.
    pub(crate) fn is_unopened(&self) -> bool {
        let spec = self.object.spec.partly();
        self.ports.is_empty() && spec.is_some_and(|spec| spec.run.is_some())
    }

    /// The port with this name.
    pub(crate) fn port_named(&self, name: &str) -> Option<u16> {
        let named = |port: &Port| port.name.as_deref() == Some(name);
        self.ports
            .iter()
            .find(|(_, port)| named(port))
            .map(|(number, _)| *number)
    }
}

/// Reads all workloads, in order of namespace and name. Of two instances with one name the first stays.
pub(crate) fn workloads<'a>(
    resources: &'a Resources,
    trust_domain: &TrustDomain,
    notes: &mut Notes,
) -> Vec<Workload<'a>> {
    let mut owners = BTreeMap::new();
    let mut all = Vec::new();
    for object in resources.workloads.iter() {
        let mut workload = workload(object, trust_domain, notes);
        workload
            .instances
            .retain(|instance| match owners.entry(instance.id.clone()) {
                Entry::Vacant(free) => {
                    free.insert(object.reference().clone());
                    true
                }
                Entry::Occupied(owner) => {
                    let message = format!(
                        "{} already has an instance called {}",
                        owner.get(),
                        instance.id.name
                    );
                    notes.push(
                        finding::error(object, "/spec/instances", Code::C008, message)
                            .in_force("the second instance takes no calls"),
                    );
                    false
                }
            });
        all.push(workload);
    }
    all
}

/// What one object says.
fn workload<'a>(
    object: &'a Object<MeshWorkloadSpec>,
    trust_domain: &TrustDomain,
    notes: &mut Notes,
) -> Workload<'a> {
    let namespace = finding::namespace(object);
    let name = &object.meta.name;
    let spec = object.spec.partly();
    let account = spec
        .and_then(|spec| spec.service_account.as_ref())
        .unwrap_or(name);
    Workload {
        object,
        identity: SpiffeId {
            trust_domain: trust_domain.clone(),
            namespace: namespace.clone(),
            service_account: account.clone(),
        },
        ports: spec
            .map(|spec| ports(object, spec, notes))
            .unwrap_or_default(),
        locality: spec
            .and_then(|spec| spec.locality.as_ref())
            .map(locality)
            .unwrap_or_default(),
        instances: spec
            // Whom they act as would be a guess: nobody acts as the workload.
            .filter(|spec| {
                spec.service_account.is_some() || !object.is_written("/spec/serviceAccount")
            })
            .map(|spec| instances(&namespace, name, spec))
            .unwrap_or_default(),
        namespace,
    }
}

fn ports(
    object: &Object<MeshWorkloadSpec>,
    spec: &MeshWorkloadSpec,
    notes: &mut Notes,
) -> BTreeMap<u16, Port> {
    let mut ports = BTreeMap::new();
    for (index, port) in spec.ports.iter().enumerate() {
        let Some(port) = port.sound() else { continue };
        let Entry::Vacant(free) = ports.entry(port.port) else {
            let pointer = format!("/spec/ports/{index}/port");
            let message = format!("port {} stands twice", port.port);
            notes.push(
                finding::error(object, &pointer, Code::C007, message)
                    .in_force("the first of them, as written"),
            );
            continue;
        };
        let said = port.protocol.map(said);
        free.insert(Port {
            name: port.name.clone(),
            spoken: said.or_else(|| spoken::by_name(port.name.as_deref())),
        });
    }
    ports
}

/// What the word for a protocol means.
pub(crate) fn said(word: WorkloadProtocol) -> Protocol {
    match word {
        WorkloadProtocol::Http => Protocol::Http,
        WorkloadProtocol::Http1 => Protocol::Http1,
        WorkloadProtocol::Http2 => Protocol::Http2,
        WorkloadProtocol::Grpc => Protocol::Grpc,
        WorkloadProtocol::Tls => Protocol::Tls,
        WorkloadProtocol::Tcp => Protocol::Tcp,
    }
}

/// A workload that says nothing about where it runs has one instance, whose address is not known.
fn instances(namespace: &Namespace, name: &Name, spec: &MeshWorkloadSpec) -> Vec<Running> {
    let id = |name: Name| WorkloadId {
        namespace: namespace.clone(),
        name,
    };
    if spec.instances.is_empty() {
        let network = Network::new("default").expect("a constant that is a label");
        return [Running {
            id: id(name.clone()),
            network,
            address: None,
        }]
        .into();
    }
    let is_alone = spec.instances.len() == 1;
    let sound = spec
        .instances
        .iter()
        .filter_map(|instance| instance.sound());
    sound
        .map(|instance| Running {
            id: id(instance.name.clone().unwrap_or_else(|| {
                if is_alone {
                    name.clone()
                } else {
                    with_address(name, instance.address)
                }
            })),
            network: instance.network.clone(),
            address: Some(instance.address.to_canonical()),
        })
        .collect()
}

/// `cart-10-0-0-7`: a name that stays the same when other instances come and go.
fn with_address(name: &Name, address: IpAddr) -> Name {
    let parts = match address.to_canonical() {
        IpAddr::V4(address) => address.octets().map(|part| format!("{part}")).join("-"),
        IpAddr::V6(address) => address.segments().map(|part| format!("{part:x}")).join("-"),
    };
    let long: String = format!("{name}-{parts}");
    Name::new(&long).unwrap_or_else(|_| name.clone())
}

fn locality(written: &mesh::Locality) -> Locality {
    Locality {
        region: written.region.clone(),
        zone: written.zone.clone(),
        node: written.node.clone(),
    }
}
