//! `Connection`: what a message says about the connection it travels on (RFC 9110 section 7.6.1).

use crate::flaw::Flaw;
use crate::framing::Version;
use crate::octets::{is_token_text, list};

/// Every `Connection` of a head, read together.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options<'a> {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    pub(crate) te: bool,
    /// Other headers that go no further.
    names: [&'a [u8]; MOST_NAMES],
    count: usize,
}

impl<'a> Options<'a> {
    /// Reads one value.
    pub(crate) fn read(&mut self, value: &'a [u8]) -> Result<(), Flaw> {
        for option in list(value) {
            if !is_token_text(option) {
                return Err(Flaw::ConnectionOption);
            }
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            if is("keep-alive") {
                self.keep_alive = true;
            } else if is("close") {
                self.close = true;
            } else if is("upgrade") {
                self.upgrade = true;
            } else if is("te") {
                self.te = true;
            } else if HEAD_ONLY.iter().any(|name| is(name)) {
                return Err(Flaw::ConnectionOption);
            } else {
                let free = self.names.get_mut(self.count);
                *free.ok_or(Flaw::TooManyOptions { limit: MOST_NAMES })? = option;
                self.count = self.count.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Whether the connection stays open behind the message (RFC 9112 section 9.3).
    pub(crate) fn keeps_alive(&self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
            Version::Http2 => true,
        }
    }

    /// Whether there are other headers that go no further.
    pub(crate) fn names_any(&self) -> bool {
        self.count > 0
    }

    /// Whether a header of this name goes no further.
    pub(crate) fn names(&self, name: &str) -> bool {
        let mut named = self.names.iter().take(self.count);
        named.any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// How many other headers `Connection` may name.
const MOST_NAMES: usize = 8;

/// Headers that `Connection` must not name and that are no trailers: with or without them the
/// other end would understand another message, or trust it more or less, than the one that was
/// decided about.
//= RFC 9110 section 7.6.1: "A sender MUST NOT send a connection option corresponding to a field that is intended for all recipients of the content."
pub(crate) const HEAD_ONLY: &[&str] = &[
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "set-cookie",
    "trailer",
    "transfer-encoding",
    "via",
];
