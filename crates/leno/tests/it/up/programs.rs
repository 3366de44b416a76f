//! Programs as they are: of `leno run`, and of Debian.

use std::path::Path;
use std::process::Command;

use super::world::{Folder, free_ports, host, told};
use crate::said::{ended, until};

#[test]
fn a_program_of_its_own_mesh_ends_as_it_wants() {
    let folder = Folder::new("alone");
    let shell = |script: &str| folder.told(["run", "--name", "me", "--", "sh", "-c", script]);
    assert_eq!(
        shell("echo out; echo err >&2; exit 7"),
        "out\nerr\nexit 7\n"
    );
    assert_eq!(shell("kill -9 $$"), "exit 137\n");
    assert_eq!(shell("cd / && pwd"), "/\n");
    let nothing = folder.told(["run", "--", "no-such-program"]);
    assert_eq!(
        nothing,
        "error: no-such-program: No such file or directory (os error 2)\nexit 127\n"
    );
}

/// Servers of which one says in HTTP/2 that it is there, one waits for the first words of a client, and
/// one speaks something else. They end whoever begins otherwise.
const SERVERS: &str = r#"
import socket, sys

kind, port = sys.argv[1], int(sys.argv[2])
settings = b"\0\0\0\x04\0\0\0\0\0"
listener = socket.create_server(("", port))
while True:
    peer, _ = listener.accept()
    if kind == "first":
        peer.sendall(settings)
    said = peer.recv(100)
    if kind == "waits" and said.startswith(b"PRI * HTTP/2.0"):
        peer.sendall(settings)
    if kind == "other":
        peer.sendall(b"what? what?")
    peer.close()
"#;

#[test]
fn a_server_of_http2_is_known_whether_it_speaks_first_or_waits() {
    let folder = Folder::new("greeted");
    let [first, waits, other] = free_ports();
    folder.write("server.py", SERVERS).write(
        "Procfile",
        &format!(
            "first: exec python3 server.py first {first}\n\
             waits: exec python3 server.py waits {waits}\n\
             other: exec python3 server.py other {other}\n"
        ),
    );
    let up = folder.up();
    let shown = up.shown();
    for (port, is_http) in [(first, true), (waits, true), (other, false)] {
        let is_shown = shown.contains(&format!("http://localhost:{port}"));
        assert_eq!(is_shown, is_http, "{port} {shown}");
    }
}

#[test]
fn a_program_that_joins_calls_and_is_called() {
    let folder = Folder::new("joined");
    folder
        .write("items", "three\n")
        .write("Procfile", "cart: exec python3 -m http.server 18083\n");
    let _up = folder.up();
    let called = folder.told([
        "run",
        "--name",
        "web",
        "--",
        "curl",
        "-s",
        "http://cart:18083/items",
    ]);
    assert_eq!(called, "three\n");

    let mut guest = folder
        .leno([
            "run",
            "--name",
            "extra",
            "-p",
            "13456:18084",
            "--",
            "python3",
            "-m",
            "http.server",
            "18084",
        ])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until(|| folder.is_up("extra"));
    assert_eq!(
        folder.told(["curl", "cart", "http://extra:18084/items"]),
        "three\n"
    );
    let published = host(["curl", "-s", "http://localhost:13456/items"]);
    assert_eq!(told(&published), "three\n");
    // A signal that reaches only us is passed on.
    let pid = guest.id().to_string();
    host(["kill", "-TERM", &pid]);
    assert_eq!(ended(&mut guest).code(), Some(128 + 15));
    until(|| !folder.told(["ps"]).contains("extra"));
}

#[test]
fn programs_of_debian_work_unchanged() {
    let folder = Folder::new("real");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/real");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(examples.join("."))
        .arg(folder.path())
        .status();
    assert!(copied.unwrap().success());
    let up = folder.up();
    for name in ["web", "files", "cache", "copy"] {
        let row = up
            .shown()
            .lines()
            .find(|line| line.starts_with(&format!("  {name} ")));
        assert!(row.unwrap().contains(" up "), "{}", up.shown());
    }
    // nginx asks python3's server, as its policy says; nobody else may.
    let page = folder.told(["curl", "cache", "http://web:8080/"]);
    assert!(page.contains("Between them it was encrypted."), "{page}");
    let refused = folder.told(["curl", "cache", "http://files:8000/", "-i"]);
    assert!(refused.starts_with("HTTP/1.1 403 Forbidden\n"), "{refused}");
    assert!(
        refused.contains("leno-error: R003 no-allow-rule; by=proxy-of-files"),
        "{refused}"
    );
    let refused = folder.told(["curl", "web", "http://files:8000/", "-X", "POST"]);
    assert!(
        refused.contains("default/web may not POST / on default/files"),
        "{refused}"
    );
    // One redis copies the other, and answers a client.
    let ask = |to: &str, words: &str| {
        let script = format!("redis-cli -h {to} {words}");
        folder.told(["run", "--name", "client", "--", "sh", "-c", &script])
    };
    assert_eq!(ask("cache -p 6379", "set answer 42"), "OK\n");
    until(|| ask("copy -p 6380", "get answer") == "42\n");
}
