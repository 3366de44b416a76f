//! The canonical request: one reading of a head, made once, that everything after it uses.

use crate::framing::{Asked, BodyFraming, Version};
use crate::path::Path;

/// A request's head after every check that does not depend on configuration.
///
/// Made by the HTTP/1 parser (and one day from HTTP/2); an imagined request of `leno why` is
/// written as bytes and goes through the same parser.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method, as sent: a token without lower-case letters.
    pub method: &'a str,
    /// The one `Host`: without port and trailing dot, case as sent, an IPv6 address in its
    /// brackets. Compare it without regard to ASCII case.
    pub host: &'a str,
    /// The port in `Host`, if it names one.
    pub port: Option<u16>,
    /// The path of the target: begins with `/`, but for `OPTIONS *` (`*`) and CONNECT (empty).
    pub path: Path<'a>,
    /// What follows the first `?` of the target, without it.
    pub query: Option<&'a str>,
    /// The headers that go to the other end, in order, names and values as sent. What concerns
    /// one connection only (RFC 9110 section 7.6.1) is not among them: nobody decides by what the
    /// application does not get. `Upgrade` and `TE` are among them if they are passed on.
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

/// A request and what the connection must know to carry it.
#[derive(Clone, Debug)]
pub struct RequestHead<'a> {
    /// What is decided about.
    pub request: Request<'a>,
    /// What the client speaks.
    pub version: Version,
    /// How the body ends. Never [`BodyFraming::UntilClose`]; [`BodyFraming::Tunnel`] is an
    /// answer's to give.
    pub body: BodyFraming,
    /// Whether the client will use the connection for another request.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the client asks for another protocol on this connection, and it is one that is
    /// carried.
    pub upgrade: bool,
    /// How many bytes the head took.
    pub length: usize,
}

impl RequestHead<'_> {
    /// What must be remembered to read the answer.
    pub fn asked(&self) -> Asked {
        Asked {
            head: self.request.method == "HEAD",
            connect: self.request.method == "CONNECT",
            upgrade: self.upgrade,
        }
    }
}
