//! Whom pods call at which ports, of the pods of the mesh: what the network of a cluster, which sees the mesh's own port
//! of all calls, cannot hold.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::view::{AddressBlock, Egress, Leave};
use leno_model::{Namespace, Origin, Ports};
use leno_resources::network_policy::{
    LabelSelector, NetworkPeer, NetworkPolicySpec, NetworkPort, PolicyType,
};
use leno_resources::{List, Object, Resources};

use super::blocks::Blocks;
use super::held::Held;
use super::peers::{Callers, addresses};
use super::{Policy, has_names, numbered, ports, readable};
use crate::finding;
use crate::placement::Modes;
use crate::workloads::Workload;

/// All callers that policies hold in whom they call.
///
/// What holds those of a namespace at a workload hangs on the rules that are about it, by its labels, its addresses or the
/// names of its ports: workloads about which the same rules are share it. Callers whom these rules let out stand there by
/// themselves, and all others as they do wherever no rule is about who is called. So what it takes grows with the pairs of
/// a rule and a workload that it is about, and for each workload with the namespaces; beside that, for the accounts that
/// others act as, with these accounts.
#[derive(Default)]
pub(super) struct Outgoing<'a> {
    held: Vec<Held<'a>>,
    /// The rules about pods of a namespace.
    naming: BTreeMap<Namespace, BTreeSet<RuleId>>,
    /// Those that name addresses, by the places of these.
    by_block: BTreeMap<usize, BTreeSet<RuleId>>,
    /// Those about everybody that name ports.
    by_port_name: BTreeSet<RuleId>,
    blocks: Blocks,
}

/// Whose rule it is, of [`Outgoing::held`], and its place among these.
type RuleId = (usize, usize);

/// A rule that lets somebody out.
pub(super) struct Rule<'a> {
    origin: Origin,
    said: &'a List<NetworkPort>,
    /// The ports; `None` where it calls some by names that each workload has for others.
    numbers: Option<Vec<Ports>>,
    /// To whom; `None` is everybody.
    to: Option<Vec<To<'a>>>,
}

/// Somebody who is called.
enum To<'a> {
    Pods {
        namespaces: BTreeSet<Namespace>,
        selector: Option<&'a LabelSelector>,
    },
    /// At one of [`Outgoing::blocks`].
    Addresses(usize),
}

impl<'a> Outgoing<'a> {
    pub(super) fn read(resources: &'a Resources, callers: &mut Callers<'_>) -> Self {
        let mut outgoing = Self::default();
        let modes = Modes::of(resources);
        let is_of_mesh = |namespace: &Namespace| {
            let is_said = || modes.said(Some(namespace), &BTreeMap::new()).is_some();
            !callers.within(namespace).is_empty() || is_said()
        };
        let mut by_namespace = BTreeMap::<_, Vec<_>>::new();
        let policies = resources.network_policies.iter();
        for object in policies.filter(|object| is_of_mesh(&finding::namespace(*object))) {
            let blocks = &mut outgoing.blocks;
            let rules = |namespace: &Namespace| rules(object, namespace, callers, blocks);
            if let Some((namespace, policy)) = Policy::read(object, PolicyType::Egress, rules) {
                let policies = by_namespace.entry(namespace).or_default();
                policies.push(policy);
            }
        }
        for (namespace, policies) in by_namespace {
            outgoing.add(Held::new(&namespace, policies, callers));
        }
        outgoing
    }

    fn add(&mut self, held: Held<'a>) {
        for (place, rule) in held.rules().enumerate() {
            let id = (self.held.len(), place);
            if rule.to.is_none() && rule.numbers.is_none() {
                self.by_port_name.insert(id);
            }
            for to in rule.to.iter().flatten() {
                match to {
                    To::Addresses(block) => {
                        self.by_block.entry(*block).or_default().insert(id);
                    }
                    To::Pods { namespaces, .. } => {
                        for namespace in namespaces {
                            let naming = self.naming.entry(namespace.clone());
                            naming.or_default().insert(id);
                        }
                    }
                }
            }
        }
        self.held.push(held);
    }

