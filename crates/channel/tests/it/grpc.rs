//! Calls over authenticated streams, and who may make them.

use std::time::Duration;

use leno_channel::grpc::{Call, LARGEST_MESSAGE, Line, Proven, Status, StatusCode, join, serve};
use leno_channel::{Alpn, Keyring};
use leno_identity::Credential;
use tokio::io::{DuplexStream, duplex};
use tokio::time::Instant;

use crate::mesh::{HOUR, Mesh, told};

/// Answers each message with the same message, and the path `/fail` with a failure.
async fn echo(mut call: Call) {
    if call.path == "/fail" {
        let failure = Status::new(StatusCode::PermissionDenied, "nicht für 100 %");
        call.answer.finish(Err(failure)).unwrap();
        return;
    }
    let end = loop {
        match call.messages.next().await {
            Ok(Some(message)) => call.answer.send(&message).await.unwrap(),
            Ok(None) => break Ok(()),
            Err(status) => break Err(status),
        }
    };
    drop(call.answer.finish(end));
}

/// A client's line to a server that echoes.
async fn line(largest: usize) -> Line {
    let (near, far) = duplex(64 * 1024);
    tokio::spawn(serve(far, largest, echo));
    let (line, run) = Line::open(near).await.unwrap();
    tokio::spawn(run);
    line
}

#[tokio::test]
async fn a_question_gets_its_answer_whatever_its_size() {
    let line = line(LARGEST_MESSAGE).await;
    for size in [0, 1, 5, 16_384, 100_000, 3_000_000] {
        let question = vec![7; size];
        assert_eq!(
            line.ask("/echo", &question).await.unwrap(),
            question,
            "{size}"
        );
    }
}

#[tokio::test]
async fn both_ends_speak_in_one_call_in_any_order() {
    let line = line(LARGEST_MESSAGE).await;
    let (mut sender, mut incoming) = line.call("/echo").await.unwrap();
    for number in 0..1000u32 {
        sender.send(&number.to_be_bytes()).await.unwrap();
        if number % 3 == 0 {
            sender.send(b"").await.unwrap();
        }
        let answer = incoming.next().await.unwrap().unwrap();
        assert_eq!(*answer, number.to_be_bytes());
        if number % 3 == 0 {
            assert_eq!(*incoming.next().await.unwrap().unwrap(), *b"");
        }
    }
    sender.close().unwrap();
    assert_eq!(incoming.next().await, Ok(None));
}

#[tokio::test]
async fn a_failure_comes_with_its_kind_and_words() {
    let line = line(LARGEST_MESSAGE).await;
    let failure = line.ask("/fail", b"").await.unwrap_err();
    assert_eq!(failure.code, StatusCode::PermissionDenied);
    assert_eq!(failure.message, "nicht für 100 %");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_line_goes_on() {
    let line = line(1000).await;
    let failure = line.ask("/echo", &[7; 1001]).await.unwrap_err();
    assert_eq!(failure.code, StatusCode::ResourceExhausted);
    assert_eq!(
        failure.message,
        "a message has 1001 bytes, and 1000 are read"
    );
    assert_eq!(line.ask("/echo", &[7; 1000]).await.unwrap(), [7; 1000][..]);
}

#[tokio::test]
async fn a_server_that_is_gone_is_noticed() {
    let (near, far) = duplex(64 * 1024);
    let server = tokio::spawn(serve(far, LARGEST_MESSAGE, echo));
    let (line, run) = Line::open(near).await.unwrap();
    let run = tokio::spawn(run);
    line.ask("/echo", b"x").await.unwrap();
    server.abort();
    assert_eq!(run.await.unwrap().code, StatusCode::Unavailable);
    let failure = line.ask("/echo", b"x").await.unwrap_err();
    assert_eq!(failure.code, StatusCode::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_given_up_within_ten_seconds() {
    let (near, far) = duplex(64 * 1024);
    let (_line, run) = Line::open(near).await.unwrap();
    let began = Instant::now();
    let ended = run.await;
    assert_eq!(ended.message, "no sign of life");
    assert!(began.elapsed() < Duration::from_secs(10));
    drop(far);
}

/// A control plane that shows its whole chain, the root included.
fn control(mesh: &Mesh) -> Keyring {
    let control = mesh.process(&[]);
    let credential = mesh.credential("control", HOUR);
    let mut chain = credential.chain().to_vec();
    chain.push(mesh.root().to_vec());
    let whole = Credential::new(chain, credential.key().clone()).unwrap();
    control.install(&whole).unwrap();
    control
}

fn fingerprint(der: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().try_into().unwrap()
}

fn pipe() -> (DuplexStream, DuplexStream) {
    duplex(64 * 1024)
}

#[tokio::test]
async fn who_has_no_certificate_enters_as_nobody_once_the_root_is_the_pinned_one() {
    let mesh = Mesh::new("shop.local");
    let (control, id) = (control(&mesh), mesh.id("control"));
    let pin = fingerprint(mesh.root());
    let (near, far) = pipe();
    let (joining, entered) = tokio::join!(
        join(near, mesh.clock(), Proven::ByFingerprint(&pin), &id),
        control.enter(far, &id)
    );
    assert_eq!(joining.unwrap().peer.id(), &id);
    assert!(entered.unwrap().caller.is_none());

    let (near, far) = pipe();
    let other = fingerprint(Mesh::new("shop.local").root());
    let (joining, _entered) = tokio::join!(
        join(near, mesh.clock(), Proven::ByFingerprint(&other), &id),
        control.enter(far, &id)
    );
    assert_eq!(
        told(joining),
        "T004 (caller) handshake of somebody unknown with \
         spiffe://shop.local/ns/default/sa/control: the certificate of \
         spiffe://shop.local/ns/default/sa/control was expected to lead to a root of shop.local, \
         and does not"
    );

    let (near, far) = pipe();
    let impostor = mesh.id("web");
    let (joining, _entered) = tokio::join!(
        join(near, mesh.clock(), Proven::ByFingerprint(&pin), &impostor),
        control.enter(far, &id)
    );
    assert!(told(joining).starts_with("T006 "));
}

#[tokio::test]
async fn who_has_a_certificate_enters_as_who_it_is_or_not_at_all() {
    let mesh = Mesh::new("shop.local");
    let (control, id) = (control(&mesh), mesh.id("control"));
    let expected = [id.clone()];
    let web = mesh.process(&["web"]);
    let own = mesh.id("web");
    let (near, far) = pipe();
    let (connected, entered) = tokio::join!(
        web.connect(near, &own, &expected, &[Alpn::Hbone]),
        control.enter(far, &id)
    );
    drop(connected.unwrap());
    let (caller, proof) = entered.unwrap().caller.unwrap();
    assert_eq!(caller.id(), &own);

    control.judge_by(mesh.trust(&["web"]));
    assert!(control.judge(&proof).is_err());
    let (near, far) = pipe();
    let (_connected, entered) = tokio::join!(
        web.connect(near, &own, &expected, &[Alpn::Hbone]),
        control.enter(far, &id)
    );
    assert!(told(entered).starts_with("T005 "));
}
