use std::fmt::Write as _;

use super::*;
use crate::write::{RequestChanges, give_request, new_host, write_request};

/// A request: lines of `:name value` and `name value`, and `END` where no body follows.
fn request(text: &str) -> String {
    let pairs = || {
        let lines = text.lines().map(str::trim).filter(|line| *line != "END");
        lines.map(|line| line.split_once(' ').unwrap_or((line, "")))
    };
    let pseudo = |name| pairs().find(|(found, _)| *found == name).map(|it| it.1);
    let pseudo = Pseudo {
        method: pseudo(":method").unwrap_or("GET"),
        scheme: pseudo(":scheme"),
        authority: pseudo(":authority"),
        path: pseudo(":path"),
        protocol: pseudo(":protocol"),
    };
    let fields = pairs().filter(|(name, _)| !name.starts_with(':'));
    let block = Block {
        fields: fields.map(|(name, value)| (name, value.as_bytes())),
        ended: text.ends_with("END"),
    };
    let mut room = Fields::new();
    let reader = HeadReader::default();
    let head = match reader.http2_request(&pseudo, block, &mut room) {
        Ok(head) => head,
        Err(refused) => return format!("{} {}: {refused}", refused.status, refused.code),
    };
    let mut out = Vec::new();
    let changes = RequestChanges::default();
    write_request(&mut out, &head.request, head.body, &changes);
    let host = new_host(&head.request, &changes);
    assert!(host.starts_with(head.request.host.as_bytes()), "{head:?}");
    String::from_utf8(out).unwrap().replace("\r\n", "|")
}

const PSEUDO: &str = ":method GET\n:scheme http\n:authority cart:80\n:path /items?a=1\n";

fn with(fields: &str) -> String {
    request(&format!("{PSEUDO}{fields}"))
}

#[test]
fn a_request_says_the_same_in_either_version() {
    assert_eq!(
        with("x-user ann\nEND"),
        "GET /items?a=1 HTTP/1.1|host: cart:80|x-user: ann||"
    );
    assert_eq!(
        with("content-length 5"),
        "GET /items?a=1 HTTP/1.1|host: cart:80|content-length: 5||"
    );
    assert_eq!(
        with("te trailers"),
        "GET /items?a=1 HTTP/1.1|host: cart:80|te: trailers|\
         Transfer-Encoding: chunked|Connection: te||"
    );
    assert_eq!(
        with("x-user ann\nhost cart:80\nEND"),
        "GET /items?a=1 HTTP/1.1|host: cart:80|x-user: ann||"
    );
    assert_eq!(
        request(":scheme http\n:path /\nx-user ann\nhost cart\nEND"),
        "GET / HTTP/1.1|x-user: ann|host: cart||"
    );
    assert_eq!(
        request(":method OPTIONS\n:scheme http\n:path *\n:authority cart\nEND"),
        "OPTIONS * HTTP/1.1|host: cart||"
    );
    assert_eq!(
        request(":method CONNECT\n:authority cart:8080"),
        "CONNECT cart:8080 HTTP/1.1|host: cart:8080||"
    );
}

#[test]
fn what_http_1_refuses_is_refused_here_too() {
    for (text, told) in [
        (":scheme http\n:path /\nEND", "400 R032: there is no Host"),
        (
            ":scheme http\n:path /\nhost a\nhost b\nEND",
            "400 R032: there is more than one Host",
        ),
        (
            ":method get\n:scheme http\n:path /\n:authority a\nEND",
            "501 R038: the method is not in upper case",
        ),
        (
            ":method G T\n:scheme http\n:path /\n:authority a\nEND",
            "400 R030: the method is not a token",
        ),
        (
            ":scheme http\n:path items\n:authority a\nEND",
            "400 R030: the target is not a path, nor in a form that its method may have",
        ),
        (
            ":scheme http\n:path *\n:authority a\nEND",
            "400 R030: the target is not a path, nor in a form that its method may have",
        ),
        (
            ":scheme ftp\n:path /\n:authority a\nEND",
            "400 R030: the target is not a path, nor in a form that its method may have",
        ),
        (
            ":scheme http\n:path /\n:authority user@a\nEND",
            "400 R032: the host is not a name or an address with perhaps a port",
        ),
        (
            ":method CONNECT\n:authority a",
            "400 R030: the target is not a path, nor in a form that its method may have",
        ),
        (
            ":method CONNECT\n:scheme http\n:path /\n:authority a:1",
            "400 R030: the target is not a path, nor in a form that its method may have",
        ),
    ] {
        assert_eq!(request(text), told, "{text:?}");
    }
    for (fields, told) in [
        (
            "host other\nEND",
            "400 R032: the target and Host name different hosts",
        ),
        (
            "host cart:80\nhost cart:80\nEND",
            "400 R032: there is more than one Host",
        ),
        (
            "content-length 5\ncontent-length 5",
            "400 R031: there is more than one Content-Length",
        ),
        (
            "content-length +5",
            "400 R031: Content-Length is not one number of at most 18 digits",
        ),
        (
            "X-User ann\nEND",
            "400 R030: a field's name is not a token in lower case",
        ),
        (
            "x\u{1}user ann\nEND",
            "400 R030: a field's name is not a token in lower case",
        ),
    ] {
        assert_eq!(with(fields), told, "{fields:?}");
    }
}

