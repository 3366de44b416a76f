//! What is said about what is spoken on a port: by its `appProtocol`, its name or its number. Each of
//! them may say nothing.

use leno_model::near;
use leno_model::view::Protocol;

/// What a port's name says, alone or before a dash: `http`, `grpc-admin`.
pub(crate) fn by_name(name: Option<&str>) -> Option<Protocol> {
    let name = name?;
    let said = |(word, protocol): &(&str, Protocol)| {
        let rest = name.strip_prefix(word)?;
        (rest.is_empty() || rest.starts_with('-')).then_some((word.len(), *protocol))
    };
    // `grpc-web` is a word of its own, and longer than `grpc`.
    let longest = WORDS
        .iter()
        .filter_map(said)
        .max_by_key(|(length, _)| *length);
    longest.map(|(_, protocol)| protocol)
}

/// What a Service port's `appProtocol` says, in any case of letters; else what it may have meant.
pub(crate) fn by_app_protocol(written: &str) -> Result<Protocol, Option<&'static str>> {
    let known = || WORDS.iter().chain(&APP_PROTOCOLS);
    let said = known().find(|(word, _)| word.eq_ignore_ascii_case(written));
    if let Some((_, protocol)) = said {
        return Ok(*protocol);
    }
    //= ServicePort appProtocol: "Other protocols should use implementation-defined prefixed names such
    //= as mycompany.com/my-custom-protocol."
    let is_foreign = |(domain, _): (&str, &str)| domain.contains('.') && !OURS.contains(&domain);
    if written.split_once('/').is_some_and(is_foreign) {
        return Ok(Protocol::Tcp);
    }
    Err(near::nearest(written, known().map(|(word, _)| *word)))
}

/// What a port of this number is where nobody says it: bytes, if its server is known to speak first, or in
/// a protocol that is not read.
pub(crate) fn by_number(number: u16) -> Option<Protocol> {
    OPAQUE.contains(&number).then_some(Protocol::Tcp)
}

/// What is meant where several say something: requests are read if anybody says so, and where they do
/// not agree about the version, in both.
pub(crate) fn both(one: Protocol, other: Protocol) -> Protocol {
    match (one.is_http(), other.is_http()) {
        (true, true) if one != other => Protocol::Http,
        (true, _) => one,
        (false, true) => other,
        (false, false) if one == Protocol::Detect => other,
        (false, false) if other == Protocol::Detect || one == other => one,
        (false, false) => Protocol::Tcp,
    }
}

/// The words for protocols, in port names and in `appProtocol`.
const WORDS: [(&str, Protocol); 23] = [
    ("amqp", Protocol::Tcp),
    ("grpc", Protocol::Grpc),
    // It is made for HTTP/1.1, as browsers speak it.
    ("grpc-web", Protocol::Http),
    ("h2c", Protocol::Http2),
    ("http", Protocol::Http),
    ("http2", Protocol::Http2),
    ("https", Protocol::Tls),
    ("kafka", Protocol::Tcp),
    ("ldap", Protocol::Tcp),
    ("memcache", Protocol::Tcp),
    ("memcached", Protocol::Tcp),
    ("mongo", Protocol::Tcp),
    ("mongodb", Protocol::Tcp),
    ("mysql", Protocol::Tcp),
    ("nats", Protocol::Tcp),
    ("postgres", Protocol::Tcp),
    ("postgresql", Protocol::Tcp),
    ("redis", Protocol::Tcp),
    ("smtp", Protocol::Tcp),
    ("ssh", Protocol::Tcp),
    ("tcp", Protocol::Tcp),
    ("tls", Protocol::Tls),
    ("ws", Protocol::Http1),
];

/// The words that stand in `appProtocol` alone.
const APP_PROTOCOLS: [(&str, Protocol); 5] = [
    ("http/1.1", Protocol::Http1),
    ("http/2", Protocol::Http2),
    //= ServicePort appProtocol: "'kubernetes.io/h2c' - HTTP/2 prior knowledge over cleartext"
    ("kubernetes.io/h2c", Protocol::Http2),
    //= ServicePort appProtocol: "'kubernetes.io/ws' - WebSocket over cleartext"
    ("kubernetes.io/ws", Protocol::Http1),
    //= ServicePort appProtocol: "'kubernetes.io/wss' - WebSocket over TLS"
    ("kubernetes.io/wss", Protocol::Tls),
];

/// The domains whose names we know all of.
const OURS: [&str; 2] = ["kubernetes.io", "leno.dev"];

/// FTP, SSH, SMTP, POP3, IMAP, submission, MySQL, PostgreSQL, AMQP, Redis, Memcached, MongoDB.
const OPAQUE: [u16; 12] = [
    21, 22, 25, 110, 143, 587, 3306, 5432, 5672, 6379, 11211, 27017,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_spoken_by_its_first_part() {
        for (name, expect) in [
            ("http", Some(Protocol::Http)),
            ("http-admin", Some(Protocol::Http)),
            ("http2", Some(Protocol::Http2)),
            ("http2-admin", Some(Protocol::Http2)),
            ("https", Some(Protocol::Tls)),
            ("httpish", None),
            ("tcp-db", Some(Protocol::Tcp)),
            ("grpc", Some(Protocol::Grpc)),
            ("grpc-shop", Some(Protocol::Grpc)),
            ("grpc-web", Some(Protocol::Http)),
            ("grpc-web-shop", Some(Protocol::Http)),
            ("redis-cache", Some(Protocol::Tcp)),
            ("web", None),
        ] {
            assert_eq!(by_name(Some(name)), expect, "{name}");
        }
        assert_eq!(by_name(None), None);
    }

    #[test]
    fn an_app_protocol_is_a_word_in_any_case_or_of_a_known_domain() {
        for (written, expect) in [
            ("http", Ok(Protocol::Http)),
            ("HTTP2", Ok(Protocol::Http2)),
            ("http/1.1", Ok(Protocol::Http1)),
            ("kubernetes.io/h2c", Ok(Protocol::Http2)),
            ("kubernetes.io/ws", Ok(Protocol::Http1)),
            ("kubernetes.io/wss", Ok(Protocol::Tls)),
            ("kubernetes.io/h3", Err(Some("kubernetes.io/h2c"))),
            ("example.com/chess", Ok(Protocol::Tcp)),
            ("grcp", Err(Some("grpc"))),
            ("xmpp-client", Err(None)),
        ] {
            assert_eq!(by_app_protocol(written), expect, "{written}");
        }
    }

    #[test]
    fn what_two_say_is_the_same_from_either_side() {
        use Protocol::{Detect, Grpc, Http, Http1, Http2, Tcp, Tls};
        for (one, other, expect) in [
            (Http2, Http2, Http2),
            (Http1, Http2, Http),
            (Grpc, Tcp, Grpc),
            (Tls, Detect, Tls),
            (Tls, Tcp, Tcp),
            (Detect, Detect, Detect),
        ] {
            assert_eq!(both(one, other), expect, "{one} {other}");
            assert_eq!(both(other, one), expect, "{other} {one}");
        }
    }
}
