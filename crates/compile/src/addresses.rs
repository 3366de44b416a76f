//! What addresses mean: to the same callers one owner each.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    format,
    string::ToString,
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};

use leno_model::address::reach;
use leno_model::{Code, Network, Note, Notes};
use leno_resources::Outline;

use crate::finding::{self, Complete};
use crate::mesh::{AddressOwner, Called};
use crate::services::Service;
use crate::workloads::Workload;

/// Every address with its owner, for those who mean the same by it. An address that a service has is nobody
/// else's; of two services the first by name has it. Instances may share one: their ports tell them apart.
pub(crate) fn addresses<'a>(
    services: impl Iterator<Item = &'a Service<'a>>,
    workloads: &[Workload<'_>],
    network: &Network,
    notes: &mut Notes,
) -> BTreeMap<Called, AddressOwner> {
    let mut owners = BTreeMap::new();
    for service in services {
        for address in &service.addresses {
            if let Some(object) = service.object {
                note_public(object, "/spec/clusterIP", *address, notes);
            }
            match owners.entry(Called::of(&service.name.namespace, network, *address)) {
                Entry::Vacant(free) => {
                    free.insert(AddressOwner::Service(service.name.clone()));
                }
                Entry::Occupied(taken) => notes.extend(taken_from(service, *address, taken.get())),
            }
        }
    }
    note_same_places(workloads, notes);
    for workload in workloads {
        for instance in &workload.instances {
            for address in &instance.addresses {
                note_public(workload.outline, "/spec/instances", *address, notes);
                let called = Called::of(&workload.namespace, &instance.network, *address);
                let owner = AddressOwner::give(owners.entry(called), &instance.id);
                if let AddressOwner::Service(service) = owner {
                    let message = format!("{address} is the address of Service {service}");
                    notes.push(
                        finding::error(workload.outline, "/spec/instances", Code::C122, message)
                            .in_force(format!("calls to {address} are calls to the Service")),
                    );
                }
            }
        }
    }
    owners
}

/// Adds what stands at addresses of which nothing else is known. An address that a service has stays its own.
pub(crate) fn add(owners: &mut BTreeMap<Called, AddressOwner>, workloads: &[Workload<'_>]) {
    for workload in workloads {
        for instance in &workload.instances {
            for address in &instance.addresses {
                let called = Called::of(&workload.namespace, &instance.network, *address);
                AddressOwner::give(owners.entry(called), &instance.id);
            }
        }
    }
}

/// Notes workloads of different namespaces that say to listen at the same place: at each of them, since
/// nobody can tell whose it is.
fn note_same_places(workloads: &[Workload<'_>], notes: &mut Notes) {
    let mut places = Vec::new();
    for workload in workloads {
        let addresses = workload.instances.iter();
        let addresses = addresses.flat_map(|it| it.addresses.iter().map(|at| (&it.network, at)));
        for (network, address) in addresses {
            let ports = workload.ports.keys();
            places.extend(ports.map(|port| (address.to_canonical(), *port, network, workload)));
        }
    }
    // Addresses first: most of them are one instance's alone.
    places.sort_by(|(at, port, network, _), (other, number, net, _)| {
        (at, port, network).cmp(&(other, number, net))
    });
    let here = places.chunk_by(|(at, port, network, _), (other, number, net, _)| {
        (at, port, network) == (other, number, net)
    });
    for here in here.filter(|here| here.len() > 1) {
        for (address, port, _, one) in here {
            let is_same = |other: &Workload<'_>| {
                let ours = [other, one].map(|it| reach(&it.namespace, *address));
                other.namespace != one.namespace && ours == [None, None]
            };
            let other = here.iter().map(|(.., other)| *other);
            let Some(other) = other.into_iter().find(|other| is_same(other)) else {
                continue;
            };
            let message = format!(
                "{} is where {} listens, too",
                SocketAddr::new(*address, *port),
                other.outline.reference()
            );
            notes.push(
                finding::error(one.outline, "/spec/instances", Code::C122, message).in_force(
                    "calls to the address alone go to one of the two; by name, each gets its own",
                ),
            );
        }
    }
}

/// Notes that only callers of its own namespace come by an address to what `object` declares there.
fn note_public<'a>(
    object: impl Into<Outline<'a>>,
    pointer: &str,
    address: IpAddr,
    notes: &mut Notes,
) {
    let object = object.into();
    let namespace = finding::namespace(object);
    if reach(&namespace, address).is_none() {
        return;
    }
    let message = format!(
        "{address} is of no private network, so that others may mean what is outside the mesh"
    );
    let suggestion = "others call it by name; what stands in leno-system is for all namespaces";
    let note = finding::information(object, pointer, Code::C191, message);
    notes.push(note.suggest(Some(suggestion.to_string())).in_force(format!(
        "calls of {namespace} to the address come to it; those of other namespaces leave the mesh"
    )));
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
