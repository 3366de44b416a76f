//! Answers of the proxy's own: why a call was not carried, for programs and for people.

use std::time::Duration;

use leno_authorizer::Refused;
use leno_model::view::HeaderChanges;
use leno_model::{CallId, Code, Fault, Origin};
use leno_protocol::{BodyFraming, Header, Response, ResponseChanges, Version, grpc};
use leno_traffic::{Refusal, Timed};

use crate::http::client::Client;
use crate::http::{After, Why};
use crate::tunnel::LENO_ERROR;
use crate::worker::Worker;

/// Why a call is answered here.
pub(super) struct Reason {
    pub(super) status: u16,
    pub(super) code: Code,
    /// One sentence, beginning in lower case, without its full stop.
    pub(super) words: String,
    /// Which part of the configuration said so.
    pub(super) origin: Option<Origin>,
    /// The time that passed, if it is that.
    pub(super) late: Option<(Timed, Duration)>,
    /// What the client is told beside that.
    pub(super) more: Option<Box<More>>,
}

/// What a client is told beside why its call is answered here.
pub(super) enum More {
    /// How it could prove itself.
    Challenge(String),
    /// What an external authorizer says.
    Said(Refused),
}

impl Reason {
    /// One without words, with this status.
    pub(super) fn new(status: u16, code: Code) -> Self {
        Self {
            status,
            code,
            words: String::new(),
            origin: None,
            late: None,
            more: None,
        }
    }

    /// What a call of gRPC is told.
    pub(super) fn grpc_status(&self) -> u16 {
        leno_traffic::grpc::status_of(self.code, self.status)
    }
}

impl More {
    fn of(refusal: &Refusal) -> Option<Self> {
        let said = refusal.said_by_authorizer().cloned().map(Self::Said);
        said.or_else(|| refusal.challenge().map(Self::Challenge))
    }
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        Self {
            words: refusal.to_string(),
            origin: refusal.origin().cloned(),
            late: refusal.late(),
            more: More::of(refusal).map(Box::new),
            ..Self::new(refusal.status(), refusal.code())
        }
    }
}

impl From<&leno_protocol::Refused> for Reason {
    fn from(refused: &leno_protocol::Refused) -> Self {
        Self {
            words: refused.to_string(),
            ..Self::new(refused.status, refused.code)
        }
    }
}

/// Who answers whom about what.
pub(super) struct Answer<'a> {
    /// The workload whose proxy this is.
    pub(super) proxy_of: &'a str,
    /// The call.
    pub(super) id: CallId,
    /// What was asked, in words: `web may not POST /charge on payments`.
    pub(super) asked: &'a str,
    /// What the client speaks.
    pub(super) version: Version,
    /// Whether the request was HEAD, whose answer has no body.
    pub(super) head_only: bool,
    /// Whether the client is one of gRPC, which reads its own status and no body.
    pub(super) is_grpc: bool,
    /// Whether another request may follow.
    pub(super) keep_alive: bool,
    /// Headers that it has beside its own.
    pub(super) headers: &'a HeaderChanges,
}

impl Answer<'_> {
    /// Sends the answer.
    pub(super) async fn send(&self, client: Client<'_>, worker: &Worker, reason: &Reason) -> After {
        let Self {
            proxy_of,
            id,
            asked,
            ..
        } = self;
        let Reason {
            status,
            code,
            words,
            origin,
            ..
        } = reason;
        let slug = code.slug();
        let fault = code.fault();
        let verdict = match fault {
            Fault::Caller => "Leno refused this call",
            Fault::Service | Fault::Configuration | Fault::Mesh => "This call failed",
        };
        let place = origin.as_ref().map(|origin| format!(" ({origin})"));
        let body = format!(
            "{verdict}: {asked}.\n{}{}.  Ask: leno why {id}\n",
            capitalised(words),
            place.unwrap_or_default()
        );
        let error = proxy_error(*code);
        let status_line = format!("leno; error={error}; details=\"{code} {slug}\"");
        let leno_error = format!("{code} {slug}; by=proxy-of-{proxy_of}; fault={fault}; id={id}");
        let (grpc_status, grpc_message) = (reason.grpc_status().to_string(), grpc::message(words));
        let proxy_status = header("proxy-status", &status_line);
        let error = header(LENO_ERROR, &leno_error);
        let changes = ResponseChanges {
            headers: &[self.headers],
            own: &[],
            client: self.version,
            keep_alive: self.keep_alive,
        };
        let (challenge, said) = match reason.more.as_deref() {
            Some(More::Challenge(challenge)) => (Some(challenge), None),
            Some(More::Said(said)) => (None, Some(said)),
            None => (None, None),
        };
        let said_headers = said.iter().flat_map(|said| &said.headers);
        let said_headers = said_headers.map(|(name, value)| header(name, value));
        if self.is_grpc {
            //= gRPC over HTTP2, Responses: "Trailers-Only is permitted for calls that produce an immediate error."
            let mut headers = vec![
                header("content-type", grpc::CONTENT_TYPE),
                header(grpc::STATUS, &grpc_status),
                header(grpc::MESSAGE, &grpc_message),
                proxy_status,
                error,
            ];
            headers.extend(said_headers.filter(|said| !is_of_grpc(said.name)));
            let own = Own {
                status: 200,
                headers: &headers,
                framing: BodyFraming::None,
                body: &[],
            };
            return own.send(client, worker, &changes).await;
        }
        let mut headers = vec![proxy_status, error];
        if let Some(challenge) = challenge {
            headers.push(header("www-authenticate", challenge));
        }
        headers.extend(said_headers);
        // Who says nothing more than no leaves the words to us.
        let body = match said.filter(|said| !said.body.is_empty() || says_more(said)) {
            Some(said) => &said.body,
            None => {
                headers.retain(|it| it.name != "content-type");
                headers.push(header("content-type", "text/plain; charset=utf-8"));
                body.as_bytes()
            }
        };
        let own = Own {
            status: *status,
            headers: &headers,
            framing: BodyFraming::Length(body.len() as u64),
            body: if self.head_only { &[] } else { body },
        };
        own.send(client, worker, &changes).await
    }
}

