//! A control plane that was away until every certificate had ended.

use std::net::TcpStream;
use std::time::Duration;

use leno_e2e::{Application, Client, until, within};

use crate::control::{Control, PAIR};

/// With the shortest life that certificates can have.
const MESH: &str = "{mtls: Strict, certificates: {lifetime: 1m}}";

/// Longer than any certificate of that mesh lasts.
const LIFE: Duration = Duration::from_secs(100);

/// Against the pain "Certificates that end" (docs/pains.md).
#[test]
fn one_command_lets_in_whose_certificates_have_all_ended() {
    let control = Control::start(&[], MESH, PAIR);
    Application::start(control.world.at("cart", 8080), "cart");
    let web = control.world.at("web", 8081);
    let metrics = control.world.at("cart", 15020).to_string();
    let proxies = [
        control.joined("cart", &["--metrics", &metrics]),
        control.joined("web", &["--upstream", &format!("cart:80={web}")]),
    ];
    until("a listener", || TcpStream::connect(web).ok());
    let outcome = || {
        let answer = Client::to(web).get("/");
        answer.map(|answer| answer.outcome())
    };
    let is = |expected: &str| outcome().filter(|outcome| outcome == expected);
    until("a call", || is("200"));

    let control = control.fail();
    proxies[0].until_says(&["T007", "the control plane is away; it ends at"]);
    until(
        "what the proxies say in its place, with when it ends",
        || {
            let told = control.told(&["check"]).out;
            let mut about = told.lines().filter(|line| line.contains("T007"));
            about
                .find(|line| line.contains("shop/sa/cart, until "))
                .map(|_| ())
        },
    );
    let failed = r#"leno_certificate_renewals_failed{identity="shop/cart"}"#;
    assert_ne!(control.world.metric("cart", failed), Some(0));
    let ended = within(LIFE, || outcome().filter(|outcome| outcome != "200"));
    assert_eq!(ended.as_deref(), Some("502 R025 tunnel-failed"));

    let control = control.start_again();
    until("both wait, and what lets them in", || {
        let told = control.told(&["check"]).out;
        let about = told.split_once("T016")?.1;
        let says = |word| about.contains(word);
        ["shop/cart", "shop/web", "leno certs readmit"]
            .into_iter()
            .all(says)
            .then_some(())
    });
    assert_eq!(is("200"), None, "nobody is let in until somebody says so");

    control.ask(&["certs", "readmit"]);
    until("a call, nothing having been started again", || is("200"));
}
