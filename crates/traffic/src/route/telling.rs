//! The steps name, route and split, told after they were taken.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use leno_model::Origin;
use leno_model::view::route::Part;
use leno_model::view::{Backend, HostMatch, Mirror, Retry, Rule, Split};
use leno_protocol::Request;

use crate::cors::{self, CrossOrigin, Site};
use crate::matching::route_mismatch;
use crate::refusal::Refusal;
use crate::route::Preflight;
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

pub(super) fn no_stream_routes(story: &mut Story, port: &Port) {
    let text = match port.protocol().is_http() {
        true => "a byte stream has no routes: the service's own endpoints",
        false => "none attached: the service's own endpoints",
    };
    story.steps.push(name(port));
    let told = step(StepKind::Route, Outcome::Yes, text.to_owned(), None);
    story.steps.push(told);
}

pub(super) fn stream(
    story: &mut Story,
    port: &Port,
    set: &RouteSet,
    server_name: Option<&str>,
    found: Option<usize>,
) {
    story.steps.push(name(port));
    let of = match server_name {
        Some(name) => format!("for {name}"),
        None => "that names no server".to_owned(),
    };
    let mut told = match found {
        Some(place) => taken_by(set.at(place).1),
        None => {
            let text = format!(
                "none of {} takes a stream {of}",
                set.index.routes().routes.len()
            );
            step(StepKind::Route, Outcome::No, text, None)
        }
    };
    let before = found.unwrap_or(set.index.routes().routes.len());
    told.details = first_details((0..before).map(|place| {
        let (route, rule) = set.at(place);
        Detail {
            text: format!("{} no: {}", numbered(rule), not_of(&route.host)),
            origin: Some(route.origin.clone()),
        }
    }));
    if set.index.scan_stream(server_name) != found {
        told.details.push(Detail::of_disagreement());
    }
    story.steps.push(told);
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
        Ok(Some(place)) => taken_by(set.at(*place).1),
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

fn not_of(host: &HostMatch) -> String {
    match host {
        HostMatch::Any => "it is about no server".to_owned(),
        HostMatch::Exact(name) => format!("the server is not {name}"),
        HostMatch::Suffix(suffix) => format!("the server is not *{suffix}"),
    }
}

/// A question of a browser: the rule that will take the call to come answers it.
pub(super) fn preflight(story: &mut Story, port: &Port, set: &RouteSet, preflight: &Preflight<'_>) {
    let Preflight {
        asked, rule, real, ..
    } = preflight;
    story.steps.push(name(port));
    let mut told = taken_by(rule);
    told.details = passed_over(set, real, Some(preflight.place));
    story.steps.push(told);
    let call = format!("{} {}", asked.method, real.path.raw());
    let (outcome, text) = match preflight.cross_origin.site {
        Site::Allowed(_) => (
            Outcome::Yes,
            format!("pages of {} may ask for {call}", cors::said(real)),
        ),
        Site::Unsaid | Site::NotAllowed => (
            Outcome::No,
            format!("pages of {} may not ask for {call}", cors::said(real)),
        ),
    };
    let origin = preflight.cross_origin.origin().clone();
    story
        .steps
        .push(step(StepKind::Cors, outcome, text, Some(origin)));
}

/// Whether the browser will show the answer to the page that calls. The call goes on in any case.
pub(super) fn cross_origin(story: &mut Story, rule: &Rule, request: &Request<'_>) {
    let Some(cors) = &rule.cors else { return };
    let cross_origin = CrossOrigin::of(cors, request);
    let text = match cross_origin.site {
        Site::Unsaid => return,
        Site::Allowed(_) => format!("pages of {} may read the answer", cors::said(request)),
        Site::NotAllowed => format!("pages of {} may not read the answer", cors::said(request)),
    };
    let origin = Some(cors.origin.clone());
    story
        .steps
        .push(step(StepKind::Cors, Outcome::Yes, text, origin));
}

pub(super) fn mirrors(story: &mut Story, rule: &Rule, part: &Part, copied: u32) {
    let mirrors = rule.mirrors.iter().chain(&part.mirrors);
    for (place, mirror) in (0..u32::BITS).zip(mirrors) {
        let Mirror {
            to,
            share,
            of,
            origin,
        } = mirror;
        let outcome = if copied & (1 << place) == 0 {
            Outcome::NotReached
        } else {
            Outcome::Yes
        };
        let text = if *share == of.get() {
            format!("a copy to {to}")
        } else {
            format!("a copy to {to} of {share} in {of} requests")
        };
        let mut told = step(StepKind::Mirror, outcome, text, Some(origin.clone()));
        if (1..of.get()).contains(share) {
            told.known = Known::Assumed;
        }
        story.steps.push(told);
    }
}

/// What the rule says about tries that fail.
pub(super) fn patience(story: &mut Story, rule: &Rule) {
    let limit = rule.attempt_timeout.filter(|limit| !limit.is_zero());
    let limit = limit.map(|limit| format!("each try has {limit:?}"));
    let retry = rule.retry.as_ref();
    let on = retry.map(|retry| format!("on {}", tried_again(retry)));
    let mut said = retry.map(tries).into_iter().chain(on).chain(limit);
    let Some(text) = said.next() else { return };
    let origin = Some(rule.origin.clone());
    let mut told = step(StepKind::Retry, Outcome::Yes, text, origin);
    told.details = said.map(|text| Detail { text, origin: None }).collect();
    story.steps.push(told);
}

fn tries(retry: &Retry) -> String {
    let more = match retry.attempts {
        1 => "1 more try".to_owned(),
        more => format!("up to {more} more tries"),
    };
    format!("{more}, the first after {:?} or longer", retry.backoff)
}

/// `500, 503, no answer, no connection`
fn tried_again(retry: &Retry) -> String {
    let codes = retry.codes.iter().map(|code| format!("{code}"));
    let unanswered = retry.unanswered.then(|| "no answer".to_owned());
    let all = codes.chain(unanswered).chain(["no connection".to_owned()]);
    all.collect::<Vec<_>>().join(", ")
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

fn taken_by(rule: &Rule) -> Step {
    let text = format!("{} {}", rule.origin.object, numbered(rule));
    step(
        StepKind::Route,
        Outcome::Yes,
        text,
        Some(rule.origin.clone()),
    )
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
    let name = port.name();
    let text = format!(
        "Service {}, port {}, {}",
        name.service,
        name.port,
        port.protocol()
    );
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