/// Whether an answer without a body is meant to have none: it sends the client elsewhere.
fn says_more(said: &Refused) -> bool {
    (300..400).contains(&said.status)
}

/// Whether a header would say something else to a client of gRPC than we do.
fn is_of_grpc(name: &str) -> bool {
    name == "content-type" || name.starts_with("grpc-")
}

/// An answer of our own, as it is sent.
pub(super) struct Own<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a [Header<'a>],
    /// How the body ends: that of an answer to HEAD, too.
    pub(super) framing: BodyFraming,
    pub(super) body: &'a [u8],
}

impl Own<'_> {
    /// Sends it; says what may follow.
    pub(super) async fn send(
        self,
        mut client: Client<'_>,
        worker: &Worker,
        changes: &ResponseChanges<'_>,
    ) -> After {
        let response = Response {
            status: self.status,
            reason: reason_phrase(self.status).as_bytes(),
            headers: self.headers,
        };
        let mut written = client.paper(worker.buffers.lend());
        written.write(&response, None, self.framing, changes);
        match client.send_own(written, self.body, worker.stalled).await {
            Ok(()) if changes.keep_alive => After::Next(None),
            Ok(()) => After::Close,
            Err(_gone) => After::Cut(Why::Gone),
        }
    }
}

/// One header of an answer of our own.
pub(super) fn header<'a>(name: &'a str, value: &'a str) -> Header<'a> {
    Header {
        name,
        value: value.as_bytes(),
    }
}

/// The words as a sentence begins. A name (`mTLS`, `shop/cart:8080`) stays as it is.
fn capitalised(words: &str) -> String {
    let first = words.split(' ').next().unwrap_or_default();
    if !first.chars().all(|letter| letter.is_ascii_lowercase()) {
        return words.to_owned();
    }
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// The words of RFC 9110 section 15 for the statuses that a proxy answers with.
pub(super) fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// The error type of RFC 9209 section 2.3 that says the same in fewer words.
fn proxy_error(code: Code) -> &'static str {
    match code {
        Code::R001 | Code::R016 => "destination_not_found",
        Code::R018 => "proxy_loop_detected",
        Code::R019 => "dns_error",
        Code::R015 | Code::R013 | Code::R014 => "destination_unavailable",
        Code::R020 => "connection_refused",
        Code::R021 => "connection_timeout",
        Code::R022 | Code::R026 => "connection_terminated",
        Code::R023 => "http_response_timeout",
        Code::R054 => "connection_write_timeout",
        Code::R024 => "http_protocol_error",
        Code::R056 => "http_upgrade_failed",
        Code::R025 => "tls_protocol_error",
        Code::R027 => "destination_ip_unroutable",
        Code::R040 | Code::R041 | Code::R043 | Code::R050 | Code::R051 | Code::H004 => {
            "connection_limit_reached"
        }
        _ if code.fault() == Fault::Caller => match code {
            Code::R002
            | Code::R003
            | Code::R004
            | Code::R061
            | Code::R062
            | Code::R064
            | Code::R007
            | Code::R010
            | Code::T005 => "http_request_denied",
            _ => "http_request_error",
        },
        _ => "proxy_internal_error",
    }
}
