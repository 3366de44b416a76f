//! A view, made ready to decide by: names resolved, rules gathered, indexes built. Compiled once,
//! shared by all workers, never changed.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::net::{IpAddr, SocketAddr};

use leno_model::view::{
    Access, Action, Backend, EndpointSlice, PortRef, Protocol, Routes, ServicePort, Tuning, View,
    Workload, WorkloadId,
};
use leno_model::{Name, Namespace, Network, Origin, ServiceName, Subscription};

use crate::budget::RetryBudget;
use crate::destination::{Addresses, Destination, Scope};
use crate::policy::gate::Gate;
use crate::policy::{Policy, Target};
use crate::report::Report;
use crate::route::index::RouteIndex;

/// Everything a proxy decides by.
#[derive(Debug)]
pub struct Table {
    view: Arc<View>,
    scope: Scope,
    /// In order of their names.
    ports: Vec<Port>,
    addresses: Addresses,
    gates: BTreeMap<WorkloadId, Gates>,
    /// What is told of calls of which nothing more special is known.
    report: Arc<Report>,
}

/// What stands before the ports of one workload.
#[derive(Debug)]
struct Gates {
    ports: BTreeMap<u16, (Arc<Gate>, Arc<Report>)>,
    others: (Arc<Gate>, Arc<Report>),
    of: Arc<Workload>,
}

impl Table {
    /// Makes `view`, which holds what `scope` says, ready.
    pub fn new(view: Arc<View>, scope: Scope) -> Self {
        Self::compile(view, scope, None)
    }

    /// Makes the next view ready. Retry budgets live on, and what did not change is not compiled
    /// again.
    pub fn next(&self, view: Arc<View>, scope: Scope) -> Self {
        Self::compile(view, scope, Some(self))
    }

    /// The view it was made of.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// All ports of services that the view holds, in order of their names.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// One port of a service that the view holds.
    pub fn port(&self, name: &PortRef) -> Option<&Port> {
        let place = self.ports.binary_search_by(|port| port.name.cmp(name));
        Some(&self.ports[place.ok()?])
    }

    /// What `address` means to a workload of `namespace` that calls it from `network`.
    pub fn destination(
        &self,
        namespace: &Namespace,
        network: &Network,
        address: SocketAddr,
    ) -> Destination<'_> {
        if let Some(destination) = self.addresses.find(self, namespace, network, address) {
            return destination;
        }
        let question = Subscription::Address(network.clone(), address.ip());
        if !self.scope.holds(&question) {
            return Destination::Needs(question);
        }
        Destination::Unknown(self.view.settings.unknown_destinations)
    }

    /// What `port` of the service `name` is: for callers that name it instead of its address.
    pub fn service(&self, name: &ServiceName, port: u16) -> Destination<'_> {
        let Some(service) = self.view.services.get(name) else {
            let question = Subscription::Service(name.clone());
            if !self.scope.holds(&question) {
                return Destination::Needs(question);
            }
            return Destination::Unknown(self.view.settings.unknown_destinations);
        };
        let name = PortRef {
            service: name.clone(),
            port,
        };
        self.port(&name)
            .map_or(Destination::NoSuchPort(service), Destination::Service)
    }

    /// The service that `host` names for a caller in `from`: `cart`, `cart.shop`, `cart.shop.svc`
    /// or `cart.shop.svc.cluster.local`. Whether it exists is not asked.
    pub fn service_named(host: &str, from: &Namespace) -> Option<ServiceName> {
        let host = host.to_ascii_lowercase();
        let mut labels = host.split('.');
        let name = Name::new(labels.next()?).ok()?;
        let namespace = match labels.next() {
            Some(namespace) => Namespace::new(namespace).ok()?,
            None => from.clone(),
        };
        let rest = [labels.next(), labels.next(), labels.next(), labels.next()];
        match rest {
            [None, ..]
            | [Some("svc"), None, ..]
            | [Some("svc"), Some("cluster"), Some("local"), None] => {
                Some(ServiceName::new(namespace, name))
            }
            [Some(_), ..] => None,
        }
    }

    /// The workload of this proxy that has `address`.
    pub fn workload_at(&self, network: &Network, address: IpAddr) -> Option<&Workload> {
        let workload = self.addresses.workload(network, address)?;
        self.view
            .workloads
            .get(workload)
            .map(|workload| &**workload)
    }

    /// What stands before `port` of a workload of this proxy; `None` if it is not one.
    pub fn inbound(&self, workload: &WorkloadId, port: u16) -> Option<Policy<'_>> {
        let gates = self.gates.get(workload)?;
        let (gate, _) = gates.ports.get(&port).unwrap_or(&gates.others);
        let target = Target {
            of: &gates.of,
            port,
        };
        Some(Policy::inbound(self, target, gate))
    }

    /// What is told of calls to `port` of a workload of this proxy.
    pub fn report_inbound(&self, workload: &WorkloadId, port: u16) -> &Report {
        let Some(gates) = self.gates.get(workload) else {
            return &self.report;
        };
        let (_, report) = gates.ports.get(&port).unwrap_or(&gates.others);
        report
    }

    /// What is told of calls that leave the mesh, or come to no service.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What stands before the calls that the workloads of this proxy make.
    pub fn outbound(&self) -> Policy<'_> {
        Policy::outbound(self)
    }

    /// What the view was asked to hold.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn port_at(&self, place: u32) -> &Port {
        &self.ports[place as usize]
    }
}

