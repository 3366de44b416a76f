//! What a policy is about.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    vec::Vec,
};

use leno_model::{Code, Name, Namespace, Notes, ServiceName, near};
use leno_resources::policy::{TargetKind, TargetRef};
use leno_resources::{List, Object, Resources};

use crate::finding::{self, Flaw};
use crate::route::{self, Kind};
use crate::services::Service;
use crate::suggest;

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
    /// A route, by its kind, namespace and name.
    Route(Kind, Namespace, Name),
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
            Self::Service(_) => TargetKind::Service,
            Self::Workload(..) => TargetKind::MeshWorkload,
            Self::Route(Kind::Http, ..) => TargetKind::HttpRoute,
            Self::Route(Kind::Grpc, ..) => TargetKind::GrpcRoute,
            Self::Route(Kind::Tls, ..) => TargetKind::TlsRoute,
            Self::Route(Kind::Tcp, ..) => TargetKind::TcpRoute,
        }
    }
}

/// The names a policy may mean.
pub(crate) struct Scope<'a> {
    pub(crate) mesh: Option<&'a Name>,
    pub(crate) services: &'a BTreeMap<ServiceName, Service<'a>>,
    /// What would be the services of workloads that have opened no port yet.
    pub(crate) unopened: &'a BTreeSet<ServiceName>,
    /// Workloads by namespace and name.
    pub(crate) workloads: &'a BTreeSet<(Namespace, Name)>,
    /// Routes by kind.
    pub(crate) routes: &'a BTreeMap<Kind, BTreeSet<(Namespace, Name)>>,
}

/// The names of all routes.
pub(crate) fn routes(resources: &Resources) -> BTreeMap<Kind, BTreeSet<(Namespace, Name)>> {
    let mut names = BTreeMap::<_, BTreeSet<_>>::new();
    for route in route::routes(resources) {
        let name = (
            finding::namespace(route.object),
            route.object.meta.name.clone(),
        );
        names.entry(route.kind()).or_default().insert(name);
    }
    names
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
            if scope.services.contains_key(&service) {
                return Ok(Target::Service(service));
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
            let (own, name) = named("MeshWorkload", own, name, scope.workloads)?;
            Ok(Target::Workload(own, name))
        }
        TargetKind::HttpRoute => route(Kind::Http, own, name, scope),
        TargetKind::GrpcRoute => route(Kind::Grpc, own, name, scope),
        TargetKind::TlsRoute => route(Kind::Tls, own, name, scope),
        TargetKind::TcpRoute => route(Kind::Tcp, own, name, scope),
    }
}

fn route(kind: Kind, own: &Namespace, name: &Name, scope: &Scope<'_>) -> Result<Target, Flaw> {
    let none = BTreeSet::new();
    let routes = scope.routes.get(&kind).unwrap_or(&none);
    let (own, name) = named(kind.name(), own, name, routes)?;
    Ok(Target::Route(kind, own, name))
}

/// The object of this name, if there is one.
fn named(
    kind: &str,
    own: &Namespace,
    name: &Name,
    objects: &BTreeSet<(Namespace, Name)>,
) -> Result<(Namespace, Name), Flaw> {
    let key = (own.clone(), name.clone());
    if objects.contains(&key) {
        return Ok(key);
    }
    let here = objects.iter().filter(|(namespace, _)| namespace == own);
    let suggestion = near::did_you_mean(name.as_str(), here.map(|(_, name)| name.as_str()));
    let message = format!("no {kind} {name} in {own}");
    Err(Flaw::new("/name", Code::C130, message).suggest(suggestion))
}
