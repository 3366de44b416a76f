//! The order of precedence against a naive twin: for each request, all matches that take it are
//! narrowed down by one criterion of the spec after the other, until one is left.

use std::fmt::Write as _;

use leno_model::Dice;
use leno_model::view::{HttpMatch, PathMatch, Routes, TextMatch};

use crate::cases::compiled;
use crate::drawn::{self, below};

#[test]
fn the_first_route_is_the_one_the_spec_picks() {
    let mut dice = Dice::new(1);
    let mut ties = 0;
    for round in 0..300 {
        let matches = matches(&mut dice);
        let yaml = yaml(&matches);
        let (_, mesh, _) = compiled("routes.yaml", yaml.as_bytes());
        let service = mesh.services.values().next().unwrap();
        let routes = service.ports[&80].producer.as_ref().unwrap();
        for _ in 0..40 {
            let request = Request::roll(&mut dice);
            let taking = matches
                .iter()
                .filter(|one| one.takes(&request))
                .collect::<Vec<_>>();
            ties += usize::from(taking.len() > 1);
            let expect = picked_by_the_spec(taking).map(Written::pointer);
            assert_eq!(
                first(routes, &request),
                expect,
                "round {round}: {request:?}\n{yaml}"
            );
        }
    }
    assert!(ties > 1000, "the requests decide little: {ties}");
}

/// One match of one rule of one route, as it is written.
#[derive(Clone, Debug)]
struct Written {
    created: Option<u8>,
    route: usize,
    rule: usize,
    index: usize,
    is_exact: bool,
    path: &'static str,
    method: Option<&'static str>,
    headers: Vec<(&'static str, &'static str)>,
    query: Vec<(&'static str, &'static str)>,
}

#[derive(Debug)]
struct Request {
    path: &'static str,
    method: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    query: Vec<(&'static str, &'static str)>,
}

/// The criteria in the order and the words of the spec.
fn picked_by_the_spec(mut left: Vec<&Written>) -> Option<&Written> {
    // "Exact" path match.
    narrow(&mut left, |one| usize::from(one.is_exact));
    // "Prefix" path match with largest number of characters.
    narrow(&mut left, |one| one.path.trim_end_matches('/').len());
    // Method match.
    narrow(&mut left, |one| usize::from(one.method.is_some()));
    // Largest number of header matches.
    narrow(&mut left, |one| one.headers.len());
    // Largest number of query param matches.
    narrow(&mut left, |one| one.query.len());
    // The oldest Route based on creation timestamp; what has none is the newest.
    narrow(&mut left, |one| {
        one.created.map_or(0, |day| usize::from(u8::MAX - day))
    });
    // The Route appearing first in alphabetical order by "{namespace}/{name}".
    narrow(&mut left, |one| usize::MAX - one.route);
    // The FIRST matching rule (in list order).
    narrow(&mut left, |one| usize::MAX - one.rule);
    narrow(&mut left, |one| usize::MAX - one.index);
    left.first().copied()
}

/// Leaves those for which `most` is largest.
fn narrow(left: &mut Vec<&Written>, most: impl Fn(&Written) -> usize) {
    let largest = left.iter().map(|one| most(one)).max();
    left.retain(|one| Some(most(one)) == largest);
}

impl Written {
    fn takes(&self, request: &Request) -> bool {
        let prefix = self.path.trim_end_matches('/');
        let path = match self.is_exact {
            true => request.path == self.path,
            false => request.path == prefix || request.path.starts_with(&format!("{prefix}/")),
        };
        path && self.method.is_none_or(|method| method == request.method)
            && self
                .headers
                .iter()
                .all(|header| request.headers.contains(header))
            && self.query.iter().all(|query| request.query.contains(query))
    }

    fn pointer(&self) -> String {
        let Self {
            route, rule, index, ..
        } = self;
        format!("HTTPRoute shop/route-{route} /spec/rules/{rule}/matches/{index}")
    }
}

