//! What a person sees and can do.

use super::world::{Folder, normalised, until};

/// A server that calls `localhost:18081` once before it listens.
const WEB: &str = r#"
import http.server, time, urllib.request

def ask():
    try:
        return urllib.request.urlopen("http://localhost:18081/items").read()
    except OSError:
        return None

import os
while not os.path.exists("go"):
    time.sleep(0.02)
print(ask(), flush=True)
http.server.ThreadingHTTPServer(("", 13000), http.server.SimpleHTTPRequestHandler).serve_forever()
"#;

fn shop() -> Folder {
    let folder = Folder::new("shop");
    let cart = "cd public && exec python3 -m http.server 18081 --bind 127.0.0.1";
    folder.write("web.py", WEB).write(
        "Procfile",
        &format!("web: exec python3 web.py\ncart: {cart}\nmail: mailer\n"),
    );
    std::fs::create_dir(folder.path().join("public")).unwrap();
    folder.write("public/items", "two\n");
    folder
}

#[test]
fn up_shows_what_runs_and_the_first_call() {
    let folder = shop();
    let up = std::thread::scope(|scope| {
        scope.spawn(|| {
            until(|| folder.is_up("cart"));
            folder.write("go", "");
        });
        folder.up()
    });
    assert_eq!(
        normalised(up.shown()),
        "\
shop (./Procfile) · no root needed · capture: network namespaces

  mesh   ready   0.0 s   trust domain shop.local · mTLS strict between services
  web    up      0.0 s   exec python3 web.py                         http://localhost:13000
  cart   up      0.0 s   cd public && exec python3 -m http.server…   http://localhost:18081
  mail   FAILED  0.0 s   exit 127                                    \"mailer: not found\" (Procfile:3)   leno logs mail

  first call  00:00:00  web → cart  GET /items  200  0 ms  encrypted, caller proven: web
              (web asked for localhost:18081; that is cart)

  Try    leno ps · leno logs -f · leno curl SERVICE http://OTHER/
  Stop   Ctrl-C        keep running: leno up -d"
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
         (leno.yaml:1)   leno logs lost"
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
