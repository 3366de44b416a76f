//! What is told of a call: whether it gets a line in the access log, what of it nobody is to read.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
    sync::Arc,
};

use leno_condition::{Answer, Condition, Facts, Scalar, listed};
use leno_jwt::Value;
use leno_model::view::{AccessLog, Redaction, Telemetry, Tracing};
use leno_protocol::Header;

use crate::route::asks::Asks;

/// What a `TelemetryPolicy` says of some calls, ready to be asked.
#[derive(Debug)]
pub struct Report {
    said: Arc<Telemetry>,
    when: Option<Condition>,
    is_plain: bool,
    records: Asks,
}

/// Whether a call gets a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It does, because the filter has no value for it: what went wrong is told too often, not too
    /// seldom.
    Unfiltered,
}

impl Report {
    /// Makes ready what was said. An expression that cannot be read filters nothing: the control
    /// plane is newer than this proxy.
    pub fn new(said: Arc<Telemetry>) -> Self {
        let when = said.access_log.when.as_ref();
        Self {
            when: when.and_then(|when| Condition::new(when).ok()),
            is_plain: said.access_log == AccessLog::default() && !redacts(&said.redaction),
            records: Asks::of_records(said.records.keys()),
            said,
        }
    }

    /// The same if nothing else was said, else what was.
    pub(crate) fn next(before: Option<&Arc<Self>>, said: &Arc<Telemetry>) -> Arc<Self> {
        match before {
            Some(before) if before.said == *said => before.clone(),
            Some(_) | None => Arc::new(Self::new(said.clone())),
        }
    }

    /// What is recorded of requests whether a rule asks for it or not.
    pub fn records(&self) -> &Asks {
        &self.records
    }

    /// Whether everything is told in full, with a line for each call.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether a call of which this is known gets a line.
    pub fn line(&self, facts: &dyn Facts) -> Line {
        if !self.said.access_log.is_on {
            return Line::No;
        }
        let Some(when) = &self.when else {
            return Line::Yes;
        };
        match when.of(facts) {
            Answer::Yes => Line::Yes,
            Answer::No => Line::No,
            Answer::Unknown(_) | Answer::Failed(_) => Line::Unfiltered,
        }
    }

    /// What stands in a line.
    pub fn access_log(&self) -> &AccessLog {
        &self.said.access_log
    }

    /// Which calls are traced.
    pub fn tracing(&self) -> &Tracing {
        &self.said.tracing
    }

    /// A path as it may be read. What is hidden is `***`.
    pub fn path<'t>(&self, path: &'t str) -> Cow<'t, str> {
        let redaction = &self.said.redaction;
        if !redacts(redaction) {
            return Cow::Borrowed(path);
        }
        let is_hidden = |segment: &str| !segment.is_empty() && hides(redaction, segment.as_bytes());
        if !path.split('/').any(is_hidden) {
            return Cow::Borrowed(path);
        }
        let mut shown = String::with_capacity(path.len());
        for (place, segment) in path.split('/').enumerate() {
            if place > 0 {
                shown.push('/');
            }
            shown.push_str(if is_hidden(segment) { HIDDEN } else { segment });
        }
        Cow::Owned(shown)
    }

    /// Whether nobody is to read this, wherever it is told.
    pub fn hides(&self, value: &[u8]) -> bool {
        hides(&self.said.redaction, value)
    }

    /// Whether nobody is to read what a request says by its headers of this name: each counts, and each
    /// item of a list, for rules read them as one.
    pub fn hides_header(&self, headers: &[Header<'_>], name: &str) -> bool {
        let mut named = headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        named.any(|header| self.hides_some(header.value))
    }

    fn hides_some(&self, value: &[u8]) -> bool {
        let mut items = value.split(|byte| *byte == b',');
        self.hides(value) || items.any(|item| self.hides(item.trim_ascii()))
    }

    /// Whether nobody is to read what a token says under this name: as JSON, or by one of the values that it
    /// lists or holds, each as text, and the names of those that it holds.
    pub fn hides_claim(&self, name: &str, value: &Value) -> bool {
        let redaction = &self.said.redaction;
        redacts(redaction)
            && (hides(redaction, value.to_string().as_bytes())
                || hides_within(redaction, name, value))
    }

    /// The value of a header as it may be read.
    pub fn header<'t>(&self, name: &str, value: &'t str) -> &'t str {
        if SECRETS.contains(&name) || self.hides_some(value.as_bytes()) {
            return HIDDEN;
        }
        value
    }
}

fn redacts(redaction: &Redaction) -> bool {
    redaction.all || !redaction.patterns.is_empty()
}

