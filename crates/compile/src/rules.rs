//! What the rules of a route mean: which requests each takes, and what happens to them.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::view::route::Part as Share;
use leno_model::view::{Action, Backend, HeaderChanges, Retry, Rule, Split};
use leno_model::{Code, Note, Notes, Origin};
use leno_resources::List;

use crate::backends::{self, Grants, Referrer, Referring};
use crate::filters::{self, Filters, Level, Place};
use crate::finding::{self, Complete, Flaw};
use crate::matches::{self, Match};
use crate::parents::{Role, Routed};
use crate::precedence::Candidate;
use crate::route::{Backend as Backed, Kind, Route, Rule as Written, Spec};

/// What the rules of a route are understood with.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) routed: &'a Routed<'a>,
    pub(crate) grants: &'a Grants,
}

/// The matches of `route` where it has this role, in no order yet. `calls` says whose they are in a
/// sentence: `calls to cart`.
pub(crate) fn candidates<'a>(
    route: Route<'a>,
    role: Role,
    calls: &str,
    surroundings: Surroundings<'_>,
    notes: &mut Notes,
) -> Vec<Candidate<'a>> {
    note_hostnames(route, notes);
    let rules = route.rules();
    let is_only = rules.len() == 1;
    let mut candidates = Vec::new();
    for (index, written) in rules.into_iter().enumerate() {
        let Some(written) = written else {
            continue;
        };
        let matches = matches::matches(route, index, notes);
        let takes_all = matches.iter().any(Match::is_everything);
        let of_stream = matches!(route.kind(), Kind::Tls | Kind::Tcp);
        let calls = if is_only && (takes_all || of_stream) {
            calls.to_string()
        } else {
            format!("{calls} that rule {} takes", index + 1)
        };
        let mut reader = Reader {
            route,
            role,
            pointer: format!("/spec/rules/{index}"),
            calls,
            surroundings,
            notes,
        };
        let rule = Arc::new(reader.rule(&written));
        for one in matches {
            let Match {
                index: at,
                host,
                matches,
                rank,
                is_flawed,
            } = one;
            candidates.push(Candidate {
                route,
                position: (index, at),
                host,
                matches,
                rank,
                is_flawed,
                rule: if is_flawed {
                    Arc::new(refused(&rule, Code::C007, rule.origin.clone()))
                } else {
                    rule.clone()
                },
            });
        }
    }
    candidates
}

/// Says that hosts are not looked at. Those of a TLSRoute are all that it says, and they are.
//= GEP-1294: "GAMMA implementations SHOULD NOT infer any functionality from the `hostnames` field on
//= `xRoute`s"
fn note_hostnames(route: Route<'_>, notes: &mut Notes) {
    let hostnames = match route.spec {
        Spec::Http(spec) => spec.map(|spec| &spec.hostnames),
        Spec::Grpc(spec) => spec.map(|spec| &spec.hostnames),
        Spec::Tls(_) | Spec::Tcp(_) => None,
    };
    if hostnames.is_none_or(List::is_empty) {
        return;
    }
    let message = "hostnames mean nothing where the parent is a Service".to_string();
    notes.push(
        finding::warning(route.object, "/spec/hostnames", Code::C114, message)
            .suggest(Some("a rule can match the header host".to_string()))
            .in_force(format!(
                "the rules take {}s for every host",
                route.kind().takes_one()
            )),
    );
}

/// The same rule, but nothing is forwarded.
fn refused(rule: &Rule, code: Code, origin: Origin) -> Rule {
    Rule {
        action: Action::Refuse(code, origin),
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        rewrite: None,
        mirrors: Vec::new(),
        cors: None,
        ..rule.clone()
    }
}

struct Reader<'a, 'n> {
    route: Route<'a>,
    role: Role,
    pointer: String,
    calls: String,
    surroundings: Surroundings<'a>,
    notes: &'n mut Notes,
}

impl Reader<'_, '_> {
    fn rule(&mut self, written: &Written<'_>) -> Rule {
        let origin = self.route.object.origin(&self.pointer);
        let place = Place {
            route: self.route,
            pointer: &self.pointer,
            level: Level::Rule,
            role: self.role,
            surroundings: self.surroundings,
        };
        let filters = filters::filters(place, &written.filters, self.notes);
        let action = self.action(written, &filters);
        let retry = self.retry(written);
        let Filters {
            request_headers,
            response_headers,
            rewrite,
            redirect: _,
            mirrors,
            cors,
            refused: flaw,
        } = filters;
        let timeouts = written.timeouts;
        let rule = Rule {
            origin: origin.clone(),
            name: written.name.clone(),
            request_headers,
            response_headers,
            rewrite,
            mirrors: match action {
                Action::Forward(_) => mirrors,
                Action::Redirect(_) | Action::Refuse(..) => Vec::new(),
            },
            action,
            cors,
            request_timeout: timeouts.and_then(|timeouts| timeouts.request),
            attempt_timeout: timeouts.and_then(|timeouts| timeouts.backend_request),
            retry,
        };
        let codes = written.retry.map(|retry| retry.codes.sound());
        if written.is_flawed || self.route.is_flawed || codes == Some(None) {
            return refused(&rule, Code::C007, origin);
        }
        match flaw {
            Some((code, origin)) => refused(&rule, code, origin),
            None => rule,
        }
    }

