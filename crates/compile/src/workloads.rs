//! What runs: the instances of each `MeshWorkload`.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};

use leno_model::role::PEOPLE;
use leno_model::view::{self, Locality, Probe, Protocol, State, WorkloadId};
use leno_model::{
    Code, Name, Namespace, Network, Notes, ProcessMatch, SpiffeId, TrustDomain, near,
};
use leno_resources::mesh::{self, MeshWorkloadSpec, WorkloadProtocol};
use leno_resources::policy::Identity;
use leno_resources::{List, Object, Outline, Part, Resources};

use crate::attested::{self, TokenMatch};
use crate::everywhere::Everywhere;
use crate::finding::{self, Complete};
use crate::peers::Peer;
use crate::pods;
use crate::spoken;

/// What runs somewhere under one name, and all its instances: a `MeshWorkload`, or pods.
pub(crate) struct Workload<'a> {
    /// The object that findings about it are told of.
    pub(crate) outline: Outline<'a>,
    pub(crate) namespace: Namespace,
    /// Its name, as policies mean it.
    pub(crate) name: Name,
    pub(crate) identity: SpiffeId,
    /// The ports it declares.
    pub(crate) ports: BTreeMap<u16, Port>,
    pub(crate) instances: Vec<Running>,
    /// The processes that may act as it.
    pub(crate) processes: Arc<[ProcessMatch]>,
    /// The tokens whose bearers may join as it.
    pub(crate) tokens: Arc<[TokenMatch]>,
    /// Whether `leno up` starts it.
    pub(crate) is_run_here: bool,
    /// Whether it is called by its name where no `Service` of that name is written.
    pub(crate) implies_service: bool,
    /// Whether a proxy may stand in front of it.
    pub(crate) takes_proxy: bool,
}

/// A port that a workload declares.
#[derive(Clone)]
pub(crate) struct Port {
    /// More than one, where several containers declare it, each by a name of its own.
    pub(crate) names: Vec<Arc<str>>,
    /// What somebody has said is spoken on it.
    pub(crate) spoken: Option<Protocol>,
}

/// One instance.
pub(crate) struct Running {
    pub(crate) id: WorkloadId,
    pub(crate) network: Network,
    /// None while it is not known where it runs.
    pub(crate) addresses: Vec<IpAddr>,
    /// Where its proxy takes mesh calls, as it was written: in another mesh.
    pub(crate) tunnel: Option<SocketAddr>,
    pub(crate) locality: Locality,
    /// Health checks that its node makes.
    pub(crate) probes: Arc<[Probe]>,
    /// The pod that it is, if the proxy of its node is to carry its calls.
    pub(crate) pod: Option<Arc<view::Pod>>,
    /// Whether it takes calls that come to a Service; `None`: it does not.
    pub(crate) state: Option<State>,
}

impl Workload<'_> {
    /// Its namespace and name, as policies mean it. Several have one name while pods of an older
    /// template are replaced.
    pub(crate) fn name(&self) -> (Namespace, Name) {
        (self.namespace.clone(), self.name.clone())
    }

    /// Whether it is started here, and its ports are those that it opens.
    pub(crate) fn is_unopened(&self) -> bool {
        self.ports.is_empty() && self.is_run_here
    }

    /// The port with this name.
    pub(crate) fn port_named(&self, name: &str) -> Option<u16> {
        let named = |port: &Port| port.names.iter().any(|it| **it == *name);
        self.ports
            .iter()
            .find(|(_, port)| named(port))
            .map(|(number, _)| *number)
    }
}

