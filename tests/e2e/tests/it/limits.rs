//! What bounds a proxy: each limit bites by its name, and what is within it goes on.

use leno_e2e::{Answer, Application, Client, World, curl, serve, until};

#[test]
fn one_address_takes_no_more_connections_than_its_share() {
    let world = World::new("mtls: Permissive, default: Allow")
        .workload("cart", "{port: 8080, protocol: HTTP}");
    Application::start(world.at("cart", 8080), "cart");
    let cart = world.proxy("cart").plain(8080);
    let cart = cart
        .with("metrics: @cart:15020\nlimits: {connectionsOfPeer: 2}")
        .start();
    let at = world.at("cart", 18080);
    let mut held = [(); 2].map(|()| Client::to(at));
    for client in &mut held {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    let refused = curl(&[&world.url("cart", 18080, "/")]);
    assert_eq!(refused.outcome(), "503 R050 too-many-of-peer");
    // Whoever speaks HTTP/2, or gRPC, is told so in it.
    let in_http2 = |arguments: &[&str]| {
        let url = world.url("cart", 18080, "/shop.Cart/Get");
        curl(&[&["--http2-prior-knowledge", &url], arguments].concat())
    };
    assert_eq!(in_http2(&[]).outcome(), "503 R050 too-many-of-peer");
    let call = in_http2(&["-X", "POST", "-H", "content-type: application/grpc"]);
    assert_eq!(call.outcome(), "200 R050 too-many-of-peer");
    assert_eq!(call.header("grpc-status"), Some("14"));
    cart.until_says(&[r#""code":"R050""#, r#""grpc_status":14"#]);
    // Who has another address has a share of its own.
    let other = curl(&["--interface", "127.0.0.99", &world.url("cart", 18080, "/")]);
    assert_eq!(other.outcome(), "200");
    assert_eq!(world.bit("cart", "connections-of-peer"), 3);
    drop(held);
    until("a place", || {
        (curl(&[&world.url("cart", 18080, "/")]).status == 200).then_some(())
    });
}

#[test]
fn one_identity_takes_no_more_connections_than_its_share() {
    let world = World::pair();
    serve(world.at("cart", 6379), |stream| {
        let mut out = stream.try_clone().unwrap();
        drop(std::io::copy(&mut &stream, &mut out));
    });
    let cart = world.proxy("cart");
    let cart = cart.with("limits: {connectionsOfPeer: 1}").start();
    let _web = world.proxy("web").upstream("cart", 6379).start();
    // As many streams as one connection between proxies carries.
    let mut held = (0..100)
        .map(|_| Client::to(world.at("web", 6379)))
        .collect::<Vec<_>>();
    for client in &mut held {
        client.send("x");
        assert_eq!(client.read(1), b"x");
    }
    let mut beyond = Client::to(world.at("web", 6379));
    assert!(beyond.is_cut());
    cart.until_says(&[r#""event":"handshake""#, r#""code":"R050""#, "shop/web"]);
    for client in &mut held {
        client.send("y");
        assert_eq!(client.read(1), b"y");
    }
}

#[test]
fn a_proxy_that_holds_all_it_may_reads_no_more_and_goes_on_when_it_can() {
    let world = World::new("mtls: Permissive, default: Allow")
        .workload("web", "")
        .unproxied("cart", "{port: 8080, protocol: HTTP}");
    Application::start(world.at("cart", 8080), "cart");
    let web = world.proxy("web").upstream("cart", 8080);
    let web = web.with("metrics: @web:15020\nlimits: {bufferedMiB: 1}");
    let _web = web.start();
    let at = world.at("web", 8080);
    let mut idle = Client::to(at);
    assert_eq!(idle.get("/").unwrap().status, 200);
    // 64 buffers are a MiB, and a head that has no end yet holds one.
    let begin = || {
        let mut client = Client::to(at);
        client.send("GET /slow HTTP/1.1\r\nHost: cart\r\n");
        client
    };
    let mut slow = (0..64).map(|_| begin()).collect::<Vec<_>>();
    until("a full proxy", || {
        let answer = curl(&[&world.url("web", 8080, "/")]);
        let is_full = answer.outcome() == "503 R051 buffers-full";
        if !is_full {
            // The buffer of an answered request was still held, so that one of them got none.
            slow.push(begin());
        }
        is_full.then_some(())
    });
    idle.send("GET /waits HTTP/1.1\r\nHost: cart\r\n\r\n");
    for client in &mut slow {
        client.send("\r\n");
    }
    assert_eq!(idle.answer().unwrap().outcome(), "200");
    let answers = slow.iter_mut().map(Client::answer);
    let outcomes = answers.map(|answer| answer.as_ref().map(Answer::outcome));
    let served = outcomes.filter(|outcome| outcome.as_deref() == Some("200"));
    // Whoever holds a buffer is served; the last one may be held by an answer that has just gone.
    assert!(served.count() >= 63);
    assert_eq!(curl(&[&world.url("web", 8080, "/")]).outcome(), "200");
    assert!(world.bit("web", "buffered-bytes") > 0);
}
