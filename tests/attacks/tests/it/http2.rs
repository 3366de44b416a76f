//! Attacks of a proven member on the tunnel port of another proxy: what they cost is bounded, and an honest
//! client beside them is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use leno_attacks::frames::{
    END_HEADERS, END_STREAM, Kind, NEWEST, connect, field, frame, kept_field, setting,
};
use leno_attacks::{Hostile, Mesh, Taken};
use leno_e2e::{Application, Client};

/// How much more memory a proxy may ever have had behind an attack than before it.
const MOST_MORE: usize = 32 * 1024 * 1024;

/// The error that means: you ask too much (RFC 9113 section 7).
const ENHANCE_YOUR_CALM: u32 = 11;

/// Lets somebody attack `cart` while `web` calls it, and says what became of the attack.
fn attacked<T>(attack: impl FnOnce(&mut Hostile, &str) -> T) -> T {
    let mesh = Mesh::pair();
    let world = &mesh.world;
    Application::start(world.at("cart", 8080), "cart");
    let mut client = Client::to(world.at("web", 8080));
    assert_eq!(client.get("/").map(|answer| answer.status), Some(200));
    let cart = &mesh.proxies[1];
    let before = cart.most_memory();
    let over = Arc::new(AtomicBool::new(false));
    let honest = thread::spawn({
        let over = over.clone();
        move || {
            loop {
                let answer = client.get("/").expect("an honest client is served");
                assert_eq!(answer.status, 200);
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    });
    let became = attack(
        &mut Hostile::in_tunnel(world),
        &world.at("cart", 8080).to_string(),
    );
    over.store(true, Ordering::Relaxed);
    honest.join().expect("an honest client is served");
    let more = cart.most_memory().saturating_sub(before);
    assert!(more < MOST_MORE, "{more} bytes more");
    let mut late = Client::to(world.at("web", 8080));
    assert_eq!(late.get("/").map(|answer| answer.status), Some(200));
    became
}

fn opening(stream: u32, cart: &str) -> Vec<u8> {
    frame(Kind::Headers, END_HEADERS, stream, &connect(cart))
}

/// Streams of a client are odd.
fn stream(number: u32) -> u32 {
    number * 2 + 1
}

#[test]
fn streams_that_are_opened_and_reset() {
    attacked(|hostile, cart| {
        let taken = hostile.flood(50_000, |number| {
            let reset = frame(Kind::RstStream, 0, stream(number), &8u32.to_be_bytes());
            [opening(stream(number), cart), reset].concat()
        });
        assert_eq!(taken, Taken::Closed);
        assert_eq!(hostile.end(), Some(ENHANCE_YOUR_CALM));
    });
}

#[test]
fn streams_that_the_proxy_is_made_to_reset() {
    // A window that grows by nothing is an error of its stream (RFC 9113 section 6.9).
    attacked(|hostile, cart| {
        let taken = hostile.flood(50_000, |number| {
            let nothing = frame(Kind::WindowUpdate, 0, stream(number), &[0; 4]);
            [opening(stream(number), cart), nothing].concat()
        });
        assert_eq!(taken, Taken::Closed);
    });
}

#[test]
fn malformed_requests_that_the_proxy_resets() {
    attacked(|hostile, _| {
        let fields = [field(":method", "CONNECT"), field("UPPER", "case")].concat();
        let taken = hostile.flood(50_000, |number| {
            frame(Kind::Headers, END_HEADERS, stream(number), &fields)
        });
        assert_eq!(taken, Taken::Closed);
    });
}

#[test]
fn fields_that_never_end() {
    attacked(|hostile, cart| {
        hostile.send(&frame(Kind::Headers, 0, 1, &connect(cart)));
        let more = field("x-more", &"y".repeat(1000));
        let taken = hostile.flood(100_000, |_| frame(Kind::Continuation, 0, 1, &more));
        assert_eq!(taken, Taken::Closed);
        assert!(hostile.end().is_some());
    });
}

#[test]
fn empty_fields_that_never_end() {
    attacked(|hostile, cart| {
        hostile.send(&frame(Kind::Headers, 0, 1, &connect(cart)));
        let taken = hostile.flood(100_000, |_| frame(Kind::Continuation, 0, 1, &[]));
        assert_eq!(taken, Taken::Closed);
    });
}

#[test]
fn a_kilobyte_that_stands_for_megabytes() {
    attacked(|hostile, cart| {
        let large = kept_field("x-bomb", &"b".repeat(4000));
        let bomb = [connect(cart), large, vec![NEWEST; 12_000]].concat();
        for number in 0..20 {
            if hostile.send(&frame(Kind::Headers, END_HEADERS, stream(number), &bomb)) != Taken::All
            {
                break;
            }
        }
        assert!(hostile.end().is_some_and(|error| error != 0));
        assert_eq!(hostile.count(Kind::Headers), 0, "no stream is opened");
    });
}

#[test]
fn settings_and_pings_whose_answers_nobody_reads() {
    for (kind, payload) in [
        (Kind::Settings, setting(4, 65_535)),
        (Kind::Ping, vec![7; 8]),
    ] {
        attacked(|hostile, _| {
            let flood = frame(kind, 0, 0, &payload).repeat(20_000);
            let mut taken = Taken::All;
            for _ in 0..100 {
                taken = taken.max(hostile.send(&flood));
                if taken != Taken::All {
                    break;
                }
            }
            // Each is answered before the next one is read: who does not read is read no more.
            assert_ne!(taken, Taken::All);
        });
    }
}

#[test]
fn data_in_tiny_pieces_and_in_none() {
    for (payload, count) in [(&b"x"[..], 20_000), (b"", 50_000)] {
        attacked(|hostile, cart| {
            hostile.send(&opening(1, cart));
            hostile.until(Kind::Headers).expect("a stream");
            let request =
                b"POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n";
            hostile.send(&frame(Kind::Data, 0, 1, request));
            hostile.flood(count, |_| frame(Kind::Data, 0, 1, payload));
        });
    }
}

#[test]
fn a_window_of_zero_for_a_large_answer() {
    attacked(|hostile, cart| {
        hostile.send(&frame(Kind::Settings, 0, 0, &setting(4, 0)));
        for number in 0..50 {
            hostile.send(&opening(stream(number), cart));
            let request = b"GET /bytes/2000000 HTTP/1.1\r\nHost: cart\r\n\r\n";
            hostile.send(&frame(Kind::Data, 0, stream(number), request));
        }
        hostile.until(Kind::Headers).expect("streams are opened");
        // Nothing of the answers can be sent, and little of it is held.
        hostile.send(&frame(Kind::Ping, 0, 0, &[7; 8]));
        hostile.until(Kind::Ping).expect("the connection lives");
        assert_eq!(hostile.count(Kind::Data), 0);
    });
}

#[test]
fn windows_that_grow_over_their_end() {
    attacked(|hostile, cart| {
        hostile.send(&opening(1, cart));
        let taken = hostile.flood(100_000, |_| {
            frame(Kind::WindowUpdate, 0, 0, &u32::MAX.to_be_bytes())
        });
        assert_eq!(taken, Taken::Closed);
    });
}

#[test]
fn frames_that_nobody_may_send() {
    let cases: [(&str, Vec<u8>); 9] = [
        (
            "a stream of the server's",
            frame(Kind::Headers, END_HEADERS, 2, &connect("cart:80")),
        ),
        ("data without a stream", frame(Kind::Data, 0, 0, b"x")),
        (
            "data of a stream that is not open",
            frame(Kind::Data, 0, 7, b"x"),
        ),
        (
            "fields without a stream",
            frame(Kind::Headers, END_HEADERS, 0, &connect("cart:80")),
        ),
        (
            "a continuation of nothing",
            frame(Kind::Continuation, END_HEADERS, 1, b""),
        ),
        (
            "a promise",
            frame(Kind::PushPromise, END_HEADERS, 1, &[0, 0, 0, 2]),
        ),
        ("settings of a stream", frame(Kind::Settings, 0, 1, &[])),
        (
            "settings that are cut off",
            frame(Kind::Settings, 0, 0, &[0]),
        ),
        (
            "an index of HPACK that is none",
            frame(
                Kind::Headers,
                END_HEADERS | END_STREAM,
                1,
                &[0xff, 0xff, 0x7f],
            ),
        ),
    ];
    attacked(|_, _| ());
    let mesh = Mesh::pair();
    for (what, bytes) in cases {
        let mut hostile = Hostile::in_tunnel(&mesh.world);
        hostile.send(&bytes);
        assert!(hostile.end().is_some_and(|error| error != 0), "{what}");
    }
}
