//! What runs in a cluster: pods that differ in nothing but their names, places and addresses are one
//! workload's instances.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use leno_model::view::access::IpBlock;
use leno_model::view::{Probe, WorkloadId};
use leno_model::{Code, Name, Namespace, Network, Note, Notes, SpiffeId, TrustDomain};
use leno_resources::pod::{Pod, PodProbe, Pods};
use leno_resources::{Outline, Resources};

use crate::placement::{self, Modes};
use crate::served;
use crate::spoken;
use crate::uncaptured;
use crate::unfit;
use crate::workloads::{Port, Running, Workload};

/// What the instances of a workload have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alike<'a> {
    namespace: &'a Namespace,
    workload: &'a Name,
    service_account: &'a Name,
    labels: &'a BTreeMap<Arc<str>, Arc<str>>,
    ports: &'a BTreeMap<u16, Vec<Arc<str>>>,
}

impl<'a> Alike<'a> {
    pub(crate) fn of(namespace: &'a Namespace, pod: &'a Pod) -> Self {
        Self {
            namespace,
            workload: &pod.workload,
            service_account: &pod.service_account,
            labels: &pod.meta.labels,
            ports: &pod.ports,
        }
    }

    /// What it is with these instances. It is told of as `pod`, one of them.
    fn workload(
        &self,
        pod: &'a Pod,
        trust_domain: &TrustDomain,
        instances: Vec<Running>,
    ) -> Workload<'a> {
        let port = |(number, names): (&u16, &Vec<Arc<str>>)| {
            let said = |name: &Arc<str>| spoken::by_name(Some(name));
            let spoken = names.iter().find_map(said);
            let names = names.clone();
            (*number, Port { names, spoken })
        };
        Workload {
            outline: pod.into(),
            namespace: self.namespace.clone(),
            name: self.workload.clone(),
            identity: SpiffeId {
                trust_domain: trust_domain.clone(),
                namespace: self.namespace.clone(),
                service_account: self.service_account.clone(),
            },
            ports: self.ports.iter().map(port).collect(),
            instances,
            processes: Arc::default(),
            tokens: Arc::default(),
            is_run_here: false,
            implies_service: false,
            takes_proxy: true,
        }
    }
}

/// All pods, as the workloads they are instances of. Linear in the pods, but for finding those alike.
pub(crate) fn workloads<'a>(
    resources: &'a Resources,
    trust_domain: &TrustDomain,
) -> Vec<Workload<'a>> {
    let modes = Modes::of(resources);
    let running = |name: &(Namespace, Name), pod: &Arc<Pod>| {
        let (namespace, name) = name.clone();
        Running {
            id: WorkloadId { namespace, name },
            network: Network::default_network(),
            addresses: pod.addresses.clone(),
            tunnel: None,
            locality: pod.locality.clone(),
            probes: probes(pod),
            pod: modes.of_node(pod),
            state: pod.state,
        }
    };
    let pods = resources.pods.iter();
    let mut pods: Vec<_> = pods
        .map(|(name, pod)| (Alike::of(&name.0, pod), name, pod))
        .collect();
    // By their names, most of them are beside those alike already.
    pods.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let alike = pods.chunk_by(|(one, ..), (other, ..)| one == other);
    let workloads = alike.filter_map(|alike| {
        let (first, _, pod) = alike.first()?;
        let all = alike.iter().map(|(_, name, pod)| running(name, pod));
        Some(first.workload(pod, trust_domain, all.collect()))
    });
    workloads.collect()
}

/// What is found of single pods, and of nothing else.
const OF_PODS: [Code; 5] = [Code::C195, Code::C196, Code::C197, Code::C200, Code::H026];

/// Says of `pods` what [`is_of_pods`] is about.
pub(crate) fn note(resources: &Resources, pods: &Pods, notes: &mut Notes) {
    uncaptured::note(resources, pods, notes);
    unfit::note(resources, pods, notes);
    served::note(resources, pods, notes);
    placement::note(resources, pods, notes);
}

/// Whether a finding is one of [`note()`].
pub(crate) fn is_of_pods(note: &Note) -> bool {
    OF_PODS.contains(&note.code)
}

/// The health checks of a pod's node. One without an address that they come from would let in everybody's.
fn probes(pod: &Pod) -> Arc<[Probe]> {
    let from: Vec<_> = pod.hosts.iter().map(|host| IpBlock::host(*host)).collect();
    let outline = Outline::from(pod);
    let probe = |probe: &PodProbe| Probe {
        origin: outline.origin(&probe.pointer),
        from: from.clone(),
        port: probe.port,
        check: probe.check.clone(),
    };
    match from.is_empty() {
        true => Arc::default(),
        false => pod.probes.iter().map(probe).collect(),
    }
}
