//! Single values, lists and maps.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use leno_model::view::access::IpBlock;
use leno_model::{Code, Name, Namespace, Network, TrustDomain, Wall};

use super::reader::quoted;
use super::{Decode, Reader, Rules};
use crate::duration;
use crate::part::{List, Part};
use crate::schema::Shape;
use crate::yaml::{Meaning, Node, Value};

/// A field that may be absent. One that cannot be understood is absent, and what holds it flawed.
impl<T: Decode> Decode for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const REQUIRED: bool = false;

    fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        Some(reader.value(node, rules))
    }

    fn absent(_: &str, _: &Rules, _: &mut Reader<'_>) -> Option<Self> {
        Some(None)
    }
}

/// Each item is a part of its own. What is no list counts as one item that is not understood, and
/// what holds it is flawed.
impl<T: Decode> Decode for List<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);
    const REQUIRED: bool = false;

    fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(items) = node.as_list() else {
            reader.wrong_type(node, "a list");
            return Some(Self::unreadable());
        };
        let (least, most) = rules.items;
        if items.len() < least {
            reader.invalid(node, format!("at least {least} must stand here"));
            return Some(Self::unreadable());
        }
        if items.len() > most {
            let message = format!(
                "{} are too many: at most {most} may stand here",
                items.len()
            );
            reader.invalid(node, message);
        }
        let mut seen = BTreeSet::new();
        let mut parts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let part = reader.below(&index.to_string(), |reader| {
                reader.part(|reader| {
                    if let Some(key) = rules.unique
                        && let Some(text) = identity(item, key)
                        && !seen.insert(text)
                    {
                        reader.invalid(item, format!("{text} stands further up already"));
                    }
                    reader.value(item, rules)
                })
            });
            parts.push(part);
        }
        Some(parts.into_iter().collect())
    }

    fn absent(key: &str, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        if rules.required {
            reader.missing(key);
        }
        Some(Self::default())
    }
}

/// What is wrong inside does not reach what holds it.
impl<T: Decode> Decode for Part<T> {
    const SHAPE: Shape = T::SHAPE;

    fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        Some(reader.part(|reader| reader.value(node, rules)))
    }
}

/// What makes an item of a list different from the others: its value under `key`, or all of it.
fn identity<'a>(item: &'a Node, key: &str) -> Option<&'a str> {
    let node = if key.is_empty() { item } else { item.get(key)? };
    match &node.value {
        Value::Scalar(text, _) => Some(text),
        Value::List(_) | Value::Map(_) => None,
    }
}

/// A value that cannot be understood is left out, or by the field's rules all of them are; and what
/// holds the map is flawed.
impl<T: Decode> Decode for BTreeMap<Arc<str>, T> {
    const SHAPE: Shape = Shape::Map(&T::SHAPE);
    const REQUIRED: bool = false;

    fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(entries) = node.as_map() else {
            reader.wrong_type(node, "a mapping");
            return Some(Self::default());
        };
        let errors = reader.errors();
        let mut map = Self::new();
        for entry in entries {
            if entry.repeated {
                reader.repeated(entry);
                continue;
            }
            let value = reader.below(&entry.key, |reader| reader.value(&entry.value, rules));
            if let Some(value) = value {
                map.insert(entry.key.clone(), value);
            }
        }
        if rules.whole && reader.errors() > errors {
            map.clear();
        }
        Some(map)
    }

    fn absent(_: &str, _: &Rules, _: &mut Reader<'_>) -> Option<Self> {
        Some(Self::default())
    }
}

impl Decode for bool {
    const SHAPE: Shape = Shape::Value("true or false");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Scalar(_, Meaning::Bool(value)) = node.value {
            return Some(value);
        }
        let hint = node
            .as_text()
            .and_then(|text| other_boolean(text))
            .map(|meant| format!("write {meant}: in YAML 1.2 this word is text"));
        reader.wrong_type_with(node, "true or false", hint);
        None
    }
}

/// What YAML 1.1 takes the text for, if it is one of its further booleans.
fn other_boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl Decode for $type {
            const SHAPE: Shape = Shape::Value("whole number");

            fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
                let number = integer(node, reader)?;
                let (least, most) = rules.range;
                let least = least.max(i64::try_from(Self::MIN).unwrap_or(i64::MIN));
                let most = most.min(i64::try_from(Self::MAX).unwrap_or(i64::MAX));
                if number < least {
                    reader.invalid(node, format!("{number} is too small: at least {least} is expected"));
                    return None;
                }
                if number > most {
                    reader.invalid(node, format!("{number} is too large: at most {most} is expected"));
                    return None;
                }
                if let Some(numbers) = rules.numbers.filter(|numbers| !numbers.contains(&number)) {
                    let all = numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
                    reader.invalid(node, format!("{number} is not one of {all}"));
                    return None;
                }
                Self::try_from(number).ok()
            }
        }
    )+};
}

