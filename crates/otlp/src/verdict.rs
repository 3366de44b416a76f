//! What a collector's answer means, as OTLP has it: taken, all or in part; later; or never.

use std::time::Duration;

use leno_channel::grpc::{Status, StatusCode};
use leno_fetch::NotFetched;
use leno_model::Code;
use prost::Message;

use crate::message;

/// What came of one try to send something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The collector took it, but for so many points, spans or lines; it may say why.
    Taken { rejected: u64, why: String },
    /// It may be tried again, no sooner than the collector said.
    Later {
        code: Code,
        why: String,
        after: Option<Duration>,
    },
    /// It would be refused again.
    Never { code: Code, why: String },
}

impl Verdict {
    /// The collector cannot be reached, or broke off.
    pub(crate) fn away(why: impl ToString) -> Self {
        Self::Later {
            code: Code::X001,
            why: why.to_string(),
            after: None,
        }
    }

    /// The collector was not asked, or did not answer.
    pub(crate) fn not_asked(why: NotFetched) -> Self {
        match why {
            NotFetched::Unusable(why) => Self::Later {
                code: Code::X003,
                why,
                after: None,
            },
            NotFetched::Away(_)
            | NotFetched::Late(_)
            | NotFetched::Garbled(_)
            | NotFetched::TooLong { .. }
            | NotFetched::Refused { .. } => Self::away(why),
        }
    }

    /// What a message that says yes says.
    pub(crate) fn of_message(bytes: &[u8]) -> Self {
        // What cannot be read was still a yes.
        let response = message::Response::decode(bytes).unwrap_or_default();
        let partial = response.partial_success.unwrap_or_default();
        Self::Taken {
            rejected: partial.rejected.try_into().unwrap_or(0),
            why: short(&partial.error_message),
        }
    }

    //= OTLP: "The client SHOULD interpret RESOURCE_EXHAUSTED code as retryable only if the server
    //= signals that the recovery from resource exhaustion is possible."
    pub(crate) fn of_status(status: &Status) -> Self {
        let after = delay(&status.details);
        let why = || short(&status.message);
        match status.code {
            StatusCode::Unavailable if after.is_none() => Self::away(why()),
            StatusCode::Cancelled
            | StatusCode::DeadlineExceeded
            | StatusCode::Aborted
            | StatusCode::OutOfRange
            | StatusCode::Unavailable
            | StatusCode::DataLoss => Self::later(why(), after),
            StatusCode::ResourceExhausted if after.is_some() => Self::later(why(), after),
            StatusCode::ResourceExhausted
            | StatusCode::Unknown
            | StatusCode::InvalidArgument
            | StatusCode::NotFound
            | StatusCode::AlreadyExists
            | StatusCode::PermissionDenied
            | StatusCode::FailedPrecondition
            | StatusCode::Unimplemented
            | StatusCode::Internal
            | StatusCode::Unauthenticated => Self::Never {
                code: Code::X002,
                why: format!("{:?}: {}", status.code, why()),
            },
        }
    }

    /// What an answer in HTTP says: its status, `Retry-After`, and its body.
    pub(crate) fn of_http(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let said = || {
            let status = format!("it answered {status}");
            // An error may come as a status of gRPC.
            match message::Status::decode(body) {
                Ok(said) if !said.message.is_empty() => {
                    format!("{status}: {}", short(&said.message))
                }
                _ => status,
            }
        };
        match status {
            200..300 => Self::of_message(body),
            429 | 502 | 503 | 504 => {
                let seconds = retry_after.and_then(|text| text.trim().parse().ok());
                Self::later(said(), seconds.map(Duration::from_secs))
            }
            _ => Self::Never {
                code: Code::X002,
                why: said(),
            },
        }
    }

    /// What a yes is that comes as a text for people: whoever says it is no collector.
    pub(crate) fn of_page(status: u16, kind: &str) -> Self {
        Self::Never {
            code: Code::X002,
            why: format!(
                "it answered {status} as {}, as no collector does",
                short(kind)
            ),
        }
    }

