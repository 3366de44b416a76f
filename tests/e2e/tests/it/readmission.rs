//! A control plane that was away until every certificate had ended.

use std::net::TcpStream;
use std::time::Duration;

use leno_e2e::{Application, Client, Process, until, within};

use crate::control::Control;

/// With the shortest life that certificates can have.
const MESH: &str = "{mtls: Strict, certificates: {lifetime: 1m}}";

/// Longer than any certificate of that mesh lasts.
const LIFE: Duration = Duration::from_secs(100);

const SHOP: &str = "\
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec: {instances: [{address: @web}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart, labels: {app: cart}}
spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{address: @cart}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080, appProtocol: http}]}
";

#[test]
fn one_command_lets_in_whose_certificates_have_all_ended() {
    let control = Control::start(&[], MESH, SHOP);
    Application::start(control.world.at("cart", 8080), "cart");
    let web = control.world.at("web", 8081);
    let _proxies = [
        joined(&control, "cart", &[]),
        joined(&control, "web", &["--upstream", &format!("cart:80={web}")]),
    ];
    until("a listener", || TcpStream::connect(web).ok());
    let outcome = || {
        let answer = Client::to(web).get("/");
        answer.map(|answer| answer.outcome())
    };
    let is = |expected: &str| outcome().filter(|outcome| outcome == expected);
    until("a call", || is("200"));

    let control = control.fail();
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

/// A proxy that has joined by a token.
fn joined(control: &Control, name: &str, more: &[&str]) -> Process {
    let token = control.ask(&["token", "create", &format!("shop/{name}")]);
    let token = token.split_whitespace().last().unwrap();
    control.ask(&["join", token, "--state", name]);
    let tunnel = control.world.at(name, 15008).to_string();
    let mut command = control.world.command(&["proxy", "--joined"]);
    command.args(["-n", "shop", "--state", name, "--workload", name]);
    command.args(["--tunnel", &tunnel]).args(more);
    control.world.process(name, &mut command)
}
