//! Meshes without capture, where namespaces are really forbidden: to these processes, by a limit of
//! a user namespace around them.

use std::fs;
use std::process::{Command, Stdio};

use super::lifecycle::{descendants, is_alive};
use super::world::{Folder, free_ports, told};
use crate::said::until;

/// `cart` offers what stands in `items`; `web` does what this script says, and stays.
fn shop(name: &str, port: u16, script: &str) -> Folder {
    let folder = Folder::new(name);
    folder
        .write("items", "yarn\n")
        .write(
            "web.sh",
            &format!("{script}\necho done > done\nexec sleep 1000\n"),
        )
        .write(
            "Procfile",
            &format!("cart: exec python3 -m http.server {port}\nweb: exec sh web.sh\n"),
        );
    folder
}

#[test]
fn what_is_forbidden_is_said_with_what_to_do_and_what_does_without() {
    let folder = Folder::new("forbidden");
    folder.write("Procfile", "web: sleep 1000\n");
    for (arguments, without) in [
        (&["up"][..], "leno up --explicit"),
        (&["run", "--", "true"], "leno run --explicit .."),
    ] {
        let mut command = folder.blocked([]);
        let said = told(&command.args(arguments).output().unwrap());
        let expect = format!(
            "✗ H001 namespaces-forbidden
    the kernel setting user.max_user_namespaces = 0 allows no more namespaces

    sudo sysctl -w user.max_user_namespaces=10000

    Or without capture  {without}
exit 1
"
        );
        assert_eq!(said, expect);
    }
}

#[test]
fn workloads_that_go_by_what_they_are_told_call_through_the_mesh() {
    let [cart] = free_ports();
    let script = format!(
        "until curl -sf http://cart:{cart}/items > name; do sleep 0.05; done
        curl -s $CART_URL/items > url
        curl -s http://localhost:{cart}/items > local
        curl -s --noproxy '*' http://127.0.0.1:{cart}/items > around"
    );
    let folder = shop("explicit", cart, &script);
    let up = folder.up_by(folder.blocked(["up", "--explicit"]));
    until(|| folder.path().join("done").exists());
    let shown = up.shown();
    for part in [
        "capture: none (--explicit)",
        "web → cart  GET /items",
        "encrypted, caller proven: web",
        "export CART_URL=http://127.0.0.1:",
        "  Explicit  only calls by the variables above go through the mesh",
        "Whoever is on this machine reaches each application's own port in plain",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for file in ["name", "url", "local", "around"] {
        let items = fs::read_to_string(folder.path().join(file)).unwrap();
        assert_eq!(items, "yarn\n", "{file}");
    }
    // What went around it was seen by nobody.
    let mut calls = String::new();
    until(|| {
        calls = folder.told(["stat", "--edges", "-o", "json", "--since", "1h"]);
        calls.contains("default/cart")
    });
    assert!(!calls.contains("\"from\": \"unknown\""), "{calls}");

    // Who stands on the lines of a workload is that workload.
    let mut lines = up.shown().lines();
    lines.find(|line| line.starts_with("  web ")).unwrap();
    let script = format!(
        "{}; {}; curl -s $CART_URL/items; curl -s http://cart:{cart}/items",
        lines.next().unwrap(),
        lines.next().unwrap()
    );
    let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(told(&shell), "yarn\nyarn\n");
    let curl = told(
        &folder
            .blocked(["curl", "web", &format!("http://cart:{cart}/items")])
            .output()
            .unwrap(),
    );
    assert_eq!(curl, "yarn\n");
}

#[test]
fn a_program_joins_with_a_port_of_its_own_choice() {
    let [cart, pinned] = free_ports();
    let folder = shop("pinned", cart, "");
    let up = folder.up_by(folder.blocked(["up", "--explicit"]));
    let script =
        format!("until curl -sf http://127.0.0.1:{pinned}/items; do sleep 0.05; done; exit 7");
    let upstream = format!("cart={pinned}");
    let mut run = folder.blocked(["run", "--explicit", "--upstream", &upstream]);
    let output = run
        .args(["--name", "till", "--", "sh", "-c", &script])
        .output();
    let said = told(&output.unwrap());
    assert!(
        said.starts_with("yarn\nexport http_proxy=http://127.0.0.1:"),
        "{said}"
    );
    assert!(
        said.contains(&format!("\nexport CART_URL=http://127.0.0.1:{pinned}\n")),
        "{said}"
    );
    assert!(said.ends_with("\nexit 7\n"), "{said}");
    drop(up);

    let unclear = folder.write("Procfile", "a: true\nb: true\ncart: true\n");
    let said = unclear.told(["up", "--explicit", "--upstream", &upstream]);
    assert!(
        said.contains(&format!("--upstream web:{upstream}")),
        "{said}"
    );
}

#[test]
fn a_workload_is_called_by_the_port_that_it_declares_wherever_it_listens() {
    let folder = Folder::new("declared");
    let [port] = free_ports();
    let serve = "exec python3 -m http.server $PORT";
    folder.write("items", "yarn\n").write(
        "leno.yaml",
        &format!(
            "apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: one}}
spec: {{run: {{command: '{serve}'}}, ports: [{{port: {port}, protocol: HTTP}}]}}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: two}}
spec: {{run: {{command: '{serve}'}}, ports: [{{port: {port}, protocol: HTTP}}]}}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: two}}
spec: {{targetRefs: [{{kind: Service, name: two}}], rules: [{{callers: [{{identity: default/none}}]}}]}}
"
        ),
    );
    let _up = folder.up_by(folder.blocked(["up", "--explicit"]));
    let curl = |url: &str| told(&folder.blocked(["curl", "two", url]).output().unwrap());
    until(|| curl(&format!("http://one:{port}/items")) == "yarn\n");
    // Both are on this machine, and each is only itself.
    let refused = told(
        &folder
            .blocked(["curl", "one", &format!("http://two:{port}/items")])
            .output()
            .unwrap(),
    );
    assert!(
        refused.contains("one may not GET /items on default/two"),
        "{refused}"
    );
}

#[test]
fn a_mesh_without_capture_that_is_killed_leaves_nothing() {
    let [cart] = free_ports();
    let folder = shop("orphans", cart, "setsid sleep 1000 &");
    let up = folder.up_by(folder.blocked(["up", "--explicit"]));
    until(|| folder.path().join("done").exists());
    let family = descendants(up.pid());
    assert!(family.len() >= 7, "{family:?}");
    up.end_by("-KILL");
    until(|| family.iter().all(|pid| !is_alive(*pid)));
    let again = folder.up_by(folder.blocked(["up", "--explicit"]));
    assert!(again.end_by("-TERM").success());
}

#[test]
fn the_demo_goes_on_without_capture_and_says_so() {
    let folder = Folder::new("anywhere");
    let mut demo = folder.blocked(["demo", "--for", "8s"]);
    let output = demo.stderr(Stdio::inherit()).output().unwrap();
    let said = told(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("✗ H001 namespaces-forbidden\n"), "{said}");
    for part in [
        "In force  the demo goes on without capture",
        "capture: none (--explicit)",
        "R003 no-allow-rule",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
