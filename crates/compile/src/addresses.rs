//! What addresses mean: one owner each.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    format,
};
use core::net::IpAddr;

use leno_model::{Code, Network, Note, Notes};

use crate::finding::{self, Complete};
use crate::mesh::AddressOwner;
use crate::services::Service;
use crate::workloads::Workload;

/// Every address with its owner. An address that a service has is nobody else's; of two services
/// the first by name has it. Instances may share one: their ports tell them apart.
pub(crate) fn addresses<'a>(
    services: impl Iterator<Item = &'a Service<'a>>,
    workloads: &[Workload<'_>],
    network: &Network,
    notes: &mut Notes,
) -> BTreeMap<(Network, IpAddr), AddressOwner> {
    let mut owners = BTreeMap::new();
    for service in services {
        for address in &service.addresses {
            match owners.entry((network.clone(), *address)) {
                Entry::Vacant(free) => {
                    free.insert(AddressOwner::Service(service.name.clone()));
                }
                Entry::Occupied(taken) => notes.extend(taken_from(service, *address, taken.get())),
            }
        }
    }
    for workload in workloads {
        for instance in &workload.instances {
            let Some(address) = instance.address else {
                continue;
            };
            let owner = owners
                .entry((instance.network.clone(), address))
                .or_insert_with(|| AddressOwner::Instances([].into()));
            match owner {
                AddressOwner::Instances(instances) => instances.push(instance.id.clone()),
                AddressOwner::Service(service) => {
                    let message = format!("{address} is the address of Service {service}");
                    notes.push(
                        finding::error(workload.object, "/spec/instances", Code::C122, message)
                            .in_force(format!("calls to {address} are calls to the Service")),
                    );
                }
            }
        }
    }
    owners
}

fn taken_from(service: &Service<'_>, address: IpAddr, owner: &AddressOwner) -> Notes {
    let mut notes = Notes::default();
    if let (Some(object), AddressOwner::Service(owner)) = (service.object, owner) {
        let message = format!("{address} is the address of Service {owner}");
        let note: Note = finding::error(object, "/spec/clusterIP", Code::C122, message);
        notes.push(note.in_force(format!("calls to {address} go to {owner}")));
    }
    notes
}
