//! Tunnels from and to a mesh of another make: Istio's own client and server of HBONE.

use leno_e2e::{Application, Client, Grpc, World, curl, haproxy, hbone, until};

use crate::pair::Pair;

#[test]
fn istios_client_calls_through_our_tunnels() {
    let Pair {
        world,
        application,
        cart,
        ..
    } = Pair::start();
    let tunnel = (world.at("cart", 15008), world.at("cart", 8080));
    let paths = ["/bytes/1000", "/chunked/100000", "/bytes/1000000"];
    let Some(answers) = hbone::call(&world, "web", tunnel, "1", &paths) else {
        return;
    };
    assert_eq!(answers, ["200 1000", "200 100000", "200 1000000"]);
    cart.until_says(&[r#""source":"shop/web""#, r#""security":"mtls""#]);

    // Who may call is the same question as for our own.
    world.issue("stranger");
    world.replace(
        "callers: [{namespace: shop}]",
        "callers: [{identity: shop/web}]",
    );
    cart.signal("HUP");
    cart.until_says(&["read again"]);
    let stranger = hbone::call(&world, "stranger", tunnel, "1", &["/bytes/1000"]);
    let [refused] = &stranger.unwrap()[..] else {
        panic!("one answer to one request");
    };
    assert!(refused.starts_with("403 "), "{refused}");
    cart.until_says(&[r#""source":"shop/stranger""#, "R003"]);
    assert_eq!(application.requests(), paths.len());
}

#[test]
fn our_client_calls_through_istios_tunnels() {
    let world = World::pair();
    Application::start(world.at("cart", 8080), "cart");
    world.issue("cart");
    let Some(istio) = hbone::serve(&world, "cart", world.at("cart", 15008)) else {
        return;
    };
    let _web = world.proxy("web").upstream("cart", 8080).start();
    for (path, length) in [("/", None), ("/bytes/1000000", Some(1_000_000))] {
        let answer = curl(&[&world.url("web", 8080, path)]);
        assert_eq!(answer.status, 200);
        assert!(length.is_none_or(|length| answer.body.len() == length));
    }
    let opened = format!("CONNECT {} by", world.at("cart", 8080));
    istio.until_says(&[&opened, "spiffe://shop.local/ns/shop/sa/web"]);
}

/// `cart`, which speaks HTTP/2 on port 8081 and gRPC on port 9000.
fn of_http2() -> World {
    let ports = "{port: 8080, protocol: HTTP1}, {port: 8081, protocol: HTTP2}, {port: 9000, protocol: GRPC}";
    let world = World::new("mtls: Strict, default: Allow");
    world.workload("web", "").workload("cart", ports)
}

#[test]
fn http2_goes_inside_istios_tunnels() {
    let world = of_http2();
    let [old, new] = [8080, 8081].map(|port| world.at("cart", port));
    Application::start(old, "cart");
    let (from, to) = (format!("{new} proto h2"), old.to_string());
    let _haproxy = haproxy(&world, "haproxy", (&from, &to));
    until("HAProxy", || Client::try_to(new).map(drop));

    // Their server, our client: gRPC, and requests of either version.
    world.issue("cart");
    let Some(istio) = hbone::serve(&world, "cart", world.at("cart", 15008)) else {
        return;
    };
    let grpc = Grpc::installed().expect("Go is");
    let _server = grpc.serve(&world, "server", world.at("cart", 9000));
    let web = world
        .proxy("web")
        .upstream("cart", 8081)
        .upstream("cart", 9000)
        .start();
    for (what, number, expect) in [
        ("hello", 0, "OK: hello"),
        ("both", 100, "OK: 100 messages, told [yes]"),
        ("large", 3_000_000, "OK: 3000000 bytes"),
        ("fail", 5, "NotFound: as asked, 100 %"),
    ] {
        assert_eq!(grpc.ask(world.at("web", 9000), what, number), expect);
    }
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let url = world.url("web", 8081, "/bytes/1000000");
        assert_eq!(curl(&[version, &url]).body.len(), 1_000_000, "{version}");
    }
    for port in [8081, 9000] {
        let opened = format!("CONNECT {} by", world.at("cart", port));
        istio.until_says(&[&opened, "spiffe://shop.local/ns/shop/sa/web"]);
    }
    web.until_says(&[r#""security":"mtls""#, r#""path":"/bytes/1000000""#]);
    drop(istio);

    // Their client, our proxy.
    let cart = world.proxy("cart").start();
    let tunnel = (world.at("cart", 15008), new);
    let answers = hbone::call(
        &world,
        "web",
        tunnel,
        "2",
        &["/bytes/1000", "/bytes/1000000"],
    );
    assert_eq!(answers.unwrap(), ["200 1000", "200 1000000"]);
    cart.until_says(&[
        r#""source":"shop/web""#,
        r#""path":"/bytes/1000000""#,
        r#""security":"mtls""#,
    ]);
}
