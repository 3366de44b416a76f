//! What is so of one service, of all that is in force.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use leno_admin::{
    EndpointState, Failure, Served, ServedAccess, ServedEndpoint, ServedPort, ServedRule,
    ServiceLine, ServiceOf, Services, Share,
};
use leno_compile::{Answer, Instance};
use leno_model::origin::RouteName;
use leno_model::view::{
    Action, Backend, Locality, PortRef, Routes, Service, ServicePort, State, WorkloadId,
};
use leno_model::{Name, Origin, ServiceName, Wall};

use crate::administer::{away, namespace, status};
use crate::center::Center;
use crate::edition::Edition;
use crate::items;

/// All services.
pub(crate) fn services(center: &Center) -> Services {
    let edition = center.edition();
    let known = Known::of(center, &edition);
    let services = edition.mesh.services.iter().map(|(name, service)| {
        let ports: Vec<_> = known.ports(name, service).collect();
        let endpoints = || ports.iter().flat_map(|port| &port.endpoints);
        let is_ready = |one: &&ServedEndpoint| one.state == EndpointState::Ready;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let told = ports
            .iter()
            .map(|port| format!("{} {}", port.port, port.protocol));
        ServiceLine {
            service: name.to_string(),
            place: place(service),
            ports: told.collect(),
            rules: count(ports.iter().map(|port| port.rules.len()).sum()),
            endpoints: count(endpoints().count()),
            ready: count(endpoints().filter(is_ready).count()),
        }
    });
    Services {
        status: status(center),
        services: services.collect(),
    }
}

/// The service that is called so.
pub(crate) fn served(center: &Center, ask: &ServiceOf) -> Result<Served, Failure> {
    let edition = center.edition();
    let name = named(ask)?;
    let Some(service) = edition.mesh.services.get(&name) else {
        return Err(Failure {
            advice: Some("leno check".to_owned()),
            ..Failure::plain(format_args!("there is no service {name}"))
        });
    };
    let known = Known::of(center, &edition);
    let addresses = service.addresses.iter().map(|(_, ip)| ip.to_string());
    Ok(Served {
        status: status(center),
        service: name.to_string(),
        place: place(service),
        addresses: addresses.collect(),
        ports: known.ports(&name, service).collect(),
    })
}

fn named(ask: &ServiceOf) -> Result<ServiceName, Failure> {
    let (of, name) = match ask.name.split_once('/') {
        Some((of, name)) => (of, name),
        None => (ask.namespace.as_str(), ask.name.as_str()),
    };
    Ok(ServiceName {
        namespace: namespace(of)?,
        name: Name::new(name).map_err(Failure::plain)?,
    })
}

/// What is known of those who answer.
struct Known<'a> {
    edition: &'a Edition,
    /// Those whose proxy is not connected, and since when.
    away: BTreeMap<WorkloadId, Option<Wall>>,
}

/// Where a service is written.
fn place(service: &Service) -> Option<String> {
    service.origin.as_ref().map(Origin::to_string)
}

impl<'a> Known<'a> {
    fn of(center: &Center, edition: &'a Edition) -> Self {
        let members = center.fleet.members().into_iter();
        let members: Vec<_> = members.map(|(_, member)| member).collect();
        Self {
            edition,
            away: away(center, &members)
                .into_iter()
                .map(|away| (away.workload, away.since))
                .collect(),
        }
    }

    fn ports(&self, name: &ServiceName, service: &Service) -> impl Iterator<Item = ServedPort> {
        service.ports.iter().map(|(number, port)| {
            let at = PortRef {
                service: name.clone(),
                port: *number,
            };
            self.port(&at, port)
        })
    }

    fn port(&self, at: &PortRef, port: &ServicePort) -> ServedPort {
        let answered = self.edition.mesh.answered(at);
        let producer = port.producer.iter().flat_map(|all| rules(all, None));
        let consumers = port
            .consumers
            .iter()
            .flat_map(|(namespace, all)| rules(all, Some(namespace.to_string())));
        ServedPort {
            port: at.port,
            name: port.name.as_ref().map(ToString::to_string),
            protocol: port.protocol.to_string(),
            rules: producer.chain(consumers).collect(),
            endpoints: answered
                .flat_map(|(instance, answer)| self.endpoints(instance, answer))
                .collect(),
            limits: items::tuning(&port.tuning),
            access: access(self.edition.mesh.answering(at)),
        }
    }

