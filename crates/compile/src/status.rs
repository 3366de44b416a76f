//! The conditions that Gateway API has a route report, read off its notes: what `leno check` prints
//! and what stands in the object's status can so never differ.

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::fmt;

use crate::parents::{self, Role};
use crate::route::Route;
use leno_model::{Code, Note, Notes, Severity};

/// One condition of a route for one of its parents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// What it is about.
    pub kind: ConditionKind,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one word of the API.
    pub reason: &'static str,
    /// Why, in words for people; empty where there is nothing to say.
    pub message: String,
}

/// What a condition is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ConditionKind {
    /// The parent takes the route.
    Accepted,
    /// Everything the route refers to exists and may be used.
    ResolvedRefs,
    /// Some rules of the route are used and others are not.
    PartiallyInvalid,
    /// Everything in the rules that are used is enforced. A kind of our own: the rules are used
    /// without what is not.
    Enforced,
    /// Every proxy that is connected has taken what the object says.
    Programmed,
}

impl Condition {
    /// Whether proxies have what is accepted: those of `lacking` do not yet.
    pub(crate) fn programmed(is_accepted: bool, lacking: &[String]) -> Self {
        let kind = ConditionKind::Programmed;
        let not = |reason, message| Self {
            kind,
            holds: false,
            reason,
            message,
        };
        match lacking {
            _ if !is_accepted => not("Invalid", String::new()),
            [] => fine(kind, "Programmed"),
            [first, others @ ..] => {
                let message = match others.len() {
                    0 => format!("not taken yet by the proxy {first}"),
                    more => format!("not taken yet by the proxy {first} and {more} more"),
                };
                not("Pending", format!("{message}: leno proxies"))
            }
        }
    }
}

/// The conditions of `route` for its parent at index `parent`, read off the notes of reading and of
/// [`compile`](crate::compile()); none for a parent that is another controller's.
///
/// Of the notes only errors say that something does not hold: with a warning everything holds as it was written. Of these
/// one is told all the same: that others take what a rule is for. Whether proxies have adopted the route is not known here.
pub fn conditions<'a>(route: impl Into<Route<'a>>, parent: usize, notes: &Notes) -> Vec<Condition> {
    let route = route.into();
    let own = notes.iter().filter(|note| is_reported(note));
    let own = own.filter(|note| note.object() == Some(route.object.reference()));
    of_notes(route, parent, own)
}

/// Whether a note has a part in what is reported of its object.
pub(crate) fn is_reported(note: &Note) -> bool {
    note.severity == Severity::Error || note.code == Code::C106
}

/// The same, read off the notes that are about `route` and [are reported](is_reported).
pub(crate) fn of_notes<'n>(
    route: Route<'_>,
    parent: usize,
    notes: impl Iterator<Item = &'n Note>,
) -> Vec<Condition> {
    let rules = route.rules().len();
    let written = route
        .parents()
        .and_then(|parents| parents.iter().nth(parent)?.sound());
    let parent = Parent {
        index: parent,
        role: written.and_then(|written| parents::role(route, written)),
    };
    let mut found = Found::default();
    for note in notes {
        found.add(note, &parent);
    }
    if found.foreign {
        return Vec::new();
    }
    let mut conditions = vec![found.accepted(rules), found.resolved()];
    conditions.extend(found.partially_invalid(rules));
    conditions.extend(found.enforced());
    conditions
}

/// The parent that is reported to.
struct Parent {
    index: usize,
    role: Option<Role>,
}

/// The notes of a route by what they make not hold: the first of each sort.
#[derive(Default)]
struct Found<'a> {
    /// The parent is another controller's.
    foreign: bool,
    /// The route is not attached to the parent.
    detached: Option<&'a Note>,
    /// The route as a whole is not understood.
    unreadable: Option<&'a Note>,
    /// The rules of which nothing is used.
    refused: BTreeSet<usize>,
    /// Why a rule, or a part of one, is not used.
    refusal: Option<&'a Note>,
    /// Why a reference leads nowhere, and the API's word for it.
    reference: Option<(&'a Note, &'static str)>,
    /// What a rule is used without.
    unenforced: Option<&'a Note>,
    /// The rules that no request reaches, as others go first, in words.
    unreached: Vec<String>,
}

impl<'a> Found<'a> {
    fn add(&mut self, note: &'a Note, parent: &Parent) {
        let pointer = note.origin.as_ref().map_or("", |origin| &*origin.pointer);
        let steps = pointer.split('/').skip(1).collect::<Vec<_>>();
        match steps.as_slice() {
            ["spec", "parentRefs", at, ..] if at.parse() == Ok(parent.index) => {
                self.foreign |= note.code == Code::C114;
                self.detached.get_or_insert(note);
            }
            ["spec", "parentRefs", _, ..] => {}
            ["spec", "rules", _, "retry" | "timeouts", ..] if note.code == Code::C114 => {
                self.unenforced.get_or_insert(note);
            }
            ["spec", "rules", rule] if note.code == Code::C106 => {
                let number = rule.parse().map_or(0, |rule: usize| rule.saturating_add(1));
                self.unreached
                    .push(format!("rule {number}: {}", note.message));
            }
            ["spec", "rules", rule, below @ ..] => match reference_reason(note.code) {
                Some("RefNotPermitted") if parent.role == Some(Role::Consumer) => {}
                Some(reason) => {
                    self.reference.get_or_insert((note, reason));
                }
                None => {
                    if !matches!(below, ["matches" | "backendRefs", _, ..]) {
                        self.refused.extend(rule.parse::<usize>());
                    }
                    self.refusal.get_or_insert(note);
                }
            },
            _ => {
                self.unreadable.get_or_insert(note);
            }
        }
    }

