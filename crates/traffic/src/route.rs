//! Where a request goes: the first route that matches, one of its backends, and what changes on
//! the way.

pub mod asks;
pub(crate) mod index;
mod redirect;
mod stream;
mod telling;

use alloc::{string::ToString as _, vec::Vec};
use core::fmt;
use core::time::Duration;

use leno_model::view::route::Part;
use leno_model::view::{
    Action, Backend, HeaderChanges, Mirror, PathMatch, PathRewrite, Redirect, Route, Rule,
};
use leno_model::{Code, Dice, Mono, Origin, Roll, Subscription};
use leno_protocol::{NewPath, Path, Request};

use crate::attempts::Attempts;
use crate::cors::{self, Asked, CrossOrigin, Site};
use crate::deadline::Timed;
use crate::destination::Direct;
use crate::policy::Admitted;
use crate::refusal::Refusal;
use crate::route::redirect::Location;
use crate::story::Story;
use crate::table::{Port, RouteSet, Table};

pub use stream::ForwardStream;

impl Table {
    /// Says where a request to `port` goes. Every reading of its path must go there.
    pub fn route<'a>(
        &'a self,
        admitted: Admitted<'a>,
        port: &'a Port,
        dice: &mut Dice,
        mut story: Option<&mut Story>,
    ) -> Result<Routed<'a>, Refusal> {
        let Some(set) = port.routes_for(admitted.namespace()) else {
            if let Some(story) = story {
                telling::no_routes(story, port);
            }
            return Ok(Routed::Forward(Forward::unrouted(admitted, port)));
        };
        if let Some(preflight) = Preflight::of(&admitted, set) {
            if let Some(story) = story {
                telling::preflight(story, port, set, &preflight);
            }
            return preflight.answered();
        }
        let found = find(set, admitted.request());
        if let Some(story) = story.as_deref_mut() {
            telling::route(story, port, set, admitted.request(), &found);
        }
        let (route, rule) = match found? {
            Some(place) => set.at(place),
            None => return Err(Refusal::NoRoute(port.name().clone())),
        };
        match &rule.action {
            Action::Forward(split) => {
                let roll = dice.roll(split.total());
                let place = split.place_at(roll.value);
                let part = &split.parts()[place];
                let copied = copied(rule, part, dice);
                if let Some(story) = story {
                    telling::cross_origin(story, rule, admitted.request());
                    telling::split(story, split, part);
                    telling::mirrors(story, rule, part, copied);
                    telling::patience(story, rule);
                }
                let to = set.backends[route.rule][place];
                Ok(Routed::Forward(Forward {
                    to: self.backend(rule, part, to)?,
                    admitted,
                    called: port,
                    route: Some((route, rule)),
                    part: Some((part, roll)),
                    copied,
                }))
            }
            Action::Redirect(to) => Ok(Routed::Redirect(Redirected {
                admitted,
                called: port,
                route,
                rule,
                to,
            })),
            Action::Refuse(code, origin) => Err(Refusal::RouteNotUsable {
                code: *code,
                origin: origin.clone(),
                rule: rule.origin.clone(),
            }),
        }
    }

    /// Lets a request go to the endpoint that the caller named: no route is asked.
    pub fn route_direct<'a>(&self, admitted: Admitted<'a>, to: &Direct<'a>) -> Forward<'a> {
        Forward::unrouted(admitted, to.of)
    }

    /// The port that a share of a rule goes to, which stands at `place`.
    fn backend(&self, rule: &Rule, part: &Part, place: Option<u32>) -> Result<&Port, Refusal> {
        match (&part.backend, place) {
            (Backend::Service(_), Some(place)) => Ok(self.port_at(place)),
            (Backend::Service(port), None) => {
                let question = Subscription::Service(port.service.clone());
                if self.scope().holds(&question) {
                    return Err(not_usable(rule, part, Code::C113));
                }
                Err(Refusal::NotKnownYet(question))
            }
            (Backend::Invalid(code), _) => Err(not_usable(rule, part, *code)),
        }
    }
}

/// Which of the rule's mirrors, then of the part's, get a copy: a bit for each.
fn copied(rule: &Rule, part: &Part, dice: &mut Dice) -> u32 {
    let mirrors = rule.mirrors.iter().chain(&part.mirrors);
    let rolled = mirrors.map(|mirror| dice.roll(mirror.of).value < mirror.share);
    (0..u32::BITS)
        .zip(rolled)
        .filter(|(_, copied)| *copied)
        .fold(0, |bits, (place, _)| bits | 1 << place)
}

