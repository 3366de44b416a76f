//! Whom pods call at which ports, of the pods of the mesh: what the network of a cluster lets out to the mesh's own port,
//! and so to every port.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::Namespace;
use leno_model::view::{AddressBlock, Egress, Leave, Peers};
use leno_resources::network_policy::{
    EgressRule, LabelSelector, NetworkPeer, NetworkPolicySpec, PolicyType,
};
use leno_resources::{List, Object, Resources};

use super::peers::{Callers, addresses};
use super::{Policy, TUNNEL, ports, readable};
use crate::workloads::Workload;

/// All callers that policies hold in whom they call.
#[derive(Default)]
pub(super) struct Outgoing<'a> {
    groups: Vec<Group<'a>>,
    /// The addresses that rules name.
    blocks: Vec<AddressBlock>,
}

/// Callers whom the same policies select.
struct Group<'a> {
    policies: Vec<Arc<Policy<'a, Rule<'a>>>>,
    callers: Arc<Peers>,
    /// Whether the network of a cluster keeps the mesh's port shut for them where no rule opens it. It does not where
    /// no cluster runs one of them, and nobody knows what a rule opens that cannot be read.
    is_of_network: bool,
}

/// A rule that lets somebody out.
struct Rule<'a> {
    /// Where it stands among those of its object.
    place: usize,
    rule: &'a EgressRule,
    /// To whom; `None` is everybody.
    to: Option<Vec<To<'a>>>,
}

/// Somebody who is called.
enum To<'a> {
    Pods {
        namespaces: BTreeSet<Namespace>,
        selector: Option<&'a LabelSelector>,
    },
    Addresses(AddressBlock),
}

impl<'a> Outgoing<'a> {
    pub(super) fn read(resources: &'a Resources, callers: &mut Callers<'_>) -> Self {
        let mut by_namespace = BTreeMap::<_, Vec<_>>::new();
        for object in resources.network_policies.iter() {
            let rules = |namespace: &Namespace| rules(object, namespace, callers);
            if let Some((namespace, policy)) = Policy::read(object, PolicyType::Egress, rules) {
                let policies = by_namespace.entry(namespace).or_default();
                policies.push(Arc::new(policy));
            }
        }
        let mut groups = Vec::new();
        for (namespace, policies) in &by_namespace {
            groups.extend(Group::all(namespace, policies, callers));
        }
        let rules = by_namespace.values().flatten().flat_map(|it| &it.rules);
        let named = rules.filter_map(|rule| rule.to.as_ref()).flatten();
        let blocks = named.filter_map(|to| match to {
            To::Addresses(block) => Some(block.clone()),
            To::Pods { .. } => None,
        });
        Self {
            blocks: blocks.collect(),
            groups,
        }
    }

    /// What policies say of calls that come out to the instances of a workload at these addresses.
    pub(super) fn to(&self, workload: &Workload<'_>, at: &[IpAddr]) -> Vec<Arc<Egress>> {
        let groups = self.groups.iter();
        let held = groups.filter_map(|group| group.to(workload, at).map(Arc::new));
        held.collect()
    }

    /// Which of the addresses that rules name these are.
    pub(super) fn named<'s>(&'s self, at: &'s [IpAddr]) -> impl Iterator<Item = bool> + use<'s> {
        self.blocks.iter().map(move |block| block.has_one(at))
    }

    /// The addresses that rules name.
    pub(super) fn into_blocks(self) -> Vec<AddressBlock> {
        self.blocks
    }
}

impl<'a> Group<'a> {
    /// The callers of a namespace, by the policies that select them. Whom none selects goes where it will.
    fn all(
        namespace: &Namespace,
        policies: &[Arc<Policy<'a, Rule<'a>>>],
        callers: &mut Callers<'_>,
    ) -> Vec<Self> {
        let mut groups = BTreeMap::<Vec<usize>, Vec<&Workload<'_>>>::new();
        for workload in callers.within(namespace).iter().copied() {
            let selecting = policies.iter().enumerate();
            let selecting = selecting.filter(|(_, policy)| policy.selects(workload));
            let selecting = selecting.map(|(place, _)| place).collect();
            groups.entry(selecting).or_default().push(workload);
        }
        let is_whole = groups.len() == 1;
        let held = groups.into_iter().filter(|(key, _)| !key.is_empty());
        let held = held.map(|(selecting, workloads)| {
            let policies = selecting
                .into_iter()
                .filter_map(|place| policies.get(place));
            let policies: Vec<_> = policies.cloned().collect();
            let all = match is_whole {
                true => Peers {
                    namespaces: [namespace.clone()].into(),
                    ..Peers::default()
                },
                false => callers.only(&workloads),
            };
            let mut pods = workloads.iter().map(|it| it.outline.span("").is_none());
            Self {
                is_of_network: pods.all(|is_pod| is_pod)
                    && policies.iter().all(|policy| is_clear(policy)),
                callers: Arc::new(all),
                policies,
            }
        });
        held.collect()
    }

