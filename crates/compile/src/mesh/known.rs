//! A mesh as far as the proxies know it that were asked: the views by which they decide, put together
//! again.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use leno_model::view::{Access, Endpoint, Locality, Settings, View, Workload, WorkloadId};
use leno_model::{ObjectRef, Origin, SpiffeId};

use super::{AddressOwner, Answer, Called, Instance, Mesh};
use crate::ca::Ca;
use crate::everywhere::LIFETIMES;

/// What one proxy, and others for their own workloads, know of a mesh.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// The mesh. What no proxy needs is not in it: how long certificates live is the default.
    pub mesh: Mesh,
    /// The instances of which only the place is known: what their proxies would say nobody can tell.
    pub unasked: BTreeSet<WorkloadId>,
}

impl Known {
    /// The mesh by which the proxy decides that has `view`. The views of `neighbours` say what
    /// stands over their workloads.
    pub fn of(view: &View, neighbours: &[Arc<View>]) -> Self {
        let mut mesh = Mesh {
            settings: view.settings.clone(),
            lifetimes: LIFETIMES,
            token_issuers: BTreeMap::new(),
            administration: Arc::default(),
            ca: Ca::Own,
            peers: BTreeMap::new(),
            services: Arc::new(view.services.clone()),
            instances: Arc::default(),
            nodes: Arc::default(),
            sidecars: Arc::default(),
            taking_part: Arc::default(),
            answers: Arc::default(),
            addresses: Arc::default(),
            unaddressed: BTreeSet::new(),
            by_address: Arc::default(),
            by_block: Arc::default(),
            revoked: view.revoked.clone(),
        };
        let asked = neighbours.iter().map(AsRef::as_ref);
        for workload in asked.chain([view]).flat_map(|view| view.workloads.values()) {
            let instance = Arc::new(instance(workload.clone()));
            Arc::make_mut(&mut mesh.instances).insert(workload.id.clone(), instance);
        }
        let mut unasked = BTreeSet::new();
        for (port, slices) in &view.endpoints {
            let mut answers = BTreeSet::new();
            for endpoint in slices.iter().flat_map(|slice| slice.endpoints()) {
                mesh.stands_at(endpoint, &mut unasked);
                answers.insert(Answer {
                    instance: endpoint.workload.clone(),
                    port: endpoint.address.port(),
                    state: endpoint.state,
                });
            }
            let answers = answers.into_iter().collect();
            Arc::make_mut(&mut mesh.answers).insert(port.clone(), answers);
        }
        mesh.addresses = Arc::new(addresses(&mesh));
        Self { mesh, unasked }
    }
}

impl Mesh {
    /// Notes where the workload of an endpoint is; one whose own proxy was not asked is `unasked`.
    fn stands_at(&mut self, endpoint: &Endpoint, unasked: &mut BTreeSet<WorkloadId>) {
        let id = &endpoint.workload;
        let instances = Arc::make_mut(&mut self.instances);
        let known = instances.entry(id.clone()).or_insert_with(|| {
            unasked.insert(id.clone());
            Arc::new(instance(Arc::new(Workload {
                id: id.clone(),
                identity: identity(endpoint, &self.settings),
                network: endpoint.network.clone(),
                addresses: Vec::new(),
                ports: BTreeMap::new(),
                other_ports: Arc::new(Access::open()),
                isolation: None,
                outbound: Arc::default(),
                telemetry: Arc::default(),
                processes: Arc::default(),
                pod: None,
                probes: Arc::default(),
            })))
        });
        let known = Arc::make_mut(known);
        known.tunnel = endpoint.tunnel;
        known.locality.clone_from(&endpoint.locality);
        if !known.workload.addresses.contains(&endpoint.address.ip()) {
            let workload = Arc::make_mut(&mut known.workload);
            workload.addresses.push(endpoint.address.ip());
        }
    }
}

/// An instance of which views say nothing but what its proxy knows. Which `MeshWorkload` it belongs to
/// is not among that: it counts as one of its own.
fn instance(workload: Arc<Workload>) -> Instance {
    let WorkloadId { namespace, name } = workload.id.clone();
    Instance {
        of: name.clone(),
        workload,
        origin: Origin {
            object: Arc::new(ObjectRef {
                kind: "MeshWorkload".into(),
                namespace: Some(namespace),
                name,
            }),
            pointer: "".into(),
            place: None,
        },
        locality: Locality::default(),
        tunnel: None,
        tokens: Arc::default(),
        takes_proxy: true,
    }
}

/// Who an endpoint may prove to be. One that proves nothing is called by its name.
fn identity(endpoint: &Endpoint, settings: &Settings) -> SpiffeId {
    let WorkloadId { namespace, name } = endpoint.workload.clone();
    let proven = endpoint.identities.first().cloned();
    proven.unwrap_or_else(|| SpiffeId {
        trust_domain: settings.trust_domain.clone(),
        namespace,
        service_account: name,
    })
}

/// What addresses mean: those of services before those of instances.
fn addresses(mesh: &Mesh) -> BTreeMap<Called, AddressOwner> {
    let mut owners = BTreeMap::new();
    for service in mesh.services.values() {
        for (network, address) in &service.addresses {
            let owner = AddressOwner::Service(service.name.clone());
            let called = Called::of(&service.name.namespace, network, *address);
            owners.entry(called).or_insert(owner);
        }
    }
    for Instance { workload, .. } in mesh.instances.values().map(AsRef::as_ref) {
        for address in &workload.addresses {
            let called = Called::of(&workload.id.namespace, &workload.network, *address);
            let owner = owners.entry(called);
            let owner = owner.or_insert_with(|| AddressOwner::Instances([].into()));
            owner.add(&workload.id);
        }
    }
    owners
}
