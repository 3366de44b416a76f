//! Two hosts and a control plane: joined by tokens, steered by revisions, on their own when they must
//! be. Takes root, `ip`, `curl` and `python3`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use leno_e2e::{Process, run, until};
use leno_lab::Lab;

/// A shop whose web runs on the first host, and both versions of whose cart on the second.
const SHOP: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {mtls: Strict, certificates: {lifetime: 1m}}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web, labels: {app: web}}
spec: {instances: [{name: web, address: 10.77.0.1}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart-v1, labels: {app: cart-v1}}
spec: {serviceAccount: cart, ports: [{port: 8080, protocol: HTTP}], instances: [{name: cart-v1, address: 10.77.0.2}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart-v2, labels: {app: cart-v2}}
spec: {serviceAccount: cart, ports: [{port: 8082, protocol: HTTP}], instances: [{name: cart-v2, address: 10.77.0.2}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart-v1}, ports: [{port: 80, targetPort: 8080, appProtocol: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart-v2}
spec: {selector: {app: cart-v2}, ports: [{port: 80, targetPort: 8082, appProtocol: http}]}
";

/// All calls to cart go to its second version.
const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 80}]
  rules: [{backendRefs: [{name: cart-v2, port: 80}]}]
";

/// The shop, running on two hosts.
struct Shop {
    control: Process,
    web: Process,
    _cart: Process,
    _applications: [Process; 2],
    lab: Lab,
}

impl Shop {
    fn open() -> Self {
        let lab = Lab::new(2);
        lab.write("shop.yaml", SHOP);
        lab.write("route.yaml", ROUTE);
        lab.write("v1/x", "one\n");
        lab.write("v2/x", "two\n");
        let python = |folder: &str, port: &str| {
            let folder = lab.path(folder).display().to_string();
            let arguments = [
                "-m",
                "http.server",
                "-d",
                &folder,
                "--bind",
                "10.77.0.2",
                port,
            ];
            lab.host(2)
                .start("python3", &arguments, &lab.path(&format!("{port}.log")))
        };
        let applications = [python("v1", "8080"), python("v2", "8082")];
        let control = control(&lab);
        let shop = |lab: &Lab, arguments: &[&str]| ask(lab, arguments);
        shop(&lab, &["apply", "-f", "shop.yaml", "-n", "shop"]);
        for (number, who, state) in [(1, "shop/web", "web"), (2, "shop/cart", "cart")] {
            let made = shop(&lab, &["token", "create", who]);
            let token = made
                .split_whitespace()
                .last()
                .expect("the token comes last");
            let state = lab.path(state).display().to_string();
            let mut join = lab.host(number).command(leno());
            run(join.args(["join", token, "--state", &state]));
        }
        let state = lab.path("cart").display().to_string();
        let arguments = [
            "proxy",
            "--joined",
            "--state",
            &state,
            "-n",
            "shop",
            "--workload",
            "cart-v1",
            "--workload",
            "cart-v2",
            "--tunnel",
            "10.77.0.2:15008",
        ];
        let cart = lab.host(2).start(leno(), &arguments, &lab.path("cart.log"));
        cart.until_says(&["adopted view", "2 workloads"]);
        let web = web(&lab);
        Self {
            control,
            web,
            _cart: cart,
            _applications: applications,
            lab,
        }
    }

    /// What curl on the first host gets for `/x`: the body, or the status and what Leno says.
    fn call(&self) -> String {
        let mut curl = self.lab.host(1).command("curl");
        curl.args([
            "-s",
            "--max-time",
            "5",
            "-w",
            "%{http_code} %header{leno-error}",
        ]);
        let output = curl
            .arg("http://127.0.0.1:8081/x")
            .output()
            .expect("curl runs");
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .replace('\n', " ")
    }

    fn until_called(&self, expected: &str) {
        until(expected, || self.call().starts_with(expected).then_some(()));
    }
}

fn control(lab: &Lab) -> Process {
    let (data, socket) = (lab.path("store"), lab.path("socket"));
    let arguments = [
        "control",
        "--listen",
        "10.77.0.1:15012",
        "--advertise",
        "10.77.0.1:15012",
        "--data",
        &data.display().to_string(),
        "--socket",
        &socket.display().to_string(),
    ];
    let control = lab
        .host(1)
        .start(leno(), &arguments, &lab.path("control.log"));
    control.until_says(&["listening on"]);
    control
}

fn web(lab: &Lab) -> Process {
    let state = lab.path("web").display().to_string();
    let arguments = [
        "proxy",
        "--joined",
        "--state",
        &state,
        "-n",
        "shop",
        "--workload",
        "web",
        "--upstream",
        "cart:80=127.0.0.1:8081",
        "--tunnel",
        "10.77.0.1:15008",
    ];
    let web = lab.host(1).start(leno(), &arguments, &lab.path("web.log"));
    web.until_says(&["follows"]);
    web
}

/// Asks the control plane and gives the answer.
fn ask(lab: &Lab, arguments: &[&str]) -> String {
    let mut command = Command::new(leno());
    command
        .args(arguments)
        .env("LENO_CONTEXT", lab.path("socket"));
    run(command.current_dir(lab.path("")))
}

/// The binary under test, built once and in the profile of the tests.
fn leno() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let tests = std::env::current_exe().expect("a test has a file");
        let folder = tests.ancestors().nth(2).expect("it lies in PROFILE/deps");
        let target = folder.parent().expect("it lies in the target folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--package", "leno", "--target-dir"])
            .arg(target);
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        run(&mut cargo);
        folder.join("leno")
    });
    &BUILT
}

