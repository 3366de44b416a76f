//! What goes wrong behind a proxy: each failure has its own status and code.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use leno_e2e::frames::{
    ANSWER, END_HEADERS, END_STREAM, Kind, PREFACE, field, frame, frames, request,
};
use leno_e2e::{Application, Client, World, curl, deaf, exchange, refuse, serve, until};
use socket2::{SockFilter, SockRef};

use crate::pair::Pair;

const LATE: &str = "
kind: TrafficPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  timeouts: {connect: 1s, request: 4s}
";

#[test]
fn refused_reset_malformed_and_late_are_told_apart() {
    let pair = Pair::of(World::pair().objects(LATE));
    let outcome = |path: &str| pair.curl(path, &[]).outcome();
    assert_eq!(outcome("/close"), "502 R022 reset-before-response");
    assert_eq!(outcome("/reset"), "502 R022 reset-before-response");
    assert_eq!(outcome("/garbage"), "502 R024 malformed-response");
    assert_eq!(outcome("/never"), "504 R023 response-timeout");
    assert_eq!(outcome("/status/503"), "503");
    assert_eq!(outcome("/"), "200");
    pair.web.until_says(&[
        r#""path":"/never""#,
        r#""status":504"#,
        r#""fault":"service""#,
    ]);
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole() {
    let pair = Pair::start();
    let mut client = pair.client();
    // Where nothing of it was on its way yet, there is another answer in its place.
    if let Some(answer) = client.get("/half/5") {
        assert_eq!(answer.outcome(), "502 R026 reset-during-body");
    }
    for proxy in [&pair.web, &pair.cart] {
        proxy.until_says(&[r#""path":"/half/5""#, r#""code":"R026""#]);
    }
}

#[test]
fn what_a_server_of_http2_says_before_it_breaks_off_arrives() {
    const CONTENT: usize = 10_000;
    let world = World::new("default: Allow")
        .workload("web", "")
        .workload("cart", "{port: 8080, protocol: HTTP2}");
    serve(world.at("cart", 8080), |mut stream| {
        let greeting = [
            frame(Kind::Settings, 0, 0, b""),
            frame(Kind::Settings, ANSWER, 0, b""),
        ];
        stream.write_all(&greeting.concat()).unwrap();
        let (mut came, mut room, mut last) = (Vec::new(), [0; 4096], 0);
        while let Ok(count @ 1..) = stream.read(&mut room) {
            came.extend_from_slice(&room[..count]);
            let said = frames(came.get(PREFACE.len()..).unwrap_or_default());
            for (kind, _, id, _) in said {
                if kind == Kind::Headers as u8 && id > last {
                    last = id;
                    let answer = [
                        frame(Kind::Headers, END_HEADERS, id, &field(":status", "200")),
                        frame(Kind::Data, 0, id, &[b'x'; CONTENT]),
                        frame(Kind::RstStream, 0, id, &[0, 0, 0, 2]),
                    ];
                    stream.write_all(&answer.concat()).unwrap();
                }
            }
        }
    });
    let cart = world.proxy("cart").start();
    let web = world.proxy("web").upstream("cart", 8080).start();
    for _ in 0..120 {
        let mut client = Client::to(world.at("web", 8080));
        let asked = request("GET", "cart:8080", "/story");
        let asked = frame(Kind::Headers, END_STREAM | END_HEADERS, 1, &asked);
        client.send([PREFACE, &frame(Kind::Settings, 0, 0, b""), &asked].concat());
        let is_reset = |(kind, ..): &(u8, u8, u32, &[u8])| *kind == Kind::RstStream as u8;
        let came = client.until(|came| frames(came).iter().any(is_reset));
        let said = frames(&came);
        let content = said.iter().filter(|(kind, ..)| *kind == Kind::Data as u8);
        let content = content.map(|(_, _, _, payload)| payload.len());
        assert_eq!(content.sum::<usize>(), CONTENT, "{said:?}");
    }
    for proxy in [&web, &cart] {
        proxy.until_says(&[r#""path":"/story""#, r#""status":200"#, r#""code":"R026""#]);
    }
}

/// A server that closes connections which it said it would keep.
struct Fickle(TcpListener);

impl Fickle {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

    /// The head of the next request, which is not answered yet.
    fn hear(stream: &mut TcpStream) -> String {
        let mut head = [0; 4096];
        let length = stream.read(&mut head).unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    }

    /// A connection on which a request was answered.
    fn answered(&self) -> TcpStream {
        let (mut stream, _) = self.0.accept().unwrap();
        assert!(Self::hear(&mut stream).contains("/first"));
        stream.write_all(Self::ANSWER).unwrap();
        stream
    }
}

/// Whether something was sent to `address` that has not come there.
fn is_on_its_way(address: SocketAddr) -> bool {
    let SocketAddr::V4(v4) = address else {
        unreachable!("it is one of v4");
    };
    let address = u32::from_ne_bytes(v4.ip().octets());
    let address = format!("{address:08X}:{:04X}", v4.port());
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut sockets = sockets.lines().map(|line| line.split_ascii_whitespace());
    sockets.any(|mut words| {
        let to = words.nth(2);
        let unacknowledged = words.nth(1).and_then(|queues| queues.split(':').next());
        to == Some(&address) && unacknowledged.is_some_and(|count| count != "00000000")
    })
}

#[test]
fn what_a_closed_server_never_got_is_sent_again_and_what_it_got_is_not() {
    for method in ["GET", "POST"] {
        let world = World::new("mtls: Permissive, default: Allow")
            .workload("web", "")
            .unproxied("cart", "{port: 8080, protocol: HTTP}");
        let fickle = Fickle(TcpListener::bind(world.at("cart", 8080)).unwrap());
        let _web = world.proxy("web").upstream("cart", 8080).start();
        let ask = |path: &str| {
            let mut client = Client::to(world.at("web", 8080));
            client.send(format!(
                "{method} {path} HTTP/1.1\r\nHost: cart\r\nContent-Length: 4\r\n\r\nbody"
            ));
            client
        };
        let mut first = ask("/first");
        let stream = fickle.answered();
        assert_eq!(first.answer().unwrap().outcome(), "200");
        // Nothing of the second request comes to it before it closes.
        let nothing = SockFilter::new(6, 0, 0, 0);
        SockRef::from(&stream).attach_filter(&[nothing]).unwrap();
        let mut second = ask("/second");
        until("the request", || {
            is_on_its_way(world.at("cart", 8080)).then_some(())
        });
        drop(stream);
        let (mut stream, _) = fickle.0.accept().unwrap();
        let heard = Fickle::hear(&mut stream);
        assert!(heard.contains("/second") && heard.contains("leno-attempt: 2"));
        stream.write_all(Fickle::ANSWER).unwrap();
        assert_eq!(second.answer().unwrap().outcome(), "200");
        // It reads the third one, and closes.
        let mut third = ask("/third");
        assert!(Fickle::hear(&mut stream).contains("/third"));
        drop(stream);
        let answer = third.answer().unwrap();
        assert_eq!(answer.outcome(), "502 R022 reset-before-response");
    }
}

#[test]
fn nobody_listens() {
    let world = World::pair();
    refuse(world.at("cart", 8080));
    let _cart = world.proxy("cart").start();
    let _web = world.proxy("web").upstream("cart", 8080).start();
    let answer = curl(&[&world.url("web", 8080, "/")]);
    assert_eq!(answer.outcome(), "502 R020 connect-refused");
    assert_eq!(
        answer.header("leno-error").unwrap().split("; ").nth(1),
        Some("by=proxy-of-cart")
    );
}

#[test]
fn nobody_answers_the_knock() {
    // Without a proxy of its own it is called in plain, and by the limit of its policy.
    let world = World::new("mtls: Permissive, default: Allow")
        .workload("web", "")
        .unproxied("cart", "{port: 8080, protocol: HTTP}")
        .objects(LATE);
    let _deaf = deaf(world.at("cart", 8080));
    let _web = world.proxy("web").upstream("cart", 8080).start();
    let answer = curl(&[&world.url("web", 8080, "/")]);
    assert_eq!(answer.outcome(), "504 R021 connect-timeout");
}

#[test]
fn nobody_is_there() {
    let world = World::pair().objects(
        "
kind: Service
apiVersion: v1
metadata: {name: ghost, namespace: shop}
spec: {selector: {app: ghost}, ports: [{port: 8080, appProtocol: http}]}
",
    );
    let web = world.proxy("web").upstream("ghost", 8080).start();
    assert!(web.log().contains("C120"), "{}", web.log());
    let answer = curl(&[&world.url("web", 8080, "/")]);
    assert_eq!(answer.outcome(), "503 R013 no-endpoint");
    assert!(
        answer.text().contains("shop/ghost:8080 has no endpoint"),
        "{answer:?}"
    );
}

#[test]
fn the_other_proxy_is_not_there() {
    let world = World::pair();
    Application::start(world.at("cart", 8080), "cart");
    let _web = world.proxy("web").upstream("cart", 8080).start();
    let answer = curl(&[&world.url("web", 8080, "/")]);
    // Never in plain, although the application could be reached.
    assert_eq!(answer.outcome(), "502 R025 tunnel-failed");
}

#[test]
fn the_other_proxy_does_not_answer() {
    // As where a network drops what comes to its port.
    let world = World::pair().objects(LATE);
    Application::start(world.at("cart", 8080), "cart");
    let _deaf = deaf(world.at("cart", 15008));
    let _web = world.proxy("web").upstream("cart", 8080).start();
    let answer = curl(&[&world.url("web", 8080, "/")]);
    assert_eq!(answer.outcome(), "502 R025 tunnel-failed");
    let told = format!("{} could not be reached", world.at("cart", 15008));
    assert!(answer.text().contains(&told), "{answer:?}");
}

#[test]
fn who_goes_away_takes_its_request_along() {
    let pair = Pair::start();
    let mut client = pair.client();
    client.send("GET /never HTTP/1.1\r\nHost: cart\r\n\r\n");
    until("the request", || {
        (pair.application.requests() == 1).then_some(())
    });
    client.break_off();
    pair.cart.until_says(&[r#""path":"/never""#]);
}

#[test]
fn a_client_that_has_said_all_it_had_to_say_is_answered() {
    let world = World::pair();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    serve(world.at("cart", 8080), move |mut stream| {
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).unwrap() > 0);
        held.lock().unwrap().recv().unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate";
        stream.write_all(answer).unwrap();
    });
    let cart = world.proxy("cart").start();
    let web = world.proxy("web").upstream("cart", 8080).start();
    let mut client = Client::to(world.at("web", 8080));
    client.send("GET /held HTTP/1.1\r\nHost: cart\r\n\r\n");
    client.end();
    // By the time that this is answered, web's proxy has seen the end of what the other sends.
    let refused = exchange(world.at("web", 8080), "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(refused.outcome(), "400 R032 bad-host");
    release.send(()).unwrap();
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.text()), (200, "late"));
    assert!(client.is_over());
    for proxy in [web, cart] {
        proxy.until_says(&[r#""path":"/held""#, r#""status":200"#]);
    }
}

#[test]
fn one_wrong_document_costs_only_itself() {
    let wrong = "
kind: TrafficPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: wrong, namespace: shop}
spec: {targetRefs: [{kind: Service, name: cart}], timeout: {request: 1ms}}
---
kind: TrafficPolicy
  apiVersion: [this is no YAML
";
    let pair = Pair::of(World::pair().objects(wrong));
    assert_eq!(pair.curl("/items", &[]).outcome(), "200");
    for proxy in [&pair.web, &pair.cart] {
        let log = proxy.log();
        assert!(log.contains("C003 unknown-field"), "{log}");
        assert!(log.contains("timeout: {request: 1ms}"), "{log}");
        assert!(log.contains("C001"), "{log}");
    }
}

#[test]
fn a_proxy_that_is_described_wrongly_does_not_start() {
    let world = World::pair();
    for (with, why) in [
        ("upstream: nobody", "C003 unknown-field"),
        ("resources: [nowhere.yaml]", "C006 duplicate-key"),
    ] {
        let proxy = world.proxy("web").with(with).attempt();
        assert_eq!(proxy.ended().code(), Some(3), "{with}");
        assert!(proxy.log().contains(why), "{with}: {}", proxy.log());
    }
    let proxy = world.proxy("web").upstream("ghost", 8080).attempt();
    assert_eq!(proxy.ended().code(), Some(3));
    assert!(
        proxy.log().contains("there is no Service shop/ghost"),
        "{}",
        proxy.log()
    );
    let taken = TcpListener::bind(world.at("web", 8080)).unwrap();
    let proxy = world.proxy("web").upstream("cart", 8080).attempt();
    assert_eq!(proxy.ended().code(), Some(3));
    assert!(
        proxy
            .log()
            .contains(&taken.local_addr().unwrap().to_string()),
        "{}",
        proxy.log()
    );
}
