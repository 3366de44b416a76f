//! Whom pods call at which ports, of the pods of the mesh: what the network of a cluster lets out to the mesh's own port,
//! and so to every port.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::view::{AddressBlock, At, Egress, Leave, Peers};
use leno_model::{Namespace, Origin, Ports};
use leno_resources::network_policy::{
    EgressRule, LabelSelector, NetworkPeer, NetworkPolicySpec, NetworkPort, PolicyType,
};
use leno_resources::{List, Object, Resources};

use super::peers::{Callers, addresses};
use super::{Policy, TUNNEL, has_names, numbered, ports, readable};
use crate::workloads::Workload;

/// All callers that policies hold in whom they call.
///
/// A workload is told of those alone, one by one, whom a rule lets out to it by its labels or the names of its ports: of
/// all others of a namespace at once, where the same is said of them everywhere. So what it is told of grows with the
/// rules about it and with the namespaces, not with all the callers that there are.
#[derive(Default)]
pub(super) struct Outgoing<'a> {
    groups: Vec<Group<'a>>,
    /// The groups that have a rule about pods of a namespace.
    naming: BTreeMap<Namespace, Vec<usize>>,
    /// Those that have one about names of ports, of whoever has them.
    by_port_name: Vec<usize>,
    /// The addresses that rules name.
    blocks: Vec<AddressBlock>,
    /// What holds callers wherever no rule is about more of who is called than the addresses, by [`Self::named`] of these.
    crowds: BTreeMap<Vec<bool>, Vec<Crowd>>,
}

/// Those of whom the same holds, whoever is called at some addresses.
struct Crowd {
    egress: Arc<Egress>,
    /// The group that it is, if it is one.
    only: Option<usize>,
}

/// Callers of a namespace whom the same policies select.
struct Group<'a> {
    namespace: Namespace,
    policies: Vec<Arc<Policy<'a, Rule<'a>>>>,
    callers: Arc<Peers>,
    /// Whether the network of a cluster keeps the mesh's port shut for them where no rule opens it. It does not where
    /// no cluster runs one of them, and nobody knows what a rule opens that cannot be read.
    is_of_network: bool,
    /// Whether others act as one of its accounts. Who does from nobody knows where is taken for one of either, and so
    /// nothing that is said of one of them may take the place of what is said of all.
    stands_alone: bool,
    /// Of how many groups it is one, if no other callers are in its namespace.
    among: Option<usize>,
}

