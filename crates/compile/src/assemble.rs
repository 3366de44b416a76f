//! From resources to a mesh: every object is understood by itself, then all are put together.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::view::{self, PortRef, Protocol, Routes, WorkloadId};
use leno_model::{Namespace, Network, Notes};
use leno_resources::gateway::HttpRouteSpec;
use leno_resources::{Object, Resources};

use crate::access::{self, Blind, Targeted};
use crate::addresses::addresses;
use crate::answers::{self, Labelled};
use crate::backends::Grants;
use crate::everywhere::everywhere;
use crate::finding::Complete;
use crate::mesh::{Answer, Instance, Mesh};
use crate::parents::{self, Role, Routed};
use crate::precedence::{self, Candidate};
use crate::rules::{self, Surroundings};
use crate::services::{self, Service, services};
use crate::shadow::Shadows;
use crate::targets::Scope;
use crate::tuning;
use crate::workloads::{Running, Workload, workloads};

/// Says what the resources mean. What cannot be used is left out, or refuses what it would have
/// taken, and is noted.
///
/// With n objects time grows with n log n, beside what objects say of each other: a label of a
/// selector with the workloads that have it, a policy with the workloads it is about.
pub fn compile(resources: &Resources) -> (Mesh, Notes) {
    let mut notes = Notes::default();
    let everywhere = everywhere(resources, &mut notes);
    let workloads = workloads(resources, &everywhere.settings.trust_domain, &mut notes);
    let services = services(resources, &workloads, &mut notes);
    let labelled = Labelled::new(&workloads);
    let answers = services
        .values()
        .flat_map(|service| answers::answers(service, &labelled, &mut notes))
        .collect::<BTreeMap<_, _>>();
    let routed = Routed::new(&services, resources);
    let routes = routes(resources, &routed, &mut notes);

    let names = workloads.iter().map(Workload::name).collect();
    let scope = Scope {
        mesh: everywhere.name.as_ref(),
        services: &services,
        workloads: &names,
    };
    let tunings = tuning::read(resources.traffic_policies.iter(), &scope, &mut notes);
    let policies = resources.access_policies.iter();
    let policies = policies
        .map(|policy| {
            access::read(
                policy,
                &everywhere.settings.trust_domain,
                &scope,
                &mut notes,
            )
        })
        .collect::<Vec<_>>();
    let policies = access::Policies::new(&everywhere, &policies);
    policies.note_overlaps(&mut notes);

    let network = Network::new(DEFAULT_NETWORK).expect("a constant that is a label");
    let addresses = addresses(services.values(), &workloads, &network, &mut notes);
    let targeted = targeted(&answers, &routed);
    let mut blind = Blind::default();
    let instances = workloads
        .iter()
        .flat_map(|workload| instances(workload, &targeted, &policies, &mut blind))
        .collect();
    policies.note_blind(&blind, &mut notes);
    let services = services
        .values()
        .map(|service| {
            (
                service.name.clone(),
                Arc::new(view_of(service, &routed, &routes, &tunings, &network)),
            )
        })
        .collect();
    let mesh = Mesh {
        settings: Arc::new(everywhere.settings.clone()),
        certificate_lifetime: everywhere.certificate_lifetime,
        services,
        instances,
        answers,
        addresses,
    };
    (mesh, notes)
}

/// The network of everything that names none.
const DEFAULT_NETWORK: &str = "default";

/// What is attached to each port: by the service's own namespace (`None`), and by those of callers.
type Attached = BTreeMap<PortRef, BTreeMap<Option<Namespace>, Arc<Routes>>>;

fn routes(resources: &Resources, routed: &Routed<'_>, notes: &mut Notes) -> Attached {
    let grants = Grants::new(resources);
    let surroundings = Surroundings {
        routed,
        grants: &grants,
    };
    let mut candidates = BTreeMap::<_, Vec<Candidate<'_>>>::new();
    for route in resources.http_routes.iter() {
        for (place, matches) in attach(route, surroundings, notes) {
            candidates.entry(place).or_default().extend(matches);
        }
    }
    let mut shadows = Shadows::default();
    let mut attached = Attached::new();
    for ((port, callers), mut candidates) in candidates {
        precedence::sort(&mut candidates);
        shadows.look(&candidates);
        let routes = Arc::new(precedence::routes(&candidates));
        attached.entry(port).or_default().insert(callers, routes);
    }
    notes.extend(shadows.notes());
    attached
}

/// A port, and the namespace of the callers if only these are meant.
type Place = (PortRef, Option<Namespace>);

