//! From where calls come to which ports: each `NetworkPolicy` read, and those that select a workload gathered over it.

mod blocks;
mod egress;
mod findings;
mod held;
mod peers;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::view::{AddressBlock, Ingress, Isolation, Peers};
use leno_model::{Namespace, Notes, Origin, Ports, SpiffeId, TrustDomain};
use leno_resources::network_policy::{
    IngressRule, LabelSelector, NetworkPolicySpec, NetworkPort, PolicyType,
};
use leno_resources::service::{TargetPort, TransportProtocol};
use leno_resources::{List, Object, Resources};

use crate::finding;
use crate::isolation::egress::Outgoing;
use crate::isolation::peers::Callers;
use crate::workloads::Workload;

pub use findings::{Shut, shut};

/// Where calls of the mesh arrive.
const TUNNEL: u16 = 15008;

/// All policies, and what they say.
#[derive(Default)]
pub(crate) struct Isolations<'a> {
    by_namespace: BTreeMap<Namespace, Vec<Policy<'a, Rule<'a>>>>,
    outgoing: Outgoing<'a>,
    /// The identities of which some are let in, or out, and others not, by where they come from.
    by_address: BTreeSet<SpiffeId>,
}

/// A policy that holds what comes in, or what goes out, and its rules for that.
struct Policy<'a, R> {
    object: &'a Object<NetworkPolicySpec>,
    /// What of it could be read; nothing selects all pods.
    spec: Option<&'a NetworkPolicySpec>,
    rules: Vec<R>,
}

/// A rule that lets somebody in.
struct Rule<'a> {
    /// Where it stands among those of its object.
    place: usize,
    rule: &'a IngressRule,
    from: Option<Arc<Peers>>,
}

impl<'a> Isolations<'a> {
    /// Reads them, for a mesh of these workloads. Grows with the policies, and for each of their selectors with the
    /// workloads that it is asked about.
    pub(crate) fn read(
        resources: &'a Resources,
        workloads: &[Workload<'_>],
        own: &TrustDomain,
        notes: &mut Notes,
    ) -> Self {
        let mut isolations = Self::default();
        if resources.network_policies.is_empty() {
            return isolations;
        }
        let mut callers = Callers::of(resources, workloads, own);
        findings::note(resources, &callers, notes);
        for object in resources.network_policies.iter() {
            let rules = |namespace: &Namespace| rules(object, namespace, &mut callers);
            if let Some((namespace, policy)) = Policy::read(object, PolicyType::Ingress, rules) {
                let policies = isolations.by_namespace.entry(namespace).or_default();
                policies.push(policy);
            }
        }
        isolations.outgoing = Outgoing::read(resources, &mut callers);
        isolations.by_address = callers.into_split();
        isolations
    }

    /// What stands before the instances of a workload at these addresses; `None` if no policy is about calls to them.
    //= NetworkPolicySpec ingress: "Traffic is allowed to a pod if there are no NetworkPolicies selecting the pod (and
    //= cluster policy otherwise allows the traffic), OR if the traffic source is the pod's local node, OR if the traffic
    //= matches at least one ingress rule across all of the NetworkPolicy objects whose podSelector matches the pod."
    pub(crate) fn over(
        &mut self,
        workload: &Workload<'_>,
        addresses: &[IpAddr],
    ) -> Option<Arc<Isolation>> {
        let policies = self.by_namespace.get(&workload.namespace);
        let policies = policies.into_iter().flatten();
        let selecting: Vec<_> = policies.filter(|it| it.selects(workload)).collect();
        let by = selecting.iter().map(|policy| policy.selecting());
        let rules = selecting.iter().flat_map(|policy| policy.over(workload));
        let egress = self.outgoing.to(workload, addresses);
        (!selecting.is_empty() || !egress.is_empty()).then(|| {
            Arc::new(Isolation {
                by: by.collect(),
                rules: rules.collect(),
                egress,
            })
        })
    }

    /// What of addresses matters to what stands before whoever has them: of a workload's, those that are alike in it are
    /// alike.
    pub(crate) fn told_apart_by(&self, addresses: &[IpAddr]) -> BTreeSet<usize> {
        self.outgoing.named(addresses)
    }

    /// The identities of which some are let in, or out, and others not, by where they come from; and the addresses that
    /// are told apart where they are called.
    pub(crate) fn into_by_address(self) -> (BTreeSet<SpiffeId>, Vec<AddressBlock>) {
        (self.by_address, self.outgoing.into_blocks())
    }
}

impl<'a, R> Policy<'a, R> {
    /// A policy and its namespace, if it holds calls of this kind.
    fn read(
        object: &'a Object<NetworkPolicySpec>,
        kind: PolicyType,
        rules: impl FnOnce(&Namespace) -> Vec<R>,
    ) -> Option<(Namespace, Self)> {
        let namespace = finding::namespace(object);
        let spec = object.spec.partly();
        let is_about = spec.is_none_or(|spec| spec.is_about(kind));
        is_about.then(|| {
            let rules = rules(&namespace);
            let policy = Self {
                object,
                spec,
                rules,
            };
            (namespace, policy)
        })
    }

