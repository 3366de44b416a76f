//! Who may call what: decided where the call arrives, before anything is opened.

use std::fs;
use std::net::TcpStream;

use leno_e2e::{Application, Client, Process, World, curl, serve, until};

use crate::control::{Control, PAIR};

const POLICY: &str = "
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  rules:
  - callers: [{identity: shop/web}]
    requests: [{methods: [GET], paths: [{value: /items}]}]
  - callers: [{identity: shop/admin}]
  - action: Deny
    requests: [{paths: [{type: Exact, value: /secret}]}]
";

fn world(settings: &str) -> World {
    World::new(settings)
        .workload("web", "")
        .workload("admin", "")
        .workload(
            "cart",
            "{port: 8080, protocol: HTTP}, {port: 6379, protocol: TCP}",
        )
}

/// Against the pain "Policy that the tunnel switches off" (docs/pains.md).
#[test]
fn a_call_is_judged_by_caller_method_and_path() {
    let world = world("mtls: Strict, default: Deny").objects(POLICY);
    let application = Application::start(world.at("cart", 8080), "cart");
    let cart = world.proxy("cart").start();
    let _web = world.proxy("web").upstream("cart", 8080).start();
    let _admin = world.proxy("admin").upstream("cart", 8080).start();
    let ask = |who: &str, method: &str, path: &str| {
        curl(&["-X", method, &world.url(who, 8080, path)]).outcome()
    };
    for (who, method, path, expect) in [
        ("web", "GET", "/items", "200"),
        ("web", "GET", "/items/7", "200"),
        ("web", "POST", "/items", "403 R003 no-allow-rule"),
        ("web", "GET", "/itemset", "403 R003 no-allow-rule"),
        ("web", "GET", "/", "403 R003 no-allow-rule"),
        ("admin", "DELETE", "/", "200"),
        ("admin", "GET", "/secret", "403 R004 denied-by-rule"),
    ] {
        assert_eq!(ask(who, method, path), expect, "{who} {method} {path}");
    }
    assert_eq!(application.requests(), 3);

    let refused = curl(&["-X", "POST", &world.url("web", 8080, "/items")]);
    let id = refused
        .header("leno-error")
        .unwrap()
        .rsplit_once('=')
        .unwrap()
        .1;
    assert_eq!(
        refused.text(),
        format!(
            "Leno refused this call: shop/web may not POST /items on shop/cart.\n\
             No AccessPolicy allows it.  Ask: leno why {id}\n"
        )
    );
    assert_eq!(
        refused.header("leno-error").unwrap(),
        format!("R003 no-allow-rule; by=proxy-of-cart; fault=caller; id={id}")
    );
    assert_eq!(
        refused.header("proxy-status").unwrap(),
        "leno; error=http_request_denied; details=\"R003 no-allow-rule\""
    );
    cart.until_says(&[
        id,
        r#""source":"shop/web""#,
        r#""security":"mtls""#,
        r#""code":"R003""#,
    ]);
}

