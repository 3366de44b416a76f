//! Heads into bytes: from parsed pieces only, with the changes that routes make.

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
    put(out, " HTTP/1.1\r\n");
    let writer = Writer {
        changes: changes.headers,
        own: changes.own,
        body,
    };
    let passed = writer.write_passed(out, request.headers, changes.host);
    writer.write_new(out, &passed);
    writer.write_connection(out, &[("upgrade", passed.upgrade), ("te", passed.te)]);
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
    let passed = writer.write_passed(out, response.headers, None);
    writer.write_new(out, &passed);
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
    /// Writes those of `headers` that stay, in their order.
    fn write_passed(
        &self,
        out: &mut Vec<u8>,
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
                    write_field(out, name, value);
                }
            }
        }
        passed
    }

    /// Writes what changes add, the mesh's own headers, and the framing.
    fn write_new(&self, out: &mut Vec<u8>, passed: &Passed) {
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
            BodyFraming::Chunked => write_field(out, "Transfer-Encoding", b"chunked"),
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

/// Writes a header whose parts were parsed or are ours.
fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a header that comes from configuration or from a certificate.
//= RFC 9110 section 5.5: "a recipient of CR, LF, or NUL within a field value MUST either reject the message or replace each of those characters with SP"
fn write_checked(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !is_token_text(name.as_bytes()) {
        return;
    }
    if is_field_value(value) {
        return write_field(out, name, value);
    }
    let clean = |octet: &u8| {
        if is_field_value(&[*octet]) {
            *octet
        } else {
            b' '
        }
    };
    let clean: Vec<u8> = value.iter().map(clean).collect();
    write_field(out, name, &clean);
}

fn write_number(out: &mut Vec<u8>, name: &str, number: u64) {
    write!(Text(out), "{name}: {number}\r\n").expect("a Vec takes any text");
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
