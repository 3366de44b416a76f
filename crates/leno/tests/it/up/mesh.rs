//! What a person sees and can do.

use super::world::{Folder, free_ports, normalised};
use crate::said::until;

/// A server on the port `$1` that calls its neighbour on the port `$2` once before it listens.
const WEB: &str = r#"
import http.server, sys, time, urllib.request

own, neighbour = map(int, sys.argv[1:])

def ask():
    try:
        return urllib.request.urlopen(f"http://localhost:{neighbour}/items").read()
    except OSError:
        return None

import os
while not os.path.exists("go"):
    time.sleep(0.02)
print(ask(), flush=True)
http.server.ThreadingHTTPServer(("", own), http.server.SimpleHTTPRequestHandler).serve_forever()
"#;

/// A shop whose web and cart listen on these ports.
fn shop([web, cart]: [u16; 2]) -> Folder {
    let folder = Folder::new("shop");
    folder.write("web.py", WEB).write(
        "Procfile",
        &format!(
            "web: exec python3 web.py {web} {cart}\n\
             cart: cd public && exec python3 -m http.server {cart} --bind 127.0.0.1\n\
             mail: mailer\n"
        ),
    );
    std::fs::create_dir(folder.path().join("public")).unwrap();
    folder.write("public/items", "two\n");
    folder
}

#[test]
fn up_shows_what_runs_and_the_first_call() {
    let [web, cart] = free_ports();
    let folder = shop([web, cart]);
    let up = std::thread::scope(|scope| {
        scope.spawn(|| {
            until(|| folder.is_up("cart"));
            folder.write("go", "");
        });
        folder.up()
    });
    assert_eq!(
        normalised(up.shown()),
        format!(
            "\
shop (./Procfile) · revision 1 · no root needed · capture: network namespaces

  mesh   ready   0.0 s   trust domain shop.local · mTLS strict between services
  web    up      0.0 s   exec python3 web.py {web} {cart}             http://localhost:{web}
  cart   up      0.0 s   cd public && exec python3 -m http.server…   http://localhost:{cart}
  mail   FAILED  0.0 s   exit 127                                    \"mailer: not found\" (Procfile:3)   U001 command-not-found   leno logs mail

  first call  00:00:00  web → cart  GET /items  200  0 ms  encrypted, caller proven: web
              (web asked for localhost:{cart}; that is cart)

  Page   http://localhost:7070/?t=k3v9
  Try    leno tap · leno why web http://cart:{cart}/ · leno history
  Stop   Ctrl-C        keep running: leno up -d"
        )
    );
    assert_eq!(
        folder.told(["logs", "web"]).lines().next(),
        Some(r"b'two\n'")
    );
    assert!(up.end_by("-INT").success());
    assert!(folder.told(["ps"]).starts_with("error: nothing is up in "));
}

#[test]
fn a_mesh_without_a_terminal_is_asked_and_ended() {
    let folder = Folder::new("detached");
    folder.write("items", "one\n").write(
        "Procfile",
        "cart: exec python3 -m http.server 18082\nweb: exec sleep 1000\n",
    );
    let shown = folder.told(["up", "-d"]);
    assert!(shown.ends_with("  Stop   leno down\n"), "{shown}");
    assert!(folder.told(["up"]).contains("is up already"));

    assert_eq!(
        folder.told(["curl", "web", "http://cart:18082/items"]),
        "one\n"
    );
    let missing = folder.told(["curl", "web", "cart:18082/nothing", "-i"]);
    assert!(missing.starts_with("HTTP/1.1 404 "), "{missing}");
    assert!(missing.ends_with("exit 1\n"), "{missing}");
    let nobody = folder.told(["curl", "nobody", "http://cart/"]);
    assert_eq!(nobody, "error: there is no workload nobody\nexit 3\n");

    let pid = || {
        let files = std::fs::read_dir("/proc").unwrap();
        let mut pids = files.filter_map(|file| file.unwrap().file_name().into_string().ok());
        pids.find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let folder_of = std::fs::read_link(format!("/proc/{pid}/cwd"));
            String::from_utf8_lossy(&line).contains("http.server")
                && folder_of.is_ok_and(|cwd| cwd == folder.path())
        })
    };
    let before = pid().unwrap();
    assert!(
        folder
            .told(["restart", "cart"])
            .starts_with("started again cart")
    );
    until(|| folder.is_up("cart"));
    assert_ne!(pid().unwrap(), before);
    assert_eq!(
        folder.told(["curl", "web", "http://cart:18082/items"]),
        "one\n"
    );

    assert!(folder.told(["down", "--wipe"]).starts_with("ended "));
    assert_eq!(pid(), None);
    assert!(!folder.path().join(".leno").exists());
}

