//! Rules that no request can reach, because earlier matches take everything they could match.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use leno_model::view::{HeaderMatch, HostMatch, HttpMatch, PathMatch, TextMatch};
use leno_model::{Code, Note, Notes, ObjectRef};

use crate::finding::{self, Complete};
use crate::precedence::Candidate;

/// What has been seen of rules on the ports looked at so far.
#[derive(Default)]
pub(crate) struct Shadows<'a> {
    /// The rules that some request reaches on some port.
    reached: BTreeSet<RuleName<'a>>,
    /// For rules whose match was taken: the first that did so, if it is older or says when it was created.
    never: BTreeMap<RuleName<'a>, Note>,
    /// For pairs of rules that match the same, if only their routes' names decide.
    ties: BTreeMap<(RuleName<'a>, RuleName<'a>), Note>,
}

type RuleName<'a> = (&'a ObjectRef, usize);

impl<'a> Shadows<'a> {
    /// Looks at what is attached to one port, in order of precedence. Time grows with n log n.
    ///
    /// In that order an earlier match takes everything of a later one only if the two are the same:
    /// every wider match stands behind the narrower one. (A pattern may take more than that, which is
    /// not looked into: only what is sure is noted.)
    pub(crate) fn look(&mut self, sorted: &[Candidate<'a>]) {
        let mut first = BTreeMap::new();
        for candidate in sorted {
            let earlier = *first.entry(Requests::of(candidate)).or_insert(candidate);
            let (rule, other) = (candidate.rule_name(), earlier.rule_name());
            if rule == other {
                self.reached.insert(rule);
            } else if is_tie(candidate, earlier) {
                self.ties
                    .entry((rule, other))
                    .or_insert_with(|| tie(candidate, earlier));
            } else {
                self.never
                    .entry(rule)
                    .or_insert_with(|| never(candidate, earlier));
            }
        }
    }

    /// The rules that are reached on no port, and the ties.
    pub(crate) fn notes(self) -> Notes {
        let mut notes = Notes::default();
        let Self {
            reached,
            never,
            ties,
        } = self;
        let never = never
            .into_iter()
            .filter(|(rule, _)| !reached.contains(rule));
        never
            .map(|(_, note)| note)
            .chain(ties.into_values())
            .for_each(|note| notes.push(note));
        notes
    }
}

/// Whether only the routes' names say which of two equal matches goes first.
fn is_tie(candidate: &Candidate<'_>, earlier: &Candidate<'_>) -> bool {
    let is_undated = |candidate: &Candidate<'_>| candidate.route.object.meta.created.is_none();
    let is_other = candidate.route.object.reference() != earlier.route.object.reference();
    is_other && is_undated(candidate) && is_undated(earlier)
}

fn tie(candidate: &Candidate<'_>, earlier: &Candidate<'_>) -> Note {
    let other = name(earlier);
    let message = format!("{other} matches the same, and neither says when it was created");
    finding::warning(
        candidate.route.object,
        &candidate.pointer(),
        Code::C108,
        message,
    )
    .in_force(format!(
        "{other} takes the {}s: its name goes first",
        candidate.route.kind().takes_one()
    ))
}

fn never(candidate: &Candidate<'_>, earlier: &Candidate<'_>) -> Note {
    let (_, rule) = candidate.rule_name();
    let message = format!(
        "{} takes every {} that this rule matches",
        name(earlier),
        candidate.route.kind().takes_one()
    );
    finding::warning(
        candidate.route.object,
        &format!("/spec/rules/{rule}"),
        Code::C106,
        message,
    )
    .in_force("this rule does nothing")
}

/// `HTTPRoute shop/cart rule 2`
fn name(candidate: &Candidate<'_>) -> String {
    let (object, rule) = candidate.rule_name();
    format!("{object} rule {}", rule + 1)
}

/// Which requests a match takes, in a form in which equal sets are equal values.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Requests<'c> {
    host: &'c HostMatch,
    path: (u8, &'c str),
    method: Option<&'c str>,
    headers: Vec<(&'c str, bool, &'c str)>,
    query: Vec<(&'c str, bool, &'c str)>,
}

impl<'c> Requests<'c> {
    fn of(candidate: &'c Candidate<'_>) -> Self {
        let HttpMatch {
            path,
            method,
            headers,
            query,
        } = &candidate.matches;
        Self {
            host: &candidate.host,
            path: match path {
                PathMatch::Exact(path) => (0, path),
                PathMatch::Prefix(path) => (1, path),
                PathMatch::Regex(pattern) => (2, pattern.as_str()),
                PathMatch::Template(template) => (3, template.as_str()),
            },
            method: method.as_deref(),
            headers: in_any_order(headers),
            query: in_any_order(query),
        }
    }
}

fn in_any_order(matches: &[HeaderMatch]) -> Vec<(&str, bool, &str)> {
    let mut all = Vec::with_capacity(matches.len());
    all.extend(matches.iter().map(|one| match &one.value {
        TextMatch::Exact(value) => (&*one.name, false, &**value),
        TextMatch::Regex(pattern) => (&*one.name, true, pattern.as_str()),
    }));
    all.sort_unstable();
    all
}
