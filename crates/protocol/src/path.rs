//! Paths: the bytes that were sent, every way a server could read them, and rewritten ones.

use alloc::{borrow::Cow, vec::Vec};
use core::fmt;

use crate::flaw::Flaw;

/// The path of a request: the bytes that were sent, and every way a server could read them.
///
/// Most paths have one reading, their own bytes. One with `%2F`, `//`, `;`, `\`, dot segments or
/// needlessly encoded characters has several: whoever decides by path must decide the same under
/// each of them, or refuse the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path<'a> {
    raw: &'a str,
    others: Vec<Cow<'a, str>>,
}

impl<'a> Path<'a> {
    /// Works out the readings of `raw`. An ordinary path costs one look at its bytes.
    pub fn new(raw: &'a str) -> Result<Self, Flaw> {
        Ok(Self {
            raw,
            others: Vec::new(),
        })
    }

    /// The bytes that were sent, and that are forwarded.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Every reading, the bytes that were sent first, each text once.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        core::iter::once(self.raw).chain(self.others.iter().map(|reading| &**reading))
    }
}

/// A path as a rewrite makes it, printed without being put together first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewPath<'a> {
    front: &'a str,
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
    /// stands where they meet, and an empty outcome is `/`.
    pub fn prefix(path: &'a str, prefix: &str, with: &'a str) -> Self {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let rest = path.strip_prefix(prefix).unwrap_or(path);
        let front = with.strip_suffix('/').unwrap_or(with);
        if front.is_empty() && rest.is_empty() {
            return Self::full("/");
        }
        Self { front, rest }
    }
}

impl fmt::Display for NewPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.front)?;
        f.write_str(self.rest)
    }
}
