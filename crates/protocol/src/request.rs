//! The canonical request: one reading of a head, made once, that everything after it uses.

use alloc::{borrow::Cow, vec::Vec};

/// A request's head after every check that does not depend on configuration.
///
/// Made by the HTTP/1 parser (and one day from HTTP/2); an imagined request of `leno why` is
/// written as bytes and goes through the same parser.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method, as sent: methods are case-sensitive (RFC 9110 section 9.1).
    pub method: &'a str,
    /// The one `Host` (or the authority of an absolute-form target): without port and trailing
    /// dot, case as sent. Compare it without regard to ASCII case.
    pub host: &'a str,
    /// The path of the target.
    pub path: Path<'a>,
    /// What follows the first `?` of the target, without it.
    pub query: Option<&'a str>,
    /// The headers, in order, names and values as sent.
    pub headers: &'a [Header<'a>],
}

impl<'a> Request<'a> {
    /// Every value of one header, in order. `name` is compared without regard to ASCII case.
    pub fn header(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }
}

/// One header field, as sent; the value without surrounding white space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// A token (RFC 9110 section 5.6.2).
    pub name: &'a str,
    /// Visible octets, spaces and tabs; perhaps not UTF-8.
    pub value: &'a [u8],
}

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
    /// The bytes that were sent, and that are forwarded.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Every reading, the bytes that were sent first, each text once.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        core::iter::once(self.raw).chain(self.others.iter().map(|reading| &**reading))
    }
}
