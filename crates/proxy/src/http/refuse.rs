//! Answers of the proxy's own: why a call was not carried, for programs and for people.

use std::time::Duration;

use leno_model::view::HeaderChanges;
use leno_model::{CallId, Code, Fault, Origin};
use leno_protocol::{BodyFraming, Header, Refused, Response, ResponseChanges, Version, grpc};
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
}

impl Reason {
    /// What a call of gRPC is told.
    pub(super) fn grpc_status(&self) -> u16 {
        leno_traffic::grpc::status_of(self.code, self.status)
    }
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        Self {
            status: refusal.status(),
            code: refusal.code(),
            words: refusal.to_string(),
            origin: refusal.origin().cloned(),
            late: refusal.late(),
        }
    }
}

impl From<&Refused> for Reason {
    fn from(refused: &Refused) -> Self {
        Self {
            status: refused.status,
            code: refused.code,
            words: refused.to_string(),
            origin: None,
            late: None,
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
        if self.is_grpc {
            //= gRPC over HTTP2, Responses: "Trailers-Only is permitted for calls that produce an immediate error."
            let headers = [
                header("content-type", grpc::CONTENT_TYPE),
                header(grpc::STATUS, &grpc_status),
                header(grpc::MESSAGE, &grpc_message),
                proxy_status,
                error,
            ];
            let own = Own {
                status: 200,
                headers: &headers,
                framing: BodyFraming::None,
                body: "",
            };
            return own.send(client, worker, &changes).await;
        }
        let text = header("content-type", "text/plain; charset=utf-8");
        let own = Own {
            status: *status,
            headers: &[proxy_status, error, text],
            framing: BodyFraming::Length(body.len() as u64),
            body: if self.head_only { "" } else { &body },
        };
        own.send(client, worker, &changes).await
    }
}

/// An answer of our own, as it is sent.
pub(super) struct Own<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a [Header<'a>],
    /// How the body ends: that of an answer to HEAD, too.
    pub(super) framing: BodyFraming,
    pub(super) body: &'a str,
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
        match client
            .send_own(written, self.body.as_bytes(), worker.stalled)
            .await
        {
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
            Code::R002 | Code::R003 | Code::R004 | Code::R007 | Code::R010 | Code::T005 => {
                "http_request_denied"
            }
            _ => "http_request_error",
        },
        _ => "proxy_internal_error",
    }
}
