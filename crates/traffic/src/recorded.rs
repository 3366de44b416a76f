//! A request as far as somebody recorded it: the rules are asked as they are about real ones, and what
//! they ask for and nobody kept leaves the answer open.

use core::fmt;

use leno_model::Shaped;
use leno_model::view::{HostMatch, PathMatch};
use leno_protocol::{Header, Path, Request};

use crate::caller::Fact;
use crate::matching::{host_matches, path_matches};
use crate::route::asks::Asked;

/// A request of which not everything may be known.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'r> {
    /// Its method.
    pub method: Fact<&'r str>,
    /// The host it asks for.
    pub host: Fact<&'r str>,
    /// Its path, without the query.
    pub path: RecordedPath<'r>,
    /// Its query, as far as it was kept.
    pub query: Option<&'r str>,
    /// Its headers, as far as they were kept.
    pub headers: &'r [Header<'r>],
    /// Which headers and parameters are kept, also those that were not there.
    pub kept: Kept<'r>,
}

/// What was kept of headers and parameters.
#[derive(Clone, Copy, Debug)]
pub enum Kept<'r> {
    /// All.
    All,
    /// These.
    Only(&'r [Asked<'r>]),
}

/// What was kept of a path.
#[derive(Clone, Copy, Debug)]
pub enum RecordedPath<'r> {
    /// All of it.
    Is(&'r Path<'r>),
    /// What it has in common with others.
    Like(Shaped<'r>),
    /// Nothing.
    Unknown,
}

impl<'r> Recorded<'r> {
    /// What was kept of all that there was, of `request`.
    pub fn of(request: &'r Request<'r>, kept: Kept<'r>) -> Self {
        Self {
            method: Fact::Known(request.method),
            host: Fact::Known(request.host),
            path: RecordedPath::Is(&request.path),
            query: request.query,
            headers: request.headers,
            kept,
        }
    }

    /// The ways in which its path can be read.
    pub(crate) fn readings(&self) -> impl Iterator<Item = Reading<'r>> {
        let (known, rest) = match self.path {
            RecordedPath::Is(path) => (Some(path.readings().map(Reading::Is)), None),
            RecordedPath::Like(shape) => (None, Some(Reading::Like(shape))),
            RecordedPath::Unknown => (None, Some(Reading::Unknown)),
        };
        known.into_iter().flatten().chain(rest)
    }
}

impl Kept<'_> {
    /// Whether all is known of what is asked for.
    pub(crate) fn holds(&self, asked: Asked<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Only(kept) => kept.contains(&asked),
        }
    }
}

/// One way to read a path, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reading<'r> {
    Is(&'r str),
    Like(Shaped<'r>),
    Unknown,
}

impl<'r> Reading<'r> {
    /// The path, if it is known.
    pub(crate) fn known(self) -> Option<&'r str> {
        match self {
            Self::Is(path) => Some(path),
            Self::Like(shape) => shape.only(),
            Self::Unknown => None,
        }
    }

    /// Whether it is what a rule speaks of; `None` if that cannot be told.
    pub(crate) fn meets(self, expected: &PathMatch) -> Option<bool> {
        if let Some(path) = self.known() {
            return Some(path_matches(expected, path));
        }
        match (self, expected) {
            (_, PathMatch::Prefix(root)) if root.is_empty() => Some(true),
            (Self::Like(shape), PathMatch::Exact(path)) => shape.is(path),
            (Self::Like(shape), PathMatch::Prefix(prefix)) => shape.is_below(prefix),
            (Self::Like(shape), PathMatch::Template(template)) => shape.is_meant_by(template),
            (Self::Is(_) | Self::Like(_) | Self::Unknown, _) => None,
        }
    }
}

/// Whether a host is what a rule speaks of; `None` if that cannot be told.
pub(crate) fn host_meets(expected: &HostMatch, host: Fact<&str>) -> Option<bool> {
    match (expected, host) {
        (HostMatch::Any, _) => Some(true),
        (expected, Fact::Known(host)) => Some(host_matches(expected, host)),
        (HostMatch::Exact(_) | HostMatch::Suffix(_), Fact::Unknown) => None,
    }
}

/// Whether a method is what a rule speaks of; `None` if that cannot be told.
pub(crate) fn method_meets(expected: &str, method: Fact<&str>) -> Option<bool> {
    match method {
        Fact::Known(method) => Some(expected == method),
        Fact::Unknown => None,
    }
}

/// Something that a rule asks for and that nobody kept: `the path`, `header x-beta`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lacking<'t> {
    /// The host.
    Host,
    /// The path, or what was folded in it.
    Path,
    /// The method.
    Method,
    /// A header or a parameter of the query.
    Fact(Asked<'t>),
}

impl fmt::Display for Lacking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host"),
            Self::Path => f.write_str("the whole path"),
            Self::Method => f.write_str("the method"),
            Self::Fact(asked) => write!(f, "{asked}"),
        }
    }
}
