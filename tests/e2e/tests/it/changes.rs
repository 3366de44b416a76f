//! What is open when the configuration changes, and goes on.

use std::fs;

use leno_e2e::{Application, Client, World, grpcio, serve, until};

/// A stream of each kind that is carried lives through all of these.
const CHANGES: usize = 100;

#[test]
fn streams_live_through_a_hundred_changes() {
    let world = World::new("mtls: Strict, default: Deny")
        .workload("web", "")
        .workload(
            "cart",
            "{port: 8080, protocol: HTTP}, {port: 6379, protocol: TCP}, {port: 9000, protocol: GRPC}",
        )
        .objects(
            "
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  rules: [{callers: [{identity: shop/web}, {identity: shop/change-0}]}]
",
        );
    Application::start(world.at("cart", 8080), "cart");
    serve(world.at("cart", 6379), |stream| {
        let mut out = stream.try_clone().unwrap();
        drop(std::io::copy(&mut &stream, &mut out));
    });
    let at = |name| world.at(name, 9000).to_string();
    let server = world.process("grpcio", &mut grpcio(&["serve", &at("cart")]));
    server.until_says(&["ready"]);
    let cart = world.proxy("cart").start();
    let upstream = world.proxy("web").upstream("cart", 8080);
    let upstream = upstream.upstream("cart", 6379).upstream("cart", 9000);
    let web = upstream.start();

    let mut bytes = Client::to(world.at("web", 6379));
    let mut switched = Client::to(world.at("web", 8080));
    switched
        .send("GET /switch HTTP/1.1\r\nHost: cart\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(switched.answer().unwrap().status, 101);
    let end = world.folder().join("end");
    let mut talking = grpcio(&["talk", &at("web"), &end.display().to_string()]);
    let talking = world.process("talking", &mut talking);

    for change in 1..=CHANGES {
        world.replace(
            &format!("change-{}}}", change - 1),
            &format!("change-{change}}}"),
        );
        for proxy in [&cart, &web] {
            proxy.signal("HUP");
            let read = || proxy.log().matches("read again").count() == change;
            until("the change", || read().then_some(()));
        }
        for stream in [&mut bytes, &mut switched] {
            stream.send("still here");
            assert_eq!(stream.read(10), b"still here", "change {change}");
        }
        assert!(!talking.has_ended(), "change {change}");
    }
    fs::write(end, "").unwrap();
    talking.until_says(&["whole"]);
}
