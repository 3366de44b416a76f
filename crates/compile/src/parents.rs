//! What routes are attached to: the service ports their parent references mean.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};

use leno_model::view::{PortRef, Protocol};
use leno_model::{Code, Namespace, Notes, ServiceName, near};
use leno_resources::Resources;
use leno_resources::gateway::ParentReference;
use leno_resources::service::TargetPort;

use crate::backends;
use crate::finding::{self, Complete, Flaw};
use crate::route::{self, Kind, Route};
use crate::services::{Form, Port, Service};
use crate::spoken;
use crate::suggest;

/// Whose calls a route steers.
//= GEP-1294: "A route is a producer route when the `parentRef` refers to a service in the *same
//= namespace*."
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Role {
    /// Everybody's, to a service of its own namespace.
    Producer,
    /// Those from its own namespace, to a service of another.
    Consumer,
}

/// The services, with what routes say about their ports.
pub(crate) struct Routed<'a> {
    pub(crate) services: &'a BTreeMap<ServiceName, Service<'a>>,
    /// What would be the services of workloads that have opened no port yet.
    pub(crate) unopened: &'a BTreeSet<ServiceName>,
    /// What policies say is spoken on ports.
    ruled: BTreeMap<ServiceName, BTreeMap<u16, Protocol>>,
    /// The ports whose protocol routes of the service's own namespace say: the most special of them.
    said: BTreeMap<PortRef, Kind>,
}

impl<'a> Routed<'a> {
    /// Looks at all routes for ports of their own namespace about which nobody has said anything.
    //= BackendRef: "Implementations MAY infer the protocol from the Route type referring to the
    //= backend Service."
    pub(crate) fn new(
        services: &'a BTreeMap<ServiceName, Service<'a>>,
        unopened: &'a BTreeSet<ServiceName>,
        ruled: BTreeMap<ServiceName, BTreeMap<u16, Protocol>>,
        resources: &Resources,
    ) -> Self {
        let mut routed = Self {
            services,
            unopened,
            ruled,
            said: BTreeMap::new(),
        };
        for route in route::routes(resources) {
            routed.infer(route);
        }
        routed
    }

    fn infer(&mut self, route: Route<'_>) {
        let own = finding::namespace(route.object);
        let local = |namespace: Option<&Namespace>| namespace.is_none_or(|it| *it == own);
        let name = |name| ServiceName::new(own.clone(), name);
        let parents = route.parents().into_iter().flatten();
        let parents = parents.filter_map(|parent| parent.sound());
        let mut said = Vec::new();
        for parent in
            parents.filter(|parent| is_service(parent) && local(parent.namespace.as_ref()))
        {
            let service = self.services.get(&name(parent.name.clone()));
            let Some(service) = service.filter(|service| service.form == Form::Address) else {
                continue;
            };
            let ports = service
                .ports
                .iter()
                .filter(|(number, port)| is_meant(parent, **number, port));
            said.extend(ports.map(|(number, _)| port_ref(&service.name, *number)));
        }
        for rule in route.rules().iter().flatten() {
            let references = rule.references();
            let references = references.filter(|it| it.is_service() && local(it.namespace));
            said.extend(references.map(|reference| {
                let port = reference.port.unwrap_or_default();
                port_ref(&name(reference.name.clone()), port)
            }));
        }
        for port in said {
            let kind = self.said.entry(port).or_insert(route.kind());
            *kind = route.kind().min(*kind);
        }
    }

    /// What a policy says is spoken on a port.
    pub(crate) fn ruled(&self, port: &PortRef) -> Option<Protocol> {
        self.ruled.get(&port.service)?.get(&port.port).copied()
    }

    /// What somebody says is spoken on a port: a policy, else the port itself.
    pub(crate) fn said(&self, port: &PortRef) -> Option<Protocol> {
        let itself = || {
            self.services
                .get(&port.service)?
                .ports
                .get(&port.port)?
                .spoken
        };
        self.ruled(port).or_else(itself)
    }

