//! Who is believed, and that nothing between two proxies can be read.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leno_e2e::{Application, Client, World, curl, issue_earlier, let_expire, serve};

use crate::pair::Pair;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn whoever_shows_an_expired_certificate_is_refused() {
    let world = World::pair();
    let application = Application::start(world.at("cart", 8080), "cart");
    let cart = world.proxy("cart").start();
    let proxy = world.proxy("web").upstream("cart", 8080);
    let_expire(&world.folder().join("certs"), "web");
    let web = proxy.start();
    assert_eq!(
        curl(&[&world.url("web", 8080, "/")]).outcome(),
        "502 R025 tunnel-failed"
    );
    cart.until_says(&[
        r#""event":"handshake""#,
        r#""code":"T001""#,
        "spiffe://shop.local/ns/shop/sa/web",
        "ended at",
    ]);
    web.until_says(&[
        r#""event":"handshake""#,
        "it finds our certificate's time wrong",
    ]);

    // And one that answers with such a one is not called.
    world.issue("web");
    let_expire(&world.folder().join("certs"), "cart");
    web.signal("HUP");
    web.until_says(&["read again"]);
    cart.signal("HUP");
    cart.until_says(&["read again"]);
    assert_eq!(
        curl(&[&world.url("web", 8080, "/")]).outcome(),
        "502 R025 tunnel-failed"
    );
    web.until_says(&[
        r#""event":"handshake""#,
        r#""code":"T001""#,
        "spiffe://shop.local/ns/shop/sa/cart",
    ]);
    assert_eq!(application.requests(), 0);

    // Until it shows a good one.
    world.issue("cart");
    cart.signal("HUP");
    leno_e2e::until("the new certificate", || {
        (curl(&[&world.url("web", 8080, "/")]).status == 200).then_some(())
    });
}

#[test]
fn a_connection_outlives_a_renewal_and_never_the_proof_of_its_other_end() {
    let world = World::pair();
    Application::start(world.at("cart", 8080), "cart");
    serve(world.at("cart", 6379), |stream| {
        let mut out = stream.try_clone().unwrap();
        drop(std::io::copy(&mut &stream, &mut out));
    });
    let proxy = world.proxy("cart");
    // It ends 25 seconds from here.
    let certificates = world.folder().join("certs");
    issue_earlier(&certificates, "cart", MINUTE, Duration::from_secs(35));
    let cart = proxy.start();
    let web = world
        .proxy("web")
        .upstream("cart", 8080)
        .upstream("cart", 6379)
        .start();
    let mut live = Client::to(world.at("web", 6379));
    live.send("before");
    assert_eq!(live.read(6), b"before");

    world.issue("cart");
    cart.signal("HUP");
    cart.until_says(&["read again"]);
    live.send("after");
    assert_eq!(live.read(5), b"after");

    // Calls go over to connections that rest on the new certificate before the old one ends.
    let calls = std::thread::scope(|scope| {
        let cut = scope.spawn(|| live.is_cut());
        let mut calls = 0;
        while !cut.is_finished() {
            let answer = curl(&[&world.url("web", 8080, "/")]);
            assert_eq!(answer.outcome(), "200", "after {calls} calls");
            calls += 1;
        }
        assert!(cut.join().unwrap());
        calls
    });
    assert!(calls > 0);
    web.until_says(&[
        r#""event":"handshake""#,
        r#""code":"T001""#,
        "spiffe://shop.local/ns/shop/sa/cart ended at",
    ]);
}

#[test]
fn whoever_has_a_certificate_of_somebody_else_is_refused() {
    let pair = Pair::start();
    // The same names, and another authority.
    let stranger = World::pair();
    let web = stranger
        .proxy("web")
        .through("cart", pair.world.at("cart", 15008))
        .upstream("cart", 8080)
        .start();
    assert_eq!(
        curl(&[&stranger.url("web", 8080, "/")]).outcome(),
        "502 R025 tunnel-failed"
    );
    pair.cart.until_says(&[
        r#""event":"handshake""#,
        r#""code":"T004""#,
        "ns/shop/sa/web",
    ]);
    web.until_says(&[
        r#""event":"handshake""#,
        r#""code":"T004""#,
        "ns/shop/sa/cart",
    ]);

    // One of ours, where somebody else is expected.
    pair.world.issue("mallory");
    for kind in ["key", "pem"] {
        let certificates = pair.world.folder().join("certs");
        fs::copy(
            certificates.join(format!("mallory.{kind}")),
            certificates.join(format!("cart.{kind}")),
        )
        .unwrap();
    }
    let started = pair.world.proxy("cart").attempt();
    assert_eq!(started.ended().code(), Some(3));
    assert!(
        started
            .log()
            .contains("is for spiffe://shop.local/ns/shop/sa/mallory"),
        "{}",
        started.log()
    );
    assert_eq!(pair.curl("/", &[]).status, 200);
}

#[test]
fn a_workload_reaches_only_whom_it_expects() {
    // What listens where cart's proxy should proves to be bank's.
    let world = World::pair().workload("bank", "{port: 8080, protocol: HTTP}");
    let bank = Application::start(world.at("bank", 8080), "bank");
    let _bank = world.proxy("bank").start();
    let through = world.at("bank", 15008);
    let web = world
        .proxy("web")
        .through("cart", through)
        .upstream("cart", 8080)
        .start();
    assert_eq!(
        curl(&[&world.url("web", 8080, "/")]).outcome(),
        "502 R025 tunnel-failed"
    );
    web.until_says(&[
        r#""event":"handshake""#,
        r#""code":"T006""#,
        "sa/cart was expected",
        "sa/bank came",
    ]);
    assert_eq!(bank.requests(), 0);
}

