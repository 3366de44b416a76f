//! A configuration, ready to be asked about calls.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use leno_compile::{Instance, Mesh, ViewOf};
use leno_model::view::{Access, Isolation, PortRef, WorkloadId};
use leno_model::{Network, SpiffeId};
use leno_traffic::{Scope, Table};

/// A configuration, ready to be asked about calls.
pub struct Ground<'m> {
    pub(crate) mesh: &'m Mesh,
    /// What all proxies together decide by.
    pub(crate) table: Table,
    /// The instances of each service account, as `namespace/account`.
    identities: BTreeMap<String, Vec<WorkloadId>>,
    answering: BTreeMap<PortRef, Vec<Receiver<'m>>>,
}

/// Instances that would all say the same.
#[derive(Clone, Debug)]
pub(crate) struct Receiver<'m> {
    /// One of them.
    pub(crate) workload: WorkloadId,
    /// The port it listens on.
    pub(crate) port: u16,
    /// Where it is called in plain, for want of a proxy in front of it.
    pub(crate) in_plain: Option<SocketAddr>,
    /// How many there are.
    pub(crate) alike: usize,
    /// What stands over the port.
    pub(crate) access: &'m Arc<Access>,
    /// What stands over all its ports.
    pub(crate) isolation: Option<&'m Arc<Isolation>>,
}

impl<'m> Ground<'m> {
    /// Takes the mesh with what its proxies report.
    pub fn new(mesh: &'m Mesh) -> Self {
        let all = mesh.instances.keys().cloned().collect();
        let view = mesh.view(ViewOf { workloads: &all });
        let mut identities = BTreeMap::<_, Vec<_>>::new();
        for (id, instance) in mesh.instances.iter() {
            let of = party(&instance.workload.identity);
            identities.entry(of).or_default().push(id.clone());
        }
        let answering = mesh.answers.keys().map(|port| {
            let receivers = receivers(mesh.answering(port));
            (port.clone(), receivers)
        });
        Self {
            answering: answering.collect(),
            table: Table::new(Arc::new(view), Scope::Whole),
            identities,
            mesh,
        }
    }

    /// Who answers for a port of a service.
    pub(crate) fn answering(&self, port: &PortRef) -> &[Receiver<'m>] {
        self.answering.get(port).map_or(&[], Vec::as_slice)
    }

    /// What the instances of a service account say on one of their ports.
    pub(crate) fn of_identity(&self, party: &str, port: u16) -> Vec<Receiver<'m>> {
        let ids = self.identities.get(party).into_iter().flatten();
        let instances = ids.filter_map(|id| self.mesh.instances.get(id));
        receivers(instances.map(|instance| (instance, port)))
    }

    /// The instances of a service account, as `namespace/account`.
    pub(crate) fn instances_of(&self, party: &str) -> &[WorkloadId] {
        self.identities.get(party).map_or(&[], Vec::as_slice)
    }

    /// Where the instances of a service account are.
    pub(crate) fn addresses(&self, id: &SpiffeId) -> impl Iterator<Item = IpAddr> {
        let ids = self.identities.get(&party(id)).into_iter().flatten();
        let instances = ids.filter_map(|id| self.mesh.instances.get(id));
        // Somebody of another mesh may be called as one of ours.
        let instances = instances.filter(|instance| instance.workload.identity == *id);
        instances.flat_map(|instance| instance.workload.addresses.iter().copied())
    }

    /// The workload that has an address.
    pub(crate) fn workload_at(&self, address: IpAddr) -> Option<&WorkloadId> {
        let network = Network::default_network();
        let instance = self.mesh.instance_at(&network, address)?;
        Some(&instance.workload.id)
    }
}

/// `shop/web`, as flows name it.
fn party(id: &SpiffeId) -> String {
    format!("{}/{}", id.namespace, id.service_account)
}

fn receivers<'i>(instances: impl Iterator<Item = (&'i Arc<Instance>, u16)>) -> Vec<Receiver<'i>> {
    let mut receivers = Vec::<Receiver<'_>>::new();
    for (instance, port) in instances {
        let workload = &instance.workload;
        let declared = workload.ports.get(&port);
        let access = declared.map_or(&workload.other_ports, |declared| &declared.access);
        let address = match instance.tunnel {
            Some(_) => None,
            None => workload.addresses.first().copied(),
        };
        let in_plain = address.map(|ip| SocketAddr::new(ip, port));
        let alike = receivers.iter_mut().find(|known| {
            known.port == port
                && known.in_plain == in_plain
                && known.isolation == workload.isolation.as_ref()
                && (Arc::ptr_eq(known.access, access) || known.access == access)
        });
        match alike {
            Some(known) => known.alike += 1,
            None => receivers.push(Receiver {
                workload: workload.id.clone(),
                port,
                in_plain,
                alike: 1,
                access,
                isolation: workload.isolation.as_ref(),
            }),
        }
    }
    receivers
}
