//! What a policy is about.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    vec::Vec,
};

use leno_model::{Code, Name, Namespace, Notes, ServiceName, near};
use leno_resources::policy::{TargetKind, TargetRef};
use leno_resources::{List, Object};

use crate::finding::{self, Flaw};
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
            Self::Service(_) => TargetKind::Service,
            Self::Workload(..) => TargetKind::MeshWorkload,
            Self::HttpRoute(..) => TargetKind::HttpRoute,
            Self::GrpcRoute(..) => TargetKind::GrpcRoute,
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
    /// HTTPRoutes by namespace and name.
    pub(crate) http_routes: BTreeSet<(Namespace, Name)>,
    /// GRPCRoutes by namespace and name.
    pub(crate) grpc_routes: BTreeSet<(Namespace, Name)>,
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
        TargetKind::HttpRoute => {
            let (own, name) = named("HTTPRoute", own, name, &scope.http_routes)?;
            Ok(Target::HttpRoute(own, name))
        }
        TargetKind::GrpcRoute => {
            let (own, name) = named("GRPCRoute", own, name, &scope.grpc_routes)?;
            Ok(Target::GrpcRoute(own, name))
        }
    }
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