/// One port of a service, ready to be called.
#[derive(Debug)]
pub struct Port {
    place: u32,
    name: PortRef,
    origin: Option<Origin>,
    protocol: Protocol,
    tuning: Arc<Tuning>,
    producer: Option<RouteSet>,
    consumers: BTreeMap<Namespace, RouteSet>,
    slices: Vec<Arc<EndpointSlice>>,
    budget: Arc<RetryBudget>,
    report: Arc<Report>,
}

/// Routes, and where in a table their backends stand.
#[derive(Debug)]
pub(crate) struct RouteSet {
    pub(crate) index: Arc<RouteIndex>,
    /// For each rule that forwards, the place of each part's port, if the view holds it.
    pub(crate) backends: Vec<Vec<Option<u32>>>,
    /// What is told of the calls that some rules take, by the rule's place.
    reports: BTreeMap<usize, Arc<Report>>,
}

impl Port {
    /// Which one.
    pub fn name(&self) -> &PortRef {
        &self.name
    }

    /// Where its service was said.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// What callers speak on it.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How its endpoints are picked, tried and given up.
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// Who set how long one attempt to connect may take; `None` is a default.
    pub fn connect_limited_by(&self) -> Option<&Origin> {
        self.tuning.origins.get("timeouts.connect")
    }

    /// Who answers for it.
    pub fn slices(&self) -> &[Arc<EndpointSlice>] {
        &self.slices
    }

    /// What is left to retry calls to it with.
    pub fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// What callers' proxies tell of a call of somebody in `namespace`, which `rule` took if one did.
    pub fn report(&self, namespace: Option<&Namespace>, rule: Option<&Origin>) -> &Report {
        let reports = || {
            let set = self.routes_for(namespace)?;
            let rules = &set.index.routes().rules;
            // Most services have no policy about one of their routes.
            let mut told = set.reports.iter();
            let (_, report) = told.find(|(place, _)| {
                let of = rules.get(**place).map(|rule| &rule.origin);
                of == rule
            })?;
            Some(report)
        };
        rule.and_then(|_| reports()).unwrap_or(&self.report)
    }

    /// Where it stands among the ports of its table.
    pub(crate) fn place(&self) -> u32 {
        self.place
    }

    /// All routes, whoever meets them.
    pub(crate) fn all_routes(&self) -> impl Iterator<Item = &RouteSet> {
        self.producer.iter().chain(self.consumers.values())
    }

    /// The routes that a caller of `namespace` meets.
    pub(crate) fn routes_for(&self, namespace: Option<&Namespace>) -> Option<&RouteSet> {
        let consumer = namespace.and_then(|namespace| self.consumers.get(namespace));
        consumer.or(self.producer.as_ref())
    }
}

/// Compiling.
impl Table {
    fn compile(view: Arc<View>, scope: Scope, before: Option<&Self>) -> Self {
        let held = all_ports(&view);
        let names = held.keys().collect::<Vec<_>>();
        let ports = (0..)
            .zip(&held)
            .map(|(place, (name, port))| {
                let before = before.and_then(|table| table.port(name));
                compile_port(&view, &names, place, *port, before)
            })
            .collect::<Vec<_>>();
        let mut compiled = Reused::default();
        if let Some(before) = before {
            compiled.keep(before);
        }
        let gates = view
            .workloads
            .iter()
            .map(|(id, workload)| {
                let before = before.and_then(|before| before.gates.get(id));
                (id.clone(), compiled.gates(workload, before))
            })
            .collect();
        Self {
            report: Report::next(
                before.map(|before| &before.report),
                &view.settings.telemetry,
            ),
            addresses: Addresses::of(&view, &ports),
            ports,
            gates,
            scope,
            view,
        }
    }
}

/// Gates by the access they were made of, so that workloads that share one share the other.
#[derive(Default)]
struct Reused(Vec<Arc<Gate>>);

impl Reused {
    fn keep(&mut self, table: &Table) {
        for gates in table.gates.values() {
            let gates = gates.ports.values().chain([&gates.others]);
            self.0.extend(gates.map(|(gate, _)| gate.clone()));
        }
        self.0
            .sort_unstable_by_key(|gate| Arc::as_ptr(gate.access()));
        self.0.dedup_by_key(|gate| Arc::as_ptr(gate.access()));
    }

