//! Backend references: who gets a share of a rule's requests, and why a reference may not be valid.

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};

use leno_model::view::{PortRef, Protocol};
use leno_model::{Code, Name, Namespace, ServiceName, near};
use leno_resources::Resources;
use leno_resources::gateway::{BackendObjectReference, BackendRef, GrpcBackendRef, HttpBackendRef};
use leno_resources::policy::AuthorizerRef;

use crate::finding::{self, Flaw};
use crate::parents::{Role, Routed};
use crate::route::Kind;
use crate::services::Form;
use crate::suggest;

/// What `ReferenceGrant`s permit.
pub(crate) struct Grants(BTreeSet<Grant>);

/// To objects of a kind, from a namespace, into a namespace, to a service or all.
type Grant = (Referrer, Namespace, Namespace, Option<Name>);

/// A kind of objects that refer to services.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Referrer {
    Route(Kind),
    AccessPolicy,
}

impl Referrer {
    fn named(group: &str, kind: &str) -> Option<Self> {
        match (group, kind) {
            (GATEWAY_API, kind) => Kind::named(kind).map(Self::Route),
            (leno_resources::GROUP, "AccessPolicy") => Some(Self::AccessPolicy),
            _ => None,
        }
    }

    /// `AccessPolicies`
    fn all(self) -> String {
        match self {
            Self::Route(kind) => format!("{}s", kind.name()),
            Self::AccessPolicy => "AccessPolicies".to_string(),
        }
    }

    /// Why it cannot refer to `port`, which is said to speak this.
    fn not_spoken(self, port: &PortRef, spoken: Protocol) -> Option<String> {
        let port = format!("{}:{}", port.service.name, port.port);
        match self {
            Self::Route(kind) if !kind.reaches(spoken) => Some(not_spoken(&port, spoken, kind)),
            Self::AccessPolicy if matches!(spoken, Protocol::Tls | Protocol::Tcp) => Some(format!(
                "{port} is {spoken}, and an authorizer is asked by HTTP"
            )),
            Self::Route(_) | Self::AccessPolicy => None,
        }
    }
}

impl Grants {
    pub(crate) fn new(resources: &Resources) -> Self {
        let mut grants = BTreeSet::new();
        for grant in resources.reference_grants.iter() {
            let Some(spec) = grant.spec.sound() else {
                continue;
            };
            //= ReferenceGrantSpec from: "entries MUST be combined using OR."
            let from = spec.from.iter().filter_map(|from| from.sound());
            let from = from.filter_map(|from| {
                let referrer = Referrer::named(&from.group, &from.kind)?;
                Some((referrer, &from.namespace))
            });
            for (referrer, namespace) in from {
                let to = spec.to.iter().filter_map(|to| to.sound());
                let to = to.filter(|to| (&*to.group, &*to.kind) == ("", "Service"));
                grants.extend(to.map(|to| {
                    let own = finding::namespace(grant);
                    (referrer, namespace.clone(), own, to.name.clone())
                }));
            }
        }
        Self(grants)
    }

    fn permits(&self, by: Referrer, from: &Namespace, to: &ServiceName) -> bool {
        let has = |name| {
            let (from, into) = (from.clone(), to.namespace.clone());
            self.0.contains(&(by, from, into, name))
        };
        //= ReferenceGrantTo name: "When unspecified, this policy refers to all resources of the
        //= specified Group and Kind in the local namespace."
        has(None) || has(Some(to.name.clone()))
    }
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// What a reference to somebody who takes requests, or copies of them, says.
#[derive(Clone, Copy)]
pub(crate) struct Reference<'a> {
    group: &'a str,
    kind: &'a str,
    pub(crate) namespace: Option<&'a Namespace>,
    pub(crate) name: &'a Name,
    pub(crate) port: Option<u16>,
}

impl<'a> From<&'a AuthorizerRef> for Reference<'a> {
    fn from(written: &'a AuthorizerRef) -> Self {
        Self {
            group: &written.group,
            kind: &written.kind,
            namespace: written.namespace.as_ref(),
            name: &written.name,
            port: Some(written.port),
        }
    }
}

impl Reference<'_> {
    pub(crate) fn is_service(&self) -> bool {
        (self.group, self.kind) == ("", "Service")
    }
}

/// Declares what is a reference.
macro_rules! is_reference {
    ($($written:ident),+) => {$(
        impl<'a> From<&'a $written> for Reference<'a> {
            fn from(written: &'a $written) -> Self {
                Self {
                    group: &written.group,
                    kind: &written.kind,
                    namespace: written.namespace.as_ref(),
                    name: &written.name,
                    port: written.port,
                }
            }
        }
    )+};
}

