//! A request for another protocol where client and server speak different versions of HTTP: what is `Upgrade` and 101
//! at one end is an extended CONNECT and 200 at the other, and the handshake of WebSocket, which only the one end
//! has, is made and judged between them (RFC 8441 section 5).

use std::net::SocketAddr;

use leno_model::CallId;
use leno_protocol::{
    BodyFraming, Flaw, Header, Refused, Request, RequestHead, Response, ResponseHead, Version,
    websocket,
};
use leno_traffic::{NoSwitch, Refusal};
use tokio::time::timeout;

use crate::http::attempt::{Attempt, Tried};
use crate::http::http2::shared::Connection;
use crate::http::refuse::Reason;
use crate::http::waiting::Waiting;

/// The protocol that is asked for.
pub(super) struct Switch<'a> {
    protocol: &'a str,
    /// How a server answers the key of WebSocket's handshake, if it is that.
    accept: Option<[u8; 28]>,
}

impl<'a> Switch<'a> {
    /// What the call `id` asks for, if it asks for a protocol.
    pub(super) fn of(head: &RequestHead<'a>, id: CallId) -> Option<Self> {
        let protocol = head.protocol()?;
        let accept = match head.version {
            Version::Http2 => made_key(head, id).map(|key| websocket::accept(&key)),
            Version::Http10 | Version::Http11 => sent_key(head).map(websocket::accept),
        };
        Some(Self { protocol, accept })
    }

    /// The answer of a server that speaks HTTP/1.1, for a client that speaks HTTP/2. `room` is for its headers.
    pub(super) fn in_http2<'r>(
        &self,
        answer: &ResponseHead<'r>,
        room: &'r mut Vec<Header<'r>>,
    ) -> Result<Response<'r>, NoSwitch> {
        let response = answer.response;
        match (answer.body, response.status) {
            (BodyFraming::Tunnel, _) => {}
            (_, status @ 200..=299) => return Err(NoSwitch::Stayed(status)),
            (_, _) => return Ok(response),
        }
        let mut named = response.header("upgrade");
        if !named.all(|name| name.eq_ignore_ascii_case(self.protocol.as_bytes())) {
            return Err(NoSwitch::ToAnother);
        }
        if let Some(accept) = &self.accept {
            //= RFC 6455 section 4.1: "If the response lacks a |Sec-WebSocket-Accept| header field or the |Sec-WebSocket-Accept| contains a value other than [..] the client MUST _Fail the WebSocket Connection_."
            let mut accepts = response.header(websocket::ACCEPT);
            if accepts.next() != Some(accept) || accepts.next().is_some() {
                return Err(NoSwitch::Unproven);
            }
        }
        room.extend(without_accept(&response));
        Ok(Response {
            status: 200,
            reason: b"OK",
            headers: room,
        })
    }

    /// The answer of a server that speaks HTTP/2, for a client that speaks HTTP/1.1. `room` is for its headers.
    pub(super) fn in_http1<'r>(
        &'r self,
        answer: &ResponseHead<'r>,
        room: &'r mut Vec<Header<'r>>,
    ) -> Response<'r> {
        let response = answer.response;
        if answer.body != BodyFraming::Tunnel {
            return response;
        }
        room.push(Header {
            name: "upgrade",
            value: self.protocol.as_bytes(),
        });
        room.extend(self.accept.as_ref().map(|accept| Header {
            name: websocket::ACCEPT,
            value: accept,
        }));
        room.extend(without_accept(&response));
        Response {
            status: 101,
            reason: b"Switching Protocols",
            headers: room,
        }
    }
}

/// Sees to it that a server of HTTP/2 can be asked for another protocol over `connection`.
pub(super) async fn may_ask(
    asked: &RequestHead<'_>,
    attempt: &Attempt<'_>,
    connection: &Connection,
    waiting: &mut Waiting<'_>,
) -> Result<(), Tried> {
    let endpoint = attempt.hop.target.address;
    let refused = |why| Err(not_switched(endpoint, why));
    if asked.request.method != "GET" {
        return refused(NoSwitch::Method);
    }
    let is_old = asked.version != Version::Http2;
    if is_old && is_websocket(asked) && sent_key(asked).is_none() {
        let reason = Reason::from(&Refused::request(Flaw::WebSocketKey));
        return Err(Tried::Hopeless(reason, None));
    }
    let offered = timeout(attempt.connect_limit, connection.offers_protocols());
    match waiting.meanwhile(offered).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false) | Err(_)) => refused(NoSwitch::NotOffered),
        Err(over) => Err(Tried::over(&over)),
    }
}

/// What a try has come to at whose end nobody switched.
pub(super) fn not_switched(endpoint: SocketAddr, why: NoSwitch) -> Tried {
    let reason = Reason::from(&Refusal::NotSwitched { endpoint, why });
    Tried::Hopeless(reason, None)
}

/// The key that a server of HTTP/1.1 is sent for a client of HTTP/2, which has none.
pub(super) fn made_key(asked: &RequestHead<'_>, id: CallId) -> Option<[u8; 24]> {
    let is_made = asked.version == Version::Http2 && is_websocket(asked);
    is_made.then(|| websocket::key(id.number().to_be_bytes()))
}

