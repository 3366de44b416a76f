//! From `spec.outbound` to what stands before the calls that workloads make to hosts outside the mesh.
//! What cannot be read lets nothing out that the rest of it covers.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::view::{Effect, HostMatch, Outbound, OutboundRule, Stance, Unknown};
use leno_model::{Code, Name, Namespace, Note, Notes, ObjectRef, Origin, ServiceName, Severity};
use leno_resources::policy::{self, AccessAction, AccessPolicySpec};
use leno_resources::{Object, Part};

use super::findings::named;
use super::read::{all_or_any, host_match};
use super::{Policies, Policy, Special, Targeted};
use crate::everywhere;
use crate::finding::{self, Complete};
use crate::targets::{Scope, Target};
use crate::workloads::Workload;

/// What a policy says of the calls that its targets make.
pub(super) struct Calls {
    /// Whose calls: what is no workload, and leads to none, is not among them.
    targets: Vec<Target>,
    default: Option<(Stance, Origin)>,
    rules: Vec<Arc<OutboundRule>>,
}

impl Calls {
    /// Refuses nothing from here on.
    pub(super) fn only_audits(&mut self) {
        self.default = self
            .default
            .take()
            .filter(|(stance, _)| *stance == Stance::Allow);
        for rule in &mut self.rules {
            let rule = Arc::make_mut(rule);
            rule.effect = match rule.effect {
                Effect::Allow | Effect::AllowAlso => Effect::AllowAlso,
                Effect::Deny | Effect::Ring | Effect::NotUnderstood | Effect::Audit => {
                    Effect::Audit
                }
            };
        }
    }
}

/// What `object` says of the calls of `targets`, as they were written; `None` if it says nothing.
pub(super) fn read(
    object: &Object<AccessPolicySpec>,
    targets: &[Target],
    has_flawed_target: bool,
    scope: &Scope<'_>,
    notes: &mut Notes,
) -> Option<Calls> {
    let spec = object.spec.partly();
    // Of what cannot be read at all it cannot be told whether it speaks of these calls.
    let part = match spec {
        Some(spec) => Some(spec.outbound.as_ref()?),
        None => None,
    };
    let own = || Target::Namespace(finding::namespace(object));
    let callers = targets
        .iter()
        .map(|target| caller(target).unwrap_or_else(own));
    let mut calls = Calls {
        targets: callers.collect::<BTreeSet<_>>().into_iter().collect(),
        default: None,
        rules: Vec::new(),
    };
    let makes_none = targets
        .iter()
        .find(|target| caller(target).as_ref() != Some(target));
    if let Some(target) = makes_none {
        notes.push(makes_no_calls(object, target));
    }
    if has_flawed_target {
        calls.targets = [own()].into();
    }
    let sound = object.spec.sound().and(part).and_then(Part::partly);
    let Some(written) = sound.filter(|_| makes_none.is_none() && !has_flawed_target) else {
        calls.rules.push(denies_all(object));
        return Some(calls);
    };
    if part.is_some_and(Part::is_flawed) {
        calls.rules.push(denies_all(object));
    }
    calls.default = written.default.map(|default| {
        let origin = object.origin("/spec/outbound/default");
        (everywhere::stance(default), origin)
    });
    for (index, part) in written.rules.iter().enumerate() {
        let pointer = format!("/spec/outbound/rules/{index}");
        let rule = rule(object, part, &pointer);
        for (place, host) in rule.hosts.iter().enumerate() {
            let pointer = format!("{pointer}/hosts/{place}");
            if let Some(note) = in_mesh(object, &pointer, host, scope) {
                notes.push(note);
            }
        }
        calls.rules.push(Arc::new(rule));
    }
    Some(calls)
}

/// The workloads of a target as those who call: of one port, or of what a route takes, there are none.
fn caller(target: &Target) -> Option<Target> {
    match target {
        Target::Mesh | Target::Namespace(_) | Target::Service(_) | Target::Workload(..) => {
            Some(target.clone())
        }
        Target::ServicePort(port) => Some(Target::Service(port.service.clone())),
        Target::WorkloadPort(namespace, name, _) => {
            Some(Target::Workload(namespace.clone(), name.clone()))
        }
        Target::HttpRoute(..) | Target::GrpcRoute(..) => None,
    }
}

fn makes_no_calls(object: &Object<AccessPolicySpec>, target: &Target) -> Note {
    let what = match target {
        Target::HttpRoute(..) | Target::GrpcRoute(..) => "a route",
        Target::Mesh
        | Target::Namespace(_)
        | Target::Service(_)
        | Target::Workload(..)
        | Target::ServicePort(_)
        | Target::WorkloadPort(..) => "a port",
    };
    let message = format!("outbound is about calls that workloads make, and {what} makes none");
    let suggestion = "say it in a policy about the MeshWorkload, Service or Namespace";
    finding::error(object, "/spec/outbound", Code::C177, message)
        .suggest(Some(suggestion.to_string()))
        .in_force("calls of its workloads to hosts outside the mesh are denied")
}