#[test]
fn the_last_call_before_the_end_is_kept() {
    let folder = Folder::new("last");
    folder.write("items", "one\n").write(
        "Procfile",
        "cart: exec python3 -m http.server 18083\nweb: exec sleep 1000\n",
    );
    folder.told(["up", "-d"]);
    let told = folder.told(["curl", "web", "http://cart:18083/items"]);
    assert_eq!(told, "one\n");
    assert!(folder.told(["down"]).starts_with("ended "));
    folder.told(["up", "-d"]);
    let told = folder.told(["stat", "--requests", "--since", "1h", "-o", "json"]);
    assert!(told.contains("\"request\": \"GET /items\""), "{told}");
    assert!(told.contains("\"calls\": 1,"), "{told}");
    assert!(folder.told(["down", "--wipe"]).starts_with("ended "));
}

#[test]
fn a_procfile_becomes_a_file_of_objects() {
    let folder = Folder::new("written");
    folder.write("Procfile", "web: exec python3 -m http.server $PORT\n");
    assert!(
        folder
            .told(["init"])
            .starts_with("wrote leno.yaml  1 workload")
    );
    assert!(
        folder
            .told(["init"])
            .contains("there is a leno.yaml already")
    );
    let checked = folder.told(["check", "-f", "leno.yaml"]);
    assert!(checked.contains("no problem"), "{checked}");
    let up = folder.up();
    assert!(
        up.shown().starts_with("written (./leno.yaml)"),
        "{}",
        up.shown()
    );
    let counted = folder.told(["stat"]);
    assert!(
        counted
            .ends_with("no call in 10 s\nNext  leno curl WORKLOAD URL · leno stat --since 24h\n"),
        "{counted}"
    );
    assert!(
        folder
            .told(["curl", "web", "web:5000"])
            .contains("leno.yaml")
    );
}

#[test]
fn what_cannot_be_started_is_named_with_its_line() {
    let folder = Folder::new("broken");
    folder.write(
        "leno.yaml",
        "apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata:\n  name: lost\nspec:\n  \
         run:\n    command: [no-such-program]\n",
    );
    let up = folder.up();
    let row = up.shown().lines().find(|line| line.starts_with("  lost"));
    let row = normalised(row.unwrap());
    assert_eq!(
        row,
        "  lost   FAILED  0.0 s   not started       \"No such file or directory (os error 2)\" \
         (leno.yaml:7)   U001 command-not-found   leno logs lost"
    );
    let folder = Folder::new("nothing");
    assert!(
        folder
            .told(["up"])
            .starts_with("error: U003 nothing-to-run")
    );
    folder.write("Procfile", "web\n");
    assert!(
        folder
            .told(["up"])
            .contains("Procfile:1: expected `name: command`")
    );
}

/// One service in two versions, of which the first takes all calls.
const VERSIONS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: cart}
spec:
  selector: {app: cart}
  ports: [{port: 8080, appProtocol: http}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart}
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules:
  - backendRefs:
    - {name: cart-v1, port: 8080, weight: 1}
    - {name: cart-v2, port: 8080, weight: 0}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart-v1, labels: {app: cart}}
spec:
  run: {command: [python3, -m, http.server, '8080'], workingDirectory: one}
  ports: [{port: 8080, protocol: HTTP}]
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart-v2, labels: {app: cart}}
spec:
  run: {command: [python3, -m, http.server, '8080'], workingDirectory: two}
  ports: [{port: 8080, protocol: HTTP}]
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec: {run: {command: sleep 1000}}
";

/// Calls without a rest.
const BUSY: &str = "\"while :; do curl -s -o /dev/null http://cart:8080/items; sleep 0.1; done\"";

fn versions(name: &str) -> Folder {
    let folder = Folder::new(name);
    for version in ["one", "two"] {
        std::fs::create_dir(folder.path().join(version)).unwrap();
        folder.write(&format!("{version}/items"), &format!("{version}\n"));
    }
    folder.write("leno.yaml", VERSIONS);
    folder
}

#[test]
fn a_weight_is_changed_seen_and_taken_back() {
    let folder = versions("canary");
    let mut up = folder.up();
    let ask = || folder.told(["curl", "web", "http://cart:8080/items"]);
    assert_eq!(ask(), "one\n");

    let swapped = VERSIONS
        .replace("weight: 0", "weight: 2")
        .replace("weight: 1}", "weight: 0}");
    folder.write("leno.yaml", &swapped);
    up.read_until("      +     - {name: cart-v2, port: 8080, weight: 2}");
    assert_eq!(ask(), "two\n");

    let taken_back = folder.told(["rollback", "1", "-m", "it was too early"]);
    let holds = "It holds until leno.yaml changes: then what stands there is applied again.";
    assert!(taken_back.contains(holds), "{taken_back}");
    assert_eq!(ask(), "one\n");
    up.read_until("  It holds until leno.yaml changes.");
    let history = folder.told(["history"]);
    for past in [
        ["3 ", "rollback to 1", "it was too early"],
        ["2 ", "apply canary", "leno.yaml has changed"],
        ["1 ", "apply canary", "leno up"],
    ] {
        let is_told = |line: &str| past.iter().all(|part| line.contains(part));
        assert!(history.lines().any(is_told), "{history}");
    }

    // It is taken back also after a new start: nothing else has been written.
    assert!(up.end_by("-TERM").success());
    let again = folder.up();
    assert!(
        again.shown().contains(" · revision 3 · "),
        "{}",
        again.shown()
    );
    assert!(
        again
            .shown()
            .contains("  It holds until leno.yaml changes."),
        "{}",
        again.shown()
    );
    assert_eq!(ask(), "one\n");

    let deleted = folder.told(["delete", "HTTPRoute/cart"]);
    assert!(deleted.contains(holds), "{deleted}");
}

