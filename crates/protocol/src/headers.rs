//! The lines of a head: the headers that are left for the other end, and what all of them mean.

use core::time::Duration;

use arrayvec::ArrayVec;
use memchr::memchr;

use crate::connection::Options;
use crate::flaw::Flaw;
use crate::framing::{Declared, Version};
use crate::head::{Limits, Role};
use crate::octets::{is_field_value, is_token_text, list, trim};
use crate::request::Header;

/// Room for the headers of one head, so that none is allocated. 4 KiB: keep it on the stack of a
/// function that does not wait.
#[derive(Default, Debug)]
pub struct Fields<'a>(ArrayVec<Header<'a>, MOST_HEADERS>);

impl Fields<'_> {
    /// How many headers there is room for.
    pub const MOST: usize = MOST_HEADERS;

    /// Empty room.
    pub fn new() -> Self {
        Self::default()
    }
}

/// What the header lines of a head say together.
pub(crate) struct Meaning<'f, 'a> {
    fields: &'f mut Fields<'a>,
    /// Every `Connection`, read together.
    pub(crate) options: Options<'a>,
    /// How long the body is said to be.
    pub(crate) declared: Declared,
    /// The value of the first `Host`.
    pub(crate) host: Option<&'a [u8]>,
    /// Whether there is another `Host`.
    pub(crate) repeated_host: bool,
    /// Whether `Expect` asks for `100 Continue`.
    pub(crate) expects_continue: bool,
    /// Whether `Upgrade` and `Connection` together ask for another protocol that is carried.
    pub(crate) upgrade: bool,
    /// For how long `Keep-Alive` says that a connection is kept that has nothing to do; without end if
    /// it does not.
    pub(crate) idle: Duration,
    /// Whether a header was kept that may still have to go.
    sift: bool,
}

impl<'f, 'a: 'f> Meaning<'f, 'a> {
    /// Reads the header lines, or the fields of HTTP/2.
    pub(crate) fn read(
        headers: impl Iterator<Item = Result<Header<'a>, Flaw>>,
        fields: &'f mut Fields<'a>,
        version: Version,
        limits: &Limits,
        reader: Role,
    ) -> Result<Self, Flaw> {
        fields.0.clear();
        let mut meaning = Self {
            fields,
            options: Options::default(),
            declared: Declared::default(),
            host: None,
            repeated_host: false,
            expects_continue: false,
            upgrade: false,
            idle: Duration::MAX,
            sift: false,
        };
        let mut carried = true;
        let limit = limits.headers.min(Fields::MOST);
        let mut room = limit;
        for header in headers {
            room = room.checked_sub(1).ok_or(Flaw::TooManyHeaders { limit })?;
            let header = header?;
            let Header { name, value } = header;
            match Known::of(name) {
                known if version == Version::Http2 && known.is_of_connection(value) => {
                    return Err(Flaw::ConnectionField);
                }
                Known::Connection => {
                    meaning.options.read(value)?;
                    continue;
                }
                Known::KeepAlive => {
                    let said = list(value).filter_map(idle);
                    meaning.idle = said.fold(meaning.idle, Duration::min);
                    continue;
                }
                Known::ProxyConnection => continue,
                Known::TransferEncoding => {
                    meaning.declared.transfer_encoding(value, version)?;
                    continue;
                }
                Known::ContentLength => meaning.declared.content_length(value)?,
                Known::Host => {
                    meaning.repeated_host = meaning.host.is_some();
                    meaning.host = meaning.host.or(Some(value));
                }
                //= RFC 9110 section 10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation."
                Known::Expect if version == Version::Http10 => continue,
                Known::Expect => {
                    meaning.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
                }
                Known::Upgrade => {
                    (meaning.upgrade, meaning.sift) = (true, true);
                    carried &= !value.is_empty() && list(value).all(is_carried);
                }
                Known::Te => meaning.sift |= version != Version::Http2,
                Known::Lookalike => return Err(Flaw::FramingLookalike),
                Known::Other if reader == Role::Proxy && is_for_proxy(name) => continue,
                Known::Other => {}
            }
            let full = meaning.fields.0.try_push(header);
            full.map_err(|_| Flaw::TooManyHeaders { limit })?;
        }
        meaning.declared.check()?;
        let asked = meaning.options.upgrade && version == Version::Http11;
        meaning.upgrade &= carried && asked;
        Ok(meaning)
    }

    /// Takes the message for one that asks for `protocol`, in the way of HTTP/2.
    pub(crate) fn ask_for(&mut self, protocol: &'a str, limits: &Limits) -> Result<(), Flaw> {
        if !is_protocol(protocol.as_bytes()) {
            return Err(Flaw::Protocol);
        }
        if !is_carried(protocol.as_bytes()) {
            return Err(Flaw::ProtocolNotCarried);
        }
        let limit = limits.headers.min(Fields::MOST);
        let asked = Header {
            name: "upgrade",
            value: protocol.as_bytes(),
        };
        let full = self.fields.0.try_push(asked);
        full.map_err(|_| Flaw::TooManyHeaders { limit })?;
        self.upgrade = true;
        Ok(())
    }

    /// The headers for the other end: without those that `Connection` names, without `Upgrade`
    /// unless `upgrade`, without `TE` unless it says `trailers`, and without `Content-Length`
    /// unless `length`.
    pub(crate) fn headers(self, upgrade: bool, length: bool) -> &'f [Header<'a>] {
        let Self {
            fields,
            options,
            declared,
            sift,
            ..
        } = self;
        if !sift && !options.names_any() && (length || !declared.has_length()) {
            return fields.0.as_slice();
        }
        fields.0.retain(|Header { name, value }| {
            let goes_on = match Known::of(name) {
                Known::Upgrade => upgrade,
                Known::Te => options.te && value.eq_ignore_ascii_case(b"trailers"),
                Known::ContentLength => length,
                Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::TransferEncoding
                | Known::Lookalike => false,
                Known::Expect | Known::Host | Known::Other => true,
            };
            goes_on && !options.names(name)
        });
        fields.0.as_slice()
    }
}

