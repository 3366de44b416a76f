//! What a cluster's own network makes of calls of the mesh, all of which arrive at one port: policies that let callers
//! through at other ports alone, and what nobody holds of calls that go out to another mesh.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::{Code, Namespace, Note, Notes};
use leno_resources::network_policy::{
    EgressRule, IngressRule, LabelSelector, NetworkPeer, NetworkPolicySpec, NetworkPort, PolicyType,
};
use leno_resources::pod::{NODE, SIDECAR};
use leno_resources::service::{TargetPort, TransportProtocol};
use leno_resources::{List, Object, Resources};

use super::TUNNEL;
use super::peers::Callers;
use crate::finding::{self, Complete as _};
use crate::placement::Modes;

type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// Where proxies get what they need.
const CONTROL: u16 = 15012;
/// Where names are asked for: nothing that the mesh carries.
const DNS: u16 = 53;

/// Something that a `NetworkPolicy` keeps from pods of the mesh, though it lets others through.
pub struct Shut<'a> {
    /// The policy.
    pub policy: &'a Object<NetworkPolicySpec>,
    /// Where it does: a JSON pointer.
    pub pointer: String,
    /// What it would have to allow: `ingress to port 15008`.
    pub what: String,
}

/// What the policies of a namespace keep from pods of the mesh that have these labels, and may have a proxy beside them.
/// Policies about the same pod add up: what one of them lets through is shut by none.
pub fn shut<'a>(
    policies: &[&'a Object<NetworkPolicySpec>],
    pods: &BTreeSet<(&Labels, bool)>,
) -> Vec<Shut<'a>> {
    let read = policies.iter().filter_map(|object| {
        let spec = object.spec.sound()?;
        Some(Policy { object, spec })
    });
    let read: Vec<_> = read.collect();
    let shut = read.iter().flat_map(|policy| policy.shut(&read, pods));
    shut.collect()
}

/// Says of each policy about pods of the mesh what of their calls does not get through. Of what nobody could read,
/// something else is said.
pub(super) fn note(resources: &Resources, callers: &Callers<'_>, notes: &mut Notes) {
    let modes = Modes::of(resources);
    let has_peers = !resources.peers.is_empty();
    let mut by_namespace = BTreeMap::<_, Vec<_>>::new();
    for object in resources.network_policies.iter() {
        let policies = by_namespace.entry(finding::namespace(object)).or_default();
        policies.push(object);
    }
    for (namespace, policies) in &by_namespace {
        let pods = pods(namespace, callers, &modes);
        let shut = shut(policies, &pods);
        for object in policies {
            let shut = shut.iter().filter(|it| core::ptr::eq(it.policy, *object));
            let told = told(&shut.collect::<Vec<_>>());
            let policy = object.spec.sound().map(|spec| Policy { object, spec });
            let not_held = policy.filter(|_| has_peers);
            let not_held = not_held.and_then(|policy| policy.not_held(&pods));
            for note in told.into_iter().chain(not_held) {
                notes.push(note);
            }
        }
    }
}

/// Labels of pods that are in the mesh, and whether they have proxies beside them.
fn pods<'w>(
    namespace: &Namespace,
    callers: &Callers<'w>,
    modes: &Modes<'_>,
) -> BTreeSet<(&'w Labels, bool)> {
    let workloads = callers.within(namespace).iter();
    let pods = workloads.filter(|it| it.outline.span("").is_none());
    let labels = pods.map(|it| &it.outline.meta.labels);
    let mode = |labels| match modes.said(Some(namespace), labels)? {
        SIDECAR => Some((labels, true)),
        NODE => Some((labels, false)),
        _ => None,
    };
    labels.filter_map(mode).collect()
}

