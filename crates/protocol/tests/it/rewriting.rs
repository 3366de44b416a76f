//! Heads as they are passed on.

use leno_model::view::HeaderChanges;
use leno_protocol::{
    Asked, BodyFraming, Fields, HeadReader, NewPath, Own, RequestChanges, ResponseChanges, Version,
    write_request, write_response,
};

/// What is sent to the server for a head of these lines.
fn request(lines: &[&str], changes: &RequestChanges<'_>) -> Vec<String> {
    let bytes = head(lines);
    let mut fields = Fields::new();
    let head = HeadReader::default()
        .request(bytes.as_bytes(), &mut fields)
        .unwrap()
        .unwrap();
    let mut out = b"before".to_vec();
    write_request(&mut out, &head.request, head.body, changes);
    lines_of(&out[6..])
}

/// What is sent to the client for a head of these lines, with the body as it came or as `body`.
fn response(
    lines: &[&str],
    body: Option<BodyFraming>,
    asked: Asked,
    changes: &ResponseChanges<'_>,
) -> Vec<String> {
    let bytes = head(lines);
    let mut fields = Fields::new();
    let head = HeadReader::default()
        .response(bytes.as_bytes(), &mut fields, asked)
        .unwrap()
        .unwrap();
    let mut out = Vec::new();
    write_response(&mut out, &head.response, body.unwrap_or(head.body), changes);
    lines_of(&out)
}

fn head(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| format!("{line}\r\n"))
        .collect::<String>()
        + "\r\n"
}

fn lines_of(written: &[u8]) -> Vec<String> {
    let text = String::from_utf8(written.to_vec()).unwrap();
    let lines = text
        .strip_suffix("\r\n\r\n")
        .expect("an empty line at the end");
    lines.split("\r\n").map(str::to_owned).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(std::sync::Arc<str>, std::sync::Arc<str>)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn names(names: &[&str]) -> Vec<std::sync::Arc<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

const STAYS: ResponseChanges<'_> = ResponseChanges {
    headers: &[],
    own: &[],
    client: Version::Http11,
    keep_alive: true,
};

#[test]
fn what_does_not_change_is_passed_on_as_it_came() {
    let lines = [
        "POST /a%20b?c HTTP/1.1",
        "hOST: Cart:80",
        "X-b: 1",
        "x-B: 2",
        "Content-Length: 3",
    ];
    assert_eq!(request(&lines, &RequestChanges::default()), lines);
}

#[test]
fn what_concerns_one_connection_is_not_passed_on() {
    let lines = [
        "GET / HTTP/1.0",
        "Host: cart",
        "Connection: keep-alive, x-hop",
        "Keep-Alive: 5",
        "X-Hop: 1",
        "X: 2",
    ];
    assert_eq!(
        request(&lines, &RequestChanges::default()),
        ["GET / HTTP/1.1", "Host: cart", "X: 2"]
    );
}

#[test]
fn chunks_an_upgrade_and_trailers_are_said_anew() {
    let lines = [
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked",
        "Host: cart",
        "X: y",
    ];
    let passed = [
        "POST / HTTP/1.1",
        "Host: cart",
        "X: y",
        "Transfer-Encoding: chunked",
    ];
    assert_eq!(request(&lines, &RequestChanges::default()), passed);
    let lines = [
        "GET / HTTP/1.1",
        "Connection: TE, Upgrade",
        "Host: cart",
        "Upgrade: websocket",
        "TE: trailers",
    ];
    let passed = [
        "GET / HTTP/1.1",
        "Host: cart",
        "Upgrade: websocket",
        "TE: trailers",
        "Connection: upgrade, te",
    ];
    assert_eq!(request(&lines, &RequestChanges::default()), passed);
}

