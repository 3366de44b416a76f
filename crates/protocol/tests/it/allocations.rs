//! An ordinary exchange allocates nothing.

use leno_model::view::HeaderChanges;
use leno_protocol::{
    Asked, BodyReader, Fields, HeadReader, NewPath, Own, RequestChanges, ResponseChanges,
    TraceContext, Version, write_request, write_response,
};

const REQUEST: &[u8] = b"POST /items/7?sort=price HTTP/1.1\r\n\
    Host: cart.shop.svc.cluster.local:8080\r\n\
    User-Agent: curl/7.88.1\r\n\
    Accept: */*\r\n\
    Cookie: session=0c8f2a4e5a534a0b8b5e0d6a3c7e9f11\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
    Connection: keep-alive\r\n\
    Content-Type: application/json\r\n\
    Transfer-Encoding: chunked\r\n\
    \r\n\
    2\r\n{}\r\n0\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.22.1\r\n\
    Date: Fri, 20 Nov 2026 10:31:58 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 2\r\n\
    Connection: keep-alive\r\n\
    \r\n{}";

#[test]
fn an_ordinary_exchange_allocates_nothing() {
    let rule = HeaderChanges {
        set: vec![("x-set".into(), "1".into())],
        add: vec![("x-add".into(), "2".into())],
        remove: vec!["cookie".into()],
    };
    let own = [
        Own {
            name: "leno-id",
            value: Some(b"7c1e4b02"),
        },
        Own {
            name: "x-forwarded-client-cert",
            value: None,
        },
    ];
    let (mut upstream, mut downstream) = (Vec::with_capacity(1024), Vec::with_capacity(1024));
    let exchange = || {
        let mut fields = Fields::new();
        let head = HeadReader::default()
            .request(REQUEST, &mut fields)
            .unwrap()
            .unwrap();
        let trace = TraceContext::of(&head.request).unwrap().encode();
        let changes = RequestChanges {
            host: Some("cart-v2"),
            path: Some(NewPath::prefix(head.request.path.raw(), "/items", "/v2")),
            headers: &[&rule],
            own: &own,
        };
        write_request(&mut upstream, &head.request, head.body, &changes);
        let mut body = BodyReader::new(head.body);
        let taken = body.take(&REQUEST[head.length..]).unwrap();
        assert!(body.is_done() && head.length + taken == REQUEST.len() && trace[0] == b'0');

        let mut fields = Fields::new();
        let head = HeadReader::default()
            .response(RESPONSE, &mut fields, Asked::default())
            .unwrap()
            .unwrap();
        let changes = ResponseChanges {
            headers: &[&rule],
            own: &own,
            client: Version::Http11,
            keep_alive: true,
        };
        write_response(&mut downstream, &head.response, head.body, &changes);
    };
    let measured = allocation_counter::measure(exchange);
    assert_eq!(measured.count_total, 0);
    assert!(upstream.starts_with(b"POST /v2/7?sort=price HTTP/1.1\r\nHost: cart-v2\r\n"));
}
