//! Streams of bytes between programs as a distribution ships them: who speaks first, what is spoken where
//! nobody declared it, TLS that is carried and not ended, and load balancers that say for whom they connect.

use std::fs;
use std::process::{Command, Stdio};

use leno_e2e::{Application, Client, Process, World, curl, exchange, run, serve, until};

#[test]
fn mariadb_speaks_first_on_a_port_of_which_nothing_is_said() {
    let world = World::new("mtls: Strict")
        .workload("web", "")
        .workload("db", "{port: 3399}");
    let folder = world.folder().join("db");
    run(Command::new("mariadb-install-db")
        .arg("--no-defaults")
        .arg(format!("--datadir={}", folder.display()))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"]));
    let db = world.at("db", 3399);
    let mut server = Command::new("mariadbd");
    server.args(["--no-defaults", "--skip-grant-tables", "--user=root"]);
    server.arg(format!("--datadir={}", folder.display()));
    server.arg(format!("--socket={}/socket", folder.display()));
    server.arg(format!("--bind-address={}", db.ip()));
    server.arg(format!("--port={}", db.port()));
    let _server = world.process("mariadb", &mut server);
    let _db = world.proxy("db").start();
    let web = world.proxy("web").upstream("db", 3399).start();
    let to = world.at("web", 3399);
    let ask = |question: &str| {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--skip-ssl", "--batch", "-N", "-u", "root"]);
        client.arg(format!("--host={}", to.ip()));
        client.arg(format!("--port={}", to.port()));
        client.args(["-e", question]);
        client
    };
    until("mariadb", || {
        let asked = ask("select 1").output().expect("mariadb is installed");
        asked.status.success().then_some(())
    });
    assert_eq!(run(&mut ask("select 6 * 7")), "42\n");
    assert_eq!(
        run(&mut ask("select length(repeat('x', 3000000))")),
        "3000000\n"
    );
    web.until_says(&[
        r#""event":"stream""#,
        r#""destination":"shop/db""#,
        r#""security":"mtls""#,
    ]);
}

#[test]
fn who_speaks_http_where_nothing_is_said_is_judged_by_each_request() {
    let world = World::new("mtls: Strict")
        .workload("web", "")
        .workload("cart", "{port: 9000}, {port: 9001}")
        .objects(
            "kind: AccessPolicy\napiVersion: leno.dev/v1alpha1\n\
             metadata: {name: all, namespace: shop}\n\
             spec: {rules: [{requests: [{ports: [9000]}, {ports: [9001], methods: [GET]}]}]}\n",
        );
    let application = Application::start(world.at("cart", 9001), "cart");
    serve(world.at("cart", 9000), |mut stream| {
        // It answers what it got, and never looks at it.
        let mut from = stream.try_clone().unwrap();
        drop(std::io::copy(&mut from, &mut stream));
    });
    let cart = world.proxy("cart").start();
    let web = world
        .proxy("web")
        .upstream("cart", 9000)
        .upstream("cart", 9001)
        .start();

    // Requests are requests, of which some are allowed.
    let ask = |more: &[&str]| {
        let url = world.url("web", 9001, "/price");
        curl(&[&[&*url], more].concat()).outcome()
    };
    assert_eq!(ask(&[]), "200");
    assert_eq!(ask(&["-d", "x"]), "403 R003 no-allow-rule");
    assert_eq!(application.requests(), 1);
    let call = [r#""event":"call""#, r#""path":"/price","status":200"#];
    web.until_says(&call);
    cart.until_says(&call);

    // Bytes are bytes, and none is held back for what might follow: not even those that a request
    // begins with.
    for words in ["G", "GET key\r\n", "\u{16}\u{3}\u{1}", "hello"] {
        let mut client = Client::to(world.at("web", 9000));
        client.send(words);
        assert_eq!(client.read(words.len()), words.as_bytes());
        client.end();
        assert_eq!(client.rest(), b"");
    }
    web.until_says(&[r#""event":"stream""#, r#""sent":9,"received":9"#]);
    // Whoever may only make some requests may open no stream.
    let mut client = Client::to(world.at("web", 9001));
    client.send("GET key\r\n");
    assert!(client.is_cut());
    cart.until_says(&[r#""event":"stream""#, r#""code":"R003""#]);
}

#[test]
fn the_name_of_a_server_routes_tls_that_nobody_ends() {
    let route = |name: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\n\
             metadata: {{name: {name}, namespace: shop}}\n\
             spec:\n  parentRefs: [{{group: '', kind: Service, name: red, port: 8443}}]\n  \
             hostnames: [{name}.example]\n  \
             rules: [{{backendRefs: [{{name: {name}, port: 8443}}]}}]\n"
        )
    };
    let world = World::new("")
        .workload("web", "")
        .unproxied("red", "{port: 8443, protocol: TLS}")
        .unproxied("blue", "{port: 8443, protocol: TLS}")
        .unproxied("cart", "{port: 8080, protocol: HTTP}")
        .objects(&route("red"))
        .objects(&route("blue"));
    let _servers = ["red", "blue"].map(|name| tls_server(&world, name));
    let web = world
        .proxy("web")
        .upstream("red", 8443)
        .upstream("cart", 8080)
        .start();
    let ask = |words: &[&str], port: u16| {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-connect", &world.at("web", port).to_string()]);
        client.args(words).stdin(Stdio::null());
        let told = client.output().expect("openssl is installed");
        let told = [told.stdout, told.stderr].concat();
        String::from_utf8_lossy(&told).into_owned()
    };
    for name in ["red.example", "blue.example"] {
        until("the servers", || {
            let told = ask(&["-servername", name], 8443);
            told.contains(&format!("CN = {name}")).then_some(())
        });
        let (service, _) = name.split_once('.').unwrap();
        let rule = format!(r#""route":"TLSRoute shop/{service} rule 1""#);
        web.until_says(&[r#""event":"stream""#, &rule]);
    }
    for words in [&["-servername", "green.example"][..], &["-noservername"]] {
        let told = ask(words, 8443);
        assert!(told.contains("unrecognized name"), "{told}");
    }
    let refused = web.until_says(&[r#""event":"stream""#, r#""code":"R010""#]);
    assert!(!refused.contains("endpoint\":"), "{refused}");

    // What is spoken is not what is declared.
    let mut client = Client::to(world.at("web", 8443));
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert!(client.is_cut());
    web.until_says(&[r#""event":"stream""#, r#""code":"R046""#]);
    ask(&["-servername", "cart"], 8080);
    web.until_says(&[r#""event":"call""#, r#""code":"R046""#]);
}

/// A server of TLS that shows a certificate for `name.example`.
fn tls_server(world: &World, name: &str) -> Process {
    let words = format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
         -keyout {name}.key -out {name}.pem -subj /CN={name}.example"
    );
    let mut openssl = Command::new("openssl");
    run(openssl.args(words.split(' ')).current_dir(world.folder()));
    let at = world.at(name, 8443);
    let words = format!("s_server -accept {at} -cert {name}.pem -key {name}.key -www -quiet");
    let mut server = Command::new("openssl");
    server.args(words.split(' ')).current_dir(world.folder());
    world.process(name, &mut server)
}

#[test]
fn a_load_balancer_says_for_whom_it_connects() {
    let world = World::new("default: Deny")
        .workload("cart", "{port: 8080, protocol: HTTP}")
        .objects(
            "kind: AccessPolicy\napiVersion: leno.dev/v1alpha1\n\
             metadata: {name: clients, namespace: shop}\n\
             spec: {rules: [{callers: [{ipBlock: 10.9.0.0/16}]}]}\n",
        )
        .objects(
            "kind: TrafficPolicy\napiVersion: leno.dev/v1alpha1\n\
             metadata: {name: balancer, namespace: shop}\n\
             spec: {proxyProtocol: {from: ['@balancer/32'], send: V2}}\n",
        );
    let configuration = format!(
        "daemon off; master_process off; user root; pid nginx.pid; error_log stderr;\n\
         events {{}}\n\
         http {{ access_log off; server {{ listen {} proxy_protocol; location / {{\n\
           return 200 \"$proxy_protocol_addr $proxy_protocol_port\"; }} }} }}\n",
        world.at("cart", 8080),
    );
    fs::write(world.folder().join("nginx.conf"), configuration).unwrap();
    let mut nginx = Command::new("nginx");
    nginx
        .arg("-p")
        .arg(world.folder())
        .args(["-c", "nginx.conf"]);
    let _nginx = world.process("nginx", &mut nginx);
    let cart = world.proxy("cart").plain(8080).start();
    let listener = world.at("cart", 18080);
    let (ip, mut text) = (world.at("balancer", 0).ip(), String::new());
    for (port, how) in [(9101, "send-proxy"), (9102, "send-proxy-v2"), (9103, "")] {
        text.push_str(&format!(
            "listen l{port}\n  bind {ip}:{port} accept-proxy\n  \
             server s {listener} source {ip} {how}\n"
        ));
    }
    let file = world.folder().join("haproxy.cfg");
    let defaults = "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
                    timeout client 20s\n  timeout server 20s\n";
    fs::write(&file, [defaults, &text].concat()).unwrap();
    let mut haproxy = Command::new("haproxy");
    let _haproxy = world.process("haproxy", haproxy.arg("-db").arg("-f").arg(file));
    let request = |client: &str| {
        format!(
            "PROXY TCP4 {client} 10.0.0.1 4711 80\r\n\
             GET /from HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n"
        )
    };
    let through = |port: u16, client: &str| {
        let balancer = world.at("balancer", port);
        until("haproxy", || Client::try_to(balancer));
        exchange(balancer, request(client))
    };
    until("nginx", || Client::try_to(world.at("cart", 8080)));
    for port in [9101, 9102] {
        // nginx is told in its turn, on a connection for each of them.
        for client in ["10.9.1.1", "10.9.1.2"] {
            let answer = through(port, client);
            assert_eq!(answer.outcome(), "200", "{port}");
            assert_eq!(answer.text(), format!("{client} 4711"), "{port}");
        }
        let refused = through(port, "10.8.1.1");
        assert_eq!(refused.outcome(), "403 R003 no-allow-rule", "{port}");
    }
    cart.until_says(&[r#""event":"call""#, r#""peer":"10.9.1.1:4711""#]);

    // One that does not say it, and one who is not asked to.
    let mut silent = Client::to(world.at("balancer", 9103));
    silent.send(request("10.9.1.1"));
    assert_eq!(silent.rest(), b"");
    cart.until_says(&[r#""code":"R047""#]);
    let stranger = exchange(listener, request("10.9.1.1"));
    assert_eq!(stranger.status, 400);
}
