//! Calls that proxies are asked about: which are meant, and what is told of them.

use std::fmt;

use leno_model::flow::What;
use serde::{Deserialize, Serialize};

use crate::recorded::Recorded;

/// Which calls are meant. Empty, it is all of them.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// Only those that failed.
    pub failed: bool,
    /// Only those from or to this one: `shop/cart`, or `unknown`.
    pub party: Option<String>,
    /// Only those from this one.
    pub from: Option<String>,
    /// Only those to this one.
    pub to: Option<String>,
    /// Only requests with this method.
    pub method: Option<String>,
    /// Only requests to paths that begin so.
    pub path: Option<String>,
    /// Only requests whose answer had a status between these two.
    pub status: Option<(u16, u16)>,
    /// Only those that a proxy refused or cut short for this reason: `R003`.
    pub code: Option<String>,
}

/// It in words: `from shop/web to shop/cart failed`; empty if it is all.
impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = [
            ("of", &self.party),
            ("from", &self.from),
            ("to", &self.to),
            ("method", &self.method),
            ("path", &self.path),
            ("code", &self.code),
        ];
        let texts = texts.into_iter();
        let said = texts.filter_map(|(word, text)| Some(format!("{word} {}", text.as_ref()?)));
        let failed = self.failed.then(|| "failed".to_owned());
        let status = self
            .status
            .map(|(low, high)| format!("status {low}-{high}"));
        let all: Vec<_> = said.chain(failed).chain(status).collect();
        f.write_str(&all.join(" "))
    }
}

/// Which calls that are over are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// The last ones, each told by the proxy that knows more of it.
    Last {
        /// At most so many.
        count: u32,
        /// Of these.
        which: Which,
    },
    /// Those whose id begins so, each as all proxies tell of it.
    Named {
        /// Hexadecimal digits.
        id: String,
    },
}

/// What proxies keep of calls that are over.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct KeptCalls {
    /// The calls, oldest first.
    pub calls: Vec<Recorded>,
    /// How many more there are that were left out, the oldest ones: an answer has a bound.
    pub omitted: u64,
    /// How many calls that failed were not kept: there were more than a proxy keeps of a second.
    pub dropped: u64,
    /// When the latest of those that failed had ended that gave way to newer ones: RFC 3339; absent if
    /// none has. What failed later is kept, unless it was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
    /// How many calls did not fail.
    #[serde(default)]
    pub succeeded: u64,
    /// How many of these are kept.
    #[serde(default)]
    pub succeeded_kept: u64,
    /// Where a call was asked for that is not kept: what is remembered of it all the same, by each proxy
    /// that does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<Passed>,
    /// The proxies that were asked and have answered, by name.
    pub asked: Vec<String>,
    /// The proxies that may know more and have not answered.
    pub silent: Vec<Silent>,
}

/// What a proxy remembers of a call that it does not keep.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Passed {
    /// When it was over, to the second: RFC 3339.
    pub time: String,
    /// Who called: `shop/web`, or `unknown`.
    pub from: String,
    /// What was called, likewise.
    pub to: String,
    /// What was asked, with identifiers folded: `GET /items/{id}`, or `tcp`.
    pub asked: String,
    /// The status of the answer; 0 if it was no request, or none could be sent.
    pub status: u16,
    /// Why a proxy refused it or cut it short, if one did: `R014`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whether it failed.
    pub failed: bool,
    /// How many calls between the two that asked for the like the proxy has seen, this one among them.
    pub alike: u64,
    /// How many of these failed.
    pub alike_failed: u64,
}

impl Passed {
    /// What a proxy remembers, to be told.
    pub fn of(passed: &leno_telemetry::Passed) -> Self {
        let leno_telemetry::Passed {
            ended,
            kind,
            alike,
            failed,
        } = passed;
        let failure = kind.failure.as_ref();
        Self {
            time: ended.to_string(),
            from: kind.from.to_string(),
            to: kind.to.to_string(),
            asked: kind.what.to_string(),
            status: match kind.what {
                What::Requests { status, .. } => status,
                What::Streams => 0,
            },
            code: failure.and_then(|failure| Some(failure.code?.as_str().to_owned())),
            failed: failure.is_some(),
            alike: *alike,
            alike_failed: *failed,
        }
    }
}

/// A proxy that has not answered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Silent {
    /// What it calls itself.
    pub proxy: String,
    /// Why there is no answer, in words.
    pub why: String,
}

/// One thing that a tap shows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tapped {
    /// These are watched from here on: the first thing that is shown, and shown again when others
    /// come or go.
    Watching(Watched),
    /// A call, or something else that happened.
    Call(Box<Recorded>),
    /// So many more calls were not shown: more than the limit allows, or than could be taken.
    Dropped(u64),
}

/// The proxies whose calls are shown.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Watched {
    /// Those that show their calls, by name.
    pub proxies: Vec<String>,
    /// Those that do not.
    pub silent: Vec<Silent>,
    /// How many calls a second each of them shows at most.
    pub limit: u32,
}

impl Which {
    /// How many calls a second are shown where nothing else is asked for.
    pub const LIMIT: u32 = 100;
}
