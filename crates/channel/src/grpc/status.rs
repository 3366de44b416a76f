//! How a call ends.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use h2::Reason;
use http::{HeaderMap, HeaderValue};

use crate::words::words;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// What kind of failure.
    pub code: StatusCode,
    /// The failure in words.
    pub message: String,
    /// What else the server said: a `google.rpc.Status`, in protobuf; often nothing. It is read, and
    /// never sent.
    pub details: Vec<u8>,
}

/// The kinds of failure, with their numbers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusCode {
    /// It was taken back.
    Cancelled = 1,
    /// Something without a number of its own.
    Unknown = 2,
    /// The message makes no sense.
    InvalidArgument = 3,
    /// It took too long.
    DeadlineExceeded = 4,
    /// What was asked for does not exist.
    NotFound = 5,
    /// What was to be made exists.
    AlreadyExists = 6,
    /// The caller may not have what it asked for.
    PermissionDenied = 7,
    /// Something is larger or more than it may be.
    ResourceExhausted = 8,
    /// It cannot be done as things stand.
    FailedPrecondition = 9,
    /// Something else came between.
    Aborted = 10,
    /// It goes beyond what there is.
    OutOfRange = 11,
    /// There is no such call.
    Unimplemented = 12,
    /// The server failed.
    Internal = 13,
    /// The other end cannot be reached, or goes away.
    Unavailable = 14,
    /// Something was lost for good.
    DataLoss = 15,
    /// The caller has not proven who it is.
    Unauthenticated = 16,
}

const ALL: [StatusCode; 16] = [
    StatusCode::Cancelled,
    StatusCode::Unknown,
    StatusCode::InvalidArgument,
    StatusCode::DeadlineExceeded,
    StatusCode::NotFound,
    StatusCode::AlreadyExists,
    StatusCode::PermissionDenied,
    StatusCode::ResourceExhausted,
    StatusCode::FailedPrecondition,
    StatusCode::Aborted,
    StatusCode::OutOfRange,
    StatusCode::Unimplemented,
    StatusCode::Internal,
    StatusCode::Unavailable,
    StatusCode::DataLoss,
    StatusCode::Unauthenticated,
];

impl Status {
    /// A failure of this kind, in words.
    pub fn new(code: StatusCode, message: impl ToString) -> Self {
        Self {
            code,
            message: message.to_string(),
            details: Vec::new(),
        }
    }

    pub(super) fn gone(error: &h2::Error) -> Self {
        let message = match (error.get_io(), error.reason()) {
            (Some(broken), _) => words(broken),
            (None, Some(Reason::CANCEL | Reason::NO_ERROR)) => {
                "the other end ended the call without a word".to_owned()
            }
            (None, _) => error.to_string(),
        };
        Self::new(StatusCode::Unavailable, message)
    }

    /// The headers or trailers that say so; `None` says that all went well.
    pub(super) fn write(status: Option<&Self>, headers: &mut HeaderMap) {
        let number = status.map_or(0, |status| status.code as u16);
        headers.insert(STATUS, HeaderValue::from(number));
        if let Some(status) = status {
            let message = escape(&status.message);
            let value = HeaderValue::try_from(message).expect("what is escaped is visible ASCII");
            headers.insert(MESSAGE, value);
        }
    }

    /// What headers or trailers say: nothing, that all went well, or a failure.
    pub(super) fn read(headers: &HeaderMap) -> Option<Result<(), Self>> {
        let number = headers
            .get(STATUS)?
            .to_str()
            .ok()
            .and_then(|text| text.parse::<u16>().ok());
        if number == Some(0) {
            return Some(Ok(()));
        }
        let code = ALL.into_iter().find(|code| number == Some(*code as u16));
        let bytes = |name| headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
        Some(Err(Self {
            code: code.unwrap_or(StatusCode::Unknown),
            message: unescape(bytes(MESSAGE)),
            details: BASE64.decode(bytes(DETAILS)).unwrap_or_default(),
        }))
    }
}

const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";
const DETAILS: &str = "grpc-status-details-bin";

/// As gRPC has it: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest message of a status that is sent, in bytes before escaping.
const LONGEST: usize = 2048;

/// Percent-encodes everything but visible ASCII and space.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes().take(LONGEST) {
        match byte {
            b'%' | 0..0x20 | 0x7f.. => escaped.push_str(&format!("%{byte:02X}")),
            visible => escaped.push(char::from(visible)),
        }
    }
    escaped
}

/// Undoes [`escape`]; what is not well escaped stays as it is.
fn unescape(mut text: &[u8]) -> String {
    let mut bytes = Vec::new();
    while let Some((first, rest)) = text.split_first() {
        let code = rest.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                text = rest.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                text = rest;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_as_it_was_written() {
        for message in ["", "it is 100 % Käse\n", "%zz", "plain"] {
            let status = Status::new(StatusCode::PermissionDenied, message);
            let mut headers = HeaderMap::new();
            Status::write(Some(&status), &mut headers);
            assert_eq!(Status::read(&headers), Some(Err(status)));
        }
        let mut headers = HeaderMap::new();
        assert_eq!(Status::read(&headers), None);
        Status::write(None, &mut headers);
        assert_eq!(Status::read(&headers), Some(Ok(())));
    }

    #[test]
    fn details_are_read_with_padding_or_without() {
        for text in ["Cgs", "Cgs="] {
            let mut headers = HeaderMap::new();
            headers.insert(STATUS, HeaderValue::from(14));
            headers.insert(DETAILS, HeaderValue::from_str(text).unwrap());
            let status = Status::read(&headers).unwrap().unwrap_err();
            assert_eq!(status.details, [10, 11], "{text}");
        }
    }

    #[test]
    fn a_call_that_is_broken_off_is_told_in_our_words() {
        let ended = "the other end ended the call without a word";
        assert_eq!(Status::gone(&Reason::CANCEL.into()).message, ended);
    }

    #[test]
    fn a_failure_of_a_kind_without_a_name_is_a_failure() {
        for number in ["17", "99", "x", "-1"] {
            let mut headers = HeaderMap::new();
            headers.insert(STATUS, HeaderValue::from_str(number).unwrap());
            let status = Status::read(&headers).unwrap().unwrap_err();
            assert_eq!(status.code, StatusCode::Unknown, "{number}");
        }
    }
}