    fn accepted(&self, rules: usize) -> Condition {
        let not = |reason, note: &Note| Condition {
            kind: ConditionKind::Accepted,
            holds: false,
            reason,
            message: message(note),
        };
        if let Some(note) = self.detached {
            //= GEP-1294: "The rejected routes should be ignored and have the `RouteConditionAccepted`
            //= status set to the (new) reason `RouteReasonConflicted`."
            let is_conflict = note.code == Code::C116;
            let reason = if is_conflict {
                "Conflicted"
            } else {
                "NoMatchingParent"
            };
            return not(reason, note);
        }
        if let Some(note) = self.unreadable {
            return not("UnsupportedValue", note);
        }
        //= RouteParentStatus conditions: "A Route MUST be considered "Accepted" if at least one of
        //= the Route's rules is implemented by the Gateway."
        match self.refusal {
            Some(note) if self.refused.len() == rules => not(refusal_reason(note.code), note),
            Some(_) | None => Condition {
                message: self.outdone(),
                ..fine(ConditionKind::Accepted, "Accepted")
            },
        }
    }

    /// Who takes what the route is for, if others do.
    fn outdone(&self) -> String {
        let told = self.unreached.iter().take(MOST_TOLD).map(String::as_str);
        let told = told.collect::<Vec<_>>().join("; ");
        match self.unreached.len().saturating_sub(MOST_TOLD) {
            0 => told,
            more => format!("{told}; so it is with {more} more: leno check"),
        }
    }

    fn resolved(&self) -> Condition {
        match self.reference {
            //= HTTPBackendRef: "In all cases, the implementation MUST ensure the `ResolvedRefs`
            //= Condition on the Route is set to `status: False`, with a Reason and Message that
            //= indicate what is the cause of the error."
            Some((note, reason)) => Condition {
                kind: ConditionKind::ResolvedRefs,
                holds: false,
                reason,
                message: message(note),
            },
            None => fine(ConditionKind::ResolvedRefs, "ResolvedRefs"),
        }
    }

    //= RouteConditionPartiallyInvalid: "This condition MUST NOT be set if a Route is fully valid,
    //= fully invalid, or not accepted."
    fn partially_invalid(&self, rules: usize) -> Option<Condition> {
        let not_accepted = self.detached.or(self.unreadable).is_some();
        let refusal = self.refusal?;
        if self.refused.len() == rules || not_accepted {
            return None;
        }
        //= RouteConditionPartiallyInvalid: "The message for this condition MUST start with the
        //= prefix "Dropped Rule" and include information about which Rules have been dropped."
        let numbers = self.refused.iter().map(|rule| format!(" {}", rule + 1));
        let dropped = if self.refused.is_empty() {
            " in part".to_string()
        } else {
            numbers.collect::<Vec<_>>().join(",")
        };
        Some(Condition {
            kind: ConditionKind::PartiallyInvalid,
            holds: true,
            reason: "UnsupportedValue",
            message: format!("Dropped Rule{dropped}: {}", message(refusal)),
        })
    }

    fn enforced(&self) -> Option<Condition> {
        let note = self.unenforced?;
        Some(Condition {
            kind: ConditionKind::Enforced,
            holds: false,
            reason: "NotEnforced",
            message: message(note),
        })
    }
}

/// Of how many rules it is told by whom they are outdone.
const MOST_TOLD: usize = 8;

/// The API's word for an error that makes a reference invalid.
fn reference_reason(code: Code) -> Option<&'static str> {
    REFERENCES
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, reason)| *reason)
}

const REFERENCES: [(Code, &str); 5] = [
    (Code::C103, "RefNotPermitted"),
    (Code::C104, "InvalidKind"),
    (Code::C105, "BackendNotFound"),
    (Code::C110, "UnsupportedProtocol"),
    (Code::C113, "BackendNotFound"),
];

/// The API's word for an error that makes a rule invalid.
fn refusal_reason(code: Code) -> &'static str {
    if code == Code::C115 {
        "IncompatibleFilters"
    } else {
        "UnsupportedValue"
    }
}

fn fine(kind: ConditionKind, reason: &'static str) -> Condition {
    Condition {
        kind,
        holds: true,
        reason,
        message: String::new(),
    }
}

pub(crate) fn message(note: &Note) -> String {
    match &note.suggestion {
        Some(suggestion) => format!("{}; {suggestion}", note.message),
        None => note.message.clone(),
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("Accepted"),
            Self::ResolvedRefs => f.write_str("ResolvedRefs"),
            Self::PartiallyInvalid => f.write_str("PartiallyInvalid"),
            Self::Programmed => f.write_str("Programmed"),
            Self::Enforced => write!(f, "{}/Enforced", leno_resources::GROUP),
        }
    }
}

/// `Accepted=False NoMatchingParent`
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = if self.holds { "True" } else { "False" };
        write!(f, "{}={holds} {}", self.kind, self.reason)
    }
}
