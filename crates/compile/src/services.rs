//! What is called: each `Service` as it was written, and those that workloads imply.

use alloc::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::view::{self, PortRef, Protocol, Telemetry, Tuning};
use leno_model::{Code, Network, Note, Notes, Origin, ServiceName};
use leno_resources::service::{
    ClusterIp, InternalTrafficPolicy, ServicePort, ServiceSpec, ServiceType, SessionAffinity,
    TargetPort, TransportProtocol,
};
use leno_resources::{Object, Resources};

use crate::finding::{self, Complete};
use crate::mesh::Answer;
use crate::parents::Routed;
use crate::routes::Attached;
use crate::spoken;
use crate::workloads::{self, Workload};

/// A service before it is known who routes to it.
pub(crate) struct Service<'a> {
    pub(crate) name: ServiceName,
    /// The `Service`, if one was written.
    pub(crate) object: Option<&'a Object<ServiceSpec>>,
    pub(crate) origin: Origin,
    pub(crate) form: Form,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ports: BTreeMap<u16, Port>,
    pub(crate) selects: Selects<'a>,
    /// Whether also those take its calls that are not ready.
    pub(crate) takes_unready: bool,
}

impl Service<'_> {
    /// Whether it is reached by an address of its own and says none.
    pub(crate) fn wants_address(&self) -> bool {
        self.form == Form::Address && self.addresses.is_empty()
    }
}

/// How a service is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// By an address of its own.
    Address,
    /// By the addresses of its endpoints.
    Headless,
    /// Not here: it is another name for a host outside.
    External,
}

/// One port of a service.
pub(crate) struct Port {
    pub(crate) name: Option<Arc<str>>,
    /// What somebody has said is spoken on it.
    pub(crate) spoken: Option<Protocol>,
    pub(crate) target: TargetPort,
    /// Where the object says which port that is.
    pub(crate) target_pointer: String,
}

/// Whose calls it takes.
pub(crate) enum Selects<'a> {
    /// The workloads that have all of these labels; at least one.
    Labels(&'a BTreeMap<Arc<str>, Arc<str>>),
    /// The workload that implies it.
    Workload(&'a Workload<'a>),
    /// Nobody's.
    Nobody,
}

/// All services by name. A workload with ports and without a `Service` of its name implies one.
pub(crate) fn services<'a>(
    resources: &'a Resources,
    workloads: &'a [Workload<'a>],
    notes: &mut Notes,
) -> BTreeMap<ServiceName, Service<'a>> {
    let written = resources
        .services
        .iter()
        .map(|object| written(object, notes));
    let mut services = written
        .map(|service| (service.name.clone(), service))
        .collect::<BTreeMap<_, _>>();
    let implies = |workload: &&Workload<'_>| workload.implies_service && !workload.ports.is_empty();
    for workload in workloads.iter().filter(implies) {
        let (namespace, name) = workload.name();
        let name = ServiceName::new(namespace, name);
        services
            .entry(name)
            .or_insert_with_key(|name| implied(name, workload));
    }
    services
}

/// Fills in what is spoken on ports that do not say it: what the workloads behind them say.
pub(crate) fn complete<'a>(
    services: &mut BTreeMap<ServiceName, Service<'_>>,
    workloads: impl Iterator<Item = &'a Workload<'a>>,
    answers: &BTreeMap<PortRef, Vec<Answer>>,
) {
    let instances = workloads.flat_map(|workload| {
        let running = workload.instances.iter();
        running.map(|running| (&running.id, &workload.ports))
    });
    let declared = instances.collect::<BTreeMap<_, _>>();
    for (port, answers) in answers {
        let service = services.get_mut(&port.service);
        let Some(port) = service.and_then(|service| service.ports.get_mut(&port.port)) else {
            continue;
        };
        let said = answers
            .iter()
            .filter_map(|answer| declared.get(&answer.instance)?.get(&answer.port)?.spoken);
        port.spoken = port.spoken.or_else(|| said.reduce(spoken::both));
    }
}