#[test]
fn two_hosts_join_are_steered_and_go_on_without_a_control_plane() {
    let mut shop = Shop::open();
    shop.until_called("one");

    ask(
        &shop.lab,
        &["apply", "-f", "route.yaml", "-n", "shop", "-m", "all to v2"],
    );
    shop.until_called("two");
    ask(&shop.lab, &["rollback", "1"]);
    shop.until_called("one");

    shop.control.kill();
    assert!(shop.call().starts_with("one"));
    shop.web.kill();
    shop.web = web(&shop.lab);
    shop.until_called("one");

    shop.control = control(&shop.lab);
    ask(&shop.lab, &["apply", "-f", "route.yaml", "-n", "shop"]);
    shop.until_called("two");
}

#[test]
fn a_host_that_was_cut_off_catches_up() {
    let shop = Shop::open();
    shop.until_called("one");
    shop.lab.host(2).cut();
    ask(&shop.lab, &["apply", "-f", "route.yaml", "-n", "shop"]);
    shop.lab.host(2).heal();
    shop.until_called("two");
    until("both hold the newest view", || {
        let told = ask(&shop.lab, &["proxies"]);
        (told.matches("the newest").count() == 2).then_some(())
    });
}

#[test]
fn who_is_revoked_is_refused_until_it_is_reinstated() {
    let shop = Shop::open();
    shop.until_called("one");
    ask(
        &shop.lab,
        &["certs", "revoke", "shop/web", "-m", "its key was copied"],
    );
    shop.until_called("Leno refused this call");
    assert!(shop.call().contains("502 R025 tunnel-failed"));
    assert!(ask(&shop.lab, &["certs", "list"]).contains("its key was copied"));
    ask(&shop.lab, &["certs", "reinstate", "shop/web"]);
    shop.until_called("one");
}

#[test]
fn a_live_stream_of_the_revoked_is_cut() {
    let shop = Shop::open();
    shop.until_called("one");
    let large = "a line of many\n".repeat(4 << 20);
    shop.lab.write("v1/large", &large);
    // A minute and more, if nobody cuts it.
    let arguments = [
        "-s",
        "--limit-rate",
        "1M",
        "-o",
        "/dev/null",
        "http://127.0.0.1:8081/large",
    ];
    let stream = shop
        .lab
        .host(1)
        .start("curl", &arguments, &shop.lab.path("curl.log"));
    until("the stream is under way", || {
        let log = shop
            .lab
            .host(2)
            .command("ss")
            .args(["-tnH", "sport", "=", ":8080"])
            .output()
            .ok()?;
        (!log.stdout.is_empty()).then_some(())
    });
    ask(&shop.lab, &["certs", "revoke", "shop/web"]);
    assert!(!stream.ended().success());
}