/// A request by extended CONNECT for such a protocol.
fn asking(protocol: &str, fields: &str) -> String {
    request(&format!(
        ":method CONNECT\n:protocol {protocol}\n:scheme https\n:path /chat?room=1\n:authority cart\n{fields}"
    ))
}

#[test]
fn an_extended_connect_is_an_upgrade() {
    assert_eq!(
        asking("websocket", "origin http://shop\nsec-websocket-version 13"),
        "GET /chat?room=1 HTTP/1.1|host: cart|origin: http://shop|sec-websocket-version: 13|\
         upgrade: websocket|Connection: upgrade||"
    );
    // Its client may have said all it has to say.
    assert_eq!(
        asking("chat/2.0", "END"),
        "GET /chat?room=1 HTTP/1.1|host: cart|upgrade: chat/2.0|Connection: upgrade||"
    );
}

#[test]
fn an_extended_connect_smuggles_nothing() {
    const NO_NAME: &str =
        "400 R030: the protocol that CONNECT asks for is not a name with perhaps a version";
    const HTTP_AGAIN: &str = "501 R038: the protocol that CONNECT asks for is HTTP again, or TLS";
    for (protocol, told) in [
        ("", NO_NAME),
        ("/", NO_NAME),
        ("websocket/", NO_NAME),
        ("websocket, h2c", NO_NAME),
        ("web socket", NO_NAME),
        ("web\rsocket", NO_NAME),
        ("web\u{e9}", NO_NAME),
        ("h2c", HTTP_AGAIN),
        ("H2", HTTP_AGAIN),
        ("HTTP/2.0", HTTP_AGAIN),
        ("TLS/1.2", HTTP_AGAIN),
    ] {
        assert_eq!(asking(protocol, ""), told, "{protocol:?}");
    }
    let form = "400 R030: the target is not a path, nor in a form that its method may have";
    for (text, told) in [
        (":method CONNECT\n:protocol websocket\n:authority a:1", form),
        (
            ":method GET\n:protocol websocket\n:scheme http\n:path /\n:authority a",
            form,
        ),
        (
            ":method CONNECT\n:protocol websocket\n:scheme http\n:path a\n:authority a",
            form,
        ),
        (
            ":method CONNECT\n:protocol websocket\n:scheme http\n:path *\n:authority a",
            form,
        ),
    ] {
        assert_eq!(request(text), told, "{text:?}");
    }
    assert_eq!(
        asking("websocket", "content-length 5"),
        "400 R031: CONNECT has no body"
    );
    assert_eq!(
        asking("websocket", "upgrade websocket"),
        "400 R030: a field concerns the connection only, and HTTP/2 has none of those"
    );
    let many = "a b\n".repeat(127);
    assert!(asking("websocket", &many).starts_with("431 R033"));
}

#[test]
fn nothing_concerns_one_connection_only() {
    let told = "400 R030: a field concerns the connection only, and HTTP/2 has none of those";
    for field in [
        "connection close",
        "connection x-user",
        "keep-alive timeout=5",
        "proxy-connection close",
        "transfer-encoding chunked",
        "upgrade websocket",
        "te gzip",
        "te trailers, deflate",
    ] {
        assert_eq!(with(field), told, "{field}");
    }
}

#[test]
fn a_value_has_no_white_space_around_it() {
    let room = &mut Fields::new();
    let pseudo = Pseudo {
        method: "GET",
        scheme: Some("http"),
        authority: Some("cart"),
        path: Some("/"),
        protocol: None,
    };
    for value in [" a", "a ", "a\t", "a\rb", "a\0"] {
        let block = Block {
            fields: [("x-user", value.as_bytes())].into_iter(),
            ended: true,
        };
        let read = HeadReader::default().http2_request(&pseudo, block, room);
        assert_eq!(read.unwrap_err().flaw, Flaw::FieldValue, "{value:?}");
    }
}

