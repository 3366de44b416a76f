//! What no client should send: refused by name, and the connection with it.

use leno_e2e::{Answer, World, exchange, until};

use crate::pair::Pair;

#[test]
fn heads_that_can_be_read_in_two_ways_are_refused_and_closed() {
    let pair = Pair::start();
    let to = pair.world.at("web", 8080);
    let long = "x".repeat(70_000);
    let many = "a: b\r\n".repeat(200);
    let large = format!("GET / HTTP/1.1\r\nHost: cart\r\na: {long}\r\n\r\n");
    let headers = format!("GET / HTTP/1.1\r\nHost: cart\r\n{many}\r\n");
    let target = format!("GET /{} HTTP/1.1\r\nHost: cart\r\n\r\n", &long[..20_000]);
    for (request, expect) in [
        ("GET / HTTP/1.1\r\n\r\n", "400 R032 bad-host"),
        (
            "GET / HTTP/1.1\r\nHost: cart\r\nHost: cart\r\n\r\n",
            "400 R032 bad-host",
        ),
        ("GET / HTTP/1.1\r\nHost: ca rt\r\n\r\n", "400 R032 bad-host"),
        (
            "GET http://web/ HTTP/1.1\r\nHost: cart\r\n\r\n",
            "400 R032 bad-host",
        ),
        ("GET /\nHost: cart\n\n", "400 R030 malformed-head"),
        ("GET / HTTP/1.1\nHost: cart\n\n", "400 R030 malformed-head"),
        (
            "GET / HTTP/1.1\r\nHost: cart\r\na: b\r\n c: d\r\n\r\n",
            "400 R030 malformed-head",
        ),
        (
            "GET / HTTP/1.1\r\nHost: cart\r\na : b\r\n\r\n",
            "400 R030 malformed-head",
        ),
        (
            "GET / HTTP/1.1\r\nHost: cart\r\na: b\0c\r\n\r\n",
            "400 R030 malformed-head",
        ),
        (
            "GET / HTTP/1.1\r\nHost: cart\r\na: b\rc\r\n\r\n",
            "400 R030 malformed-head",
        ),
        (
            "GET  / HTTP/1.1\r\nHost: cart\r\n\r\n",
            "400 R030 malformed-head",
        ),
        (
            "GET /#a HTTP/1.1\r\nHost: cart\r\n\r\n",
            "400 R030 malformed-head",
        ),
        (
            "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n",
            "400 R046 protocol-differs",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400 R031 ambiguous-framing",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            "400 R031 ambiguous-framing",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: +1\r\n\r\na",
            "400 R031 ambiguous-framing",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nContent_Length: 1\r\n\r\na",
            "400 R031 ambiguous-framing",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "400 R031 ambiguous-framing",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "400 R031 ambiguous-framing",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
            "400 R037 malformed-body",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "400 R037 malformed-body",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "400 R037 malformed-body",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n",
            "400 R037 malformed-body",
        ),
        (large.as_str(), "431 R033 head-too-large"),
        (headers.as_str(), "431 R033 head-too-large"),
        (target.as_str(), "414 R033 head-too-large"),
        (
            "GET / HTTP/2.0\r\nHost: cart\r\n\r\n",
            "505 R036 version-not-supported",
        ),
        (
            "get / HTTP/1.1\r\nHost: cart\r\n\r\n",
            "501 R038 method-not-supported",
        ),
    ] {
        // Whatever comes behind it is not read as a request.
        let smuggled = format!("{request}GET /smuggled HTTP/1.1\r\nHost: cart\r\n\r\n");
        let answer = exchange(to, smuggled);
        assert_eq!(answer.outcome(), expect, "{request:?}");
        assert!(answer.closes(), "{request:?}: {answer:?}");
        check_form(&answer, "web");
    }
    assert_eq!(pair.application.requests(), 0);
    pair.web
        .until_says(&[r#""code":"R031""#, r#""fault":"caller""#, r#""status":400"#]);
}

#[test]
fn a_body_that_goes_wrong_later_reaches_nobody_whole() {
    let pair = Pair::start();
    let mut client = pair.client();
    client.send(
        "POST /never HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    );
    until("the connection", || {
        (pair.application.connections() == 1).then_some(())
    });
    client.send("zz\r\n");
    let answer = client.answer().unwrap();
    assert_eq!(answer.outcome(), "400 R037 malformed-body");
    assert!(answer.closes() && client.is_over());
    assert_eq!(pair.application.requests(), 0);
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_decided_under_both() {
    let pair = Pair::of(World::pair().objects(
        "
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: admin, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  rules: [{action: Deny, requests: [{paths: [{value: /admin}]}]}]
",
    ));
    for (path, expect) in [
        ("/items", "200"),
        ("/items/../items", "200"),
        ("/admin", "403 R004 denied-by-rule"),
        ("/items/../admin", "400 R035 ambiguous-path"),
        ("/items/%2e%2e/admin", "400 R035 ambiguous-path"),
        ("//admin", "400 R035 ambiguous-path"),
        ("/items;/../admin", "400 R035 ambiguous-path"),
        ("/a%00b", "400 R030 malformed-head"),
        ("/a%zz", "400 R030 malformed-head"),
    ] {
        assert_eq!(
            pair.curl(path, &["--path-as-is"]).outcome(),
            expect,
            "{path}"
        );
    }
    let same = pair.curl("/items//./a%2Fb", &["--path-as-is"]);
    assert!(
        same.text().starts_with("GET /items//./a%2Fb HTTP/1.1\r\n"),
        "{same:?}"
    );
}

#[test]
fn a_head_that_does_not_come_is_given_up_and_an_idle_connection_is_not() {
    let pair = Pair::start();
    let (mut slow, mut idle, mut used) = (pair.client(), pair.client(), pair.client());
    assert_eq!(used.get("/").unwrap().status, 200);
    slow.send("GET / HTTP/1.1\r\nHost: ca");
    let answer = slow.answer().unwrap();
    assert_eq!(answer.outcome(), "408 R034 head-too-slow");
    assert!(answer.closes() && slow.is_over());
    check_form(&answer, "web");
    for client in [&mut idle, &mut used] {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
}

/// The form of every answer of a proxy's own: for programs in headers, for people in two lines.
fn check_form(answer: &Answer, proxy_of: &str) {
    let error = answer.header("leno-error").unwrap();
    let parts = error.split("; ").collect::<Vec<_>>();
    let [code, by, fault, id] = parts.as_slice() else {
        panic!("{error}");
    };
    assert_eq!(*by, format!("by=proxy-of-{proxy_of}"));
    assert_eq!(*fault, "fault=caller");
    let id = id.strip_prefix("id=").unwrap();
    assert!(
        id.len() == 8 && id.chars().all(|digit| digit.is_ascii_hexdigit()),
        "{error}"
    );
    let status = answer.header("proxy-status").unwrap();
    assert!(
        status.starts_with("leno; error=http_request_error; details=\""),
        "{status}"
    );
    assert!(status.contains(code), "{status}");
    let lines = answer.text().lines().collect::<Vec<_>>();
    let [first, second] = lines.as_slice() else {
        panic!("{answer:?}");
    };
    assert!(first.starts_with("Leno refused this call: "), "{first}");
    assert!(
        second.ends_with(&format!("  Ask: leno why {id}")),
        "{second}"
    );
}
