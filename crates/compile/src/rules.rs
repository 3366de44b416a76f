//! What the rules of a route mean: which requests each takes, and what happens to them.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::view::route::Part as Share;
use leno_model::view::{Action, Backend, HeaderChanges, Rule, Split};
use leno_model::{Code, Note, Notes, Origin};
use leno_resources::gateway::{HttpBackendRef, HttpRouteRule, HttpRouteSpec};
use leno_resources::{Object, Part};

use crate::backends::{self, Grants};
use crate::filters::{self, Filters, Level};
use crate::finding::{self, Complete, Flaw};
use crate::matches;
use crate::parents::{Role, Routed};
use crate::precedence::Candidate;

/// What the rules of a route are understood with.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) routed: &'a Routed<'a>,
    pub(crate) grants: &'a Grants,
}

/// The matches of `route` where it has this role, in no order yet. `calls` says whose they are in a
/// sentence: `calls to cart`.
pub(crate) fn candidates<'a>(
    route: &'a Object<HttpRouteSpec>,
    role: Role,
    calls: &str,
    surroundings: Surroundings<'_>,
    notes: &mut Notes,
) -> Vec<Candidate<'a>> {
    let Some(spec) = route.spec.partly() else {
        return Vec::new();
    };
    note_hostnames(route, spec, notes);
    let mut candidates = Vec::new();
    for (index, part) in spec.rules.iter().enumerate() {
        let Some(written) = part.partly() else {
            continue;
        };
        let pointer = format!("/spec/rules/{index}");
        let matches = matches::matches(route, &pointer, &written.matches, notes);
        let takes_all = matches
            .iter()
            .any(|one| matches::is_everything(&one.matches));
        let calls = if takes_all && spec.rules.len() == 1 {
            calls.to_string()
        } else {
            format!("{calls} that rule {} takes", index + 1)
        };
        let mut reader = Reader {
            route,
            role,
            pointer,
            calls,
            surroundings,
            notes,
        };
        let rule = Arc::new(reader.rule(part, written));
        for one in matches {
            candidates.push(Candidate {
                route,
                position: (index, one.index),
                matches: one.matches,
                is_flawed: one.is_flawed,
                rule: if one.is_flawed {
                    Arc::new(refused(&rule, Code::C007, rule.origin.clone()))
                } else {
                    rule.clone()
                },
            });
        }
    }
    candidates
}

/// Says that hosts are not looked at.
fn note_hostnames(route: &Object<HttpRouteSpec>, spec: &HttpRouteSpec, notes: &mut Notes) {
    if spec.hostnames.is_empty() {
        return;
    }
    let message = "hostnames mean nothing where the parent is a Service".to_string();
    notes.push(
        finding::warning(route, "/spec/hostnames", Code::C114, message)
            .suggest(Some("a rule can match the header host".to_string()))
            .in_force("the rules take requests for every host"),
    );
}

/// The same rule, but nothing is forwarded.
fn refused(rule: &Rule, code: Code, origin: Origin) -> Rule {
    Rule {
        action: Action::Refuse(code, origin),
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        rewrite: None,
        ..rule.clone()
    }
}

struct Reader<'a, 'n> {
    route: &'a Object<HttpRouteSpec>,
    role: Role,
    pointer: String,
    calls: String,
    surroundings: Surroundings<'a>,
    notes: &'n mut Notes,
}

impl Reader<'_, '_> {
    fn rule(&mut self, part: &Part<HttpRouteRule>, written: &HttpRouteRule) -> Rule {
        let origin = self.route.origin(&self.pointer);
        let filters = filters::filters(
            self.route,
            &self.pointer,
            Level::Rule,
            &written.filters,
            self.notes,
        );
        let action = self.action(written, &filters);
        self.note_what_is_not_enforced(written);
        let Filters {
            request_headers,
            response_headers,
            rewrite,
            redirect: _,
            refused: flaw,
        } = filters;
        let rule = Rule {
            origin: origin.clone(),
            name: written.name.clone(),
            action,
            request_headers,
            response_headers,
            rewrite,
            request_timeout: written
                .timeouts
                .as_ref()
                .and_then(|timeouts| timeouts.request),
            retry: None,
        };
        if part.is_flawed() || self.route.spec.is_flawed() {
            return refused(&rule, Code::C007, origin);
        }
        match flaw {
            Some((code, origin)) => refused(&rule, code, origin),
            None => rule,
        }
    }

