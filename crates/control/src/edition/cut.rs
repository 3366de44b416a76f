//! A service and all that comes with it, as proxies are told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use leno_compile::Mesh;
use leno_model::view::{Action, Backend, PortRef, Routes, Service, ServicePort};
use leno_model::{Namespace, ServiceName};
use leno_wire::{Encoded, Part, PartName};

use super::encoded;

/// How many sets of callers are remembered of a service, with what it is to them.
const MOST_NARROWED: usize = 64;

/// A service, who answers for it, and both as bytes once somebody has wanted them.
#[derive(Debug)]
pub(super) struct Cut {
    service: Arc<Service>,
    whole: OnceLock<(PartName, Encoded)>,
    /// The namespaces whose callers have routes of their own.
    consumers: BTreeSet<Namespace>,
    /// The services that its routes may lead to.
    pub(super) leads_to: BTreeSet<ServiceName>,
    endpoints: OnceLock<Vec<(PartName, Encoded)>>,
    /// The service without the consumer routes of others, by the callers' namespaces.
    narrowed: Mutex<BTreeMap<Vec<Namespace>, Encoded>>,
}

impl Cut {
    /// A service, others answering for it than `before`, or with other routes.
    pub(super) fn of(service: &Arc<Service>, before: Option<&Self>) -> Self {
        let same = before.filter(|before| Arc::ptr_eq(&before.service, service));
        let ports = || service.ports.values();
        Self {
            service: service.clone(),
            whole: same.map(|same| same.whole.clone()).unwrap_or_default(),
            consumers: ports()
                .flat_map(|port| port.consumers.keys().cloned())
                .collect(),
            leads_to: ports().flat_map(routes).flat_map(backends).collect(),
            endpoints: OnceLock::new(),
            narrowed: Mutex::default(),
        }
    }

    /// Those who answer for it in `mesh`, which it was made for, or is the same as in that.
    pub(super) fn endpoints(&self, mesh: &Mesh) -> &[(PartName, Encoded)] {
        self.endpoints.get_or_init(|| {
            let ports = self.service.ports.keys().map(|port| PortRef {
                service: self.service.name.clone(),
                port: *port,
            });
            let parts = ports.flat_map(|port| {
                let slices = (0u32..).zip(mesh.slices(&port));
                slices.map(move |(index, slice)| Part::Endpoints {
                    port: port.clone(),
                    index,
                    slice,
                })
            });
            parts.map(encoded).collect()
        })
    }

    /// The service with the consumer routes of `callers` and of nobody else.
    pub(super) fn as_seen_from(&self, callers: &BTreeSet<&Namespace>) -> (PartName, Encoded) {
        let whole = || encoded(Part::Service(self.service.clone()));
        let (name, whole) = self.whole.get_or_init(whole);
        let mut consumers = self.consumers.iter();
        if consumers.all(|namespace| callers.contains(namespace)) {
            return (name.clone(), whole.clone());
        }
        let seen = self
            .consumers
            .iter()
            .filter(|namespace| callers.contains(namespace));
        let mut narrowed = self.narrowed.lock().unwrap_or_else(PoisonError::into_inner);
        let encode = || {
            let mut service = Service::clone(&self.service);
            for port in service.ports.values_mut() {
                port.consumers
                    .retain(|namespace, _| callers.contains(namespace));
            }
            Encoded::new(Part::Service(Arc::new(service)).encode())
        };
        let seen: Vec<_> = seen.cloned().collect();
        if narrowed.len() >= MOST_NARROWED && !narrowed.contains_key(&seen) {
            narrowed.pop_first();
        }
        (
            name.clone(),
            narrowed.entry(seen).or_insert_with(encode).clone(),
        )
    }
}

fn routes(port: &ServicePort) -> impl Iterator<Item = &Arc<Routes>> {
    port.producer.iter().chain(port.consumers.values())
}

fn backends(routes: &Arc<Routes>) -> BTreeSet<ServiceName> {
    let mut names = BTreeSet::new();
    for rule in &routes.rules {
        let Action::Forward(split) = &rule.action else {
            continue;
        };
        let of_parts = split.parts().iter().flat_map(|part| &part.mirrors);
        let mirrors = rule.mirrors.iter().chain(of_parts);
        names.extend(mirrors.map(|mirror| mirror.to.service.clone()));
        for part in split.parts() {
            if let Backend::Service(port) = &part.backend {
                names.insert(port.service.clone());
            }
        }
    }
    names
}
