//! WebSocket by real programs, asked for in HTTP/1.1 and in HTTP/2 (RFC 8441), through one proxy and through two.

use std::fs;
use std::process::Command;

use leno_e2e::{Application, Client, Process, World, haproxy, run, until, websocket};

/// `cart` (in the mesh) and `plain` (outside) take WebSocket in HTTP/1.1 on port 8080, in HTTP/2 on port 8081, and
/// not at all on ports 8082, where nginx speaks HTTP/2, and 8083, where requests of HTTP/1.1 are answered with 200.
struct Shop {
    world: World,
    web: Process,
    cart: Process,
    _others: Vec<Process>,
}

/// Where web's proxy listens, above a port, for the server in the mesh and for the one outside.
const PLACES: [u16; 2] = [1000, 2000];

const PORTS: [u16; 4] = [8080, 8081, 8082, 8083];

impl Shop {
    fn open() -> Self {
        let ports = "{port: 8080, protocol: HTTP}, {port: 8081, protocol: HTTP2}, {port: 8082, protocol: HTTP2}, {port: 8083, protocol: HTTP1}";
        let world = World::new("mtls: Strict, default: Allow")
            .workload("web", "")
            .workload("cart", ports)
            .unproxied("plain", ports);
        let mut others = Vec::new();
        for name in ["cart", "plain"] {
            let [old, both, none, deaf] = PORTS.map(|port| world.at(name, port));
            Application::start(deaf, name);
            let (old, both) = (old.to_string(), both.to_string());
            let serve = &mut websocket(&["serve", &old]);
            others.push(world.process(&format!("{name}-old"), serve));
            let between = (&*format!("{both} proto h2"), &*old);
            others.push(haproxy(&world, &format!("{name}-haproxy"), between));
            let configuration = format!(
                "daemon off; master_process off; user root; pid {name}.pid; error_log stderr;\n\
                 events {{}}\nhttp {{ access_log off; server {{ listen {none} http2; }} }}\n"
            );
            let file = world.folder().join(format!("{name}.conf"));
            fs::write(&file, configuration).unwrap();
            let mut nginx = Command::new("nginx");
            nginx.arg("-p").arg(world.folder()).arg("-c").arg(&file);
            others.push(world.process(&format!("{name}-nginx"), &mut nginx));
            for port in PORTS {
                until("a server", || {
                    Client::try_to(world.at(name, port)).map(drop)
                });
            }
        }
        let cart = world.proxy("cart").start();
        let [cart_at, plain_at] = PLACES;
        let services = [("cart", cart_at), ("plain", plain_at)];
        let web = world.proxy("web").leading_to(services, &PORTS).start();
        Self {
            web,
            cart,
            _others: others,
            world,
        }
    }

    /// Asks for a socket at a port of `web`.
    fn asks(&self, what: &str, version: &str, port: u16, more: &[&str]) -> String {
        let at = self.world.at("web", port).to_string();
        run(&mut websocket(&[&[what, version, &at], more].concat()))
    }
}