    fn action(&mut self, written: &Written<'_>, filters: &Filters) -> Action {
        if let Some(redirect) = &filters.redirect {
            self.note_idle_mirrors(filters);
            return Action::Redirect(redirect.clone());
        }
        let mut shares = Vec::new();
        let mut flaws = Vec::new();
        for (index, backend) in written.backends.iter().enumerate() {
            let pointer = format!("{}/backendRefs/{index}", self.pointer);
            let (share, flaw) = self.share(backend, &pointer);
            flaws.extend(flaw.map(|flaw| (pointer, share.weight, flaw)));
            shares.push(share);
        }
        let total = shares.iter().map(|share| u64::from(share.weight)).sum();
        for (pointer, weight, flaw) in flaws {
            self.notes.push(self.invalid(&pointer, flaw, weight, total));
        }
        Split::new(shares).map_or_else(|| self.nobody(written), Action::Forward)
    }

    /// A request that is sent elsewhere goes to nobody, and neither does a copy of it.
    fn note_idle_mirrors(&mut self, filters: &Filters) {
        for mirror in &filters.mirrors {
            let message = "a rule that redirects sends nothing on that could be copied";
            let pointer = &mirror.origin.pointer;
            let note =
                finding::warning(self.route.object, pointer, Code::C115, message.to_string());
            self.notes.push(note.in_force("no copies are made"));
        }
    }

    /// One backend's share, and why it is not valid.
    fn share(&mut self, written: &Backed<'_>, pointer: &str) -> (Share, Option<Flaw>) {
        let mut share = Share {
            backend: Backend::Invalid(Code::C007),
            weight: written.weight,
            origin: Some(self.route.object.origin(pointer)),
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
            rewrite: None,
            mirrors: Vec::new(),
        };
        let Some(reference) = written.reference else {
            return (share, None);
        };
        let Surroundings { routed, grants } = self.surroundings;
        let referring = Referring {
            by: Referrer::Route(self.route.kind()),
            own: &finding::namespace(self.route.object),
            role: self.role,
        };
        let found = backends::port(reference, referring, routed, grants);
        let place = Place {
            route: self.route,
            pointer,
            level: Level::Backend,
            role: self.role,
            surroundings: self.surroundings,
        };
        let filters = filters::filters(place, &written.filters, self.notes);
        share.backend = match (&found, &filters.refused) {
            (Err(invalid), _) => Backend::Invalid(invalid.code),
            (Ok(_), Some((code, _))) => Backend::Invalid(*code),
            (Ok(port), None) => Backend::Service(port.clone()),
        };
        share.request_headers = filters.request_headers;
        share.response_headers = filters.response_headers;
        share.rewrite = filters.rewrite;
        share.mirrors = filters.mirrors;
        (share, found.err())
    }

    //= HTTPRouteRule backendRefs: "the proportion of requests that would otherwise have been routed
    //= to an invalid backend MUST receive a 500 status code."
    fn invalid(&self, pointer: &str, flaw: Flaw, weight: u32, total: u64) -> Note {
        let in_force = match percent(weight, total) {
            Some(share) => format!(
                "{share} of {} {} (Gateway API demands it)",
                self.calls,
                self.route.kind().fail()
            ),
            None => "nothing: its weight is 0".to_string(),
        };
        flaw.note(self.route.object, pointer, in_force)
    }

    /// What becomes of requests that nobody gets a share of.
    //= BackendRef weight: "If weight is set to 0, no traffic should be forwarded for this entry."
    fn nobody(&mut self, written: &Written<'_>) -> Action {
        let (field, message) = if written.backends.is_empty() {
            ("", "the rule names no backend and does not redirect")
        } else {
            ("/backendRefs", "all weights of the rule are 0")
        };
        let pointer = format!("{}{field}", self.pointer);
        if written.is_flawed {
            return Action::Refuse(Code::C007, self.route.object.origin(&pointer));
        }
        let note = finding::warning(self.route.object, &pointer, Code::C107, message.to_string());
        self.notes
            .push(note.in_force(format!("all {} {}", self.calls, self.route.kind().fail())));
        Action::Refuse(Code::C107, self.route.object.origin(&pointer))
    }

    /// What the rule has tried again. Where it does not say how often, and how long to wait, that is
    /// as for services of which nobody says anything.
    fn retry(&mut self, written: &Written<'_>) -> Option<Retry> {
        let written = written.retry?;
        let usual = Retry::default();
        let attempts = written.attempts.map(u8::try_from);
        if let Some(Err(_)) = attempts {
            let pointer = format!("{}/retry/attempts", self.pointer);
            let message = format!("no request is tried again more than {} times", u8::MAX);
            let note = finding::error(self.route.object, &pointer, Code::C114, message);
            self.notes.push(note.in_force(format!("{} times", u8::MAX)));
        }
        Some(Retry {
            attempts: attempts.map_or(usual.attempts, |attempts| attempts.unwrap_or(u8::MAX)),
            codes: written
                .codes
                .iter()
                .filter_map(|code| code.sound())
                .copied()
                .collect(),
            //= HTTPRouteRetry: "Implementations SHOULD retry on connection errors (disconnect, reset,
            //= timeout, TCP failure) if a retry stanza is configured."
            unanswered: true,
            backoff: written.backoff.unwrap_or(usual.backoff),
        })
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
