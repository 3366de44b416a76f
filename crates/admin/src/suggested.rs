//! Policies that let in what was recorded, and nothing else.

use serde::{Deserialize, Serialize};

use crate::answer::Status;
use crate::traffic::Kept;

/// What is suggested.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Suggested {
    /// How the control plane is.
    pub status: Status,
    /// Since when calls were looked at, in RFC 3339.
    pub from: String,
    /// Until when, in RFC 3339.
    pub until: String,
    /// What is kept of the past.
    pub kept: Kept,
    /// The policies, by the services that they are about.
    pub policies: Vec<SuggestedPolicy>,
    /// How many recorded calls would break if they were applied, beyond what they leave out: judged as a
    /// plan judges.
    pub unforeseen: u64,
}

/// One policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SuggestedPolicy {
    /// The service: `shop/cart`.
    pub service: String,
    /// The object: `AccessPolicy shop/cart-callers`.
    pub object: String,
    /// It as YAML, which can be applied.
    pub yaml: String,
    /// How many calls were carried.
    pub calls: u64,
    /// How many of these it lets in.
    pub covered: u64,
    /// Who may call: `shop/web`.
    pub callers: Vec<String>,
    /// What it leaves out.
    pub left: Vec<LeftOut>,
    /// The policies that stand over the service already, and what they allow stays allowed.
    pub beside: Vec<String>,
}

/// Calls that a suggestion leaves out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeftOut {
    /// Who called: `shop/web`; `unknown` proves nothing.
    pub from: String,
    /// From which address, of a caller that proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What it asked, identifiers folded: `POST /refund/{id}`.
    pub request: String,
    /// How many.
    pub count: u64,
    /// When the last was over, in RFC 3339.
    pub last: String,
    /// Why.
    pub why: String,
}
