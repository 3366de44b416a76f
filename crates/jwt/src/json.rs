//! JSON whose objects name each member once: two readers of the same bytes must not see two values.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why bytes are not JSON that is taken here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Flaw(String);

/// Reads one JSON value. Refused is an object that has two members of one name.
//= RFC 7519 section 4: "The Claim Names within a JWT Claims Set MUST be unique; JWT parsers MUST either reject JWTs
//= with duplicate Claim Names or use a JSON parser that returns only the lexically last duplicate member name"
pub(crate) fn read(bytes: &[u8]) -> Result<Value, Flaw> {
    let read = serde_json::from_slice::<Once>(bytes);
    let Once(value) = read.map_err(|why| Flaw(why.to_string()))?;
    Ok(value)
}

/// Reads one JSON object likewise.
pub(crate) fn read_object(bytes: &[u8]) -> Result<Map<String, Value>, Flaw> {
    match read(bytes)? {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Flaw("it is not an object".into()))
        }
    }
}

/// A value whose objects name each member once.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::from(it))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(Value::from(it))
    }

    fn visit_f64<E: Error>(self, it: f64) -> Result<Value, E> {
        let number = Number::from_f64(it);
        let number = number.ok_or_else(|| E::custom("a number is too large"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::from(it))
    }

    fn visit_string<E>(self, it: String) -> Result<Value, E> {
        Ok(Value::String(it))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Once(value)) = from.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom("an object has two members of one name"));
            }
            let Once(value) = from.next_value()?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

/// A text from outside for a message: escaped, and no longer than a person reads.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 64;
    let mut chars = text.chars();
    let start = chars.by_ref().take(MOST).collect::<String>();
    let rest = if chars.next().is_some() { ".." } else { "" };
    format!("{start:?}{rest}")
}