/// The lines of a complete head, up to the empty one.
pub(crate) struct Lines<'a> {
    octets: &'a [u8],
    /// The same, if all of it is UTF-8: found out once, not for each part.
    text: Option<&'a str>,
}

/// A line without its end.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) octets: &'a [u8],
    text: Option<&'a str>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(head: &'a [u8]) -> Self {
        Self {
            octets: head,
            text: str::from_utf8(head).ok(),
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let end = memchr(b'\n', self.octets)?;
        let line = self.octets.get(..end)?.strip_suffix(b"\r")?;
        let next = end.saturating_add(1);
        let text = self.text;
        self.octets = self.octets.get(next..)?;
        self.text = text.and_then(|text| text.get(next..));
        (!line.is_empty()).then_some(Line { octets: line, text })
    }
}

impl<'a> Line<'a> {
    /// The octets from `start` up to `end` as text, if they are.
    pub(crate) fn text(&self, start: usize, end: usize) -> Option<&'a str> {
        match self.text {
            Some(text) => text.get(start..end),
            None => str::from_utf8(self.octets.get(start..end)?).ok(),
        }
    }

    /// The flaw of this line: a CR inside it, else `otherwise`.
    pub(crate) fn blame(&self, otherwise: Flaw) -> Flaw {
        match memchr(b'\r', self.octets) {
            Some(_) => Flaw::BareCarriageReturn,
            None => otherwise,
        }
    }
}

/// Headers that mean something to a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Connection,
    ContentLength,
    Expect,
    Host,
    KeepAlive,
    ProxyConnection,
    Te,
    TransferEncoding,
    Upgrade,
    /// A name that some servers take for one that frames.
    Lookalike,
    Other,
}

impl Known {
    pub(crate) fn of(name: &str) -> Self {
        let name = name.as_bytes();
        match name.len() {
            2 if is(name, b"te") => Self::Te,
            4 if is(name, b"host") => Self::Host,
            6 if is(name, b"expect") => Self::Expect,
            7 if is(name, b"upgrade") => Self::Upgrade,
            10 if is(name, b"connection") => Self::Connection,
            10 if is(name, b"keep-alive") => Self::KeepAlive,
            14 if is(name, b"content-length") => Self::ContentLength,
            14 if looks_like(name, b"content-length") => Self::Lookalike,
            16 if is(name, b"proxy-connection") => Self::ProxyConnection,
            17 if is(name, b"transfer-encoding") => Self::TransferEncoding,
            17 if looks_like(name, b"transfer-encoding") => Self::Lookalike,
            _ => Self::Other,
        }
    }