integers!(u8, u16, u32, i64);

fn integer(node: &Node, reader: &mut Reader<'_>) -> Option<i64> {
    if let Value::Scalar(_, Meaning::Integer(number)) = node.value {
        return Some(number);
    }
    let number = node.as_text().and_then(|text| text.parse::<i64>().ok());
    let hint = number.map(|number| format!("write {number} without quotes"));
    reader.wrong_type_with(node, "a whole number", hint);
    None
}

impl Decode for Arc<str> {
    const SHAPE: Shape = Shape::Value("text");

    fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(node, reader)?;
        let length = text.chars().count();
        let (least, most) = rules.length;
        if length < least {
            let why = if length == 0 {
                "it must not be empty"
            } else {
                "it is too short"
            };
            reader.invalid(node, why.into());
            return None;
        }
        if length > most {
            reader.invalid(
                node,
                format!("its {length} characters are too many: {most} are allowed"),
            );
            return None;
        }
        if let Some(form) = rules.form
            && let Err(why) = form(text)
        {
            let meant = Some(text.to_ascii_lowercase()).filter(|lower| form(lower).is_ok());
            let hint = meant.map(|lower| format!("did you mean {lower}?"));
            reader.invalid_with(node, format!("{} is not {why}", quoted(text)), hint);
            return None;
        }
        Some(text.clone())
    }
}

/// The node's text, if that is what it means.
pub(crate) fn text<'a>(node: &'a Node, reader: &mut Reader<'_>) -> Option<&'a Arc<str>> {
    let Value::Scalar(text, meaning) = &node.value else {
        reader.wrong_type(node, "text");
        return None;
    };
    match meaning {
        Meaning::Quoted => Some(text),
        Meaning::Plain => {
            if other_boolean(text).is_some() {
                let message =
                    format!("{text} is read as text; readers of YAML 1.1 take it for a boolean");
                reader.inform(Code::C004, node, message, Some(format!("write {text:?}")));
            }
            Some(text)
        }
        Meaning::Null | Meaning::Bool(_) | Meaning::Integer(_) | Meaning::Number => {
            reader.wrong_type_with(node, "text", Some(format!("write {text:?}")));
            None
        }
    }
}

/// Values that are read from text by a function of their own.
macro_rules! from_text {
    ($($type:ty, $shape:literal, $read:expr;)+) => {$(
        impl Decode for $type {
            const SHAPE: Shape = Shape::Value($shape);

            fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
                let text = text(node, reader)?;
                let read: fn(&str) -> Result<Self, String> = $read;
                match read(text) {
                    Ok(value) => Some(value),
                    Err(why) => {
                        reader.invalid(node, why);
                        None
                    }
                }
            }
        }
    )+};
}

from_text! {
    Name, "name", |text| Name::new(text).map_err(|error| format!("{error}"));
    Namespace, "namespace", |text| Namespace::new(text).map_err(|error| format!("{error}"));
    Network, "network", |text| Network::new(text).map_err(|error| format!("{error}"));
    TrustDomain, "trust domain", |text| TrustDomain::new(text).map_err(|error| format!("{error}"));
    Wall, "time (RFC 3339)", |text| crate::time::rfc3339(text)
        .ok_or_else(|| format!("{} is not a time like 2026-11-20T10:31:58Z", quoted(text)));
    IpAddr, "IP address", |text| text.parse()
        .map_err(|_| format!("{} is not an IP address", quoted(text)));
    SocketAddr, "IP address and port", |text| text.parse()
        .map_err(|_| format!("{} is not an address and port like 127.0.0.1:8080", quoted(text)));
    IpBlock, "block of addresses (CIDR)", |text| IpBlock::parse(text)
        .ok_or_else(|| format!("{} is not a block of addresses like 10.0.0.0/8", quoted(text)));
}

impl Decode for Duration {
    const SHAPE: Shape = Shape::Value("duration");

    /// The range, if the field has one, is in milliseconds.
    fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Scalar(number, Meaning::Integer(_)) = &node.value {
            let hint = Some(format!("write the unit: {number}s or {number}ms"));
            reader.wrong_type_with(node, "a duration", hint);
            return None;
        }
        let text = text(node, reader)?;
        let Some(value) = duration::parse(text) else {
            let message = format!(
                "{} is not a duration like 250ms, 10s or 1h30m",
                quoted(text)
            );
            reader.invalid(node, message);
            return None;
        };
        let milliseconds = i64::try_from(value.as_millis()).unwrap_or(i64::MAX);
        let (least, most) = rules.range;
        if milliseconds < least {
            let least = duration::written(least);
            reader.invalid(
                node,
                format!("{text} is too short: at least {least} is expected"),
            );
            return None;
        }
        if milliseconds > most {
            let most = duration::written(most);
            reader.invalid(
                node,
                format!("{text} is too long: at most {most} is expected"),
            );
            return None;
        }
        Some(value)
    }
}
