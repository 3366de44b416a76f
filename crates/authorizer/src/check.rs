//! Questions by gRPC: `envoy.service.auth.v3.Authorization/Check`.

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use prost::Message as _;

use crate::answer::{Allowed, Answer, Garbled, LARGEST_BODY, Refused, Said};
use crate::field::{is_kept, name_of};
use crate::message::{
    Address, Attributes, CheckRequest, CheckResponse, DeniedResponse, HeaderOption, HttpRequest,
    HttpResponse, OkResponse, Peer, Request, SocketAddress, Timestamp,
};
use crate::question::{Body, Party, Question};

/// The path of the call.
pub const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The largest answer that is read.
pub const LARGEST_MESSAGE: usize = 2 * LARGEST_BODY;

/// The flag and the length before a message.
const PREFIX: usize = 5;

/// The message of a question, of whose headers these are told; `None` is all of them.
pub fn check_request(question: &Question<'_>, tells: Option<&[Arc<str>]>) -> Vec<u8> {
    let nanos = i32::try_from(question.at.subsec_nanos()).unwrap_or_default();
    let (body, raw_body) = body_of(question.body);
    let http = HttpRequest {
        id: question.id.to_owned(),
        method: question.method.to_owned(),
        headers: headers_of(question, tells),
        path: question.target.to_owned(),
        host: question.host.to_owned(),
        scheme: SCHEME.to_owned(),
        size: question
            .size
            .and_then(|size| i64::try_from(size).ok())
            .unwrap_or(-1),
        protocol: question.protocol.to_owned(),
        body,
        raw_body,
    };
    let request = Request {
        time: Some(Timestamp {
            seconds: i64::try_from(question.at.as_secs()).unwrap_or_default(),
            nanos,
        }),
        http: Some(http),
    };
    let attributes = Attributes {
        source: Some(peer(question.source)),
        destination: Some(peer(question.destination)),
        request: Some(request),
    };
    let attributes = Some(attributes);
    CheckRequest { attributes }.encode_to_vec()
}

/// What is spoken to applications.
const SCHEME: &str = "http";

fn peer(party: Party<'_>) -> Peer {
    let socket = SocketAddress {
        address: party.address.ip().to_canonical().to_string(),
        port: party.address.port().into(),
    };
    Peer {
        address: Some(Address {
            socket: Some(socket),
        }),
        principal: party.identity.map(ToString::to_string).unwrap_or_default(),
    }
}

/// The pseudo-header fields of HTTP/2, as Envoy has them there, and the headers that are told.
fn headers_of(question: &Question<'_>, tells: Option<&[Arc<str>]>) -> BTreeMap<String, String> {
    let is_told = |name: &str| tells.is_none_or(|tells| tells.iter().any(|told| **told == *name));
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in question.headers {
        if !is_told(name) {
            continue;
        }
        let value = String::from_utf8_lossy(value);
        match headers.get_mut(*name) {
            Some(known) => {
                known.push(',');
                known.push_str(&value);
            }
            None => drop(headers.insert((*name).to_owned(), value.into_owned())),
        }
    }
    let pseudo = [
        (":authority", question.host),
        (":method", question.method),
        (":path", question.target),
        (":scheme", SCHEME),
    ];
    for (name, value) in pseudo {
        headers.insert(name.to_owned(), value.to_owned());
    }
    match question.partial_body() {
        Some(partial) => {
            drop(headers.insert(Question::PARTIAL_BODY.to_owned(), partial.to_owned()))
        }
        None => drop(headers.remove(Question::PARTIAL_BODY)),
    }
    headers
}

/// A body as text, or as bytes if it is none. A text that is cut in the middle of a character is one.
fn body_of(body: Option<Body<'_>>) -> (String, Vec<u8>) {
    let Some(Body { bytes, is_whole }) = body else {
        return Default::default();
    };
    match str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), Vec::new()),
        Err(ends) if !is_whole && ends.error_len().is_none() => {
            let (text, _) = bytes
                .split_at_checked(ends.valid_up_to())
                .unwrap_or_default();
            (String::from_utf8_lossy(text).into_owned(), Vec::new())
        }
        Err(_) => (String::new(), bytes.to_vec()),
    }
}

/// A message as gRPC sends it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(PREFIX.saturating_add(message.len()));
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// What the whole content of an answer says, in which one message is framed.
pub fn read_framed(content: &[u8]) -> Result<Answer, Garbled> {
    let Some(([flag, length @ ..], message)) = content.split_first_chunk::<PREFIX>() else {
        return Err(Garbled::Nothing);
    };
    // Nobody said that it may be compressed.
    let is_whole = usize::try_from(u32::from_be_bytes(*length)) == Ok(message.len());
    if *flag != 0 || !is_whole {
        return Err(Garbled::Unreadable);
    }
    let response = CheckResponse::decode(message).map_err(|_bad| Garbled::Unreadable)?;
    read(response)
}

fn read(response: CheckResponse) -> Result<Answer, Garbled> {
    let CheckResponse { status, http } = response;
    let code = status.map(|status| status.code);
    match (code, http) {
        (None, None) => Err(Garbled::Nothing),
        (Some(0) | None, Some(HttpResponse::Ok(ok))) => allowed(ok).map(Answer::Allowed),
        (Some(0), None) => Ok(Answer::Allowed(Allowed::default())),
        (Some(0), Some(HttpResponse::Denied(_))) | (Some(_), Some(HttpResponse::Ok(_))) => {
            Err(Garbled::Both)
        }
        (_, Some(HttpResponse::Denied(denied))) => refused(denied).map(Answer::Refused),
        (Some(_), None) => refused(DeniedResponse::default()).map(Answer::Refused),
    }
}

fn allowed(ok: OkResponse) -> Result<Allowed, Garbled> {
    if !ok.query_to_set.is_empty() || !ok.query_to_remove.is_empty() {
        return Err(Garbled::Query);
    }
    let mut remove = Vec::new();
    for name in ok.headers_to_remove.iter().take(MOST_REMOVED) {
        // Envoy ignores pseudo-header fields here, too.
        if name.starts_with(':') {
            continue;
        }
        let name = name_of(name)?;
        if !is_kept(&name) {
            remove.push(name);
        }
    }
    if ok.headers_to_remove.len() > MOST_REMOVED {
        return Err(Garbled::TooManyHeaders);
    }
    Ok(Allowed {
        set: said(&ok.headers)?,
        remove,
        to_client: said(&ok.response_headers_to_add)?,
    })
}

const MOST_REMOVED: usize = crate::answer::MOST_HEADERS;

fn refused(denied: DeniedResponse) -> Result<Refused, Garbled> {
    let status = match denied.status.map_or(0, |status| status.code) {
        0 => Ok(FORBIDDEN),
        status => u16::try_from(status).map_err(|_large| Garbled::Unreadable),
    };
    let headers = said(&denied.headers);
    let body = denied.body.into_bytes();
    let refused = status.and_then(|status| Refused::new(status, headers?, body));
    refused.map_err(Garbled::denial)
}

const FORBIDDEN: u16 = 403;

fn said(options: &[HeaderOption]) -> Result<Vec<crate::Field>, Garbled> {
    let mut said = Said::default();
    for option in options {
        let Some(header) = &option.header else {
            continue;
        };
        let value = match header.raw_value.is_empty() {
            true => header.value.as_bytes(),
            false => &header.raw_value,
        };
        let append = option.append.as_ref().is_some_and(|append| append.value);
        said.set(&header.key, value, append)?;
    }
    Ok(said.done())
}
