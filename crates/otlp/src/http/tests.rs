use tokio::io::{AsyncWriteExt as _, duplex};

use super::*;
use crate::played::{batch, take_all};

/// What is made of a server that answers by these bytes.
async fn check(answer: &str, expect: &str) {
    let (ours, theirs) = duplex(4096);
    let (read, mut write) = tokio::io::split(theirs);
    let bytes = answer.as_bytes().to_vec();
    let serving = tokio::spawn(async move {
        drop(write.write_all(&bytes).await);
        drop(write.shutdown().await);
    });
    let reading = take_all(read);
    let collector = Url::parse("http://otel:4318").unwrap();
    let open = Open::over(Box::new(ours));
    let none = HeaderMap::new();
    let (_, verdict) = send(open, &collector, &none, Signal::Logs, &batch()).await;
    serving.abort();
    reading.abort();
    let told = match &verdict {
        Verdict::Taken { .. } => "taken".to_owned(),
        Verdict::Later { code, why, .. } => format!("{code} later: {why}"),
        Verdict::Never { code, why } => format!("{code} never: {why}"),
    };
    assert_eq!(told, expect, "{answer:?}");
}

#[tokio::test]
async fn an_answer_is_a_verdict() {
    let begin = "HTTP/1.1 200 OK\r\n";
    check(&format!("{begin}content-length: 0\r\n\r\n"), "taken").await;
    let closed = "X001 later: the other end closed the connection without a word";
    check("", closed).await;
    let page =
        format!("{begin}content-type: text/html; charset=utf-8\r\ncontent-length: 4\r\n\r\n<hi>");
    let expect = "X002 never: it answered 200 as text/html; charset=utf-8, as no collector does";
    check(&page, expect).await;
    let busy = "HTTP/1.1 503 no\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
    check(busy, "X002 later: it answered 503").await;
    let endless = format!(
        "{begin}content-length: 100000000\r\n\r\n{}",
        "0".repeat(100_000)
    );
    check(&endless, "taken").await;
}
