//! Paths: the bytes that were sent, every way a server could read them, and rewritten ones.

mod readings;

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::flaw::Flaw;

/// The path of a request: the bytes that were sent, and every way a server could read them.
///
/// Most paths have one reading, their own bytes. One with escapes, `//`, `;`, `\` or dot segments
/// has several: whoever decides by path must decide the same under each of them, or refuse the
/// request. A reading is whatever these steps, in any order, make of the path:
///
/// - escapes of unreserved characters are decoded and the others written in upper case,
/// - once, all escapes are decoded, or all but `%2F`; what is not UTF-8 stays an escape,
/// - each `\` becomes `/`,
/// - slashes in a row become one,
/// - in one that begins with several, what follows them up to the next one is cut off as a host,
/// - in each segment, what follows a `;` is cut off,
/// - segments `.` and `..`, also escaped ones, are resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path<'a> {
    raw: &'a str,
    others: Vec<String>,
}

impl<'a> Path<'a> {
    /// Works out the readings of `raw`. An ordinary path costs one look at its bytes.
    ///
    /// Refuses a `%` that begins no escape, `%00`, escapes of overlong UTF-8, and a path with more
    /// than 32 readings, or with readings of more than 64 KiB in all.
    pub fn new(raw: &'a str) -> Result<Self, Flaw> {
        let others = readings::others(raw)?;
        Ok(Self { raw, others })
    }

    /// The bytes that were sent, and that are forwarded.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Every reading, the bytes that were sent first, each text once.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        core::iter::once(self.raw).chain(self.others.iter().map(String::as_str))
    }
}

/// A path as a rewrite makes it, printed without being put together first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewPath<'a> {
    /// From configuration.
    front: &'a str,
    /// From the request.
    rest: &'a str,
}

impl<'a> NewPath<'a> {
    /// This path, whatever was asked.
    pub fn full(path: &'a str) -> Self {
        Self {
            front: path,
            rest: "",
        }
    }

    /// `path` with `prefix`, which it matched by whole segments, replaced by `with`. One slash
    /// stands where they meet.
    pub fn prefix(path: &'a str, prefix: &str, with: &'a str) -> Self {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        Self {
            front: with.strip_suffix('/').unwrap_or(with),
            rest: path.strip_prefix(prefix).unwrap_or(path),
        }
    }
}

/// As it stands in a target: begins with a slash, and what would end a path is an escape.
impl fmt::Display for NewPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { front, rest } = self;
        if !front.starts_with('/') && (!front.is_empty() || !rest.starts_with('/')) {
            f.write_str("/")?;
        }
        let ends_path =
            |character: char| character <= ' ' || matches!(character, '#' | '?' | '\x7f');
        for part in front.split_inclusive(ends_path) {
            match part.strip_suffix(ends_path) {
                Some(text) => {
                    let end = part.as_bytes().last().copied().unwrap_or_default();
                    write!(f, "{text}%{end:02X}")?;
                }
                None => f.write_str(part)?,
            }
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests;
