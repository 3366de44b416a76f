//! What a call of gRPC is told that is not carried.

use leno_model::Code;

/// The status of gRPC that a call is told which fails with `code`, and is told the status of HTTP
/// otherwise.
pub fn status_of(code: Code, status: u16) -> u16 {
    match (code, status) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_not_carried_is_told_why_in_the_words_of_grpc() {
        for (code, status, expected) in [
            (Code::R023, 504, DEADLINE_EXCEEDED),
            (Code::R010, 404, UNIMPLEMENTED),
            (Code::R011, 500, UNAVAILABLE),
            (Code::R003, 403, PERMISSION_DENIED),
            (Code::R015, 503, UNAVAILABLE),
            (Code::R036, 431, RESOURCE_EXHAUSTED),
            (Code::R030, 400, INTERNAL),
            (Code::R038, 501, UNIMPLEMENTED),
            (Code::R035, 417, UNKNOWN),
        ] {
            assert_eq!(status_of(code, status), expected, "{code}");
        }
    }
}
