//! Requests that say themselves where they go: as clients of a proxy, and by published names.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use leno_e2e::{Answer, Application, Client, Process, World, curl, exchange, run, serve};

/// `web` calls `cart` by whatever its requests name; `plain` is outside of the mesh.
struct Doors {
    world: World,
    cart: Application,
    outside: Application,
    proxies: [Process; 2],
}

impl Doors {
    fn start(unknown: &str) -> Self {
        let world = World::new(&format!(
            "mtls: Strict, default: Allow, unknownDestinations: {unknown}"
        ));
        let world = world
            .workload("web", "")
            .workload(
                "cart",
                "{port: 8080, protocol: HTTP}, {port: 6379, protocol: TCP}",
            )
            .objects(
                "kind: AccessPolicy\napiVersion: leno.dev/v1alpha1\n\
                 metadata: {name: cart, namespace: shop}\n\
                 spec: {targetRefs: [{kind: Service, name: cart}], \
                 rules: [{callers: [{identity: shop/web}], requests: [{methods: [GET], ports: [8080]}]}, \
                 {callers: [{identity: shop/web}], requests: [{ports: [6379]}]}]}\n",
            );
        serve(world.at("cart", 6379), |mut stream| {
            let mut back = stream.try_clone().expect("a socket has two handles");
            // Whoever leaves is answered no more.
            drop(std::io::copy(&mut stream, &mut back));
        });
        Self {
            cart: Application::start(world.at("cart", 8080), "cart"),
            outside: Application::start(world.at("outside", 9000), "outside"),
            proxies: [
                world.proxy("cart").start(),
                world
                    .proxy("web")
                    .of_workload("httpProxy: @web:3128")
                    .of_workload("published: @web:7070")
                    .start(),
            ],
            world,
        }
    }

    fn proxy(&self) -> SocketAddr {
        self.world.at("web", 3128)
    }

    /// Asks with curl, which is told to use the proxy.
    fn through(&self, url: &str, arguments: &[&str]) -> Answer {
        let proxy = format!("http://{}", self.proxy());
        let how = ["--noproxy", "", "--suppress-connect-headers", "-x", &proxy];
        curl(&[&how, &[url][..], arguments].concat())
    }