/// What servers read differently lets nobody in, and a rule that audits only tells.
#[test]
fn headers_conditions_and_audits_are_asked_of_real_requests() {
    let world = world("mtls: Strict, default: Allow").objects(
        "
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  rules:
  - requests: [{paths: [{type: Template, value: '/items/{id}'}], headers: [{name: x-role, value: admin}]}]
    except: {requests: [{methods: [DELETE]}]}
  - requests: [{paths: [{value: /open}]}]
    when: has(request.headers.key) && request.headers.key.startsWith('k-')
  - action: Audit
    requests: [{methods: [PUT]}]
",
    );
    let _application = Application::start(world.at("cart", 8080), "cart");
    let cart = world.proxy("cart").start();
    let _web = world.proxy("web").upstream("cart", 8080).start();
    for (method, path, headers, expect) in [
        ("GET", "/items/7", &["x-role: admin"][..], "200"),
        (
            "DELETE",
            "/items/7",
            &["x-role: admin"],
            "403 R003 no-allow-rule",
        ),
        (
            "GET",
            "/items/7/8",
            &["x-role: admin"],
            "403 R003 no-allow-rule",
        ),
        ("GET", "/items/7", &[], "403 R003 no-allow-rule"),
        (
            "GET",
            "/items/7",
            &["x-role: user", "x-role: admin"],
            "403 R060 rule-undecided",
        ),
        (
            "GET",
            "/items/7",
            &["x-role: admin", "X_Role: user"],
            "403 R060 rule-undecided",
        ),
        ("GET", "/open", &["key: k-1"], "200"),
        ("GET", "/open", &["key: 1"], "403 R003 no-allow-rule"),
        (
            "GET",
            "/open",
            &["key: k-1", "key: k-1"],
            "403 R060 rule-undecided",
        ),
        ("PUT", "/items/9", &["x-role: admin"], "200"),
    ] {
        let url = world.url("web", 8080, path);
        let mut words = vec!["-X", method, &url];
        words.extend(headers.iter().flat_map(|header| ["-H", header]));
        let answer = curl(&words);
        assert_eq!(answer.outcome(), expect, "{method} {path} {headers:?}");
    }
    cart.until_says(&[
        r#""path":"/items/9""#,
        r#""audited":"AccessPolicy shop/cart rule 3""#,
    ]);
}

#[test]
fn who_proves_nothing_is_refused_where_mtls_is_strict_and_let_in_where_it_is_not() {
    for (mtls, expect) in [
        ("Strict", "403 R002 caller-not-in-mesh"),
        ("Permissive", "200"),
    ] {
        let world = world(&format!("mtls: {mtls}, default: Allow"));
        let _cart_application = Application::start(world.at("cart", 8080), "cart");
        serve(world.at("cart", 6379), |mut stream| {
            drop(std::io::Write::write_all(&mut stream, b"welcome"));
        });
        let cart = world.proxy("cart").plain(8080).plain(6379).start();
        let answer = curl(&[&world.url("cart", 18080, "/")]);
        assert_eq!(answer.outcome(), expect, "{mtls}");
        assert!(
            !answer.text().contains("x-forwarded-client-cert"),
            "{answer:?}"
        );
        let mut client = Client::to(world.at("cart", 16379));
        if mtls == "Strict" {
            assert!(client.is_cut());
            cart.until_says(&[r#""event":"stream""#, r#""code":"R002""#]);
        } else {
            assert_eq!(client.rest(), b"welcome");
            drop(client);
            cart.until_says(&[r#""event":"stream""#, r#""security":"caller-not-in-mesh""#]);
        }
    }
}

/// A route that sends what it takes on under another path, and who may ask for it.
const ROUTE: &str = "
kind: HTTPRoute
apiVersion: gateway.networking.k8s.io/v1
metadata: {name: exports, namespace: shop, creationTimestamp: 2026-01-01T00:00:00Z}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 8080}]
  rules:
  - matches: [{path: {value: /exports}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /v1}}}]
    backendRefs: [{name: cart, port: 8080}]
---
kind: HTTPRoute
apiVersion: gateway.networking.k8s.io/v1
metadata: {name: rest, namespace: shop, creationTimestamp: 2026-01-02T00:00:00Z}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 8080}]
  rules: [{backendRefs: [{name: cart, port: 8080}]}]
---
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {name: exports, namespace: shop}
spec:
  targetRefs: [{kind: HTTPRoute, name: exports}]
  rules: [{callers: [{identity: shop/admin}]}]
";

#[test]
fn a_policy_about_a_route_is_asked_where_its_requests_arrive() {
    let world = world("mtls: Strict").objects(ROUTE);
    let application = Application::start(world.at("cart", 8080), "cart");
    let _cart = world.proxy("cart").start();
    let _web = world.proxy("web").upstream("cart", 8080).start();
    let _admin = world.proxy("admin").upstream("cart", 8080).start();
    for (who, path, expect) in [
        ("admin", "/exports/7", "200"),
        ("web", "/exports/7", "403 R003 no-allow-rule"),
        // What the route makes of its requests can be asked for without it.
        ("web", "/v1/7", "403 R003 no-allow-rule"),
        ("web", "/items", "200"),
    ] {
        let outcome = curl(&[&world.url(who, 8080, path)]).outcome();
        assert_eq!(outcome, expect, "{who} {path}");
    }
    assert_eq!(application.requests(), 2);
}

