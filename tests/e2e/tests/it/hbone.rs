//! Tunnels from and to a mesh of another make: Istio's own client and server of HBONE.

use leno_e2e::{Application, World, curl, hbone};

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
    let Some(answers) = hbone::call(&world, "web", tunnel, &paths) else {
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
    let stranger = hbone::call(&world, "stranger", tunnel, &["/bytes/1000"]);
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