/// Reads all workloads, in order of namespace and name, pods last. Of two instances with one name the
/// first stays.
pub(crate) fn workloads<'a>(
    resources: &'a Resources,
    everywhere: &Everywhere,
    peers: &BTreeMap<TrustDomain, Peer>,
    notes: &mut Notes,
) -> Vec<Workload<'a>> {
    let mut owners = BTreeMap::new();
    let mut all = Vec::new();
    let written = resources.workloads.iter();
    let written = written.map(|object| workload(object, everywhere, notes));
    let mut found = written.collect::<Vec<_>>();
    let trust_domain = &everywhere.settings.trust_domain;
    found.extend(pods::workloads(resources, trust_domain));
    for mut workload in found {
        let object = workload.outline;
        let domain = &workload.identity.trust_domain;
        if *domain != everywhere.settings.trust_domain && !peers.contains_key(domain) {
            let message = format!("no MeshPeer lets identities of {domain} be believed");
            let known = peers.keys().map(TrustDomain::as_str);
            notes.push(
                finding::error(object, "/spec/identity", Code::C180, message)
                    .suggest(near::did_you_mean(domain.as_str(), known))
                    .in_force("nobody calls this workload"),
            );
            workload.instances.clear();
        }
        if workload.identity.is_person() {
            let message = format!("nothing runs in {PEOPLE}: its identities are those of people");
            notes.push(
                finding::error(object, "/metadata/namespace", Code::C160, message)
                    .in_force("nobody runs as this workload, and nobody calls it"),
            );
            workload.instances.clear();
        }
        // A control plane that runs in the cluster is one of its pods; nothing calls it by the mesh.
        if workload.identity.is_control_plane() && object.span("").is_none() {
            continue;
        }
        if workload.identity.is_control_plane() {
            let message = "only the control plane itself acts as the control plane".into();
            notes.push(
                finding::error(object, "/spec/serviceAccount", Code::C171, message)
                    .in_force("nobody runs as this workload, and nobody calls it"),
            );
            workload.instances.clear();
        }
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
    everywhere: &Everywhere,
    notes: &mut Notes,
) -> Workload<'a> {
    let namespace = finding::namespace(object);
    let name = &object.meta.name;
    let spec = object.spec.partly();
    let account = spec
        .and_then(|spec| spec.service_account.as_ref())
        .unwrap_or(name);
    let elsewhere = spec.and_then(|spec| match &spec.identity {
        Some(Identity::Spiffe(id)) => Some(id.clone()),
        Some(Identity::Short(..)) | None => None,
    });
    // Nobody of this mesh acts as it, whatever is said of processes and tokens.
    let here = spec.filter(|_| elsewhere.is_none());
    let is_whole = |field: &str, is_read: bool| is_read || !object.is_written(field);
    Workload {
        outline: object.into(),
        name: name.clone(),
        is_run_here: spec.is_some_and(|spec| spec.run.is_some()),
        implies_service: true,
        takes_proxy: true,
        identity: elsewhere.unwrap_or_else(|| SpiffeId {
            trust_domain: everywhere.settings.trust_domain.clone(),
            namespace: namespace.clone(),
            service_account: account.clone(),
        }),
        ports: spec
            .map(|spec| ports(object, spec, notes))
            .unwrap_or_default(),
        instances: spec
            // Whom they act as would be a guess: nobody acts as the workload.
            .filter(|spec| {
                let is_spiffe = matches!(spec.identity, Some(Identity::Spiffe(_)));
                is_whole("/spec/serviceAccount", spec.service_account.is_some())
                    && is_whole("/spec/identity", is_spiffe)
            })
            .map(|spec| instances(&namespace, name, spec))
            .unwrap_or_default(),
        processes: here.map(processes).unwrap_or_default(),
        tokens: here
            .map(|spec| attested::tokens(object, spec, &everywhere.token_issuers, notes))
            .unwrap_or_default(),
        namespace,
    }
}

/// What is demanded of processes; one demand that is not understood lets nobody in.
fn processes(spec: &MeshWorkloadSpec) -> Arc<[ProcessMatch]> {
    let written = spec.attestation.as_ref().map(|said| &said.processes);
    let sound = written.into_iter().flat_map(List::iter);
    let sound = sound.filter_map(Part::sound);
    sound
        .map(|process| ProcessMatch {
            user: process.user,
            group: process.group,
            path: process.path.clone(),
            sha256: process.sha256.as_deref().and_then(digest),
        })
        .collect()
}

/// 64 hexadecimal digits as bytes.
fn digest(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let pair = digits.get(2 * index..2 * index + 2)?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
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
            names: port.name.clone().into_iter().collect(),
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
    let is_elsewhere = spec.identity.is_some();
    if spec.instances.is_empty() && is_elsewhere {
        return Vec::new();
    }
    let locality = spec.locality.as_ref().map(locality).unwrap_or_default();
    if spec.instances.is_empty() {
        let network = Network::new("default").expect("a constant that is a label");
        return [Running {
            id: id(name.clone()),
            network,
            addresses: Vec::new(),
            tunnel: None,
            locality,
            probes: Arc::default(),
            pod: None,
            state: Some(State::Ready),
        }]
        .into();
    }
    let is_alone = spec.instances.len() == 1;
    let sound = spec
        .instances
        .iter()
        .filter_map(|instance| instance.sound());
    // What runs in another mesh is never called in plain.
    sound
        .filter(|instance| !is_elsewhere || instance.tunnel.is_some())
        .map(|instance| Running {
            id: id(instance.name.clone().unwrap_or_else(|| {
                if is_alone {
                    name.clone()
                } else {
                    with_address(name, instance.address)
                }
            })),
            network: instance.network.clone(),
            addresses: [instance.address.to_canonical()].into(),
            tunnel: instance
                .tunnel
                .filter(|_| is_elsewhere)
                .map(|port| SocketAddr::new(instance.address.to_canonical(), port)),
            locality: locality.clone(),
            probes: Arc::default(),
            pod: None,
            state: Some(State::Ready),
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
