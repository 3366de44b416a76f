//! Calls of gRPC by grpc-go and grpcio, through one proxy to a server outside the mesh, and through two.

use leno_e2e::{Grpc, Process, ProxyOf, World, grpcio, run, until};

/// A server in the mesh and one outside, and a client whose proxy leads to both.
struct Shop {
    grpc: Grpc,
    world: World,
    servers: [Process; 2],
    web: Process,
    _cart: Process,
}

/// Where web's proxy listens for the server outside the mesh, and for the one inside.
const OUTSIDE: u16 = 9001;
const INSIDE: u16 = 9002;

impl Shop {
    fn open() -> Option<Self> {
        let grpc = Grpc::installed()?;
        let world = World::pair()
            .workload("bank", "{port: 9000, protocol: GRPC}")
            .unproxied("plain", "{port: 9000, protocol: GRPC}");
        let servers = ["bank", "plain"].map(|name| {
            let at = world.at(name, 9000);
            grpc.serve(&world, &format!("{name}-server"), at)
        });
        Some(Self {
            servers,
            _cart: world.proxy("bank").start(),
            web: Self::caller(&world).start(),
            grpc,
            world,
        })
    }

    fn caller(world: &World) -> ProxyOf<'_> {
        world
            .proxy("web")
            .listening("{service: plain, port: 9000, listen: @web:9001}")
            .listening("{service: bank, port: 9000, listen: @web:9002}")
    }

    fn ask(&self, port: u16, what: &str, number: u32) -> String {
        self.grpc.ask(self.world.at("web", port), what, number)
    }
}

