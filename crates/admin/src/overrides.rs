//! Measures that hold over what is written, as they travel.

use serde::{Deserialize, Serialize};

use crate::answer::Status;

/// The measures that hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Overrides {
    /// How the control plane is.
    pub status: Status,
    /// They, the oldest first.
    pub overrides: Vec<OverrideTold>,
}

/// What became of a measure.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OverrideChanged {
    /// How the control plane is after it.
    pub status: Status,
    /// Whether something changed.
    pub changed: bool,
    /// The measure.
    pub told: Option<OverrideTold>,
}

/// A measure that holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OverrideTold {
    /// What it is called.
    pub id: String,
    /// What is done: `audit shop/payments`.
    pub measure: String,
    /// Since when, in RFC 3339.
    pub at: String,
    /// Until when, in RFC 3339.
    pub until: String,
    /// Who took it.
    pub who: String,
    /// Why.
    pub reason: String,
}
