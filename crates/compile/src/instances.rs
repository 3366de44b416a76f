//! What runs, with everything that stands over its ports.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::view::{self, PortRef, WorkloadId};

use leno_resources::policy::TrafficPolicySpec;

use crate::access::{Blind, Policies, Targeted};
use crate::isolation::Isolations;
use crate::layers::Layers;
use crate::mesh::{Answer, Instance};
use crate::parents::Routed;
use crate::spoken;
use crate::telemetry;
use crate::tuning;
use crate::workloads::{Running, Workload};

/// What services say about the ports of an instance of each workload: the first one, for they say it of all of them.
pub(crate) type ByInstance<'a> = BTreeMap<&'a WorkloadId, BTreeMap<u16, Targeted>>;

/// Looks at services from the side of those who answer.
pub(crate) fn targeted<'a>(
    workloads: impl Iterator<Item = &'a Workload<'a>>,
    answers: &BTreeMap<PortRef, Vec<Answer>>,
    routed: &Routed<'_>,
) -> ByInstance<'a> {
    let firsts = workloads.filter_map(|workload| workload.instances.first());
    let mut targeted: ByInstance<'_> = firsts.map(|it| (&it.id, BTreeMap::new())).collect();
    for (port, answers) in answers {
        let protocol = routed.protocol(port);
        for answer in answers {
            let Some(ports) = targeted.get_mut(&answer.instance) else {
                continue;
            };
            let targeted = ports.entry(answer.port).or_insert_with(|| Targeted {
                services: BTreeSet::new(),
                ports: BTreeSet::new(),
                protocol,
                ruled: None,
            });
            targeted.services.insert(port.service.clone());
            targeted.ports.insert(port.clone());
            targeted.protocol = spoken::both(targeted.protocol, protocol);
            let both = |ruled| {
                targeted
                    .ruled
                    .map_or(ruled, |other| spoken::both(other, ruled))
            };
            targeted.ruled = routed.ruled(port).map(both).or(targeted.ruled);
        }
    }
    targeted
}

/// The instances whose calls the proxy of their node carries, by the name of the node.
pub(crate) fn by_node(
    instances: &BTreeMap<WorkloadId, Arc<Instance>>,
) -> BTreeMap<Arc<str>, BTreeSet<WorkloadId>> {
    let mut nodes = BTreeMap::<_, BTreeSet<_>>::new();
    let of_nodes = instances.iter().filter(|(_, it)| it.workload.pod.is_some());
    for (id, instance) in of_nodes {
        if let Some(node) = &instance.locality.node {
            nodes.entry(node.clone()).or_default().insert(id.clone());
        }
    }
    nodes
}

/// All instances of a workload. What stands over their ports is the same value, but where their addresses matter.
pub(crate) fn instances(
    workload: &Workload<'_>,
    targeted: &ByInstance<'_>,
    policies: &Policies<'_>,
    isolations: &mut Isolations<'_>,
    told: &telemetry::Policies<'_>,
    tunings: &Layers<'_, TrafficPolicySpec>,
    blind: &mut Blind,
) -> Vec<(WorkloadId, Arc<Instance>)> {
    let Some(first) = workload.instances.first() else {
        return Vec::new();
    };
    let none = BTreeMap::new();
    let targeted = targeted.get(&first.id).unwrap_or(&none);
    let mut access = policies.over(workload, targeted, blind);
    for (number, port) in &mut access.ports {
        let services = targeted.get(number).map(|targeted| &targeted.services);
        let services = || services.into_iter().flatten();
        port.telemetry = told.of_port(&workload.namespace, services());
        port.proxied = Arc::new(tuning::proxied(tunings, &workload.namespace, services()));
    }
    let mut said = Said {
        addresses: first.addresses.clone(),
        ports: access.ports,
        others: access.others,
        isolation: None,
        outbound: access.outbound,
        telemetry: told.of_port(&workload.namespace, []),
    };
    let all = workload.instances.iter();
    let mut known = BTreeMap::new();
    all.map(|running| {
        let addresses = &running.addresses;
        let isolation = known.entry(isolations.told_apart_by(addresses));
        let isolation = isolation.or_insert_with(|| isolations.over(workload, addresses));
        said.isolation.clone_from(isolation);
        let instance = said.instance(workload, running);
        (running.id.clone(), Arc::new(instance))
    })
    .collect()
}

/// What all instances of a workload have in common, by what is said of it.
pub(crate) struct Said {
    /// Those of the instance that has it: at others that a `NetworkPolicy` tells apart from them, isolation is another.
    addresses: Vec<IpAddr>,
    ports: BTreeMap<u16, view::WorkloadPort>,
    others: Arc<view::Access>,
    isolation: Option<Arc<view::Isolation>>,
    outbound: Arc<view::Outbound>,
    telemetry: Arc<view::Telemetry>,
}

impl Said {
    /// As one of them has it.
    pub(crate) fn of(instance: &Instance) -> Self {
        let workload = &instance.workload;
        Self {
            addresses: workload.addresses.clone(),
            ports: workload.ports.clone(),
            others: workload.other_ports.clone(),
            isolation: workload.isolation.clone(),
            outbound: workload.outbound.clone(),
            telemetry: workload.telemetry.clone(),
        }
    }

    /// Those of the instance that has it.
    pub(crate) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// One of them.
    pub(crate) fn instance(&self, workload: &Workload<'_>, running: &Running) -> Instance {
        let view = view::Workload {
            id: running.id.clone(),
            identity: workload.identity.clone(),
            network: running.network.clone(),
            addresses: running.addresses.clone(),
            ports: self.ports.clone(),
            other_ports: self.others.clone(),
            isolation: self.isolation.clone(),
            outbound: self.outbound.clone(),
            telemetry: self.telemetry.clone(),
            processes: workload.processes.clone(),
            probes: running.probes.clone(),
            pod: running.pod.clone(),
        };
        Instance {
            workload: Arc::new(view),
            of: workload.name.clone(),
            origin: workload.outline.origin(""),
            locality: running.locality.clone(),
            tunnel: running.tunnel,
            tokens: workload.tokens.clone(),
            takes_proxy: workload.takes_proxy,
        }
    }
}
