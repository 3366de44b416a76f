//! A response's head.

use core::time::Duration;

use crate::flaw::Flaw;
use crate::framing::{Asked, BodyFraming, Version};
use crate::head::{Limits, Role};
use crate::headers::{Fields, Line, Lines, Meaning, read_header};
use crate::octets::is_field_value;
use crate::request::Header;

/// What a server answers, as far as it goes to the client.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// 100 to 999.
    pub status: u16,
    /// The words behind the status, as sent; perhaps empty, perhaps not UTF-8.
    pub reason: &'a [u8],
    /// The headers that go to the other end, in order, names and values as sent, without those
    /// that concern one connection only.
    pub headers: &'a [Header<'a>],
}

impl<'a> Response<'a> {
    /// Every value of one header, in order. `name` is compared without regard to ASCII case.
    pub fn header(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// Whether another response to the same request follows this one: 1xx but 101.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// A response and what the connection must know to carry it.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// What goes to the client.
    pub response: Response<'a>,
    /// What the server speaks.
    pub version: Version,
    /// How the body ends.
    pub body: BodyFraming,
    /// For how long the server takes another request on the connection once this exchange is done:
    /// [`Duration::MAX`] if it does not say, `None` if it takes none.
    pub keep_alive: Option<Duration>,
    /// How many bytes the head took. Another head may follow at once (1xx, then the final one):
    /// what is left over is parsed before more is read.
    pub length: usize,
}

/// Reads a complete head.
pub(crate) fn read_response<'f, 'a: 'f>(
    head: &'a [u8],
    fields: &'f mut Fields<'a>,
    limits: &Limits,
    asked: Asked,
) -> Result<ResponseHead<'f>, Flaw> {
    let mut lines = Lines::new(head);
    let line = lines.next().ok_or(Flaw::StatusLine)?;
    let (version, status, reason) = read_line(line)?;
    let meaning = Meaning::read(
        lines.map(read_header),
        fields,
        version,
        limits,
        Role::Gateway,
    )?;
    let parts = Parts {
        version,
        status,
        reason,
    };
    let response = finish_response(parts, meaning, asked)?;
    Ok(ResponseHead {
        length: head.len(),
        ..response
    })
}

/// What a response says before its fields.
pub(crate) struct Parts<'a> {
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) reason: &'a [u8],
}

/// A response of which everything has been read: what its parts say together.
pub(crate) fn finish_response<'f, 'a: 'f>(
    parts: Parts<'a>,
    meaning: Meaning<'f, 'a>,
    asked: Asked,
) -> Result<ResponseHead<'f>, Flaw> {
    let Parts {
        version,
        status,
        reason,
    } = parts;
    let body = meaning.declared.of_response(status, asked)?;
    if status == 101 && !(asked.upgrade && meaning.upgrade) {
        return Err(Flaw::UnaskedSwitch);
    }
    let delimited = !matches!(body, BodyFraming::UntilClose | BodyFraming::Tunnel);
    let keep_alive = (delimited && meaning.options.keeps_alive(version)).then_some(meaning.idle);
    //= RFC 9110 section 7.8: "A server that sends a 426 (Upgrade Required) response MUST send an Upgrade header field"
    let upgrade = matches!(status, 101 | 426) && meaning.options.upgrade;
    //= RFC 9110 section 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx (Informational) or 204 (No Content)."
    let length = !matches!(status, 100..=199 | 204) && body != BodyFraming::Tunnel;
    Ok(ResponseHead {
        response: Response {
            status,
            reason,
            headers: meaning.headers(upgrade, length),
        },
        version,
        body,
        keep_alive,
        length: 0,
    })
}

/// `HTTP/1.1 200 OK`. A status line without reason may lack the space before it, as many servers
/// send it.
fn read_line(line: Line<'_>) -> Result<(Version, u16, &[u8]), Flaw> {
    let mut parts = line.octets.splitn(3, |octet| *octet == b' ');
    let (Some(version), Some(status)) = (parts.next(), parts.next()) else {
        return Err(line.blame(Flaw::StatusLine));
    };
    let version = Version::read(version, Flaw::StatusLine).map_err(|flaw| line.blame(flaw))?;
    let status = match status {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {
            str::from_utf8(status).map_err(|_| Flaw::Status)?
        }
        _ => return Err(line.blame(Flaw::Status)),
    };
    let status = status.parse().map_err(|_| Flaw::Status)?;
    let reason = parts.next().unwrap_or_default();
    if !is_field_value(reason) {
        return Err(line.blame(Flaw::StatusLine));
    }
    Ok((version, status, reason))
}