/// The matches of one route at each place it is attached to.
fn attach<'a>(
    route: &'a Object<HttpRouteSpec>,
    surroundings: Surroundings<'_>,
    notes: &mut Notes,
) -> Vec<(Place, Vec<Candidate<'a>>)> {
    let attached = parents::attached(route, surroundings.routed, notes);
    let calls = calls_to(route, attached.keys());
    let candidates = |role| {
        let mut notes = Notes::default();
        (
            rules::candidates(route, role, &calls, surroundings, &mut notes),
            notes,
        )
    };
    if attached.is_empty() {
        let (_, told) = candidates(Role::Producer);
        notes.extend(without_effect(told));
        return Vec::new();
    }
    let roles = attached.values().copied().collect::<BTreeSet<_>>();
    let by_role = roles.into_iter().map(|role| (role, candidates(role)));
    let by_role = by_role.collect::<BTreeMap<_, _>>();
    notes.extend(each_once(by_role.values().map(|(_, told)| told)));
    let place = |(port, role): (PortRef, Role)| {
        let callers = match role {
            Role::Producer => None,
            Role::Consumer => route.meta.namespace.clone(),
        };
        Some(((port, callers), by_role.get(&role)?.0.clone()))
    };
    attached.into_iter().filter_map(place).collect()
}

/// Findings about a route that is attached to nothing.
fn without_effect(told: Notes) -> Notes {
    let mut notes = Notes::default();
    for note in told {
        notes.push(note.in_force("nothing: the route is not attached"));
    }
    notes
}

/// What holds in every role is told once.
fn each_once<'a>(told: impl Iterator<Item = &'a Notes>) -> Notes {
    let mut notes = Notes::default();
    for note in told.flatten() {
        if !notes.iter().any(|other| other == note) {
            notes.push(note.clone());
        }
    }
    notes
}

/// `calls to cart and other/web`
fn calls_to<'a>(route: &Object<HttpRouteSpec>, ports: impl Iterator<Item = &'a PortRef>) -> String {
    let names = ports.map(|port| &port.service).collect::<BTreeSet<_>>();
    let names = names
        .into_iter()
        .map(|service| match route.meta.namespace.as_ref() {
            Some(own) if *own == service.namespace => service.name.to_string(),
            Some(_) | None => service.to_string(),
        });
    format!("calls to {}", names.collect::<Vec<_>>().join(" and "))
}

/// What services say about the ports of instances.
fn targeted(
    answers: &BTreeMap<PortRef, Vec<Answer>>,
    routed: &Routed<'_>,
) -> BTreeMap<WorkloadId, BTreeMap<u16, Targeted>> {
    let mut targeted = BTreeMap::<_, BTreeMap<_, Targeted>>::new();
    for (port, answers) in answers {
        let is_http = routed.protocol(port) == Protocol::Http;
        for answer in answers {
            let ports = targeted.entry(answer.instance.clone()).or_default();
            let targeted = ports.entry(answer.port).or_default();
            targeted.services.insert(port.service.clone());
            targeted.is_http |= is_http;
        }
    }
    targeted
}

/// All instances of a workload. What stands over their ports is the same value.
fn instances(
    workload: &Workload<'_>,
    targeted: &BTreeMap<WorkloadId, BTreeMap<u16, Targeted>>,
    policies: &access::Policies<'_>,
    blind: &mut Blind,
) -> Vec<(WorkloadId, Arc<Instance>)> {
    let Some(first) = workload.instances.first() else {
        return Vec::new();
    };
    let none = BTreeMap::new();
    let access = policies.over(workload, targeted.get(&first.id).unwrap_or(&none), blind);
    let instance = |running: &Running| {
        let workload_view = view::Workload {
            id: running.id.clone(),
            identity: workload.identity.clone(),
            network: running.network.clone(),
            addresses: running.address.into_iter().collect(),
            ports: access.ports.clone(),
            other_ports: access.others.clone(),
        };
        let instance = Instance {
            workload: Arc::new(workload_view),
            origin: workload.object.origin(""),
            locality: workload.locality.clone(),
            tunnel: None,
        };
        (running.id.clone(), Arc::new(instance))
    };
    workload.instances.iter().map(instance).collect()
}

fn view_of(
    service: &Service<'_>,
    routed: &Routed<'_>,
    attached: &Attached,
    tunings: &tuning::Policies<'_>,
    network: &Network,
) -> view::Service {
    let tuning = Arc::new(tunings.tuning(&service.name));
    let port = |(number, port): (&u16, &services::Port)| {
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
            tuning: tuning.clone(),
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