#[test]
fn targets_of_all_forms_are_passed_on() {
    let first =
        |line: &str, host: &str| request(&[line, host], &RequestChanges::default())[0].clone();
    assert_eq!(
        first("GET http://cart/a?b HTTP/1.1", "Host: cart"),
        "GET /a?b HTTP/1.1"
    );
    assert_eq!(
        first("OPTIONS http://cart HTTP/1.1", "Host: cart"),
        "OPTIONS * HTTP/1.1"
    );
    assert_eq!(
        first("OPTIONS * HTTP/1.1", "Host: cart"),
        "OPTIONS * HTTP/1.1"
    );
    assert_eq!(
        first("CONNECT cart:80 HTTP/1.1", "Host: cart:80"),
        "CONNECT cart:80 HTTP/1.1"
    );
    assert_eq!(
        first("CONNECT cart:80 HTTP/1.1", "Host: cart"),
        "CONNECT cart:80 HTTP/1.1"
    );
}

#[test]
fn host_and_path_are_rewritten_and_the_query_stays() {
    let changes = RequestChanges {
        host: Some("cart-v2.shop"),
        path: Some(NewPath::prefix("/items/7", "/items", "/v2")),
        ..RequestChanges::default()
    };
    let lines = ["GET /items/7?a=b HTTP/1.1", "X: 1", "HOST: cart", "Y: 2"];
    assert_eq!(
        request(&lines, &changes),
        [
            "GET /v2/7?a=b HTTP/1.1",
            "X: 1",
            "HOST: cart-v2.shop",
            "Y: 2"
        ]
    );
}

#[test]
fn changes_set_add_and_remove() {
    let rule = HeaderChanges {
        set: pairs(&[("X-Set", "1"), ("X-New", "2")]),
        add: pairs(&[("X-Add", "3"), ("X-Set", "4")]),
        remove: names(&["x-gone"]),
    };
    let lines = [
        "GET / HTTP/1.1",
        "Host: cart",
        "x-set: a",
        "X-Set: b",
        "X-Add: c",
        "X-GONE: d",
        "X-Stay: e",
    ];
    let changes = RequestChanges {
        headers: &[&rule],
        ..RequestChanges::default()
    };
    let passed = [
        "GET / HTTP/1.1",
        "Host: cart",
        "X-Add: c",
        "X-Stay: e",
        "X-Set: 1",
        "X-New: 2",
        "X-Add: 3",
        "X-Set: 4",
    ];
    assert_eq!(request(&lines, &changes), passed);
}

#[test]
fn each_list_of_changes_applies_to_what_the_one_before_it_left() {
    let first = HeaderChanges {
        set: pairs(&[("A", "1"), ("B", "1")]),
        add: pairs(&[("C", "1"), ("D", "1")]),
        remove: names(&["b"]),
    };
    let second = HeaderChanges {
        set: pairs(&[("c", "2")]),
        add: pairs(&[("A", "2")]),
        remove: names(&["d"]),
    };
    let lines = [
        "GET / HTTP/1.1",
        "Host: cart",
        "A: 0",
        "B: 0",
        "C: 0",
        "D: 0",
    ];
    let changes = RequestChanges {
        headers: &[&first, &second],
        ..RequestChanges::default()
    };
    assert_eq!(
        request(&lines, &changes),
        ["GET / HTTP/1.1", "Host: cart", "A: 1", "c: 2", "A: 2"]
    );
}

#[test]
fn changes_do_not_reach_framing_host_and_the_mesh() {
    let rule = HeaderChanges {
        set: pairs(&[
            ("Host", "web"),
            ("Content-Length", "9"),
            ("X-Own", "forged"),
            ("X_Own", "forged"),
        ]),
        add: pairs(&[
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
            ("a b", "c"),
            ("X", "a\r\nY: b"),
        ]),
        remove: names(&["content-length", "host", "x-own"]),
    };
    let own = [
        Own {
            name: "x-own",
            value: Some(b"true"),
        },
        Own {
            name: "x-gone",
            value: None,
        },
    ];
    let changes = RequestChanges {
        headers: &[&rule],
        own: &own,
        ..RequestChanges::default()
    };
    let lines = [
        "POST / HTTP/1.1",
        "Host: cart",
        "X-Own: a",
        "x_own: b",
        "X-Gone: c",
        "Content-Length: 3",
    ];
    let passed = [
        "POST / HTTP/1.1",
        "Host: cart",
        "Content-Length: 3",
        "X: a  Y: b",
        "x-own: true",
    ];
    assert_eq!(request(&lines, &changes), passed);
}