fn told(shut: &[&Shut<'_>]) -> Option<Note> {
    let first = shut.first()?;
    let what: Vec<_> = shut.iter().map(|it| it.what.as_str()).collect();
    let what = what.join(", ");
    let message = format!("it is about pods of the mesh, and does not allow {what}");
    let note = finding::warning(first.policy, &first.pointer, Code::C205, message);
    let suggestion = format!("allow {what}, here or in another policy about these pods");
    Some(
        note.suggest(Some(suggestion))
            .in_force("the cluster's network drops calls by the mesh that the rule is about"),
    )
}

struct Policy<'a> {
    object: &'a Object<NetworkPolicySpec>,
    spec: &'a NetworkPolicySpec,
}

/// A rule of either kind: whom it is about, and which ports.
#[derive(Clone, Copy)]
struct Rule<'a> {
    others: &'a List<NetworkPeer>,
    ports: &'a List<NetworkPort>,
}

impl<'a> Policy<'a> {
    /// What it shuts for these pods, where `all` policies are about them.
    fn shut(&self, all: &[Policy<'_>], pods: &BTreeSet<(&Labels, bool)>) -> Vec<Shut<'a>> {
        let pods: Vec<_> = pods.iter().filter(|(it, _)| self.selects(it)).collect();
        let mut shut = Vec::new();
        let mut add = |pointer, what| {
            shut.push(Shut {
                policy: self.object,
                pointer,
                what,
            });
        };
        for kind in [PolicyType::Ingress, PolicyType::Egress] {
            let rules = self.rules(kind).enumerate();
            let mut closed = rules.filter(|(_, rule)| {
                let mut pods = pods.iter();
                rule.is_about_calls() && !pods.all(|(it, _)| is_let_through(*rule, kind, it, all))
            });
            if let Some((place, _)) = closed.next() {
                let word = word(kind);
                let pointer = format!("/spec/{word}/{place}/ports");
                add(pointer, format!("{word} to port {TUNNEL}"));
            }
        }
        // Nobody lets pods out to which nobody is called, but their proxies have to get there all the same.
        let holds = self.spec.is_about(PolicyType::Egress);
        let is_open = self.rules(PolicyType::Egress).next().is_some();
        let mut cut = pods.iter().filter(|(it, has_sidecar)| {
            let is_told_elsewhere =
                || !is_open && rules(it, PolicyType::Egress, all).next().is_some();
            holds && *has_sidecar && !reaches_mesh(it, all) && !is_told_elsewhere()
        });
        if cut.next().is_some() {
            let pointer = if is_open {
                "/spec/egress/0/ports"
            } else {
                "/spec"
            };
            add(
                pointer.into(),
                format!("egress to port {CONTROL} of leno-system"),
            );
        }
        shut
    }

    fn not_held(&self, pods: &BTreeSet<(&Labels, bool)>) -> Option<Note> {
        let is_about = pods.iter().any(|(it, _)| self.selects(it));
        if !is_about || !self.rules(PolicyType::Egress).any(Rule::names_ports) {
            return None;
        }
        let message = "of calls to other trust domains, the cluster's network alone holds what goes out of pods of the mesh, and sees one port".to_string();
        let note = finding::information(self.object, "/spec/egress", Code::C206, message);
        Some(note.in_force(format!(
            "whom it lets out to port {TUNNEL} there, it lets out to all ports that others let in"
        )))
    }

    fn selects(&self, labels: &Labels) -> bool {
        let selector = self.spec.pod_selector.as_ref();
        selector.is_none_or(|it| it.matches(labels) != Some(false))
    }

    /// The rules of a kind that it holds.
    fn rules(&self, kind: PolicyType) -> impl Iterator<Item = Rule<'a>> + use<'a> {
        let holds = self.spec.is_about(kind);
        let ingress = self.spec.ingress.iter().filter_map(|rule| rule.sound());
        let ingress = ingress.filter(move |_| holds && kind == PolicyType::Ingress);
        let egress = self.spec.egress.iter().filter_map(|rule| rule.sound());
        let egress = egress.filter(move |_| holds && kind == PolicyType::Egress);
        let ingress = ingress.map(|IngressRule { from, ports }| Rule {
            others: from,
            ports,
        });
        ingress.chain(egress.map(|EgressRule { to, ports }| Rule { others: to, ports }))
    }
}

/// The rules of a kind of all policies about pods of these labels.
fn rules<'p, 'a>(
    labels: &'p Labels,
    kind: PolicyType,
    all: &'p [Policy<'a>],
) -> impl Iterator<Item = Rule<'a>> + use<'p, 'a> {
    let about = all.iter().filter(|policy| policy.selects(labels));
    about.flat_map(move |policy| policy.rules(kind))
}

