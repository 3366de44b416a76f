//! What rules ask for beside the way: copies for mirrors, answers to browsers, tries, and time for
//! each of them.

use std::io::{Read, Write};
use std::sync::Mutex;

use leno_e2e::{Answer, Application, Client, Process, World, curl, haproxy, hash, serve, until};

use crate::routes::{proxies, world};

/// Both versions of `cart`, and their proxies and that of `web`.
struct Shop {
    world: World,
    v1: Application,
    v2: Application,
    proxies: Vec<Process>,
}

impl Shop {
    fn start(rules: &str) -> Self {
        let world = world(rules);
        let [v1, v2] =
            ["cart-v1", "cart-v2"].map(|name| Application::start(world.at(name, 8080), name));
        let proxies = proxies(&world);
        Self {
            world,
            v1,
            v2,
            proxies,
        }
    }

    fn curl(&self, path: &str, more: &[&str]) -> Answer {
        let url = self.world.url("web", 8080, path);
        curl(&[&[&*url], more].concat())
    }

    /// What the proxy of `web` tells of a call.
    fn told(&self, words: &[&str]) -> String {
        self.proxies[2].until_says(words)
    }
}

/// A file of so many bytes in the folder of `world`, and how an application tells of them.
fn upload(world: &World, count: usize) -> (String, String) {
    let bytes = (0..count).map(|at| (at % 241) as u8).collect::<Vec<_>>();
    let file = world.folder().join("upload");
    std::fs::write(&file, &bytes).unwrap();
    let told = format!("body {count} {:x}", hash(&bytes));
    (format!("@{}", file.display()), told)
}

const COPIED: &str = "
  - matches: [{path: {value: /some}}]
    filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: cart-v2, port: 8080}, percent: 50}}
    backendRefs: [{name: cart-v1, port: 8080}]
  - matches: [{path: {value: /items}}]
    filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: cart-v2, port: 8080}}}
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /things}}}
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: '1'}]}}
    backendRefs: [{name: cart-v1, port: 8080}]
  - filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: cart-v2, port: 8080}}}
    backendRefs: [{name: cart-v1, port: 8080}]
";