#[test]
fn a_health_check_from_outside_is_let_in_and_told_as_one() {
    let settings = "mtls: Strict, default: Deny, \
        probes: [{from: [127.0.0.0/8], port: 8080, path: /healthz}]";
    let world = world(settings);
    let application = Application::start(world.at("cart", 8080), "cart");
    let cart = world.proxy("cart").plain(8080).plain(6379).start();
    for (method, path, expect) in [
        ("GET", "/healthz", "200"),
        ("HEAD", "/healthz?full=1", "200"),
        ("POST", "/healthz", "403 R002 caller-not-in-mesh"),
        ("GET", "/items", "403 R002 caller-not-in-mesh"),
        ("GET", "/x/../healthz", "400 R035 ambiguous-path"),
    ] {
        let url = world.url("cart", 18080, path);
        let answer = match method {
            "HEAD" => curl(&["--path-as-is", "--head", &url]),
            _ => curl(&["--path-as-is", "-X", method, &url]),
        };
        assert_eq!(answer.outcome(), expect, "{method} {path}");
    }
    assert_eq!(application.requests(), 2);
    assert!(Client::to(world.at("cart", 16379)).is_cut());
    cart.until_says(&[
        r#""event":"call""#,
        r#""source":"probe""#,
        r#""security":"probe""#,
        r#""path":"/healthz""#,
    ]);
}

#[test]
fn a_stream_of_bytes_is_judged_before_it_is_opened() {
    let world = world("mtls: Strict, default: Deny");
    let touched = Application::start(world.at("cart", 6379), "cart");
    let cart = world.proxy("cart").start();
    let web = world.proxy("web").upstream("cart", 6379).start();
    assert!(Client::to(world.at("web", 6379)).is_cut());
    cart.until_says(&[
        r#""event":"stream""#,
        r#""source":"shop/web""#,
        r#""security":"mtls""#,
        r#""code":"R003""#,
    ]);
    web.until_says(&[
        r#""event":"stream""#,
        r#""code":"R003""#,
        r#""fault":"caller""#,
    ]);
    assert_eq!(touched.connections(), 0);
    // Whoever is refused by policy would be refused again.
    assert_eq!(cart.log().matches("R003").count(), 1);
}

const ALL: &str = "{callers: [{namespace: shop}]}";

/// A mesh whose policy is changed while streams live.
struct Changing {
    world: World,
    cart: Process,
    web: Process,
}

impl Changing {
    fn start() -> Self {
        let world = world("mtls: Strict, default: Deny").objects(&format!(
            "
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {{name: cart, namespace: shop}}
spec: {{targetRefs: [{{kind: Service, name: cart}}], rules: [{ALL}]}}
"
        ));
        Application::start(world.at("cart", 8080), "cart");
        serve(world.at("cart", 6379), |stream| {
            let mut out = stream.try_clone().unwrap();
            // Both ways end when the stream is cut.
            drop(std::io::copy(&mut &stream, &mut out));
        });
        let cart = world.proxy("cart").start();
        let web = world
            .proxy("web")
            .upstream("cart", 8080)
            .upstream("cart", 6379)
            .start();
        Self { world, cart, web }
    }

    /// Replaces the only rule, and lets cart's proxy read it.
    fn change(&self, rule: &str) {
        self.world.replace(ALL, rule);
        self.cart.signal("HUP");
        self.cart.until_says(&["read again"]);
    }
}

