//! What a token says of its holder.

use alloc::string::String;
use core::time::Duration;

use leno_model::Wall;
use serde_json::{Map, Value};

use crate::json::{self, Flaw};

/// The claims of a token (RFC 7519 section 4). Anybody may imagine some: only those inside of
/// [`crate::Proven`] are an issuer's word.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Reads a JSON object whose members are named once.
    pub fn read(json: &[u8]) -> Result<Self, Flaw> {
        json::read_object(json).map(Self)
    }

    /// Reads what one claim says: a JSON value whose objects name their members once.
    pub fn read_value(json: &[u8]) -> Result<Value, Flaw> {
        json::read(json)
    }

    /// Every claim, by its name.
    pub fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The claim with this name, or, if that begins with `/`, at this JSON pointer (RFC 6901).
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Some(pointer) = name.strip_prefix('/') else {
            return self.0.get(name);
        };
        let (first, rest) = match pointer.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (pointer, None),
        };
        let value = self.0.get(&unescaped(first))?;
        let Some(rest) = rest else {
            return Some(value);
        };
        let mut steps = rest.split('/').map(unescaped);
        steps.try_fold(value, |value, step| value.as_object()?.get(&step))
    }

    /// Who made the token (`iss`).
    pub fn issuer(&self) -> Option<&str> {
        self.0.get("iss")?.as_str()
    }

    /// Of whom it speaks (`sub`).
    pub fn subject(&self) -> Option<&str> {
        self.0.get("sub")?.as_str()
    }

    /// For whom it is meant (`aud`), as one text or as a list of them; `None` if what stands there is
    /// neither.
    pub fn audiences(&self) -> Option<impl Iterator<Item = &str>> {
        let (one, several) = match self.0.get("aud") {
            None => (None, &[][..]),
            Some(Value::String(one)) => (Some(one.as_str()), &[][..]),
            Some(Value::Array(several)) if several.iter().all(Value::is_string) => {
                (None, several.as_slice())
            }
            Some(_) => return None,
        };
        Some(
            one.into_iter()
                .chain(several.iter().filter_map(Value::as_str)),
        )
    }

    /// From when on it is not accepted (`exp`).
    pub fn end(&self) -> Time {
        Time::of(self.0.get("exp"))
    }

    /// From when on it is accepted (`nbf`).
    pub fn start(&self) -> Time {
        Time::of(self.0.get("nbf"))
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

/// A point in time that a token tells (NumericDate, RFC 7519 section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Time {
    /// It tells none.
    Absent,
    /// What stands there is not one.
    Unreadable,
    /// This, in whole seconds.
    At(Wall),
}

impl Time {
    fn of(value: Option<&Value>) -> Self {
        let Some(value) = value else {
            return Self::Absent;
        };
        let seconds = value.as_u64().or_else(|| whole_seconds(value.as_f64()?));
        seconds.map_or(Self::Unreadable, |seconds| {
            Self::At(Wall::since_epoch(Duration::from_secs(seconds)))
        })
    }
}

/// The whole seconds of a date; none before 1970 or beyond what any clock tells.
fn whole_seconds(date: f64) -> Option<u64> {
    let most = f64::from(u32::MAX) * 1024.0;
    let seconds = (0.0..most).contains(&date).then_some(date)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within the range, and a part of a second is left out"
    )]
    let seconds = seconds as u64;
    Some(seconds)
}

/// One step of a JSON pointer.
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}
