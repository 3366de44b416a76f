//! Questions and answers, as examples.

use std::sync::Arc;
use std::time::Duration;

use leno_model::SpiffeId;
use prost::Message as _;

use super::message::{
    CheckRequest, CheckResponse, DeniedResponse, HeaderOption, HeaderValue, HttpResponse,
    HttpStatus, OkResponse, Status, Truth, Unread,
};
use super::*;

fn id(name: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://shop.local/ns/shop/sa/{name}")).unwrap()
}

const HEADERS: &[(&str, &[u8])] = &[
    ("accept", b"text/html"),
    ("accept", b"*/*"),
    ("authorization", b"Bearer 7"),
    ("content-length", b"3"),
    ("cookie", b"a=1"),
    ("x-envoy-auth-partial-body", b"forged"),
    ("x-odd", b"\xff"),
];

fn question<'a>(caller: Option<&'a SpiffeId>, own: &'a SpiffeId) -> Question<'a> {
    Question {
        id: "4711",
        method: "POST",
        target: "/pay?x=1",
        host: "cart:8080",
        protocol: "HTTP/1.1",
        headers: HEADERS,
        size: Some(3),
        body: None,
        source: Party {
            address: "10.0.0.7:1234".parse().unwrap(),
            identity: caller,
        },
        destination: Party {
            address: "[::ffff:10.0.0.8]:8080".parse().unwrap(),
            identity: Some(own),
        },
        at: Duration::from_millis(1_500),
    }
}

fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn asked(question: &Question<'_>, tells: Option<&[Arc<str>]>) -> message::Attributes {
    let bytes = check_request(question, tells);
    CheckRequest::decode(&*bytes).unwrap().attributes.unwrap()
}

#[test]
fn a_question_by_grpc_tells_who_asks_whom_for_what() {
    let (web, cart) = (id("web"), id("cart"));
    let told = asked(&question(Some(&web), &cart), None);
    let (source, destination) = (told.source.unwrap(), told.destination.unwrap());
    assert_eq!(source.principal, "spiffe://shop.local/ns/shop/sa/web");
    let at = destination.address.unwrap().socket.unwrap();
    assert_eq!((&*at.address, at.port), ("10.0.0.8", 8080));
    let request = told.request.unwrap();
    let time = request.time.unwrap();
    assert_eq!((time.seconds, time.nanos), (1, 500_000_000));
    let http = request.http.unwrap();
    assert_eq!(
        (&*http.method, &*http.path, &*http.host),
        ("POST", "/pay?x=1", "cart:8080")
    );
    assert_eq!(
        (http.size, &*http.protocol, &*http.scheme),
        (3, "HTTP/1.1", "http")
    );
    let headers: Vec<_> = http
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_eq!(
        headers,
        [
            ":authority: cart:8080",
            ":method: POST",
            ":path: /pay?x=1",
            ":scheme: http",
            "accept: text/html,*/*",
            "authorization: Bearer 7",
            "content-length: 3",
            "cookie: a=1",
            "x-odd: \u{fffd}",
        ]
    );
    // A caller in plain has proven nothing, and no more is told than is to be.
    let told = asked(&question(None, &cart), Some(&names(&["cookie"])));
    assert_eq!(told.source.unwrap().principal, "");
    let headers = told.request.unwrap().http.unwrap().headers;
    assert_eq!(
        headers
            .keys()
            .filter(|name| !name.starts_with(':'))
            .collect::<Vec<_>>(),
        ["cookie"]
    );
}

#[test]
fn a_body_is_told_as_text_or_as_bytes_and_whether_it_is_whole() {
    let cart = id("cart");
    let told = |bytes: &[u8], is_whole: bool| {
        let body = Some(Body { bytes, is_whole });
        let question = Question {
            body,
            ..question(None, &cart)
        };
        let http = asked(&question, None).request.unwrap().http.unwrap();
        let partial = http.headers[Question::PARTIAL_BODY].clone();
        (http.body, http.raw_body, partial)
    };
    assert_eq!(told(b"one", true), ("one".into(), vec![], "false".into()));
    // Cut in the middle of a character.
    assert_eq!(told(b"on\xc3", false), ("on".into(), vec![], "true".into()));
    assert_eq!(
        told(b"on\xc3", true),
        ("".into(), b"on\xc3".to_vec(), "false".into())
    );
}