#[test]
fn a_response_is_passed_on_as_it_came() {
    let lines = [
        "HTTP/1.1 404 Nicht da",
        "server: x",
        "Set-Cookie: a",
        "Set-Cookie: b",
        "Content-Length: 3",
    ];
    assert_eq!(response(&lines, None, Asked::default(), &STAYS), lines);
    let lines = ["HTTP/1.1 200 OK", "Connection: close", "Content-Length: 0"];
    assert_eq!(
        response(&lines, None, Asked::default(), &STAYS),
        ["HTTP/1.1 200 OK", "Content-Length: 0"]
    );
    let lines = ["HTTP/1.1 103 Early Hints", "Link: </a.css>"];
    let closes = ResponseChanges {
        keep_alive: false,
        ..STAYS
    };
    assert_eq!(response(&lines, None, Asked::default(), &closes), lines);
}

#[test]
fn a_client_is_told_when_its_connection_closes_or_stays() {
    let lines = ["HTTP/1.1 200 OK", "Content-Length: 0"];
    let last = |client, keep_alive| {
        let changes = ResponseChanges {
            client,
            keep_alive,
            ..STAYS
        };
        response(&lines, None, Asked::default(), &changes)
            .pop()
            .unwrap()
    };
    assert_eq!(last(Version::Http11, true), "Content-Length: 0");
    assert_eq!(last(Version::Http11, false), "Connection: close");
    assert_eq!(last(Version::Http10, true), "Connection: keep-alive");
    assert_eq!(last(Version::Http10, false), "Connection: close");
    let lines = ["HTTP/1.1 200 OK"];
    assert_eq!(
        response(&lines, None, Asked::default(), &STAYS),
        ["HTTP/1.1 200 OK", "Connection: close"]
    );
}

#[test]
fn a_body_may_be_framed_anew() {
    let chunked = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"];
    let length = ["HTTP/1.1 200 OK", "Content-Length: 3"];
    let send = |lines: &[&str], body| {
        response(lines, Some(body), Asked::default(), &STAYS)[1..].join(", ")
    };
    assert_eq!(
        send(&chunked, BodyFraming::Chunked),
        "Transfer-Encoding: chunked"
    );
    assert_eq!(send(&chunked, BodyFraming::UntilClose), "Connection: close");
    assert_eq!(send(&chunked, BodyFraming::Length(3)), "Content-Length: 3");
    assert_eq!(
        send(&length, BodyFraming::Chunked),
        "Transfer-Encoding: chunked"
    );
    assert_eq!(send(&length, BodyFraming::Length(4)), "Content-Length: 4");
    assert_eq!(send(&chunked, BodyFraming::Length(0)), "Content-Length: 0");
}

#[test]
fn the_length_of_what_is_not_sent_stays() {
    let asked = Asked {
        head: true,
        ..Asked::default()
    };
    let lines = ["HTTP/1.1 200 OK", "Content-Length: 3"];
    assert_eq!(response(&lines, None, asked, &STAYS), lines);
}

#[test]
fn a_switch_is_passed_on() {
    let asked = Asked {
        upgrade: true,
        ..Asked::default()
    };
    let lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Connection: Upgrade",
        "Upgrade: websocket",
    ];
    let passed = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: upgrade",
    ];
    assert_eq!(response(&lines, None, asked, &STAYS), passed);
}