/// A rule that lets somebody out.
struct Rule<'a> {
    origin: Origin,
    said: &'a List<NetworkPort>,
    /// The ports, as [`Leave`] has them; `None` where it calls some by names that each workload has for others.
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
    pub(super) fn read(
        resources: &'a Resources,
        workloads: &[Workload<'_>],
        callers: &mut Callers<'_>,
    ) -> Self {
        let mut outgoing = Self::default();
        let mut by_namespace = BTreeMap::<_, Vec<_>>::new();
        for object in resources.network_policies.iter() {
            let blocks = &mut outgoing.blocks;
            let rules = |namespace: &Namespace| rules(object, namespace, callers, blocks);
            if let Some((namespace, policy)) = Policy::read(object, PolicyType::Egress, rules) {
                let policies = by_namespace.entry(namespace).or_default();
                policies.push(Arc::new(policy));
            }
        }
        for (namespace, policies) in &by_namespace {
            let groups = Group::all(namespace, policies, callers);
            outgoing.groups.extend(groups);
        }
        for (place, group) in outgoing.groups.iter().enumerate() {
            let named: BTreeSet<_> = group.rules().flat_map(Rule::namespaces).collect();
            for namespace in named {
                let naming = outgoing.naming.entry(namespace.clone());
                naming.or_default().push(place);
            }
            if group.rules().any(|rule| rule.numbers.is_none()) {
                outgoing.by_port_name.push(place);
            }
        }
        let instances = workloads.iter().flat_map(|it| &it.instances);
        let kinds = instances.map(|it| outgoing.named(&it.addresses).collect::<Vec<_>>());
        let kinds: BTreeSet<_> = kinds.collect();
        let crowds = kinds.into_iter().map(|at| {
            let crowds = outgoing.crowds(&at);
            (at, crowds)
        });
        outgoing.crowds = crowds.collect();
        outgoing
    }

    /// What policies say of calls that come out to the instances of a workload at these addresses.
    pub(super) fn to(&self, workload: &Workload<'_>, at: &[IpAddr]) -> Vec<Arc<Egress>> {
        let at: Vec<_> = self.named(at).collect();
        let naming = self.naming.get(&workload.namespace).into_iter().flatten();
        let about: BTreeSet<_> = naming.chain(&self.by_port_name).copied().collect();
        let groups = about
            .iter()
            .filter_map(|place| Some((*place, self.groups.get(*place)?)));
        let crowds = self.crowds.get(&at).into_iter().flatten();
        let only: BTreeSet<_> = crowds.clone().filter_map(|crowd| crowd.only).collect();
        let told = groups.filter_map(|(place, group)| {
            let is_of_many = !only.contains(&place);
            Some((place, group.to(workload, &at, is_of_many)?))
        });
        let told: BTreeMap<_, _> = told.collect();
        let is_told = |crowd: &&Crowd| crowd.only.is_some_and(|place| told.contains_key(&place));
        let crowds = crowds.filter(|crowd| !is_told(crowd));
        let crowds: Vec<_> = crowds.map(|crowd| crowd.egress.clone()).collect();
        let (rest, alone): (Vec<_>, Vec<_>) = crowds.into_iter().partition(|it| it.is_rest);
        let told = told.into_values().flatten().map(Arc::new);
        told.chain(alone).chain(rest).collect()
    }

    /// Which of the addresses that rules name these are.
    pub(super) fn named<'s>(&'s self, at: &'s [IpAddr]) -> impl Iterator<Item = bool> + use<'s> {
        self.blocks.iter().map(move |block| block.has_one(at))
    }

    /// The addresses that rules name.
    pub(super) fn into_blocks(self) -> Vec<AddressBlock> {
        self.blocks
    }

    /// Of whom the same holds at these addresses, whoever is called there.
    fn crowds(&self, at: &[bool]) -> Vec<Crowd> {
        let mut alike = BTreeMap::<_, Vec<_>>::new();
        for (place, group) in self.groups.iter().enumerate() {
            let rules = group.anywhere(at);
            if group.is_held(&rules) {
                let alone = group.stands_alone.then_some(place);
                let ports: BTreeSet<_> = rules.into_iter().map(|rule| rule.ports).collect();
                let key = (alone, &group.namespace, ports);
                alike.entry(key).or_default().push((place, group));
            }
        }
        let crowds = alike.into_iter().map(|((alone, ..), groups)| {
            let (places, groups): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
            Crowd {
                egress: Arc::new(crowd(&groups, at, alone.is_none())),
                only: places.first().copied().filter(|_| places.len() == 1),
            }
        });
        crowds.collect()
    }
}

