//! Answers, and how they are written.

use std::borrow::Cow;

use leno_admin::{Answer as Told, Failure};
use leno_protocol::{
    BodyFraming, Header, Response, ResponseChanges, Version, write_response as write_head,
};

use serde::Serialize;

use crate::access::Secret;
use crate::gate::COOKIE;
use crate::json::json;
use crate::pages::{self, Asset};
use crate::refusal::Refusal;

/// What a request is answered.
pub(crate) struct Answer {
    status: u16,
    media: &'static str,
    /// Headers that not every answer has.
    more: Vec<(&'static str, String)>,
    body: Cow<'static, [u8]>,
}

/// A line of the socket's.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Answer(&'a Told),
    Failure(&'a Failure),
}

fn failed(failure: &Failure) -> String {
    json(&Line::Failure(failure)).unwrap_or_default()
}

/// Who reads an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reader {
    /// Somebody at a browser.
    Person,
    /// The page, which asked by itself.
    Page,
}

/// How an answer is sent.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// What the client speaks.
    pub(crate) version: Version,
    /// Whether the connection stays open behind it.
    pub(crate) keep_alive: bool,
    /// Whether only the head was asked for.
    pub(crate) head_only: bool,
}

impl Manner {
    /// To a client of whom nothing is known, before the connection closes.
    pub(crate) const LAST: Self = Self {
        version: Version::Http11,
        keep_alive: false,
        head_only: false,
    };
}

impl Answer {
    /// A page, as HTML.
    pub(crate) fn page(html: String) -> Self {
        Self {
            status: 200,
            media: HTML,
            more: Vec::new(),
            body: html.into_bytes().into(),
        }
    }

    /// What anyone may have.
    pub(crate) fn asset(asset: Asset) -> Self {
        let content = asset.content();
        let more = match content.is_built {
            true => KEPT.map(|(name, value)| (name, value.to_owned())).into(),
            false => Vec::new(),
        };
        Self {
            status: 200,
            media: content.media,
            more,
            body: content.bytes.into(),
        }
    }

    /// A visit that begins: proven by `proof`, in the folder of the pages.
    pub(crate) fn visit(proof: Secret, folder: &Secret) -> Self {
        let cookie = format!("{COOKIE}={proof}; Path=/{folder}/; HttpOnly; SameSite=Strict");
        Self {
            status: 303,
            media: HTML,
            more: vec![("location", format!("/{folder}/")), ("set-cookie", cookie)],
            body: Cow::default(),
        }
    }

    /// What came of a question, as the socket would say it. That it has no answer is an answer, too.
    pub(crate) fn told(told: Result<&Told, &Failure>) -> Self {
        let told = match told {
            Ok(answer) => json(&Line::Answer(answer)),
            Err(failure) => json(&Line::Failure(failure)),
        };
        let body = told.unwrap_or_else(|| {
            let failure = Failure::plain("the answer is longer than a page can take");
            failed(&failure)
        });
        Self {
            status: 200,
            media: JSON,
            more: Vec::new(),
            body: body.into_bytes().into(),
        }
    }

    /// Why there is nothing else to answer, to a person or to the page.
    pub(crate) fn refusal(refusal: &Refusal, reader: Reader) -> Self {
        let allow = match (refusal, reader) {
            (Refusal::Method, Reader::Person) => Some("GET, HEAD"),
            (Refusal::Method, Reader::Page) => Some("POST"),
            _ => None,
        };
        //= RFC 9110 section 15.5.2: "The server generating a 401 response MUST send a WWW-Authenticate header field"
        let challenge = (refusal.status() == 401).then_some(CHALLENGE);
        let allow = allow.map(|methods| ("allow", methods.to_owned()));
        let challenge = challenge.map(|scheme| ("www-authenticate", scheme.to_owned()));
        let (media, body) = match reader {
            Reader::Person => (HTML, pages::refused(refusal)),
            Reader::Page => (JSON, failed(&refusal.failure())),
        };
        Self {
            status: refusal.status(),
            media,
            more: allow.into_iter().chain(challenge).collect(),
            body: body.into_bytes().into(),
        }
    }

    /// The whole answer as it is sent.
    pub(crate) fn bytes(&self, manner: &Manner) -> Vec<u8> {
        let own = [("content-type", self.media)];
        let more = self.more.iter();
        let more = more.map(|(name, value)| (*name, value.as_str()));
        let always = ALWAYS
            .into_iter()
            .filter(|(name, _)| self.more.iter().all(|(other, _)| other != name));
        let headers = own.into_iter().chain(always).chain(more);
        let headers = headers.map(|(name, value)| Header {
            name,
            value: value.as_bytes(),
        });
        let headers: Vec<_> = headers.collect();
        let response = Response {
            status: self.status,
            reason: reason(self.status).as_bytes(),
            headers: &headers,
        };
        let length = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        let changes = ResponseChanges {
            headers: &[],
            own: &[],
            client: manner.version,
            keep_alive: manner.keep_alive,
        };
        let mut bytes = Vec::new();
        write_head(&mut bytes, &response, BodyFraming::Length(length), &changes);
        if !manner.head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// How one proves oneself here: by a link. No browser knows that, so that none asks for a password.
const CHALLENGE: &str = "Leno-Link realm=\"leno dashboard\"";

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// What is sent with what was built: it is compressed, and never another under its name.
const KEPT: [(&str, &str); 2] = [
    ("content-encoding", "gzip"),
    ("cache-control", "private, max-age=31536000, immutable"),
];

/// What every answer says: that it shows nothing of others, is shown by no other, and, unless it says
/// otherwise, is kept nowhere.
const ALWAYS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
