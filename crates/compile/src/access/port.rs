//! One port of a workload, or all that are not known, and what the policies over it come to.

use alloc::{collections::BTreeSet, string::ToString, sync::Arc, vec::Vec};
use core::cmp::Reverse;

use leno_condition::Condition;
use leno_model::view::{Access, AccessRule, Effect, Protocol, RequestMatch, Stance};

use super::{Blind, Policy, Rule, Special};
use crate::everywhere::Everywhere;

/// The policies over a port.
pub(super) struct Over<'p, 'a> {
    pub(super) policies: &'p [(Special, &'a Policy<'a>)],
    pub(super) which: Which<'p>,
    pub(super) protocol: Protocol,
}

/// Which ports are meant.
pub(super) enum Which<'p> {
    One(u16),
    AllBut(&'p BTreeSet<u16>),
}

impl<'p, 'a> Over<'p, 'a> {
    /// What they come to: of mode and stance what the most special says, of two equally special the
    /// stricter; all rules.
    pub(super) fn access(&self, everywhere: &Everywhere) -> Access {
        let policies = || self.policies.iter();
        let mtls = policies()
            .filter_map(|(special, policy)| Some((*special, policy.mtls.as_ref()?)))
            .max_by_key(|(special, (mtls, _))| (*special, Reverse(*mtls)));
        let (mtls, mtls_origin) = match mtls {
            Some((_, (mtls, origin))) => (*mtls, Some(origin.clone())),
            None => everywhere.mtls.clone(),
        };
        let stance = policies()
            .filter_map(|(special, policy)| Some((*special, policy.stance.as_ref()?)))
            .max_by_key(|(special, (stance, _))| (*special, *stance));
        let (mut stance, mut stance_origin) = match stance {
            Some((_, (stance, origin))) => (*stance, Some(origin.clone())),
            None => everywhere.stance.clone(),
        };
        let (mut rules, mut audits) = (Vec::new(), Vec::new());
        for (rule, enforced) in self.rules() {
            if rule.closes {
                (stance, stance_origin) = (Stance::Deny, Some(rule.rule.origin.clone()));
            }
            match enforced.effect {
                Effect::Audit => audits.push(enforced),
                Effect::Allow | Effect::Deny | Effect::NotUnderstood => rules.push(enforced),
            }
        }
        Access {
            mtls,
            mtls_origin,
            rules,
            audits,
            stance,
            stance_origin,
        }
    }

    /// Remembers each rule that speaks of requests on this port, where none are seen.
    pub(super) fn tell_blind_rules(&self, name: &str, blind: &mut Blind) {
        for (rule, _) in self.rules() {
            let AccessRule {
                requests,
                except,
                when,
                ..
            } = &*rule.rule;
            let requests = requests.iter().filter(|request| self.is_here(request));
            let mut requests = requests.chain(&except.requests);
            let asks = when.as_deref().is_some_and(asks_requests);
            if asks || requests.any(RequestMatch::reads_requests) {
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
        rules.filter_map(|rule| Some((rule, self.enforced(&rule.rule)?)))
    }

    /// The rule as it is enforced on the port; `None` if it is about other ports.
    ///
    /// Where no requests are seen, a rule that denies some denies all: a byte stream may carry any.
    fn enforced(&self, rule: &Arc<AccessRule>) -> Option<Arc<AccessRule>> {
        if rule.requests.is_empty() {
            return Some(rule.clone());
        }
        let is_widened = !self.protocol.is_http()
            && match rule.effect {
                Effect::Deny | Effect::NotUnderstood => true,
                Effect::Allow | Effect::Audit => false,
            };
        let here = rule.requests.iter().filter(|request| self.is_here(request));
        let requests = here.map(|request| {
            if is_widened {
                widened(request)
            } else {
                request.clone()
            }
        });
        let requests = requests.collect::<Vec<_>>();
        if requests.is_empty() {
            return None;
        }
        if requests == rule.requests {
            return Some(rule.clone());
        }
        Some(Arc::new(AccessRule {
            requests,
            ..AccessRule::clone(rule)
        }))
    }

    fn is_here(&self, request: &RequestMatch) -> bool {
        let mut ports = request.ports.iter();
        request.ports.is_empty()
            || match self.which {
                Which::One(number) => ports.any(|port| *port == number),
                Which::AllBut(known) => ports.any(|port| !known.contains(port)),
            }
    }
}

/// Any request to the same ports.
fn widened(request: &RequestMatch) -> RequestMatch {
    let ports = request.ports.clone();
    RequestMatch {
        ports,
        ..RequestMatch::default()
    }
}

/// Whether a condition looks at what a stream of bytes has not.
fn asks_requests(when: &str) -> bool {
    let read = Condition::new(when);
    read.is_ok_and(|condition| condition.reads().facts.iter().any(|it| it.is_of_request()))
}