#[test]
fn every_kind_of_call_goes_through() {
    let Some(shop) = Shop::open() else { return };
    for port in [OUTSIDE, INSIDE] {
        for (what, number, expect) in [
            ("hello", 0, "OK: hello"),
            ("down", 100, "OK: 100 messages"),
            ("up", 100, "OK: 100 messages, 700 bytes"),
            ("both", 100, "OK: 100 messages, told [yes]"),
            ("large", 3_000_000, "OK: 3000000 bytes"),
            ("fail", 5, "NotFound: as asked, 100 %"),
            ("unknown", 0, "Unimplemented: unknown service shop.Bank"),
            ("deadline", 3000, "DeadlineExceeded: "),
            ("cancel", 3000, "Canceled: context canceled"),
        ] {
            // Whose clock runs out first says so: the client's, or a proxy's.
            let said = shop.ask(port, what, number);
            let said = match what {
                "deadline" => said.split_inclusive(": ").next().unwrap(),
                _ => &said,
            };
            assert_eq!(said, expect, "{port} {what}");
        }
    }
    // Who gave up is known where the work is done.
    for server in &shop.servers {
        until("both ends of a call", || {
            (server.log().matches("gone: context").count() == 2).then_some(())
        });
    }
    for reported in [
        r#""security":"mtls""#,
        r#""security":"endpoint-not-in-mesh""#,
    ] {
        shop.web
            .until_says(&[reported, r#""path":"/shop.Cart/Both""#]);
        shop.web.until_says(&[reported, r#""grpc_status":5"#]);
    }
}

#[test]
fn no_call_is_lost_while_proxies_are_replaced() {
    let Some(Shop {
        grpc,
        world,
        servers: _servers,
        web,
        _cart: bank,
    }) = Shop::open()
    else {
        return;
    };
    let loads = [OUTSIDE, INSIDE].map(|port| {
        let name = format!("load-{port}");
        grpc.load(&world, &name, world.at("web", port), 4)
    });
    let mut running = [("web", web), ("bank", bank)];
    for _ in 0..2 {
        for (name, process) in &mut running {
            process.until_says(&[r#""path":"/shop.Cart/Unary""#]);
            let newer = match *name {
                "web" => Shop::caller(&world),
                _ => world.proxy(name),
            };
            let newer = newer.arguments(&["--take-over"]).start();
            let older = std::mem::replace(process, newer);
            older.until_says(&["succeeded"]);
            assert!(older.ended().success());
            let log = older.log();
            assert!(!log.contains("cut "), "{log}");
        }
    }
    for load in loads {
        load.signal("TERM");
        load.until_says(&["OK: ", " calls"]);
    }
}

/// Servers of grpcio for a shop's two services, once they listen.
fn serve_grpcio(world: &World) -> [Process; 2] {
    let servers = ["bank", "plain"].map(|name| {
        let at = world.at(name, 9000).to_string();
        world.process(&format!("{name}-server"), &mut grpcio(&["serve", &at]))
    });
    for server in &servers {
        server.until_says(&["ready"]);
    }
    servers
}

#[test]
fn grpcio_understands_itself_through_either() {
    let world = World::pair()
        .workload("bank", "{port: 9000, protocol: GRPC}")
        .unproxied("plain", "{port: 9000, protocol: GRPC}");
    let _servers = serve_grpcio(&world);
    let _bank = world.proxy("bank").start();
    let _web = Shop::caller(&world).start();
    for port in [OUTSIDE, INSIDE] {
        let said = run(&mut grpcio(&["call", &world.at("web", port).to_string()]));
        let expect = "NOT_FOUND nothing here: ü b'\\x00\\xff'\n\
                      UNIMPLEMENTED Method not found! None\n";
        assert_eq!(said, expect, "{port}");
    }
}

#[test]
fn a_server_that_speaks_first_in_http2_is_known_where_nothing_is_said() {
    let world = World::pair()
        .workload("bank", "{port: 9000}")
        .unproxied("plain", "{port: 9000}");
    let _servers = serve_grpcio(&world);
    let bank = world.proxy("bank").start();
    let web = Shop::caller(&world).start();
    for port in [OUTSIDE, INSIDE] {
        let said = run(&mut grpcio(&["call", &world.at("web", port).to_string()]));
        assert!(said.starts_with("NOT_FOUND nothing here"), "{port}: {said}");
    }
    for proxy in [bank, web] {
        proxy.until_says(&[r#""path":"/shop.Echo/Fail""#, r#""grpc_status":5"#]);
    }
}

#[test]
fn a_stream_carries_many_small_messages() {
    let Some(shop) = Shop::open() else { return };
    for port in [OUTSIDE, INSIDE] {
        for what in ["flood", "window-flood"] {
            let said = shop.ask(port, what, 100_000);
            assert_eq!(said, "OK: 100000 messages", "{port} {what}");
        }
    }
}

#[test]
fn a_call_that_is_refused_is_refused_in_the_words_of_grpc() {
    let Some(grpc) = Grpc::installed() else {
        return;
    };
    let world = World::new("mtls: Strict, default: Deny")
        .workload("web", "")
        .workload("bank", "{port: 9000, protocol: GRPC}")
        .unproxied("closed", "{port: 9000, protocol: GRPC}");
    let _server = grpc.serve(&world, "server", world.at("bank", 9000));
    let bank = world.proxy("bank").start();
    let _web = world
        .proxy("web")
        .listening("{service: bank, port: 9000, listen: @web:9001}")
        .listening("{service: closed, port: 9000, listen: @web:9002}")
        .start();
    let denied = grpc.ask(world.at("web", 9001), "hello", 0);
    assert!(
        denied.starts_with("PermissionDenied: no AccessPolicy allows it"),
        "{denied}"
    );
    bank.until_says(&[r#""code":"R003""#, r#""grpc_status":7"#]);
    let refused = grpc.ask(world.at("web", 9002), "hello", 0);
    assert!(refused.starts_with("Unavailable: "), "{refused}");
    assert!(refused.ends_with(" refused the connection"), "{refused}");
}

#[test]
fn a_policy_about_a_route_is_asked_about_its_calls_alone() {
    let Some(grpc) = Grpc::installed() else {
        return;
    };
    let world = World::new("mtls: Strict, default: Allow")
        .workload("web", "")
        .workload("bank", "{port: 9000, protocol: GRPC}")
        .objects(
            "
kind: GRPCRoute
apiVersion: gateway.networking.k8s.io/v1
metadata: {name: lists, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: bank}]
  rules:
  - matches: [{method: {service: shop.Cart, method: Down}}]
    backendRefs: [{name: bank, port: 9000}]
---
kind: GRPCRoute
apiVersion: gateway.networking.k8s.io/v1
metadata: {name: others, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: bank}]
  rules: [{backendRefs: [{name: bank, port: 9000}]}]
---
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: lists, namespace: shop}
spec:
  targetRefs: [{kind: GRPCRoute, name: lists}]
  rules: [{action: Deny, callers: [{identity: shop/web}]}]
---
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: others, namespace: shop}
spec:
  targetRefs: [{kind: GRPCRoute, name: others}]
  rules: [{action: Audit}]
",
        );
    let _server = grpc.serve(&world, "server", world.at("bank", 9000));
    let bank = world.proxy("bank").start();
    let _web = world.proxy("web").upstream("bank", 9000).start();
    let ask = |what, number| grpc.ask(world.at("web", 9000), what, number);
    let denied = ask("down", 100);
    assert!(denied.starts_with("PermissionDenied: "), "{denied}");
    bank.until_says(&[r#""path":"/shop.Cart/Down""#, r#""code":"R004""#]);
    assert_eq!(ask("hello", 0), "OK: hello");
    bank.until_says(&[
        r#""path":"/shop.Cart/Unary""#,
        r#""audited":"AccessPolicy shop/others rule 1""#,
    ]);
}

#[test]
fn a_mirror_gets_calls_too() {
    let Some(grpc) = Grpc::installed() else {
        return;
    };
    let world = World::new("mtls: Strict, default: Allow")
        .workload("web", "")
        .workload("bank", "{port: 9000, protocol: GRPC}")
        .workload("trial", "{port: 9000, protocol: GRPC}")
        .objects(
            "
kind: GRPCRoute
apiVersion: gateway.networking.k8s.io/v1
metadata: {name: bank, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: bank}]
  rules:
  - filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: trial, port: 9000}}}
    backendRefs: [{name: bank, port: 9000}]
",
        );
    let _servers = ["bank", "trial"]
        .map(|name| grpc.serve(&world, &format!("{name}-server"), world.at(name, 9000)));
    let [_bank, trial] = ["bank", "trial"].map(|name| world.proxy(name).start());
    let web = world.proxy("web").upstream("bank", 9000).start();
    for (what, number, expect, method) in [
        ("hello", 0, "OK: hello", "Unary"),
        ("up", 100, "OK: 100 messages, 700 bytes", "Up"),
        ("both", 100, "OK: 100 messages, told [yes]", "Both"),
        ("large", 3_000_000, "OK: 3000000 bytes", "Unary"),
    ] {
        assert_eq!(grpc.ask(world.at("web", 9000), what, number), expect);
        let path = format!("\"path\":\"/shop.Cart/{method}\"");
        let copied = web.until_says(&["copy_of", &path, r#""status":200"#]);
        assert!(copied.contains(r#""destination":"shop/trial""#), "{copied}");
        trial.until_says(&[&path, r#""status":200"#, r#""grpc_status":0"#]);
    }
}
