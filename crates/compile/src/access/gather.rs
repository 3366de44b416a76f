//! All that stands over each port of a workload, from every policy that is about it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::cmp::Reverse;

use leno_model::view::{Access, AccessRule, Effect, Protocol, RequestMatch, Stance, WorkloadPort};
use leno_model::{Code, Notes, Origin, ServiceName};

use super::{Policy, Rule};
use crate::everywhere::Everywhere;
use crate::finding::{self, Complete};
use crate::spoken::Spoken;
use crate::targets::Target;
use crate::workloads::Workload;

/// All policies, by what they are about.
pub(crate) struct Policies<'a> {
    everywhere: &'a Everywhere,
    all: &'a [Policy<'a>],
    by_target: BTreeMap<&'a Target, Vec<&'a Policy<'a>>>,
}

/// What the services that lead to a workload's port say about it.
#[derive(Default)]
pub(crate) struct Targeted {
    pub(crate) services: BTreeSet<ServiceName>,
    pub(crate) is_http: bool,
}

/// Who may call each port of a workload.
pub(crate) struct Ports {
    pub(crate) ports: BTreeMap<u16, WorkloadPort>,
    pub(crate) others: Arc<Access>,
}

/// The ports on which no requests are seen and rules that speak of requests stand, by rule.
#[derive(Default)]
pub(crate) struct Blind(BTreeMap<Origin, BTreeSet<String>>);

impl<'a> Policies<'a> {
    pub(crate) fn new(everywhere: &'a Everywhere, all: &'a [Policy<'a>]) -> Self {
        let mut by_target = BTreeMap::<_, Vec<_>>::new();
        for policy in all {
            for target in &policy.targets {
                by_target.entry(target).or_default().push(policy);
            }
        }
        Self {
            everywhere,
            all,
            by_target,
        }
    }

    /// What stands over the ports that `workload` declares, that services lead to, or that a policy
    /// names; and over all others.
    pub(crate) fn over(
        &self,
        workload: &Workload<'_>,
        targeted: &BTreeMap<u16, Targeted>,
        blind: &mut Blind,
    ) -> Ports {
        let name = &workload.object.meta.name;
        let general = [
            Target::Mesh,
            Target::Namespace(workload.namespace.clone()),
            Target::Workload(workload.namespace.clone(), name.clone()),
        ];
        let general = general
            .iter()
            .flat_map(|target| self.about(target))
            .collect::<Vec<_>>();
        let rules = general.iter().flat_map(|(_, policy)| &policy.rules);
        let named = rules
            .flat_map(|rule| &rule.rule.requests)
            .flat_map(|request| &request.ports);
        let numbers = workload.ports.keys().chain(targeted.keys()).chain(named);
        let numbers = numbers.copied().collect::<BTreeSet<_>>();
        let port = |number| {
            let targeted = targeted.get(&number);
            let services = targeted.into_iter().flat_map(|targeted| &targeted.services);
            let services = services.map(|service| Target::Service(service.clone()));
            let special = services
                .flat_map(|target| self.about(&target))
                .collect::<Vec<_>>();
            let declared = workload
                .ports
                .get(&number)
                .map_or(Spoken::Unsaid, |port| port.spoken);
            let is_http = targeted.is_some_and(|targeted| targeted.is_http);
            let protocol = declared
                .or(if is_http {
                    Spoken::Http
                } else {
                    Spoken::Unsaid
                })
                .protocol();
            let policies = general.iter().chain(&special).copied().collect::<Vec<_>>();
            let over = Over {
                policies: &policies,
                port: Some(number),
                protocol,
            };
            if protocol == Protocol::Tcp
                && (workload.ports.contains_key(&number) || targeted.is_some())
            {
                over.tell(&format!("{}/{name}:{number}", workload.namespace), blind);
            }
            let access = Arc::new(over.access(self.everywhere));
            (number, WorkloadPort { protocol, access })
        };
        let others = Over {
            policies: &general,
            port: None,
            protocol: Protocol::Tcp,
        };
        Ports {
            ports: numbers.into_iter().map(port).collect(),
            others: Arc::new(others.access(self.everywhere)),
        }
    }

    /// The policies about `target`, each with how special that is.
    fn about(&self, target: &Target) -> Vec<(Special, &'a Policy<'a>)> {
        let policies = self.by_target.get(target).into_iter().flatten();
        policies
            .map(|policy| (Special::of(target), *policy))
            .collect()
    }

    /// Notes what two policies say differently about one target.
    pub(crate) fn note_overlaps(&self, notes: &mut Notes) {
        for policies in self.by_target.values() {
            overlap(
                "mtls",
                policies,
                |policy| Some((Reverse(policy.mtls.as_ref()?.0), "Strict")),
                notes,
            );
            overlap(
                "default",
                policies,
                |policy| Some((policy.stance.as_ref()?.0, "Deny")),
                notes,
            );
        }
    }

    /// Notes the rules that speak of requests where none are seen.
    pub(crate) fn note_blind(&self, blind: &Blind, notes: &mut Notes) {
        let rules = self
            .all
            .iter()
            .flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)));
        for (policy, rule) in rules {
            let Some(ports) = blind.0.get(&rule.rule.origin) else {
                continue;
            };
            let first = ports
                .iter()
                .take(MOST_NAMED)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            let ports = match ports.len().checked_sub(MOST_NAMED) {
                None | Some(0) => first,
                Some(more) => format!("{first} and {more} more"),
            };
            let in_force = match rule.rule.effect {
                Effect::Allow => format!("it allows nobody on {ports}"),
                Effect::Deny | Effect::NotUnderstood => {
                    format!("on {ports} it denies its callers whatever they send")
                }
            };
            let message = format!("it speaks of requests, and none are seen on {ports}");
            let pointer = format!("{}/requests", rule.pointer);
            notes.push(
                finding::warning(policy.object, &pointer, Code::C135, message)
                    .suggest(Some(
                        "say appProtocol: http, or limit the rule by ports".to_string(),
                    ))
                    .in_force(in_force),
            );
        }
    }
}

