use crate::world::World;

const OURS: &str = "origin: http://localhost:PORT\r\nsec-fetch-site: same-origin\r\n";

#[tokio::test]
async fn a_visitor_is_answered_as_the_socket_answers() {
    let world = World::new(false);
    let (at, cookie) = world.visit().await;
    let told = world
        .ask(&at, r#"{"ask":"status"}"#, &format!("{OURS}{cookie}"))
        .await;
    assert_eq!(told.status(), "200");
    assert_eq!(told.header("content-type"), Some("application/json"));
    assert_eq!(told.header("cache-control"), Some("no-store"));
    assert_eq!(
        told.body(),
        r#"{"answer":{"context":"made-up\\u{202e}\\u{1b}[2J","now":"2026-03-01T12:04:31.250Z","revision":1,"proxies":0,"objects":0,"problems":0}}"#
    );
    let failed = world
        .ask(&at, r#"{"ask":"trust"}"#, &format!("{OURS}{cookie}"))
        .await;
    assert_eq!(failed.status(), "200");
    assert!(
        failed.body().starts_with(r#"{"failure":{"code":"D001","#),
        "{failed:?}"
    );
    let unknown = world.ask(&at, "?", &format!("{OURS}{cookie}")).await;
    assert!(
        unknown.body().contains("the question is not understood"),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn nobody_else_gets_to_the_mesh() {
    let world = World::new(false);
    let (at, cookie) = world.visit().await;
    let (_, other) = World::new(false).visit().await;
    let rollback = r#"{"ask":"rollback","to":1,"if_revision":2}"#;
    let cases = [
        (
            "a stolen address without a visit",
            format!("{at}|{OURS}"),
            "401",
        ),
        (
            "a visit to another page",
            format!("{at}|{OURS}{other}"),
            "401",
        ),
        (
            "a folder that is guessed",
            format!("/{}/|{OURS}{cookie}", "0".repeat(32)),
            "405",
        ),
        (
            "a form on another page",
            format!("{at}|origin: http://evil.example\r\nsec-fetch-site: cross-site\r\n{cookie}"),
            "403",
        ),
        (
            "a program on another port",
            format!("{at}|origin: http://localhost:3000\r\nsec-fetch-site: same-site\r\n{cookie}"),
            "403",
        ),
        (
            "nobody's page",
            format!("{at}|origin: null\r\n{cookie}"),
            "403",
        ),
        (
            "who does not say whose page it is",
            format!("{at}|{cookie}"),
            "403",
        ),
    ];
    for (who, how, status) in cases {
        let (at, headers) = how.split_once('|').unwrap();
        let told = world.ask(at, rollback, headers).await;
        assert_eq!(told.status(), status, "{who}");
        assert!(world.asked.lock().unwrap().is_empty(), "{who}");
    }
    let rebound = format!(
        "POST {at}ask HTTP/1.1\r\nhost: rebound.example:PORT\r\nconnection: close\r\n\
         origin: http://rebound.example:PORT\r\ncontent-type: application/json\r\n{cookie}\
         content-length: {}\r\n\r\n{rollback}",
        rollback.len()
    );
    assert_eq!(world.say(&rebound).await.status(), "421");
    assert!(world.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_may_not_ask_is_told_so_in_what_the_page_reads() {
    let world = World::new(false);
    let (at, cookie) = world.visit().await;
    let ended = world.ask(&at, r#"{"ask":"status"}"#, OURS).await;
    assert_eq!(ended.header("content-type"), Some("application/json"));
    assert!(ended.body().contains("This visit has ended"), "{ended:?}");
    assert!(ended.body().contains("leno dashboard"), "{ended:?}");
    let read = world.get(&format!("{at}ask"), &cookie).await;
    assert_eq!((read.status(), read.header("allow")), ("405", Some("POST")));
}

#[tokio::test]
async fn one_connection_asks_again_and_again() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::new(false);
    let (at, cookie) = world.visit().await;
    let question = r#"{"ask":"status"}"#;
    let ask = |end: &str| {
        let head = format!(
            "POST {at}ask HTTP/1.1\r\nhost: localhost:PORT\r\n{OURS}{cookie}\
             content-type: application/json\r\ncontent-length: {}\r\n{end}\r\n{question}",
            question.len()
        );
        head.replace("PORT", &world.port.to_string())
    };
    let mut stream = world.connect().await;
    let all = ask("") + &ask("") + &ask("connection: close\r\n");
    for piece in all.as_bytes().chunks(7) {
        stream.write_all(piece).await.unwrap();
    }
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert_eq!(told.matches("HTTP/1.1 200 OK").count(), 3, "{told}");
    assert_eq!(world.asked.lock().unwrap().len(), 3);
}
