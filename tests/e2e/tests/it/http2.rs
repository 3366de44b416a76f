//! HTTP/2 by curl, h2load and nginx: through one proxy and through two, and where one end speaks
//! HTTP/1.1 and the other HTTP/2.

use std::fs;
use std::process::Command;

use leno_e2e::{Answer, Application, Process, World, curl, hash, run};

const PRIOR: &str = "--http2-prior-knowledge";

/// nginx behind `cart` (in the mesh) and behind `plain` (outside), speaking HTTP/2 on port 8080 and only
/// that; an application of HTTP/1.1 on port 8081 of both.
struct Shop {
    world: World,
    web: Process,
    _others: Vec<Process>,
}

/// Where web's proxy listens, above a port, for the server in the mesh and for the one outside.
const PLACES: [u16; 2] = [1000, 2000];

impl Shop {
    fn open(limit: &str) -> Self {
        let ports = "{port: 8080, protocol: HTTP2}, {port: 8081, protocol: HTTP1}";
        let world = World::new("mtls: Strict, default: Allow")
            .workload("web", "")
            .workload("cart", ports)
            .unproxied("plain", ports);
        let mut others = Vec::new();
        for name in ["cart", "plain"] {
            Application::start(world.at(name, 8081), name);
            let served = world.folder().join("served");
            fs::create_dir_all(&served).unwrap();
            let configuration = format!(
                "daemon off; master_process off; user root; pid {name}.pid; error_log stderr;\n\
                 events {{}}\n\
                 http {{ access_log off; {limit} client_max_body_size 10m;\n\
                   server {{ listen {} http2; root {};\n\
                     location /echo {{ proxy_pass http://{}; }} }} }}\n",
                world.at(name, 8080),
                served.display(),
                world.at(name, 8081),
            );
            let file = world.folder().join(format!("{name}.conf"));
            fs::write(&file, configuration).unwrap();
            let mut nginx = Command::new("nginx");
            nginx.arg("-p").arg(world.folder()).arg("-c").arg(&file);
            others.push(world.process(&format!("{name}-nginx"), &mut nginx));
        }
        fs::write(world.folder().join("served/large"), vec![b'x'; 1_000_000]).unwrap();
        fs::write(world.folder().join("served/small"), "42\n").unwrap();
        others.push(world.proxy("cart").start());
        let [cart_at, plain_at] = PLACES;
        let services = [("cart", cart_at), ("plain", plain_at)];
        let web = world
            .proxy("web")
            .leading_to(services, &[8080, 8081])
            .start();
        Self {
            web,
            _others: others,
            world,
        }
    }

    fn curl(&self, port: u16, path: &str, arguments: &[&str]) -> Answer {
        let url = self.world.url("web", port, path);
        curl(&[&[url.as_str()], arguments].concat())
    }

    /// Asks with h2load; every request must be answered with 2xx.
    fn load(&self, port: u16, path: &str, requests: u32, arguments: &[&str]) {
        let mut h2load = Command::new("h2load");
        h2load.args(["-n", &requests.to_string()]).args(arguments);
        let said = run(h2load.arg(self.world.url("web", port, path)));
        let all =
            format!("{requests} total, {requests} started, {requests} done, {requests} succeeded");
        assert!(said.contains(&all), "{said}");
        assert!(
            said.contains(&format!("status codes: {requests} 2xx")),
            "{said}"
        );
    }
}