/// How many ports a note names.
const MOST_NAMED: usize = 3;

fn overlap<T: Ord>(
    field: &str,
    policies: &[&Policy<'_>],
    said: impl Fn(&Policy<'_>) -> Option<(T, &'static str)>,
    notes: &mut Notes,
) {
    let Some(winner) = policies
        .iter()
        .filter(|policy| said(policy).is_some())
        .max_by_key(|policy| said(policy))
    else {
        return;
    };
    for policy in policies {
        let loses = said(policy).is_some_and(|value| Some(value) < said(winner));
        if !loses {
            continue;
        }
        let stricter = said(winner).map_or("", |(_, word)| word);
        let pointer = format!("/spec/{field}");
        let message = format!(
            "{} says {stricter} about the same",
            winner.object.reference()
        );
        notes.push(
            finding::warning(policy.object, &pointer, Code::C133, message)
                .in_force(format!("{stricter}: the stricter of two holds")),
        );
    }
}

/// How special a policy's target is. The more special wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Special {
    Mesh,
    Namespace,
    Service,
    Workload,
}

impl Special {
    fn of(target: &Target) -> Self {
        match target {
            Target::Mesh => Self::Mesh,
            Target::Namespace(_) => Self::Namespace,
            Target::Service(_) => Self::Service,
            Target::Workload(..) => Self::Workload,
        }
    }
}

/// One port, or all that are not known, with the policies over it.
struct Over<'p, 'a> {
    policies: &'p [(Special, &'a Policy<'a>)],
    port: Option<u16>,
    protocol: Protocol,
}

impl<'p, 'a> Over<'p, 'a> {
    fn access(&self, everywhere: &Everywhere) -> Access {
        let mtls = self
            .policies
            .iter()
            .filter_map(|(special, policy)| Some((*special, policy.mtls.as_ref()?)))
            .max_by_key(|(special, (mtls, _))| (*special, Reverse(*mtls)));
        let (mtls, mtls_origin) = match mtls {
            Some((_, (mtls, origin))) => (*mtls, Some(origin.clone())),
            None => everywhere.mtls.clone(),
        };
        let stance = self
            .policies
            .iter()
            .filter_map(|(special, policy)| Some((*special, policy.stance.as_ref()?)))
            .max_by_key(|(special, (stance, _))| (*special, *stance));
        let (mut stance, mut stance_origin) = match stance {
            Some((_, (stance, origin))) => (*stance, Some(origin.clone())),
            None => everywhere.stance.clone(),
        };
        let mut rules = Vec::new();
        for (rule, seen) in self.rules() {
            if rule.closes {
                (stance, stance_origin) = (Stance::Deny, Some(rule.rule.origin.clone()));
            }
            rules.push(seen);
        }
        Access {
            mtls,
            mtls_origin,
            rules,
            stance,
            stance_origin,
        }
    }

    /// Notes each rule that speaks of requests here.
    fn tell(&self, name: &str, blind: &mut Blind) {
        for (rule, _) in self.rules() {
            let mut here = rule
                .rule
                .requests
                .iter()
                .filter(|request| self.is_here(request));
            if here.any(reads_requests) {
                let ports = blind.0.entry(rule.rule.origin.clone()).or_default();
                ports.insert(name.to_string());
            }
        }
    }

    /// The rules that stand over the port, each once, as they are enforced on it.
    fn rules(&self) -> impl Iterator<Item = (&'p Rule, Arc<AccessRule>)> + use<'_, 'p, 'a> {
        let mut told = BTreeSet::new();
        let policies = self.policies.iter().map(|(_, policy)| *policy);
        let policies = policies.filter(move |policy| told.insert(policy.object.reference()));
        let rules = policies.flat_map(|policy| &policy.rules);
        rules.filter_map(|rule| Some((rule, self.seen(&rule.rule)?)))
    }

    /// The rule as it is enforced on the port; `None` if it is about other ports.
    ///
    /// Where no requests are seen, a rule that denies some denies all: a byte stream may carry any.
    fn seen(&self, rule: &Arc<AccessRule>) -> Option<Arc<AccessRule>> {
        if rule.requests.is_empty() {
            return Some(rule.clone());
        }
        let is_widened = self.protocol == Protocol::Tcp && rule.effect != Effect::Allow;
        let enforced = |request: &RequestMatch| match is_widened {
            true => RequestMatch {
                ports: request.ports.clone(),
                ..RequestMatch::default()
            },
            false => request.clone(),
        };
        let requests = rule
            .requests
            .iter()
            .filter(|request| self.is_here(request))
            .map(enforced)
            .collect::<Vec<_>>();
        if requests.is_empty() {
            return None;
        }
        if requests == rule.requests {
            return Some(rule.clone());
        }
        let mut rule = AccessRule::clone(rule);
        rule.requests = requests;
        Some(Arc::new(rule))
    }

    fn is_here(&self, request: &RequestMatch) -> bool {
        match self.port {
            Some(port) => request.ports.is_empty() || request.ports.contains(&port),
            None => request.ports.is_empty(),
        }
    }
}

/// Whether a byte stream can never match.
fn reads_requests(request: &RequestMatch) -> bool {
    !(request.methods.is_empty() && request.hosts.is_empty() && request.paths.is_empty())
}