/// Says that a host is a service's, about which no rule here is ever asked.
fn in_mesh(
    object: &Object<AccessPolicySpec>,
    pointer: &str,
    host: &HostMatch,
    scope: &Scope<'_>,
) -> Option<Note> {
    let name = match host {
        HostMatch::Exact(name) => service_named(name).filter(|it| scope.services.contains_key(it)),
        HostMatch::Any | HostMatch::Suffix(_) => None,
    };
    let is_of_cluster = match host {
        HostMatch::Exact(name) | HostMatch::Suffix(name) => name.ends_with(".cluster.local"),
        HostMatch::Any => false,
    };
    let message = match name {
        Some(name) => format!("{host} is the Service {name} of the mesh"),
        None if is_of_cluster => format!("{host} can only be services of the mesh"),
        None => return None,
    };
    let suggestion = "say who may call it in a policy about the Service: spec.rules";
    let note = finding::warning(object, pointer, Code::C176, message);
    let note = note.suggest(Some(suggestion.to_string()));
    Some(note.in_force("nothing for this host: whoever is called in the mesh decides"))
}

/// The service that a name in full would be.
fn service_named(host: &str) -> Option<ServiceName> {
    let mut labels = host.split('.');
    let (name, namespace) = (labels.next()?, labels.next()?);
    let rest = labels.collect::<Vec<_>>();
    let is_name = matches!(*rest, [] | ["svc"] | ["svc", "cluster", "local"]);
    let name = Name::new(name).ok().filter(|_| is_name)?;
    Some(ServiceName::new(Namespace::new(namespace).ok()?, name))
}

fn denies_all(object: &Object<AccessPolicySpec>) -> Arc<OutboundRule> {
    Arc::new(OutboundRule {
        origin: object.origin("/spec/outbound"),
        effect: Effect::NotUnderstood,
        hosts: Vec::new(),
        blocks: Vec::new(),
        ports: Vec::new(),
    })
}

fn rule(
    object: &Object<AccessPolicySpec>,
    part: &Part<policy::OutboundRule>,
    pointer: &str,
) -> OutboundRule {
    let origin = object.origin(pointer);
    let Some(written) = part.partly() else {
        return OutboundRule {
            origin,
            ..OutboundRule::clone(&denies_all(object))
        };
    };
    let mut understood = !part.is_flawed();
    let hosts = all_or_any(&written.hosts, &mut understood, |_, host| {
        Some(host_match(host))
    });
    let blocks = all_or_any(&written.ip_blocks, &mut understood, |_, block| Some(*block));
    let ports = all_or_any(&written.ports, &mut understood, |_, port| Some(*port));
    OutboundRule {
        origin,
        effect: match written.action {
            AccessAction::Audit => Effect::Audit,
            _ if !understood => Effect::NotUnderstood,
            AccessAction::Allow => Effect::Allow,
            AccessAction::Deny => Effect::Deny,
        },
        hosts,
        blocks,
        ports,
    }
}

/// Which defaults open what others keep closed for the whole mesh, and for which workloads.
pub(crate) type Loosened = BTreeMap<(Origin, Origin), BTreeSet<String>>;

/// Which policies with rules about outbound calls let out what would be let out anyway.
pub(crate) type Idle = BTreeMap<Arc<ObjectRef>, bool>;

