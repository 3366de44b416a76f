//! What gRPC says over HTTP/2: its own status, and how long a call may take.

use std::fmt::Write as _;
use std::time::Duration;

use leno_model::Code;
use leno_protocol::Request;

use crate::http::refuse::Reason;

/// What an answer of gRPC is.
pub(super) const CONTENT_TYPE: &str = "application/grpc";

/// The field that says what became of a call: a number, 0 if it went well.
pub(super) const STATUS: &str = "grpc-status";

/// The field that says it in words.
pub(super) const MESSAGE: &str = "grpc-message";

/// Whether it is a call of gRPC. `application/grpc-web` is something else, which HTTP/1.1 carries too.
pub(super) fn is_call(request: &Request<'_>) -> bool {
    let of_grpc = |value: &[u8]| {
        let (start, rest) = value.split_at_checked(CONTENT_TYPE.len())?;
        let ends = matches!(rest.first(), None | Some(b'+' | b';' | b' '));
        Some(ends && start.eq_ignore_ascii_case(CONTENT_TYPE.as_bytes()))
    };
    let mut types = request.header("content-type");
    types.any(|value| of_grpc(value) == Some(true))
}

/// How long the client of a call waits for its end.
//= gRPC over HTTP2, Requests: "TimeoutValue -> {positive integer as ASCII string of at most 8 digits}"
pub(super) fn timeout_of(request: &Request<'_>) -> Option<Duration> {
    let value = request.header("grpc-timeout").next()?;
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = str::from_utf8(digits).ok()?.parse::<u64>().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The status that a call ended with, as its field says it.
pub(super) fn status_in(value: &[u8]) -> Option<u16> {
    str::from_utf8(value).ok()?.parse().ok()
}

/// The status that a call is told which is answered here.
pub(super) fn status_of(reason: &Reason) -> u16 {
    match (reason.code, reason.status) {
        (Code::R023, _) => DEADLINE_EXCEEDED,
        //= GRPCRoute rules: "When no rules matching a request have been successfully attached to the
        //= parent a request is coming from, an UNIMPLEMENTED status code MUST be returned."
        (Code::R010, _) => UNIMPLEMENTED,
        //= GRPCRoute backendRefs: "When a GRPCBackendRef is invalid, UNAVAILABLE statuses MUST be
        //= returned for requests that would have otherwise been routed to an invalid backend."
        (Code::R011 | Code::R012, _) => UNAVAILABLE,
        (_, 408 | 429 | 502 | 503 | 504) => UNAVAILABLE,
        (_, 403) => PERMISSION_DENIED,
        (_, 404 | 501) => UNIMPLEMENTED,
        (_, 401) => UNAUTHENTICATED,
        (_, 414 | 431) => RESOURCE_EXHAUSTED,
        (_, 400 | 500) => INTERNAL,
        _ => UNKNOWN,
    }
}

const UNKNOWN: u16 = 2;
const DEADLINE_EXCEEDED: u16 = 4;
const PERMISSION_DENIED: u16 = 7;
const RESOURCE_EXHAUSTED: u16 = 8;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

/// Words as `grpc-message` has them.
//= gRPC over HTTP2, Responses: "Percent-Encoded -> 1*(Percent-Byte-Unencoded / Percent-Byte-Encoded)"
pub(super) fn message(words: &str) -> String {
    let mut encoded = String::with_capacity(words.len());
    for byte in words.bytes() {
        match byte {
            b'%' | 0..b' ' | 0x7f.. => {
                write!(encoded, "%{byte:02X}").expect("a String takes any text");
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use leno_protocol::{Fields, HeadReader};

    use super::*;

    fn with<T>(header: &str, look: impl FnOnce(&Request<'_>) -> T) -> T {
        let head = format!("POST /shop.Cart/Add HTTP/1.1\r\nHost: cart\r\n{header}\r\n\r\n");
        let mut fields = Fields::new();
        let read = HeadReader::default().request(head.as_bytes(), &mut fields);
        look(&read.unwrap().unwrap().request)
    }

    #[test]
    fn a_call_is_known_by_its_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC; charset=x", true),
            ("application/grpc-web", false),
            ("application/json", false),
            ("", false),
        ] {
            let is = with(&format!("content-type: {value}"), is_call);
            assert_eq!(is, expected, "{value}");
        }
    }

    #[test]
    fn a_timeout_is_a_number_and_a_unit() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("30S", Some(Duration::from_secs(30))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("0m", Some(Duration::ZERO)),
            ("123456789m", None),
            ("S", None),
            ("5", None),
            ("-5S", None),
            ("5s", None),
            ("", None),
        ] {
            let read = with(&format!("grpc-timeout: {value}"), timeout_of);
            assert_eq!(read, expected, "{value}");
        }
    }

    #[test]
    fn a_message_is_printable_ascii() {
        assert_eq!(
            message("no route, 50 % käse\n"),
            "no route, 50 %25 k%C3%A4se%0A"
        );
    }
}