    /// One for each address of an instance, or one without.
    fn endpoints(&self, instance: &Instance, answer: &Answer) -> Vec<ServedEndpoint> {
        let workload = &instance.workload;
        let (state, why, since) = self.judge(instance, answer.state);
        let endpoint = |address: Option<String>| ServedEndpoint {
            workload: workload.id.to_string(),
            address,
            state,
            why: why.clone(),
            since: since.map(|since| since.to_string()),
            identity: instance.tunnel.map(|_| workload.identity.to_string()),
            locality: locality(&instance.locality),
        };
        let addresses = workload.addresses.iter();
        let addresses = addresses.map(|ip| SocketAddr::new(*ip, answer.port).to_string());
        let told: Vec<_> = addresses.map(|address| endpoint(Some(address))).collect();
        match told.is_empty() {
            true => vec![endpoint(None)],
            false => told,
        }
    }

    fn judge(&self, instance: &Instance, state: State) -> (EndpointState, String, Option<Wall>) {
        let workload = &instance.workload;
        if self.edition.trusted.revoked.contains(&workload.identity) {
            let why = "its identity is refused: leno certs revoke".to_owned();
            return (EndpointState::Revoked, why, None);
        }
        if workload.addresses.is_empty() {
            let why = "it has not been started, or nobody said where it is".to_owned();
            return (EndpointState::Unplaced, why, None);
        }
        if let Some(since) = self.away.get(&workload.id) {
            let why = "its proxy is not connected; it is called where it last took calls";
            return (EndpointState::Away, why.to_owned(), *since);
        }
        if state != State::Ready {
            let why = "it ends, or nobody hears of its node: it is called if nobody is ready";
            return (EndpointState::Spare, why.to_owned(), None);
        }
        let why = match instance.tunnel {
            Some(tunnel) => format!("its proxy takes calls at {tunnel}, encrypted"),
            None => "no proxy of it has reported: it is called in plain".to_owned(),
        };
        (EndpointState::Ready, why, None)
    }
}

/// The rules of `routes`, for callers in a namespace or for all.
fn rules(routes: &Routes, callers: Option<String>) -> Vec<ServedRule> {
    let told = routes
        .rules
        .iter()
        .enumerate()
        .map(|(index, rule)| ServedRule {
            route: RouteName(&rule.origin).to_string(),
            name: rule.name.as_ref().map(ToString::to_string),
            place: rule.origin.to_string(),
            callers: callers.clone(),
            matches: items::matches_of(routes, index),
            action: items::action(&rule.action),
            shares: shares(&rule.action),
            limits: items::limits(rule),
        });
    told.collect()
}

fn shares(action: &Action) -> Vec<Share> {
    let Action::Forward(split) = action else {
        return Vec::new();
    };
    let parts = split.parts().iter().map(|part| {
        let (to, wrong) = match &part.backend {
            Backend::Service(to) => (Some(to), None),
            Backend::Invalid(code) => (None, Some(format!("{code} {}", code.slug()))),
        };
        Share {
            backend: to.map(|to| to.service.to_string()),
            port: to.map(|to| to.port),
            weight: part.weight,
            of: split.total().get(),
            place: part.origin.as_ref().map(Origin::to_string),
            wrong,
        }
    });
    parts.collect()
}

/// Who may call whom of those who answer; those of whom the same is said, together.
fn access<'a>(answering: impl Iterator<Item = (&'a Arc<Instance>, u16)>) -> Vec<ServedAccess> {
    let mut told = Vec::<ServedAccess>::new();
    for (instance, port) in answering {
        let workload = &instance.workload;
        let access = workload
            .ports
            .get(&port)
            .map_or(&workload.other_ports, |port| &port.access);
        let rules = items::access(access);
        let name = workload.id.to_string();
        let same = told
            .iter_mut()
            .find(|one| one.port == port && one.rules == rules);
        match same {
            Some(same) => same.workloads.push(name),
            None => told.push(ServedAccess {
                workloads: vec![name],
                port,
                rules,
            }),
        }
    }
    told
}

/// `eu-1 / eu-1a / node-7`.
fn locality(locality: &Locality) -> Option<String> {
    let parts = [&locality.region, &locality.zone, &locality.node];
    let parts: Vec<_> = parts.into_iter().flatten().map(|part| &**part).collect();
    (!parts.is_empty()).then(|| parts.join(" / "))
}