/// All mirrors have a bit each: those of a rule and those of one of its parts.
const _: () = assert!(2 * Mirror::MOST <= u32::BITS as usize);

fn not_usable(rule: &Rule, part: &Part, code: Code) -> Refusal {
    Refusal::BackendNotUsable {
        code,
        origin: part.origin.clone(),
        rule: rule.origin.clone(),
    }
}

impl RouteSet {
    fn at(&self, place: usize) -> (&Route, &Rule) {
        let routes = self.index.routes();
        let route = &routes.routes[place];
        (route, &routes.rules[route.rule])
    }
}

/// The place of the first route that matches: the same rule under every reading of the path.
fn find(set: &RouteSet, request: &Request<'_>) -> Result<Option<usize>, Refusal> {
    let mut readings = request.path.readings();
    let found = set.index.find(request, readings.next().unwrap_or_default());
    let rule = |place: usize| set.at(place).0.rule;
    let mut has_others = false;
    for reading in readings {
        has_others = true;
        if set.index.find(request, reading).map(rule) != found.map(rule) {
            return Err(Refusal::AmbiguousPath);
        }
    }
    if has_others && !rewrite_keeps_readings(set, request, found) {
        return Err(Refusal::AmbiguousPath);
    }
    Ok(found)
}

/// Whether every way to read the path that would be sent is the rewriting of a way to read the one
/// that came. `/../x` below a new prefix would mean something else than what was decided.
fn rewrite_keeps_readings(set: &RouteSet, request: &Request<'_>, found: Option<usize>) -> bool {
    let Some((route, rule)) = found.map(|place| set.at(place)) else {
        return true;
    };
    path_changes(rule).all(|change| change_keeps_readings(set, request, route, change))
}

fn change_keeps_readings(
    set: &RouteSet,
    request: &Request<'_>,
    route: &Route,
    change: &PathRewrite,
) -> bool {
    let PathRewrite::Prefix(_) = change else {
        return true;
    };
    let Some(sent) = new_path(route, change, request.path.raw()) else {
        return true;
    };
    let sent = sent.to_string();
    let Ok(sent) = Path::new(&sent) else {
        return false;
    };
    let decided = request.path.readings().filter_map(|reading| {
        let (route, _) = set.at(set.index.find(request, reading)?);
        new_path(route, change, reading).map(|path| path.to_string())
    });
    let decided = decided.collect::<Vec<_>>();
    sent.readings()
        .all(|reading| decided.iter().any(|path| path == reading))
}

/// Everything that a rule may make of the path, in a request or in a redirect.
fn path_changes(rule: &Rule) -> impl Iterator<Item = &PathRewrite> {
    let (redirect, parts) = match &rule.action {
        Action::Redirect(redirect) => (redirect.path.as_ref(), &[][..]),
        Action::Forward(split) => (None, split.parts()),
        Action::Refuse(..) => (None, &[][..]),
    };
    let rewrites = rule
        .rewrite
        .iter()
        .chain(parts.iter().filter_map(|part| part.rewrite.as_ref()));
    redirect
        .into_iter()
        .chain(rewrites.filter_map(|rewrite| rewrite.path.as_ref()))
}

/// What `change` makes of `path`, which `route` matched. Targets that are no path (`*`) stay.
fn new_path<'p>(route: &Route, change: &'p PathRewrite, path: &'p str) -> Option<NewPath<'p>> {
    if !path.starts_with('/') {
        return None;
    }
    match (change, &route.matches.path) {
        (PathRewrite::Full(full), _) => Some(NewPath::full(full)),
        (PathRewrite::Prefix(with), PathMatch::Prefix(prefix)) => {
            Some(NewPath::prefix(path, prefix, with))
        }
        (
            PathRewrite::Prefix(_),
            PathMatch::Exact(_) | PathMatch::Regex(_) | PathMatch::Template(_),
        ) => None,
    }
}

