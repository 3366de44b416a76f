use leno_model::Code;
use tokio::io::{AsyncWriteExt as _, duplex};

use super::*;
use crate::dial::Endpoint;
use crate::played::{batch, take_all};

/// Sends a batch to a server that answers by these bytes and, if it `stays`, does not close: what is
/// made of it, whether the connection is used again, and how many bytes were taken from it.
async fn sent(answer: Vec<u8>, stays: bool) -> (Verdict, bool, usize) {
    let (ours, theirs) = duplex(4096);
    let (read, mut write) = tokio::io::split(theirs);
    let serving = tokio::spawn(async move {
        let mut taken = 0;
        for piece in answer.chunks(1024) {
            if write.write_all(piece).await.is_err() {
                return taken;
            }
            taken += piece.len();
        }
        match stays {
            true => std::future::pending().await,
            false => drop(write.shutdown().await),
        }
        taken
    });
    let reading = take_all(read);
    let endpoint = Endpoint::read("http://otel:4318").unwrap();
    let open = open(Box::new(ours));
    let (open, verdict) = open
        .send(&endpoint, &HeaderMap::new(), Signal::Logs, &batch())
        .await;
    let again = open.is_some();
    drop(open);
    serving.abort();
    reading.abort();
    let taken = serving.await.unwrap_or_default();
    (verdict, again, taken)
}

async fn check(answer: &str, expect: &str) {
    let (verdict, again, _) = sent(answer.into(), false).await;
    let told = match &verdict {
        Verdict::Taken { .. } => "taken".to_owned(),
        Verdict::Later { code, why, .. } => format!("{code} later: {why}"),
        Verdict::Never { code, why } => format!("{code} never: {why}"),
    };
    let told = match again {
        true => format!("{told}, and again"),
        false => told,
    };
    assert_eq!(told, expect, "{answer:?}");
}

#[tokio::test]
async fn what_a_server_answers_is_read_with_care() {
    let begin = "HTTP/1.1 200 OK\r\n";
    let whole = format!("{begin}content-length: 0\r\n\r\n");
    check(&whole, "taken, and again").await;
    check(
        "",
        "X001 later: the other end closed the connection without a word",
    )
    .await;
    check(
        begin,
        "X001 later: the other end closed the connection without a word",
    )
    .await;
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(500);
    check(&format!("{interim}{whole}"), "taken, and again").await;
    let page =
        format!("{begin}content-type: text/html; charset=utf-8\r\ncontent-length: 4\r\n\r\n<hi>");
    let expect =
        "X002 never: it answered 200 as text/html; charset=utf-8, as no collector does, and again";
    check(&page, expect).await;
    check(
        "HTTP/1.1 503 no\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n",
        "X002 later: it answered 503, and again",
    )
    .await;
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    let endless = format!(
        "HTTP/1.1 200 OK\r\n{}",
        "x-more: of this\r\n".repeat(100_000)
    );
    let size = endless.len();
    let (verdict, again, taken) = sent(endless.into(), true).await;
    assert!(
        matches!(
            verdict,
            Verdict::Later {
                code: Code::X001,
                ..
            }
        ),
        "{verdict:?}"
    );
    assert!(!again && taken < size / 10, "{taken} of {size}");
}

#[tokio::test]
async fn of_a_body_without_end_only_the_begin_is_read() {
    for framing in ["content-length: 100000000000", "connection: close"] {
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        let endless = [head.as_bytes(), &vec![0; 4 << 20]].concat();
        let (verdict, again, taken) = sent(endless, true).await;
        assert!(matches!(verdict, Verdict::Taken { .. }), "{verdict:?}");
        assert!(!again && taken <= 2 * LARGEST_BODY, "{framing}: {taken}");
    }
}
