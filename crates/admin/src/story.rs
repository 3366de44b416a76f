//! A call's story: what was thought of it on its way, as `leno why` tells it and the page shows it.

use serde::{Deserialize, Serialize};

use crate::recorded::Recorded;

/// One call, from the first question to the last.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Story {
    /// Its name, if it happened: 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it began, if it happened: RFC 3339, UTC, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Who called: `shop/checkout`.
    pub source: String,
    /// What was called: `shop/payments:8080`.
    pub destination: String,
    /// What was asked: `POST /charge`.
    pub request: String,
    /// What became of it.
    pub end: Fate,
    /// Who thought about it, in the order in which it came to them.
    pub hops: Vec<Hop>,
    /// What other revisions would have done: the present one, and the latest one that would have
    /// done something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<Other>,
    /// Why there is nothing to say of other revisions, where there is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_compared: Option<String>,
    /// Commands to go on with.
    pub next: Vec<String>,
    /// What the proxies recorded, if it happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Recorded>,
}

/// What became of a call.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Fate {
    /// The status of the answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the failure: `R014`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in words: `no-endpoint-usable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// Whose fault it was, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// It in words, where they say more: `allowed`, `301 to http://shop/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// How long it took, in milliseconds, if it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<f64>,
    /// Who answered: `payments`, `proxy of checkout`; absent if nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
}

/// What one of them thought: a proxy, or one that was never asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hop {
    /// Whose proxy it is, or who was never reached: `checkout-6d5f`.
    pub name: String,
    /// What is to be known of it: `revision 417`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Why it was never asked, if it was not: `TLS and access policy were never asked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_reached: Option<String>,
    /// Its steps.
    pub steps: Vec<StoryStep>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoryStep {
    /// What was decided: `name`, `route`, `split`, `endpoint`, `retry`, `mTLS`, `access` ..
    pub step: String,
    /// How it went.
    pub outcome: StepOutcome,
    /// How that is known.
    pub known: HowKnown,
    /// What came out, in half a sentence.
    pub text: String,
    /// Who said so: a file and line, else an object and field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What was seen on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<StoryDetail>,
}

/// One thing that was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoryDetail {
    /// It in half a sentence.
    pub text: String,
    /// Who said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// How a step went.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// The call went on.
    Yes,
    /// The call ended here.
    No,
    /// It was never asked.
    NotReached,
    /// It depends on a fact that nobody recorded.
    Undecided,
}

/// How something is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HowKnown {
    /// It happened.
    Recorded,
    /// It was decided again, by the code that decides.
    Replayed,
    /// It depends on a state that was not recorded.
    Assumed,
}

impl HowKnown {
    /// The word at the end of a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Replayed => "replayed",
            Self::Assumed => "assumed",
        }
    }
}

/// What another revision would have done with a call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Other {
    /// Which one.
    pub revision: u64,
    /// Whether it is in force.
    pub now: bool,
    /// Whether it would have done the same.
    pub same: bool,
    /// What it would have done, in half a sentence: `payments-v1, 3 of 3 usable`.
    pub text: String,
    /// How that is known.
    pub known: HowKnown,
}