    /// Asks by a published name, as a browser does.
    fn published(&self, host: &str) -> Answer {
        let to = self.world.at("web", 7070);
        exchange(
            to,
            format!("GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        )
    }
}

#[test]
fn a_client_of_a_proxy_reaches_services_by_name_and_others_as_the_mesh_says() {
    let doors = Doors::start("Allow");
    for host in ["cart", "CART", "cart.shop", "cart.shop.svc.cluster.local."] {
        let answer = doors.through(&format!("http://{host}:8080/items?a=b"), &[]);
        assert_eq!(answer.outcome(), "200", "{host}");
        let head = answer.text();
        assert!(
            head.starts_with("GET /items?a=b HTTP/1.1\r\nHost: "),
            "{head}"
        );
        assert!(head.contains("URI=spiffe://shop.local/ns/shop/sa/web\r\n"));
    }
    // By its own address, and on this machine's loopback by its port.
    let at = doors.world.at("cart", 8080);
    let direct = doors.through(&format!("http://{at}/"), &[]);
    assert!(direct.text().contains("sa/web\r\n"), "{direct:?}");
    let local = doors.through("http://localhost:8080/", &[]);
    assert!(local.text().contains("sa/web\r\n"), "{local:?}");

    let outside = doors.world.at("outside", 9000);
    let answer = doors.through(&format!("http://{outside}/"), &[]);
    assert_eq!(answer.header("server"), Some("outside"));
    for (url, expect) in [
        ("http://cart:81/", "502 R016 no-such-port"),
        (
            "http://cart.bank.svc.cluster.local/",
            "403 R001 unknown-destination",
        ),
        ("http://nobody.invalid/", "502 R019 name-not-resolved"),
    ] {
        assert_eq!(doors.through(url, &[]).outcome(), expect, "{url}");
    }
    let denied = doors.through("http://cart:8080/", &["-X", "DELETE"]);
    assert_eq!(denied.outcome(), "403 R003 no-allow-rule");
    assert_eq!(doors.outside.requests(), 1);
}

#[test]
fn a_closed_mesh_lets_no_client_of_a_proxy_out() {
    let doors = Doors::start("Deny");
    let outside = doors.world.at("outside", 9000);
    for url in [
        "http://nobody.invalid/".to_owned(),
        format!("http://{outside}/"),
    ] {
        let answer = doors.through(&url, &[]);
        assert_eq!(answer.outcome(), "403 R001 unknown-destination", "{url}");
    }
    let answer = exchange(
        doors.proxy(),
        format!("CONNECT {outside} HTTP/1.1\r\nHost: {outside}\r\n\r\n"),
    );
    assert_eq!(answer.outcome(), "403 R001 unknown-destination");
    assert_eq!(doors.outside.connections(), 0);
}

#[test]
fn connect_carries_bytes_and_the_requests_in_it_are_requests() {
    let doors = Doors::start("Allow");
    let mut client = Client::to(doors.proxy());
    // It does not wait for the answer.
    client.send("CONNECT cart:6379 HTTP/1.1\r\nHost: cart:6379\r\n\r\nearly ");
    assert_eq!(client.read(19), b"HTTP/1.1 200 OK\r\n\r\n");
    client.send("late");
    assert_eq!(client.read(10), b"early late");

    let outside = doors.world.at("outside", 9000);
    let passed = doors.through(&format!("http://{outside}/"), &["-p"]);
    assert_eq!(passed.header("server"), Some("outside"));

    // What goes to a port of HTTP is judged request by request, as if it had been captured.
    let get = doors.through("http://cart:8080/x", &["-p"]);
    assert!(get.text().contains("sa/web\r\n"), "{get:?}");
    let denied = doors.through("http://cart:8080/x", &["-p", "-X", "DELETE"]);
    assert_eq!(denied.outcome(), "403 R003 no-allow-rule");
}

#[test]
fn connect_of_http2_is_the_same() {
    let doors = Doors::start("Allow");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("connect/connect.js");
    let proxy = doors.proxy().to_string();
    let connect = |authority: &str, words: &str| {
        let mut node = Command::new("node");
        run(node.arg(&script).args([&proxy, authority, words]))
    };
    assert_eq!(connect("cart:6379", "words"), "200 granted\nwords\n");
    // More than the windows of all ends together.
    let long = "x".repeat(100_000);
    assert_eq!(
        connect("cart:6379", &long),
        format!("200 granted\n{long}\n")
    );
    let told = connect(
        "cart:8080",
        "DELETE / HTTP/1.1|Host: cart|Connection: close||",
    );
    assert!(
        told.starts_with("200 granted\nHTTP/1.1 403 Forbidden|"),
        "{told}"
    );
    assert!(told.contains("leno-error: R003 no-allow-rule"), "{told}");
    let outside = doors.world.at("outside", 9000).to_string();
    let passed = connect(&outside, "GET / HTTP/1.1|Host: a|Connection: close||");
    assert!(passed.starts_with("200 granted\nHTTP/1.1 200 "), "{passed}");
    for (authority, expect) in [
        ("cart:9", "502 R016 no-such-port; "),
        ("cart", "400 R030 malformed-head; "),
        ("localhost:3128", "502 R018 loop; "),
    ] {
        let told = connect(authority, "");
        assert!(told.starts_with(expect), "{authority}: {told}");
    }
    let [_, web] = &doors.proxies;
    web.until_says(&[
        r#""event":"stream""#,
        r#""destination":"shop/cart""#,
        r#""sent":100000"#,
    ]);
}

#[test]
fn what_is_for_the_proxy_and_what_contradicts_itself_goes_no_further() {
    let doors = Doors::start("Allow");
    let answer = doors.through(
        "http://cart:8080/",
        &[
            "-U",
            "ann:secret",
            "-H",
            "Proxy: http://evil",
            "-H",
            "Proxy_Authorization: x",
            "-H",
            "X-Proxy: stays",
        ],
    );
    let head = answer.text().to_ascii_lowercase();
    assert!(!head.contains("\r\nproxy"), "{head}");
    assert!(head.contains("\r\nx-proxy: stays\r\n"), "{head}");
    let before = doors.cart.requests();

    let here = doors.proxy();
    let own = format!("GET http://{here}/ HTTP/1.1\r\nHost: {here}\r\n\r\n");
    let own_v6 =
        "GET http://[::ffff:127.0.0.1]:3128/ HTTP/1.1\r\nHost: [::ffff:127.0.0.1]:3128\r\n\r\n";
    let own_any = "GET http://0.0.0.0:3128/ HTTP/1.1\r\nHost: 0.0.0.0:3128\r\n\r\n";
    let own_stream = "CONNECT localhost:3128 HTTP/1.1\r\nHost: localhost:3128\r\n\r\n";
    for (request, expect) in [
        (
            "GET / HTTP/1.1\r\nHost: cart:8080\r\n\r\n",
            "400 R017 destination-not-named",
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: cart:8080\r\n\r\n",
            "400 R017 destination-not-named",
        ),
        (
            "GET https://cart:8080/ HTTP/1.1\r\nHost: cart:8080\r\n\r\n",
            "400 R017 destination-not-named",
        ),
        (
            "GET ftp://cart/ HTTP/1.1\r\nHost: cart\r\n\r\n",
            "400 R030 malformed-head",
        ),
        (
            "GET http://ann@cart:8080/ HTTP/1.1\r\nHost: cart:8080\r\n\r\n",
            "400 R032 bad-host",
        ),
        (
            "GET http://cart:80800/ HTTP/1.1\r\nHost: cart\r\n\r\n",
            "400 R032 bad-host",
        ),
        (
            "GET http://cart:/ HTTP/1.1\r\nHost: cart\r\n\r\n",
            "400 R032 bad-host",
        ),
        (
            "GET http:///x HTTP/1.1\r\nHost: cart\r\n\r\n",
            "400 R032 bad-host",
        ),
        // RFC 9112 section 3.2.2 lets a proxy take the target and forget the Host; two readings
        // that differ are refused here as everywhere.
        (
            "GET http://cart:8080/ HTTP/1.1\r\nHost: bank:8080\r\n\r\n",
            "400 R032 bad-host",
        ),
        (
            "GET http://cart:8080/ HTTP/1.1\r\nHost: cart\r\n\r\n",
            "400 R032 bad-host",
        ),
        (
            "GET http://cart:8080/ HTTP/1.1\r\n\r\n",
            "400 R032 bad-host",
        ),
        (
            "GET http://cart:8080/ HTTP/1.1\r\nHost: cart:8080\r\nHost: cart:8080\r\n\r\n",
            "400 R032 bad-host",
        ),
        (
            "CONNECT cart HTTP/1.1\r\nHost: cart\r\n\r\n",
            "400 R030 malformed-head",
        ),
        (
            "CONNECT http://cart:8080/ HTTP/1.1\r\nHost: cart:8080\r\n\r\n",
            "400 R032 bad-host",
        ),
        (
            "CONNECT cart:8080 HTTP/1.1\r\nHost: bank:8080\r\n\r\n",
            "400 R032 bad-host",
        ),
        (
            "CONNECT cart:8080 HTTP/1.1\r\nHost: cart:8080\r\nContent-Length: 5\r\n\r\nhello",
            "400 R031 ambiguous-framing",
        ),
        (
            "CONNECT cart:9 HTTP/1.1\r\nHost: cart:9\r\n\r\n",
            "502 R016 no-such-port",
        ),
        (&own, "502 R018 loop"),
        (own_v6, "502 R018 loop"),
        (own_any, "502 R018 loop"),
        (own_stream, "502 R018 loop"),
    ] {
        // Whatever comes behind it is not read as a request.
        let request = request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        let smuggled =
            format!("{request}GET http://cart:8080/ HTTP/1.1\r\nHost: cart:8080\r\n\r\n");
        let answer = exchange(doors.proxy(), smuggled);
        assert_eq!(answer.outcome(), expect, "{request:?}");
        assert!(answer.closes(), "{request:?}: {answer:?}");
    }
    assert_eq!(doors.cart.requests(), before);
}

#[test]
fn a_published_name_is_a_service_and_nothing_else_is() {
    let doors = Doors::start("Allow");
    for host in [
        "cart.shop.localhost:7070",
        "cart.localhost",
        "Cart.Localhost.:7070",
        "8080.cart.localhost",
    ] {
        let answer = doors.published(host);
        assert_eq!(answer.outcome(), "200", "{host}");
        let head = answer.text();
        assert!(head.starts_with("GET /x HTTP/1.1\r\n"), "{head}");
        // The application sees the name that its user sees.
        assert!(head.contains(&format!("\r\nHost: {host}\r\n")), "{head}");
        assert!(head.contains("URI=spiffe://shop.local/ns/shop/sa/web\r\n"));
    }
    for (host, expect) in [
        ("cart.bank.localhost", "403 R001 unknown-destination"),
        ("9.cart.localhost", "502 R016 no-such-port"),
        ("web.localhost", "403 R001 unknown-destination"),
        ("localhost:7070", "421 R017 destination-not-named"),
        ("cart", "421 R017 destination-not-named"),
        (
            "cart.localhost.evil.example",
            "421 R017 destination-not-named",
        ),
        ("127.0.0.1:7070", "421 R017 destination-not-named"),
        (".localhost", "400 R032 bad-host"),
    ] {
        assert_eq!(doors.published(host).outcome(), expect, "{host}");
    }
    let to = doors.world.at("web", 7070);
    let connect = "CONNECT cart.localhost:8080 HTTP/1.1\r\nHost: cart.localhost:8080\r\n\r\n";
    let answer = exchange(to, connect);
    assert_eq!(answer.outcome(), "400 R017 destination-not-named");
}
