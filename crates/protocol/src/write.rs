//! Heads into bytes of HTTP/1, or into the fields of HTTP/2: from parsed pieces only, with the changes
//! that routes make.

use alloc::vec::Vec;
use core::fmt::Write;

use leno_model::view::HeaderChanges;

use crate::framing::{BodyFraming, Version};
use crate::headers::{Known, looks_like};
use crate::octets::{Text, is_field_value, is_token_text};
use crate::path::NewPath;
use crate::request::{Header, Request};
use crate::response::Response;

/// A header that is the mesh's own: no value that came from outside passes, also not under a name
/// with `_` for `-`, and configuration does not reach it.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Its name, in lower case.
    pub name: &'a str,
    /// What it says on this side; `None` if it is only taken away.
    pub value: Option<&'a [u8]>,
}

/// What changes in a request's head when it is passed on.
#[derive(Clone, Copy, Default, Debug)]
pub struct RequestChanges<'a> {
    /// The new `Host`.
    pub host: Option<&'a str>,
    /// The new path; the query stays.
    pub path: Option<NewPath<'a>>,
    /// The header changes of the rule, then those of the backend, each applied to what the one
    /// before it left. What they say about headers of the connection, framing or `Host` is
    /// without effect.
    pub headers: &'a [&'a HeaderChanges],
    /// The mesh's own headers, which stand last.
    pub own: &'a [Own<'a>],
}

/// What changes in a response's head when it is passed on.
#[derive(Clone, Copy, Debug)]
pub struct ResponseChanges<'a> {
    /// The header changes of the backend, then those of the rule, as in [`RequestChanges`].
    pub headers: &'a [&'a HeaderChanges],
    /// The mesh's own headers, which stand last.
    pub own: &'a [Own<'a>],
    /// What the client speaks.
    pub client: Version,
    /// Whether the connection to the client stays open behind this response.
    pub keep_alive: bool,
}

/// Writes the head that is sent to the server, behind what `out` holds. `body` is how the body is
/// sent. It says nothing of the connection, which HTTP/1.1 keeps.
pub fn write_request(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    body: BodyFraming,
    changes: &RequestChanges<'_>,
) {
    put(out, request.method);
    out.push(b' ');
    write_target(out, request, changes);
    put(out, " HTTP/1.1\r\n");
    let writer = Writer {
        changes: changes.headers,
        own: changes.own,
        body,
    };
    let passed = writer.write_fields(out, request.headers, changes.host);
    writer.write_connection(out, &[("upgrade", passed.upgrade), ("te", passed.te)]);
}

/// Writes the target as it is sent to the server, behind what `out` holds: what HTTP/1.1 has behind the
/// method, and HTTP/2 in `:path`, or of CONNECT in `:authority`.
pub fn write_target(out: &mut Vec<u8>, request: &Request<'_>, changes: &RequestChanges<'_>) {
    match (&changes.path, request.path.raw()) {
        (_, "") => {
            put(out, request.host);
            let port = request.port.unwrap_or_default();
            write!(Text(out), ":{port}").expect("a Vec takes any text");
        }
        (Some(path), raw) if raw != "*" => {
            write!(Text(out), "{path}").expect("a Vec takes any text");
        }
        (_, raw) => put(out, raw),
    }
    if let Some(query) = request.query {
        out.push(b'?');
        put(out, query);
    }
}

/// What takes the fields of a head, one after another.
pub trait TakeField {
    /// Takes one: a name that is a token, and a value of what may stand in one.
    fn take_field(&mut self, name: &str, value: &[u8]);
}

/// Lines of HTTP/1.
impl TakeField for Vec<u8> {
    fn take_field(&mut self, name: &str, value: &[u8]) {
        self.extend_from_slice(name.as_bytes());
        self.extend_from_slice(b": ");
        self.extend_from_slice(value);
        self.extend_from_slice(b"\r\n");
    }
}

