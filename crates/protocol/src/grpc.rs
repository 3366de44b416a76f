//! What gRPC says over HTTP/2: its own status, and how long a call may take.

use alloc::string::String;
use core::fmt::Write as _;
use core::time::Duration;

use crate::request::Request;

/// What an answer of gRPC is.
pub const CONTENT_TYPE: &str = "application/grpc";

/// The field that says what became of a call: a number, 0 if it went well.
pub const STATUS: &str = "grpc-status";

/// The field that says it in words.
pub const MESSAGE: &str = "grpc-message";

/// Whether it is a call of gRPC. `application/grpc-web` is something else, which HTTP/1.1 carries too.
pub fn is_call(request: &Request<'_>) -> bool {
    request.header("content-type").any(is_content_type)
}

/// Whether that is what a call of gRPC says of its content.
pub fn is_content_type(value: &[u8]) -> bool {
    let Some((start, rest)) = value.split_at_checked(CONTENT_TYPE.len()) else {
        return false;
    };
    let ends = matches!(rest.first(), None | Some(b'+' | b';' | b' '));
    ends && start.eq_ignore_ascii_case(CONTENT_TYPE.as_bytes())
}

/// The field that says how long the client of a call waits for its end.
pub const TIMEOUT: &str = "grpc-timeout";

/// How long that is.
//= gRPC over HTTP2, Requests: "TimeoutValue -> {positive integer as ASCII string of at most 8 digits}"
pub fn timeout_of(request: &Request<'_>) -> Option<Duration> {
    let value = request.header(TIMEOUT).next()?;
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = str::from_utf8(digits).ok()?.parse::<u64>().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number.saturating_mul(3600)),
        b'M' => Duration::from_secs(number.saturating_mul(60)),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The status that a call ended with, as its field says it.
pub fn status_in(value: &[u8]) -> Option<u16> {
    str::from_utf8(value).ok()?.parse().ok()
}

/// Words as `grpc-message` has them.
//= gRPC over HTTP2, Responses: "Percent-Encoded -> 1*(Percent-Byte-Unencoded / Percent-Byte-Encoded)"
pub fn message(words: &str) -> String {
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
    use super::*;
    use crate::head::HeadReader;
    use crate::headers::Fields;

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
