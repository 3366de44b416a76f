//! Heads of HTTP/2 (RFC 9113 section 8): the same canonical request and response, by the same checks,
//! out of pseudo-header fields and fields. Whoever speaks HTTP/2 has taken frames and HPACK apart.

use core::time::Duration;

use crate::body::is_head_only;
use crate::flaw::{Flaw, Refused};
use crate::framing::{Asked, BodyFraming, Version};
use crate::head::{HeadReader, Limits, Role};
use crate::headers::{Fields, Meaning};
use crate::octets::{is_field_value, is_lower_token_text, is_token_text, trim};
use crate::request::{Header, RequestHead, Target, finish_request};
use crate::response::{Parts, ResponseHead, finish_response};

/// What a request says before its fields (RFC 9113 section 8.3.1), each at most once.
#[derive(Clone, Copy, Debug)]
pub struct Pseudo<'a> {
    /// `:method`.
    pub method: &'a str,
    /// `:scheme`.
    pub scheme: Option<&'a str>,
    /// `:authority`.
    pub authority: Option<&'a str>,
    /// `:path`, with the query.
    pub path: Option<&'a str>,
    /// `:protocol`: CONNECT asks for another protocol than bytes to an address (RFC 8441 section 4).
    pub protocol: Option<&'a str>,
}

/// What stands in one HEADERS frame and those that continue it.
#[derive(Clone, Debug)]
pub struct Block<I> {
    /// The fields, each with its name and value. Those of `cookie` are joined
    /// (RFC 9113 section 8.2.3).
    pub fields: I,
    /// Whether the stream ends with it: there is no body.
    pub ended: bool,
}

impl HeadReader {
    /// The request that such fields are. It says its host as one of HTTP/1.1 does: `:authority` stands
    /// first among its headers, as `host`. So does one that asks for another protocol: an extended CONNECT
    /// is a GET whose last header is `upgrade`.
    pub fn http2_request<'f, 'a: 'f>(
        &self,
        pseudo: &Pseudo<'a>,
        block: Block<impl Iterator<Item = (&'a str, &'a [u8])>>,
        room: &'f mut Fields<'a>,
    ) -> Result<RequestHead<'f>, Refused> {
        read_request(pseudo, block, room, self.limits(), self.role()).map_err(Refused::request)
    }

    /// The response that such fields are. `asked` is the request that it answers, and `reason` are the
    /// words that an HTTP/1.1 client is told, which HTTP/2 does without.
    pub fn http2_response<'f, 'a: 'f>(
        &self,
        (status, reason): (u16, &'a str),
        block: Block<impl Iterator<Item = (&'a str, &'a [u8])>>,
        asked: Asked,
        room: &'f mut Fields<'a>,
    ) -> Result<ResponseHead<'f>, Refused> {
        read_response((status, reason), block, asked, room, self.limits())
            .map_err(Refused::response)
    }
}

/// Whether a field may stand behind a body.
pub fn check_trailer(name: &str, value: &[u8]) -> Result<(), Flaw> {
    //= RFC 9113 section 8.1: "Trailers MUST NOT include pseudo-header fields"
    let Header { name, .. } = read_field((name, value)).map_err(|_| Flaw::Trailer)?;
    match is_head_only(name.as_bytes()) {
        true => Err(Flaw::ForbiddenTrailer),
        false => Ok(()),
    }
}