    /// What is spoken on a port: what is said of it, else what its number says, else what routes say.
    pub(crate) fn protocol(&self, port: &PortRef) -> Protocol {
        let service = self.services.get(&port.service);
        let held = service.and_then(|service| service.ports.get(&port.port));
        let by_route = || self.said.get(port).map(|kind| kind.protocol());
        let by_number = || match held.map(|held| &held.target) {
            Some(TargetPort::Number(target)) => spoken::by_number(*target),
            Some(TargetPort::Name(_)) | None => spoken::by_number(port.port),
        };
        let said = self.said(port).or_else(by_number).or_else(by_route);
        said.unwrap_or(Protocol::Detect)
    }
}

/// Where a route is attached to a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) role: Role,
    /// Which of its parents it is.
    pub(crate) parent: usize,
}

/// The ports that `route` is attached to.
pub(crate) fn attached(
    route: Route<'_>,
    routed: &Routed<'_>,
    notes: &mut Notes,
) -> BTreeMap<PortRef, Place> {
    let Some(parents) = route.parents() else {
        return BTreeMap::new();
    };
    if parents.is_empty() {
        let message = "it names no parent".to_string();
        let note = finding::warning(route.object, "/spec/parentRefs", Code::C101, message);
        notes.push(note.in_force("the route does nothing"));
    }
    let mut attached = BTreeMap::new();
    for (index, parent) in parents.iter().enumerate() {
        let Some(parent) = parent.sound() else {
            continue;
        };
        match (Parent { route, parent }).ports(routed) {
            Ok(ports) => attached.extend(ports.map(|(port, role)| {
                let parent = index;
                (port, Place { role, parent })
            })),
            Err(flaw) => notes.push(flaw.note(route.object, &pointer(index), NOT_ATTACHED)),
        }
    }
    attached
}

/// Where a parent stands in a route.
pub(crate) fn pointer(parent: usize) -> String {
    format!("/spec/parentRefs/{parent}")
}

const NOT_ATTACHED: &str = "the route is not attached to this parent";

/// The role of `route` at a parent; `None` if that is no Service.
pub(crate) fn role(route: Route<'_>, parent: &ParentReference) -> Option<Role> {
    let own = &route.object.meta.namespace;
    let is_own = parent.namespace.is_none() || parent.namespace == *own;
    is_service(parent).then_some(if is_own {
        Role::Producer
    } else {
        Role::Consumer
    })
}

/// The role that a route was meant to have, as far as its first parent tells.
pub(crate) fn meant(route: Route<'_>) -> Role {
    let parents = route.parents().into_iter().flatten();
    let mut roles = parents.filter_map(|parent| role(route, parent.sound()?));
    roles.next().unwrap_or(Role::Producer)
}

/// One parent reference of a route.
struct Parent<'a> {
    route: Route<'a>,
    parent: &'a ParentReference,
}