#[test]
fn a_socket_is_asked_for_in_either_version_of_a_server_of_either() {
    let shop = Shop::open();
    for above in PLACES {
        for port in [8080, 8081] {
            for version in ["1", "2"] {
                let told = format!("{above} {port} {version}");
                let said = shop.asks("talk", version, port + above, &[]);
                assert_eq!(said, "1000\n", "{told}");
                let refused = shop.asks("ask", version, port + above, &["/closed"]);
                assert_eq!(refused, "403 None\n", "{told}");
            }
        }
        // One call, whichever way it is asked for.
        for (proxy, status) in [(&shop.web, "101"), (&shop.web, "200")] {
            let status = format!("\"status\":{status},");
            proxy.until_says(&[r#""method":"GET""#, r#""path":"/chat""#, &status]);
        }
    }
    shop.cart.until_says(&[
        r#""method":"GET""#,
        r#""path":"/chat""#,
        r#""security":"mtls""#,
        r#""source":"shop/web""#,
    ]);
}

#[test]
fn a_server_that_takes_no_socket_is_named() {
    let shop = Shop::open();
    for (above, by) in PLACES.into_iter().zip(["cart", "web"]) {
        for version in ["1", "2"] {
            let refused = shop.asks("ask", version, 8082 + above, &["/chat"]);
            let expect = format!("502 R056 upgrade-failed; by=proxy-of-{by}; fault=service; id=");
            assert!(refused.starts_with(&expect), "{above} {version}: {refused}");
        }
        // What 200 says in HTTP/1.1, it does not say in HTTP/2, where it would open a socket.
        let answered = shop.asks("ask", "1", 8083 + above, &["/chat"]);
        assert_eq!(answered, "200 None\n");
        let refused = shop.asks("ask", "2", 8083 + above, &["/chat"]);
        let expect = "502 R056 upgrade-failed; by=proxy-of-web; fault=service; id=";
        assert!(refused.starts_with(expect), "{above}: {refused}");
    }
    shop.web
        .until_says(&[r#""code":"R056""#, r#""path":"/chat""#]);
}

#[test]
fn another_proxy_asks_for_sockets_in_http2() {
    let shop = Shop::open();
    let at = |port: u16| shop.world.at("web", port).to_string();
    for (number, above) in PLACES.into_iter().enumerate() {
        let (from, to) = (at(7000 + above), format!("{} proto h2", at(8080 + above)));
        let name = format!("haproxy-{number}");
        let _haproxy = haproxy(&shop.world, &name, (&from, &to));
        until("HAProxy", || {
            Client::try_to(shop.world.at("web", 7000 + above)).map(drop)
        });
        assert_eq!(shop.asks("talk", "1", 7000 + above, &[]), "1000\n");
    }
    shop.web
        .until_says(&[r#""path":"/chat""#, r#""status":200,"#]);
}

#[test]
fn a_socket_lives_on_in_the_older_process_until_it_is_forbidden() {
    let world = World::new("mtls: Strict, default: Deny")
        .workload("web", "")
        .workload("cart", "{port: 8080, protocol: HTTP}, {port: 8081, protocol: HTTP2}")
        .objects(
            "kind: AccessPolicy\napiVersion: leno.dev/v1alpha1\n\
             metadata: {name: cart, namespace: shop}\n\
             spec: {targetRefs: [{kind: Service, name: cart}], \
             rules: [{callers: [{identity: shop/web}], requests: [{methods: [GET], paths: [{type: Exact, value: /chat}]}]}]}\n",
        );
    let [old, both] = [8080, 8081].map(|port| world.at("cart", port).to_string());
    let _server = world.process("server", &mut websocket(&["serve", &old]));
    let _haproxy = haproxy(&world, "haproxy", (&format!("{both} proto h2"), &old));
    for port in [8080, 8081] {
        until("a server", || {
            Client::try_to(world.at("cart", port)).map(drop)
        });
    }
    let cart = world.proxy("cart").start();
    let proxy = || {
        world
            .proxy("web")
            .upstream("cart", 8080)
            .upstream("cart", 8081)
    };
    let older = proxy().start();
    let end = world.folder().join("end").display().to_string();
    let hold = |version: &str, port| {
        let at = world.at("web", port).to_string();
        let mut talking = websocket(&["hold", version, &at, &end]);
        let talking = world.process(&format!("socket-{version}-{port}"), &mut talking);
        talking.until_says(&["open"]);
        talking
    };
    let before = hold("1", 8081);
    let newer = proxy().arguments(&["--take-over"]).start();
    older.until_says(&["succeeded"]);
    let sockets = [before, hold("2", 8080), hold("2", 8081)];
    let refused = run(&mut websocket(&[
        "ask",
        "2",
        &world.at("web", 8081).to_string(),
        "/closed",
    ]));
    assert!(refused.starts_with("403 R003 no-allow-rule"), "{refused}");
    newer.until_says(&[r#""path":"/closed""#]);
    assert!(sockets.iter().all(|socket| !socket.has_ended()) && !older.has_ended());

    world.replace("identity: shop/web", "identity: shop/other");
    cart.signal("HUP");
    for (socket, cut) in sockets.iter().zip(["reset 1006", "reset 8", "reset 8"]) {
        socket.until_says(&[cut]);
    }
    cart.until_says(&[r#""path":"/chat""#, r#""code":"R006""#]);
    assert!(older.ended().success());
}
