//! Which match goes first: Gateway API's order of precedence over everything that is attached to
//! one port for one group of callers.

use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};
use core::cmp::Reverse;

use leno_model::view::{HostMatch, HttpMatch, PathMatch, Route, Routes, Rule};
use leno_model::{Name, ObjectRef, Wall};
use leno_resources::gateway::GrpcMethodMatch;

use crate::route::{self, Kind};

/// One match of one route, before it is known which goes first.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    /// The route it stands in.
    pub(crate) route: route::Route<'a>,
    /// Which rule of the route, and which match of the rule.
    pub(crate) position: (usize, usize),
    /// Which hosts.
    pub(crate) host: HostMatch,
    /// Which requests.
    pub(crate) matches: HttpMatch,
    /// How specific these are.
    pub(crate) rank: Rank,
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
            host: candidate.host.clone(),
            matches: candidate.matches.clone(),
            rule,
            origin: candidate.route.object.origin(&candidate.pointer()),
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
        (self.route.object.reference(), self.position.0)
    }

    /// Where the match stands in its object.
    pub(crate) fn pointer(&self) -> String {
        let (rule, one) = self.position;
        match self.route.kind() {
            Kind::Grpc | Kind::Http => format!("/spec/rules/{rule}/matches/{one}"),
            Kind::Tls => format!("/spec/hostnames/{one}"),
            Kind::Tcp => format!("/spec/rules/{rule}"),
        }
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
        let meta = self.route.object.meta;
        (self.rank, Age::of(meta.created), &meta.name, self.position)
    }
}

/// How specific a match is; the most specific is the least. Only matches of one kind are compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Rank {
    //= HTTPRouteRule matches: "precedence must be given to the match having: * "Exact" path match.
    //= * "Prefix" path match with largest number of characters. * Method match. * Largest number of
    //= header matches. * Largest number of query param matches."
    Http {
        path: PathRank,
        method: Reverse<bool>,
        headers: Reverse<usize>,
        query: Reverse<usize>,
    },
    //= GRPCRouteRule matches: "Precedence MUST be given to the rule with the largest number of: [..]
    //= * Characters in a matching service. * Characters in a matching method. * Header matches."
    Grpc {
        service: Reverse<usize>,
        method: Reverse<usize>,
        headers: Reverse<usize>,
    },
    /// A whole name, then the longer end of one, then all.
    Stream {
        is_exact: Reverse<bool>,
        length: Reverse<usize>,
    },
}

impl Rank {
    /// That of a match of requests.
    pub(crate) fn of(matches: &HttpMatch) -> Self {
        Self::Http {
            path: PathRank::of(&matches.path),
            method: Reverse(matches.method.is_some()),
            headers: Reverse(matches.headers.len()),
            query: Reverse(matches.query.len()),
        }
    }

    /// That of a match of gRPC calls, of which `method` was written.
    pub(crate) fn of_call(method: Option<&GrpcMethodMatch>, matches: &HttpMatch) -> Self {
        let length = |text: Option<&Arc<str>>| Reverse(text.map_or(0, |text| text.chars().count()));
        Self::Grpc {
            service: length(method.and_then(|method| method.service.as_ref())),
            method: length(method.and_then(|method| method.method.as_ref())),
            headers: Reverse(matches.headers.len()),
        }
    }

    /// That of a match of streams.
    pub(crate) fn of_host(host: &HostMatch) -> Self {
        let (is_exact, length) = match host {
            HostMatch::Any => (false, 0),
            HostMatch::Exact(name) => (true, name.len()),
            HostMatch::Suffix(suffix) => (false, suffix.len()),
        };
        Self::Stream {
            is_exact: Reverse(is_exact),
            length: Reverse(length),
        }
    }
}

/// How specific a path is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum PathRank {
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
            PathMatch::Template(template) => Self::Regex(Reverse(template.as_str().len())),
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