/// What holds groups of a namespace that rules let out alike at these addresses.
fn crowd(groups: &[&Group<'_>], at: &[bool], is_rest: bool) -> Egress {
    let callers = groups.iter().map(|group| &*group.callers);
    let callers = match groups.first() {
        Some(first) if first.among == Some(groups.len()) => {
            Peers::of_namespace(first.namespace.clone())
        }
        _ => Peers::any_of(callers),
    };
    let mut rules = BTreeMap::<_, BTreeSet<_>>::new();
    for rule in groups.iter().flat_map(|group| group.anywhere(at)) {
        rules.entry(rule.ports).or_default().insert(rule.origin);
    }
    let rules = rules.into_iter().filter_map(|(ports, mut origins)| {
        Some(Leave {
            origin: origins.pop_first()?,
            alike: u32::try_from(origins.len()).unwrap_or(u32::MAX),
            ports,
        })
    });
    let by = groups.iter().map(|group| group.by().into_iter().collect());
    let by: Vec<BTreeSet<_>> = by.collect();
    let common = by.iter().cloned().reduce(|all, own| &all & &own);
    let by = common
        .filter(|it| !it.is_empty())
        .unwrap_or_else(|| by.into_iter().flatten().collect());
    Egress {
        by: by.into_iter().collect(),
        callers: Arc::new(callers),
        rules: rules.collect(),
        is_rest,
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
        let among = (!groups.contains_key(&[][..])).then_some(groups.len());
        let held = groups.into_iter().filter(|(key, _)| !key.is_empty());
        let held = held.map(|(selecting, workloads)| {
            let policies = selecting
                .into_iter()
                .filter_map(|place| policies.get(place));
            let policies: Vec<_> = policies.cloned().collect();
            let all = match among {
                Some(1) => Peers::of_namespace(namespace.clone()),
                _ => callers.only(&workloads),
            };
            let mut pods = workloads.iter().map(|it| it.outline.span("").is_none());
            Self {
                namespace: namespace.clone(),
                stands_alone: all.accounts.values().any(|at| *at != At::Anywhere),
                is_of_network: pods.all(|is_pod| is_pod)
                    && policies.iter().all(|policy| is_clear(policy)),
                callers: Arc::new(all),
                policies,
                among,
            }
        });
        held.collect()
    }

    fn by(&self) -> Vec<Origin> {
        self.policies.iter().map(|it| it.selecting()).collect()
    }

    fn rules(&self) -> impl Iterator<Item = &Rule<'a>> {
        self.policies.iter().flat_map(|policy| &policy.rules)
    }

    /// Where its rules let it out at these addresses, whoever is called there.
    fn anywhere(&self, at: &[bool]) -> Vec<Leave> {
        let rules = self.rules().filter(|rule| rule.is_about(at));
        let sure = rules.filter_map(|rule| Some(rule.leave(rule.numbers.clone()?)));
        sure.collect()
    }

    /// Whether rules that let it out leave anything to hold: they do not where they let it out to all of it, and where
    /// the network lets no call by the mesh get there.
    fn is_held(&self, rules: &[Leave]) -> bool {
        let has_tunnel = |rule: &Leave| rule.ports.iter().any(|ports| ports.contains(TUNNEL));
        let is_open = rules.iter().any(|rule| rule.ports.is_empty());
        let is_shut = self.is_of_network && !rules.iter().any(has_tunnel);
        !is_open && !is_shut
    }

    /// What holds it at a workload at these addresses, which may be nothing; `None` where that is what holds it at
    /// whoever is called there. `is_of_many` says that others may be held there with it, as one crowd.
    fn to(&self, workload: &Workload<'_>, at: &[bool], is_of_many: bool) -> Option<Option<Egress>> {
        let mut rules = self.rules();
        if !rules.any(|rule| rule.numbers.is_none() || !rule.is_about(at) && rule.names(workload)) {
            return None;
        }
        let rules = self.rules();
        let rules = rules.filter(|rule| rule.is_about(at) || rule.names(workload));
        let rules = rules.filter_map(|rule| Some(rule.leave(ports(rule.said, workload)?)));
        let rules: Vec<_> = rules.collect();
        let anywhere = self.anywhere(at);
        // Of one of many who are held alike it is said even that nothing holds it here.
        let is_of_crowd = is_of_many && self.is_held(&anywhere);
        (rules != anywhere).then(|| {
            let is_said = is_of_crowd || self.is_held(&rules);
            is_said.then(|| Egress {
                by: self.by(),
                callers: self.callers.clone(),
                rules,
                is_rest: false,
            })
        })
    }
}

impl Rule<'_> {
    /// Whether it is about whoever is at these addresses.
    fn is_about(&self, at: &[bool]) -> bool {
        let is_there = |to: &To<'_>| match to {
            To::Addresses(place) => at.get(*place) == Some(&true),
            To::Pods { .. } => false,
        };
        self.to.as_ref().is_none_or(|to| to.iter().any(is_there))
    }

    /// Whether it is about a workload by its labels.
    fn names(&self, workload: &Workload<'_>) -> bool {
        let labels = &workload.outline.meta.labels;
        let is_named = |to: &To<'_>| match to {
            To::Addresses(_) => false,
            To::Pods {
                namespaces,
                selector,
            } => {
                let is_selected = selector.is_none_or(|it| it.matches(labels) == Some(true));
                is_selected && namespaces.contains(&workload.namespace)
            }
        };
        self.to.iter().flatten().any(is_named)
    }

    /// The namespaces of whose pods some are named.
    fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        let named = self.to.iter().flatten().filter_map(|to| match to {
            To::Addresses(_) => None,
            To::Pods { namespaces, .. } => Some(namespaces),
        });
        named.flatten()
    }

    fn leave(&self, ports: Vec<Ports>) -> Leave {
        Leave {
            origin: self.origin.clone(),
            alike: 0,
            ports,
        }
    }
}

/// The rules of a policy by which somebody is let out to some port of TCP: none, where it cannot be read for whom. The
/// addresses that they name are added to `blocks`.
fn rules<'a>(
    object: &'a Object<NetworkPolicySpec>,
    namespace: &Namespace,
    callers: &Callers<'_>,
    blocks: &mut Vec<AddressBlock>,
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
    blocks: &mut Vec<AddressBlock>,
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
        Some(block) => {
            let block = addresses(block)?;
            let known = blocks.iter().position(|it| *it == block);
            let place = known.unwrap_or_else(|| {
                blocks.push(block);
                blocks.len() - 1
            });
            Some(To::Addresses(place))
        }
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
