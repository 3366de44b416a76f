//! What the routes of a port ask about a request beside its method, host and path. Whoever recorded
//! that can decide the request again; whoever did not knows on what it hangs.

use alloc::{collections::BTreeSet, string::String, sync::Arc, vec::Vec};
use core::fmt;

use leno_model::view::{HeaderMatch, HostMatch, HttpMatch, Route, Routes, Rule};
use leno_model::{Namespace, RequestFact};
use leno_protocol::Request;

use crate::caller::ISSUER;
use crate::cors;
use crate::matching::{header, header_mismatch, parameter, query_mismatch};
use crate::recorded::{Lacking, Reading, Recorded, host_meets, method_meets};
use crate::story;
use crate::table::Port;

/// The headers and parameters that rules ask about, and whether they ask for the host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asks {
    headers: Vec<Arc<str>>,
    parameters: Vec<Arc<str>>,
    host: bool,
    claims: Vec<Arc<str>>,
}

impl Asks {
    pub(super) fn of(routes: &Routes) -> Self {
        let all = || routes.routes.iter().map(|route| &route.matches);
        let name = |expected: &HeaderMatch| expected.name.clone();
        let has_cors = routes.rules.iter().any(|rule| rule.cors.is_some());
        let of_browsers = cors::ASKED.iter().filter(|_| has_cors);
        let headers = all().flat_map(|matches| &matches.headers).map(name);
        let headers = headers.chain(of_browsers.map(|name| Arc::from(*name)));
        let parameters = all().flat_map(|matches| &matches.query).map(name);
        let once = |names: BTreeSet<Arc<str>>| names.into_iter().collect();
        Self {
            headers: once(headers.collect()),
            parameters: once(parameters.collect()),
            host: routes
                .routes
                .iter()
                .any(|route| route.host != HostMatch::Any),
            claims: Vec::new(),
        }
    }

    /// What asks for these headers, perhaps for the host, and for no parameters.
    pub(crate) fn of_headers<'n>(names: impl Iterator<Item = &'n Arc<str>>, host: bool) -> Self {
        let once: BTreeSet<_> = names.cloned().collect();
        Self {
            headers: once.into_iter().collect(),
            parameters: Vec::new(),
            host,
            claims: Vec::new(),
        }
    }

    /// What is recorded though no rule may ask for it.
    pub(crate) fn of_records<'f>(facts: impl Iterator<Item = &'f RequestFact>) -> Self {
        let mut asks = Self::default();
        for fact in facts {
            match fact {
                RequestFact::Host => asks.host = true,
                RequestFact::Header(name) => asks.headers.push(name.clone()),
                RequestFact::Query(name) => asks.parameters.push(name.clone()),
                RequestFact::Claim(name) => asks.claims.push(name.clone()),
            }
        }
        asks
    }

    /// Each of them.
    pub fn facts(&self) -> impl Iterator<Item = RequestFact> {
        let headers = self.headers.iter().cloned().map(RequestFact::Header);
        let parameters = self.parameters.iter().cloned().map(RequestFact::Query);
        let claims = self.claims.iter().cloned().map(RequestFact::Claim);
        let host = self.host.then_some(RequestFact::Host);
        host.into_iter()
            .chain(headers)
            .chain(parameters)
            .chain(claims)
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same where tokens are believed: these claims are asked for, and who makes them.
    pub(crate) fn and_claims<'n>(self, names: impl Iterator<Item = &'n Arc<str>>) -> Self {
        let names: BTreeSet<_> = names.cloned().chain([ISSUER.into()]).collect();
        let claims = names.into_iter().collect();
        Self { claims, ..self }
    }

    /// The claims of a token, by name or JSON pointer.
    pub fn claims(&self) -> &[Arc<str>] {
        &self.claims
    }

    /// The headers, in lower case.
    pub fn headers(&self) -> &[Arc<str>] {
        &self.headers
    }

    /// Whether they ask for the host.
    pub fn host(&self) -> bool {
        self.host
    }

    /// The parameters of the query.
    pub fn parameters(&self) -> &[Arc<str>] {
        &self.parameters
    }
}

/// What a header of `request` says to rules, if it is there.
pub fn header_of(request: &Request<'_>, name: &str) -> Option<Vec<u8>> {
    header(request.headers, name).map(Iterator::collect)
}

/// What a parameter of `request` says to rules, if it is there.
pub fn parameter_of(request: &Request<'_>, name: &str) -> Option<Vec<u8>> {
    parameter(request.query.unwrap_or_default(), name).map(Iterator::collect)
}

/// Something that a rule asks about a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked<'t> {
    /// A header.
    Header(&'t str),
    /// A parameter of its query.
    Parameter(&'t str),
}

/// `header x-beta`.
impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Parameter(name) => write!(f, "query {name}"),
        }
    }
}

/// Something that nobody recorded and on which it hangs which rule takes a request.
#[derive(Clone, Copy, Debug)]
pub struct Hangs<'t> {
    /// The first rule that might take it.
    pub rule: &'t Rule,
    /// What the rule asks for.
    pub on: Lacking<'t>,
}

