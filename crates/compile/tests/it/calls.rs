//! The order of precedence of gRPC calls against a naive twin: of all matches that take a call, what the
//! spec's criteria leave one after the other.

use std::fmt::Write as _;

use leno_model::Dice;
use leno_model::view::{HttpMatch, PathMatch, Routes, TextMatch};

use crate::cases::compiled;
use crate::drawn::{self, below};

#[test]
fn the_first_route_of_a_call_is_the_one_the_spec_picks() {
    let mut dice = Dice::new(7);
    let mut ties = 0;
    for round in 0..200 {
        let matches = matches(&mut dice);
        let yaml = yaml(&matches);
        let (_, mesh, _) = compiled("routes.yaml", yaml.as_bytes());
        let service = mesh.services.values().next().unwrap();
        let routes = service.ports[&80].producer.as_ref().unwrap();
        for (service, method) in CALLS {
            for has_header in [false, true] {
                let call = Call {
                    service,
                    method,
                    has_header,
                };
                let taking = matches.iter().filter(|one| one.takes(&call));
                let taking = taking.collect::<Vec<_>>();
                ties += usize::from(taking.len() > 1);
                let expect = picked_by_the_spec(taking).map(Written::pointer);
                let found = first(routes, &call);
                assert_eq!(found, expect, "round {round}: {call:?}\n{yaml}");
            }
        }
    }
    assert!(ties > 1000, "the calls decide little: {ties}");
}

const CALLS: [(&str, &str); 6] = [
    ("shop.Cart", "Get"),
    ("shop.Cart", "Add"),
    ("shop.v2.Cart", "Get"),
    ("shop.v2.Cart", "List"),
    ("bank.Cart", "Get"),
    ("shop.CartV2", "Get"),
];

#[derive(Debug)]
struct Call {
    service: &'static str,
    method: &'static str,
    has_header: bool,
}

/// One match of one rule of one route, as it is written.
#[derive(Debug)]
struct Written {
    created: Option<u8>,
    route: usize,
    rule: usize,
    index: usize,
    is_pattern: bool,
    service: &'static str,
    method: &'static str,
    asks_header: bool,
}

impl Written {
    fn takes(&self, call: &Call) -> bool {
        let is = |written: &str, said: &str| match (written, self.is_pattern) {
            ("", _) => true,
            ("shop[.].*", true) => said.starts_with("shop."),
            ("Get|List", true) => ["Get", "List"].contains(&said),
            (_, true) => unreachable!("{written} is no pattern of ours"),
            (_, false) => written == said,
        };
        is(self.service, call.service)
            && is(self.method, call.method)
            && (call.has_header || !self.asks_header)
    }

    fn pointer(&self) -> String {
        let Self {
            route, rule, index, ..
        } = self;
        format!("GRPCRoute shop/route-{route} /spec/rules/{rule}/matches/{index}")
    }
}

/// The criteria in the order and the words of the spec.
fn picked_by_the_spec(mut left: Vec<&Written>) -> Option<&Written> {
    // Characters in a matching service.
    narrow(&mut left, |one| one.service.len());
    // Characters in a matching method.
    narrow(&mut left, |one| one.method.len());
    // Header matches.
    narrow(&mut left, |one| usize::from(one.asks_header));
    // The oldest Route based on creation timestamp; what has none is the newest.
    narrow(&mut left, |one| {
        one.created.map_or(0, |day| usize::from(u8::MAX - day))
    });
    // The Route appearing first in alphabetical order by "{namespace}/{name}".
    narrow(&mut left, |one| usize::MAX - one.route);
    // The first matching rule.
    narrow(&mut left, |one| usize::MAX - one.rule);
    narrow(&mut left, |one| usize::MAX - one.index);
    left.first().copied()
}

/// Leaves those for which `most` is largest.
fn narrow(left: &mut Vec<&Written>, most: impl Fn(&Written) -> usize) {
    let largest = left.iter().map(|one| most(one)).max();
    left.retain(|one| Some(most(one)) == largest);
}

/// The first route that takes the call, in the order that was compiled.
fn first(routes: &Routes, call: &Call) -> Option<String> {
    let mut routes = routes.routes.iter();
    let route = routes.find(|route| takes(&route.matches, call))?;
    Some(format!("{} {}", route.origin.object, route.origin.pointer))
}

fn takes(matches: &HttpMatch, call: &Call) -> bool {
    let path = format!("/{}/{}", call.service, call.method);
    let is_path = match &matches.path {
        PathMatch::Exact(exact) => **exact == *path,
        PathMatch::Prefix(prefix) => {
            let below = path.strip_prefix(&**prefix);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        }
        PathMatch::Regex(pattern) => pattern.matches(path.bytes()),
        PathMatch::Template(template) => template.matches(&path),
    };
    let is_header = matches.headers.iter().all(|header| {
        let one = TextMatch::Exact("1".into());
        call.has_header && &*header.name == "x" && header.value == one
    });
    is_path && is_header && matches.method.as_deref() == Some("POST")
}

fn matches(dice: &mut Dice) -> Vec<Written> {
    let mut all = Vec::new();
    for route in 0..1 + below(dice, 3) {
        let created = (below(dice, 2) == 0).then(|| 1 + u8::try_from(below(dice, 3)).unwrap());
        for rule in 0..1 + below(dice, 3) {
            for index in 0..1 + below(dice, 3) {
                let is_pattern = below(dice, 4) == 0;
                let (services, methods) = match is_pattern {
                    true => (&["shop[.].*"][..], &["", "Get|List"][..]),
                    false => (
                        &["", "shop.Cart", "shop.v2.Cart", "bank.Cart"][..],
                        &["", "Get", "List"][..],
                    ),
                };
                all.push(Written {
                    created,
                    route,
                    rule,
                    index,
                    is_pattern,
                    service: services[below(dice, services.len())],
                    method: methods[below(dice, methods.len())],
                    asks_header: below(dice, 3) == 0,
                });
            }
        }
    }
    all
}

fn yaml(matches: &[Written]) -> String {
    let mut yaml = drawn::CART.to_owned();
    for one in matches {
        if (one.rule, one.index) == (0, 0) {
            yaml.push_str(&drawn::route("GRPCRoute", one.route, one.created));
        }
        if one.index == 0 {
            yaml.push_str(drawn::RULE);
        }
        let said = [("service", one.service), ("method", one.method)];
        let said = said.iter().filter(|(_, text)| !text.is_empty());
        let mut said: Vec<_> = said
            .map(|(key, text)| format!("{key}: \"{text}\""))
            .collect();
        if one.is_pattern {
            said.push("type: RegularExpression".to_owned());
        }
        let method = match said.is_empty() {
            true => String::new(),
            false => format!("method: {{{}}}, ", said.join(", ")),
        };
        let header = match one.asks_header {
            true => "{name: X, value: \"1\"}",
            false => "",
        };
        writeln!(yaml, "    - {{{method}headers: [{header}]}}").unwrap();
    }
    yaml
}