/// Gives the fields that are sent to a server that speaks HTTP/2. `host` is among them: whoever takes
/// them has said it in `:authority`, as [`new_host`] gives it. So is `Upgrade`, of which HTTP/2 knows
/// nothing.
pub fn give_request(
    out: &mut impl TakeField,
    request: &Request<'_>,
    body: BodyFraming,
    changes: &RequestChanges<'_>,
) {
    let writer = Writer {
        changes: changes.headers,
        own: changes.own,
        body: without_chunks(body),
    };
    writer.write_fields(out, request.headers, changes.host);
}

/// Gives the fields that are sent to a client that speaks HTTP/2. `Upgrade` may be among them.
pub fn give_response(
    out: &mut impl TakeField,
    response: &Response<'_>,
    body: BodyFraming,
    changes: &ResponseChanges<'_>,
) {
    let writer = Writer {
        changes: changes.headers,
        own: changes.own,
        body: without_chunks(body),
    };
    writer.write_fields(out, response.headers, None);
}

/// The host that a request is sent with: a new one, or as it was sent.
pub fn new_host<'a>(request: &Request<'a>, changes: &RequestChanges<'a>) -> &'a [u8] {
    let sent = || request.header("host").next();
    let new = changes.host.map(str::as_bytes);
    new.or_else(sent).unwrap_or(request.host.as_bytes())
}

/// How a body is framed where frames say where it ends.
//= RFC 9113 section 8.1: "The chunked transfer encoding defined in Section 7.1 of [HTTP/1.1] cannot be used in HTTP/2"
fn without_chunks(body: BodyFraming) -> BodyFraming {
    match body {
        BodyFraming::Length(_) => body,
        BodyFraming::None
        | BodyFraming::Chunked
        | BodyFraming::UntilClose
        | BodyFraming::Tunnel => BodyFraming::None,
    }
}

/// Writes the head that is sent to the client, behind what `out` holds. `body` is how the body is
/// sent; a client that speaks HTTP/1.0 understands neither [`BodyFraming::Chunked`] nor an interim
/// response. An answer of one's own without a body is [`BodyFraming::Length`] of zero: with
/// [`BodyFraming::None`] nothing is said, and a client may wait for a body until the connection
/// closes.
pub fn write_response(
    out: &mut Vec<u8>,
    response: &Response<'_>,
    body: BodyFraming,
    changes: &ResponseChanges<'_>,
) {
    write!(Text(out), "HTTP/1.1 {} ", response.status).expect("a Vec takes any text");
    out.extend_from_slice(response.reason);
    put(out, "\r\n");
    let writer = Writer {
        changes: changes.headers,
        own: changes.own,
        body,
    };
    let passed = writer.write_fields(out, response.headers, None);
    let close = !changes.keep_alive || body == BodyFraming::UntilClose;
    let keep = !close && changes.client == Version::Http10 && !response.is_interim();
    let close = close && !response.is_interim() && body != BodyFraming::Tunnel;
    writer.write_connection(
        out,
        &[
            ("upgrade", passed.upgrade),
            ("close", close),
            ("keep-alive", keep),
        ],
    );
}

/// Writes the headers of one head.
struct Writer<'a> {
    changes: &'a [&'a HeaderChanges],
    own: &'a [Own<'a>],
    body: BodyFraming,
}

/// What was met among the headers that were passed on.
#[derive(Default)]
struct Passed {
    length: bool,
    upgrade: bool,
    te: bool,
}

