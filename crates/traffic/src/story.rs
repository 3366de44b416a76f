//! What was thought: the steps of one decision, in words. A story is told only when somebody asks;
//! a decision that nobody asks about never makes one.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use leno_model::Origin;

/// The steps of one decision, in the order they were taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Story {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What was decided.
    pub kind: StepKind,
    /// How it went.
    pub outcome: Outcome,
    /// How that is known.
    pub known: Known,
    /// What came out, in half a sentence: `HTTPRoute shop/payments rule 2`.
    pub text: String,
    /// Who said so.
    pub origin: Option<Origin>,
    /// What was passed over on the way: `rule 1 no: header x-canary absent`.
    pub details: Vec<Detail>,
}

impl Step {
    /// A step that was never asked.
    pub fn not_reached(kind: StepKind, why: impl Into<String>) -> Self {
        Self {
            kind,
            outcome: Outcome::NotReached,
            known: Known::Replayed,
            text: why.into(),
            origin: None,
            details: Vec::new(),
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detail {
    /// What was seen, in half a sentence.
    pub text: String,
    /// Who said so.
    pub origin: Option<Origin>,
}

impl Detail {
    /// Says that the index, by which the proxy decides, came to something else than asking every
    /// rule does.
    pub(crate) fn of_disagreement() -> Self {
        Self {
            text: "the index and the plain scan disagree: this is a bug in Leno, please report it"
                .into(),
            origin: None,
        }
    }
}

/// `rule 2`, or `rule 2 (canary)`: which of its object's rules one is, counted from 1 as people do.
pub(crate) fn numbered(origin: &Origin, name: Option<&str>) -> String {
    let pointer = &origin.pointer;
    let lists = ["/spec/rules/", "/spec/ingress/", "/spec/egress/"];
    let mut within = lists.iter().filter_map(|list| pointer.strip_prefix(list));
    let place = within
        .next()
        .and_then(|rest| rest.split('/').next()?.parse::<u32>().ok());
    match (place, name) {
        (Some(place), Some(name)) => format!("rule {} ({name})", place.saturating_add(1)),
        (Some(place), None) => format!("rule {}", place.saturating_add(1)),
        (None, Some(name)) => format!("rule {name}"),
        (None, None) => "a rule".into(),
    }
}

/// The first of many details, and how many are left out.
pub(crate) fn first_details(details: impl Iterator<Item = Detail>) -> Vec<Detail> {
    let mut details = details;
    let mut told = details.by_ref().take(MOST_DETAILS).collect::<Vec<_>>();
    let left = details.count();
    if left > 0 {
        told.push(Detail {
            text: format!("and {left} more"),
            origin: None,
        });
    }
    told
}

/// How many details of one kind are told one by one.
const MOST_DETAILS: usize = 20;

/// What a step decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StepKind {
    /// What the destination is.
    Name,
    /// Which route takes the request.
    Route,
    /// Whether pages of other sites may call.
    Cors,
    /// Which of the route's backends.
    Split,
    /// Who gets a copy.
    Mirror,
    /// Which of the backend's endpoints.
    Endpoint,
    /// Whether it is tried again.
    Retry,
    /// Whether the caller is proven, and must be.
    Mtls,
    /// Whether the caller may.
    Access,
}

impl StepKind {
    /// The word at the head of the line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Route => "route",
            Self::Cors => "CORS",
            Self::Split => "split",
            Self::Mirror => "mirror",
            Self::Endpoint => "endpoint",
            Self::Retry => "retry",
            Self::Mtls => "mTLS",
            Self::Access => "access",
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a step went.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// The call went on.
    Yes,
    /// The call ended here.
    No,
    /// It was never asked.
    NotReached,
    /// It depends on a fact that nobody recorded.
    Undecided,
}

/// How an outcome is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Known {
    /// It happened.
    Recorded,
    /// It was decided again, by the configuration at hand.
    Replayed,
    /// It depends on a state that was not recorded: balancing, ejection, limits.
    Assumed,
}

impl Known {
    /// The word at the end of the line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Replayed => "replayed",
            Self::Assumed => "assumed",
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
