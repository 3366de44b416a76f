//! Tokens of users: proven before anything reaches an application, which is told what no client can forge.

use leno_channel::generate_key;
use leno_e2e::{Application, World, curl};
use leno_jwt::{Claims, Signer};

fn signer() -> Signer {
    Signer::new(generate_key().secret()).unwrap()
}

fn token(signer: &Signer, more: &str) -> String {
    let claims = format!(r#"{{"iss":"id","aud":"shop","sub":"anna",{more}}}"#);
    signer.sign(&Claims::read(claims.as_bytes()).unwrap())
}

/// The year 2100.
const LATER: &str = r#""exp":4102444800"#;

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