#[test]
fn a_revoked_identity_is_cut_off_and_cannot_come_back() {
    let world = World::pair();
    Application::start(world.at("cart", 8080), "cart");
    serve(world.at("cart", 6379), |stream| {
        let mut out = stream.try_clone().unwrap();
        drop(std::io::copy(&mut &stream, &mut out));
    });
    let described = world.proxy("cart").with("# nobody is revoked");
    let file = described.write();
    let cart = described.start();
    let web = world
        .proxy("web")
        .upstream("cart", 8080)
        .upstream("cart", 6379)
        .start();
    let ask = || curl(&[&world.url("web", 8080, "/")]).outcome();
    assert_eq!(ask(), "200");
    let mut live = Client::to(world.at("web", 6379));
    live.send("before");
    assert_eq!(live.read(6), b"before");

    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("# nobody is revoked", "revoked: [shop/web]"),
    )
    .unwrap();
    cart.signal("HUP");
    cart.until_says(&["read again"]);
    assert!(live.is_cut());
    // The session could be resumed; who it was is asked again all the same, and told why.
    leno_e2e::until("a refusal", || {
        (ask() == "403 T005 identity-revoked").then_some(())
    });
    assert_eq!(ask(), "403 T005 identity-revoked");
    cart.until_says(&[
        r#""event":"handshake""#,
        r#""code":"T005""#,
        "sa/web proved who it is, and has been revoked",
    ]);
    leno_e2e::until("it is told in a handshake", || {
        assert_eq!(ask(), "403 T005 identity-revoked");
        let log = web.log();
        let mut told = log.lines().filter(|line| line.contains(r#""code":"T005""#));
        told.find(|line| line.contains("our identity is revoked there"))
            .map(|_| ())
    });

    fs::write(&file, text).unwrap();
    cart.signal("HUP");
    leno_e2e::until("pardon", || (ask() == "200").then_some(()));
}

#[test]
fn two_workloads_of_one_proxy_are_never_mixed() {
    let world = World::pair()
        .workload("admin", "")
        .workload("bank", "{port: 8080, protocol: HTTP}");
    for name in ["cart", "bank"] {
        Application::start(world.at(name, 8080), name);
    }
    // One proxy for both who call, one for both who are called.
    let _called = world.proxy("cart").and("bank").start();
    let callers = world
        .proxy("web")
        .upstream("cart", 8080)
        .listening("{service: bank, port: 8080, listen: @web:8081}");
    let _callers = callers
        .and("admin")
        .upstream("cart", 8080)
        .listening("{service: bank, port: 8080, listen: @admin:8081}")
        .through("bank", world.at("cart", 15008))
        .start();
    let threads = ["web", "admin"].map(|who| {
        let to = [("cart", world.at(who, 8080)), ("bank", world.at(who, 8081))];
        std::thread::spawn(move || {
            let mut clients = to.map(|(whom, address)| (whom, Client::to(address)));
            for _ in 0..50 {
                for (whom, client) in &mut clients {
                    let answer = client.get("/").unwrap();
                    let told = format!(
                        "x-forwarded-client-cert: By=spiffe://shop.local/ns/shop/sa/{whom};\
                         URI=spiffe://shop.local/ns/shop/sa/{who}\r\n"
                    );
                    assert!(answer.text().contains(&told), "{who} {whom}: {answer:?}");
                }
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn nothing_between_two_proxies_can_be_read() {
    let world = World::pair();
    Application::start(world.at("cart", 8080), "cart");
    let _cart = world.proxy("cart").start();
    let recorded = record(world.at("relay", 15008), world.at("cart", 15008));
    let relay = world.at("relay", 15008);
    let _web = world
        .proxy("web")
        .through("cart", relay)
        .upstream("cart", 8080)
        .start();
    let url = world.url("web", 8080, "/secret-path-4711?secret-query-4711");
    let body = "secret-body-4711 ".repeat(1000);
    let answer = curl(&[&url, "-H", "x-secret: secret-header-4711", "-d", &body]);
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("secret-path-4711") && answer.text().contains("body 17000 "));
    let recorded = recorded.lock().unwrap();
    assert!(recorded.len() > body.len(), "{}", recorded.len());
    for secret in [
        "4711",
        "secret",
        "GET ",
        "POST ",
        "HTTP/1.1",
        "spiffe://",
        "shop",
        "leno-id",
    ] {
        let found = recorded
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        // One name is said in the clear, as a hash: to whom the call goes.
        assert!(!found, "{secret} was sent in the clear");
    }
}

/// Passes connections to `from` on to `to`, and keeps every byte of them.
fn record(from: SocketAddr, to: SocketAddr) -> Arc<Mutex<Vec<u8>>> {
    let recorded = Arc::<Mutex<Vec<u8>>>::default();
    let keep = recorded.clone();
    serve(from, move |stream| {
        let onward = TcpStream::connect(to).unwrap();
        let back = (onward.try_clone().unwrap(), stream.try_clone().unwrap());
        let ways = [(stream, onward), back].map(|(mut from, mut to)| {
            let keep = keep.clone();
            std::thread::spawn(move || {
                let mut bytes = [0; 16 * 1024];
                while let Ok(count @ 1..) = from.read(&mut bytes) {
                    keep.lock().unwrap().extend_from_slice(&bytes[..count]);
                    if to.write_all(&bytes[..count]).is_err() {
                        return;
                    }
                }
            })
        });
        for way in ways {
            way.join().unwrap();
        }
    });
    recorded
}
