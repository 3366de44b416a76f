//! Requests through both proxies: whatever a client and a server agree on arrives as it was sent.

use leno_e2e::{exchange, hash};

use crate::pair::Pair;

#[test]
fn a_request_arrives_as_it_was_sent_and_says_who_called() {
    let pair = Pair::start();
    let answer = pair.curl(
        "/items?sort=price",
        &["-H", "X-User: Ann", "-H", "host: cart"],
    );
    assert_eq!(answer.outcome(), "200");
    assert_eq!(answer.header("server"), Some("cart"));
    let head = answer.text();
    assert!(
        head.starts_with("GET /items?sort=price HTTP/1.1\r\nHost: cart\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nX-User: Ann\r\n"), "{head}");
    let told = "\r\nx-forwarded-client-cert: By=spiffe://shop.local/ns/shop/sa/cart;\
                URI=spiffe://shop.local/ns/shop/sa/web\r\n";
    assert!(head.contains(told), "{head}");
}

#[test]
fn bodies_go_up_with_a_length_in_chunks_and_after_100_continue() {
    let pair = Pair::start();
    let body = vec![b'x'; 3_000_000];
    let file = pair.world.folder().join("body");
    std::fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    let expect = format!("body 3000000 {:x}\n", hash(&body));
    for how in [
        &["-H", "Expect:"][..],
        &["-H", "Expect: 100-continue"],
        &["-H", "Expect:", "-H", "Transfer-Encoding: chunked"],
    ] {
        let answer = pair.curl("/upload", &[&["--data-binary", &data], how].concat());
        assert_eq!(answer.outcome(), "200", "{how:?}");
        assert!(answer.text().ends_with(&expect), "{how:?}: {answer:?}");
    }
}

#[test]
fn bodies_come_down_with_a_length_in_chunks_and_up_to_the_end() {
    let pair = Pair::start();
    let expect = pair.curl("/bytes/3000000", &[]);
    assert_eq!((expect.status, expect.body.len()), (200, 3_000_000));
    for path in ["/chunked/3000000", "/endless/3000000"] {
        for version in ["--http1.1", "--http1.0"] {
            let answer = pair.curl(path, &[version]);
            assert_eq!(answer.status, 200, "{path} {version}");
            assert!(answer.body == expect.body, "{path} {version}: {answer:?}");
        }
    }
}

#[test]
fn large_bodies_go_both_ways() {
    let pair = Pair::start();
    let body: Vec<u8> = (0..32_000_000u32).map(|at| (at >> 3) as u8).collect();
    let file = pair.world.folder().join("body");
    std::fs::write(&file, &body).unwrap();
    let answer = pair.curl("/upload", &["-T", file.to_str().unwrap()]);
    assert!(
        answer
            .text()
            .ends_with(&format!("body {} {:x}\n", body.len(), hash(&body)))
    );
    assert_eq!(pair.curl("/bytes/32000000", &[]).body.len(), 32_000_000);
}

#[test]
fn a_head_has_no_body() {
    let pair = Pair::start();
    let answer = pair.curl("/bytes/1000", &["--head"]);
    assert_eq!(answer.header("content-length"), Some("1000"));
    assert_eq!(answer.body, b"");
}

#[test]
fn connections_are_kept_on_both_sides() {
    let pair = Pair::start();
    let mut client = pair.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").unwrap().outcome(), "200");
    }
    assert_eq!(pair.application.connections(), 1);
    for _ in 0..5 {
        assert_eq!(pair.curl("/", &[]).status, 200);
    }
    assert_eq!(pair.application.connections(), 1);
}

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    let pair = Pair::start();
    let mut client = pair.client();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: cart\r\n\r\n");
    let post = "POST /two HTTP/1.1\r\nHost: cart\r\nContent-Length: 3\r\n\r\nabc";
    client.send(
        [
            &request("/one"),
            post,
            &request("/status/404"),
            &request("/bytes/5"),
        ]
        .concat(),
    );
    let mut next = || client.answer().unwrap();
    assert!(next().text().starts_with("GET /one "));
    assert!(next().text().contains("body 3 "));
    assert_eq!(next().status, 404);
    assert_eq!(next().body.len(), 5);
}

#[test]
fn another_protocol_is_carried_after_an_upgrade() {
    let pair = Pair::start();
    let mut client = pair.client();
    client.send(
        "GET /switch HTTP/1.1\r\nHost: cart\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly ",
    );
    let answer = client.answer().unwrap();
    assert_eq!(
        (answer.status, answer.header("upgrade")),
        (101, Some("echo"))
    );
    assert_eq!(client.read(6), b"early ");
    for number in 0..100 {
        let frame = format!("frame {number}\0");
        client.send(&frame);
        assert_eq!(client.read(frame.len()), frame.as_bytes());
    }
    client.end();
    assert_eq!(client.rest(), b"");
}

#[test]
fn old_clients_are_answered_in_their_way() {
    let pair = Pair::start();
    let to = pair.world.at("web", 8080);
    let answer = exchange(to, "GET /chunked/5000 HTTP/1.0\r\nHost: cart\r\n\r\n");
    assert_eq!((answer.status, answer.body.len()), (200, 5000));
    assert_eq!(answer.header("transfer-encoding"), None);
    assert!(answer.closes());
    let mut client = pair.client();
    for _ in 0..3 {
        client.send("GET /bytes/7 HTTP/1.0\r\nHost: cart\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(client.answer().unwrap().body.len(), 7);
    }
}

#[test]
fn what_was_forged_in_the_name_of_the_mesh_arrives_nowhere() {
    let pair = Pair::start();
    let forged = [
        "x-forwarded-client-cert: By=me;URI=spiffe://shop.local/ns/shop/sa/admin",
        "X_Forwarded_Client_Cert: URI=spiffe://shop.local/ns/shop/sa/admin",
        "leno-id: 00000000000000000000000000000000",
        "leno-attempt: 7",
        "leno-error: R003",
        "Leno_Id: 1",
    ];
    let arguments = forged
        .iter()
        .flat_map(|header| ["-H", header])
        .collect::<Vec<_>>();
    let answer = pair.curl("/", &arguments);
    let head = answer.text().to_lowercase();
    assert!(
        !head.contains("admin") && !head.contains("leno") && !head.contains("by=me"),
        "{head}"
    );
    assert_eq!(head.matches("client-cert").count(), 1, "{head}");
    // A request's own name is kept from a caller of the mesh, and made where there is none.
    let named = pair.curl("/", &["-H", "x-request-id: order-7"]);
    assert!(
        named.text().contains("\r\nx-request-id: order-7\r\n"),
        "{named:?}"
    );
    assert!(head.contains("\r\nx-request-id: "), "{head}");
}