/// The first route that takes the request, in the order that was compiled.
fn first(routes: &Routes, request: &Request) -> Option<String> {
    let route = routes
        .routes
        .iter()
        .find(|route| takes(&route.matches, request))?;
    Some(format!("{} {}", route.origin.object, route.origin.pointer))
}

fn takes(matches: &HttpMatch, request: &Request) -> bool {
    let path = match &matches.path {
        PathMatch::Exact(path) => **path == *request.path,
        PathMatch::Prefix(prefix) => {
            let below = request.path.strip_prefix(&**prefix);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        }
        PathMatch::Regex(_) | PathMatch::Template(_) => unreachable!("no pattern is written"),
    };
    let has = |matches: &[leno_model::view::HeaderMatch], values: &[(&str, &str)]| {
        matches.iter().all(|one| {
            let TextMatch::Exact(value) = &one.value else {
                unreachable!("no pattern is written")
            };
            values.contains(&(&*one.name, &**value))
        })
    };
    path && matches
        .method
        .as_deref()
        .is_none_or(|method| method == request.method)
        && has(&matches.headers, &request.headers)
        && has(&matches.query, &request.query)
}

const PATHS: [&str; 6] = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c"];
const METHODS: [&str; 2] = ["GET", "POST"];
const NAMES: [&str; 3] = ["x", "y", "z"];
const VALUES: [&str; 2] = ["1", "2"];

fn matches(dice: &mut Dice) -> Vec<Written> {
    let mut all = Vec::new();
    for route in 0..1 + below(dice, 4) {
        let created = (below(dice, 2) == 0).then(|| 1 + u8::try_from(below(dice, 3)).unwrap());
        for rule in 0..1 + below(dice, 3) {
            for index in 0..1 + below(dice, 3) {
                all.push(Written {
                    created,
                    route,
                    rule,
                    index,
                    is_exact: below(dice, 4) == 0,
                    path: one(dice, &PATHS),
                    method: (below(dice, 3) == 0).then(|| one(dice, &METHODS)),
                    headers: pairs(dice, 2),
                    query: pairs(dice, 1),
                });
            }
        }
    }
    all
}

impl Request {
    fn roll(dice: &mut Dice) -> Self {
        Self {
            path: one(dice, &["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/c"]),
            method: one(dice, &METHODS),
            headers: pairs(dice, 3),
            query: pairs(dice, 3),
        }
    }
}

fn one(dice: &mut Dice, of: &[&'static str]) -> &'static str {
    of[below(dice, of.len())]
}

/// Names with values, each name at most once.
fn pairs(dice: &mut Dice, most: usize) -> Vec<(&'static str, &'static str)> {
    let names = NAMES.into_iter().take(most);
    let mut pairs = Vec::new();
    for name in names {
        if below(dice, 2) == 0 {
            pairs.push((name, one(dice, &VALUES)));
        }
    }
    pairs
}

fn yaml(matches: &[Written]) -> String {
    let mut yaml = drawn::CART.to_owned();
    for one in matches {
        if (one.rule, one.index) == (0, 0) {
            yaml.push_str(&drawn::route("HTTPRoute", one.route, one.created));
        }
        if one.index == 0 {
            yaml.push_str(drawn::RULE);
        }
        let type_ = if one.is_exact { "Exact" } else { "PathPrefix" };
        let method = one
            .method
            .map(|method| format!(", method: {method}"))
            .unwrap_or_default();
        writeln!(
            yaml,
            "    - {{path: {{type: {type_}, value: {}}}{method}, headers: [{}], queryParams: [{}]}}",
            one.path,
            list(&one.headers),
            list(&one.query)
        )
        .unwrap();
    }
    yaml
}

fn list(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{{name: \"{name}\", value: \"{value}\"}}"));
    pairs.collect::<Vec<_>>().join(", ")
}