#[test]
fn either_version_reaches_a_server_of_either() {
    let shop = Shop::open("");
    let body = vec![b'y'; 300_000];
    let file = shop.world.folder().join("body");
    fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    let expect = format!("body 300000 {:x}\n", hash(&body));
    for above in PLACES {
        for version in ["--http1.1", PRIOR] {
            let told = format!("{above} {version}");
            let (in_http2, in_http1) = (8080 + above, 8081 + above);
            let answer = shop.curl(in_http2, "/small", &[version]);
            assert_eq!(
                (answer.outcome().as_str(), answer.text()),
                ("200", "42\n"),
                "{told}"
            );
            let answer = shop.curl(in_http2, "/large", &[version]);
            assert_eq!(answer.body.len(), 1_000_000, "{told}");
            let answer = shop.curl(in_http2, "/large", &[version, "--head"]);
            assert_eq!(answer.header("content-length"), Some("1000000"), "{told}");
            let answer = shop.curl(in_http2, "/missing", &[version]);
            assert_eq!(answer.outcome(), "404", "{told}");
            for port in [in_http2, in_http1] {
                let upload = [version, "--data-binary", &data];
                let unknown = match version {
                    PRIOR => "content-length:",
                    _ => "transfer-encoding: chunked",
                };
                for how in [&["-H", "expect:"][..], &["-H", unknown, "-H", "expect:"]] {
                    let answer = shop.curl(port, "/echo", &[&upload, how].concat());
                    assert_eq!(answer.outcome(), "200", "{told} {port}: {answer:?}");
                    assert!(
                        answer.text().ends_with(&expect),
                        "{told} {port}: {answer:?}"
                    );
                }
            }
            let answer = shop.curl(in_http1, "/chunked/100000", &[version]);
            assert_eq!(answer.body.len(), 100_000, "{told}");
            let cookies = [
                "-H",
                "cookie: a=1",
                "-H",
                "cookie: b=2",
                "-H",
                "X-User: Ann",
            ];
            let answer = shop.curl(in_http1, "/", &[&cookies[..], &[version]].concat());
            let head = answer.text().to_lowercase();
            assert!(
                head.starts_with("get / http/1.1\r\nhost: 127."),
                "{told}: {head}"
            );
            assert!(head.contains("\r\nx-user: ann\r\n"), "{told}: {head}");
            assert!(!head.contains("leno-"), "{told}: {head}");
            if version == PRIOR {
                assert!(head.contains("\r\ncookie: a=1; b=2\r\n"), "{told}: {head}");
            }
        }
    }
    shop.web.until_says(&[
        r#""security":"mtls""#,
        r#""path":"/large""#,
        r#""received":1000000"#,
    ]);
}

#[test]
fn no_request_is_lost_when_a_server_says_goodbye() {
    // nginx ends a connection with GOAWAY after so many requests.
    let shop = Shop::open("keepalive_requests 200;");
    for above in PLACES {
        shop.load(8080 + above, "/small", 3_000, &["-c", "4", "-m", "25"]);
    }
}

#[test]
fn many_streams_share_connections_whatever_their_windows() {
    let shop = Shop::open("");
    for above in PLACES {
        shop.load(8080 + above, "/small", 5_000, &["-c", "4", "-m", "100"]);
        shop.load(8080 + above, "/large", 40, &["-c", "2", "-m", "20"]);
        // A window of one byte, of 65,535, and one of the connection that is smaller than an answer.
        shop.load(
            8080 + above,
            "/small",
            50,
            &["-c", "1", "-m", "10", "-w", "1"],
        );
        shop.load(
            8080 + above,
            "/large",
            10,
            &["-c", "1", "-m", "10", "-w", "16", "-W", "16"],
        );
        shop.load(8081 + above, "/bytes/30000", 200, &["-c", "2", "-m", "50"]);
    }
}

#[test]
fn what_is_wrong_with_a_request_is_said_in_http2_too() {
    let shop = Shop::open("");
    let [inside, _] = PLACES;
    for (arguments, outcome) in [
        (&["-X", "get"][..], "501 R038 method-not-supported"),
        (&["-H", "host: a..b"], "400 R032 bad-host"),
        (&["--path-as-is", "-H", "x: y"], "200"),
    ] {
        let answer = shop.curl(8080 + inside, "/small", &[&[PRIOR], arguments].concat());
        assert_eq!(answer.outcome(), outcome, "{arguments:?} {answer:?}");
    }
    let answer = shop.curl(8080 + inside, "/%2e%2e%2", &[PRIOR, "--path-as-is"]);
    assert_eq!(answer.outcome(), "400 R030 malformed-head");
}
