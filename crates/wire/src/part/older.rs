//! A build that plays one of an earlier release: it lacks the features that are named to it, and with them whatever they
//! brought into what is read and written. It is there for tests and with the cargo feature `older`, in no build that
//! people get.

use alloc::vec::Vec;
use core::iter;

use crate::part::access::{AccessMessage, AccessRuleMessage, EffectMessage, RequestMessage};
use crate::part::route::{ActionMessage, PathKind, RoutesMessage, RuleMessage};
use crate::part::service::{ServiceMessage, WorkloadMessage};
use crate::part::{FEATURES, Kind, PartMessage, feature, knows};

/// Lets this process (in a test: this thread) lack these features from here on.
///
/// # Errors
///
/// The first name that is none of a feature; then it lacks what it lacked before.
pub fn lack<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<(), &'n str> {
    let mut all = 0;
    for name in names {
        all |= bit(name).ok_or(name)?;
    }
    lacked::set(all);
    Ok(())
}

/// Whether a feature is one that this process lacks.
pub(super) fn is_lacked(name: &str) -> bool {
    bit(name).is_some_and(|bit| lacked::all() & bit != 0)
}

fn bit(name: &str) -> Option<u32> {
    let place = FEATURES.iter().position(|feature| *feature == name)?;
    1u32.checked_shl(u32::try_from(place).ok()?)
}

const _: () = assert!(FEATURES.len() <= 32, "a bit for each feature");

/// What the older one finds in a message: nothing that has a number it does not know.
pub(super) fn as_read(mut message: PartMessage) -> PartMessage {
    message.kind = message.kind.filter(is_known);
    forget(&mut message);
    message
}

/// What the older one writes: nor does it say that anything is needed of which it knows nothing.
pub(super) fn as_written(mut message: PartMessage) -> PartMessage {
    forget(&mut message);
    match &mut message.kind {
        Some(Kind::Workload(workload)) => accesses(workload).for_each(demand_less),
        Some(Kind::Service(service)) => {
            rules(service).for_each(|rule| rule.needs.retain(|need| knows(need)));
        }
        _ => {}
    }
    message
}

fn is_known(kind: &Kind) -> bool {
    match kind {
        Kind::TokenKeys(_) => knows(feature::TOKEN_KEYS),
        Kind::PeerBundle(_) => knows(feature::PEERS),
        Kind::Sidecar(_) => knows(feature::SIDECARS),
        Kind::Settings(_)
        | Kind::Workload(_)
        | Kind::Service(_)
        | Kind::Endpoints(_)
        | Kind::Revoked(_)
        | Kind::Bundle(_) => true,
    }
}

fn demand_less(access: &mut AccessMessage) {
    let only_there_for_it = |rule: &AccessRuleMessage| {
        let says = [EffectMessage::Ask, EffectMessage::Needs].map(i32::from);
        says.contains(&rule.effect) && rule.needs.iter().any(|need| !knows(need))
    };
    access.rules.retain(|rule| !only_there_for_it(rule));
    let rules = access.rules.iter_mut().chain(&mut access.audits);
    for rule in rules {
        rule.needs.retain(|need| knows(need));
        // Nobody writes a path of no kind.
        let requests = requests(rule);
        requests.for_each(|request| request.paths.retain(|path| path.kind.is_some()));
    }
}

fn forget(message: &mut PartMessage) {
    match &mut message.kind {
        Some(Kind::Workload(workload)) => {
            if is_lacked(feature::ISOLATION) {
                workload.isolation = None;
            }
            if is_lacked(feature::ISOLATION_EGRESS) {
                let isolations = workload.isolation.iter_mut();
                isolations.for_each(|isolation| isolation.egress.clear());
            }
            accesses(workload).for_each(forget_of_access);
        }
        Some(Kind::Service(service)) => rules(service).for_each(forget_of_rule),
        _ => {}
    }
}

fn accesses(workload: &mut WorkloadMessage) -> impl Iterator<Item = &mut AccessMessage> {
    let ports = workload.ports.iter_mut();
    let ports = ports.filter_map(|port| port.access.as_mut());
    ports.chain(&mut workload.other_ports)
}