    /// What policies say of calls that come out to the instances of a workload at these addresses.
    pub(super) fn to(&mut self, workload: &Workload<'_>, at: &[IpAddr]) -> Vec<Arc<Egress>> {
        let at = self.named(at);
        let by_block = at.iter().filter_map(|block| self.by_block.get(block));
        let naming = self.naming.get(&workload.namespace).into_iter();
        let naming = naming.chain(by_block).flatten().chain(&self.by_port_name);
        let naming: BTreeSet<_> = naming.copied().collect();
        let mut about = BTreeMap::<_, Vec<_>>::new();
        for (place, rule) in naming {
            let held = self.held.get(place);
            let said = held.and_then(|held| held.rule(rule));
            if let Some(ports) = said.and_then(|said| said.ports_of(workload, &at)) {
                about.entry(place).or_default().push((rule, ports));
            }
        }
        let held = self.held.iter_mut().enumerate();
        let told = held.flat_map(|(place, held)| {
            let about = about.remove(&place).unwrap_or_default();
            held.at(about).iter().cloned()
        });
        told.collect()
    }

    /// Which of the addresses that rules name these are.
    pub(super) fn named(&self, at: &[IpAddr]) -> BTreeSet<usize> {
        self.blocks.having(at)
    }

    /// The addresses that rules name.
    pub(super) fn into_blocks(self) -> Vec<AddressBlock> {
        self.blocks.into_all()
    }
}

impl Rule<'_> {
    /// The ports to which it lets out whoever is called.
    pub(super) fn of_everybody(&self) -> Option<&Vec<Ports>> {
        self.numbers.as_ref().filter(|_| self.to.is_none())
    }

    /// What it lets out to, if these are the ports.
    pub(super) fn leave(&self, ports: Vec<Ports>) -> Leave {
        Leave {
            origin: self.origin.clone(),
            alike: 0,
            ports,
        }
    }

    /// The ports of a workload at these addresses to which it lets out; `None` if it is not about it.
    fn ports_of(&self, workload: &Workload<'_>, at: &BTreeSet<usize>) -> Option<Vec<Ports>> {
        let is_meant = |to: &To<'_>| match to {
            To::Addresses(block) => at.contains(block),
            To::Pods {
                namespaces,
                selector,
            } => {
                let labels = &workload.outline.meta.labels;
                let is_selected = selector.is_none_or(|it| it.matches(labels) == Some(true));
                is_selected && namespaces.contains(&workload.namespace)
            }
        };
        let mut to = self.to.iter().flatten();
        let is_about = self.to.is_none() || to.any(is_meant);
        let numbers = || self.numbers.clone();
        is_about.then(|| numbers().or_else(|| ports(self.said, workload)))?
    }
}

/// The rules of a policy by which somebody is let out to some port of TCP: none, where it cannot be read for whom. The
/// addresses that they name are added to `blocks`.
fn rules<'a>(
    object: &'a Object<NetworkPolicySpec>,
    namespace: &Namespace,
    callers: &Callers<'_>,
    blocks: &mut Blocks,
) -> Vec<Rule<'a>> {
    let egress = readable(object).into_iter();
    let rules = egress.flat_map(|spec| spec.egress.iter()).enumerate();
    let sound = rules.filter_map(|(place, rule)| {
        let rule = rule.sound()?;
        let numbers = match has_names(&rule.ports) {
            true => None,
            false => Some(numbered(&rule.ports, |_| None)?),
        };
        Some(Rule {
            origin: object.origin(&format!("/spec/egress/{place}")),
            said: &rule.ports,
            numbers,
            to: to(&rule.to, namespace, callers, blocks),
        })
    });
    sound.collect()
}

/// Those whom a rule of a policy of `namespace` names; `None` is everybody. Of what cannot be read nobody is.
fn to<'a>(
    peers: &'a List<NetworkPeer>,
    namespace: &Namespace,
    callers: &Callers<'_>,
    blocks: &mut Blocks,
) -> Option<Vec<To<'a>>> {
    let is_all = |selector: &LabelSelector| selector.is_empty();
    let is_everybody = |peer: &NetworkPeer| {
        let of_all = peer.namespace_selector.as_ref().is_some_and(is_all);
        of_all && peer.pod_selector.as_ref().is_none_or(is_all)
    };
    let sound = || peers.iter().filter_map(|peer| peer.sound());
    if peers.is_empty() || sound().any(is_everybody) {
        return None;
    }
    let to = sound().filter_map(|peer| match &peer.ip_block {
        Some(block) => Some(To::Addresses(blocks.place(addresses(block)?))),
        None => Some(To::Pods {
            namespaces: callers.namespaces(peer, namespace).cloned().collect(),
            selector: peer.pod_selector.as_ref(),
        }),
    });
    Some(to.collect())
}
