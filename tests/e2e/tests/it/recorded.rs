//! What rules of a change read, and nobody records: a plan says so, has it recorded, and knows later.

use std::fs;
use std::net::TcpStream;

use leno_e2e::{Application, curl, until};

use crate::control::{Control, PAIR};
use crate::tokens::{LATER, signer, token};

/// Who is believed at cart, and whom `@rules` let in.
const POLICY: &str = "
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart}
spec:
  targetRefs: [{kind: Service, name: cart}]
  jwt:
    issuers:
    - issuer: id
      audiences: [shop]
      jwks: {inline: '@jwks'}
  rules:
  - @rule
";

#[test]
fn what_a_change_reads_is_recorded_where_a_plan_is_asked_to() {
    let issuer = signer();
    let jwks = format!("{{\"keys\": [{}]}}", issuer.jwk("sig"));
    let policy = |rule: &str| POLICY.replace("@jwks", &jwks).replace("@rule", rule);
    let mesh = "{trustDomain: shop.local, mtls: Strict}";
    let control = Control::start(&[], mesh, &format!("{PAIR}{}", policy("{}")));
    let _application = Application::start(control.world.at("cart", 8080), "cart");
    let _cart = control.joined("cart", &[]);
    let web = control.world.at("web", 8080);
    let upstream = format!("shop/cart:80={web}");
    let _web = control.joined("web", &["--upstream", &upstream]);
    until("a listener", || TcpStream::connect(web).ok());
    let url = control.world.url("web", 8080, "/items");
    let call = |roles: &str, header: &str| {
        let said = format!(r#""roles":["{roles}"],{LATER}"#);
        let bearer = format!("authorization: Bearer {}", token(&issuer, &said));
        curl(&["-H", &bearer, "-H", header, &url]).status
    };
    until("web calls cart", || {
        (call("admin", "x-team: a") == 200).then_some(())
    });
    // Of many calls a few that nobody recorded are taken for such as the others are: these remain many.
    for _ in 0..60 {
        assert_eq!(call("admin", "x-team: a"), 200);
    }

    let rule = "{requests: [{claims: [{name: roles, value: admin}], headers: [{name: x-team, value: a}]}]}";
    fs::write(control.path("change.yaml"), policy(rule)).unwrap();
    let plan = |more: &[&str]| {
        let plan = ["plan", "-f", "change.yaml", "-n", "shop"];
        control.told(&[&plan[..], more].concat()).out
    };
    let told = until("the call is known, and undecided", || {
        let told = plan(&[]);
        told.contains("cannot be told").then_some(told)
    });
    for words in [
        "nobody records header:x-team, claim:roles of calls to shop/cart",
        "--record 24h",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }

    let told = plan(&["--record", "10m"]);
    let measure = "record shop/cart header:x-team claim:roles";
    assert!(told.contains(measure), "{told}");
    assert!(control.ask(&["override", "list"]).contains(measure));
    // Each is judged by what it says, once the proxies record it.
    until(
        "calls of guests are known to break, and others to stay",
        || {
            for (role, team) in [("admin", "a"), ("admin", "b"), ("guest", "a")] {
                assert_eq!(call(role, &format!("x-team: {team}")), 200);
            }
            let told = plan(&["-o", "json"]);
            let traffic = &serde_json::from_str::<serde_json::Value>(&told).unwrap()["traffic"];
            let count = |means: &str| traffic[means].as_u64().unwrap();
            (count("breaks") >= 2 && count("same") >= 1).then_some(())
        },
    );
    let told = plan(&[]);
    assert!(
        told.contains("(record shop/cart header:x-team claim:roles) since"),
        "{told}"
    );
}