#[test]
fn a_change_of_policy_cuts_what_it_forbids_and_nothing_else() {
    let changing = Changing::start();
    let mut bytes = Client::to(changing.world.at("web", 6379));
    bytes.send("before");
    assert_eq!(bytes.read(6), b"before");
    let mut waiting = Client::to(changing.world.at("web", 8080));
    waiting.send("GET /never HTTP/1.1\r\nHost: cart\r\n\r\n");
    let switch = |path: &str| {
        let mut client = Client::to(changing.world.at("web", 8080));
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: cart\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
        ));
        assert_eq!(client.answer().unwrap().status, 101);
        client
    };
    let (mut switched, mut lost) = (switch("/switch/kept"), switch("/switch/lost"));
    let never = || changing.cart.log().contains("/never");
    assert!(!never());

    changing.change(
        "{callers: [{identity: shop/web}], requests: [{ports: [8080], paths: [{value: /switch/kept}]}]}",
    );
    assert!(bytes.is_cut());
    assert!(lost.is_cut());
    // Both proxies say why, of the same call.
    for what in [r#""event":"stream""#, r#""path":"/switch/lost""#] {
        let [one, other] = [&changing.cart, &changing.web].map(|proxy| {
            let said = proxy.until_says(&[what, r#""code":"R006""#]);
            said.split(r#""id":""#).nth(1).unwrap()[..32].to_owned()
        });
        assert_eq!(one, other, "{what}");
    }
    assert_eq!(
        waiting.answer().unwrap().outcome(),
        "403 R006 permit-withdrawn"
    );
    switched.send("still");
    assert_eq!(switched.read(5), b"still");
    let asked = curl(&[&changing.world.url("web", 8080, "/")]);
    assert_eq!(asked.outcome(), "403 R003 no-allow-rule");
}

#[test]
fn files_that_are_wrong_change_nothing() {
    let changing = Changing::start();
    let ask = || curl(&[&changing.world.url("web", 8080, "/")]).outcome();
    assert_eq!(ask(), "200");
    fs::write(changing.world.folder().join("certs/cart.pem"), "nothing").unwrap();
    changing.cart.signal("HUP");
    changing
        .cart
        .until_says(&["error", "what was read before stays in force"]);
    assert_eq!(ask(), "200");
    until("both calls", || {
        (changing.cart.log().matches(r#""status":200"#).count() == 2).then_some(())
    });
}

#[test]
fn a_policy_that_cannot_be_understood_denies_and_says_so() {
    let mesh = "{trustDomain: shop.local, mtls: Strict}";
    let control = Control::start(&[], mesh, PAIR);
    let application = Application::start(control.world.at("cart", 8080), "cart");
    let _cart = control.joined("cart", &[]);
    let web = control.world.at("web", 8080);
    let upstream = format!("shop/cart:80={web}");
    let _web = control.joined("web", &["--upstream", &upstream]);
    until("a listener", || TcpStream::connect(web).ok());
    let url = control.world.url("web", 8080, "/");
    until("web calls cart", || {
        (curl(&[&url]).status == 200).then_some(())
    });

    let policy = "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: cart}\nspec:\n  \
                  targetRefs: [{kind: Service, name: cart}]\n  rules: [{callers: [{identity: 'shop web'}]}]\n";
    fs::write(control.path("policy.yaml"), policy).unwrap();
    let apply = ["apply", "-f", "policy.yaml", "-n", "shop"];
    assert!(control.told(&apply).out.contains("S005"));
    let accepted = control.told(&[&apply[..], &["--allow-errors"]].concat());
    assert!(accepted.out.contains("policy.yaml:6"), "{}", accepted.out);
    until("cart is closed", || {
        (curl(&[&url]).outcome() == "403 R005 policy-not-understood").then_some(())
    });
    let before = application.requests();
    let refused = curl(&[&url]);
    assert_eq!(refused.outcome(), "403 R005 policy-not-understood");
    assert!(refused.text().contains("policy.yaml:"), "{refused:?}");
    assert_eq!(application.requests(), before);
    let told = control.told(&["check"]).out;
    assert!(told.contains("AccessPolicy shop/cart"), "{told}");
    assert!(told.contains("policy.yaml:6"), "{told}");
}
