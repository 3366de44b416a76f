//! CONNECT of HTTP/2, also the extended one (RFC 8441), as nobody should send it: nothing of it reaches a server, and
//! no server opens what was not asked for.

use leno_attacks::frames::{
    END_HEADERS, END_STREAM, Kind, ask_for, connect, field, frame, request,
};
use leno_attacks::{Hostile, Mesh};
use leno_e2e::Application;

/// The errors of RFC 9113 section 7.
const PROTOCOL_ERROR: [u8; 4] = 1u32.to_be_bytes();

/// The status 400 in HPACK (RFC 7541 appendix A).
const BAD_REQUEST: u8 = 0x80 | 12;

/// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3), switched on.
const OFFERED: [u8; 6] = [0, 8, 0, 0, 0, 1];

/// Opens a stream with these fields.
fn open(hostile: &mut Hostile, fields: &[u8]) {
    hostile.send(&frame(Kind::Headers, END_HEADERS, 1, fields));
}

#[test]
fn an_extended_connect_that_is_none_is_reset() {
    let mesh = Mesh::hop_to("HTTP1");
    let world = &mesh.world;
    let cart = Application::start(world.at("cart", 8080), "cart");
    let connected = connect("cart:8080");
    let websocket = field(":protocol", "websocket");
    for fields in [
        [&connected[..], &websocket].concat(),
        [&connected[..], &websocket, &field(":scheme", "http")].concat(),
        [&connected[..], &websocket, &field(":path", "/")].concat(),
        [&request("GET", "cart:8080", "/")[..], &websocket].concat(),
        request("CONNECT", "cart:8080", "/"),
        ask_for("websocket", "cart:8080", ""),
        [ask_for("websocket", "cart:8080", "/"), websocket.clone()].concat(),
    ] {
        let mut hostile = Hostile::in_plain(world.at("web", 8080));
        open(&mut hostile, &fields);
        let reset = hostile.until(Kind::RstStream);
        assert_eq!(reset.as_deref(), Some(&PROTOCOL_ERROR[..]));
        assert_eq!(hostile.count(Kind::Headers), 0);
    }
    assert_eq!(cart.connections(), 0);
}

#[test]
fn a_protocol_that_is_none_or_is_http_again_is_answered_here() {
    let mesh = Mesh::hop_to("HTTP1");
    let world = &mesh.world;
    let cart = Application::start(world.at("cart", 8080), "cart");
    let upgrade = field("upgrade", "websocket");
    let of = |protocol: &str| ask_for(protocol, "cart:8080", "/");
    for fields in [
        of("h2c"),
        of("HTTP/1.1"),
        of("tls/1.2"),
        of(""),
        of("websocket, h2c"),
        of("websocket\r\nhost: admin"),
        [of("websocket"), field("content-length", "5")].concat(),
        [of("websocket"), field("host", "admin")].concat(),
        [connect("cart"), vec![]].concat(),
        [
            of("websocket"),
            field("content-type", "application/grpc"),
            upgrade,
        ]
        .concat(),
    ] {
        let mut hostile = Hostile::in_plain(world.at("web", 8080));
        open(&mut hostile, &fields);
        hostile.send(&frame(
            Kind::Data,
            0,
            1,
            b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        ));
        hostile.send(&frame(Kind::Ping, 0, 0, &[0; 8]));
        // By fields, or by a reset where HTTP/2 has found the flaw itself.
        assert!(hostile.until(Kind::RstStream).is_some());
    }
    assert_eq!(cart.connections(), 0);
}

#[test]
fn what_comes_before_a_switch_is_no_request() {
    let mesh = Mesh::hop_to("HTTP1");
    let world = &mesh.world;
    // It answers 200, as if nothing but a request had come.
    let cart = Application::start(world.at("cart", 8080), "cart");
    for version in [1, 2, 3] {
        let mut hostile = Hostile::in_plain(world.at("web", 8080));
        open(&mut hostile, &ask_for("websocket", "cart:8080", "/chat"));
        let smuggled = b"GET /admin HTTP/1.1\r\nHost: cart\r\n\r\n";
        hostile.send(&frame(Kind::Data, END_STREAM, 1, smuggled));
        assert!(hostile.until(Kind::Headers).is_some());
        assert!(
            hostile.until(Kind::Data).is_some_and(|words| {
                String::from_utf8_lossy(&words).contains("did not switch")
            })
        );
        assert_eq!(cart.requests(), version);
    }
}

#[test]
fn a_tunnel_of_bytes_takes_no_request_and_one_of_requests_names_their_target() {
    let mesh = Mesh::pair();
    let world = &mesh.world;
    let cart = Application::start(world.at("cart", 8080), "cart");
    let at = world.at("cart", 8080).to_string();
    let mut bytes = Hostile::in_tunnel(world);
    let offered = bytes.until(Kind::Settings).unwrap();
    assert!(!offered.chunks(6).any(|setting| setting == OFFERED));
    open(&mut bytes, &ask_for("websocket", &at, "/"));
    let reset = bytes.until(Kind::RstStream);
    assert_eq!(reset.as_deref(), Some(&PROTOCOL_ERROR[..]));

    let mut requests = Hostile::in_tunnel_of_requests(world);
    let offered = requests.until(Kind::Settings).unwrap();
    assert!(offered.chunks(6).any(|setting| setting == OFFERED));
    // The address of a stream of bytes opens none for what asks for a protocol.
    open(&mut requests, &ask_for("websocket", &at, "/"));
    let refused = requests.until(Kind::Headers).unwrap();
    assert_eq!(refused.first(), Some(&BAD_REQUEST));
    assert_eq!(cart.connections(), 0);
}
