//! Ports: one, or those from one to another.

use alloc::{borrow::ToOwned, string::String};
use core::{fmt, str::FromStr};

/// A port, or all from one to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// Those from `first` to `last`, both included; `None` if that is none, or 0 is among them.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first > 0 && first <= last).then_some(Self { first, last })
    }

    /// The first one.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last one, which is the first one where there is no other.
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }
}

/// `22`, or `8000-8010`.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl FromStr for Ports {
    type Err = BadPorts;

    fn from_str(text: &str) -> Result<Self, BadPorts> {
        let bad = || BadPorts(text.to_owned());
        let port = |text: &str| match text.parse() {
            Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
            Ok(_) | Err(_) => Err(bad()),
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        Self::new(first, last).ok_or_else(bad)
    }
}

/// A text that names no ports.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is neither a port like 22 nor a range like 8000-8010")]
pub struct BadPorts(String);

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn ports_are_read_as_they_are_written() {
        for text in ["1", "22", "65535", "8000-8010", "1-65535"] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
        }
        assert_eq!("22-22".parse::<Ports>().unwrap().to_string(), "22");
        for text in [
            "", "0", "+1", "65536", "-1", "1-", "2-1", "1-2-3", "http", " 1",
        ] {
            let bad = text.parse::<Ports>().unwrap_err();
            assert!(bad.to_string().contains("like 8000-8010"), "{bad}");
        }
        let range: Ports = "8000-8010".parse().unwrap();
        assert!(range.contains(8000) && range.contains(8010));
        assert!(!range.contains(7999) && !range.contains(8011));
    }
}
