//! External authorization with real authorizers: Envoy's own types in grpc-go, and Python's http.server, each
//! behind a proxy of its own.

use leno_e2e::{
    Answer, Application, Grpc, Process, World, authorize_by_grpc, authorize_by_http, curl,
};

/// A cart that is asked about, its callers, and those who are asked.
struct Shop {
    world: World,
    application: Application,
    cart: Process,
    _proxies: [Process; 2],
}

impl Shop {
    fn open(external: &str, authorizer: &str) -> Self {
        let world = World::new("mtls: Strict, default: Allow")
            .workload("web", "")
            .workload("cart", "{port: 8080, protocol: HTTP1}")
            .workload("authz", authorizer)
            .objects(&format!(
                "
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {{name: cart, namespace: shop}}
spec:
  targetRefs: [{{kind: Service, name: cart}}]
  rules:
  - requests: [{{methods: [GET, POST]}}]
  externalAuth:
    backendRef: {{name: authz, port: 9000}}
    timeout: 5s
    except: [{{paths: [{{type: Exact, value: /health}}]}}]
    forwardBody: {{maxSize: 8}}
    {external}
---
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {{name: authz, namespace: shop}}
spec:
  targetRefs: [{{kind: Service, name: authz}}]
  rules: [{{callers: [{{identity: shop/cart}}]}}]
"
            ));
        Self {
            application: Application::start(world.at("cart", 8080), "cart"),
            cart: world.proxy("cart").with("metrics: @cart:15020").start(),
            _proxies: [
                world.proxy("authz").start(),
                world.proxy("web").upstream("cart", 8080).start(),
            ],
            world,
        }
    }

    fn ask(&self, path: &str, more: &[&str]) -> Answer {
        let url = self.world.url("web", 8080, path);
        let forged = [
            "-H",
            "x-user: root",
            "-H",
            "X_User: root",
            "-H",
            "x-ticket: 7",
        ];
        curl(&[&forged, more, &[url.as_str()]].concat())
    }

    /// What the application was told by these headers, which the request must not have twice.
    fn told(&self, path: &str, more: &[&str], headers: [&str; 4]) -> [String; 4] {
        let answer = self.ask(path, more);
        assert_eq!(answer.outcome(), "200", "{path} {more:?}: {answer:?}");
        let head = answer.text().to_ascii_lowercase().replace('_', "-");
        headers.map(|wanted| {
            let named = |line: &&str| line.split_once(':').is_some_and(|(name, _)| name == wanted);
            let lines: Vec<_> = head.lines().filter(named).collect();
            let values = lines.iter().filter_map(|line| line.split_once(": "));
            values
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
                .join(" and ")
        })
    }
}

/// Bodies, as what came of them is told: of 8 bytes at most, and whether there are more.
const BODIES: [(&[&str], &str); 6] = [
    (&["-d", "one"], "one false"),
    (&["-d", "one and two"], "one and  true"),
    (
        &["-H", "transfer-encoding: chunked", "-d", "one"],
        "one false",
    ),
    (
        &["-H", "expect: 100-continue", "-d", "one and two"],
        "one and  true",
    ),
    (&["--http2-prior-knowledge", "-d", "one"], "one false"),
    (
        &["--http2-prior-knowledge", "-d", "one and two"],
        "one and  true",
    ),
];

