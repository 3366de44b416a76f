//! Tokens of users: proven before anything reaches an application, which is told what no client can forge.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use leno_channel::generate_key;
use leno_e2e::{Application, Process, World, curl, until};
use leno_jwt::{Claims, Signer};

use crate::control::{Control, PAIR};

pub(crate) fn signer() -> Signer {
    Signer::new(generate_key().secret()).unwrap()
}

pub(crate) fn token(signer: &Signer, more: &str) -> String {
    let claims = format!(r#"{{"iss":"id","aud":"shop","sub":"anna",{more}}}"#);
    signer.sign(&Claims::read(claims.as_bytes()).unwrap())
}

/// The year 2100.
pub(crate) const LATER: &str = r#""exp":4102444800"#;

#[test]
fn a_token_is_proven_and_an_application_is_told_its_claims() {
    let issuer = signer();
    let world = World::new("mtls: Strict, default: Allow")
        .workload("web", "")
        .workload("cart", "{port: 8080, protocol: HTTP}")
        .objects(&format!(
            "
kind: AccessPolicy
apiVersion: leno.dev/v1alpha1
metadata: {{name: cart, namespace: shop}}
spec:
  targetRefs: [{{kind: Service, name: cart}}]
  jwt:
    issuers:
    - issuer: id
      audiences: [shop]
      jwks: {{inline: '{{\"keys\": [{}]}}'}}
      claimsToHeaders: [{{claim: sub, header: x-user}}]
  rules:
  - requests: [{{paths: [{{value: /open}}]}}]
  - requests: [{{claims: [{{name: roles, value: admin}}]}}]
",
            issuer.jwk("sig")
        ));
    let application = Application::start(world.at("cart", 8080), "cart");
    let cart = world.proxy("cart").start();
    let _web = world.proxy("web").upstream("cart", 8080).start();
    let ask = |path: &str, token: Option<&str>| {
        let bearer = token.map(|token| format!("authorization: Bearer {token}"));
        let url = world.url("web", 8080, path);
        let mut arguments = vec!["-H", "x-user: root", url.as_str()];
        if let Some(bearer) = &bearer {
            arguments.extend(["-H", bearer.as_str()]);
        }
        curl(&arguments)
    };
    let admin = token(&issuer, &format!(r#""roles":["admin"],{LATER}"#));
    let guest = token(&issuer, LATER);
    let ended = token(&issuer, r#""exp":1"#);
    let forged = token(&signer(), LATER);
    for (path, token, expect) in [
        ("/", None, "401 R062 jwt-missing"),
        ("/", Some(&admin), "200"),
        ("/", Some(&guest), "403 R003 no-allow-rule"),
        ("/", Some(&ended), "401 R061 jwt-refused"),
        ("/", Some(&forged), "401 R061 jwt-refused"),
        ("/open", None, "200"),
        ("/open", Some(&guest), "200"),
        // Who carries one that proves nothing is not taken for somebody without one.
        ("/open", Some(&forged), "401 R061 jwt-refused"),
    ] {
        let outcome = ask(path, token.map(String::as_str)).outcome();
        assert_eq!(outcome, expect, "{path} {token:?}");
    }
    assert_eq!(application.requests(), 3);

    let told = ask("/", Some(&admin)).text().to_ascii_lowercase();
    assert!(told.contains("x-user: anna"), "{told}");
    assert!(
        !told.contains("root") && !told.contains("authorization"),
        "{told}"
    );
    let told = ask("/open", None).text().to_ascii_lowercase();
    assert!(!told.contains("x-user"), "{told}");

    let refused = ask("/", Some(&ended));
    let asked = refused.header("www-authenticate").unwrap();
    let expect = "Bearer error=\"invalid_token\", error_description=\"the token ended ";
    assert!(asked.starts_with(expect), "{asked}");
    assert_eq!(ask("/", None).header("www-authenticate"), Some("Bearer"));
    // What it says stands in no log.
    cart.until_says(&[r#""code":"R061""#]);
    assert!(!cart.log().contains("anna"), "{}", cart.log());
}

/// A policy whose keys are served by HTTP.
const KEYS_BY_URL: &str = "
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart}
spec:
  targetRefs: [{kind: Service, name: cart}]
  jwt:
    required: true
    issuers:
    - issuer: id
      audiences: [shop]
      jwks: {url: 'http://@keys:8000/jwks.json', every: 1s}
  rules:
  - {}
";

/// Serves this issuer's key, by a server that knows nothing of it.
fn serve_key(control: &Control, issuer: &Signer) -> Process {
    let jwks = format!("{{\"keys\": [{}]}}", issuer.jwk("sig"));
    fs::write(control.path("jwks.json"), jwks).unwrap();
    let at = control.world.at("keys", 8000);
    let mut python = Command::new("python3");
    python.args(["-m", "http.server", "8000", "--bind", &at.ip().to_string()]);
    let server = (control.world).process("keys", python.current_dir(control.world.folder()));
    until("the keys are served", || TcpStream::connect(at).ok());
    server
}

#[test]
fn keys_hold_while_their_url_is_away_and_are_others_when_it_comes_back_with_others() {
    let (first, second) = (signer(), signer());
    let mesh = "{trustDomain: shop.local, mtls: Strict}";
    let control = Control::start(&["--keys-on-loopback"], mesh, "");
    let mut keys = serve_key(&control, &first);
    control.apply(mesh, &format!("{PAIR}{KEYS_BY_URL}"));
    Application::start(control.world.at("cart", 8080), "cart");
    let _cart = control.joined("cart", &[]);
    let web = control.world.at("web", 8080);
    let upstream = format!("shop/cart:80={web}");
    let _web = control.joined("web", &["--upstream", &upstream]);
    until("a listener", || TcpStream::connect(web).ok());
    let ask = |issuer: &Signer| {
        let bearer = format!("authorization: Bearer {}", token(issuer, LATER));
        curl(&["-H", &bearer, &control.world.url("web", 8080, "/")]).outcome()
    };
    let until_passes = |issuer: &Signer| {
        until("the key counts", || (ask(issuer) == "200").then_some(()));
    };
    until_passes(&first);
    assert_eq!(ask(&second), "401 R061 jwt-refused");

    keys.kill();
    until("it is said that the keys hold", || {
        let told = control.told(&["check"]).out;
        let is_told = told.contains("C151") && told.contains("got before, until");
        is_told.then_some(())
    });
    assert_eq!(ask(&first), "200");

    let _keys = serve_key(&control, &second);
    until_passes(&second);
    until("nothing is said of it", || {
        let told = control.told(&["check"]).out;
        (!told.contains("C151")).then_some(())
    });
    until("the key that is gone counts no longer", || {
        (ask(&first) == "401 R061 jwt-refused").then_some(())
    });
}

/// A policy whose keys stand in a file of the control plane's folder, and hold for 3 s without it.
const KEYS_BY_FILE: &str = "
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart}
spec:
  targetRefs: [{kind: Service, name: cart}]
  jwt:
    required: true
    issuers:
    - issuer: id
      audiences: [shop]
      jwks: {file: cart.json, every: 1s, keep: 3s}
  rules:
  - {}
";

#[test]
fn keys_in_a_file_are_read_again_and_deny_once_they_have_ended() {
    let (first, second) = (signer(), signer());
    let mesh = "{trustDomain: shop.local, mtls: Strict}";
    let control = Control::start(&["--keys", "keys"], mesh, "");
    let folder = control.path("keys");
    fs::create_dir_all(&folder).unwrap();
    let write = |issuer: &Signer| {
        let jwks = format!("{{\"keys\": [{}]}}", issuer.jwk("sig"));
        // Nobody reads half of it.
        fs::write(folder.join("next"), jwks).unwrap();
        fs::rename(folder.join("next"), folder.join("cart.json")).unwrap();
    };
    write(&first);
    control.apply(mesh, &format!("{PAIR}{KEYS_BY_FILE}"));
    Application::start(control.world.at("cart", 8080), "cart");
    let _cart = control.joined("cart", &[]);
    let web = control.world.at("web", 8080);
    let upstream = format!("shop/cart:80={web}");
    let _web = control.joined("web", &["--upstream", &upstream]);
    until("a listener", || TcpStream::connect(web).ok());
    let until_comes = |issuer: &Signer, expect: &str| {
        let bearer = format!("authorization: Bearer {}", token(issuer, LATER));
        let url = control.world.url("web", 8080, "/");
        until(expect, || {
            let outcome = curl(&["-H", &bearer, &url]).outcome();
            (outcome == expect).then_some(())
        });
    };
    until_comes(&first, "200");
    until_comes(&second, "401 R061 jwt-refused");

    write(&second);
    until_comes(&second, "200");
    until_comes(&first, "401 R061 jwt-refused");

    fs::remove_file(folder.join("cart.json")).unwrap();
    until_comes(&second, "503 R063 jwt-keys-missing");
    until("it is said why", || {
        let told = control.told(&["check"]).out;
        told.contains("C151").then_some(())
    });
    write(&second);
    until_comes(&second, "200");
}
