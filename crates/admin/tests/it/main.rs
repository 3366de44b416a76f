//! Both ends of the socket, and how answers look as JSON.
#![cfg(test)]

mod recorded;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use leno_admin::{
    Answer, Client, Failure, Finding, Forgotten, NotAsked, Question, Server, Status, StatusOf,
    read_object,
};
use leno_model::note::Span;
use leno_model::{Code, Note, Origin, Place, Severity};
use serde_json::json;

fn status() -> Status {
    Status {
        context: "shop.local".into(),
        now: "2026-11-20T02:01:00.000Z".into(),
        revision: 7,
        proxies: 2,
        objects: 12,
        problems: 0,
        overrides: 0,
        watches: 0,
        cluster: None,
    }
}

/// A server that knows how it is and nothing else.
struct World {
    folder: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("leno-admin-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let server = Server::listen(&folder.join("socket")).unwrap();
        let answer = |_, question| async move {
            match question {
                Question::Status(_) => Ok(Answer::Status(status())),
                _ => Err(Failure::coded(Code::S004, "it has moved on")),
            }
        };
        let task = tokio::spawn(server.run(answer));
        Self { folder, task }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// What comes back for a line as it is.
    async fn says(&self, line: &'static str) -> String {
        let socket = self.socket();
        let asked = tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(socket).unwrap();
            stream.write_all(line.as_bytes()).unwrap();
            let mut told = String::new();
            stream.read_to_string(&mut told).unwrap();
            told
        });
        asked.await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

#[tokio::test]
async fn a_question_gets_its_answer_or_its_refusal() {
    let world = World::new("asks");
    let client = Client::new(&world.socket());
    assert_eq!(client.ask(StatusOf {}).await.unwrap(), status());
    let refused = client.ask(leno_admin::ListTokens {}).await.unwrap_err();
    let NotAsked::Refused(failure) = refused else {
        panic!("{refused}");
    };
    assert_eq!(failure.code.as_deref(), Some("S004"));
    let nobody = Client::new(&world.folder.join("nobody"));
    assert!(matches!(
        nobody.ask(StatusOf {}).await,
        Err(NotAsked::Away { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stuck_is_not_waited_for_longer_than_the_question_takes() {
    let folder = std::env::temp_dir().join(format!("leno-admin-stuck-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("socket");
    // The kernel takes connections, and nobody ever reads from them.
    let _stuck = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let client = Client::new(&socket);
    let away = client.ask(StatusOf {}).await.unwrap_err().to_string();
    assert!(away.ends_with("has not answered for 5s"), "{away}");
    let away = client.ask(leno_admin::Recover {}).await.unwrap_err();
    let away = away.to_string();
    assert!(away.ends_with("has not answered for 30s"), "{away}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn any_tool_can_ask_by_a_line_of_json() {
    let world = World::new("lines");
    assert_eq!(
        world.says("{\"version\":1,\"ask\":\"status\"}\n").await,
        "{\"answer\":{\"context\":\"shop.local\",\"now\":\"2026-11-20T02:01:00.000Z\",\"revision\":7,\"proxies\":2,\"objects\":12,\"problems\":0}}\n"
    );
    let other = world.says("{\"version\":2,\"ask\":\"status\"}\n").await;
    assert!(other.contains("the question is of version 2, and this process answers 1"));
    for garbage in [
        "\n",
        "[]\n",
        "{\"version\":1}\n",
        "{\"version\":1,\"ask\":\"nope\"}\n",
    ] {
        let told = world.says(garbage).await;
        assert!(told.starts_with("{\"failure\":{"), "{garbage:?}: {told}");
    }
}

/// Somebody has opened the socket's file to all. It takes root to be another user.
#[tokio::test]
async fn another_user_is_refused_and_told_of() {
    let folder = std::env::temp_dir().join(format!("leno-admin-strangers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("socket");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let server = Server::listen(&socket).unwrap();
    let server = server.telling(move |user| hears.lock().unwrap().push(user));
    let answer = |_, _: Question| async { Ok(Answer::Status(status())) };
    let task = tokio::spawn(server.run(answer));
    for path in [&folder, &socket] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut other = std::process::Command::new("setpriv");
    other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    // It is refused before anything is read of it.
    other.args(["curl", "-s", "--http0.9", "--unix-socket"]);
    other.arg(&socket).arg("http://socket/");
    let told = tokio::task::spawn_blocking(move || other.output().unwrap());
    let told = told.await.unwrap();
    task.abort();
    std::fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&told.stderr);
    if said.contains("Operation not permitted") {
        return;
    }
    let told = String::from_utf8_lossy(&told.stdout);
    for part in ["user 65534 may not ask", "\"code\":\"S016\""] {
        assert!(told.contains(part), "{part}: {told}{said}");
    }
    assert_eq!(*heard.lock().unwrap(), [65534]);
}

#[tokio::test]
async fn the_socket_is_its_owners_and_a_stale_one_is_replaced() {
    let world = World::new("socket");
    let mode = std::fs::metadata(world.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        Server::listen(&world.socket()).is_err(),
        "somebody listens on it"
    );

    let stale = world.folder.join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(Server::listen(&stale).is_ok());
    let file = world.folder.join("file");
    std::fs::write(&file, "mine").unwrap();
    assert!(Server::listen(&file).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn answers_look_like_this() {
    let forgotten = Answer::Forgotten(Forgotten {
        status: status(),
        was_there: true,
    });
    assert_eq!(
        serde_json::to_value(forgotten).unwrap(),
        json!({
            "status": {"context": "shop.local", "now": "2026-11-20T02:01:00.000Z", "revision": 7, "proxies": 2, "objects": 12, "problems": 0},
            "was_there": true
        })
    );
}

#[test]
fn a_note_travels_whole() {
    let place = Place {
        file: "routes/cart.yaml".into(),
        line: 18,
        column: 15,
    };
    let note = Note {
        code: Code::C113,
        severity: Severity::Error,
        origin: Some(Origin {
            object: read_object("HTTPRoute shop/cart").unwrap().into(),
            pointer: "/spec/rules/0/backendRefs/1/name".into(),
            place: Some(place.clone()),
        }),
        span: Some(Span {
            start: place,
            width: 7,
        }),
        message: "no Service cart-v3 in shop".into(),
        suggestion: Some("did you mean cart-v2?".into()),
        in_force: "10 % of calls to cart answer 500".into(),
    };
    let finding = Finding::of(&note, Some("  - name: cart-v3".into()));
    assert_eq!(finding.severity(), note.severity);
    assert_eq!(
        serde_json::to_value(finding).unwrap(),
        json!({
            "code": "C113", "slug": "backend-not-found", "severity": "error",
            "fault": "configuration", "object": "HTTPRoute shop/cart",
            "pointer": "/spec/rules/0/backendRefs/1/name", "file": "routes/cart.yaml",
            "line": 18, "column": 15, "width": 7, "text": "  - name: cart-v3",
            "message": "no Service cart-v3 in shop", "suggestion": "did you mean cart-v2?",
            "in_force": "10 % of calls to cart answer 500"
        })
    );
}