/// What becomes of an admitted request.
#[derive(Debug)]
pub enum Routed<'a> {
    /// It goes on.
    Forward(Forward<'a>),
    /// The caller is sent elsewhere.
    Redirect(Redirected<'a>),
    /// A browser is told what it asked.
    Preflight(Preflight<'a>),
}

/// What was admitted and goes on, and how: a request, or a stream ([`ForwardStream`]).
#[derive(Debug)]
pub struct Forward<'a, A = Admitted<'a>> {
    admitted: A,
    called: &'a Port,
    to: &'a Port,
    route: Option<(&'a Route, &'a Rule)>,
    part: Option<(&'a Part, Roll)>,
    copied: u32,
}

impl<'a, A> Forward<'a, A> {
    /// It goes to whom it called: no rule says otherwise.
    fn unrouted(admitted: A, called: &'a Port) -> Self {
        Self {
            admitted,
            called,
            to: called,
            route: None,
            part: None,
            copied: 0,
        }
    }

    /// The permission it goes on by.
    pub fn admitted(&self) -> &A {
        &self.admitted
    }

    /// What was called.
    pub fn called(&self) -> &'a Port {
        self.called
    }

    /// Whose endpoints take it.
    pub fn port(&self) -> &'a Port {
        self.to
    }

    /// The match that took it and the rule it leads to; `None` for a service without routes.
    pub fn route(&self) -> Option<(&'a Route, &'a Rule)> {
        self.route
    }

    /// The share it fell to, and the roll that chose it.
    pub fn part(&self) -> Option<(&'a Part, Roll)> {
        self.part
    }
}

impl<'a> Forward<'a> {
    /// The request as it came.
    pub fn request(&self) -> &Request<'a> {
        self.admitted.request()
    }

    /// What changes in it on the way: as the rule says, and as is meant for this backend alone.
    pub fn changed(&self) -> Changed<'a> {
        self.changed_for(self.part.map(|(part, _)| part))
    }

    /// What changes in a copy of it: as the rule says.
    //= HTTPBackendRef filters: "Filters defined at this level MUST be executed if and only if the
    //= request is being forwarded to the backend defined here."
    pub fn copy_changed(&self) -> Changed<'a> {
        self.changed_for(None)
    }

    fn changed_for(&self, part: Option<&'a Part>) -> Changed<'a> {
        let of_part = part.and_then(|part| part.rewrite.as_ref());
        let of_rule = self.route.and_then(|(_, rule)| rule.rewrite.as_ref());
        let rewrites = || of_part.into_iter().chain(of_rule);
        let path = rewrites().find_map(|rewrite| rewrite.path.as_ref());
        Changed {
            host: rewrites().find_map(|rewrite| rewrite.host.as_deref()),
            path: path.and_then(|change| {
                let (route, _) = self.route?;
                new_path(route, change, self.request().path.raw())
            }),
            headers: [
                self.route
                    .map_or(&UNCHANGED, |(_, rule)| &rule.request_headers),
                part.map_or(&UNCHANGED, |part| &part.request_headers),
            ],
        }
    }

    /// Who gets a copy of it.
    pub fn mirrors(&self) -> impl Iterator<Item = &'a Mirror> {
        let of_rule = self.route.map_or(&[][..], |(_, rule)| &rule.mirrors);
        let of_part = self.part.map_or(&[][..], |(part, _)| &part.mirrors);
        let copied = self.copied;
        (0..u32::BITS)
            .zip(of_rule.iter().chain(of_part))
            .filter(move |(place, _)| copied & (1 << place) != 0)
            .map(|(_, mirror)| mirror)
    }

    /// What its CORS filter says, if its rule has one.
    pub fn cross_origin(&self) -> Option<CrossOrigin<'a>> {
        let cors = self.route?.1.cors.as_ref()?;
        Some(CrossOrigin::of(cors, self.request()))
    }

    /// Changes to the response's headers: the backend's, then the rule's.
    pub fn response_headers(&self) -> [&'a HeaderChanges; 2] {
        [
            self.part
                .map_or(&UNCHANGED, |(part, _)| &part.response_headers),
            self.route
                .map_or(&UNCHANGED, |(_, rule)| &rule.response_headers),
        ]
    }

    /// How long the whole exchange may take; `None` is no limit. The rule's own limit stands in
    /// the place of the one that is set for the service that was called.
    pub fn request_timeout(&self) -> Option<Duration> {
        let of_rule = self.route.and_then(|(_, rule)| rule.request_timeout);
        //= HTTPRoute timeouts: "Setting a timeout to the zero duration (e.g. "0s") SHOULD disable
        //= the timeout completely."
        of_rule
            .or(self.called.tuning().request_timeout)
            .filter(|limit| !limit.is_zero())
    }

    /// How long one try may take, to the last byte of its answer; `None` is no limit.
    pub fn attempt_timeout(&self) -> Option<Duration> {
        let limit = self.route.and_then(|(_, rule)| rule.attempt_timeout);
        limit.filter(|limit| !limit.is_zero())
    }

    /// How long one attempt to connect may take.
    pub fn connect_timeout(&self) -> Duration {
        self.to.tuning().connect_timeout
    }

    /// Who set the time that passed; `None` is a default.
    pub fn limited_by(&self, limit: Timed) -> Option<&'a Origin> {
        let rule = self.route.map(|(_, rule)| rule);
        match limit {
            Timed::Request => match rule.filter(|rule| rule.request_timeout.is_some()) {
                Some(rule) => Some(&rule.origin),
                None => self.called.tuning().origins.get("timeouts.request"),
            },
            Timed::Try => rule.map(|rule| &rule.origin),
            Timed::Connect => self.to.connect_limited_by(),
        }
    }

    /// Begins the first attempt, and counts the request in the budget of the service that was
    /// called. The rule's own retry stands in the place of that service's.
    pub fn attempts(&self, now: Mono) -> Attempts<'a> {
        let of_rule = self.route.and_then(|(_, rule)| rule.retry.as_ref());
        let retry = of_rule.unwrap_or(&self.called.tuning().retry);
        Attempts::start(retry, self.called.budget(), self.request_timeout(), now)
    }
}

