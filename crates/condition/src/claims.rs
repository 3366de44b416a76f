//! Claims of a token: JSON whose types nobody knows beforehand, read as the type that an expression asks
//! for.

use alloc::{borrow::Cow, string::String, sync::Arc};
use core::fmt;

use serde_json::{Number, Value};

use crate::facts::{Fact, Facts};
use crate::tree::Stop;
use crate::{ClaimSaid, Failure};

/// A claim with a name of its own in an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamedClaim {
    /// Its name in an expression.
    pub name: &'static str,
    /// Its name in a token.
    pub claim: &'static str,
    /// The word for its type in CEL.
    pub kind: &'static str,
    /// What it says, in a sentence.
    pub doc: &'static str,
}

impl NamedClaim {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self {
            name: "jwt.issuer",
            claim: "iss",
            kind: "string",
            doc: "Who made the token (`iss`).",
        },
        Self {
            name: "jwt.subject",
            claim: "sub",
            kind: "string",
            doc: "Of whom it speaks (`sub`).",
        },
        Self {
            name: "jwt.audiences",
            claim: "aud",
            kind: "list(string)",
            doc: "For whom it is meant (`aud`).",
        },
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|claim| claim.name == name)
    }
}

/// A single value that a claim says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scalar<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(&'a Number),
    /// True or false.
    Truth(bool),
}

impl<'a> Scalar<'a> {
    /// What a value is if it is a single one.
    pub fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text)),
            Value::Number(number) => Some(Self::Number(number)),
            Value::Bool(truth) => Some(Self::Truth(*truth)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// A text as it is, all else as JSON writes it.
impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Truth(truth) => truth.fmt(f),
        }
    }
}

/// What a claim lists: of a list each item, of `scope` and `scp` each word, else what it says. `None` stands
/// for what is no single value.
pub fn listed<'a>(name: &str, value: &'a Value) -> impl Iterator<Item = Option<Scalar<'a>>> {
    //= RFC 8693 section 4.2: "The value of the "scope" claim is a JSON string containing a space-separated list of scopes
    //= associated with the token"
    let is_words = matches!(name, "scope" | "scp");
    let (items, words, one) = match value {
        Value::Array(items) => (items.as_slice(), None, None),
        Value::String(words) if is_words => (&[][..], Some(words.split(' ')), None),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            (&[][..], None, Some(Scalar::of(value)))
        }
    };
    let words = words.into_iter().flatten().map(Scalar::Text).map(Some);
    items.iter().map(Scalar::of).chain(words).chain(one)
}

/// A claim that an expression looks into, by its name or a JSON pointer (RFC 6901).
#[derive(Clone, Debug)]
pub(crate) struct Claim(pub(crate) Arc<str>);

impl Claim {
    /// The claim behind these steps.
    pub(crate) fn at(steps: &[String]) -> Self {
        if let [name] = steps
            && !name.starts_with('/')
        {
            return Self(name.as_str().into());
        }
        let escaped = steps
            .iter()
            .flat_map(|step| ["/".into(), step.replace('~', "~0").replace('/', "~1")]);
        Self(escaped.collect::<String>().into())
    }

    pub(crate) fn text<'a>(&self, facts: &'a dyn Facts) -> Result<Cow<'a, str>, Stop> {
        let text = self.value(facts)?.as_str();
        text.map(Cow::Borrowed).ok_or(OTHER_TYPE)
    }

    pub(crate) fn number(&self, facts: &dyn Facts) -> Result<i64, Stop> {
        self.value(facts)?.as_i64().ok_or(OTHER_TYPE)
    }

    pub(crate) fn truth(&self, facts: &dyn Facts) -> Result<bool, Stop> {
        self.value(facts)?.as_bool().ok_or(OTHER_TYPE)
    }

    /// The characters of a text, or the items of a list.
    pub(crate) fn size(&self, facts: &dyn Facts) -> Result<i64, Stop> {
        let size = match self.value(facts)? {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                return Err(OTHER_TYPE);
            }
        };
        Ok(i64::try_from(size).unwrap_or(i64::MAX))
    }

    pub(crate) fn is_there(&self, facts: &dyn Facts) -> Result<bool, Stop> {
        match said(&self.0, facts)? {
            ClaimSaid::NoToken | ClaimSaid::Absent => Ok(false),
            ClaimSaid::Is(_) => Ok(true),
        }
    }

    pub(crate) fn lists_text(&self, text: &str, facts: &dyn Facts) -> Result<bool, Stop> {
        self.lists(facts, |item| match item {
            Scalar::Text(one) => Some(one == text),
            Scalar::Number(_) | Scalar::Truth(_) => None,
        })
    }

    pub(crate) fn lists_number(&self, number: i64, facts: &dyn Facts) -> Result<bool, Stop> {
        self.lists(facts, |item| match item {
            Scalar::Number(one) => one.as_i64().map(|one| one == number),
            Scalar::Text(_) | Scalar::Truth(_) => None,
        })
    }

    /// Whether one of the items is it; one of another type counts if none is.
    fn lists(
        &self,
        facts: &dyn Facts,
        is: impl Fn(Scalar<'_>) -> Option<bool>,
    ) -> Result<bool, Stop> {
        let mut found = Ok(false);
        for item in listed(&self.0, self.value(facts)?) {
            match item.and_then(&is) {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => found = Err(OTHER_TYPE),
            }
        }
        found
    }

    fn value<'a>(&self, facts: &'a dyn Facts) -> Result<&'a Value, Stop> {
        match said(&self.0, facts)? {
            ClaimSaid::NoToken => Err(Stop::Failed(Failure::NoToken)),
            ClaimSaid::Absent => Err(Stop::Failed(Failure::NoSuchClaim)),
            ClaimSaid::Is(value) => Ok(value),
        }
    }
}

/// Whether there is a token whose claims count: each has an issuer.
pub(crate) fn is_token_there(facts: &dyn Facts) -> Result<bool, Stop> {
    match said("iss", facts)? {
        ClaimSaid::NoToken => Ok(false),
        ClaimSaid::Absent | ClaimSaid::Is(_) => Ok(true),
    }
}

fn said<'a>(name: &str, facts: &'a dyn Facts) -> Result<ClaimSaid<'a>, Stop> {
    facts.claim(name).ok_or(Stop::Unknown(Fact::Claims))
}

const OTHER_TYPE: Stop = Stop::Failed(Failure::ClaimOfOtherType);
