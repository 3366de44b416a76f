//! What a policy is about.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::ToString,
    sync::Arc,
    vec::Vec,
};

use leno_model::view::PortRef;
use leno_model::{Code, Name, Namespace, Notes, ServiceName, TrustDomain, near};
use leno_resources::policy::{TargetKind, TargetRef};
use leno_resources::{List, Object};

use crate::finding::{self, Flaw};
use crate::peers::Peer;
use crate::services::Service;
use crate::suggest;
use crate::workloads::{self, Workload};

/// What a policy is about. The more special is the greater.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Target {
    /// Everything.
    Mesh,
    /// What is in a namespace.
    Namespace(Namespace),
    /// A service.
    Service(ServiceName),
    /// A workload, by the namespace and name of its `MeshWorkload`.
    Workload(Namespace, Name),
    /// A port of a service, as callers use it.
    ServicePort(PortRef),
    /// A port of a workload, as it listens on it.
    WorkloadPort(Namespace, Name, u16),
    /// What an `HTTPRoute` takes, by its namespace and name.
    HttpRoute(Namespace, Name),
    /// The same of a `GRPCRoute`.
    GrpcRoute(Namespace, Name),
}

impl Target {
    /// What calls to `service` are, the most special first.
    pub(crate) fn over_service(service: &ServiceName) -> [Self; 3] {
        [
            Self::Service(service.clone()),
            Self::Namespace(service.namespace.clone()),
            Self::Mesh,
        ]
    }

    /// What it is.
    pub(crate) fn kind(&self) -> TargetKind {
        match self {
            Self::Mesh => TargetKind::Mesh,
            Self::Namespace(_) => TargetKind::Namespace,
            Self::Service(_) | Self::ServicePort(_) => TargetKind::Service,
            Self::Workload(..) | Self::WorkloadPort(..) => TargetKind::MeshWorkload,
            Self::HttpRoute(..) => TargetKind::HttpRoute,
            Self::GrpcRoute(..) => TargetKind::GrpcRoute,
        }
    }
}

/// Workloads by namespace and name, with the ports that those of the name declare.
pub(crate) type Declared<'a> = BTreeMap<(Namespace, Name), Vec<&'a BTreeMap<u16, workloads::Port>>>;

/// Looks at `workloads` by name.
pub(crate) fn declared<'a>(workloads: &'a [Workload<'_>]) -> Declared<'a> {
    let mut declared = Declared::new();
    for workload in workloads {
        let ports = declared.entry(workload.name()).or_default();
        ports.push(&workload.ports);
    }
    declared
}

/// The names a policy may mean.
pub(crate) struct Scope<'a> {
    pub(crate) mesh: Option<&'a Name>,
    pub(crate) services: &'a BTreeMap<ServiceName, Service<'a>>,
    /// What would be the services of workloads that have opened no port yet.
    pub(crate) unopened: &'a BTreeSet<ServiceName>,
    /// Workloads by namespace and name, with the ports that they declare.
    pub(crate) workloads: Declared<'a>,
    /// HTTPRoutes by namespace and name.
    pub(crate) http_routes: BTreeSet<(Namespace, Name)>,
    /// GRPCRoutes by namespace and name.
    pub(crate) grpc_routes: BTreeSet<(Namespace, Name)>,
    /// The trust domains beside our own.
    pub(crate) peers: &'a BTreeMap<TrustDomain, Peer>,
}

/// The names of all objects of a kind.
pub(crate) fn names<'a, T: 'a>(
    objects: impl Iterator<Item = &'a Object<T>>,
) -> BTreeSet<(Namespace, Name)> {
    let name = |object: &'a Object<T>| (finding::namespace(object), object.meta.name.clone());
    objects.map(name).collect()
}

/// The namespace whose owners govern the whole mesh.
const SYSTEM: &str = "leno-system";

/// What holds while a target is not valid.
const WITHOUT_TARGET: &str = "nothing: the policy holds without this target";

/// The targets of a policy. Without any written it is about its own namespace; what may not be
/// or does not exist is noted and left out.
pub(crate) fn targets<T>(
    policy: &Object<T>,
    written: Option<&List<TargetRef>>,
    scope: &Scope<'_>,
    notes: &mut Notes,
) -> Vec<Target> {
    let own = finding::namespace(policy);
    let Some(written) = written else {
        return [Target::Namespace(own)].into();
    };
    let mut targets = Vec::new();
    for (index, reference) in written.iter().enumerate() {
        let Some(reference) = reference.sound() else {
            continue;
        };
        let pointer = format!("/spec/targetRefs/{index}");
        match target(reference, &own, scope) {
            Ok(target) => targets.push(target),
            Err(flaw) => notes.push(flaw.note(policy, &pointer, WITHOUT_TARGET)),
        }
    }
    targets.sort_unstable();
    targets.dedup();
    targets
}

