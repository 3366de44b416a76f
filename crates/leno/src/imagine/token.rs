//! A token that nobody has: what it would say.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use leno_jwt::{Claims, Map, Value};
use leno_resources::case::Claimed;
use leno_traffic::{KnownClaims, Token};

/// What a token says that is written as `NAME=VALUE` each; `None` if nothing is. What is said twice is a list.
pub(crate) fn written(claims: &[String]) -> anyhow::Result<Option<KnownClaims>> {
    let mut all = Map::new();
    for claim in claims {
        let Some((name, value)) = claim.split_once('=') else {
            bail!("{claim:?} is no claim: NAME=VALUE");
        };
        let value = Claims::read_value(value.as_bytes()).unwrap_or_else(|_| Value::from(value));
        put(&mut all, name, value)?;
    }
    Ok((!claims.is_empty()).then(|| KnownClaims::All(all.into())))
}

/// What the token of a case says.
pub(crate) fn of_case(claims: &BTreeMap<Arc<str>, Claimed>) -> KnownClaims {
    KnownClaims::All(Claims::from(members(claims)))
}

/// It in words, behind what is asked: `  with claims groups=admins level=3`.
pub(super) fn words(token: Token<'_>) -> String {
    let Token::Known(KnownClaims::All(claims)) = token else {
        return String::new();
    };
    let claims = claims.all().iter().map(|(name, value)| match value {
        Value::String(text) => format!(" {name}={text}"),
        value => format!(" {name}={value}"),
    });
    format!("  with claims{}", claims.collect::<String>())
}

/// Puts a claim where its name, or the JSON pointer that it is, says.
fn put(all: &mut Map<String, Value>, name: &str, value: Value) -> anyhow::Result<()> {
    let Some((above, last)) = name.strip_prefix('/').map(split_last) else {
        add(all, name.to_owned(), value);
        return Ok(());
    };
    let mut below = all;
    for step in above {
        let next = below.entry(unescaped(step));
        let next = next.or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(next) = next else {
            bail!("--claim {name}: {step} is no object");
        };
        below = next;
    }
    add(below, unescaped(last), value);
    Ok(())
}

fn add(to: &mut Map<String, Value>, name: String, value: Value) {
    let value = match to.remove(&name) {
        None => value,
        Some(Value::Array(mut items)) => {
            items.push(value);
            Value::Array(items)
        }
        Some(first) => Value::Array(vec![first, value]),
    };
    to.insert(name, value);
}

/// All steps of a JSON pointer but the last, and that.
fn split_last(pointer: &str) -> (impl Iterator<Item = &str>, &str) {
    let (above, last) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let steps = above.split('/').filter(move |_| !above.is_empty());
    (steps, last)
}

/// One step of a JSON pointer (RFC 6901).
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn members(claims: &BTreeMap<Arc<str>, Claimed>) -> Map<String, Value> {
    let members = claims.iter();
    members
        .map(|(name, claimed)| (name.to_string(), value(claimed)))
        .collect()
}

fn value(claimed: &Claimed) -> Value {
    match claimed {
        Claimed::Text(text) => Value::from(&**text),
        Claimed::Number(number) => Value::from(*number),
        Claimed::Truth(truth) => Value::from(*truth),
        Claimed::List(items) => items.iter().map(value).collect(),
        Claimed::Map(claims) => Value::Object(members(claims)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_text_or_json_and_lists_if_said_twice() {
        let said = |claims: &[&str]| {
            let claims = claims.iter().map(ToString::to_string);
            match written(&claims.collect::<Vec<_>>()) {
                Ok(Some(known)) => words(Token::Known(&known)),
                Ok(None) => "nothing".to_owned(),
                Err(why) => why.to_string(),
            }
        };
        assert_eq!(said(&[]), "nothing");
        assert_eq!(said(&["groups"]), "\"groups\" is no claim: NAME=VALUE");
        assert_eq!(
            said(&["level=3", "sub=ada"]),
            "  with claims level=3 sub=ada"
        );
        assert_eq!(
            said(&["groups=admins", "groups=devs", "q=\"3\""]),
            "  with claims groups=[\"admins\",\"devs\"] q=3"
        );
        assert_eq!(
            said(&["/realm/a~1b=1", "/realm/c=[true]", "/top=x=y"]),
            "  with claims realm={\"a/b\":1,\"c\":[true]} top=x=y"
        );
        assert_eq!(
            said(&["realm=x", "/realm/roles=a"]),
            "--claim /realm/roles: realm is no object"
        );
    }
}