/// `rule 1 asks for header x-beta, which was not recorded`.
impl fmt::Display for Hangs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule: String = story::numbered(&self.rule.origin, self.rule.name.as_deref());
        write!(f, "{rule} asks for {}, which was not recorded", self.on)
    }
}

/// Where routes lead a request of which not everything may be known.
#[derive(Clone, Copy, Debug)]
pub enum Led<'t> {
    /// There are no routes: it goes to whom it calls.
    Straight,
    /// This match takes it, and leads to this rule.
    To(&'t Route, &'t Rule),
    /// No rule takes it.
    Nowhere,
    /// The ways to read its path lead to different rules.
    Ambiguous,
    /// It cannot be told.
    Hangs(Hangs<'t>),
}

impl Port {
    /// What the routes ask that a caller of `namespace` meets; `None` without routes.
    pub fn asks(&self, namespace: Option<&Namespace>) -> Option<&Asks> {
        Some(self.routes_for(namespace)?.index.asks())
    }

    /// What all routes ask, whoever meets them.
    pub fn all_asks(&self) -> impl Iterator<Item = &Asks> {
        self.all_routes().map(|set| set.index.asks())
    }

    /// Where the routes lead `request` that a caller of `namespace` meets. Asks every route.
    pub fn lead(&self, namespace: Option<&Namespace>, request: &Recorded<'_>) -> Led<'_> {
        let Some(set) = self.routes_for(namespace) else {
            return Led::Straight;
        };
        let mut readings = request.readings();
        let lead = |reading| lead(set.index.routes(), request, reading);
        let first = readings.next().map_or(Led::Nowhere, lead);
        for reading in readings {
            let same = match (first, lead(reading)) {
                (_, Led::Hangs(hangs)) => return Led::Hangs(hangs),
                (Led::To(_, one), Led::To(_, other)) => core::ptr::eq(one, other),
                (Led::Nowhere, Led::Nowhere) => true,
                (_, _) => false,
            };
            if !same {
                return Led::Ambiguous;
            }
        }
        first
    }

    /// Where the routes lead a stream of bytes that a caller of `namespace` opens, whose server's name
    /// nobody kept.
    pub fn lead_stream(&self, namespace: Option<&Namespace>) -> Led<'_> {
        let Some(set) = self
            .routes_for(namespace)
            .filter(|_| !self.protocol().is_http())
        else {
            return Led::Straight;
        };
        let routes = set.index.routes();
        match routes.routes.first() {
            None => Led::Nowhere,
            Some(route) if route.host == HostMatch::Any => {
                Led::To(route, &routes.rules[route.rule])
            }
            Some(route) => Led::Hangs(Hangs {
                rule: &routes.rules[route.rule],
                on: Lacking::Host,
            }),
        }
    }

    /// On what it hangs which rule takes `request`, if that was not kept.
    pub fn hangs_on(
        &self,
        namespace: Option<&Namespace>,
        request: &Recorded<'_>,
    ) -> Option<Hangs<'_>> {
        match self.lead(namespace, request) {
            Led::Hangs(hangs) => Some(hangs),
            Led::Straight | Led::To(..) | Led::Nowhere | Led::Ambiguous => None,
        }
    }
}

fn lead<'t>(routes: &'t Routes, request: &Recorded<'_>, path: Reading<'_>) -> Led<'t> {
    for route in &routes.routes {
        let rule = || &*routes.rules[route.rule];
        match takes(route, request, path) {
            Takes::Yes => return Led::To(route, rule()),
            Takes::No => {}
            Takes::Hangs(on) => return Led::Hangs(Hangs { rule: rule(), on }),
        }
    }
    Led::Nowhere
}

/// Whether a match takes a request.
enum Takes<'t> {
    Yes,
    No,
    Hangs(Lacking<'t>),
}

fn takes<'t>(route: &'t Route, request: &Recorded<'_>, path: Reading<'_>) -> Takes<'t> {
    let HttpMatch {
        path: expected,
        method,
        headers,
        query,
    } = &route.matches;
    let method = method.as_deref().map_or(Some(true), |expected| {
        method_meets(expected, request.method)
    });
    let plain = [
        (Lacking::Host, host_meets(&route.host, request.host)),
        (Lacking::Path, path.meets(expected)),
        (Lacking::Method, method),
    ];
    let kept = |asked, meets: bool| request.kept.holds(asked).then_some(meets);
    let headers = headers.iter().map(|expected| {
        let asked = Asked::Header(&expected.name);
        let meets = header_mismatch(expected, request.headers).is_none();
        (Lacking::Fact(asked), kept(asked, meets))
    });
    let parameters = query.iter().map(|expected| {
        let asked = Asked::Parameter(&expected.name);
        let meets = query_mismatch(expected, request.query.unwrap_or_default()).is_none();
        (Lacking::Fact(asked), kept(asked, meets))
    });
    let mut open = None;
    for (on, meets) in plain.into_iter().chain(headers).chain(parameters) {
        match meets {
            Some(true) => {}
            Some(false) => return Takes::No,
            None => open = open.or(Some(on)),
        }
    }
    open.map_or(Takes::Yes, Takes::Hangs)
}