/// What would be the services of workloads that have opened no port yet.
pub(crate) fn unopened(
    workloads: &[Workload<'_>],
    services: &BTreeMap<ServiceName, Service<'_>>,
) -> BTreeSet<ServiceName> {
    let unopened = workloads.iter().filter(|workload| workload.is_unopened());
    let named = unopened.map(|workload| {
        let (namespace, name) = workload.name();
        ServiceName::new(namespace, name)
    });
    named.filter(|name| !services.contains_key(name)).collect()
}

/// What policies say of calls to a service.
pub(crate) struct Said {
    pub(crate) tuning: Arc<Tuning>,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// What proxies know of a service: its ports with what is attached to them.
pub(crate) fn view(
    service: &Service<'_>,
    routed: &Routed<'_>,
    attached: &Attached,
    said: &Said,
    network: &Network,
) -> view::Service {
    let port = |(number, port): (&u16, &Port)| {
        let reference = PortRef {
            service: service.name.clone(),
            port: *number,
        };
        let routes = attached.get(&reference);
        let consumers = routes.into_iter().flatten();
        let consumers =
            consumers.filter_map(|(callers, routes)| Some((callers.clone()?, routes.clone())));
        let view = view::ServicePort {
            name: port.name.clone(),
            protocol: routed.protocol(&reference),
            producer: routes.and_then(|routes| routes.get(&None)).cloned(),
            consumers: consumers.collect(),
            tuning: said.tuning.clone(),
            telemetry: said.telemetry.clone(),
        };
        (*number, view)
    };
    view::Service {
        name: service.name.clone(),
        origin: Some(service.origin.clone()),
        addresses: service
            .addresses
            .iter()
            .map(|address| (network.clone(), *address))
            .collect(),
        ports: service.ports.iter().map(port).collect(),
    }
}

fn implied<'a>(name: &ServiceName, workload: &'a Workload<'a>) -> Service<'a> {
    let port = |(number, port): (&u16, &workloads::Port)| {
        let port = Port {
            name: port.names.first().cloned(),
            spoken: port.spoken,
            target: TargetPort::Number(*number),
            target_pointer: "/spec/ports".to_string(),
        };
        (*number, port)
    };
    Service {
        name: name.clone(),
        object: None,
        origin: workload.outline.origin(""),
        form: Form::Address,
        addresses: Vec::new(),
        ports: workload.ports.iter().map(port).collect(),
        selects: Selects::Workload(workload),
        takes_unready: false,
    }
}

fn written<'a>(object: &'a Object<ServiceSpec>, notes: &mut Notes) -> Service<'a> {
    let name = ServiceName::new(finding::namespace(object), object.meta.name.clone());
    let mut service = Service {
        name,
        object: Some(object),
        origin: object.origin(""),
        form: Form::Address,
        addresses: Vec::new(),
        ports: BTreeMap::new(),
        selects: Selects::Nobody,
        takes_unready: false,
    };
    let Some(spec) = object.spec.partly() else {
        return service;
    };
    note_what_is_not_enforced(object, spec, notes);
    service.form = form(spec);
    service.takes_unready = spec.publish_not_ready_addresses == Some(true);
    service.addresses = addresses(spec);
    service.ports = ports(object, spec, notes);
    if !spec.selector.is_empty() {
        service.selects = Selects::Labels(&spec.selector);
    }
    service
}

fn form(spec: &ServiceSpec) -> Form {
    let headless = |ip: &ClusterIp| *ip == ClusterIp::Headless;
    if spec.type_ == ServiceType::ExternalName {
        Form::External
    } else if spec
        .cluster_ip
        .iter()
        .chain(spec.cluster_ips.iter().filter_map(|ip| ip.sound()))
        .any(headless)
    {
        Form::Headless
    } else {
        Form::Address
    }
}