#[test]
fn a_field_behind_a_body_cannot_pose_as_one_before_it() {
    assert_eq!(check_trailer("grpc-status", b"0"), Ok(()));
    for name in [
        "content-length",
        "host",
        "leno-error",
        "x-forwarded-client-cert",
    ] {
        assert_eq!(
            check_trailer(name, b"1"),
            Err(Flaw::ForbiddenTrailer),
            "{name}"
        );
    }
    for name in [":path", "Grpc-Status", ""] {
        assert_eq!(check_trailer(name, b"1"), Err(Flaw::Trailer), "{name}");
    }
}

/// What an answer says to a client: its status, how the body ends, and its fields.
fn response(status: u16, asked: Asked, text: &str) -> String {
    let pairs = text.lines().filter(|line| *line != "END");
    let pairs = pairs.map(|line| line.split_once(' ').unwrap_or((line, "")));
    let block = Block {
        fields: pairs.map(|(name, value)| (name, value.as_bytes())),
        ended: text.ends_with("END"),
    };
    let mut room = Fields::new();
    let read = HeadReader::default().http2_response((status, "OK"), block, asked, &mut room);
    let head = match read {
        Ok(head) => head,
        Err(refused) => return format!("{} {}: {refused}", refused.status, refused.code),
    };
    let mut told = format!("{status} {:?}", head.body);
    for Header { name, value } in head.response.headers {
        let value = String::from_utf8_lossy(value);
        write!(told, ", {name}: {value}").unwrap();
    }
    told
}

#[test]
fn a_response_ends_as_its_stream_does() {
    let asked = Asked::default();
    let head = Asked {
        head: true,
        ..Asked::default()
    };
    let upgrade = Asked {
        upgrade: true,
        ..Asked::default()
    };
    for (status, asked, text, told) in [
        (200, asked, "a b", "200 Chunked, a: b"),
        (200, asked, "a b\nEND", "200 None, a: b"),
        (
            200,
            asked,
            "content-length 3",
            "200 Length(3), content-length: 3",
        ),
        (
            200,
            asked,
            "content-length 3\nEND",
            "502 R026: the connection closed in the middle of the body",
        ),
        (
            200,
            head,
            "content-length 3\nEND",
            "200 None, content-length: 3",
        ),
        (
            304,
            asked,
            "content-length 3\nEND",
            "304 None, content-length: 3",
        ),
        (103, asked, "link x", "103 None, link: x"),
        (200, upgrade, "a b", "200 Tunnel, a: b"),
        (
            404,
            upgrade,
            "content-length 3",
            "404 Length(3), content-length: 3",
        ),
        (
            101,
            asked,
            "",
            "502 R024: the answer switches protocols and was not asked to, or does not say to what",
        ),
        (
            200,
            asked,
            "connection close",
            "502 R024: a field concerns the connection only, and HTTP/2 has none of those",
        ),
    ] {
        assert_eq!(response(status, asked, text), told, "{text:?}");
    }
}

#[test]
fn fields_are_given_as_lines_are_written() {
    struct Given(String);
    impl crate::TakeField for Given {
        fn take_field(&mut self, name: &str, value: &[u8]) {
            let value = String::from_utf8_lossy(value);
            write!(self.0, "{name}: {value}|").unwrap();
        }
    }
    let mut room = Fields::new();
    let bytes =
        b"POST /a?b HTTP/1.1\r\nHost: cart\r\nX-User: ann\r\nTransfer-Encoding: chunked\r\n\r\n";
    let head = HeadReader::default()
        .request(bytes, &mut room)
        .unwrap()
        .unwrap();
    let mut given = Given(String::new());
    let changes = RequestChanges {
        host: Some("other"),
        ..RequestChanges::default()
    };
    give_request(&mut given, &head.request, head.body, &changes);
    assert_eq!(given.0, "Host: other|X-User: ann|");
    assert_eq!(new_host(&head.request, &changes), b"other");
    let mut given = Given(String::new());
    give_request(
        &mut given,
        &head.request,
        BodyFraming::Length(u64::MAX),
        &RequestChanges::default(),
    );
    assert_eq!(
        given.0,
        "Host: cart|X-User: ann|Content-Length: 18446744073709551615|"
    );
}

#[test]
fn a_target_cannot_end_early_in_the_other_version() {
    for path in ["/ ", "/a HTTP/1.0", " /", "/a?b c"] {
        let pseudo = Pseudo {
            method: "GET",
            scheme: Some("http"),
            authority: Some("cart"),
            path: Some(path),
            protocol: None,
        };
        let mut room = Fields::new();
        let block = Block {
            fields: core::iter::empty(),
            ended: true,
        };
        let refused = HeadReader::default().http2_request(&pseudo, block, &mut room);
        assert!(refused.is_err(), "{path:?}");
    }
}