#[test]
fn a_question_by_http_is_the_request_at_another_path() {
    let cart = id("cart");
    let body = Some(Body {
        bytes: b"abc",
        is_whole: false,
    });
    let question = Question {
        body,
        ..question(None, &cart)
    };
    let asked = HttpQuestion::new(
        &question,
        "/check",
        &names(&["cookie", "host", "content-length"]),
    )
    .unwrap();
    assert_eq!(
        (&*asked.method, &*asked.target, &*asked.host),
        ("POST", "/check/pay?x=1", "cart:8080")
    );
    let headers: Vec<_> = asked
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
        .collect();
    assert_eq!(
        headers,
        [
            "authorization: Bearer 7",
            "cookie: a=1",
            "content-length: 3",
            "x-envoy-auth-partial-body: true",
        ]
    );
    assert_eq!(asked.body, b"abc");
}

#[test]
fn a_target_is_told_as_it_was_sent() {
    let cart = id("cart");
    for (method, target, by_http) in [
        ("GET", "/admin<?x=\"<`>\"", Some("/check/admin<?x=\"<`>\"")),
        ("GET", "/a%2fb?", Some("/check/a%2fb?")),
        ("OPTIONS", "*", None),
        ("CONNECT", "cart:443", None),
    ] {
        let question = Question {
            method,
            target,
            ..question(None, &cart)
        };
        let asked_by_http = HttpQuestion::new(&question, "/check", &[]);
        let asked_by_http = asked_by_http.map(|asked| asked.target);
        assert_eq!(asked_by_http.as_deref(), by_http, "{method} {target}");
        let http = asked(&question, None).request.unwrap().http.unwrap();
        assert_eq!((&*http.path, &*http.headers[":path"]), (target, target));
    }
}

fn field(name: &str, value: &str) -> HeaderOption {
    HeaderOption {
        header: Some(HeaderValue {
            key: name.into(),
            value: value.into(),
            raw_value: Vec::new(),
        }),
        append: None,
    }
}

fn appended(name: &str, value: &str) -> HeaderOption {
    HeaderOption {
        append: Some(Truth { value: true }),
        ..field(name, value)
    }
}

fn said(answer: Result<Answer, Garbled>) -> String {
    let fields = |fields: &[Field]| {
        let fields = fields
            .iter()
            .map(|(name, value)| format!(" {name}={value}"));
        fields.collect::<String>()
    };
    match answer {
        Ok(Answer::Allowed(Allowed {
            set,
            remove,
            to_client,
        })) => {
            let remove: String = remove.iter().map(|name| format!(" -{name}")).collect();
            format!("yes{}{remove} /{}", fields(&set), fields(&to_client))
        }
        Ok(Answer::Refused(Refused {
            status,
            headers,
            body,
        })) => format!(
            "{status}{} {}",
            fields(&headers),
            String::from_utf8_lossy(&body)
        ),
        Err(garbled) => garbled.to_string(),
    }
}

fn read(code: Option<i32>, http: Option<HttpResponse>) -> String {
    let status = code.map(|code| Status { code });
    let message = CheckResponse { status, http }.encode_to_vec();
    said(read_framed(&framed(&message)))
}

