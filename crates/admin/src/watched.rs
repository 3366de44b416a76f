//! Changes that are watched: what is seen of calls since, and what came of those that were.

use serde::{Deserialize, Serialize};

use crate::answer::Status;
use crate::failure::Failure;
use crate::figures::short;

/// How a change is to be watched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchFor {
    /// It stays if nothing has gone wrong for so many seconds.
    pub seconds: u64,
    /// Of each kind of call, so many of a million may fail more than before.
    pub tolerate: u32,
}

/// The changes that are or were watched, the newest first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Watches {
    /// How the control plane is.
    pub status: Status,
    /// The changes.
    pub watches: Vec<WatchedChange>,
}

/// A change that is or was watched.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WatchedChange {
    /// The revision that it made.
    pub revision: u64,
    /// Since when, in RFC 3339.
    pub at: String,
    /// Until when, in RFC 3339.
    pub until: String,
    /// For how many seconds from this moment on.
    pub left: u64,
    /// For how many seconds in all.
    pub seconds: u64,
    /// Who made it.
    pub who: String,
    /// Of each kind of call, so many of a million may fail more than before.
    pub tolerate: u32,
    /// The objects that it changed: `AccessPolicy shop/cart`.
    pub objects: Vec<String>,
    /// What came of it, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<WatchEnded>,
    /// What was seen of calls; absent until it was looked for, and after a restart of the control plane
    /// of a watch that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Aftermath>,
}

/// What came of a watch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WatchEnded {
    /// When, in RFC 3339.
    pub at: String,
    /// What.
    pub end: WatchEnd,
    /// Why, in words.
    pub why: String,
    /// The revision that took the change back, if one did.
    pub by: Option<u64>,
}

/// How a watch ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchEnd {
    /// Its time was over, and nothing had gone wrong.
    Stayed,
    /// Somebody let the change stay before its time was over.
    Kept,
    /// Something went wrong, and it went back by itself.
    WentBack,
    /// Nobody could tell whether something went wrong, and it went back by itself.
    Unseen,
    /// Somebody took it back.
    TakenBack,
    /// Something went wrong, and what stood before cannot be put in force again: it stays.
    Stuck,
}

/// What became of calls since a change, beside what became of them before.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Aftermath {
    /// Calls since the change that it can have touched.
    pub calls: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Calls of the same kinds in the while before.
    pub calls_before: u64,
    /// How many of them failed.
    pub failed_before: u64,
    /// Calls since that the change cannot have touched: they count for nothing.
    pub others: u64,
    /// How many kinds of call came before and have not come since.
    pub silent: u64,
    /// The kinds of which more fail than before: what the change does first, then the most.
    pub worse: Vec<WorseCalls>,
    /// How many kinds there are beyond those.
    pub more: u64,
    /// Proxies that cannot take what the change says and could before it, each with why.
    pub unwell: Vec<String>,
    /// Others that cannot either, and do not speak against it: too few, or all of one namespace that it is not about.
    #[serde(default)]
    pub unheard: Vec<String>,
    /// Proxies that have not adopted the newest view yet.
    pub behind: Vec<String>,
    /// How many measures of an emergency hold meanwhile: what they let through does not fail.
    #[serde(default)]
    pub overrides: u64,
    /// Why calls could not be looked at, if they could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_read: Option<Failure>,
}

/// Calls of one kind of which more fail than before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WorseCalls {
    /// What can be said of it.
    pub weight: Weight,
    /// Who calls: `shop/web`; `unknown` proves nothing.
    pub from: String,
    /// From which address, of a caller that proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whom they call.
    pub to: String,
    /// On which port; 0 where nobody knows it.
    pub port: u16,
    /// What they ask: `POST /refund/{id}`, `tcp`.
    pub request: String,
    /// How most of those end that fail; absent for streams of bytes, and where nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code, where a proxy refused them or broke them off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// It in a few words, or that the service answered so.
    pub why: String,
    /// How many failed since.
    pub failed: u64,
    /// Of how many.
    pub calls: u64,
    /// How many failed before.
    pub failed_before: u64,
    /// Of how many.
    pub calls_before: u64,
    /// When the last failed, in RFC 3339.
    pub last: String,
}

/// What can be said of calls that fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The change refuses them: what stood before it would carry them.
    Refused,
    /// More fail than chance and what is tolerated would let fail.
    Risen,
    /// They are too few to tell them from chance.
    TooFew,
    /// It is within what is tolerated.
    Tolerated,
}

/// `shop/web → shop/cart  GET /x: 403 R003 no-allow-rule, 12 of 12 since, 0 of 900 before`
impl std::fmt::Display for WorseCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = self.address.as_deref().unwrap_or(short(&self.from));
        write!(f, "{from} → {}  {}: ", short(&self.to), self.request)?;
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        if let Some(code) = &self.code {
            write!(f, "{code} ")?;
        }
        let (failed, calls) = (self.failed, self.calls);
        let (failed_before, calls_before) = (self.failed_before, self.calls_before);
        write!(
            f,
            "{}, {failed} of {calls} since, {failed_before} of {calls_before} before",
            self.why
        )
    }
}