impl Parent<'_> {
    fn ports(
        &self,
        routed: &Routed<'_>,
    ) -> Result<impl Iterator<Item = (PortRef, Role)> + use<>, Flaw> {
        self.check_kind()?;
        let (service, role) = self.service(routed)?;
        let meant = service
            .ports
            .iter()
            .filter(|(number, port)| is_meant(self.parent, **number, port));
        let meant = meant.collect::<Vec<_>>();
        if meant.is_empty() {
            return Err(self.no_such_port(service));
        }
        //= GEP-1294: "If `port` is not set, the implementation MUST associate the route with all
        //= ports defined in the Service."
        let ports = meant
            .iter()
            .map(|(number, _)| port_ref(&service.name, **number));
        let kind = self.route.kind();
        let steered = ports.filter(|port| kind.steers(routed.protocol(port)));
        let steered = steered.collect::<Vec<_>>();
        if steered.is_empty() {
            return Err(self.not_steered(service, &meant, routed));
        }
        Ok(steered.into_iter().map(move |port| (port, role)))
    }

    fn check_kind(&self) -> Result<(), Flaw> {
        let ParentReference { group, kind, .. } = self.parent;
        match (&**group, &**kind) {
            ("", "Service") => Ok(()),
            (_, "Service") => {
                let message = format!("{group} has no kind Service");
                let suggestion = "did you mean group: \"\"?".to_string();
                Err(Flaw::new("/kind", Code::C102, message).suggest(Some(suggestion)))
            }
            (_, "Gateway") => Err(Flaw::new(
                "/kind",
                Code::C114,
                "Gateways are not served yet".to_string(),
            )),
            (_, kind) => Err(Flaw::new(
                "/kind",
                Code::C102,
                format!("a route cannot attach to a {kind}"),
            )),
        }
    }

    fn service<'a>(&self, routed: &'a Routed<'_>) -> Result<(&'a Service<'a>, Role), Flaw> {
        let own = finding::namespace(self.route.object);
        let namespace = self.parent.namespace.as_ref().unwrap_or(&own);
        let name = ServiceName::new(namespace.clone(), self.parent.name.clone());
        let Some(service) = routed.services.get(&name) else {
            if routed.unopened.contains(&name) {
                return Err(Flaw::unopened(Code::C101, &name.name));
            }
            let suggestion = suggest::service(&name, &own, routed.services.keys());
            let message = format!("no Service {} in {namespace}", name.name);
            return Err(Flaw::new("/name", Code::C101, message).suggest(suggestion));
        };
        let role = role(self.route, self.parent).unwrap_or(Role::Consumer);
        match service.form {
            Form::Address => Ok((service, role)),
            //= GEP-1294: "SHOULD NOT be supported as a `parentRef`, because they do not implement
            //= the "frontend" functionality of a service."
            Form::Headless => {
                let message = format!("{} is headless: calls to it name its endpoints", name.name);
                Err(Flaw::new("/name", Code::C102, message))
            }
            Form::External => {
                let message = format!("{} stands for a host outside (ExternalName)", name.name);
                Err(Flaw::new("/name", Code::C102, message))
            }
        }
    }

    fn no_such_port(&self, service: &Service<'_>) -> Flaw {
        let name = &service.name.name;
        let ParentReference {
            section_name, port, ..
        } = self.parent;
        let (field, wanted, has) = match (section_name, port) {
            (None, None) => return Flaw::new("/name", Code::C102, format!("{name} has no port")),
            (Some(section), Some(number)) if service.ports.contains_key(number) => {
                let message = format!("port {number} of Service {name} is not called {section}");
                return Flaw::new("/sectionName", Code::C102, message);
            }
            (_, Some(number)) => {
                let numbers = service.ports.keys().map(ToString::to_string);
                ("/port", number.to_string(), numbers.collect::<Vec<_>>())
            }
            (Some(section), None) => {
                let names = service.ports.values().filter_map(|port| port.name.as_ref());
                (
                    "/sectionName",
                    section.to_string(),
                    names.map(ToString::to_string).collect(),
                )
            }
        };
        let suggestion = near::did_you_mean(&wanted, has.iter().map(String::as_str));
        let message = format!("Service {name} has no port {wanted}");
        Flaw::new(field, Code::C102, message).suggest(suggestion)
    }

    fn not_steered(
        &self,
        service: &Service<'_>,
        meant: &[(&u16, &Port)],
        routed: &Routed<'_>,
    ) -> Flaw {
        let numbers = meant
            .iter()
            .map(|(number, _)| format!("{number}"))
            .collect::<Vec<_>>();
        let spoken = meant
            .iter()
            .map(|(number, _)| routed.protocol(&port_ref(&service.name, **number)))
            .fold(Protocol::Detect, spoken::both);
        let kind = self.route.kind();
        let port = format!("{}:{}", service.name.name, numbers.join(", "));
        let field = if self.parent.port.is_some() {
            "/port"
        } else {
            "/name"
        };
        let flaw = Flaw::new(field, Code::C110, backends::not_spoken(&port, spoken, kind));
        let is_open = meant.iter().any(|(number, _)| {
            let port = port_ref(&service.name, **number);
            routed.said(&port).is_none()
        });
        let word = kind.protocol().to_string().to_lowercase();
        let suggestion = is_open.then(|| format!("its owner can say appProtocol: {word}"));
        flaw.suggest(suggestion)
    }
}

fn is_service(parent: &ParentReference) -> bool {
    (&*parent.group, &*parent.kind) == ("", "Service")
}

//= ParentReference: "* Service: Port name. When both Port (experimental) and SectionName are specified,
//= the name and port of the selected listener must match both specified values."
fn is_meant(parent: &ParentReference, number: u16, port: &Port) -> bool {
    parent.port.is_none_or(|meant| meant == number)
        && parent
            .section_name
            .as_ref()
            .is_none_or(|meant| port.name.as_ref() == Some(meant))
}

fn port_ref(service: &ServiceName, port: u16) -> PortRef {
    PortRef {
        service: service.clone(),
        port,
    }
}