fn hides(redaction: &Redaction, text: &[u8]) -> bool {
    let mut patterns = redaction.patterns.iter();
    redaction.all || patterns.any(|pattern| pattern.matches(text.iter().copied()))
}

fn hides_within(redaction: &Redaction, name: &str, value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|it| hides_within(redaction, name, it)),
        Value::Object(fields) => fields.iter().any(|(name, it)| {
            hides(redaction, name.as_bytes()) || hides_within(redaction, name, it)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let whole = Scalar::of(value).into_iter();
            let mut texts = whole.chain(listed(name, value).flatten());
            texts.any(|text| hides(redaction, text.to_string().as_bytes()))
        }
    }
}

/// What stands in the place of what is hidden.
const HIDDEN: &str = "***";

/// Headers whose values are never told.
const SECRETS: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-forwarded-client-cert",
];

#[cfg(test)]
mod tests {
    use leno_model::Pattern;

    use super::*;

    fn report(all: bool, patterns: &[&str]) -> Report {
        let patterns = patterns.iter().map(|text| Pattern::new(text).unwrap());
        Report::new(Arc::new(Telemetry {
            redaction: Redaction {
                all,
                patterns: patterns.collect(),
            },
            ..Telemetry::default()
        }))
    }

    #[test]
    fn a_header_is_hidden_if_one_of_its_values_is() {
        let cards = report(false, &["[0-9]+", "[A-Z][a-z]+, [A-Z][a-z]+"]);
        for (values, expect) in [
            (&["4111"][..], true),
            (&["4111", "5500"], true),
            (&["none", "5500"], true),
            (&["none, 5500"], true),
            (&["Roe, Jane", "Doe, John"], true),
            (&["none", "a5500"], false),
            (&[], false),
        ] {
            let other = ("x-other", "4111");
            let named = values.iter().map(|value| ("X-Card", *value));
            let headers = named.chain([other]).map(|(name, value)| Header {
                name,
                value: value.as_bytes(),
            });
            let headers = headers.collect::<Vec<_>>();
            assert_eq!(cards.hides_header(&headers, "x-card"), expect, "{values:?}");
        }
        assert_eq!(cards.header("x-card", "none, 5500"), HIDDEN);
        assert_eq!(cards.header("x-card", "none, a5500"), "none, a5500");
    }

    #[test]
    fn a_claim_is_hidden_if_one_of_the_values_that_it_holds_is() {
        let numbers = report(false, &["[0-9]+", "[^@]+@example\\.com", "card:[a-z]+"]);
        for (name, value, expect) in [
            ("sub", r#""12345""#, true),
            ("sub", "12345", true),
            ("sub", r#""a12345""#, false),
            ("email", r#""ada@example.com""#, true),
            ("emails", r#"["none", "ada@example.com"]"#, true),
            ("emails", r#"["none", ["ada@example.com"]]"#, true),
            ("scope", r#""read card:ada""#, true),
            ("scope", r#""read write""#, false),
            ("words", r#""read card:ada""#, false),
            ("who", r#"{"name": "Ada", "of": {"id": 7}}"#, true),
            ("who", r#"{"ada@example.com": true}"#, true),
            ("who", r#"{"name": "Ada", "scope": "read"}"#, false),
            ("none", "null", false),
        ] {
            let value = value.parse().unwrap();
            assert_eq!(numbers.hides_claim(name, &value), expect, "{name} {value}");
        }
        let as_json = report(false, &[r#"\["a","b"\]"#]);
        assert!(as_json.hides_claim("groups", &r#"["a", "b"]"#.parse().unwrap()));
    }

    #[test]
    fn a_segment_is_hidden_as_a_whole() {
        let numbers = report(false, &["[0-9]+", "tok_.*"]);
        for (path, expect) in [
            ("/users/42/orders/7", "/users/***/orders/***"),
            ("/users/42a", "/users/42a"),
            ("/tok_abc", "/***"),
            ("//7/", "//***/"),
            ("/", "/"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(numbers.path(path), expect);
        }
        assert_eq!(report(true, &[]).path("/users/42"), "/***/***");
        assert_eq!(report(false, &[]).path("/users/42"), "/users/42");
    }

    #[test]
    fn a_header_that_is_a_secret_by_nature_is_always_hidden() {
        let numbers = report(false, &["[0-9]+"]);
        assert_eq!(numbers.header("x-user", "42"), "***");
        assert_eq!(numbers.header("x-user", "ada"), "ada");
        assert_eq!(numbers.header("authorization", "ada"), "***");
        assert_eq!(report(true, &[]).header("x-user", "ada"), "***");
    }
}