fn addresses(spec: &ServiceSpec) -> Vec<IpAddr> {
    let all = spec
        .cluster_ip
        .iter()
        .chain(spec.cluster_ips.iter().filter_map(|ip| ip.sound()));
    let mut addresses = all
        .filter_map(|ip| match ip {
            ClusterIp::Address(address) => Some(address.to_canonical()),
            ClusterIp::Headless | ClusterIp::Unset => None,
        })
        .collect::<Vec<_>>();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn ports(
    object: &Object<ServiceSpec>,
    spec: &ServiceSpec,
    notes: &mut Notes,
) -> BTreeMap<u16, Port> {
    let mut ports = BTreeMap::new();
    for (index, port) in spec.ports.iter().enumerate() {
        let Some(port) = port.sound() else { continue };
        let pointer = format!("/spec/ports/{index}");
        if port.protocol != TransportProtocol::Tcp {
            notes.push(not_carried(object, port, &pointer));
            continue;
        }
        match ports.entry(port.port) {
            Entry::Vacant(free) => {
                free.insert(Port {
                    name: port.name.clone(),
                    spoken: spoken(object, port, &pointer, notes),
                    target: port
                        .target_port
                        .clone()
                        .unwrap_or(TargetPort::Number(port.port)),
                    target_pointer: match port.target_port {
                        Some(_) => format!("{pointer}/targetPort"),
                        None => format!("{pointer}/port"),
                    },
                });
            }
            Entry::Occupied(_) => notes.push(
                finding::error(
                    object,
                    &format!("{pointer}/port"),
                    Code::C007,
                    format!("port {} stands twice", port.port),
                )
                .in_force("the first of them, as written"),
            ),
        }
    }
    ports
}

/// What the port says about itself: `appProtocol`, else its name.
fn spoken(
    object: &Object<ServiceSpec>,
    port: &ServicePort,
    pointer: &str,
    notes: &mut Notes,
) -> Option<Protocol> {
    let Some(protocol) = &port.app_protocol else {
        return spoken::by_name(port.name.as_deref());
    };
    let said = spoken::by_app_protocol(protocol).unwrap_or_else(|meant| {
        let message = format!("{protocol} is no protocol that is known");
        let pointer = format!("{pointer}/appProtocol");
        let note = finding::warning(object, &pointer, Code::C114, message);
        let note = note.suggest(meant.map(|meant| format!("did you mean {meant}?")));
        notes.push(note.in_force(format!(
            "calls to port {} are carried as bytes: no routes, no retries",
            port.port
        )));
        Protocol::Tcp
    });
    Some(said)
}

/// Where questions about names are asked (RFC 1035 section 4.2).
const DNS: u16 = 53;

fn not_carried(object: &Object<ServiceSpec>, port: &ServicePort, pointer: &str) -> Note {
    let protocol = port.protocol.as_str();
    let pointer = format!("{pointer}/protocol");
    let message = format!("{protocol} is not carried yet");
    if (port.port, port.protocol) == (DNS, TransportProtocol::Udp) {
        let note = finding::information(object, &pointer, Code::C114, message);
        return note.in_force("questions about names go to each workload's own proxy");
    }
    finding::warning(object, &pointer, Code::C114, message).in_force(format!(
        "port {} over {protocol} is not part of the mesh",
        port.port
    ))
}

fn note_what_is_not_enforced(object: &Object<ServiceSpec>, spec: &ServiceSpec, notes: &mut Notes) {
    let mut note = |field: &str, message: &str, in_force: &str| {
        let pointer = format!("/spec/{field}");
        let note = finding::warning(object, &pointer, Code::C114, message.to_string());
        notes.push(note.in_force(in_force));
    };
    if spec.type_ == ServiceType::ExternalName {
        note(
            "type",
            "an ExternalName is not part of the mesh",
            "its name means what the cluster's own DNS says, and no route may use it",
        );
    }
    if spec.session_affinity != SessionAffinity::None {
        note(
            "sessionAffinity",
            "session affinity is not enforced yet",
            "each call picks an endpoint anew",
        );
    }
    if spec.internal_traffic_policy == Some(InternalTrafficPolicy::Local) {
        note(
            "internalTrafficPolicy",
            "staying on the caller's node is not enforced yet",
            "calls go to all endpoints",
        );
    }
}
