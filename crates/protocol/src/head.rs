//! Heads out of bytes: where one ends, its lines, and the headers that are left for the other end.

use memchr::{memchr, memchr_iter};

use crate::connection::Options;
use crate::flaw::{Flaw, Refused};
use crate::framing::{Asked, Declared, Version};
use crate::octets::{is_field_value, is_token, list, trim};
use crate::request::{Header, RequestHead, read_request};
use crate::response::{ResponseHead, read_response};

/// How much a head may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes in all, from the first line to the empty one.
    pub head_bytes: usize,
    /// Bytes of a request's target.
    pub target_bytes: usize,
    /// Header lines; never more than [`Fields::MOST`].
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            target_bytes: 16 * 1024,
            headers: Fields::MOST,
        }
    }
}

/// Reads the heads of one direction of a connection, one after another.
///
/// It keeps no bytes: the caller calls with everything that has come since the last message ended,
/// and again with the same and more until the head is complete. It remembers how far it has
/// looked, so that a head in many pieces is looked through once; the outcome is the same for every
/// split. A head is judged when it is complete; only a bare LF, a first octet that begins no head
/// and the limit of bytes end it sooner.
#[derive(Clone, Debug, Default)]
pub struct HeadReader {
    limits: Limits,
    /// How many bytes are known to hold no end of a head.
    looked: usize,
    /// Where the last line among them begins.
    line: usize,
}

impl HeadReader {
    /// A reader at the start of a head.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            looked: 0,
            line: 0,
        }
    }

    /// The request at the start of `bytes`; `None` if it is not complete. After a head, the next
    /// call begins another one; after a refusal the connection has no further head.
    ///
    /// One empty line before a request is skipped and counts as part of its head.
    //= RFC 9112 section 2.2: "SHOULD ignore at least one empty line (CRLF) received prior to the request-line"
    pub fn request<'f, 'a: 'f>(
        &mut self,
        bytes: &'a [u8],
        fields: &'f mut Fields<'a>,
    ) -> Result<Option<RequestHead<'f>>, Refused> {
        let message = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
        let skipped = bytes.len().saturating_sub(message.len());
        if message == b"\r" && skipped == 0 {
            return Ok(None);
        }
        if message.first().is_some_and(|octet| !is_token(*octet)) {
            return Err(Refused::request(Flaw::Method));
        }
        let Some(length) = self.find_end(message).map_err(Refused::request)? else {
            return Ok(None);
        };
        let lines = message.get(..length).unwrap_or_default();
        read_request(lines, length.saturating_add(skipped), fields, &self.limits)
            .map(Some)
            .map_err(Refused::request)
    }

    /// The response at the start of `bytes`; `None` if it is not complete. `asked` is the request
    /// that it answers.
    pub fn response<'f, 'a: 'f>(
        &mut self,
        bytes: &'a [u8],
        fields: &'f mut Fields<'a>,
        asked: Asked,
    ) -> Result<Option<ResponseHead<'f>>, Refused> {
        if bytes.first().is_some_and(|octet| *octet != b'H') {
            return Err(Refused::response(Flaw::StatusLine));
        }
        let Some(length) = self.find_end(bytes).map_err(Refused::response)? else {
            return Ok(None);
        };
        let lines = bytes.get(..length).unwrap_or_default();
        read_response(lines, fields, &self.limits, asked)
            .map(Some)
            .map_err(Refused::response)
    }

    /// How long the head at the start of `bytes` is, its empty line with it.
    fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Flaw> {
        let limit = self.limits.head_bytes;
        let within = bytes.get(..limit).unwrap_or(bytes);
        let fresh = within.get(self.looked..).unwrap_or_default();
        for found in memchr_iter(b'\n', fresh) {
            let end = self.looked.saturating_add(found);
            let line = within.get(self.line..end).unwrap_or_default();
            let next = end.saturating_add(1);
            if !line.ends_with(b"\r") {
                return Err(Flaw::BareLineFeed);
            }
            if line.len() == 1 {
                (self.looked, self.line) = (0, 0);
                return Ok(Some(next));
            }
            self.line = next;
        }
        self.looked = within.len();
        if within.len() == limit {
            return Err(Flaw::HeadTooLarge { limit });
        }
        Ok(None)
    }
}

/// Room for the headers of one head, so that none is allocated. 4 KiB: keep it on the stack of a
/// function that does not wait.
#[derive(Debug)]
pub struct Fields<'a> {
    fields: [Header<'a>; MOST_HEADERS],
    count: usize,
}

impl<'a> Fields<'a> {
    /// How many headers there is room for.
    pub const MOST: usize = MOST_HEADERS;

    /// Empty room.
    pub fn new() -> Self {
        let none = Header {
            name: "",
            value: b"",
        };
        Self {
            fields: [none; MOST_HEADERS],
            count: 0,
        }
    }

    fn as_slice(&self) -> &[Header<'a>] {
        self.fields.get(..self.count).unwrap_or_default()
    }

    /// Keeps a header. The caller has counted: there is room.
    fn push(&mut self, header: Header<'a>) {
        if let Some(free) = self.fields.get_mut(self.count) {
            *free = header;
            self.count = self.count.saturating_add(1);
        }
    }