    fn action(&mut self, written: &HttpRouteRule, filters: &Filters) -> Action {
        if let Some(redirect) = &filters.redirect {
            return Action::Redirect(redirect.clone());
        }
        let mut shares = Vec::new();
        let mut flaws = Vec::new();
        for (index, part) in written.backend_refs.iter().enumerate() {
            let pointer = format!("{}/backendRefs/{index}", self.pointer);
            let (share, flaw) = self.share(part, &pointer);
            flaws.extend(flaw.map(|flaw| (pointer, share.weight, flaw)));
            shares.push(share);
        }
        let total = shares.iter().map(|share| u64::from(share.weight)).sum();
        for (pointer, weight, flaw) in flaws {
            self.notes.push(self.invalid(&pointer, flaw, weight, total));
        }
        Split::new(shares).map_or_else(|| self.nobody(written), Action::Forward)
    }

    /// One backend's share, and why it is not valid.
    fn share(&mut self, part: &Part<HttpBackendRef>, pointer: &str) -> (Share, Option<Flaw>) {
        let mut share = Share {
            backend: Backend::Invalid(Code::C007),
            weight: part.partly().map_or(1, |reference| reference.weight),
            origin: Some(self.route.origin(pointer)),
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
        };
        let Some(reference) = part.sound() else {
            return (share, None);
        };
        let Surroundings { routed, grants } = self.surroundings;
        let own = finding::namespace(self.route);
        let found = backends::port(reference, &own, self.role, routed, grants);
        let filters = filters::filters(
            self.route,
            pointer,
            Level::Backend,
            &reference.filters,
            self.notes,
        );
        share.backend = match (&found, &filters.refused) {
            (Err(invalid), _) => Backend::Invalid(invalid.code),
            (Ok(_), Some((code, _))) => Backend::Invalid(*code),
            (Ok(port), None) => Backend::Service(port.clone()),
        };
        share.request_headers = filters.request_headers;
        share.response_headers = filters.response_headers;
        (share, found.err())
    }

    //= HTTPRouteRule backendRefs: "the proportion of requests that would otherwise have been routed
    //= to an invalid backend MUST receive a 500 status code."
    fn invalid(&self, pointer: &str, flaw: Flaw, weight: u32, total: u64) -> Note {
        let in_force = match percent(weight, total) {
            Some(share) => format!(
                "{share} of {} answer 500 (Gateway API demands it)",
                self.calls
            ),
            None => "nothing: its weight is 0".to_string(),
        };
        flaw.note(self.route, pointer, in_force)
    }

    /// What becomes of requests that nobody gets a share of.
    //= BackendRef weight: "If weight is set to 0, no traffic should be forwarded for this entry."
    fn nobody(&mut self, written: &HttpRouteRule) -> Action {
        let (field, message) = if written.backend_refs.is_empty() {
            ("", "the rule names no backend and does not redirect")
        } else {
            ("/backendRefs", "all weights of the rule are 0")
        };
        let pointer = format!("{}{field}", self.pointer);
        let note = finding::warning(self.route, &pointer, Code::C107, message.to_string());
        self.notes
            .push(note.in_force(format!("all {} answer 500", self.calls)));
        Action::Refuse(Code::C107, self.route.origin(&pointer))
    }

    fn note_what_is_not_enforced(&mut self, written: &HttpRouteRule) {
        let backend_request = written
            .timeouts
            .as_ref()
            .is_some_and(|it| it.backend_request.is_some());
        if backend_request {
            self.not_enforced("/timeouts/backendRequest", "the timeout of one try");
        }
        if written.retry.is_some() {
            self.not_enforced("/retry", "a route's own retry");
        }
    }

    fn not_enforced(&mut self, field: &str, what: &str) {
        let pointer = format!("{}{field}", self.pointer);
        let message = format!("{what} is not enforced yet");
        let note = finding::error(self.route, &pointer, Code::C114, message);
        self.notes.push(note.in_force("the rule holds without it"));
    }
}

/// A share in words: `10 %`, `33.3 %`; `None` if it is nothing.
fn percent(weight: u32, total: u64) -> Option<String> {
    if weight == 0 {
        return None;
    }
    let permille = (u64::from(weight) * 1000 + total / 2) / total;
    let is_exact = (u64::from(weight) * 1000).is_multiple_of(total);
    Some(match permille {
        0 => "less than 0.1 %".to_string(),
        1000 if !is_exact => "more than 99.9 %".to_string(),
        _ if permille.is_multiple_of(10) => format!("{} %", permille / 10),
        _ => format!("{}.{} %", permille / 10, permille % 10),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_to_a_tenth_of_a_percent() {
        for (weight, total, expect) in [
            (0, 3, None),
            (1, 10, Some("10 %")),
            (1, 6, Some("16.7 %")),
            (1, 1, Some("100 %")),
            (1, 1_000_001, Some("less than 0.1 %")),
            (1_000_000, 1_000_001, Some("more than 99.9 %")),
        ] {
            assert_eq!(
                percent(weight, total).as_deref(),
                expect,
                "{weight} of {total}"
            );
        }
    }
}
