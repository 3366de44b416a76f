//! The steps name, route and split, told after they were taken.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use leno_model::Origin;
use leno_model::view::route::Part;
use leno_model::view::{Backend, Protocol, Rule, Split};
use leno_protocol::Request;

use crate::matching::route_mismatch;
use crate::refusal::Refusal;
use crate::story::{self, Detail, Known, Outcome, Step, StepKind, Story, first_details};
use crate::table::{Port, RouteSet};

pub(super) fn no_routes(story: &mut Story, port: &Port) {
    story.steps.push(name(port));
    story.steps.push(step(
        StepKind::Route,
        Outcome::Yes,
        "none attached: the service's own endpoints".to_owned(),
        None,
    ));
}

pub(super) fn stream(story: &mut Story, port: &Port) {
    story.steps.push(name(port));
    story.steps.push(step(
        StepKind::Route,
        Outcome::Yes,
        "a byte stream has no routes: the service's own endpoints".to_owned(),
        None,
    ));
}

pub(super) fn route(
    story: &mut Story,
    port: &Port,
    set: &RouteSet,
    request: &Request<'_>,
    found: &Result<Option<usize>, Refusal>,
) {
    story.steps.push(name(port));
    let mut told = match found {
        Ok(Some(place)) => {
            let (_, rule) = set.at(*place);
            let text = format!("{} {}", rule.origin.object, numbered(rule));
            step(
                StepKind::Route,
                Outcome::Yes,
                text,
                Some(rule.origin.clone()),
            )
        }
        Ok(None) => {
            let text = format!("none of {} matches", set.index.routes().routes.len());
            step(StepKind::Route, Outcome::No, text, None)
        }
        Err(refusal) => step(StepKind::Route, Outcome::No, format!("{refusal}"), None),
    };
    let path = request.path.raw();
    let indexed = set.index.find(request, path);
    told.details = match found {
        Ok(_) => passed_over(set, request, indexed),
        Err(_) => by_reading(set, request),
    };
    if set.index.scan(request, path) != indexed {
        told.details.push(Detail::of_disagreement());
    }
    story.steps.push(told);
}

pub(super) fn split(story: &mut Story, split: &Split, chosen: &Part) {
    let total = split.total();
    let share = |part: &Part| format!("{}, {} of {total}", backend(&part.backend), part.weight);
    let outcome = match chosen.backend {
        Backend::Service(_) => Outcome::Yes,
        Backend::Invalid(_) => Outcome::No,
    };
    let mut told = step(
        StepKind::Split,
        outcome,
        share(chosen),
        chosen.origin.clone(),
    );
    if chosen.weight < total.get() {
        told.known = Known::Assumed;
    }
    let others = split
        .parts()
        .iter()
        .filter(|part| !core::ptr::eq(*part, chosen));
    told.details = others
        .map(|part| Detail {
            text: share(part),
            origin: part.origin.clone(),
        })
        .collect();
    story.steps.push(told);
}

/// What stood before the route that was found, and why it did not match.
fn passed_over(set: &RouteSet, request: &Request<'_>, found: Option<usize>) -> Vec<Detail> {
    let before = found.unwrap_or(set.index.routes().routes.len());
    first_details((0..before).filter_map(|place| {
        let (route, rule) = set.at(place);
        let mismatch = route_mismatch(route, request, request.path.raw())?;
        Some(Detail {
            text: format!("{} no: {mismatch}", numbered(rule)),
            origin: Some(route.origin.clone()),
        })
    }))
}

/// Where each reading of the path leads.
fn by_reading(set: &RouteSet, request: &Request<'_>) -> Vec<Detail> {
    first_details(request.path.readings().map(|reading| {
        let rule = set
            .index
            .find(request, reading)
            .map(|place| set.at(place).1);
        Detail {
            text: match rule {
                Some(rule) => format!("read as {reading}: {}", numbered(rule)),
                None => format!("read as {reading}: no rule"),
            },
            origin: rule.map(|rule| rule.origin.clone()),
        }
    }))
}

fn name(port: &Port) -> Step {
    let protocol = match port.protocol() {
        Protocol::Http => "HTTP",
        Protocol::Tcp => "TCP",
    };
    let name = port.name();
    let text = format!("Service {}, port {}, {protocol}", name.service, name.port);
    step(StepKind::Name, Outcome::Yes, text, port.origin().cloned())
}

fn numbered(rule: &Rule) -> String {
    story::numbered(&rule.origin, rule.name.as_deref())
}

fn backend(backend: &Backend) -> String {
    match backend {
        Backend::Service(port) => format!("{port}"),
        Backend::Invalid(code) => format!("not a backend ({code} {})", code.slug()),
    }
}

fn step(kind: StepKind, outcome: Outcome, text: String, origin: Option<Origin>) -> Step {
    Step {
        kind,
        outcome,
        known: Known::Replayed,
        text,
        origin,
        details: Vec::new(),
    }
}
