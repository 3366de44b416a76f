//! What of an edition one proxy is told: found once, and looked through in each later edition for what has changed,
//! which takes a look at what the proxy knows, whatever the mesh has beside that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_compile::{AddressOwner, Called};
use leno_model::view::{Pod, PortRef, Workload, WorkloadId};
use leno_model::{Name, Namespace, ServiceName, Subscription};
use leno_wire::{Encoded, Part, PartName, Target};

use super::cut::Cut;
use super::{Edition, encoded};

/// The parts of an edition that one proxy is told of.
#[derive(Debug)]
pub(crate) struct Wanted {
    everywhere: Arc<Vec<(PartName, Encoded)>>,
    /// What it gets in the place of some of that as the proxy of a node.
    of_nodes: Option<(PartName, Encoded)>,
    /// Its own workloads. Without those that are not there.
    workloads: BTreeMap<WorkloadId, (PartName, Encoded)>,
    /// The pods of its node that have proxies of their own.
    sidecars: Arc<BTreeMap<WorkloadId, Arc<Pod>>>,
    /// What each of its subscriptions leads to; nothing if it names nothing.
    answers: BTreeMap<Subscription, Vec<ServiceName>>,
    services: BTreeMap<ServiceName, Arc<Cut>>,
    /// The namespaces of those that it stands in front of.
    callers: BTreeSet<Namespace>,
    /// Services that routes lead to and that are not there.
    missing: BTreeSet<ServiceName>,
}

impl Wanted {
    /// What a proxy gets that stands in front of `workloads`, serves `node` if that is one's, and wants to know about
    /// `subscriptions`.
    pub(crate) fn of(
        edition: &Edition,
        workloads: &BTreeSet<WorkloadId>,
        node: Option<&str>,
        subscriptions: &BTreeSet<Subscription>,
    ) -> Self {
        let callers: BTreeSet<_> = workloads.iter().map(|id| id.namespace.clone()).collect();
        let answers = subscriptions.iter().map(|subscription| {
            let services = edition.answering(subscription, &callers);
            (subscription.clone(), services)
        });
        let answers: BTreeMap<_, _> = answers.collect();
        let mut left: Vec<_> = answers.values().flatten().cloned().collect();
        let instances = workloads
            .iter()
            .filter_map(|id| edition.mesh.instances.get(id));
        left.extend(instances.flat_map(|instance| authorizers(&instance.workload)));
        let (mut services, mut missing) = (BTreeMap::new(), BTreeSet::new());
        while let Some(name) = left.pop() {
            if services.contains_key(&name) {
                continue;
            }
            match edition.services.get(&name) {
                Some(cut) => {
                    left.extend(cut.leads_to.iter().cloned());
                    services.insert(name, Arc::clone(cut));
                }
                None => drop(missing.insert(name)),
            }
        }
        let workloads = workloads
            .iter()
            .filter_map(|id| Some((id.clone(), edition.workload(id)?)));
        Self {
            everywhere: Arc::clone(&edition.everywhere),
            of_nodes: node.map(|_| edition.of_nodes.clone()),
            workloads: workloads.collect(),
            sidecars: edition.sidecars(node),
            answers,
            services,
            callers,
            missing,
        }
    }

    /// Whether the same is in `edition`, for the same workloads, node and subscriptions.
    pub(crate) fn is_in(
        &self,
        edition: &Edition,
        workloads: &BTreeSet<WorkloadId>,
        node: Option<&str>,
    ) -> bool {
        let is_told = |id: &WorkloadId| edition.workload(id).as_ref() == self.workloads.get(id);
        let is_same = |(name, cut): (&ServiceName, &Arc<Cut>)| {
            let now = edition.services.get(name);
            now.is_some_and(|now| Arc::ptr_eq(now, cut))
        };
        let is_answered = |(subscription, services): (&Subscription, &Vec<ServiceName>)| {
            edition.answering(subscription, &self.callers) == *services
        };
        Arc::ptr_eq(&self.everywhere, &edition.everywhere)
            && self.of_nodes.as_ref() == node.map(|_| &edition.of_nodes)
            && self.sidecars == edition.sidecars(node)
            && workloads.iter().all(is_told)
            && self.services.iter().all(is_same)
            && !self
                .missing
                .iter()
                .any(|it| edition.services.contains_key(it))
            && self.answers.iter().all(is_answered)
    }

    /// The same as it is sent; `edition` is one that it is in.
    pub(crate) fn target(&self, edition: &Edition) -> Target {
        let callers = self.callers.iter().collect();
        let mut parts: BTreeMap<_, _> = self.everywhere.iter().cloned().collect();
        parts.extend(self.of_nodes.clone());
        parts.extend(self.workloads.values().cloned());
        let sidecars = self.sidecars.iter();
        parts.extend(sidecars.map(|(id, pod)| encoded(Part::Sidecar(id.clone(), pod.clone()))));
        for cut in self.services.values() {
            parts.extend([cut.as_seen_from(&callers)]);
            parts.extend(cut.endpoints(&edition.mesh).iter().cloned());
        }
        let answers = self.answers.iter();
        let answers = answers.map(|(it, services)| (it.clone(), !services.is_empty()));
        Target::of_parts(edition.generation.clone(), parts, answers.collect())
    }
}

