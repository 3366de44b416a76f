//! What went between services, as their proxies reported it: of late, and for as long as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answer::{Finding, Past, Status};
use crate::overview::Step;

/// What is told apart in [`Traffic`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Nothing: one row for the whole mesh.
    Mesh,
    /// What was called: the callers stay empty.
    Service,
    /// Who called, and what was called.
    #[default]
    Edge,
    /// Of each service, the rules that took the calls.
    Route,
    /// Of each service, the services whose endpoints answered, where a rule splits its calls.
    Backend,
    /// Of each edge, what was asked, identifiers folded: `GET /items/{id}`.
    Request,
}

/// What went between services at some time that is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Carried {
    /// How the control plane is.
    pub status: Status,
    /// What is kept.
    pub kept: Kept,
    /// What went, a step after the other in time; those in which nothing did are there, and empty.
    pub steps: Vec<Traffic>,
}

/// What is kept of the past.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// Since when whatever was reported is kept, in RFC 3339; absent where nothing can be kept.
    #[serde(default)]
    pub from: Option<String>,
    /// Until when something was reported, in RFC 3339; absent if nothing was.
    #[serde(default)]
    pub until: Option<String>,
    /// How many bytes that takes on disk.
    pub bytes: u64,
    /// How many calls and streams are not in it: proxies had no room for them while nobody took
    /// their reports.
    pub lost: u64,
    /// How many are in it without what was asked: there were too many different requests.
    pub folded: u64,
    /// Why nothing is kept or added at this time, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Finding>,
}

/// What went between services for a while.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Since when, in RFC 3339.
    #[serde(default)]
    pub from: String,
    /// Until when, in RFC 3339.
    #[serde(default)]
    pub until: String,
    /// For how long, in seconds.
    pub seconds: f64,
    /// What went, callers before whom they call.
    pub edges: Vec<Edge>,
}

impl Traffic {
    /// How many calls went.
    pub fn calls(&self) -> u64 {
        self.edges.iter().map(|edge| edge.calls).sum()
    }

    /// How many of these failed.
    pub fn failed(&self) -> u64 {
        self.edges.iter().map(|edge| edge.failed).sum()
    }
}

/// What went over one edge, over a part of it, or over several together: see [`By`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Edge {
    /// Who called: `shop/web`; `unknown` if that was not proven; empty where it is not told apart.
    pub from: String,
    /// What was called: `shop/cart`; `unknown` if it is outside the mesh; empty where it is not told
    /// apart.
    pub to: String,
    /// The rule that took the calls: `HTTPRoute shop/cart rule 2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The service whose endpoints answered: `shop/cart-v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// What was asked, identifiers folded: `GET /items/{id}`; `other` beyond a number of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Requests, and streams of bytes that ended or could not be opened.
    pub calls: u64,
    /// How many of these failed.
    pub failed: u64,
    /// The requests by the class of their status: `2xx`; `none` if no answer could be sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statuses: BTreeMap<String, u64>,
    /// What failed, by whose fault it was.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<String, u64>,
    /// What failed, by why, the most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureCount>,
    /// How many calls and open streams went between two proxies that proved themselves to each other.
    pub mtls: u64,
    /// How many went in plain.
    pub plain: u64,
    /// How many went in plain, by why: `endpoint-not-in-mesh`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub why_plain: BTreeMap<String, u64>,
    /// Streams of bytes that were open at the end.
    pub open: u64,
    /// Bytes from who called.
    pub sent: u64,
    /// Bytes to who called.
    pub received: u64,
    /// How long half of the requests took at most, in microseconds.
    pub p50_us: Option<u64>,
    /// How long all but one in ten took at most, in microseconds.
    pub p90_us: Option<u64>,
    /// How long all but one in a hundred took at most, in microseconds.
    pub p99_us: Option<u64>,
}

impl Edge {
    /// Bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.sent.saturating_add(self.received)
    }
}

/// How often something failed in one way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailureCount {
    /// The code, if the mesh refused it: `R003`; else the service answered so.
    pub code: Option<String>,
    /// Why, in words: `no-allow-rule`, `the service answered`.
    pub why: String,
    /// Whose fault it is: `caller`, `service`, `configuration`, `mesh`.
    pub fault: String,
    /// How often.
    pub count: u64,
    /// When it was first seen, in RFC 3339: in [`Traffic`] no earlier than what was asked for, in a
    /// [`FailureGroup`] since it goes on without a quiet while of ten minutes.
    pub first: String,
    /// When it was last seen, in RFC 3339.
    pub last: String,
    /// The id of one such call: `leno why ID` tells its story while that is kept.
    #[serde(default)]
    pub example: Option<String>,
}

/// A call that failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailedCall {
    /// Its id.
    pub id: String,
    /// When it was over, in RFC 3339.
    pub at: String,
    /// Who called.
    pub from: String,
    /// What was called.
    pub to: String,
    /// What was asked, identifiers folded: `GET /items/{id}`, `tcp`.
    pub request: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took, in microseconds, where that is known.
    pub took_us: Option<u64>,
    /// Whose fault it is.
    pub fault: String,
    /// The code, if the mesh refused it: `R003`; else the service answered so.
    pub code: Option<String>,
    /// Why, in words: `no-allow-rule`, `the service answered`.
    pub why: String,
    /// How many of its kind failed of late, this one included.
    #[serde(default)]
    pub count: u64,
}

/// Why calls to a service fail, or those that it makes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Failures {
    /// How the control plane is.
    pub status: Status,
    /// What is kept.
    pub kept: Kept,
    /// The service that was asked about: `shop/checkout`; absent if it was every one.
    pub service: Option<String>,
    /// Since when, in RFC 3339.
    pub from: String,
    /// Until when, in RFC 3339.
    pub until: String,
    /// How many calls went from or to it.
    pub calls: u64,
    /// How many of these failed.
    pub failed: u64,
    /// Those that failed by why, between whom and by what, the most frequent first.
    pub groups: Vec<FailureGroup>,
}

/// Calls that failed in one way, between the same two, by the same cause.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FailureGroup {
    /// How often, since when, and an example.
    #[serde(flatten)]
    pub failure: FailureCount,
    /// Who called.
    pub from: String,
    /// What was called.
    pub to: String,
    /// What did it: `AccessPolicy shop/payments`, `the service shop/cart-v2`.
    pub culprit: String,
    /// Where that is written: `policies/payments.yaml:9`.
    #[serde(default)]
    pub place: Option<String>,
    /// The statuses that callers got.
    pub statuses: Vec<u16>,
    /// What was asked, the most frequent first, a few of them.
    pub requests: Vec<Asked>,
    /// How many calls went over the edge meanwhile.
    pub of: u64,
    /// Whether it was seen in the last minute.
    pub goes_on: bool,
    /// For how many seconds before the first nothing of the kind was seen; absent where what is kept
    /// does not reach further back.
    #[serde(default)]
    pub quiet_before: Option<u64>,
    /// The revision that came right before it, if one came close before.
    #[serde(default)]
    pub before: Option<Past>,
    /// Commands to go on with.
    pub next: Vec<Step>,
}

/// What was asked, and how often.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// What: `POST /refund/{id}`, `tcp`.
    pub request: String,
    /// How often.
    pub count: u64,
}