    /// What holds them at a workload: nothing, where a rule lets them out to all of it, and where the network lets no
    /// call by the mesh get there.
    fn to(&self, workload: &Workload<'_>, at: &[IpAddr]) -> Option<Egress> {
        let policies = self.policies.iter();
        let rules = policies.flat_map(|policy| {
            let rules = policy.rules.iter().filter(|rule| rule.means(workload, at));
            rules.filter_map(|rule| {
                let pointer = format!("/spec/egress/{}", rule.place);
                Some(Leave {
                    origin: policy.object.origin(&pointer),
                    ports: ports(&rule.rule.ports, workload)?,
                })
            })
        });
        let rules: Vec<_> = rules.collect();
        let has_tunnel = |rule: &Leave| rule.ports.iter().any(|ports| ports.contains(TUNNEL));
        let is_open = rules.iter().any(|rule| rule.ports.is_empty());
        let is_shut = self.is_of_network && !rules.iter().any(has_tunnel);
        (!is_open && !is_shut).then(|| Egress {
            by: self.policies.iter().map(|it| it.selecting()).collect(),
            callers: self.callers.clone(),
            rules,
        })
    }
}

impl Rule<'_> {
    fn means(&self, workload: &Workload<'_>, at: &[IpAddr]) -> bool {
        let Some(to) = &self.to else {
            return true;
        };
        to.iter().any(|to| match to {
            To::Addresses(block) => block.has_one(at),
            To::Pods {
                namespaces,
                selector,
            } => {
                let labels = &workload.outline.meta.labels;
                let is_selected = selector.is_none_or(|it| it.matches(labels) == Some(true));
                is_selected && namespaces.contains(&workload.namespace)
            }
        })
    }
}

/// The rules of a policy by which somebody is let out: none, where it cannot be read for whom.
fn rules<'a>(
    object: &'a Object<NetworkPolicySpec>,
    namespace: &Namespace,
    callers: &Callers<'_>,
) -> Vec<Rule<'a>> {
    let egress = readable(object).into_iter();
    let rules = egress.flat_map(|spec| spec.egress.iter()).enumerate();
    let sound = rules.filter_map(|(place, rule)| {
        let rule = rule.sound()?;
        let to = to(&rule.to, namespace, callers);
        Some(Rule { place, rule, to })
    });
    sound.collect()
}

/// Those whom a rule of a policy of `namespace` names; `None` is everybody. Of what cannot be read nobody is.
fn to<'a>(
    peers: &'a List<NetworkPeer>,
    namespace: &Namespace,
    callers: &Callers<'_>,
) -> Option<Vec<To<'a>>> {
    if peers.is_empty() {
        return None;
    }
    let sound = peers.iter().filter_map(|peer| peer.sound());
    let to = sound.filter_map(|peer| match &peer.ip_block {
        Some(block) => addresses(block).map(To::Addresses),
        None => Some(To::Pods {
            namespaces: callers.namespaces(peer, namespace).cloned().collect(),
            selector: peer.pod_selector.as_ref(),
        }),
    });
    Some(to.collect())
}

/// Whether all that a policy says of whom pods call can be read.
fn is_clear(policy: &Policy<'_, Rule<'_>>) -> bool {
    let is_labels = |selector: &LabelSelector| {
        let asked = selector.match_expressions.sound();
        asked.is_some_and(|asked| asked.iter().all(|one| one.values.sound().is_some()))
    };
    let is_peer = |peer: &NetworkPeer| {
        let mut selectors = peer.pod_selector.iter().chain(&peer.namespace_selector);
        selectors.all(is_labels) && peer.ip_block.iter().all(|it| it.except.sound().is_some())
    };
    let is_rule = |rule: &&EgressRule| {
        let peers = rule.to.sound();
        rule.ports.sound().is_some() && peers.is_some_and(|it| it.into_iter().all(is_peer))
    };
    let spec = readable(policy.object);
    let rules = spec.and_then(|spec| spec.egress.sound());
    rules.is_some_and(|rules| rules.iter().all(is_rule))
}
