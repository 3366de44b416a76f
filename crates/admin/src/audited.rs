//! The audit log, as it travels.

use serde::{Deserialize, Serialize};

use crate::answer::Status;

/// What was changed, asked and refused, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditedOf {
    /// How the control plane is.
    pub status: Status,
    /// The records.
    pub records: Vec<Audited>,
}

/// One record of the audit log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Audited {
    /// Its number: they rise by one.
    pub number: u64,
    /// When, in RFC 3339.
    pub at: String,
    /// Who: a user of the control plane's host, an identity, or `nobody` for who proved nothing.
    pub who: String,
    /// From where: `socket`, `dashboard`, or an address.
    pub from: String,
    /// What was asked: `apply`, `tap`, `revoke`.
    pub what: String,
    /// About what, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The code of the refusal or failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The newest revision after it.
    pub revision: u64,
}

/// What came of something that was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done, or answered.
    Done,
    /// It was allowed, and not done.
    Failed,
    /// It was not allowed.
    Refused,
}