    fn later(why: String, after: Option<Duration>) -> Self {
        Self::Later {
            code: Code::X002,
            why,
            after,
        }
    }
}

/// When a server wants to hear of us again.
fn delay(details: &[u8]) -> Option<Duration> {
    let status = message::Status::decode(details).ok()?;
    let is_retry = |any: &&message::Any| any.type_url.ends_with("/google.rpc.RetryInfo");
    let any = status.details.iter().find(is_retry)?;
    let delay = message::RetryInfo::decode(&*any.value).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    let nanos = u32::try_from(delay.nanos).ok()?;
    Some(Duration::new(seconds, nanos.min(999_999_999)))
}

/// As much of a stranger's words as is told on, in one line.
fn short(text: &str) -> String {
    let visible = text.chars().map(|letter| match letter.is_control() {
        true => ' ',
        false => letter,
    });
    visible.take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rejected: u64, why: &str) -> Verdict {
        let why = why.to_owned();
        Verdict::Taken { rejected, why }
    }

    fn later(code: Code, why: &str, seconds: Option<u64>) -> Verdict {
        Verdict::Later {
            code,
            why: why.to_owned(),
            after: seconds.map(Duration::from_secs),
        }
    }

    fn never(why: &str) -> Verdict {
        Verdict::Never {
            code: Code::X002,
            why: why.to_owned(),
        }
    }

    fn wants(seconds: i64) -> Vec<u8> {
        let retry_delay = Some(message::Delay { seconds, nanos: 0 });
        let any = message::Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: message::RetryInfo { retry_delay }.encode_to_vec(),
        };
        let status = message::Status {
            message: "busy".to_owned(),
            details: vec![any],
        };
        status.encode_to_vec()
    }

    #[test]
    fn statuses_are_read_as_otlp_has_it() {
        let check = |code, details: Vec<u8>, expect| {
            let mut status = Status::new(code, "so\nit is");
            status.details = details;
            assert_eq!(Verdict::of_status(&status), expect, "{code:?}");
        };
        check(
            StatusCode::Unavailable,
            vec![],
            later(Code::X001, "so it is", None),
        );
        check(
            StatusCode::Unavailable,
            wants(7),
            later(Code::X002, "so it is", Some(7)),
        );
        check(
            StatusCode::ResourceExhausted,
            vec![],
            never("ResourceExhausted: so it is"),
        );
        check(
            StatusCode::ResourceExhausted,
            wants(3),
            later(Code::X002, "so it is", Some(3)),
        );
        check(
            StatusCode::ResourceExhausted,
            wants(-3),
            never("ResourceExhausted: so it is"),
        );
        check(
            StatusCode::Unauthenticated,
            vec![1, 2, 3],
            never("Unauthenticated: so it is"),
        );
    }

    #[test]
    fn answers_in_http_are_read_as_otlp_has_it() {
        let check = |status, retry_after, body: &[u8], expect| {
            assert_eq!(
                Verdict::of_http(status, retry_after, body),
                expect,
                "{status}"
            );
        };
        check(200, None, b"", taken(0, ""));
        let partial = message::Response {
            partial_success: Some(message::PartialSuccess {
                rejected: 3,
                error_message: "too old".to_owned(),
            }),
        };
        check(200, None, &partial.encode_to_vec(), taken(3, "too old"));
        check(202, None, b"\xff\xff", taken(0, ""));
        let busy = later(Code::X002, "it answered 429", Some(5));
        check(429, Some(" 5"), b"", busy);
        check(
            503,
            Some("soon"),
            &wants(1),
            later(Code::X002, "it answered 503: busy", None),
        );
        check(401, None, b"<html>", never("it answered 401"));
        check(301, None, b"", never("it answered 301"));
    }
}
