//! What the routes of a port ask about a request beside its method, host and path. Whoever recorded
//! that can decide the request again; whoever did not knows on what it hangs.

use alloc::{collections::BTreeSet, string::String, sync::Arc, vec::Vec};
use core::fmt;

use leno_model::Namespace;
use leno_model::view::{HeaderMatch, Routes, Rule};
use leno_protocol::Request;

use crate::cors;
use crate::matching::{
    Mismatch, header, header_mismatch, parameter, query_mismatch, route_mismatch,
};
use crate::story;
use crate::table::Port;

/// The headers and parameters that routes ask about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asks {
    headers: Vec<Arc<str>>,
    parameters: Vec<Arc<str>>,
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
        }
    }

    /// What asks for these headers and for no parameters.
    pub(crate) fn of_headers<'n>(names: impl Iterator<Item = &'n Arc<str>>) -> Self {
        let once: BTreeSet<_> = names.cloned().collect();
        Self {
            headers: once.into_iter().collect(),
            parameters: Vec::new(),
        }
    }

    /// The headers, in lower case.
    pub fn headers(&self) -> &[Arc<str>] {
        &self.headers
    }

    /// The parameters of the query.
    pub fn parameters(&self) -> &[Arc<str>] {
        &self.parameters
    }
}

/// What a header of `request` says to rules, if it is there.
pub fn header_of(request: &Request<'_>, name: &str) -> Option<Vec<u8>> {
    header(request, name).map(Iterator::collect)
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
    pub on: Asked<'t>,
}

/// `rule 1 asks for header x-beta, which was not recorded`.
impl fmt::Display for Hangs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule: String = story::numbered(&self.rule.origin, self.rule.name.as_deref());
        write!(f, "{rule} asks for {}, which was not recorded", self.on)
    }
}

impl Port {
    /// What the routes ask that a caller of `namespace` meets; `None` without routes.
    pub fn asks(&self, namespace: Option<&Namespace>) -> Option<&Asks> {
        Some(self.routes_for(namespace)?.index.asks())
    }

    /// On what it hangs which rule takes `request`, if that is something that is not `recorded`.
    pub fn hangs_on(
        &self,
        namespace: Option<&Namespace>,
        request: &Request<'_>,
        recorded: impl Fn(Asked<'_>) -> bool,
    ) -> Option<Hangs<'_>> {
        let set = self.routes_for(namespace)?;
        let routes = set.index.routes();
        for route in &routes.routes {
            let matches = &route.matches;
            let query = request.query.unwrap_or_default();
            let path = request.path.raw();
            match route_mismatch(route, request, path) {
                Some(Mismatch::Host(_) | Mismatch::Path(_) | Mismatch::Method(_)) => continue,
                None
                | Some(
                    Mismatch::HeaderAbsent(_)
                    | Mismatch::HeaderDiffers(_)
                    | Mismatch::QueryAbsent(_)
                    | Mismatch::QueryDiffers(_),
                ) => {}
            }
            let headers = matches.headers.iter().map(|expected| {
                let matched = header_mismatch(expected, request).is_none();
                (Asked::Header(&expected.name), matched)
            });
            let parameters = matches.query.iter().map(|expected| {
                let matched = query_mismatch(expected, query).is_none();
                (Asked::Parameter(&expected.name), matched)
            });
            let (mut open, mut fails) = (None, false);
            for (asked, matched) in headers.chain(parameters) {
                match recorded(asked) {
                    true => fails |= !matched,
                    false => open = open.or(Some(asked)),
                }
            }
            match open {
                _ if fails => {}
                Some(on) => {
                    let rule = &routes.rules[route.rule];
                    return Some(Hangs { rule, on });
                }
                None => return None,
            }
        }
        None
    }
}
