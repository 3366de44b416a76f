//! What a cluster's own network makes of calls of the mesh, all of which arrive at one port: policies that let callers
//! through at other ports alone, and what no policy says of calls that go out.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::{Code, Namespace, Note, Notes};
use leno_resources::network_policy::{
    EgressRule, IngressRule, NetworkPeer, NetworkPolicySpec, NetworkPort, PolicyType,
};
use leno_resources::pod::SIDECAR;
use leno_resources::service::{TargetPort, TransportProtocol};
use leno_resources::{List, Object, Resources};

use super::peers::Callers;
use crate::finding::{self, Complete as _};
use crate::placement::Modes;

type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// Where calls of the mesh arrive, and where proxies get what they need.
const TUNNEL: u16 = 15008;
const CONTROL: u16 = 15012;
/// Where names are asked for: nothing that the mesh carries.
const DNS: u16 = 53;

/// Says of each policy about pods of the mesh what of their calls does not get through. Of what nobody could read,
/// something else is said.
pub(super) fn note(resources: &Resources, callers: &Callers<'_>, notes: &mut Notes) {
    let modes = Modes::of(resources);
    let mut by_namespace = BTreeMap::<_, Vec<Policy<'_>>>::new();
    for object in resources.network_policies.iter() {
        let namespace = finding::namespace(object);
        if let Some(spec) = object.spec.sound() {
            let policies = by_namespace.entry(namespace).or_default();
            policies.push(Policy { object, spec });
        }
    }
    for (namespace, policies) in &by_namespace {
        let pods = pods(namespace, callers, &modes);
        for policy in policies {
            policy.note(policies, &pods, notes);
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
    let mode = |labels| Some((labels, modes.said(Some(namespace), labels)? == SIDECAR));
    labels.filter_map(mode).collect()
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
    fn note(&self, all: &[Policy<'_>], pods: &BTreeSet<(&Labels, bool)>, notes: &mut Notes) {
        let pods: Vec<_> = pods.iter().filter(|(it, _)| self.selects(it)).collect();
        if pods.is_empty() {
            return;
        }
        let mut shut = Vec::new();
        for kind in [PolicyType::Ingress, PolicyType::Egress] {
            let rules = self.rules(kind).enumerate();
            let mut closed = rules.filter(|(_, rule)| {
                let mut pods = pods.iter();
                rule.is_about_calls() && !pods.all(|(it, _)| is_let_through(*rule, kind, it, all))
            });
            if let Some((place, _)) = closed.next() {
                shut.push((kind, place, format!("{} to port {TUNNEL}", word(kind))));
            }
        }
        let has_sidecar = pods.iter().any(|(_, is_sidecar)| *is_sidecar);
        let mut out = self.rules(PolicyType::Egress);
        if has_sidecar && out.next().is_some() && !pods.iter().all(|(it, _)| reaches_mesh(it, all))
        {
            let what = format!("egress to port {CONTROL} of leno-system");
            shut.push((PolicyType::Egress, 0, what));
        }
        if let Some(note) = self.told(&shut) {
            notes.push(note);
        }
        if self.rules(PolicyType::Egress).any(Rule::names_ports) {
            notes.push(self.not_held());
        }
    }

    fn told(&self, shut: &[(PolicyType, usize, String)]) -> Option<Note> {
        let (kind, place, _) = shut.first()?;
        let what = shut.iter().map(|(_, _, what)| what.as_str());
        let what = what.collect::<Vec<_>>().join(", ");
        let pointer = format!("/spec/{}/{place}/ports", word(*kind));
        let message = format!("it is about pods of the mesh, and does not allow {what}");
        let note = finding::warning(self.object, &pointer, Code::C205, message);
        let suggestion = format!("add {{port: {TUNNEL}}} to the ports of the rule");
        Some(
            note.suggest(Some(suggestion))
                .in_force("the cluster's network drops calls by the mesh that the rule is about"),
        )
    }

    fn not_held(&self) -> Note {
        let message = "the cluster's network alone holds what goes out of pods of the mesh, and sees one port of their calls".to_string();
        finding::information(self.object, "/spec/egress", Code::C206, message).in_force(format!(
            "whom it lets out to port {TUNNEL}, it lets out to all ports that others let in"
        ))
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

/// Whether all that a rule lets through comes through the tunnel too, for pods of these labels: by a rule of any policy
/// about them that says so of the same others, or of everybody.
fn is_let_through(rule: Rule<'_>, kind: PolicyType, labels: &Labels, all: &[Policy<'_>]) -> bool {
    let about = all.iter().filter(|policy| policy.selects(labels));
    let mut rules = about.flat_map(|policy| policy.rules(kind));
    rules.any(|it| it.lets_through(TUNNEL) && (it.others.is_empty() || it.others == rule.others))
}

/// Whether pods of these labels reach the control plane: one rule that lets them is enough.
fn reaches_mesh(labels: &Labels, all: &[Policy<'_>]) -> bool {
    let about = all.iter().filter(|policy| policy.selects(labels));
    let mut rules = about.flat_map(|policy| policy.rules(PolicyType::Egress));
    rules.any(|it| it.lets_through(CONTROL))
}

impl Rule<'_> {
    fn lets_through(self, port: u16) -> bool {
        let mut ports = self.ports.iter().filter_map(|port| port.sound());
        self.ports.is_empty() || ports.any(|it| it.has(port))
    }

    /// Whether it lets through something that the mesh carries.
    fn is_about_calls(self) -> bool {
        let mut ports = self.ports.iter().filter_map(|port| port.sound());
        let is_call = |port: &NetworkPort| {
            let is_dns = port.port == Some(TargetPort::Number(DNS));
            port.protocol == TransportProtocol::Tcp && !is_dns
        };
        self.ports.is_empty() || ports.any(is_call)
    }

    fn names_ports(self) -> bool {
        !self.ports.is_empty() && self.is_about_calls()
    }
}

fn word(kind: PolicyType) -> &'static str {
    match kind {
        PolicyType::Ingress => "ingress",
        PolicyType::Egress => "egress",
    }
}
