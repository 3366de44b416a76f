//! From permissive to strict, with one caller that has no proxy: `leno plan` names it, and nobody else,
//! before anything is changed.

use std::process::Command;

use leno_e2e::{binary, run, until};
use leno_lab::Lab;

use crate::{ask, control, joined};

const SHOP: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {mtls: Permissive, default: Allow}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec: {instances: [{name: web, address: 10.77.0.1}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart}
spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{name: cart, address: 10.77.0.2}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: legacy}
spec: {instances: [{name: legacy, address: 10.77.0.3}]}
";

/// Lets a host's proxy take what comes to port 8080.
const CAPTURE: &str = "table ip capture {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        tcp dport 8080 redirect to :15006
    }
}";

/// The status of a call from a host.
fn call(lab: &Lab, host: usize, url: &str) -> String {
    let mut curl = lab.host(host).command("curl");
    curl.args([
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--max-time",
        "20",
    ]);
    let output = curl.arg(url).output().expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a plan says, and the code that it ends with.
fn plan(lab: &Lab, more: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(binary());
    command.args(["plan", "--with", "mtls=Strict", "-n", "shop"]);
    command.args(more).env("LENO_CONTEXT", lab.path("socket"));
    let output = command.output().expect("leno runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (said, output.status.code())
}

/// Those of whose calls a plan says that they break.
fn broken(said: &str) -> Vec<&str> {
    let rows = said.lines().filter(|line| line.contains("BREAKS"));
    rows.collect()
}

/// Against the pain "The day of strict mTLS, and that of default deny" (docs/pains.md).
#[test]
fn a_plan_names_the_one_caller_that_strict_mtls_would_break() {
    let lab = Lab::new(3);
    lab.write("shop.yaml", SHOP);
    lab.write("capture.nft", CAPTURE);
    lab.write("www/x", "cart\n");
    let folder = lab.path("www").display().to_string();
    let arguments = ["-m", "http.server", "-d", &folder, "8080"];
    let log = lab.path("application.log");
    let _application = lab.host(2).start("python3", &arguments, &log);
    let _control = control(&lab);
    ask(&lab, &["apply", "-f", "shop.yaml", "-n", "shop"]);
    run(lab
        .host(2)
        .command("nft")
        .arg("-f")
        .arg(lab.path("capture.nft")));
    let _cart = joined(&lab, 2, ["cart"; 2], &["--inbound", "10.77.0.2:15006"]);
    let upstream = ["--upstream", "cart:8080=127.0.0.1:8081"];
    let _web = joined(&lab, 1, ["web"; 2], &upstream);

    // Everybody may call, proven or not.
    let (by_proxy, plain) = ("http://127.0.0.1:8081/x", "http://10.77.0.2:8080/x");
    until("web calls", || {
        (call(&lab, 1, by_proxy) == "200").then_some(())
    });
    until("legacy calls", || {
        (call(&lab, 3, plain) == "200").then_some(())
    });
    let said = until("both are known", || {
        let (said, code) = plan(&lab, &[]);
        let knows_both = said.contains("BREAKS") && said.contains("the rest");
        knows_both.then(|| {
            assert_eq!(code, Some(1), "{said}");
            said
        })
    });
    let rows = broken(&said);
    assert_eq!(rows.len(), 1, "{said}");
    let names_it = "shop/legacy (10.77.0.3, without a proxy) → shop/cart  GET /x   200 → 403 R002";
    assert!(rows[0].contains(names_it), "{said}");
    assert!(said.contains("1 caller would break."), "{said}");
    // Nothing was changed.
    assert_eq!(call(&lab, 3, plain), "200");

    // It gets a proxy, and calls by that.
    let _legacy = joined(&lab, 3, ["legacy"; 2], &upstream);
    until("legacy calls by its proxy", || {
        (call(&lab, 3, by_proxy) == "200").then_some(())
    });
    until("nobody would break", || {
        call(&lab, 3, by_proxy);
        let (said, code) = plan(&lab, &["--since", "5s"]);
        (code == Some(0) && said.contains("No caller would break")).then_some(())
    });

    // Now it holds, and what was planned comes true.
    lab.write("strict.yaml", STRICT);
    ask(
        &lab,
        &[
            "apply",
            "-f",
            "strict.yaml",
            "-n",
            "shop",
            "--set",
            "strict",
        ],
    );
    until("plain calls are refused", || {
        (call(&lab, 3, plain) == "403").then_some(())
    });
    for host in [1, 3] {
        assert_eq!(call(&lab, host, by_proxy), "200", "host {host}");
    }
}

const STRICT: &str = "\
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: strict}
spec: {mtls: Strict}
";