    fn gates(&mut self, workload: &Arc<Workload>, before: Option<&Gates>) -> Gates {
        let before = |number: Option<u16>| {
            let gates = before?;
            let known = number.and_then(|number| gates.ports.get(&number));
            Some(&known.unwrap_or(&gates.others).1)
        };
        Gates {
            ports: workload
                .ports
                .iter()
                .map(|(number, port)| {
                    let report = Report::next(before(Some(*number)), &port.telemetry);
                    (*number, (self.gate(&port.access), report))
                })
                .collect(),
            others: (
                self.gate(&workload.other_ports),
                Report::next(before(None), &workload.telemetry),
            ),
            of: workload.clone(),
        }
    }

    fn gate(&mut self, access: &Arc<Access>) -> Arc<Gate> {
        let wanted = Arc::as_ptr(access);
        let place = self
            .0
            .binary_search_by_key(&wanted, |gate| Arc::as_ptr(gate.access()));
        match place {
            Ok(place) => self.0[place].clone(),
            Err(place) => {
                let gate = Arc::new(Gate::new(access.clone()));
                self.0.insert(place, gate.clone());
                gate
            }
        }
    }
}

/// The ports of all services, and those that have endpoints although no service is held for them.
fn all_ports(view: &View) -> BTreeMap<PortRef, Option<&ServicePort>> {
    let mut ports = BTreeMap::new();
    ports.extend(view.endpoints.keys().map(|name| (name.clone(), None)));
    for (service, held) in &view.services {
        ports.extend(held.ports.iter().map(|(number, port)| {
            let name = PortRef {
                service: service.clone(),
                port: *number,
            };
            (name, Some(port))
        }));
    }
    ports
}

fn compile_port(
    view: &View,
    names: &[&PortRef],
    place: u32,
    port: Option<&ServicePort>,
    before: Option<&Port>,
) -> Port {
    let tuning = port.map(|port| port.tuning.clone()).unwrap_or_default();
    let name = names[place as usize];
    let places = |wanted: &PortRef| {
        let place = names.binary_search(&wanted).ok()?;
        u32::try_from(place).ok()
    };
    let set = |routes: &Arc<Routes>, before: Option<&RouteSet>| RouteSet {
        index: match before {
            Some(before) if Arc::ptr_eq(before.index.routes(), routes) => before.index.clone(),
            Some(_) | None => Arc::new(RouteIndex::new(routes.clone())),
        },
        backends: backends(routes, places),
        reports: routes
            .telemetry
            .iter()
            .map(|(rule, said)| {
                let before = before.and_then(|before| before.reports.get(rule));
                (*rule, Report::next(before, said))
            })
            .collect(),
    };
    Port {
        place,
        name: name.clone(),
        origin: view
            .services
            .get(&name.service)
            .and_then(|service| service.origin.clone()),
        protocol: port.map_or(Protocol::Detect, |port| port.protocol),
        producer: port.and_then(|port| {
            let before = before.and_then(|port| port.producer.as_ref());
            port.producer.as_ref().map(|routes| set(routes, before))
        }),
        consumers: port.map_or_else(BTreeMap::new, |port| {
            let consumers = port.consumers.iter().map(|(namespace, routes)| {
                let before = before.and_then(|port| port.consumers.get(namespace));
                (namespace.clone(), set(routes, before))
            });
            consumers.collect()
        }),
        slices: view.endpoints.get(name).cloned().unwrap_or_default(),
        budget: match before {
            Some(before) if before.tuning.budget == tuning.budget => before.budget.clone(),
            Some(_) | None => Arc::new(RetryBudget::new(tuning.budget)),
        },
        report: {
            let nothing = Arc::default();
            let said = port.map_or(&nothing, |port| &port.telemetry);
            Report::next(before.map(|before| &before.report), said)
        },
        tuning,
    }
}

fn backends(routes: &Routes, place_of: impl Fn(&PortRef) -> Option<u32>) -> Vec<Vec<Option<u32>>> {
    let of_rule = |action: &Action| match action {
        Action::Forward(split) => split
            .parts()
            .iter()
            .map(|part| match &part.backend {
                Backend::Service(port) => place_of(port),
                Backend::Invalid(_) => None,
            })
            .collect(),
        Action::Redirect(_) | Action::Refuse(..) => Vec::new(),
    };
    routes
        .rules
        .iter()
        .map(|rule| of_rule(&rule.action))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_as_kubernetes_does() {
        let from = Namespace::new("shop").unwrap();
        let named = |host: &str| Table::service_named(host, &from).map(|name| name.to_string());
        for (host, expect) in [
            ("cart", Some("shop/cart")),
            ("CART", Some("shop/cart")),
            ("cart.bank", Some("bank/cart")),
            ("cart.bank.svc", Some("bank/cart")),
            ("cart.bank.svc.cluster.local", Some("bank/cart")),
            ("cart.bank.svc.cluster", None),
            ("cart.bank.svc.cluster.local.x", None),
            ("www.shop.example", None),
            ("10.0.0.7", None),
            ("[::1]", None),
            ("", None),
        ] {
            assert_eq!(named(host).as_deref(), expect, "{host}");
        }
    }
}