/// The key that a client of HTTP/1.1 has sent.
fn sent_key<'a>(asked: &RequestHead<'a>) -> Option<&'a [u8]> {
    let Request { headers, .. } = asked.request;
    let is_key = |header: &&Header<'_>| header.name.eq_ignore_ascii_case(websocket::KEY);
    let mut keys = headers.iter().filter(is_key).map(|header| header.value);
    let key = keys.next().filter(|key| websocket::is_key(key));
    key.filter(|_| keys.next().is_none() && is_websocket(asked))
}

fn is_websocket(asked: &RequestHead<'_>) -> bool {
    let protocol = asked.protocol();
    protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(websocket::PROTOCOL))
}

fn without_accept<'r>(response: &Response<'r>) -> impl Iterator<Item = Header<'r>> {
    let is_other = |header: &Header<'_>| !header.name.eq_ignore_ascii_case(websocket::ACCEPT);
    response.headers.iter().copied().filter(is_other)
}

#[cfg(test)]
mod tests {
    use leno_protocol::{Fields, HeadReader};

    use super::*;

    /// The client's request, in HTTP/1.1 or as the fields of HTTP/2, read.
    fn asked<'f, 'a: 'f>(text: &'a str, room: &'f mut Fields<'a>) -> RequestHead<'f> {
        let mut reader = HeadReader::default();
        if text.starts_with("GET") {
            return reader.request(text.as_bytes(), room).unwrap().unwrap();
        }
        let pseudo = leno_protocol::Pseudo {
            method: "CONNECT",
            scheme: Some("http"),
            authority: Some("cart"),
            path: Some("/chat"),
            protocol: Some(text),
        };
        let block = leno_protocol::Block {
            fields: std::iter::empty(),
            ended: false,
        };
        reader.http2_request(&pseudo, block, room).unwrap()
    }

    /// What a client of the other version reads of such an answer.
    fn check(asks: &str, answers: &str, expect: &str) {
        let (mut room, mut fields, mut headers) = (Fields::new(), Fields::new(), Vec::new());
        let head = asked(asks, &mut room);
        let switch = Switch::of(&head, CallId::of_number(7)).unwrap();
        let mut reader = HeadReader::default();
        let turned = match head.version {
            Version::Http2 => {
                let answer = reader.response(answers.as_bytes(), &mut fields, head.asked());
                switch.in_http2(&answer.unwrap().unwrap(), &mut headers)
            }
            Version::Http10 | Version::Http11 => {
                let block = leno_protocol::Block {
                    fields: [("x-a", &b"b"[..]), (websocket::ACCEPT, b"forged")].into_iter(),
                    ended: false,
                };
                let status = answers.parse().unwrap();
                let answer =
                    reader.http2_response((status, "OK"), block, head.asked(), &mut fields);
                Ok(switch.in_http1(&answer.unwrap(), &mut headers))
            }
        };
        let told = match turned {
            Ok(response) => {
                let told = |header: &Header<'_>| {
                    format!(" {}: {}", header.name, header.value.escape_ascii())
                };
                let headers: String = response.headers.iter().map(told).collect();
                format!("{}{headers}", response.status)
            }
            Err(why) => why.to_string(),
        };
        assert_eq!(told, expect, "{asks} {answers}");
    }

    #[test]
    fn an_answer_in_http1_is_judged_before_it_opens_a_stream_of_http2() {
        let accept = websocket::accept(&websocket::key(7u128.to_be_bytes()));
        let accept = str::from_utf8(&accept).unwrap();
        let to = |protocol: &str, rest: &str| {
            format!("HTTP/1.1 101 Go\r\nUpgrade: {protocol}\r\nConnection: upgrade\r\n{rest}\r\n")
        };
        let unproven = NoSwitch::Unproven.to_string();
        let accepts = |value: &str| to("WebSocket", &format!("Sec-WebSocket-Accept: {value}\r\n"));
        check("websocket", &accepts(accept), "200 Upgrade: WebSocket");
        check(
            "websocket",
            &accepts("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            &unproven,
        );
        check("websocket", &to("websocket", ""), &unproven);
        let twice = format!("Sec-WebSocket-Accept: {accept}\r\n").repeat(2);
        check("websocket", &to("websocket", &twice), &unproven);
        check(
            "websocket",
            &to("chat", ""),
            &NoSwitch::ToAnother.to_string(),
        );
        check(
            "chat/2",
            &to("chat/2", "X-A: b\r\n"),
            "200 Upgrade: chat/2 X-A: b",
        );
        for status in [200, 204, 206] {
            let answer = format!("HTTP/1.1 {status} OK\r\n\r\n");
            check("websocket", &answer, &NoSwitch::Stayed(status).to_string());
        }
        check(
            "websocket",
            "HTTP/1.1 403 No\r\nX-A: b\r\n\r\n",
            "403 X-A: b",
        );
    }

    #[test]
    fn an_answer_in_http2_is_told_with_the_proof_that_http1_wants() {
        const ASKS: &str = "GET / HTTP/1.1\r\nHost: cart\r\nConnection: upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        check(
            ASKS,
            "200",
            "101 upgrade: websocket sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= x-a: b",
        );
        check(ASKS, "404", "404 x-a: b sec-websocket-accept: forged");
    }
}
