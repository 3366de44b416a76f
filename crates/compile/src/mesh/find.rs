//! Finding things by the names that people and applications use.

use alloc::{format, string::String, string::ToString, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_model::view::{PortRef, Service, WorkloadId};
use leno_model::{Name, Namespace, Network, ServiceName, near};

use super::{AddressOwner, Called, Instance, Mesh};

/// What a host of a URL, or an address, leads to.
#[derive(Clone, Debug)]
pub enum Destination<'a> {
    /// A service: its routes apply.
    Service(&'a Arc<Service>),
    /// One instance, by its own address: no service's routes apply.
    Instance(&'a Arc<Instance>),
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {what} {name} in {place}")]
pub struct NotFound {
    /// What was looked for: `Service`, `workload`, `address`.
    pub what: &'static str,
    /// The name that was looked for.
    pub name: String,
    /// The namespace or network in which it was looked for.
    pub place: String,
    /// What was probably meant: `did you mean web?`.
    pub suggestion: Option<String>,
}

impl Mesh {
    /// The instance that `name` or `namespace/name` means: an instance's own name, else the first
    /// instance of the workload of that name, a `MeshWorkload` or what controls pods. Without a namespace it is looked for in `home`.
    pub fn workload(&self, text: &str, home: &Namespace) -> Result<&Arc<Instance>, NotFound> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (namespace, name),
            None => (home.as_str(), text),
        };
        self.instance_named(namespace, name)
            .ok_or_else(|| NotFound {
                what: "workload",
                name: name.to_string(),
                place: namespace.to_string(),
                suggestion: self.nearest_workload(namespace, name),
            })
    }

    /// The service that a host name means to a caller in `namespace`, with the search that a pod's
    /// resolver makes: `cart`, `cart.shop`, `cart.shop.svc`, `cart.shop.svc.cluster.local`. A name
    /// with a dot at its end is complete and is not searched.
    pub fn service(&self, host: &str, namespace: &Namespace) -> Option<&Arc<Service>> {
        let host = host.to_ascii_lowercase();
        let (host, searched) = match host.strip_suffix('.') {
            Some(complete) => (complete, false),
            None => (host.as_str(), true),
        };
        let parts = host.split('.').collect::<Vec<_>>();
        let name = match parts.as_slice() {
            [name, namespace, "svc", "cluster", "local"] => service_name(name, namespace),
            [name, namespace, "svc"] | [name, namespace] if searched => {
                service_name(name, namespace)
            }
            [name] if searched => service_name(name, namespace.as_str()),
            _ => None,
        };
        self.services.get(&name?)
    }

    /// The first instance that has an address, whose callers ever mean it by that.
    pub fn instance_at(&self, network: &Network, address: IpAddr) -> Option<&Arc<Instance>> {
        let first = Called {
            network: network.clone(),
            address: address.to_canonical(),
            by: None,
        };
        let here = self.addresses.range(&first..);
        let here = here.take_while(|(called, _)| {
            called.network == first.network && called.address == first.address
        });
        let mut ids = here.flat_map(|(_, owner)| match owner {
            AddressOwner::Service(_) => &[],
            AddressOwner::Instances(ids) => &**ids,
        });
        ids.find_map(|id| self.instances.get(id))
    }

    /// Who has an address for callers of a namespace and, where several instances share it, listens on `port`.
    fn at(
        &self,
        namespace: &Namespace,
        network: &Network,
        address: IpAddr,
        port: u16,
    ) -> Option<Destination<'_>> {
        let owner = |by| {
            self.addresses.get(&Called {
                network: network.clone(),
                address: address.to_canonical(),
                by,
            })
        };
        match owner(Some(namespace.clone())).or_else(|| owner(None))? {
            AddressOwner::Service(name) => self.services.get(name).map(Destination::Service),
            AddressOwner::Instances(ids) => {
                let instances = || ids.iter().filter_map(|id| self.instances.get(id));
                instances()
                    .find(|instance| instance.workload.ports.contains_key(&port))
                    .or_else(|| instances().next())
                    .map(Destination::Instance)
            }
        }
    }

    /// What the host of a URL means to `caller`'s namespace and network: a name or an address.
    pub fn destination(
        &self,
        host: &str,
        port: u16,
        namespace: &Namespace,
        network: &Network,
    ) -> Result<Destination<'_>, NotFound> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            let found = self.at(namespace, network, address, port);
            return found.ok_or_else(|| NotFound {
                what: "address",
                name: address.to_string(),
                place: network.to_string(),
                suggestion: None,
            });
        }
        let found = self.service(host, namespace).map(Destination::Service);
        let found = found.or_else(|| self.member(host, namespace).map(Destination::Instance));
        found.ok_or_else(|| self.no_service(host, namespace))
    }

    /// The member of a StatefulSet that a host name below that of a headless service means:
    /// `cart-0.cart.shop.svc.cluster.local`.
    fn member(&self, host: &str, namespace: &Namespace) -> Option<&Arc<Instance>> {
        let (name, service) = host.split_once('.')?;
        let service = self.service(service, namespace)?;
        if !service.addresses.is_empty() || self.unaddressed.contains(&service.name) {
            return None;
        }
        let id = WorkloadId {
            namespace: service.name.namespace.clone(),
            name: Name::new(&name.to_ascii_lowercase()).ok()?,
        };
        let instance = self.instances.get(&id)?;
        let number = id.name.as_str().strip_prefix(instance.of.as_str())?;
        number.strip_prefix('-')?.parse::<u32>().ok()?;
        let is_behind = service.ports.keys().any(|port| {
            let port = PortRef {
                service: service.name.clone(),
                port: *port,
            };
            let answers = self.answers.get(&port).into_iter().flatten();
            answers.into_iter().any(|answer| answer.instance == id)
        });
        is_behind.then_some(instance)
    }

    fn no_service(&self, host: &str, namespace: &Namespace) -> NotFound {
        let (name, place) = match host.split('.').collect::<Vec<_>>().as_slice() {
            _ if host.ends_with('.') => (host, namespace.as_str()),
            [name] => (*name, namespace.as_str()),
            [name, place, rest @ ..] if rest.is_empty() || rest.starts_with(&["svc"]) => {
                (*name, *place)
            }
            _ => (host, namespace.as_str()),
        };
        let complete = host
            .strip_suffix('.')
            .filter(|name| self.service(name, namespace).is_some());
        NotFound {
            what: "Service",
            name: name.to_string(),
            place: place.to_string(),
            suggestion: complete
                .map(|name| format!("did you mean {name}?"))
                .or_else(|| self.nearest_service(name, place)),
        }
    }

    fn instance_named(&self, namespace: &str, name: &str) -> Option<&Arc<Instance>> {
        let namespace = Namespace::new(namespace).ok()?;
        let name = Name::new(name).ok()?;
        let id = WorkloadId { namespace, name };
        self.instances.get(&id).or_else(|| {
            let of = |instance: &&Arc<Instance>| {
                instance.of == id.name && instance.workload.id.namespace == id.namespace
            };
            self.instances.values().find(of)
        })
    }

    fn nearest_workload(&self, namespace: &str, name: &str) -> Option<String> {
        let here = self
            .instances
            .keys()
            .filter(|id| id.namespace.as_str() == namespace);
        let elsewhere = || self.instances.keys().find(|id| id.name.as_str() == name);
        near::did_you_mean(name, here.map(|id| id.name.as_str()))
            .or_else(|| elsewhere().map(|id| format!("did you mean {id}?")))
    }

    fn nearest_service(&self, name: &str, namespace: &str) -> Option<String> {
        let here = self
            .services
            .keys()
            .filter(|id| id.namespace.as_str() == namespace);
        let elsewhere = || self.services.keys().find(|id| id.name.as_str() == name);
        near::did_you_mean(name, here.map(|id| id.name.as_str()))
            .or_else(|| elsewhere().map(|id| format!("did you mean {}.{}?", id.name, id.namespace)))
    }
}

fn service_name(name: &str, namespace: &str) -> Option<ServiceName> {
    Some(ServiceName::new(
        Namespace::new(namespace).ok()?,
        Name::new(name).ok()?,
    ))
}