is_reference!(
    BackendObjectReference,
    BackendRef,
    GrpcBackendRef,
    HttpBackendRef
);

/// An object that refers to somebody, and where it does.
#[derive(Clone, Copy)]
pub(crate) struct Referring<'a> {
    pub(crate) by: Referrer,
    pub(crate) own: &'a Namespace,
    pub(crate) role: Role,
}

/// The service port that `reference` means.
///
/// Permission is asked before existence, so that nobody learns what another namespace holds.
pub(crate) fn port(
    reference: Reference<'_>,
    Referring { by, own, role }: Referring<'_>,
    routed: &Routed<'_>,
    grants: &Grants,
) -> Result<PortRef, Flaw> {
    //= HTTPBackendRef: "It refers to an unknown or unsupported kind of resource. In this case, the
    //= Reason must be set to `InvalidKind`"
    if !reference.is_service() {
        let message = format!("a {} cannot take traffic, a Service can", reference.kind);
        return Err(Flaw::new("/kind", Code::C104, message));
    }
    let namespace = reference.namespace.unwrap_or(own);
    let name = ServiceName::new(namespace.clone(), reference.name.clone());
    if needs_grant(role, namespace, own) && !grants.permits(by, own, &name) {
        let message = format!(
            "no ReferenceGrant in {namespace} lets {} of {own} use Service {}",
            by.all(),
            name.name
        );
        return Err(Flaw::new("/namespace", Code::C103, message));
    }
    //= HTTPBackendRef: "It refers to a resource that does not exist. In this case, the Reason must
    //= be set to `BackendNotFound`"
    let Some(service) = routed.services.get(&name) else {
        if routed.unopened.contains(&name) {
            return Err(Flaw::unopened(Code::C113, &name.name));
        }
        let suggestion = suggest::service(&name, own, routed.services.keys());
        let message = format!("no Service {} in {namespace}", name.name);
        return Err(Flaw::new("/name", Code::C113, message).suggest(suggestion));
    };
    //= BackendObjectReference kind: "Implementations SHOULD NOT support ExternalName Services."
    if service.form == Form::External {
        let message = format!("{} stands for a host outside (ExternalName)", name.name);
        return Err(Flaw::new("/name", Code::C104, message));
    }
    //= BackendObjectReference port: "Port is required when the referent is a Kubernetes Service."
    let found = reference
        .port
        .and_then(|number| Some((number, service.ports.get(&number)?)));
    let Some((number, _)) = found else {
        let wanted = reference
            .port
            .map_or_else(|| "(none)".to_string(), |port| format!("{port}"));
        let numbers = service.ports.keys().map(|number| format!("{number}"));
        let numbers = numbers.collect::<Vec<_>>();
        let suggestion = near::did_you_mean(&wanted, numbers.iter().map(String::as_str));
        let message = format!("Service {} has no port {wanted}", name.name);
        return Err(Flaw::new("/port", Code::C105, message).suggest(suggestion));
    };
    //= HTTPBackendRef: "It refers to a Kubernetes Service that has an incompatible appProtocol for
    //= the given Route type"
    let port = PortRef {
        service: name,
        port: number,
    };
    let spoken = routed.said(&port);
    if let Some(message) = spoken.and_then(|spoken| by.not_spoken(&port, spoken)) {
        return Err(Flaw::new("/port", Code::C110, message));
    }
    Ok(port)
}

/// `cart:9090 is TCP, and an HTTPRoute routes HTTP`
pub(crate) fn not_spoken(port: &str, spoken: Protocol, kind: Kind) -> String {
    let routes = format!("and {kind} routes {}", kind.protocol());
    match spoken {
        Protocol::Detect => format!("nobody says what is spoken on {port}, {routes}"),
        Protocol::Http
        | Protocol::Http1
        | Protocol::Http2
        | Protocol::Grpc
        | Protocol::Tls
        | Protocol::Tcp => format!("{port} is {spoken}, {routes}"),
    }
}

/// Whether the owner of the referent has to agree. A consumer's route steers only calls of its own
/// namespace, whose workloads may call any service anyway. A producer's route steers everybody's: with it
/// one namespace could have others make calls in their names that it cannot make itself.
//= GEP-1294: "if a mesh implementation *does* expose the ability to access a broader scope than would
//= otherwise be reachable, then `ReferenceGrant` must be used for cross namespaces references."
fn needs_grant(role: Role, referent: &Namespace, own: &Namespace) -> bool {
    role == Role::Producer && referent != own
}