fn target(reference: &TargetRef, own: &Namespace, scope: &Scope<'_>) -> Result<Target, Flaw> {
    let TargetRef {
        group: _,
        kind,
        name,
        section_name,
        port,
    } = reference;
    match kind {
        TargetKind::Mesh => {
            if own.as_str() != SYSTEM {
                let message = format!("only a policy in {SYSTEM} may govern the whole mesh");
                return Err(Flaw::new("/name", Code::C131, message));
            }
            match scope.mesh {
                Some(mesh) if mesh != name => {
                    let suggestion = Some(format!("did you mean {mesh}?"));
                    Err(Flaw::new("/name", Code::C130, format!("no Mesh {name}"))
                        .suggest(suggestion))
                }
                Some(_) | None => Ok(Target::Mesh),
            }
        }
        TargetKind::Namespace => {
            if name.as_str() == own.as_str() {
                return Ok(Target::Namespace(own.clone()));
            }
            let message = format!("a policy in {own} may not govern the namespace {name}");
            Err(Flaw::new("/name", Code::C131, message))
        }
        TargetKind::Service => {
            let service = ServiceName::new(own.clone(), name.clone());
            if let Some(known) = scope.services.get(&service) {
                let ports = known.ports.iter();
                let ports = ports.map(|(number, port)| (*number, port.name.as_slice()));
                let port =
                    which_port("Service", name, section_name.as_deref(), *port, ports, true)?;
                return Ok(match port {
                    Some(port) => Target::ServicePort(PortRef { service, port }),
                    None => Target::Service(service),
                });
            }
            if scope.unopened.contains(&service) {
                return Err(Flaw::unopened(Code::C130, name));
            }
            let suggestion = suggest::service(&service, own, scope.services.keys());
            Err(
                Flaw::new("/name", Code::C130, format!("no Service {name} in {own}"))
                    .suggest(suggestion),
            )
        }
        TargetKind::MeshWorkload => {
            let (own, name) = named("MeshWorkload", own, name, scope.workloads.keys())?;
            let ports = scope.workloads.get(&(own.clone(), name.clone()));
            let ports = ports.into_iter().flatten().copied().flatten();
            let ports = ports.map(|(number, port)| (*number, port.names.as_slice()));
            let section = section_name.as_deref();
            // It may listen on what it does not declare.
            let port = which_port("MeshWorkload", &name, section, *port, ports, false)?;
            Ok(match port {
                Some(port) => Target::WorkloadPort(own, name, port),
                None => Target::Workload(own, name),
            })
        }
        TargetKind::HttpRoute => {
            let (own, name) = named("HTTPRoute", own, name, scope.http_routes.iter())?;
            Ok(Target::HttpRoute(own, name))
        }
        TargetKind::GrpcRoute => {
            let (own, name) = named("GRPCRoute", own, name, scope.grpc_routes.iter())?;
            Ok(Target::GrpcRoute(own, name))
        }
    }
}

/// The port that a reference names, if it names one. Where ports must be declared, a number that is not
/// is no port.
fn which_port<'a>(
    kind: &str,
    name: &Name,
    section: Option<&str>,
    number: Option<u16>,
    ports: impl Iterator<Item = (u16, &'a [Arc<str>])> + Clone,
    must_be_declared: bool,
) -> Result<Option<u16>, Flaw> {
    if let Some(section) = section {
        let called = |(_, names): &(u16, &[Arc<str>])| names.iter().any(|it| **it == *section);
        if let Some((number, _)) = ports.clone().find(called) {
            return Ok(Some(number));
        }
        let names = ports.flat_map(|(_, names)| names).map(AsRef::as_ref);
        let suggestion = near::did_you_mean(section, names);
        let message = format!("{kind} {name} has no port called {section}");
        return Err(Flaw::new("/sectionName", Code::C130, message).suggest(suggestion));
    }
    let Some(number) = number else {
        return Ok(None);
    };
    if must_be_declared && !ports.clone().any(|(declared, _)| declared == number) {
        let numbers = ports
            .map(|(number, _)| number.to_string())
            .collect::<Vec<_>>();
        let suggestion = (!numbers.is_empty()).then(|| format!("it has {}", numbers.join(", ")));
        let message = format!("{kind} {name} has no port {number}");
        return Err(Flaw::new("/port", Code::C130, message).suggest(suggestion));
    }
    Ok(Some(number))
}

/// The object of this name, if there is one.
fn named<'a>(
    kind: &str,
    own: &Namespace,
    name: &Name,
    objects: impl Iterator<Item = &'a (Namespace, Name)> + Clone,
) -> Result<(Namespace, Name), Flaw> {
    if objects
        .clone()
        .any(|(space, known)| space == own && known == name)
    {
        return Ok((own.clone(), name.clone()));
    }
    let here = objects.filter(|(namespace, _)| namespace == own);
    let suggestion = near::did_you_mean(name.as_str(), here.map(|(_, name)| name.as_str()));
    let message = format!("no {kind} {name} in {own}");
    Err(Flaw::new("/name", Code::C130, message).suggest(suggestion))
}