fn read_request<'f, 'a: 'f>(
    pseudo: &Pseudo<'a>,
    block: Block<impl Iterator<Item = (&'a str, &'a [u8])>>,
    room: &'f mut Fields<'a>,
    limits: &Limits,
    reader: Role,
) -> Result<RequestHead<'f>, Flaw> {
    let Pseudo {
        method, protocol, ..
    } = *pseudo;
    if !is_token_text(method.as_bytes()) {
        return Err(Flaw::Method);
    }
    if method.bytes().any(|octet| octet.is_ascii_lowercase()) {
        return Err(Flaw::MethodCase);
    }
    let limit = limits.target_bytes;
    if pseudo.path.is_some_and(|path| path.len() > limit) {
        return Err(Flaw::TargetTooLong { limit });
    }
    let target = Target::of_pseudo(pseudo)?;
    let named = pseudo.authority.map(|authority| Header {
        name: "host",
        value: authority.as_bytes(),
    });
    let Block { fields, ended } = block;
    let mut second = None;
    let fields = fields.map(read_field).filter(|field| match field {
        // What stands beside `:authority` must say the same, and is said once.
        Ok(field) if named.is_some() && field.name == "host" && second.is_none() => {
            second = Some(field.value);
            false
        }
        Ok(_) | Err(_) => true,
    });
    let headers = named.into_iter().map(Ok).chain(fields);
    let mut meaning = Meaning::read(headers, room, Version::Http2, limits, reader)?;
    if let (Some(named), Some(second)) = (named, second)
        && !named.value.eq_ignore_ascii_case(second)
    {
        return Err(Flaw::HostDiffers);
    }
    let body = match meaning.declared.of_request(method)? {
        BodyFraming::Length(_) if ended => return Err(Flaw::ContentLength),
        BodyFraming::None if !ended && !meaning.declared.has_length() && method != "CONNECT" => {
            BodyFraming::Chunked
        }
        body @ (BodyFraming::None
        | BodyFraming::Length(_)
        | BodyFraming::Chunked
        | BodyFraming::UntilClose
        | BodyFraming::Tunnel) => body,
    };
    //= RFC 8441 section 5: "This request replaces the GET-based request in [RFC6455] and is used to process the WebSockets opening handshake."
    let method = match protocol {
        Some(protocol) => {
            meaning.ask_for(protocol, limits)?;
            "GET"
        }
        None => method,
    };
    finish_request(method, target, Version::Http2, meaning, body)
}

fn read_response<'f, 'a: 'f>(
    (status, reason): (u16, &'a str),
    block: Block<impl Iterator<Item = (&'a str, &'a [u8])>>,
    asked: Asked,
    room: &'f mut Fields<'a>,
    limits: &Limits,
) -> Result<ResponseHead<'f>, Flaw> {
    //= RFC 9113 section 8.6: "HTTP/2 removes support for the 101 (Switching Protocols) informational status code"
    if status == 101 {
        return Err(Flaw::UnaskedSwitch);
    }
    let Block { fields, ended } = block;
    let fields = fields.map(read_field);
    let meaning = Meaning::read(fields, room, Version::Http2, limits, Role::Gateway)?;
    let parts = Parts {
        version: Version::Http2,
        status,
        reason: reason.as_bytes(),
    };
    //= RFC 9110 section 9.3.6: "Any 2xx (Successful) response indicates that the sender (and all inbound proxies) will switch to tunnel mode immediately after the response header section"
    let asked = Asked {
        connect: asked.connect || asked.upgrade,
        ..asked
    };
    let head = finish_response(parts, meaning, asked)?;
    let body = match head.body {
        BodyFraming::UntilClose if ended => BodyFraming::None,
        BodyFraming::UntilClose => BodyFraming::Chunked,
        BodyFraming::Length(_) if ended => return Err(Flaw::CutShort),
        body @ (BodyFraming::None
        | BodyFraming::Length(_)
        | BodyFraming::Chunked
        | BodyFraming::Tunnel) => body,
    };
    Ok(ResponseHead {
        body,
        keep_alive: Some(Duration::MAX),
        ..head
    })
}

/// One field.
//= RFC 9113 section 8.2.1: "A field name MUST NOT contain characters in the ranges 0x00-0x20, 0x41-0x5a, or 0x7f-0xff (all ranges inclusive)."
fn read_field<'a>((name, value): (&'a str, &'a [u8])) -> Result<Header<'a>, Flaw> {
    if !is_lower_token_text(name.as_bytes()) {
        return Err(Flaw::FieldToken);
    }
    //= RFC 9113 section 8.2.1: "A field value MUST NOT start or end with an ASCII whitespace character (ASCII SP or HTAB, 0x20 or 0x09)."
    if !is_field_value(value) || trim(value).len() != value.len() {
        return Err(Flaw::FieldValue);
    }
    Ok(Header { name, value })
}

#[cfg(test)]
mod tests;