impl Writer<'_> {
    /// Writes `headers` as they are changed; a `host` takes the place of theirs.
    fn write_fields(
        &self,
        out: &mut impl TakeField,
        headers: &[Header<'_>],
        host: Option<&str>,
    ) -> Passed {
        let passed = self.write_passed(out, headers, host);
        self.write_new(out, &passed);
        passed
    }

    /// Writes those of `headers` that stay, in their order.
    fn write_passed(
        &self,
        out: &mut impl TakeField,
        headers: &[Header<'_>],
        host: Option<&str>,
    ) -> Passed {
        let mut passed = Passed::default();
        for Header { name, value } in headers {
            match (Known::of(name), host, self.body) {
                (Known::Other, _, _)
                    if self.is_own(name) || self.is_replaced(name, self.changes) => {}
                (Known::Host, Some(host), _) => write_checked(out, name, host.as_bytes()),
                (Known::ContentLength, _, BodyFraming::Length(length)) => {
                    passed.length = true;
                    write_number(out, name, length);
                }
                (
                    Known::ContentLength,
                    _,
                    BodyFraming::Chunked | BodyFraming::UntilClose | BodyFraming::Tunnel,
                ) => {}
                (known, _, _) => {
                    passed.upgrade |= known == Known::Upgrade;
                    passed.te |= known == Known::Te;
                    out.take_field(name, value);
                }
            }
        }
        passed
    }

    /// Writes what changes add, the mesh's own headers, and the framing.
    fn write_new(&self, out: &mut impl TakeField, passed: &Passed) {
        let mut later = self.changes;
        while let Some((change, behind)) = later.split_first() {
            later = behind;
            for (name, value) in change.set.iter().chain(&change.add) {
                let gone = change
                    .remove
                    .iter()
                    .any(|removed| removed.eq_ignore_ascii_case(name));
                let ours = Known::of(name) != Known::Other || self.is_own(name);
                if !gone && !ours && !self.is_replaced(name, later) {
                    write_checked(out, name, value.as_bytes());
                }
            }
        }
        for Own { name, value } in self.own {
            if let Some(value) = value {
                write_checked(out, name, value);
            }
        }
        match self.body {
            BodyFraming::Chunked => out.take_field("Transfer-Encoding", b"chunked"),
            BodyFraming::Length(length) if !passed.length => {
                write_number(out, "Content-Length", length)
            }
            BodyFraming::Length(_)
            | BodyFraming::None
            | BodyFraming::UntilClose
            | BodyFraming::Tunnel => {}
        }
    }

    /// Writes those options that hold, and the end of the head.
    fn write_connection(&self, out: &mut Vec<u8>, options: &[(&str, bool)]) {
        let mut between = "Connection: ";
        for (option, _) in options.iter().filter(|(_, holds)| *holds) {
            put(out, between);
            put(out, option);
            between = ", ";
        }
        put(out, if between == ", " { "\r\n\r\n" } else { "\r\n" });
    }

    fn is_own(&self, name: &str) -> bool {
        self.own
            .iter()
            .any(|own| looks_like(name.as_bytes(), own.name.as_bytes()))
    }

    /// Whether one of `changes` puts something in the place of the header's values, or nothing.
    fn is_replaced(&self, name: &str, changes: &[&HeaderChanges]) -> bool {
        changes.iter().any(|change| {
            let mut set = change.set.iter().map(|(set, _)| set);
            set.any(|set| set.eq_ignore_ascii_case(name))
                || change
                    .remove
                    .iter()
                    .any(|removed| removed.eq_ignore_ascii_case(name))
        })
    }
}

/// Writes a header that comes from configuration or from a certificate.
//= RFC 9110 section 5.5: "a recipient of CR, LF, or NUL within a field value MUST either reject the message or replace each of those characters with SP"
fn write_checked(out: &mut impl TakeField, name: &str, value: &[u8]) {
    if !is_token_text(name.as_bytes()) {
        return;
    }
    if is_field_value(value) {
        return out.take_field(name, value);
    }
    let clean = |octet: &u8| {
        if is_field_value(&[*octet]) {
            *octet
        } else {
            b' '
        }
    };
    let clean: Vec<u8> = value.iter().map(clean).collect();
    out.take_field(name, &clean);
}

fn write_number(out: &mut impl TakeField, name: &str, number: u64) {
    let mut digits = [0; MOST_DIGITS];
    out.take_field(name, decimal(number, &mut digits));
}

/// The digits of a number, at the end of `room`.
fn decimal(mut number: u64, room: &mut [u8; MOST_DIGITS]) -> &[u8] {
    let mut length = 0usize;
    for place in room.iter_mut().rev() {
        *place = b'0'.saturating_add(u8::try_from(number % 10).unwrap_or_default());
        number /= 10;
        length = length.saturating_add(1);
        if number == 0 {
            break;
        }
    }
    let start = MOST_DIGITS.saturating_sub(length);
    room.get(start..).unwrap_or_default()
}

/// As many as a `u64` has.
const MOST_DIGITS: usize = 20;

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
