//! What a change would mean: for the configuration, for proxies, and for calls that were recorded.

use serde::{Deserialize, Serialize};

use crate::answer::{Change, Finding, Status};
use crate::failure::Failure;
use crate::overrides::OverrideTold;
use crate::traffic::Kept;

/// What a change would mean. Nothing is changed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Planned {
    /// How the control plane is; its revision is the one that the change would follow.
    pub status: Status,
    /// Why it would be refused, if it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Failure>,
    /// What would change, with the texts.
    pub changes: Vec<Change>,
    /// What is asked for and would be left as it is, in words.
    pub left: Vec<String>,
    /// The proxies that are connected and would decide by something else, by name.
    pub proxies: Vec<String>,
    /// What would not hold as it is written, of what the change brings.
    pub findings: Vec<Finding>,
    /// What it would mean for calls that were recorded.
    pub traffic: Foreseen,
}

/// What a change would mean for calls that were recorded in a while.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Foreseen {
    /// Since when, in RFC 3339.
    pub from: String,
    /// Until when, in RFC 3339.
    pub until: String,
    /// For how many of these seconds something could have been kept.
    pub seconds: f64,
    /// What is kept of the past.
    pub kept: Kept,
    /// Why what was recorded could not be read; nothing is known of any call then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_read: Option<Failure>,
    /// How many calls were judged.
    pub calls: u64,
    /// How many kinds of call they are.
    pub kinds: u64,
    /// How many calls would be refused that are carried.
    pub breaks: u64,
    /// How many would go another way, or be let in that are refused.
    pub changes: u64,
    /// How many of which it cannot be told.
    pub undecided: u64,
    /// How many for which nothing changes.
    pub same: u64,
    /// How many callers have calls that would be refused.
    pub broken_callers: u64,
    /// What does not stay the same: the worst first, then the most frequent.
    pub rows: Vec<ForeseenCalls>,
    /// How many rows there are beyond those.
    pub more: u64,
    /// The same of what was recorded before that while, and not in it.
    pub silent: Vec<ForeseenCalls>,
    /// How many rows there are beyond those.
    pub more_silent: u64,
    /// What the change reads of calls and nobody records, by the service that they are to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<Unrecorded>,
    /// The measures by which something of calls is recorded that no rule may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recording: Vec<OverrideTold>,
}

/// What is read of calls to a service and nobody records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unrecorded {
    /// The service: `shop/payments`.
    pub service: String,
    /// What could be recorded: `header:x-role`.
    pub facts: Vec<String>,
    /// What never is, because its name says that it is a secret: `header:x-api-key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// Calls of one caller for which a change means the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ForeseenCalls {
    /// What it means for them.
    pub means: Means,
    /// Who calls: `shop/web`; `unknown` proves nothing.
    pub from: String,
    /// From which address, of a caller that proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The workload that has that address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Whom they call.
    pub to: String,
    /// On which port; 0 where nobody knows it.
    pub port: u16,
    /// How many.
    pub count: u64,
    /// When the first was over, in RFC 3339.
    pub first: String,
    /// When the last was over, in RFC 3339.
    pub last: String,
    /// What they ask, the most frequent first; the first of them.
    pub requests: Vec<ForeseenRequest>,
    /// How many more kinds of request there are.
    pub more: u64,
    /// How they would be refused, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub becomes: Option<Becomes>,
    /// Why, in half a sentence.
    pub why: String,
    /// The object that says so: `AccessPolicy shop/payments`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Where: `policies/payments.yaml:9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// What a change means for calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Means {
    /// They are carried, and would be refused.
    Breaks,
    /// They would go another way, or be let in that are refused.
    Changes,
    /// It hangs on something that was not recorded.
    Undecided,
}

/// What calls ask that are alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ForeseenRequest {
    /// The method and the path, identifiers folded: `POST /refund/{id}`; `tcp` of a stream.
    pub request: String,
    /// How they were answered most often; absent for streams of bytes, and where nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code that refused them, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How many.
    pub count: u64,
}

/// How calls would be refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Becomes {
    /// The code.
    pub code: String,
    /// It in a few words.
    pub slug: String,
    /// The status of the answer; a stream of bytes is cut without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}