#[test]
fn an_authorizer_by_grpc_decides_and_says_what_an_application_can_believe() {
    let shop = Shop::open(
        "protocol: GRPC\n    grpc: {allowedResponseHeaders: [x-user, x-principal, x-told, x-body, x-heard]}",
        "{port: 9000, protocol: GRPC}",
    );
    let at = shop.world.at("authz", 9000);
    let authorizer = authorize_by_grpc(&shop.world, "authorizer", at);

    let told = shop.told(
        "/items?x=1",
        &[],
        ["x-user", "x-principal", "x-heard", "x-not-named"],
    );
    assert_eq!(
        told,
        ["anna", "spiffe://shop.local/ns/shop/sa/web", "7", ""]
    );
    let told = shop.told(
        "/items?x=1",
        &[],
        ["x-told", "x-ticket", "x-body", "x-forwarded-client-cert"],
    );
    assert!(told[0].starts_with("get /items?x=1 "), "{told:?}");
    assert_eq!(told[1], "");
    assert!(
        told[3].ends_with("uri=spiffe://shop.local/ns/shop/sa/web"),
        "{told:?}"
    );
    assert_eq!(shop.ask("/items", &[]).header("x-decided"), Some("yes"));
    for (body, expect) in BODIES {
        let [told, ..] = shop.told("/items", body, ["x-body", "", "", ""]);
        assert_eq!(told, expect.trim_end(), "{body:?}");
    }
    // About this nobody is asked, and nobody says what only the authorizer may.
    assert_eq!(
        shop.told("/health", &[], ["x-user", "x-told", "x-ticket", ""]),
        ["", "", "7", ""]
    );

    let before = shop.application.requests();
    let denied = shop.ask("/deny", &[]);
    assert_eq!(denied.outcome(), "401 R064 denied-by-authorizer");
    assert_eq!(
        (denied.header("x-why"), denied.text()),
        (Some("no ticket"), "ask for a ticket\n")
    );
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for (path, expect) in [
            ("/deny", "401 R064 denied-by-authorizer"),
            ("/slow", "503 R065 authorizer-silent"),
            ("/fail", "503 R065 authorizer-silent"),
        ] {
            assert_eq!(
                shop.ask(path, &[version]).outcome(),
                expect,
                "{version} {path}"
            );
        }
    }
    // What a rule denies is no question.
    authorizer.until_says(&["GET /fail"]);
    assert_eq!(
        shop.ask("/never", &["-X", "DELETE"]).outcome(),
        "403 R003 no-allow-rule"
    );
    assert!(!authorizer.log().contains("/never"), "{}", authorizer.log());
    drop(authorizer);
    assert_eq!(
        shop.ask("/items", &[]).outcome(),
        "503 R065 authorizer-silent"
    );
    assert_eq!(shop.application.requests(), before);
    // It is asked again once it is there.
    let _authorizer = authorize_by_grpc(&shop.world, "another", at);
    leno_e2e::until("another authorizer", || {
        (shop.ask("/items", &[]).status == 200).then_some(())
    });
    shop.cart
        .until_says(&[r#""authorizers":"shop/authz:9000 denied""#]);
    assert!(shop.world.bit("cart", "authorizers") >= 5);
}

#[test]
fn an_authorizer_by_http_is_asked_by_the_request_and_may_be_done_without() {
    let shop = Shop::open(
        "protocol: HTTP\n    onFailure: Allow\n    http: {path: /check, allowedHeaders: [x-ticket], allowedResponseHeaders: [x-user, x-told, x-body]}",
        "{port: 9000, protocol: HTTP}",
    );
    let at = shop.world.at("authz", 9000);
    let authorizer = authorize_by_http(&shop.world, "authorizer", at);
    let told = shop.told(
        "/items?x=1",
        &[],
        ["x-user", "x-told", "x-ticket", "x-not-named"],
    );
    assert_eq!(told, ["bob", "get /check/items?x=1 7", "7", ""]);
    for (body, expect) in BODIES {
        let [told, ..] = shop.told("/items", body, ["x-body", "", "", ""]);
        assert_eq!(told, expect.trim_end(), "{body:?}");
    }
    let denied = shop.ask("/deny", &[]);
    assert_eq!(denied.outcome(), "403 R064 denied-by-authorizer");
    assert_eq!(denied.text(), "not today\n");
    let elsewhere = shop.ask("/login", &[]);
    assert_eq!(elsewhere.outcome(), "302 R064 denied-by-authorizer");
    assert_eq!(elsewhere.header("location"), Some("https://login.example/"));
    assert_eq!(elsewhere.text(), "");
    // Without an answer the policy lets it in, and nobody says who it is.
    for path in ["/slow", "/fail"] {
        assert_eq!(
            shop.told(path, &[], ["x-user", "x-told", "", ""]),
            ["", "", "", ""]
        );
    }
    drop(authorizer);
    assert_eq!(
        shop.told("/items", &[], ["x-user", "", "", ""]),
        ["", "", "", ""]
    );
    shop.cart
        .until_says(&[r#""authorizers":"shop/authz:9000 no answer, let in""#]);
}

#[test]
fn a_call_of_grpc_is_told_in_its_own_words() {
    let Some(grpc) = Grpc::installed() else {
        return;
    };
    let policy = |name: &str, path: &str| {
        format!(
            "
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {{name: {name}, namespace: shop}}
spec:
  targetRefs: [{{kind: Service, name: {name}}}]
  externalAuth:
    protocol: HTTP
    backendRef: {{name: authz, port: 9000}}
    timeout: 5s
    http: {{path: {path}}}
"
        )
    };
    let names = ["fine", "denied", "failing", "slow"];
    let mut world = World::new("mtls: Strict, default: Allow")
        .workload("web", "")
        .workload("authz", "{port: 9000, protocol: HTTP}");
    for (name, path) in names.into_iter().zip(["/ok", "/deny", "/fail", "/slow"]) {
        world = world
            .workload(name, "{port: 9001, protocol: GRPC}")
            .objects(&policy(name, path));
    }
    let _authorizer = authorize_by_http(&world, "authorizer", world.at("authz", 9000));
    let _servers =
        names.map(|name| grpc.serve(&world, &format!("{name}-server"), world.at(name, 9001)));
    let _proxies = names.map(|name| world.proxy(name).start());
    let _authz = world.proxy("authz").start();
    let mut web = world.proxy("web");
    for (place, name) in names.into_iter().enumerate() {
        let port = 9100 + place;
        web = web.listening(&format!(
            "{{service: {name}, port: 9001, listen: @web:{port}}}"
        ));
    }
    let _web = web.start();
    let said = |place: u16| grpc.ask(world.at("web", 9100 + place), "hello", 0);
    assert_eq!(said(0), "OK: hello");
    assert_eq!(
        said(1),
        "PermissionDenied: authorizer shop/authz:9000 denies it"
    );
    let silent = "Unavailable: authorizer shop/authz:9000 gave no answer: ";
    assert_eq!(said(2), format!("{silent}it answered 500"));
    assert_eq!(said(3), format!("{silent}it did not answer within 5s"));
}