/// Whether all that a rule lets through comes through the tunnel too, for pods of these labels: by rules of any policies
/// about them that say so of the same others, or of everybody.
fn is_let_through(rule: Rule<'_>, kind: PolicyType, labels: &Labels, all: &[Policy<'_>]) -> bool {
    let open = rules(labels, kind, all).filter(|it| it.lets_through(TUNNEL));
    let open: Vec<_> = open.collect();
    let wide = || open.iter().flat_map(|it| it.others());
    let mut others = rule.others();
    open.iter().any(|it| it.others.is_empty())
        || !rule.others.is_empty() && others.all(|it| wide().any(|wide| covers(wide, it)))
}

/// Whether pods of these labels reach the control plane: one rule that lets them is enough.
fn reaches_mesh(labels: &Labels, all: &[Policy<'_>]) -> bool {
    rules(labels, PolicyType::Egress, all).any(|it| it.lets_through(CONTROL))
}

/// Whether all whom `narrow` means are meant by `wide`, as their words tell.
fn covers(wide: &NetworkPeer, narrow: &NetworkPeer) -> bool {
    let namespaces = match (&wide.namespace_selector, &narrow.namespace_selector) {
        (None, None) => true,
        (Some(wide), None) => wide.is_empty(),
        (Some(wide), Some(narrow)) => asks_no_more(wide, narrow),
        (None, Some(_)) => false,
    };
    let pods = match (&wide.pod_selector, &narrow.pod_selector) {
        (None, _) => true,
        (Some(wide), None) => wide.is_empty(),
        (Some(wide), Some(narrow)) => asks_no_more(wide, narrow),
    };
    wide.ip_block == narrow.ip_block && namespaces && pods
}

/// Whether labels that are as `narrow` says are as `wide` says, too.
fn asks_no_more(wide: &LabelSelector, narrow: &LabelSelector) -> bool {
    let mut labels = wide.match_labels.iter();
    let mut asked = wide.match_expressions.iter();
    let known = || narrow.match_expressions.iter();
    labels.all(|(key, value)| narrow.match_labels.get(key) == Some(value))
        && asked.all(|one| known().any(|other| one == other))
}

impl<'a> Rule<'a> {
    fn others(self) -> impl Iterator<Item = &'a NetworkPeer> {
        self.others.iter().filter_map(|peer| peer.sound())
    }

    fn lets_through(self, port: u16) -> bool {
        let mut ports = self.ports.iter().filter_map(|port| port.sound());
        self.ports.is_empty() || ports.any(|it| it.has(port))
    }

    /// Whether it lets through something that the mesh carries.
    fn is_about_calls(self) -> bool {
        self.ports.is_empty() || self.named().next().is_some()
    }

    /// Whether it says to which ports of others calls go.
    fn names_ports(self) -> bool {
        let tunnel = Some(TargetPort::Number(TUNNEL));
        self.named().any(|port| port.port != tunnel)
    }

    /// What it says of ports of calls that the mesh carries, or of its own.
    fn named(self) -> impl Iterator<Item = &'a NetworkPort> {
        let ports = self.ports.iter().filter_map(|port| port.sound());
        ports.filter(|port| {
            let other = [DNS, CONTROL].map(|port| Some(TargetPort::Number(port)));
            port.protocol == TransportProtocol::Tcp && !other.contains(&port.port)
        })
    }
}

fn word(kind: PolicyType) -> &'static str {
    match kind {
        PolicyType::Ingress => "ingress",
        PolicyType::Egress => "egress",
    }
}
