//! Questions by HTTP: a request like the one that is asked about, at a path of the authorizer's own.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use crate::answer::{Allowed, Answer, Garbled, Refused, Said};
use crate::field::{is_kept, name_of};
use crate::question::Question;

/// A request that asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpQuestion {
    /// Its method: that of the request that is asked about.
    pub method: String,
    /// Its path with the query.
    pub target: String,
    /// The host that it asks for: that of the request that is asked about.
    pub host: String,
    /// Its headers, by names in lower case, beside `host`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl HttpQuestion {
    /// The request that asks `question` at paths behind `prefix`, and tells these headers beside those that
    /// always are; `None` if the question is about no path: `CONNECT`, and `OPTIONS *`.
    //= GEP-1494: "The following headers must always be sent to the authorization server, regardless of this setting: Host, Method, Path, Content-Length, Authorization"
    pub fn new(question: &Question<'_>, prefix: &str, tells: &[Arc<str>]) -> Option<Self> {
        if !question.target.starts_with('/') {
            return None;
        }
        let is_told =
            |name: &str| name == "authorization" || tells.iter().any(|told| **told == *name);
        let told = question.headers.iter();
        let told = told.filter(|(name, _)| is_told(name) && !is_kept(name));
        let mut headers = told
            .filter(|(name, _)| *name != Question::PARTIAL_BODY)
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect::<Vec<_>>();
        let body = question.body.map(|body| body.bytes).unwrap_or_default();
        let length = body.len().to_string();
        headers.push(("content-length".to_owned(), length.into_bytes()));
        if let Some(partial) = question.partial_body() {
            headers.push((Question::PARTIAL_BODY.to_owned(), partial.into()));
        }
        Some(Self {
            method: question.method.to_owned(),
            target: format!("{prefix}{}", question.target),
            host: question.host.to_owned(),
            headers,
            body: body.to_vec(),
        })
    }
}

/// What an answer by HTTP says. 200 lets a request in; what is no failure of the authorizer's own refuses it,
/// and is what the client is told.
pub fn read_http<'h>(
    status: u16,
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    body: Vec<u8>,
) -> Result<Answer, Garbled> {
    match status {
        200 => allowed(headers).map(Answer::Allowed),
        NO_FIRST..=NO_LAST => {
            let refused = refused(status, headers, body);
            refused.map(Answer::Refused).map_err(Garbled::denial)
        }
        _ => Err(Garbled::Status(status)),
    }
}

/// What an answer with this status is that has more of a body than is taken.
pub fn too_long(status: u16) -> Garbled {
    match status {
        NO_FIRST..=NO_LAST => Garbled::TooLong.denial(),
        _ => Garbled::TooLong,
    }
}

/// The statuses that say no.
const NO_FIRST: u16 = 300;
const NO_LAST: u16 = 499;

fn refused<'h>(
    status: u16,
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    body: Vec<u8>,
) -> Result<Refused, Garbled> {
    let mut said = Said::default();
    for (name, value) in headers {
        said.take(name, value)?;
    }
    Refused::new(status, said.done(), body)
}

fn allowed<'h>(headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> Result<Allowed, Garbled> {
    let (mut said, mut remove) = (Said::default(), Vec::new());
    for (name, value) in headers {
        if !name.eq_ignore_ascii_case(TO_REMOVE) {
            said.set(name, value, true)?;
            continue;
        }
        let names = str::from_utf8(value).map_err(|_bad| Garbled::Header(TO_REMOVE.to_owned()))?;
        for name in names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let name = name_of(name)?;
            if !is_kept(&name) {
                remove.push(name);
            }
        }
    }
    Ok(Allowed {
        set: said.done(),
        remove,
        to_client: Vec::new(),
    })
}

/// The header that names those that the request is not to have.
const TO_REMOVE: &str = "x-envoy-auth-headers-to-remove";