    /// Whether it concerns one connection only, where HTTP/2 says such things in frames.
    //= RFC 9113 section 8.2.2: "The only exception to this is the TE header field, which MAY be present in an HTTP/2 request; when it is, it MUST NOT contain any value other than "trailers"."
    fn is_of_connection(self, value: &[u8]) -> bool {
        match self {
            Self::Connection
            | Self::KeepAlive
            | Self::ProxyConnection
            | Self::TransferEncoding
            | Self::Upgrade => true,
            Self::Te => !value.eq_ignore_ascii_case(b"trailers"),
            Self::ContentLength | Self::Expect | Self::Host | Self::Lookalike | Self::Other => {
                false
            }
        }
    }
}

/// Whether a token is `lower`, which is in lower case, without regard to case. Of a known length,
/// it is a few instructions: in a token, only a letter becomes a letter by this bit, and `-` only
/// a `-`.
fn is<const N: usize>(token: &[u8], lower: &[u8; N]) -> bool {
    let differ = |token: &[u8; N]| {
        token
            .iter()
            .zip(lower)
            .fold(0, |any, (one, other)| any | ((one | 0x20) ^ other))
    };
    token.as_array().is_some_and(|token| differ(token) == 0)
}

/// Whether a server that makes environment variables of headers takes `name` for `other`, which
/// has no `_`.
pub(crate) fn looks_like(name: &[u8], other: &[u8]) -> bool {
    let same = |(one, other): (&u8, &u8)| {
        one.eq_ignore_ascii_case(other) || (*one == b'_' && *other == b'-')
    };
    name.len() == other.len() && name.iter().zip(other).all(same)
}

/// Whether a proxy keeps the header for itself: `Proxy`, and whatever begins with `Proxy-`.
//= RFC 9110 section 11.7.2: "the Proxy-Authorization header field is consumed by the first inbound proxy that was expecting to receive credentials"
fn is_for_proxy(name: &str) -> bool {
    let (start, rest) = name.as_bytes().split_at_checked(5).unwrap_or_default();
    start.eq_ignore_ascii_case(b"proxy") && matches!(rest.first(), None | Some(b'-' | b'_'))
}

/// One header line.
pub(crate) fn read_header(line: Line<'_>) -> Result<Header<'_>, Flaw> {
    let colon = memchr(b':', line.octets).unwrap_or_default();
    let (name, rest) = line.octets.split_at_checked(colon).ok_or(Flaw::FieldName)?;
    if !is_token_text(name) {
        return Err(line.blame(match (name, rest) {
            ([b' ' | b'\t', ..], _) | ([], [b' ' | b'\t', ..]) => Flaw::FoldedLine,
            ([token @ .., b' ' | b'\t'], _) if is_token_text(trim(token)) => Flaw::SpaceBeforeColon,
            _ => Flaw::FieldName,
        }));
    }
    let value = trim(rest.get(1..).unwrap_or_default());
    if !is_field_value(value) {
        return Err(line.blame(Flaw::FieldValue));
    }
    let name = line.text(0, colon).ok_or(Flaw::FieldName)?;
    Ok(Header { name, value })
}

/// What `timeout=5` says. It is a hint: what is malformed says nothing.
fn idle(parameter: &[u8]) -> Option<Duration> {
    let (name, seconds) = parameter.split_at_checked(8)?;
    let is_timeout = name.eq_ignore_ascii_case(b"timeout=");
    let seconds = str::from_utf8(seconds).ok().filter(|_| is_timeout)?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// Whether it is the name of a protocol, with perhaps its version (RFC 9110 section 7.8).
pub(crate) fn is_protocol(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |octet| *octet == b'/');
    parts.all(is_token_text)
}

/// Whether a connection that has switched to `protocol` is carried. What speaks HTTP again is
/// not: its requests would pass unseen. Such an `Upgrade` is not passed on, and the server goes
/// on in HTTP/1.1, as it may (RFC 9110 section 7.8).
fn is_carried(protocol: &[u8]) -> bool {
    let begins = |http: &&str| {
        let start = protocol.get(..http.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(http.as_bytes()))
    };
    !["h2", "http", "tls"].iter().any(begins)
}

const MOST_HEADERS: usize = 128;
