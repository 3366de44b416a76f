//! Expressions of CEL.

use std::borrow::Cow;

use leno_condition::{ClaimSaid, Condition, Fact, Facts, Value};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "cel",
    holds: "an expression that is read is short, is read again as the same, and answers whatever is known of a call",
    seeds,
    words: &[
        "request.",
        "response.",
        "source.",
        "headers[\"a\"]",
        "jwt.claims",
        "jwt.issuer",
        " && ",
        " || ",
        " == ",
        " in ",
        "!",
        "(",
        ")",
        "[",
        "]",
        "? 1 : 2",
        "matches(\"(a+)+$\")",
        "size(",
        "has(",
        "duration(\"1s\")",
        "9223372036854775807",
        "-",
        "* 2",
        "'",
    ],
    check,
};

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = Fact::all()
        .map(|fact| format!("{} == {}", fact.name(), fact.name()))
        .collect();
    let written = [
        "response.code >= 500",
        "request.method == 'GET' && !(response.code in [200, 404])",
        "request.path.startsWith('/admin') || request.headers['x-user'] == 'ann'",
        "request.path.matches('^/v[0-9]+/')",
        "duration('1s') < duration('2s')",
        "'admins' in jwt.claims.groups && has(jwt.claims['a/b'].c)",
        "size(request.path) + 1 > 7 ? true : false",
    ];
    seeds.extend(written.map(str::to_owned));
    seeds.into_iter().map(String::into_bytes).collect()
}

/// Of whom nothing is known.
struct Nothing;

impl Facts for Nothing {
    fn value(&self, _: Fact) -> Option<Value<'_>> {
        None
    }

    fn header(&self, _: &str) -> Option<Option<Cow<'_, str>>> {
        None
    }

    fn claim(&self, _: &str) -> Option<ClaimSaid<'_>> {
        None
    }
}

fn check(input: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(input) else {
        return false;
    };
    let Ok(condition) = Condition::new(text) else {
        return false;
    };
    assert!(text.len() <= Condition::MOST_BYTES);
    assert_eq!(condition.as_str(), text);
    let answer = format!("{:?}", condition.of(&Nothing));
    let again = Condition::new(condition.as_str()).expect("it was read before");
    assert_eq!(format!("{:?}", again.of(&Nothing)), answer);
    true
}
