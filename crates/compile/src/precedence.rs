//! Which match goes first: Gateway API's order of precedence over everything that is attached to
//! one port for one group of callers.

use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};
use core::cmp::Reverse;

use leno_model::view::{HostMatch, HttpMatch, PathMatch, Route, Routes, Rule};
use leno_model::{Name, ObjectRef, Wall};
use leno_resources::Object;
use leno_resources::gateway::HttpRouteSpec;

/// One match of one route, before it is known which goes first.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    /// The route it stands in.
    pub(crate) route: &'a Object<HttpRouteSpec>,
    /// Which rule of the route, and which match of the rule.
    pub(crate) position: (usize, usize),
    /// Which requests.
    pub(crate) matches: HttpMatch,
    /// Whether it asks for more than could be read.
    pub(crate) is_flawed: bool,
    /// Where it leads.
    pub(crate) rule: Arc<Rule>,
}

/// Sorts the matches of all routes; time grows with n log n.
pub(crate) fn sort(candidates: &mut [Candidate<'_>]) {
    candidates.sort_by_cached_key(Candidate::place);
}

/// What a proxy needs of sorted matches: each rule once.
pub(crate) fn routes<'a>(sorted: &[Candidate<'a>]) -> Routes {
    let mut index = BTreeMap::new();
    let mut rules = Vec::new();
    let mut route = |candidate: &Candidate<'a>| {
        let key = (candidate.rule_name(), candidate.is_flawed);
        let rule = *index.entry(key).or_insert_with(|| {
            rules.push(candidate.rule.clone());
            rules.len() - 1
        });
        Route {
            //= GEP-1294: "GAMMA implementations SHOULD NOT infer any functionality from the `hostnames`
            //= field on `xRoute`s"
            host: HostMatch::Any,
            matches: candidate.matches.clone(),
            rule,
            origin: candidate.route.origin(&candidate.pointer()),
        }
    };
    let routes = sorted.iter().map(&mut route).collect();
    Routes {
        routes,
        rules,
        telemetry: BTreeMap::new(),
    }
}

impl<'a> Candidate<'a> {
    /// The rule it belongs to.
    pub(crate) fn rule_name(&self) -> (&'a ObjectRef, usize) {
        (self.route.reference(), self.position.0)
    }

    /// Where the match stands in its object.
    pub(crate) fn pointer(&self) -> String {
        let (rule, one) = self.position;
        format!("/spec/rules/{rule}/matches/{one}")
    }

    /// Its place in the order. No two candidates have the same.
    ///
    /// What is attached to a port for one group of callers is all of one namespace, so that the name
    /// alone makes the alphabetical order.
    //= HTTPRouteRule matches: "The Route appearing first in alphabetical order by
    //= "{namespace}/{name}"."
    //= HTTPRouteRule matches: "If ties still exist within an HTTPRoute, matching precedence MUST be
    //= granted to the FIRST matching rule (in list order) with a match meeting the above criteria."
    fn place(&self) -> (Rank, Age, &'a Name, (usize, usize)) {
        let meta = &self.route.meta;
        (
            Rank::of(&self.matches),
            Age::of(meta.created),
            &meta.name,
            self.position,
        )
    }
}

/// How specific a match is; the most specific is the least.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    //= HTTPRouteRule matches: "precedence must be given to the match having: * "Exact" path match.
    //= * "Prefix" path match with largest number of characters. * Method match. * Largest number of
    //= header matches. * Largest number of query param matches."
    path: PathRank,
    method: Reverse<bool>,
    headers: Reverse<usize>,
    query: Reverse<usize>,
}

impl Rank {
    fn of(matches: &HttpMatch) -> Self {
        Self {
            path: PathRank::of(&matches.path),
            method: Reverse(matches.method.is_some()),
            headers: Reverse(matches.headers.len()),
            query: Reverse(matches.query.len()),
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Exact,
    //= HTTPRouteRule matches: "The precedence of RegularExpression path matches are
    //= implementation-specific."
    /// Here: after what is exact, before every prefix, longer patterns first.
    Regex(Reverse<usize>),
    Prefix(Reverse<usize>),
}

impl PathRank {
    fn of(path: &PathMatch) -> Self {
        match path {
            PathMatch::Exact(_) => Self::Exact,
            PathMatch::Regex(pattern) => Self::Regex(Reverse(pattern.as_str().len())),
            PathMatch::Prefix(prefix) => Self::Prefix(Reverse(prefix.len())),
        }
    }
}

/// When a route was created. A file need not say; what does not is taken for the newest.
//= HTTPRouteRule matches: "The oldest Route based on creation timestamp."
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Created(Wall),
    Unknown,
}

impl Age {
    fn of(created: Option<Wall>) -> Self {
        created.map_or(Self::Unknown, Self::Created)
    }
}
