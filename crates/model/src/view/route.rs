//! Routes: which requests or streams match, and what happens to those that do.
//!
//! The words and their meaning are Gateway API's routes (v1), all kinds in one form: a call of gRPC is a
//! request, `POST /service/method`, and a stream is matched by its host alone, the server that it asks
//! for. The order of precedence that the spec demands has been worked out already and is the order of
//! [`Routes::routes`].

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::{num::NonZeroU32, time::Duration};

use crate::code::Code;
use crate::origin::Origin;
use crate::pattern::Pattern;
use crate::template::PathTemplate;
use crate::view::service::PortRef;
use crate::view::telemetry::Telemetry;

/// All that is attached to one service port for one group of callers, of one kind. The first route that
/// matches takes the request or stream; if none does, it is refused ([`Code::R010`]).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Routes {
    /// Matches in order of precedence.
    pub routes: Vec<Route>,
    /// What matches lead to; several matches may lead to one rule.
    pub rules: Vec<Arc<Rule>>,
    /// What is told of the calls that a rule takes, by its index in `rules`, where that is not what
    /// is told of all calls to the port.
    pub telemetry: BTreeMap<usize, Arc<Telemetry>>,
}

/// One match and where it leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Which hosts; of streams, which servers (SNI).
    pub host: HostMatch,
    /// Which requests; of streams, all.
    pub matches: HttpMatch,
    /// Index into [`Routes::rules`].
    pub rule: usize,
    /// The match in the object.
    pub origin: Origin,
}

/// Which hosts match: values of `Host`, or names of servers in TLS.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HostMatch {
    /// Every one.
    Any,
    /// This one, in lower case, without a port.
    Exact(Arc<str>),
    /// Any name with one or more labels before this suffix, which is kept with its dot: `.shop.example`.
    Suffix(Arc<str>),
}

/// Which requests match: all of its parts must.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpMatch {
    /// By path.
    pub path: PathMatch,
    /// By method; `None` is every one. Compared exactly: methods are case-sensitive (RFC 9110 section 9.1).
    pub method: Option<Arc<str>>,
    /// By header; each name once, in lower case.
    pub headers: Vec<HeaderMatch>,
    /// By query parameter; each name once, exact.
    pub query: Vec<HeaderMatch>,
}

/// Which paths match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PathMatch {
    /// This path exactly.
    Exact(Arc<str>),
    /// This path and everything below it, by whole segments. Kept without a trailing slash; the
    /// root is the empty text.
    Prefix(Arc<str>),
    /// Paths that this pattern matches as a whole.
    Regex(Pattern),
    /// Paths that fit this template. Only access rules have them.
    Template(PathTemplate),
}

/// A named value that must match: a header or a query parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderMatch {
    /// The name.
    pub name: Arc<str>,
    /// What its value must be.
    pub value: TextMatch,
}

/// What a text must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextMatch {
    /// This.
    Exact(Arc<str>),
    /// Something this pattern matches as a whole.
    Regex(Pattern),
}

/// What happens to the requests of one rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The rule in the object: `HTTPRoute shop/cart /spec/rules/0`.
    pub origin: Origin,
    /// The rule's own name, if it has one.
    pub name: Option<Arc<str>>,
    /// Where the request goes.
    pub action: Action,
    /// Changes to the request's headers.
    pub request_headers: HeaderChanges,
    /// Changes to the response's headers.
    pub response_headers: HeaderChanges,
    /// Changes to the request's host and path.
    pub rewrite: Option<Rewrite>,
    /// Who gets copies of the requests, beside whoever takes them. At most [`Mirror::MOST`].
    pub mirrors: Vec<Mirror>,
    /// What browsers are told whose pages come from other sites.
    pub cors: Option<Cors>,
    /// How long the whole exchange may take; `None` leaves it to the service's tuning, zero is no limit.
    pub request_timeout: Option<Duration>,
    /// How long one try may take, to the last byte of its answer; `None` and zero are no limit.
    pub attempt_timeout: Option<Duration>,
    /// What is tried again; `None` leaves it to the service's tuning.
    pub retry: Option<Retry>,
}

/// Where a request goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// To one of these backends.
    Forward(Split),
    /// Back to the caller with another place to go.
    Redirect(Redirect),
    /// Nowhere: the rule cannot be carried out as written, and answers 500 with this code.
    Refuse(Code, Origin),
}

/// Where one rule sends its traffic: some weight is above zero, or there is no `Split`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Split {
    parts: Vec<Part>,
    total: NonZeroU32,
}

/// One share of a [`Split`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Who gets it.
    pub backend: Backend,
    /// How much of the whole.
    pub weight: u32,
    /// The reference in the object. Absent for a service without routes, which forwards to itself.
    pub origin: Option<Origin>,
    /// Changes to the request's headers for this backend only.
    pub request_headers: HeaderChanges,
    /// Changes to the response's headers from this backend only.
    pub response_headers: HeaderChanges,
    /// Changes to the request's host and path for this backend only; what it says stands in the
    /// place of what the rule says.
    pub rewrite: Option<Rewrite>,
    /// Who gets copies of the requests that fall to this backend. At most [`Mirror::MOST`].
    pub mirrors: Vec<Mirror>,
}