#[test]
fn a_mirror_gets_what_the_server_gets_and_nobody_hears_its_answer() {
    let shop = Shop::start(COPIED);
    let asked_of_v2 = |what: &str| {
        until("the copy", || {
            let asked = shop.v2.asked();
            asked.iter().any(|it| it == what).then_some(())
        });
    };
    let answer = shop.curl("/items/7?a=b", &[]);
    assert_eq!(
        (answer.outcome(), answer.header("server")),
        ("200".into(), Some("cart-v1"))
    );
    asked_of_v2(&format!("GET /things/7?a=b, body 0 {:x}", hash(b"")));

    // A body goes to both as it comes, also one of which nobody knew the length.
    let (file, told) = upload(&shop.world, 900_000);
    for more in [&[][..], &["-H", "transfer-encoding: chunked"]] {
        let answer = shop.curl("/order", &[&["--data-binary", &file], more].concat());
        assert!(answer.text().ends_with(&format!("{told}\n")), "{answer:?}");
    }
    until("both copies", || {
        let asked = shop.v2.asked();
        let whole = asked
            .iter()
            .filter(|it| **it == format!("POST /order, {told}"));
        (whole.count() == 2).then_some(())
    });

    // What a mirror answers, or that it does not, is nobody's failure.
    assert_eq!(shop.curl("/status/418", &[]).outcome(), "418");
    let of_copy = shop.told(&[r#""path":"/status/418""#, "copy_of"]);
    assert!(
        of_copy.contains(r#""destination":"shop/cart-v2""#),
        "{of_copy}"
    );
    assert!(of_copy.contains(r#""status":418"#), "{of_copy}");

    for _ in 0..200 {
        assert_eq!(shop.curl("/some", &[]).outcome(), "200");
    }
    // 100 are expected with a deviation of 7: seven of those are never seen.
    let copies = shop
        .v2
        .asked()
        .iter()
        .filter(|it| it.contains("/some"))
        .count();
    assert!((50..=150).contains(&copies), "{copies}");
}

#[test]
fn a_mirror_of_either_version_gets_what_came_in_either() {
    // The one speaks HTTP/2 alone, the other HTTP/1.1 alone; each is the mirror of the other.
    let ports = "{port: 8080, protocol: HTTP1}, {port: 8081, protocol: HTTP2}";
    let route = |name: &str, port: u16, mirror: &str, other: u16| {
        format!(
            "
kind: HTTPRoute
apiVersion: gateway.networking.k8s.io/v1
metadata: {{name: {name}, namespace: shop}}
spec:
  parentRefs: [{{group: '', kind: Service, name: {name}, port: {port}}}]
  rules:
  - filters:
    - {{type: RequestMirror, requestMirror: {{backendRef: {{name: {mirror}, port: {other}}}}}}}
    backendRefs: [{{name: {name}, port: {port}}}]
"
        )
    };
    let world = World::new("mtls: Strict, default: Allow")
        .workload("web", "")
        .workload("one", ports)
        .workload("other", ports)
        .objects(&format!(
            "{}---{}",
            route("one", 8080, "other", 8081),
            route("other", 8081, "one", 8080)
        ));
    let [one, other] = ["one", "other"].map(|name| Application::start(world.at(name, 8080), name));
    let (from, to) = (world.at("other", 8081), world.at("other", 8080));
    let _haproxy = haproxy(
        &world,
        "haproxy",
        (&format!("{from} proto h2"), &to.to_string()),
    );
    until("HAProxy", || Client::try_to(from).map(drop));
    let _behind = ["one", "other"].map(|name| world.proxy(name).start());
    let web = world
        .proxy("web")
        .upstream("one", 8080)
        .upstream("other", 8081)
        .start();
    let (file, told) = upload(&world, 300_000);
    let mut count = 0;
    for port in [8080, 8081] {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let unknown = match version {
                "--http1.1" => "transfer-encoding: chunked",
                _ => "content-length:",
            };
            for length in ["content-type: a/b", unknown] {
                let url = world.url("web", port, "/order");
                let how = [
                    version,
                    "-H",
                    length,
                    "-H",
                    "expect:",
                    "--data-binary",
                    &file,
                    &url,
                ];
                let answer = curl(&how);
                assert!(
                    answer.text().ends_with(&format!("{told}\n")),
                    "{how:?} {answer:?}"
                );
                count += 1;
            }
        }
    }
    let order = format!("POST /order, {told}");
    for application in [&one, &other] {
        until("requests and copies", || {
            let asked = application.asked();
            (asked.iter().filter(|it| **it == order).count() == count).then_some(())
        });
    }
    web.until_says(&[
        "copy_of",
        r#""destination":"shop/other""#,
        r#""status":200"#,
    ]);
    web.until_says(&["copy_of", r#""destination":"shop/one""#, r#""status":200"#]);
}

#[test]
fn a_mirror_that_is_slow_or_gone_costs_the_request_nothing() {
    let world = world(COPIED);
    let v1 = Application::start(world.at("cart-v1", 8080), "cart-v1");
    // It takes the head and no more.
    serve(world.at("cart-v2", 8080), |mut stream| {
        drop(stream.read_exact(&mut [0; 100]));
        std::thread::park();
    });
    let mut proxies = proxies(&world);
    let (file, told) = upload(&world, 30_000_000);
    let url = world.url("web", 8080, "/order");
    let answer = curl(&["--data-binary", &file, &url]);
    assert!(answer.text().ends_with(&format!("{told}\n")), "{answer:?}");
    proxies[2].until_says(&["copy_of", r#""code":"R045""#]);

    proxies[1].kill();
    let answer = curl(&["-d", "a=b", &url]);
    assert_eq!(answer.outcome(), "200");
    proxies[2].until_says(&["copy_of", r#""code":"R025""#]);
    assert_eq!(v1.requests(), 2);
}

#[test]
fn a_proxy_that_is_told_to_end_carries_its_copies_to_their_end() {
    let world = world(COPIED);
    Application::start(world.at("cart-v1", 8080), "cart-v1");
    let (answer, gate) = std::sync::mpsc::channel();
    let gate = Mutex::new(gate);
    serve(world.at("cart-v2", 8080), move |mut stream| {
        drop(stream.read(&mut [0; 1000]));
        gate.lock().unwrap().recv().unwrap();
        drop(stream.write_all(b"HTTP/1.1 299 Late\r\ncontent-length: 0\r\n\r\n"));
    });
    let proxies = proxies(&world);
    let url = world.url("web", 8080, "/order");
    assert_eq!(curl(&[&url]).outcome(), "200");
    proxies[2].signal("TERM");
    until("the end of the listener", || {
        Client::try_to(world.at("web", 8080))
            .is_none()
            .then_some(())
    });
    answer.send(()).unwrap();
    proxies[2].until_says(&["copy_of", r#""status":299"#]);
    assert!(proxies[2].ended().success());
}

#[test]
fn browsers_are_told_which_pages_may_call() {
    let shop = Shop::start(
        "
  - filters:
    - type: CORS
      cors: {allowOrigins: ['https://shop.example', 'https://*.shop.example'], allowCredentials: true,
             allowMethods: [PUT], allowHeaders: ['*'], exposeHeaders: [x-left], maxAge: 60}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: access-control-allow-origin, value: '*'}, {name: x-left, value: '3'}]}
    backendRefs: [{name: cart-v1, port: 8080}]
",
    );
    let from = |origin: &str, path: &str, more: &[&str]| {
        let origin = format!("origin: {origin}");
        shop.curl(path, &[&["-H", &*origin], more].concat())
    };
    let ask = ["-X", "OPTIONS", "-H", "access-control-request-method: PUT"];
    let with_header = [&ask[..], &["-H", "access-control-request-headers: x-cart"]].concat();
    let told = from("https://www.shop.example", "/items", &with_header);
    let cors = |answer: &Answer| {
        let lines = answer
            .head
            .lines()
            .filter_map(|line| line.strip_prefix("access-control-"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told.outcome(), "200");
    assert_eq!(
        cors(&told),
        [
            "allow-origin: https://www.shop.example",
            "allow-credentials: true",
            "expose-headers: x-left",
            "allow-methods: PUT",
            "allow-headers: x-cart",
            "max-age: 60",
        ]
    );
    let refused = from("https://shop.example.evil.example", "/items", &ask);
    assert_eq!(refused.outcome(), "403 R007 origin-not-allowed");
    assert!(cors(&refused).is_empty(), "{refused:?}");
    assert_eq!(shop.v1.requests(), 0);

    let allowed = [
        "allow-origin: https://shop.example",
        "allow-credentials: true",
        "expose-headers: x-left",
    ];
    let answer = from("https://shop.example", "/items", &[]);
    assert_eq!(
        (answer.outcome(), answer.header("vary")),
        ("200".into(), Some("Origin"))
    );
    assert_eq!(cors(&answer), allowed);
    let hidden = from("https://evil.example", "/items", &[]);
    assert_eq!((hidden.outcome(), cors(&hidden)), ("200".into(), vec![]));
    // A page can read why it failed, too.
    let failed = from("https://shop.example", "/close", &[]);
    assert_eq!(failed.outcome(), "502 R022 reset-before-response");
    assert_eq!(cors(&failed), allowed);
}

#[test]
fn a_rule_says_what_is_tried_again_and_how_long_a_try_may_take() {
    let shop = Shop::start(
        "
  - matches: [{path: {value: /never}}]
    timeouts: {backendRequest: 3s}
    retry: {attempts: 1, backoff: 1ms}
    backendRefs: [{name: cart-v1, port: 8080}]
  - retry: {attempts: 2, codes: [503], backoff: 1ms}
    backendRefs: [{name: cart-v1, port: 8080}]
",
    );
    let before = |what: &str| {
        shop.v1
            .asked()
            .iter()
            .filter(|it| it.contains(what))
            .count()
    };
    assert_eq!(shop.curl("/status/503", &[]).outcome(), "503");
    assert_eq!(before("/status/503"), 3);
    shop.told(&[r#""path":"/status/503""#, r#""tries":3"#]);
    assert_eq!(shop.curl("/status/500", &[]).outcome(), "500");
    assert_eq!(before("/status/500"), 1);

    // Who says what is tried again also means tries without an answer, whichever proxy saw that.
    assert_eq!(
        shop.curl("/close", &[]).outcome(),
        "502 R022 reset-before-response"
    );
    shop.told(&[r#""path":"/close""#, r#""tries":3"#]);

    let late = shop.curl("/never", &[]);
    assert_eq!(late.outcome(), "504 R023 response-timeout");
    assert!(
        late.text()
            .contains("No answer came within 3s, which is what one try has."),
        "{late:?}"
    );
    until("both tries", || (before("/never") == 2).then_some(()));

    // A body is sent again as long as all of it is held, and that is bounded.
    for (path, count, tries) in [
        ("/status/503/some", 60_000, 3),
        ("/status/503/much", 600_000, 1),
    ] {
        let (file, told) = upload(&shop.world, count);
        let chunked = ["--data-binary", &*file, "-H", "transfer-encoding: chunked"];
        assert_eq!(shop.curl(path, &chunked).outcome(), "503");
        assert_eq!(before(&format!("POST {path}, {told}")), tries, "{path}");
    }
}
