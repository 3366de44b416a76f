//! Two hosts and a control plane: joined by tokens, steered by revisions, on their own when they must
//! be. Takes root, `ip`, `curl` and `python3`.

mod capture;
mod demo;
mod strict;

use std::fs;
use std::process::Command;

use leno_e2e::{Process, binary, run, until};
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
            let mut join = lab.host(number).command(binary());
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
        let cart = lab
            .host(2)
            .start(binary(), &arguments, &lab.path("cart.log"));
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
        self.call_at(8081)
    }

    /// The same at another port.
    fn call_at(&self, port: u16) -> String {
        let mut curl = self.lab.host(1).command("curl");
        curl.args([
            "-s",
            "--max-time",
            "20",
            "-w",
            "%{http_code} %header{leno-error}",
        ]);
        let output = curl
            .arg(format!("http://127.0.0.1:{port}/x"))
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
    control_on(lab, 1)
}

/// A control plane on the host of this number.
fn control_on(lab: &Lab, host: usize) -> Process {
    let (data, socket) = (lab.path("store"), lab.path("socket"));
    let at = format!("{}:15012", lab.host(host).address);
    let arguments = [
        "control",
        "--listen",
        &at,
        "--advertise",
        &at,
        "--data",
        &data.display().to_string(),
        "--socket",
        &socket.display().to_string(),
    ];
    let log = lab.path("control.log");
    let control = lab.host(host).start(binary(), &arguments, &log);
    control.until_says(&["listening on"]);
    control
}

fn web(lab: &Lab) -> Process {
    web_with(lab, &[])
}

/// The same, with further arguments.
fn web_with(lab: &Lab, more: &[&str]) -> Process {
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
    let arguments = [&arguments, more].concat();
    let web = lab
        .host(1)
        .start(binary(), &arguments, &lab.path("web.log"));
    web.until_says(&["follows"]);
    web
}

/// Lets the proxy of a workload, which acts as this account, join and run on a host.
fn joined(lab: &Lab, host: usize, [account, name]: [&str; 2], more: &[&str]) -> Process {
    let made = ask(lab, &["token", "create", &format!("shop/{account}")]);
    let token = made.split_whitespace().last();
    let token = token.expect("the token comes last");
    let state = lab.path(name).display().to_string();
    let mut join = lab.host(host).command(binary());
    run(join.args(["join", token, "--state", &state]));
    let tunnel = format!("{}:15008", lab.host(host).address);
    let log = lab.path(&format!("{name}.log"));
    let mut arguments = vec!["proxy", "--joined", "-n", "shop", "--state", &state];
    arguments.extend(["--workload", name, "--tunnel", &tunnel]);
    arguments.extend(more);
    let proxy = lab.host(host).start(binary(), &arguments, &log);
    proxy.until_says(&["adopted view"]);
    proxy
}

/// Asks the control plane and gives the answer.
fn ask(lab: &Lab, arguments: &[&str]) -> String {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env("LENO_CONTEXT", lab.path("socket"));
    run(command.current_dir(lab.path("")))
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

/// Asks for `/x` without a pause and prints each answer: its status and body, or why there is none.
const LOAD: &str = r#"
import http.client
client = http.client.HTTPConnection("127.0.0.1", 8081, timeout=20)
while True:
    try:
        client.request("GET", "/x")
        answer = client.getresponse()
        print(answer.status, answer.read().decode().strip(), flush=True)
    except (OSError, http.client.HTTPException) as error:
        print("none:", repr(error), flush=True)
        client.close()
"#;

#[test]
fn a_control_plane_that_is_killed_under_load_loses_no_revision_and_no_call() {
    let mut shop = Shop::open();
    shop.until_called("one");
    let log = shop.lab.path("load.log");
    let mut load = shop.lab.host(1).start("python3", &["-c", LOAD], &log);
    load.until_says(&["200 one"]);
    let mut acknowledged = Vec::new();
    for round in 1..=4 {
        // One revision is made in peace; while the next is on its way, the control plane dies.
        let message = |part: &str| format!("{part}-{round}");
        let apply = |share: u32, message: &str| {
            let backend = |name, weight| format!("{{name: {name}, port: 80, weight: {weight}}}");
            let split = [backend("cart", share), backend("cart-v2", 100 - share)].join(", ");
            let route = ROUTE.replace("{name: cart-v2, port: 80}", &split);
            let file = format!("{message}.yaml");
            shop.lab.write(&file, &route);
            let mut command = Command::new(binary());
            command.args(["apply", "-f", &file, "-n", "shop", "--set", "route"]);
            command.args(["-m", message]).current_dir(shop.lab.path(""));
            command.env("LENO_CONTEXT", shop.lab.path("socket"));
            command
        };
        run(&mut apply(10 * round, &message("peace")));
        acknowledged.push(message("peace"));
        let log = shop.lab.path("racing.log");
        let racing = Process::start(&mut apply(10 * round + 1, &message("race")), &log);
        // Each round a little later.
        for _ in 1..round {
            shop.call();
        }
        shop.control.kill();
        if racing.ended().success() {
            acknowledged.push(message("race"));
        }
        shop.control = control(&shop.lab);
        let history = ask(&shop.lab, &["history"]);
        for message in &acknowledged {
            assert_eq!(history.matches(message).count(), 1, "{message}:\n{history}");
        }
    }
    ask(
        &shop.lab,
        &["apply", "-f", "route.yaml", "-n", "shop", "--set", "route"],
    );
    until("all calls at the second version", || {
        let served = (0..8).all(|_| shop.call().starts_with("two"));
        served.then_some(())
    });
    load.kill();
    let answers = load.log();
    let right = |answer: &&str| ["200 one", "200 two"].contains(answer);
    let wrong = answers.lines().filter(|answer| !right(answer));
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
    assert!(answers.lines().count() > 100, "{answers}");
}

#[test]
fn a_name_never_seen_has_a_code_of_its_own_while_nobody_can_be_asked() {
    let mut shop = Shop::open();
    shop.until_called("one");
    shop.control.kill();
    shop.web.kill();
    shop.web = web_with(&shop.lab, &["--upstream", "cart-v2:80=127.0.0.1:8082"]);
    let unknown = shop.call_at(8082);
    assert!(unknown.contains("503 R015 name-not-known-yet"), "{unknown}");
    assert!(unknown.contains("fault=mesh"), "{unknown}");
    assert!(shop.call().starts_with("one"));
    shop.control = control(&shop.lab);
    until("the name", || {
        shop.call_at(8082).starts_with("two").then_some(())
    });
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
    let answer = shop.call();
    assert!(answer.contains("403 T005 identity-revoked"), "{answer}");
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
    let came = shop.lab.path("large");
    let into = came.display().to_string();
    let url = "http://127.0.0.1:8081/large";
    let arguments = ["-sN", "--limit-rate", "1M", "-o", &into, url];
    let stream = shop
        .lab
        .host(1)
        .start("curl", &arguments, &shop.lab.path("curl.log"));
    until("the stream is under way", || {
        (fs::metadata(&came).ok()?.len() > 0).then_some(())
    });
    ask(&shop.lab, &["certs", "revoke", "shop/web"]);
    assert!(!stream.ended().success());
}