/// What changes in a request on its way.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    /// The `Host` it goes on with, if not its own.
    pub host: Option<&'a str>,
    /// The path it goes on with, if not its own.
    pub path: Option<NewPath<'a>>,
    /// Changes to its headers: the rule's, then the backend's.
    pub headers: [&'a HeaderChanges; 2],
}

static UNCHANGED: HeaderChanges = HeaderChanges {
    set: Vec::new(),
    add: Vec::new(),
    remove: Vec::new(),
};

/// An answer that sends the caller elsewhere.
#[derive(Debug)]
pub struct Redirected<'a> {
    admitted: Admitted<'a>,
    called: &'a Port,
    route: &'a Route,
    rule: &'a Rule,
    to: &'a Redirect,
}

impl<'a> Redirected<'a> {
    /// 301, 302, 303, 307 or 308.
    pub fn status(&self) -> u16 {
        self.to.status
    }

    /// The value of `Location`.
    pub fn location(&self) -> impl fmt::Display {
        let path = self.to.path.as_ref();
        Location::new(self.to, self.called.name().port, self.request(), |asked| {
            new_path(self.route, path?, asked)
        })
    }

    /// The request as it came.
    pub fn request(&self) -> &Request<'a> {
        self.admitted.request()
    }

    /// The match that took it and the rule it leads to.
    pub fn route(&self) -> (&'a Route, &'a Rule) {
        (self.route, self.rule)
    }

    /// Changes to the response's headers.
    pub fn response_headers(&self) -> &'a HeaderChanges {
        &self.rule.response_headers
    }

    /// What its CORS filter says, if its rule has one.
    pub fn cross_origin(&self) -> Option<CrossOrigin<'a>> {
        let cors = self.rule.cors.as_ref()?;
        Some(CrossOrigin::of(cors, self.request()))
    }
}

/// An answer to a browser that asks, for a page of another site, whether it may call.
#[derive(Debug)]
pub struct Preflight<'a> {
    asked: Asked<'a>,
    cross_origin: CrossOrigin<'a>,
    rule: &'a Rule,
    place: usize,
    real: Request<'a>,
}

impl<'a> Preflight<'a> {
    /// The question, if it is one that a CORS filter answers: that of the rule which takes the call
    /// to come, as far as the question tells of it.
    fn of(admitted: &Admitted<'a>, set: &'a RouteSet) -> Option<Self> {
        let asked = Asked::of(admitted.request())?;
        let real = Request {
            method: asked.method,
            ..admitted.request().clone()
        };
        let place = find(set, &real).ok()??;
        let (_, rule) = set.at(place);
        let cors = match rule.action {
            Action::Forward(_) | Action::Redirect(_) => rule.cors.as_ref()?,
            Action::Refuse(..) => return None,
        };
        Some(Self {
            asked,
            cross_origin: CrossOrigin::of(cors, &real),
            rule,
            place,
            real,
        })
    }

    fn answered(self) -> Result<Routed<'a>, Refusal> {
        match self.cross_origin.site {
            Site::Allowed(_) => Ok(Routed::Preflight(self)),
            Site::Unsaid | Site::NotAllowed => Err(Refusal::OriginNotAllowed {
                site: cors::said(&self.real),
                origin: self.cross_origin.origin().clone(),
            }),
        }
    }

    /// The rule that will take the call to come.
    pub fn rule(&self) -> &'a Rule {
        self.rule
    }

    /// The status of the answer.
    pub const STATUS: u16 = 200;

    /// The headers of the answer.
    pub fn headers(&self) -> HeaderChanges {
        self.cross_origin.preflight(&self.asked)
    }
}
