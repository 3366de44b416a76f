//! The part of a mesh that one proxy needs.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::net::SocketAddr;
use core::num::NonZeroU32;

use leno_model::view::{
    Endpoint, EndpointSlice, Generation, PortRef, Service, Settings, View, WorkloadId,
};
use leno_model::{Name, Namespace};

use super::{Answer, Instance, Mesh};

/// Whose view it is.
#[derive(Clone, Copy, Debug)]
pub struct ViewOf<'a> {
    /// The instances the proxy stands in front of: one for a sidecar, many on a node.
    pub workloads: &'a BTreeSet<WorkloadId>,
}

impl Mesh {
    /// What a proxy decides by: the instances it stands in front of, every service they may call,
    /// and of the consumer routes those of their own namespaces.
    ///
    /// The generation is the first, and no root is trusted: the control plane, which knows these, sets
    /// them.
    pub fn view(&self, of: ViewOf<'_>) -> View {
        let callers = of.workloads.iter().map(|id| &id.namespace).collect();
        let workloads = of
            .workloads
            .iter()
            .filter_map(|id| Some((id.clone(), self.instances.get(id)?.workload.clone())))
            .collect::<BTreeMap<_, _>>();
        let instances = of.workloads.iter();
        let instances = instances.filter_map(|id| self.instances.get(id));
        View {
            generation: Generation::default(),
            settings: self.settings_of(instances),
            workloads,
            sidecars: BTreeMap::new(),
            services: self
                .services
                .iter()
                .map(|(name, service)| (name.clone(), as_seen_from(service, &callers)))
                .collect(),
            endpoints: self
                .answers
                .keys()
                .map(|port| (port.clone(), self.slices(port)))
                .collect(),
            revoked: self.revoked.clone(),
            bundles: BTreeMap::new(),
            token_keys: BTreeMap::new(),
        }
    }

    /// What holds everywhere, as those proxies know it that stand in front of `instances`.
    pub fn settings_of<'a>(
        &self,
        mut instances: impl Iterator<Item = &'a Arc<Instance>>,
    ) -> Arc<Settings> {
        let mut settings = self.settings.clone();
        if instances.any(|it| !it.workload.outbound.is_unsaid()) {
            Arc::make_mut(&mut settings).outbound_is_ruled = true;
        }
        settings
    }

    /// What holds everywhere, with what the proxies of nodes need beside it to judge pods while nobody answers.
    pub fn settings_of_nodes(&self, mut settings: Arc<Settings>) -> Arc<Settings> {
        let is_told = self.taking_part.len() <= Settings::MOST_TAKING_PART;
        let told = is_told.then(|| Arc::clone(&self.taking_part));
        Arc::make_mut(&mut settings).taking_part = told;
        settings
    }

    /// Who answers for a service port, as callers know it.
    pub fn slices(&self, port: &PortRef) -> Vec<Arc<EndpointSlice>> {
        let endpoints = self
            .answered(port)
            .flat_map(|(instance, answer)| endpoints(instance, answer))
            .collect::<Vec<_>>();
        endpoints
            .chunks(EndpointSlice::MOST)
            .filter_map(|chunk| EndpointSlice::new(chunk.to_vec()))
            .map(Arc::new)
            .collect()
    }
}

/// The service without the consumer routes of others. A service without any stays the same value,
/// so that equal parts of two views are shared.
fn as_seen_from(service: &Arc<Service>, callers: &BTreeSet<&Namespace>) -> Arc<Service> {
    let is_foreign = |namespace: &&Namespace| !callers.contains(*namespace);
    let consumers = service
        .ports
        .values()
        .flat_map(|port| port.consumers.keys());
    if !consumers
        .into_iter()
        .any(|namespace| is_foreign(&namespace))
    {
        return service.clone();
    }
    let mut service = Service::clone(service);
    for port in service.ports.values_mut() {
        port.consumers
            .retain(|namespace, _| !is_foreign(&namespace));
    }
    Arc::new(service)
}

/// One endpoint for each address; none for an instance whose address is not known yet.
fn endpoints(instance: &Instance, answer: &Answer) -> impl Iterator<Item = Endpoint> {
    let workload = &instance.workload;
    workload.addresses.iter().map(move |address| Endpoint {
        workload: workload.id.clone(),
        cluster: Name::new(CLUSTER).expect("a constant that is a name"),
        network: workload.network.clone(),
        address: SocketAddr::new(*address, answer.port),
        tunnel: instance.tunnel,
        identities: instance
            .takes_proxy
            .then(|| workload.identity.clone())
            .into_iter()
            .collect(),
        locality: instance.locality.clone(),
        weight: NonZeroU32::MIN,
        state: answer.state,
    })
}

/// The cluster of everything that this mesh runs itself.
const CLUSTER: &str = "local";
