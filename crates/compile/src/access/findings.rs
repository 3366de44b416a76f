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

use super::{Policies, Policy, Rule};
use crate::finding::{self, Complete};

/// The ports on which no requests are seen, by the rules over them that speak of requests.
#[derive(Default)]
pub(crate) struct Blind(pub(super) BTreeMap<Origin, BTreeSet<String>>);

/// How many ports a note names.
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
    }

    /// Notes the rules that speak of requests where none are seen.
    pub(crate) fn note_blind(&self, blind: &Blind, notes: &mut Notes) {
        for policy in self.all {
            for rule in &policy.rules {
                if let Some(ports) = blind.0.get(&rule.rule.origin) {
                    notes.push(sees_nothing(policy, rule, ports));
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
    let first = ports.iter().take(MOST_TOLD).map(String::as_str);
    let first = first.collect::<Vec<_>>().join(", ");
    let ports = match ports.len().saturating_sub(MOST_TOLD) {
        0 => first,
        more => format!("{first} and {more} more"),
    };
    let in_force = match rule.rule.effect {
        Effect::Allow => format!("it allows nobody on {ports}"),
        Effect::Audit => format!("it tells of nothing on {ports}"),
        Effect::Deny | Effect::NotUnderstood => {
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
