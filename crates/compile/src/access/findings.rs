//! What is worth knowing about access policies only when they are seen together.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::cmp::Reverse;

use leno_model::view::Effect;
use leno_model::{Code, Note, Notes, Origin};

use super::outbound::{self, Idle, Loosened};
use super::{Policies, Policy, Rule};
use crate::finding::{self, Complete};

/// Rules that ask for what is not seen where they stand, and policies that change nothing.
#[derive(Default)]
pub(crate) struct Blind {
    /// Those that speak of requests where none are seen.
    pub(super) requests: BTreeMap<Origin, BTreeSet<String>>,
    /// Those that ask for claims of a policy that believes nobody's tokens.
    pub(super) claims: BTreeMap<Origin, BTreeSet<String>>,
    /// Policies that let out what would be let out anyway.
    pub(super) idle: Idle,
    /// Defaults that open what is closed for the whole mesh.
    pub(super) loosened: Loosened,
    /// Those that have somebody asked about requests where none are seen.
    pub(super) unasked: BTreeMap<Origin, BTreeSet<String>>,
}

/// How many ports or workloads a note names.
const MOST_TOLD: usize = 3;

impl Policies<'_> {
    /// Notes what two policies say differently about one target.
    pub(crate) fn note_overlaps(&self, notes: &mut Notes) {
        for policies in self.by_target.values() {
            let mtls = |policy: &Policy<'_>| Some((Reverse(policy.mtls.as_ref()?.0), "Strict"));
            overlap("mtls", policies, mtls, notes);
            let stance = |policy: &Policy<'_>| Some((policy.stance.as_ref()?.0, "Deny"));
            overlap("default", policies, stance, notes);
        }
        for policies in self.by_caller.values() {
            let policies = policies.iter().map(|(policy, _)| *policy);
            let policies = policies.collect::<Vec<_>>();
            overlap(outbound::DEFAULT, &policies, outbound::default_of, notes);
        }
    }

    /// Notes the rules that ask for what is not seen.
    pub(crate) fn note_blind(&self, blind: &Blind, notes: &mut Notes) {
        self.note_idle(&blind.idle, notes);
        self.note_loosened(&blind.loosened, notes);
        for policy in self.all {
            let external = policy.external.as_ref();
            let unasked = external.and_then(|external| blind.unasked.get(&external.origin));
            if let Some(ports) = unasked {
                notes.push(asks_nobody(policy, ports));
            }
            for rule in &policy.rules {
                let origin = &rule.rule.origin;
                if let Some(ports) = blind.requests.get(origin) {
                    notes.push(sees_nothing(policy, rule, ports));
                }
                if let Some(ports) = blind.claims.get(origin) {
                    notes.push(believes_nobody(policy, rule, ports));
                }
            }
        }
    }
}

/// Notes for each of `policies` that another one is stricter in this field.
fn overlap<T: Ord + Copy>(
    field: &str,
    policies: &[&Policy<'_>],
    said: impl Fn(&Policy<'_>) -> Option<(T, &'static str)>,
    notes: &mut Notes,
) {
    let all = policies
        .iter()
        .filter_map(|policy| Some((said(policy)?, policy)));
    let Some(((strictest, word), winner)) = all.clone().max_by_key(|((value, _), _)| *value) else {
        return;
    };
    for ((value, _), policy) in all {
        if value == strictest {
            continue;
        }
        let message = format!("{} says {word} about the same", winner.object.reference());
        notes.push(
            finding::warning(
                policy.object,
                &format!("/spec/{field}"),
                Code::C133,
                message,
            )
            .in_force(format!("{word}: the stricter of two holds")),
        );
    }
}

fn sees_nothing(policy: &Policy<'_>, rule: &Rule, ports: &BTreeSet<String>) -> Note {
    let ports = named(ports);
    let in_force = match rule.rule.effect {
        Effect::Allow | Effect::AllowAlso => format!("it allows nobody on {ports}"),
        Effect::Audit => format!("it tells of nothing on {ports}"),
        Effect::Deny | Effect::Ring | Effect::NotUnderstood => {
            format!("on {ports} it denies its callers whatever they send")
        }
    };
    let message = format!("it speaks of requests, and none are seen on {ports}");
    let suggestion = "say appProtocol: http, or limit the rule by ports".to_string();
    finding::warning(
        policy.object,
        &format!("{}/requests", rule.pointer),
        Code::C135,
        message,
    )
    .suggest(Some(suggestion))
    .in_force(in_force)
}

fn believes_nobody(policy: &Policy<'_>, rule: &Rule, ports: &BTreeSet<String>) -> Note {
    let ports = named(ports);
    let in_force = match rule.rule.effect {
        Effect::Allow | Effect::AllowAlso => format!("by claims it allows nobody on {ports}"),
        Effect::Audit => format!("on {ports} it tells of all that it may be about"),
        Effect::Deny | Effect::Ring | Effect::NotUnderstood => {
            format!("on {ports} it denies whoever may have these claims")
        }
    };
    let message = "it asks for claims, and its policy believes nobody's tokens".to_string();
    let suggestion = "say in spec.jwt of this policy whose tokens may make them".to_string();
    finding::error(
        policy.object,
        &format!("{}/requests", rule.pointer),
        Code::C152,
        message,
    )
    .suggest(Some(suggestion))
    .in_force(in_force)
}

fn asks_nobody(policy: &Policy<'_>, ports: &BTreeSet<String>) -> Note {
    let ports = named(ports);
    let message = format!("nobody can be asked about streams of bytes, which {ports} may get");
    let suggestion = "say appProtocol: http, or name the ports of HTTP in targetRefs".to_string();
    finding::warning(policy.object, "/spec/externalAuth", Code::C172, message)
        .suggest(Some(suggestion))
        .in_force(format!("streams of bytes to {ports} are denied"))
}

/// The first of some names, and how many more there are.
pub(super) fn named(all: &BTreeSet<String>) -> String {
    let first = all.iter().take(MOST_TOLD).map(String::as_str);
    let first = first.collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST_TOLD) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