#[test]
fn programs_follow_what_is_written() {
    let folder = versions("followed");
    let mut up = folder.up();
    let pids = || {
        let rows = folder.told(["ps"]);
        let rows = rows.lines().skip(2).map(|row| {
            let words = row.split_whitespace().collect::<Vec<_>>();
            words[..2].join(" ")
        });
        rows.collect::<Vec<_>>()
    };
    assert_eq!(pids(), ["cart-v1 up", "cart-v2 up", "web up"]);

    let (rest, _web) = VERSIONS.rsplit_once("---\n").unwrap();
    let one_more = "---\napiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\n\
        metadata: {name: also}\nspec: {run: {command: sleep 1001}}\n";
    let changed = rest.replace("workingDirectory: two", "workingDirectory: one") + one_more;
    folder.write("leno.yaml", &changed);
    up.read_until("  revision 2  apply followed");
    up.read_until("  web  is gone, and ends");
    up.read_until("  cart-v2  starts again: its folder has changed");
    up.read_until("  also  is new, and starts");
    up.read_until("  also ");
    until(|| pids() == ["cart-v1 up", "cart-v2 up", "also up"]);

    // What cannot be read costs nothing.
    folder.write(
        "leno.yaml",
        &changed.replace("kind: Service", "kind: [Service"),
    );
    up.read_until("    In force  revision 2");
    folder.write("leno.yaml", &changed);
    up.read_until("  revision 2 says what is written");
    std::fs::remove_file(folder.path().join("leno.yaml")).unwrap();
    up.read_until("    In force  revision 2");
    assert_eq!(pids(), ["cart-v1 up", "cart-v2 up", "also up"]);
}

#[test]
fn what_has_opened_no_port_yet_may_be_written_of() {
    let folder = versions("unopened");
    let mut up = folder.up();
    let added = "---\napiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\n\
        metadata: {name: cart-v3}\nspec: {run: {command: exec python3 -m http.server 18090, \
        workingDirectory: two}}\n";
    let routed = VERSIONS.replace(
        "cart-v2, port: 8080, weight: 0",
        "cart-v3, port: 18090, weight: 9",
    );
    folder.write(
        "leno.yaml",
        &(routed.replace("weight: 1}", "weight: 0}") + added),
    );
    up.read_until("  cart-v3  is new, and starts");
    up.read_until("  cart-v3 ");
    let ask = || folder.told(["curl", "web", "http://cart:8080/items"]);
    until(|| ask() == "two\n");
}

#[test]
fn a_call_that_is_really_tried_tells_each_of_its_steps() {
    let folder = versions("probe");
    // A caller that never rests: its other calls tell nothing of the one that is tried.
    let busy = VERSIONS.replace("sleep 1000", BUSY);
    assert_ne!(busy, VERSIONS);
    folder.write("leno.yaml", &busy);
    let _up = folder.up();
    until(|| folder.told(["curl", "web", "http://cart:8080/items"]) == "one\n");
    let told = folder.told(["probe", "web", "http://cart:8080/items"]);
    for part in [
        "✓ DNS ",
        "its proxy has it: call ",
        "✓ route                cart-v1:8080 by ",
        "the proxy of the endpoint",
        "sa/cart-v1 proven",
        "✓ policy ",
        "✓ first byte ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = folder.told(["probe", "web", "http://nobody:8080/", "-o", "json"]);
    assert!(told.contains("\"outcome\": \"not-reached\""), "{told}");
    assert!(told.ends_with("exit 1\n"), "{told}");
}

/// Two namespaces, in both of which something is called `cart`.
const NAMESPACES: &str = "\
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart}
spec: {run: {command: exec python3 -m http.server 18095, workingDirectory: one}}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart, namespace: shop}
spec: {run: {command: exec python3 -m http.server 18095, workingDirectory: two}}
";

#[test]
fn a_workload_runs_in_its_own_namespace() {
    let folder = versions("namespaces");
    folder.write("leno.yaml", NAMESPACES);
    let up = folder.up();
    assert!(up.shown().contains("  shop/cart   up "), "{}", up.shown());
    for (caller, host, items) in [
        ("cart", "cart.shop", "two\n"),
        ("shop/cart", "cart.default", "one\n"),
        ("shop/cart", "cart", "two\n"),
    ] {
        let url = format!("http://{host}:18095/items");
        until(|| folder.told(["curl", caller, &url]) == items);
    }
    assert!(folder.told(["logs", "shop/cart"]).contains("GET /items"));
    let told = folder.told(["restart", "shop/cart"]);
    assert!(told.starts_with("started again shop/cart"), "{told}");
    let checked = folder.told(["check"]);
    assert!(checked.contains("no problem"), "{checked}");
}
