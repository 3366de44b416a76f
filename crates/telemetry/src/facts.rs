//! What rules ask about a request beside method, host and path: known by name from the view, recorded
//! so that a decision can be made again. What is nobody's business is only known to be there.

use std::fmt;

/// Where a fact stands in a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FactOf {
    /// Among its headers, whose names are in lower case.
    Header,
    /// Among the parameters of its query.
    Query,
}

/// What a fact is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FactValue<'a> {
    /// It is not there.
    Absent,
    /// It is this.
    Is(&'a str),
    /// It begins so; the rest was not kept.
    Begins(&'a str),
    /// It is there, and what it says is not recorded.
    Secret,
}

/// Those that rules ask about one request. They are asked for only where they are kept.
pub trait Facts: fmt::Debug {
    /// Tells each, at most once.
    fn each(&self, tell: &mut dyn FnMut(FactOf, &str, FactValue<'_>));

    /// Tells what is known of its token where rules ask for one. It is counted, and stands in no log.
    fn token(&self, _: &mut dyn FnMut(TokenFact<'_>)) {}

    /// The host, where rules ask for it and it may be read.
    fn host(&self) -> Option<&str> {
        None
    }
}

/// What is known of the token of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenFact<'a> {
    /// It carries none.
    None,
    /// It says this under a name, as JSON.
    Claim(&'a str, FactValue<'a>),
}

impl<'a> FactValue<'a> {
    /// What of a value is recorded under such a name.
    pub fn of(name: &str, value: Option<&'a [u8]>) -> Self {
        let Some(value) = value else {
            return Self::Absent;
        };
        if is_secret(name) {
            return Self::Secret;
        }
        let chunk = value.utf8_chunks().next();
        let text = chunk.map(|chunk| chunk.valid()).unwrap_or_default();
        let kept = &text[..text.floor_char_boundary(LONGEST)];
        if kept.len() == value.len() {
            Self::Is(kept)
        } else {
            Self::Begins(kept)
        }
    }
}

/// Whether what stands under a name lets its reader act as somebody else: by one of its words.
pub fn is_secret(name: &str) -> bool {
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.any(|word| {
        SECRETS
            .iter()
            .any(|secret| secret.eq_ignore_ascii_case(word))
    })
}

const SECRETS: [&str; 15] = [
    "apikey",
    "auth",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "jwt",
    "key",
    "passwd",
    "password",
    "secret",
    "session",
    "signature",
    "sig",
    "token",
];

/// How much of a value is kept, in bytes.
const LONGEST: usize = 128;

/// How many facts are kept of one request.
const MOST: usize = 32;

/// Facts that are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OwnedFacts(Box<[OwnedFact]>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct OwnedFact {
    of: FactOf,
    name: Box<str>,
    value: OwnedValue,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum OwnedValue {
    Absent,
    Is(Box<str>),
    Begins(Box<str>),
    Secret,
}

impl OwnedFacts {
    pub(crate) fn of(facts: &dyn Facts) -> Self {
        let mut kept = Vec::new();
        facts.each(&mut |of, name, value| {
            if kept.len() < MOST {
                let (name, value) = (name.into(), OwnedValue::of(value));
                kept.push(OwnedFact { of, name, value });
            }
        });
        Self(kept.into())
    }

    /// In bytes, with what the allocator adds to each.
    pub(crate) fn heap(&self) -> usize {
        let each = self.0.iter().map(|fact| {
            let value = match &fact.value {
                OwnedValue::Is(text) | OwnedValue::Begins(text) => text.len(),
                OwnedValue::Absent | OwnedValue::Secret => 0,
            };
            fact.name.len() + value + 4 * size_of::<usize>()
        });
        size_of_val(&*self.0) + each.sum::<usize>()
    }
}

impl Facts for OwnedFacts {
    fn each(&self, tell: &mut dyn FnMut(FactOf, &str, FactValue<'_>)) {
        for OwnedFact { of, name, value } in &self.0 {
            let value = match value {
                OwnedValue::Absent => FactValue::Absent,
                OwnedValue::Is(text) => FactValue::Is(text),
                OwnedValue::Begins(text) => FactValue::Begins(text),
                OwnedValue::Secret => FactValue::Secret,
            };
            tell(*of, name, value);
        }
    }
}

impl OwnedValue {
    fn of(value: FactValue<'_>) -> Self {
        match value {
            FactValue::Absent => Self::Absent,
            FactValue::Is(text) => Self::Is(text.into()),
            FactValue::Begins(text) => Self::Begins(text.into()),
            FactValue::Secret => Self::Secret,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_and_secrets_are_only_known_to_be_there() {
        let check = |name: &str, value: &[u8], expect: &str| {
            let told = FactValue::of(name, Some(value));
            assert_eq!(format!("{told:?}"), expect, "{name}");
        };
        check("x-user", b"beta", "Is(\"beta\")");
        check("x-user", b"", "Is(\"\")");
        check("x-user", b"be\xffta", "Begins(\"be\")");
        let long = "a".repeat(LONGEST + 1);
        let cut = format!("Begins({:?})", "a".repeat(LONGEST));
        check("x-user", long.as_bytes(), &cut);
        for name in ["authorization", "Cookie", "x-api-key", "access_token"] {
            check(name, b"s3cr3t", "Secret");
        }
        check("x-author", b"ann", "Is(\"ann\")");
        assert_eq!(FactValue::of("authorization", None), FactValue::Absent);
    }

    #[test]
    fn no_more_are_kept_than_there_may_be() {
        #[derive(Debug)]
        struct Many;
        impl Facts for Many {
            fn each(&self, tell: &mut dyn FnMut(FactOf, &str, FactValue<'_>)) {
                for number in 0..1000 {
                    tell(FactOf::Query, &number.to_string(), FactValue::Absent);
                }
            }
        }
        let mut told = 0;
        OwnedFacts::of(&Many).each(&mut |_, _, _| told += 1);
        assert_eq!(told, MOST);
    }
}