impl Policies<'_> {
    /// What stands before the calls that `workload` makes, for which these services lead to it: of
    /// `default` what the most special policy says, of two equally special ones the stricter; all rules.
    pub(super) fn outbound(
        &self,
        workload: &Workload<'_>,
        targeted: &BTreeMap<u16, Targeted>,
        idle: &mut Idle,
        loosened: &mut Loosened,
    ) -> Outbound {
        let (namespace, name) = workload.name();
        let services = targeted.values().flat_map(|targeted| &targeted.services);
        let services = services.map(|service| Target::Service(service.clone()));
        let general = [
            Target::Mesh,
            Target::Namespace(namespace.clone()),
            Target::Workload(namespace.clone(), name.clone()),
        ];
        let targets = services.chain(general).collect::<BTreeSet<_>>();
        let said = targets.iter().flat_map(|target| {
            let of_target = self.by_caller.get(target).into_iter().flatten();
            of_target.map(|policy| (Special::of(target), *policy))
        });
        let said = said.collect::<Vec<_>>();
        let defaults = said
            .iter()
            .filter_map(|(special, (_, calls))| Some((*special, calls.default.as_ref()?)));
        let default = defaults
            .clone()
            .max_by_key(|(special, (stance, _))| (*special, *stance));
        if let Some((special, (Stance::Allow, origin))) = default
            && special > Special::Mesh
            && let Some(closed_by) = self.closed_by(defaults)
        {
            let workloads = loosened.entry((origin.clone(), closed_by)).or_default();
            workloads.insert(format!("{namespace}/{name}"));
        }
        let default = default.map(|(_, default)| default.clone());
        let is_open = match (&default, self.everywhere.settings.unknown_destinations) {
            (Some((stance, _)), _) => *stance == Stance::Allow,
            (None, Unknown::Pass) => true,
            (None, Unknown::Refuse) => false,
        };
        let mut outbound = Outbound {
            default,
            ..Outbound::default()
        };
        let mut told = BTreeSet::new();
        for (_, (policy, calls)) in said {
            let object = policy.object.reference();
            if !told.insert(object.clone()) {
                continue;
            }
            if calls.rules.iter().any(|rule| rule.effect == Effect::Allow) {
                *idle.entry(object.clone()).or_insert(true) &= is_open;
            }
            for rule in &calls.rules {
                match rule.effect {
                    Effect::Audit => outbound.audits.push(rule.clone()),
                    Effect::Allow
                    | Effect::AllowAlso
                    | Effect::Deny
                    | Effect::Ring
                    | Effect::NotUnderstood => {
                        outbound.rules.push(rule.clone());
                    }
                }
            }
        }
        outbound
    }

    /// Who says of the whole mesh that nothing leaves it but what rules let out.
    fn closed_by<'d>(
        &self,
        defaults: impl Iterator<Item = (Special, &'d (Stance, Origin))>,
    ) -> Option<Origin> {
        let of_mesh = defaults.filter(|(special, _)| *special == Special::Mesh);
        let settings = &self.everywhere.settings;
        match of_mesh
            .map(|(_, default)| default)
            .max_by_key(|(stance, _)| *stance)
        {
            Some((Stance::Deny, origin)) => Some(origin.clone()),
            Some((Stance::Allow, _)) => None,
            None => match settings.unknown_destinations {
                Unknown::Refuse => settings.origin_of_unknown().cloned(),
                Unknown::Pass => None,
            },
        }
    }

    /// Notes the policies whose default opens what the mesh's keeps closed.
    pub(super) fn note_loosened(&self, loosened: &Loosened, notes: &mut Notes) {
        for ((opened_by, closed_by), workloads) in loosened {
            let mut all = self.all.iter();
            let by = all.find(|policy| policy.object.reference() == &opened_by.object);
            let Some(by) = by else { continue };
            let message = format!("it opens what {} keeps closed", closed_by.object);
            let suggestion = "to forbid more than that, write rules with action: Deny in a policy about the Mesh: \
                              nobody else can lift them";
            let mut note = finding::warning(by.object, &opened_by.pointer, Code::C190, message);
            // A policy speaks of outbound calls; the field of the `Mesh` is what holds where none does.
            if &*closed_by.object.kind == "Mesh" {
                note.severity = Severity::Info;
            }
            let whose = named(workloads);
            notes.push(note.suggest(Some(suggestion.to_string())).in_force(format!(
                "{whose} may call every host outside the mesh that no rule denies"
            )));
        }
    }

    /// Notes the policies that let out what would be let out anyway.
    pub(super) fn note_idle(&self, idle: &Idle, notes: &mut Notes) {
        for policy in self.all {
            if idle.get(policy.object.reference()) != Some(&true) {
                continue;
            }
            let message =
                "it allows calls to hosts outside the mesh, and all of them are let out anyway";
            let suggestion =
                "say outbound.default: Deny here, or unknownDestinations: Deny in the Mesh";
            let note = finding::warning(
                policy.object,
                "/spec/outbound/rules",
                Code::C175,
                message.to_string(),
            );
            notes.push(
                note.suggest(Some(suggestion.to_string()))
                    .in_force("its targets may call every host that no rule denies"),
            );
        }
    }
}

/// What each target's policies say of the calls that it makes.
pub(super) type ByCaller<'a> = BTreeMap<&'a Target, Vec<(&'a Policy<'a>, &'a Calls)>>;

/// Finds it.
pub(super) fn by_caller<'a>(all: &'a [Policy<'a>]) -> ByCaller<'a> {
    let mut by_caller = ByCaller::new();
    for policy in all {
        if let Some(calls) = &policy.calls {
            for target in &calls.targets {
                by_caller.entry(target).or_default().push((policy, calls));
            }
        }
    }
    by_caller
}

/// What policies say of `default`, for those who look for two that differ.
pub(super) fn default_of(policy: &Policy<'_>) -> Option<(Stance, &'static str)> {
    let (stance, _) = policy.calls.as_ref()?.default.as_ref()?;
    Some((*stance, "Deny"))
}

/// Names the fields for a note.
pub(super) const DEFAULT: &str = "outbound/default";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_full_may_be_a_service() {
        let named = |host: &str| service_named(host).map(|name| name.to_string());
        assert_eq!(named("cart.shop").as_deref(), Some("shop/cart"));
        let whole = named("cart.shop.svc.cluster.local");
        assert_eq!(whole.as_deref(), Some("shop/cart"));
        assert_eq!(named("api.stripe.com"), None);
        assert_eq!(named("cart"), None);
    }
}
