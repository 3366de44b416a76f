//! Something of a request, beside its method and path, that can be recorded.

use alloc::{borrow::ToOwned, string::String, sync::Arc};
use core::fmt;
use core::str::FromStr;

/// Something of a request, by its name: `host`, `header:x-role`, `query:v`, `claim:/realm/roles`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RequestFact {
    /// The host that it asks for.
    Host,
    /// This header, in lower case.
    Header(Arc<str>),
    /// This parameter of its query.
    Query(Arc<str>),
    /// This claim of its token, by name or JSON pointer.
    Claim(Arc<str>),
}

impl RequestFact {
    /// The longest name, in bytes.
    pub const LONGEST_NAME: usize = 128;

    /// What it is called among those of its kind; the host has no name.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Host => None,
            Self::Header(name) | Self::Query(name) | Self::Claim(name) => Some(name),
        }
    }
}

impl fmt::Display for RequestFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Claim(name) => write!(f, "claim:{name}"),
        }
    }
}

/// Why a text names nothing of a request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{0:?} names nothing of a request that could be recorded: host, header:NAME, query:NAME, or claim:NAME"
)]
pub struct NoRequestFact(String);

impl FromStr for RequestFact {
    type Err = NoRequestFact;

    fn from_str(text: &str) -> Result<Self, NoRequestFact> {
        let is_name = |name: &&str| {
            let mut bytes = name.bytes();
            (1..=Self::LONGEST_NAME).contains(&name.len())
                && bytes.all(|byte| byte.is_ascii_graphic() && byte != b'=')
        };
        let read = match text.split_once(':') {
            None if text == "host" => Some(Self::Host),
            None => None,
            Some((kind, name)) => Some(name).filter(is_name).and_then(|name| match kind {
                "header" => Some(Self::Header(name.to_ascii_lowercase().into())),
                "query" => Some(Self::Query(name.into())),
                "claim" => Some(Self::Claim(name.into())),
                _ => None,
            }),
        };
        read.ok_or_else(|| NoRequestFact(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn facts_read_as_they_are_written() {
        for text in ["host", "header:x-role", "query:V", "claim:/a:b/c"] {
            assert_eq!(text.parse::<RequestFact>().unwrap().to_string(), text);
        }
        let upper: RequestFact = "header:X-Role".parse().unwrap();
        assert_eq!(upper.name(), Some("x-role"));
        for text in ["", "hosts", "header:", "header:a b", "query:a=b", "body:x"] {
            assert!(text.parse::<RequestFact>().is_err(), "{text}");
        }
        let long = "x".repeat(RequestFact::LONGEST_NAME);
        assert!(
            alloc::format!("claim:{long}")
                .parse::<RequestFact>()
                .is_ok()
        );
        assert!(
            alloc::format!("claim:{long}x")
                .parse::<RequestFact>()
                .is_err()
        );
    }
}