    /// Where it says which pods it is about.
    fn selecting(&self) -> Origin {
        self.object.origin("/spec/podSelector")
    }

    /// Whether it is about everybody in its namespace, whatever labels somebody has.
    fn selects_all(&self) -> bool {
        let selector = self.spec.and_then(|spec| spec.pod_selector.as_ref());
        let is_read = |it: &LabelSelector| it.matches(&BTreeMap::new()).is_some();
        selector.is_none_or(|it| it.is_empty() || !is_read(it))
    }

    /// Whether it is about a workload. What cannot be read of its selector leaves nobody out.
    fn selects(&self, workload: &Workload<'_>) -> bool {
        let selector = self.spec.and_then(|spec| spec.pod_selector.as_ref());
        let selects = selector.and_then(|it| it.matches(&workload.outline.meta.labels));
        selects.unwrap_or(true)
    }
}

impl Policy<'_, Rule<'_>> {
    /// Its rules, for the ports of a workload. One that is about none of them says nothing there.
    fn over(&self, workload: &Workload<'_>) -> Vec<Ingress> {
        let rules = self.rules.iter().filter_map(|rule| {
            let pointer = format!("/spec/ingress/{}", rule.place);
            Some(Ingress {
                origin: self.object.origin(&pointer),
                ports: ports(&rule.rule.ports, workload)?,
                from: rule.from.clone(),
            })
        });
        rules.collect()
    }
}

/// The rules of a policy by which somebody is let in: none, where it cannot be read for whom.
fn rules<'a>(
    object: &'a Object<NetworkPolicySpec>,
    namespace: &Namespace,
    callers: &mut Callers<'_>,
) -> Vec<Rule<'a>> {
    let ingress = readable(object)
        .into_iter()
        .flat_map(|spec| spec.ingress.iter());
    let sound = ingress.enumerate().filter_map(|(place, rule)| {
        let rule = rule.sound()?;
        let from = callers.among(&rule.from, namespace);
        Some(Rule { place, rule, from })
    });
    sound.collect()
}

/// What a policy says, where it can be read of whom.
fn readable(object: &Object<NetworkPolicySpec>) -> Option<&NetworkPolicySpec> {
    let is_read = |spec: &&NetworkPolicySpec| {
        let selector = spec.pod_selector.as_ref();
        selector.is_none_or(|it| it.match_expressions.sound().is_some())
    };
    object.spec.sound().filter(is_read)
}

/// The ports of a rule, as a workload listens on them; none of them is every port. `None` if it is about no port of
/// TCP, or about names that none of the workload's ports has.
fn ports(said: &List<NetworkPort>, workload: &Workload<'_>) -> Option<Vec<Ports>> {
    numbered(said, |name| workload.port_named(name))
}

/// The same of whoever calls ports by these names.
fn numbered(
    said: &List<NetworkPort>,
    number_of: impl Fn(&str) -> Option<u16>,
) -> Option<Vec<Ports>> {
    if said.is_empty() {
        return Some(Vec::new());
    }
    let mut ports = Vec::new();
    for NetworkPort { port, end_port, .. } in of_tcp(said) {
        ports.extend(match port {
            None => return Some(Vec::new()),
            Some(TargetPort::Number(first)) => Ports::new(*first, end_port.unwrap_or(*first)),
            Some(TargetPort::Name(name)) => number_of(name).map(Ports::from),
        });
    }
    (!ports.is_empty()).then_some(ports)
}

/// Whether a rule calls ports by names.
fn has_names(said: &List<NetworkPort>) -> bool {
    of_tcp(said).any(|it| matches!(it.port, Some(TargetPort::Name(_))))
}

fn of_tcp(said: &List<NetworkPort>) -> impl Iterator<Item = &NetworkPort> {
    let said = said.iter().filter_map(|port| port.sound());
    said.filter(|port| port.protocol == TransportProtocol::Tcp)
}