fn rules(service: &mut ServiceMessage) -> impl Iterator<Item = &mut RuleMessage> {
    let routes = service.ports.iter_mut().flat_map(|port| {
        let consumers = port.consumers.iter_mut();
        let consumers = consumers.filter_map(|consumer| consumer.routes.as_mut());
        consumers.chain(&mut port.producer)
    });
    routes.flat_map(|routes: &mut RoutesMessage| &mut routes.rules)
}

fn forget_of_access(access: &mut AccessMessage) {
    if is_lacked(feature::ACCESS_TOKEN_COOKIES) {
        let issuers = access.jwt.iter_mut().flat_map(|jwt| &mut jwt.issuers);
        let places = issuers.flat_map(|issuer| &mut issuer.from);
        places.for_each(|place| place.cookie = None);
    }
    let rules = access.rules.iter_mut().chain(&mut access.audits);
    rules.for_each(forget_of_access_rule);
}

fn forget_of_access_rule(rule: &mut AccessRuleMessage) {
    if is_lacked(feature::ACCESS_CONDITION) {
        rule.when = None;
    }
    if is_lacked(feature::ACCESS_EXCEPT) {
        rule.except = None;
    }
    if is_lacked(feature::ACCESS_EXTERNAL) {
        rule.external = None;
    }
    if is_lacked(feature::ACCESS_WITHIN) {
        rule.within.clear();
    }
    requests(rule).for_each(forget_of_request);
}

/// All that a rule says of requests.
fn requests(rule: &mut AccessRuleMessage) -> impl Iterator<Item = &mut RequestMessage> {
    let excepted = rule.except.iter_mut().flat_map(|it| &mut it.requests);
    let within = rule.within.iter_mut();
    let within = within.flat_map(|it| it.leaves.iter_mut().chain(&mut it.takes));
    rule.requests.iter_mut().chain(excepted).chain(within)
}

fn forget_of_request(request: &mut RequestMessage) {
    if is_lacked(feature::ACCESS_HEADERS) {
        request.headers.clear();
    }
    if is_lacked(feature::ACCESS_CLAIMS) {
        request.claims.clear();
    }
    if is_lacked(feature::ACCESS_TEMPLATE) {
        let is_template = |kind: &PathKind| matches!(kind, PathKind::Template(_));
        for path in &mut request.paths {
            path.kind = path.kind.take().filter(|kind| !is_template(kind));
        }
    }
}

fn forget_of_rule(rule: &mut RuleMessage) {
    let mut none = Vec::new();
    let parts = match &mut rule.action {
        Some(ActionMessage::Forward(split)) => &mut split.parts,
        Some(ActionMessage::Redirect(_) | ActionMessage::Refuse(_)) | None => &mut none,
    };
    if is_lacked(feature::BACKEND_REWRITE) {
        parts.iter_mut().for_each(|part| part.rewrite = None);
    }
    if is_lacked(feature::MIRROR) {
        let mirrors = parts.iter_mut().map(|part| &mut part.mirrors);
        mirrors
            .chain(iter::once(&mut rule.mirrors))
            .for_each(Vec::clear);
    }
    if is_lacked(feature::ATTEMPT_TIMEOUT) {
        rule.attempt_timeout = None;
    }
    if is_lacked(feature::CORS) {
        rule.cors = None;
    }
    if is_lacked(feature::RETRY_UNANSWERED) {
        let retries = rule.retry.iter_mut();
        retries.for_each(|retry| retry.unanswered = false);
    }
}

/// One bit for each feature that is lacked, by its place in [`FEATURES`].
#[cfg(not(test))]
mod lacked {
    use core::sync::atomic::{AtomicU32, Ordering};

    static ALL: AtomicU32 = AtomicU32::new(0);

    pub(super) fn all() -> u32 {
        ALL.load(Ordering::Relaxed)
    }

    pub(super) fn set(all: u32) {
        ALL.store(all, Ordering::Relaxed);
    }
}

/// The same, for each test by itself.
#[cfg(test)]
mod lacked {
    use std::cell::Cell;

    std::thread_local! {
        static ALL: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn all() -> u32 {
        ALL.get()
    }

    pub(super) fn set(all: u32) {
        ALL.set(all);
    }
}