#[test]
fn an_answer_by_grpc_says_yes_or_no_and_nothing_else() {
    let ok = |ok: OkResponse| Some(HttpResponse::Ok(ok));
    let denied = |denied: DeniedResponse| Some(HttpResponse::Denied(denied));
    let nothing = "its answer says neither yes nor no";
    let both = "its answer says both yes and no";
    assert_eq!(read(Some(0), None), "yes /");
    assert_eq!(read(Some(7), None), "403 ");
    assert_eq!(read(None, None), nothing);
    assert_eq!(read(None, ok(OkResponse::default())), "yes /");
    assert_eq!(read(Some(7), ok(OkResponse::default())), both);
    assert_eq!(read(Some(0), denied(DeniedResponse::default())), both);
    let said_so = OkResponse {
        headers: vec![
            field("X-User", "anna"),
            field("x-user", "bob"),
            appended("x-user", "carl"),
            field("x-forwarded-client-cert", "forged"),
            field("leno_id", "forged"),
            field("transfer-encoding", "chunked"),
        ],
        headers_to_remove: vec![":path".into(), "host".into(), "X-Secret".into()],
        response_headers_to_add: vec![field("x-decided", "yes")],
        ..OkResponse::default()
    };
    assert_eq!(
        read(Some(0), ok(said_so)),
        "yes x-user=bob, carl -x-secret / x-decided=yes"
    );
    let query = OkResponse {
        query_to_set: vec![Unread {}],
        ..OkResponse::default()
    };
    assert!(read(Some(0), ok(query)).starts_with("its answer changes the query"));
    let no = |status: i32, body: &str| {
        read(
            Some(16),
            denied(DeniedResponse {
                status: Some(HttpStatus { code: status }),
                headers: vec![field("x-why", "no ticket"), field("content-length", "7")],
                body: body.into(),
            }),
        )
    };
    assert_eq!(no(401, "ask"), "401 x-why=no ticket ask");
    assert_eq!(no(0, ""), "403 x-why=no ticket ");
    assert_eq!(no(304, "none"), "304 x-why=no ticket ");
    assert_eq!(no(200, "come in"), "it denies, and it answered 200");
    assert_eq!(no(204, ""), "it denies, and it answered 204");
    assert_eq!(no(101, ""), "it denies, and it answered 101");
    assert_eq!(no(-1, ""), "it denies, and its answer cannot be read");
}

#[test]
fn an_answer_is_bounded_and_cannot_end_a_header() {
    let with = |headers: Vec<HeaderOption>| {
        let ok = OkResponse {
            headers,
            ..OkResponse::default()
        };
        read(Some(0), Some(HttpResponse::Ok(ok)))
    };
    assert_eq!(
        with(vec![field("x", "a\r\nx-evil: 1")]),
        "its answer has a header \"x\" that cannot be one"
    );
    assert_eq!(
        with(vec![field("x y", "1")]),
        "its answer has a header \"x y\" that cannot be one"
    );
    assert_eq!(
        with(vec![field("", "1")]),
        "its answer has a header \"\" that cannot be one"
    );
    let many = "its answer has more than 64 headers, or too long ones";
    assert_eq!(with(vec![field("x", "1"); 65]), many);
    assert_eq!(with(vec![field("x", &"1".repeat(17 * 1024))]), many);
    let long = DeniedResponse {
        body: "x".repeat(LARGEST_BODY + 1),
        ..DeniedResponse::default()
    };
    assert_eq!(
        read(Some(7), Some(HttpResponse::Denied(long))),
        "it denies, and its answer has more than 65536 bytes"
    );
    for bytes in [
        &b""[..],
        b"\0\0\0\0",
        b"\0\0\0\0\x09\x08",
        b"\x01\0\0\0\0",
        b"\0\0\0\0\x01\xff",
        b"\0\0\0\0\0more",
    ] {
        assert!(read_framed(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn an_answer_by_http_is_yes_only_with_200() {
    let read = |status: u16, headers: &[(&str, &str)], body: &str| {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        said(read_http(status, headers, body.into()))
    };
    let headers = [
        ("X-User", "anna"),
        ("content-length", "2"),
        ("x-envoy-auth-headers-to-remove", "x-secret, Host,,x-other"),
    ];
    assert_eq!(
        read(200, &headers, "no"),
        "yes x-user=anna -x-secret -x-other /"
    );
    assert_eq!(
        read(
            302,
            &[
                ("location", "/login"),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2")
            ],
            ""
        ),
        "302 location=/login set-cookie=a=1 set-cookie=b=2 "
    );
    assert_eq!(read(403, &[("connection", "close")], "no"), "403 no");
    let cut = read(403, &[("x y", "1")], "");
    assert!(cut.starts_with("it denies, and "), "{cut}");
    assert_eq!(too_long(200), Garbled::TooLong);
    assert_eq!(too_long(403), Garbled::TooLong.denial());
    for status in [100, 101, 201, 204, 299, 500, 503, 599] {
        assert_eq!(read(status, &[], ""), format!("it answered {status}"));
    }
}