    fn retain(&mut self, keep: impl Fn(&Header<'a>) -> bool) {
        let before = core::mem::take(&mut self.count);
        for at in 0..before {
            match self.fields.get(at) {
                Some(header) if keep(header) => self.push(*header),
                Some(_) | None => {}
            }
        }
    }
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self::new()
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
    /// Whether a header was kept that may still have to go.
    sift: bool,
}

impl<'f, 'a: 'f> Meaning<'f, 'a> {
    /// Reads the header lines.
    pub(crate) fn read(
        lines: Lines<'a>,
        fields: &'f mut Fields<'a>,
        version: Version,
        limits: &Limits,
    ) -> Result<Self, Flaw> {
        fields.count = 0;
        let mut meaning = Self {
            fields,
            options: Options::default(),
            declared: Declared::default(),
            host: None,
            repeated_host: false,
            expects_continue: false,
            upgrade: false,
            sift: false,
        };
        let mut carried = true;
        let mut room = limits.headers.min(Fields::MOST);
        for line in lines {
            let limit = limits.headers.min(Fields::MOST);
            room = room.checked_sub(1).ok_or(Flaw::TooManyHeaders { limit })?;
            let header = read_header(line)?;
            let Header { name, value } = header;
            match Known::of(name) {
                Known::Connection => {
                    meaning.options.read(value)?;
                    continue;
                }
                Known::KeepAlive | Known::ProxyConnection => continue,
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
                Known::Te => meaning.sift = true,
                Known::Lookalike => return Err(Flaw::FramingLookalike),
                Known::Other => {}
            }
            meaning.fields.push(header);
        }
        meaning.declared.check()?;
        let asked = meaning.options.upgrade && version == Version::Http11;
        meaning.upgrade &= carried && asked;
        Ok(meaning)
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
            return fields.as_slice();
        }
        fields.retain(|Header { name, value }| {
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
        fields.as_slice()
    }
}

/// The lines of a complete head, up to the empty one.
pub(crate) struct Lines<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.0)?;
        let (line, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..).unwrap_or_default();
        line.strip_suffix(b"\r").filter(|line| !line.is_empty())
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
        let (known, spelled) = match name.len() {
            2 => (Self::Te, "te"),
            4 => (Self::Host, "host"),
            6 => (Self::Expect, "expect"),
            7 => (Self::Upgrade, "upgrade"),
            10 if name.ends_with(['n', 'N']) => (Self::Connection, "connection"),
            10 => (Self::KeepAlive, "keep-alive"),
            14 => (Self::ContentLength, "content-length"),
            16 => (Self::ProxyConnection, "proxy-connection"),
            17 => (Self::TransferEncoding, "transfer-encoding"),
            _ => return Self::Other,
        };
        let frames = matches!(known, Self::ContentLength | Self::TransferEncoding);
        if name.eq_ignore_ascii_case(spelled) {
            known
        } else if frames && looks_like(name, spelled) {
            Self::Lookalike
        } else {
            Self::Other
        }
    }
}

/// Whether a server that makes environment variables of headers takes `name` for `other`, which
/// has no `_`.
pub(crate) fn looks_like(name: &str, other: &str) -> bool {
    let same =
        |(one, other): (u8, u8)| one.eq_ignore_ascii_case(&other) || (one == b'_' && other == b'-');
    name.len() == other.len() && name.bytes().zip(other.bytes()).all(same)
}

/// One header line.
fn read_header(line: &[u8]) -> Result<Header<'_>, Flaw> {
    let colon = line
        .iter()
        .position(|octet| !is_token(*octet))
        .ok_or(Flaw::FieldName)?;
    let (name, rest) = line.split_at_checked(colon).ok_or(Flaw::FieldName)?;
    let value = match (name, rest) {
        ([], [b' ' | b'\t', ..]) => return Err(Flaw::FoldedLine),
        ([], _) => return Err(Flaw::FieldName),
        (_, [b':', value @ ..]) => trim(value),
        (_, [b' ' | b'\t', ..]) if trim(rest).starts_with(b":") => {
            return Err(Flaw::SpaceBeforeColon);
        }
        (_, _) => return Err(blame(line, Flaw::FieldName)),
    };
    if !is_field_value(value) {
        return Err(blame(line, Flaw::FieldValue));
    }
    let name = str::from_utf8(name).map_err(|_| Flaw::FieldName)?;
    Ok(Header { name, value })
}

/// The flaw of a malformed line: a CR inside it, else `otherwise`.
pub(crate) fn blame(line: &[u8], otherwise: Flaw) -> Flaw {
    if memchr(b'\r', line).is_some() {
        Flaw::BareCarriageReturn
    } else {
        otherwise
    }
}

/// Whether a connection that has switched to `protocol` is carried. What speaks HTTP again is
/// not: its requests would pass unseen. Such an `Upgrade` is not passed on, and the server goes
/// on in HTTP/1.1, as it may (RFC 9110 section 7.8).
fn is_carried(protocol: &[u8]) -> bool {
    let name = protocol
        .split(|octet| *octet == b'/')
        .next()
        .unwrap_or_default();
    ![&b"h2c"[..], b"h2", b"http", b"tls"]
        .iter()
        .any(|http| name.eq_ignore_ascii_case(http))
}

const MOST_HEADERS: usize = 128;