impl Split {
    /// A split into these parts; `None` if no weight is above zero, or their sum does not fit.
    pub fn new(parts: Vec<Part>) -> Option<Self> {
        let total = parts
            .iter()
            .try_fold(0u32, |sum, part| sum.checked_add(part.weight))?;
        Some(Self {
            parts,
            total: NonZeroU32::new(total)?,
        })
    }

    /// The parts, in the order they were written.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The sum of all weights.
    pub fn total(&self) -> NonZeroU32 {
        self.total
    }

    /// The part on which `point`, less than the total, falls.
    pub fn part_at(&self, point: u32) -> &Part {
        &self.parts[self.place_at(point)]
    }

    /// Where in [`Self::parts`] that part stands.
    pub fn place_at(&self, point: u32) -> usize {
        let mut left = point;
        let falls_on = |part: &Part| {
            let falls = left < part.weight;
            left = left.saturating_sub(part.weight);
            falls
        };
        let place = self.parts.iter().position(falls_on);
        place.unwrap_or_else(|| unreachable!("{point} is below the total {}", self.total))
    }
}

/// Who gets a share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Backend {
    /// The endpoints of a service port.
    Service(PortRef),
    /// Nobody: the reference is not valid, and its share is answered with 500.
    //= HTTPRoute backendRefs: "500 status codes MUST be returned for requests that would have
    //= otherwise been routed to an invalid backend."
    Invalid(Code),
}

/// Changes to headers, applied in this order: set, add, remove.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HeaderChanges {
    /// Put in the place of every value the header has.
    pub set: Vec<(Arc<str>, Arc<str>)>,
    /// Added behind the values the header has.
    pub add: Vec<(Arc<str>, Arc<str>)>,
    /// Taken away; names in lower case.
    pub remove: Vec<Arc<str>>,
}

impl HeaderChanges {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// Changes to the request's host and path before it is forwarded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrite {
    /// The new `Host`.
    pub host: Option<Arc<str>>,
    /// The new path.
    pub path: Option<PathRewrite>,
}

/// How a path changes; the query stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PathRewrite {
    /// It becomes this.
    Full(Arc<str>),
    /// The prefix that matched becomes this. Only with [`PathMatch::Prefix`].
    Prefix(Arc<str>),
}

/// An answer that sends the caller elsewhere. What is absent stays as it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<Arc<str>>,
    /// The host.
    pub host: Option<Arc<str>>,
    /// The port. Absent with a scheme means the scheme's own.
    pub port: Option<u16>,
    /// The path.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Somebody who gets copies of requests, and whose answers nobody hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mirror {
    /// Whose endpoints: one of them gets each copy.
    pub to: PortRef,
    /// How many of `of` requests are copied.
    pub share: u32,
    /// What [`Self::share`] is a part of.
    pub of: NonZeroU32,
    /// The filter in the object.
    pub origin: Origin,
}

impl Mirror {
    /// How many may stand at a rule, and at one of its backends.
    pub const MOST: usize = 16;
}

/// What browsers are told whose pages come from other sites (Fetch, "CORS protocol").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cors {
    /// The filter in the object.
    pub origin: Origin,
    /// The sites whose pages may call. Without any, none may.
    pub sites: Vec<SiteMatch>,
    /// Whether they may call in the name of the person at the browser.
    pub credentials: bool,
    /// The methods with which they may call, beside GET, HEAD and POST.
    pub methods: Named,
    /// The headers that they may send.
    pub headers: Named,
    /// The headers of answers that they may read.
    pub exposed: Named,
    /// How long a browser may remember what it was told.
    pub max_age: Duration,
}

/// Which sites match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SiteMatch {
    /// Every one.
    Any,
    /// Those of this scheme and port whose host matches.
    At {
        /// `https`, not `http`.
        secure: bool,
        /// Which hosts.
        host: HostMatch,
        /// The port: the scheme's own where none was written.
        port: u16,
    },
}

/// Some names, or all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// All.
    Any,
    /// These.
    These(Vec<Arc<str>>),
}

/// What is tried again. By default only what provably was not processed: a connection that could
/// not be made, or a reused one that was closed before anything of the request was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    /// How many tries follow the first one.
    pub attempts: u8,
    /// Answers that are tried again although they were processed; 502 and 504 stand for tries that got
    /// none, too.
    pub codes: Vec<u16>,
    /// Whether a try without an answer is followed by another one, although it may have been processed.
    pub unanswered: bool,
    /// How long to wait before the first of them, at least; doubled for each that follows.
    pub backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            codes: Vec::new(),
            unanswered: false,
            backoff: Duration::from_millis(25),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(weight: u32) -> Part {
        Part {
            backend: Backend::Invalid(Code::C113),
            weight,
            origin: None,
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
            rewrite: None,
            mirrors: vec![],
        }
    }

    #[test]
    fn a_split_has_some_weight() {
        assert!(Split::new(vec![]).is_none());
        assert!(Split::new(vec![part(0), part(0)]).is_none());
        assert!(Split::new(vec![part(u32::MAX), part(1)]).is_none());
        assert_eq!(Split::new(vec![part(0), part(3)]).unwrap().total().get(), 3);
    }

    #[test]
    fn each_part_gets_its_weight() {
        let split = Split::new(vec![part(2), part(0), part(1)]).unwrap();
        let weights = (0..3)
            .map(|point| split.part_at(point).weight)
            .collect::<Vec<_>>();
        assert_eq!(weights, [2, 2, 1]);
    }
}
