//! What rules ask about a request beside its method and path, as it is counted: a line of text for each
//! fact, so that calls which differ in one are told apart by one comparison.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write as _;

use crate::flow::Kind;

/// What was kept of the facts of requests that are counted together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Facts(Arc<str>);

/// What a fact is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FactOf<'a> {
    /// The host that was asked for.
    Host,
    /// This header, in lower case.
    Header(&'a str),
    /// This parameter of the query.
    Query(&'a str),
    /// Its token, where one would be believed: kept is only that there was none.
    Token,
    /// This claim of the token that it carried and that was accepted, as JSON; by its name or JSON pointer.
    Claim(&'a str),
}

/// What a fact is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FactValue<'a> {
    /// It was not there.
    Absent,
    /// It was this.
    Is(&'a str),
}

impl Facts {
    /// The longest text of all facts of a request, in bytes. What does not fit is not kept.
    pub const MOST_BYTES: usize = 512;

    /// The longest value, in bytes. A longer one is not kept.
    pub const LONGEST_VALUE: usize = 64;

    /// Adds a fact to the text of others, if it can be kept: names and values of visible ASCII do, and
    /// spaces in values.
    pub fn write(text: &mut String, of: FactOf<'_>, value: FactValue<'_>) {
        let (letter, name) = match of {
            FactOf::Host => ('@', ""),
            FactOf::Header(name) => ('h', name),
            FactOf::Query(name) => ('q', name),
            FactOf::Token => ('t', ""),
            FactOf::Claim(name) => ('c', name),
        };
        let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b'=';
        let is_value = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        let room = match value {
            FactValue::Absent => 0,
            FactValue::Is(value) => value.len(),
        };
        let fits = text.len() + name.len() + room + 3 <= Self::MOST_BYTES;
        if !fits || room > Self::LONGEST_VALUE || !name.bytes().all(is_name) {
            return;
        }
        let written = match value {
            FactValue::Absent => writeln!(text, "{letter}{name}"),
            FactValue::Is(value) if value.bytes().all(is_value) => {
                writeln!(text, "{letter}{name}={value}")
            }
            FactValue::Is(_) => return,
        };
        written.expect("a text takes what is written");
    }

    /// What was written by [`Self::write`]; nothing if that is nothing, or if it was not.
    pub fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > Self::MOST_BYTES {
            return None;
        }
        let is_fact = |line: &str| fact(line).is_some();
        let all = text == Kind::OTHER || text.lines().all(is_fact);
        all.then(|| Self(text.into()))
    }

    /// They differ among the calls, and are too many to be told apart.
    pub fn other() -> Self {
        Self(Kind::OTHER.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Each of them, in their order.
    pub fn each(&self) -> impl Iterator<Item = (FactOf<'_>, FactValue<'_>)> {
        self.0.lines().filter_map(fact)
    }

    /// What one of them is; nothing if it was not kept.
    pub fn value(&self, of: FactOf<'_>) -> Option<FactValue<'_>> {
        let mut found = self.each().filter(|(other, _)| *other == of);
        found.next().map(|(_, value)| value)
    }

    /// The host alone: what else was kept may be a secret of whoever called.
    pub fn host_alone(&self) -> Option<Self> {
        let mut text = String::new();
        let host = self.value(FactOf::Host)?;
        Self::write(&mut text, FactOf::Host, host);
        Self::read(&text)
    }

    /// These and the others. What both tell differently is kept of neither.
    pub fn and(&self, others: &Self) -> Option<Self> {
        let mut text = String::new();
        for (of, value) in self.each() {
            if others.value(of).is_none_or(|other| other == value) {
                Self::write(&mut text, of, value);
            }
        }
        for (of, value) in others.each() {
            if self.value(of).is_none() {
                Self::write(&mut text, of, value);
            }
        }
        Self::read(&text)
    }
}

fn fact(line: &str) -> Option<(FactOf<'_>, FactValue<'_>)> {
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, FactValue::Is(value)),
        None => (line, FactValue::Absent),
    };
    let of = match name.as_bytes().first()? {
        b'@' if name.len() == 1 => FactOf::Host,
        b'h' => FactOf::Header(name.get(1..)?),
        b'q' => FactOf::Query(name.get(1..)?),
        b't' if line.len() == 1 => FactOf::Token,
        b'c' => FactOf::Claim(name.get(1..)?),
        _ => return None,
    };
    Some((of, value))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    use super::*;

    fn facts(all: &[(FactOf<'_>, FactValue<'_>)]) -> Option<Facts> {
        let mut text = String::new();
        all.iter()
            .for_each(|(of, value)| Facts::write(&mut text, *of, *value));
        Facts::read(&text)
    }

    #[test]
    fn what_was_written_is_read_and_what_cannot_be_kept_is_not() {
        use FactOf::{Claim, Header, Host, Query, Token};
        use FactValue::{Absent, Is};
        let all = [
            (Host, Is("cart.shop")),
            (Header("x-beta"), Is("a=b c")),
            (Header("x-role"), Absent),
            (Query("v"), Is("")),
            (Token, Absent),
            (Claim("/realm/roles"), Is("[\"a\"]")),
            (Claim("sub"), Absent),
        ];
        let kept = facts(&all).unwrap();
        assert_eq!(
            kept.as_str(),
            "@=cart.shop\nhx-beta=a=b c\nhx-role\nqv=\nt\nc/realm/roles=[\"a\"]\ncsub\n"
        );
        assert_eq!(kept.each().collect::<Vec<_>>(), all);
        let long = "x".repeat(Facts::LONGEST_VALUE + 1);
        assert_eq!(
            facts(&[(Header("x"), Is(&long)), (Query("a=b"), Absent)]),
            None
        );
        assert_eq!(facts(&[(Header("x"), Is("a\nhy=1"))]), None);
        let many: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        let many: Vec<_> = many.iter().map(|name| (Query(name), Is("v"))).collect();
        assert!(facts(&many).unwrap().as_str().len() <= Facts::MOST_BYTES);
        assert_eq!(Facts::read("zx=1"), None);
        assert_eq!(Facts::read(Facts::other().as_str()), Some(Facts::other()));
        assert_eq!(Facts::other().each().count(), 0);
    }

    #[test]
    fn what_two_tell_is_put_together() {
        let read = |text: &str| Facts::read(text).unwrap();
        let both = read("@=cart\nhx=1\n").and(&read("hx=2\nhy\n")).unwrap();
        assert_eq!(format!("{:?}", both.as_str()), r#""@=cart\nhy\n""#);
    }
}
