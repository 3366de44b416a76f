//! One port of a workload, or all that are not known, and what the policies over it come to.

use alloc::{collections::BTreeSet, string::ToString, sync::Arc, vec::Vec};
use core::cmp::Reverse;
use core::ptr;

use leno_condition::{Condition, Fact};
use leno_model::view::access::{ExternalAuth, Jwt};
use leno_model::view::{
    Access, AccessRule, Effect, PortRef, Protocol, RequestMatch, Stance, Within,
};

use super::{Blind, Policy, Rule, Special};
use crate::everywhere::Everywhere;

/// The policies over a port.
pub(super) struct Over<'p, 'a> {
    pub(super) policies: &'p [Standing<'a>],
    pub(super) which: Which<'p>,
    pub(super) protocol: Protocol,
    /// The ports of services that lead here.
    pub(super) led_to_by: Option<&'p BTreeSet<PortRef>>,
}

/// A policy that is about a port.
#[derive(Clone)]
pub(super) struct Standing<'a> {
    pub(super) special: Special,
    pub(super) policy: &'a Policy<'a>,
    /// If it is not about the port as a whole, about which requests to it.
    pub(super) within: Vec<Within>,
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
            .filter_map(|it| Some((it.special, it.policy.mtls.as_ref()?)))
            .max_by_key(|(special, (mtls, _))| (*special, Reverse(*mtls)));
        let (mtls, mtls_origin) = match mtls {
            Some((_, (mtls, origin))) => (*mtls, Some(origin.clone())),
            None => everywhere.mtls.clone(),
        };
        let stance = policies()
            .filter_map(|it| Some((it.special, it.policy.stance.as_ref()?)))
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
                Effect::Allow
                | Effect::AllowAlso
                | Effect::Deny
                | Effect::Ring
                | Effect::NotUnderstood => {
                    rules.push(enforced);
                }
            }
        }
        Access {
            mtls,
            mtls_origin,
            jwt: self.jwt().map(Arc::new),
            external: self.external(),
            rules,
            audits,
            stance,
            stance_origin,
        }
    }

    /// Everyone whose tokens a policy believes, by the most special one first; `None` if no policy
    /// speaks of tokens.
    fn jwt(&self) -> Option<Jwt> {
        let policies = self.most_special_first().into_iter();
        policies
            .filter_map(|it| it.policy.jwt.clone())
            .reduce(|mut all, jwt| {
                all.required.extend(jwt.required);
                all.issuers.extend(jwt.issuers);
                all
            })
    }

    /// Everyone whom a policy has asked, by the most special one first. Of questions to himself nobody
    /// is asked.
    fn external(&self) -> Vec<Arc<ExternalAuth>> {
        let is_asked_here = |to: &PortRef| {
            self.led_to_by
                .is_some_and(|led_to_by| led_to_by.contains(to))
        };
        let policies = self.most_special_first().into_iter();
        let external = policies.filter_map(|it| {
            let external = it.policy.external.as_ref()?;
            let within = self.within(it);
            (!is_asked_here(&external.to)).then(|| ExternalAuth {
                within,
                ..external.clone()
            })
        });
        external.map(Arc::new).collect()
    }

    /// What a policy is about in all, if that is not the port as a whole.
    fn within(&self, of: &Standing<'a>) -> Vec<Within> {
        let mut same = self.policies.iter();
        let is_whole = |it: &Standing<'_>| ptr::eq(it.policy, of.policy) && it.within.is_empty();
        match same.any(is_whole) {
            true => Vec::new(),
            false => of.within.clone(),
        }
    }

    /// Each policy once, as it stands where it is the most special.
    fn most_special_first(&self) -> Vec<&Standing<'a>> {
        let mut policies = self.policies.iter().collect::<Vec<_>>();
        policies.sort_by_key(|it| Reverse(it.special));
        let mut told = BTreeSet::new();
        policies.retain(|it| told.insert(it.policy.object.reference()));
        policies
    }

    /// Remembers each policy that has somebody asked about requests on this port, where none are seen.
    pub(super) fn tell_unasked(&self, access: &Access, name: &str, blind: &mut Blind) {
        for external in &access.external {
            let ports = blind.unasked.entry(external.origin.clone()).or_default();
            ports.insert(name.to_string());
        }
    }

    /// Remembers each rule that speaks of requests on this port, where none are seen.
    pub(super) fn tell_blind_rules(&self, name: &str, blind: &mut Blind) {
        for (rule, enforced) in self.rules() {
            let AccessRule {
                requests,
                except,
                when,
                ..
            } = &*rule.rule;
            let requests = requests.iter().filter(|request| self.is_here(request));
            let mut requests = requests
                .chain(&except.requests)
                .chain(enforced.within.iter().flat_map(Within::requests));
            let asks = when
                .as_deref()
                .is_some_and(|when| reads(when, Fact::is_of_request));
            if asks || requests.any(RequestMatch::reads_requests) {
                let ports = blind.requests.entry(rule.rule.origin.clone()).or_default();
                ports.insert(name.to_string());
            }
        }
    }

    /// Remembers each rule that asks for claims, if its own policy believes nobody's tokens.
    pub(super) fn tell_unbelieved(&self, access: &Access, name: &str, blind: &mut Blind) {
        for (rule, enforced) in self.rules() {
            let believes = |jwt: &Arc<Jwt>| {
                let policy = &enforced.origin.object;
                jwt.issuers_of(policy).next().is_some()
            };
            if access.jwt.as_ref().is_some_and(believes) {
                continue;
            }
            let mut requests = enforced.requests.iter().chain(&enforced.except.requests);
            let condition = enforced.when.as_deref();
            if requests.any(|request| !request.claims.is_empty())
                || condition.is_some_and(|when| reads(when, |fact| fact == Fact::Claims))
            {
                let ports = blind.claims.entry(rule.rule.origin.clone()).or_default();
                ports.insert(name.to_string());
            }
        }
    }

    /// The rules that stand over the port, each once, as they are enforced on it.
    fn rules(&self) -> impl Iterator<Item = (&'p Rule, Arc<AccessRule>)> + use<'_, 'p, 'a> {
        let mut told = BTreeSet::new();
        let policies = self.policies.iter();
        let policies = policies.filter(move |it| told.insert(it.policy.object.reference()));
        let rules = policies.flat_map(|it| it.policy.rules.iter().map(|rule| (rule, &it.within)));
        rules.filter_map(|(rule, within)| {
            let enforced = self.enforced(&rule.rule)?;
            Some((rule, self.limited(enforced, within)))
        })
    }

    /// The rule about no more than its policy is about. Where no requests are seen, one that denies some
    /// denies all.
    fn limited(&self, mut rule: Arc<AccessRule>, within: &[Within]) -> Arc<AccessRule> {
        if !within.is_empty() && !self.is_widened(&rule) {
            Arc::make_mut(&mut rule).within = within.to_vec();
        }
        rule
    }

    fn is_widened(&self, rule: &AccessRule) -> bool {
        !self.protocol.is_http()
            && match rule.effect {
                Effect::Deny | Effect::Ring | Effect::NotUnderstood => true,
                Effect::Allow | Effect::AllowAlso | Effect::Audit => false,
            }
    }

    /// The rule as it is enforced on the port; `None` if it is about other ports.
    ///
    /// Where no requests are seen, a rule that denies some denies all: a byte stream may carry any.
    fn enforced(&self, rule: &Arc<AccessRule>) -> Option<Arc<AccessRule>> {
        if rule.requests.is_empty() {
            return Some(rule.clone());
        }
        let is_widened = self.is_widened(rule);
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

/// Whether a condition reads such a fact.
fn reads(when: &str, is: impl Fn(Fact) -> bool) -> bool {
    let read = Condition::new(when);
    read.is_ok_and(|condition| condition.reads().facts.iter().any(|fact| is(*fact)))
}