impl Edition {
    /// The pods of a node that have proxies of their own.
    fn sidecars(&self, node: Option<&str>) -> Arc<BTreeMap<WorkloadId, Arc<Pod>>> {
        let sidecars = node.and_then(|node| self.mesh.sidecars.get(node));
        sidecars.cloned().unwrap_or_default()
    }

    /// The services that answer a subscription of `callers`; none if it names nothing.
    fn answering(
        &self,
        subscription: &Subscription,
        callers: &BTreeSet<Namespace>,
    ) -> Vec<ServiceName> {
        match subscription {
            Subscription::Service(name) => {
                let exists = self.services.contains_key(name);
                exists.then(|| name.clone()).into_iter().collect()
            }
            Subscription::Address(network, ip) => {
                let by = callers.iter().cloned().map(Some);
                let called = by.chain([None]).map(|by| Called {
                    network: network.clone(),
                    address: ip.to_canonical(),
                    by,
                });
                let owners = called.filter_map(|called| self.mesh.addresses.get(&called));
                owners.flat_map(|owner| self.reaching(owner)).collect()
            }
        }
    }

    /// The services by which calls to an address get to who has it. Those of another namespace never lead there.
    fn reaching(&self, owner: &AddressOwner) -> Vec<ServiceName> {
        let ids = match owner {
            AddressOwner::Service(name) => return vec![name.clone()],
            AddressOwner::Instances(ids) => ids,
        };
        let first = Name::new(Name::FIRST).expect("a constant that is a name");
        let namespaces: BTreeSet<_> = ids.iter().map(|id| &id.namespace).collect();
        let ports = namespaces.into_iter().flat_map(|namespace| {
            let begin = PortRef {
                service: ServiceName::new(namespace.clone(), first.clone()),
                port: 0,
            };
            let from = self.mesh.answers.range(begin..);
            from.take_while(move |(port, _)| port.service.namespace == *namespace)
        });
        let reached = ports.filter(|(_, answers)| {
            let mut answers = answers.iter();
            answers.any(|answer| ids.contains(&answer.instance))
        });
        reached.map(|(port, _)| port.service.clone()).collect()
    }
}

/// The services that are asked about calls to a workload.
fn authorizers(workload: &Workload) -> impl Iterator<Item = ServiceName> {
    let ports = workload.ports.values().map(|port| &port.access);
    let accesses = ports.chain([&workload.other_ports]);
    accesses.flat_map(|access| access.external.iter().map(|asked| asked.to.service.clone()))
}

#[cfg(test)]
mod tests {
    use leno_model::view::{Generation, Settings};
    use leno_resources::pod::{self, Pods};
    use leno_store::Revision;

    use crate::edition::{Reports, State};
    use crate::meaning::{Known, Meaning, Written};

    use super::*;

    /// A mesh in which pods of these namespaces have proxies of their own.
    fn edition(namespaces: impl Iterator<Item = String>, before: Option<&Edition>) -> Edition {
        let pod = |namespace: String| {
            let (namespace, name) = (Namespace::new(&namespace).unwrap(), Name::new("web"));
            let pod = pod::Pod {
                has_proxy: true,
                ..pod::Pod::named(namespace.clone(), name.clone().unwrap())
            };
            ((namespace, name.unwrap()), Arc::new(pod))
        };
        let known = Known {
            domain: None,
            mesh: None,
            present: &BTreeMap::new(),
            pods: &Arc::new(namespaces.map(pod).collect::<Pods>()),
            overrides: &[],
        };
        let state = State {
            revision: Revision::EMPTY,
            generation: Generation::default(),
            meaning: Arc::new(Meaning::of(&Arc::new(Written::default()), known, None)),
            trusted: Arc::default(),
            made: crate::clock::wall(),
        };
        Edition::new(state, &Reports::default(), before)
    }

    /// How many namespaces take part by what the proxy of a node is told, or another one.
    fn told(edition: &Edition, node: Option<&str>) -> Option<usize> {
        let target = edition.target(&BTreeSet::new(), node, &BTreeSet::new());
        let parts = target.parts().values();
        let mut parts = parts.map(|part| Part::decode(part.bytes()).unwrap());
        let settings = parts.find_map(|part| match part {
            Part::Settings(settings) => Some(settings),
            _ => None,
        });
        settings.unwrap().taking_part.as_ref().map(|all| all.len())
    }

    #[test]
    fn the_proxies_of_nodes_alone_are_told_which_namespaces_take_part() {
        let two = ["bank", "shop"].map(str::to_owned);
        let before = edition(two.iter().take(1).cloned(), None);
        let now = edition(two.into_iter(), Some(&before));
        assert_eq!(told(&now, Some("n1")), Some(2));
        assert_eq!(told(&now, None), None);

        let lasts = |node| {
            let (nobody, nothing) = (BTreeSet::new(), BTreeSet::new());
            Wanted::of(&before, &nobody, node, &nothing).is_in(&now, &nobody, node)
        };
        assert!(!lasts(Some("n1")), "another namespace takes part");
        assert!(lasts(None));

        let most = Settings::MOST_TAKING_PART;
        let named = |count: usize| edition((0..count).map(|it| format!("n{it}")), None);
        assert_eq!(told(&named(most), Some("n1")), Some(most));
        assert_eq!(told(&named(most + 1), Some("n1")), None);
    }
}
