use std::future::pending;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};

use super::*;

/// Asks a server that answers by these bytes and, if it `stays`, does not close: what comes of it,
/// whether the connection is fit for another question, and how many bytes were taken from it.
async fn asked(answer: Vec<u8>, stays: bool) -> (Result<Answer, NotFetched>, bool, usize) {
    let (ours, theirs) = duplex(4096);
    let (mut read, mut write) = split(theirs);
    let serving = tokio::spawn(async move {
        let mut taken = 0;
        for piece in answer.chunks(1024) {
            if write.write_all(piece).await.is_err() {
                return taken;
            }
            taken += piece.len();
        }
        match stays {
            true => pending().await,
            false => drop(write.shutdown().await),
        }
        taken
    });
    let reading = tokio::spawn(async move {
        let mut bytes = vec![0; 4096];
        while read.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    });
    let url = Url::parse("http://keys.example/").unwrap();
    let (open, answer) = Open::over(Box::new(ours))
        .ask(&url, &Ask::get(), MOST)
        .await;
    let again = open.is_some();
    drop(open);
    serving.abort();
    reading.abort();
    (answer, again, serving.await.unwrap_or_default())
}

const MOST: usize = 64 * 1024;

async fn check(answer: &str, expect: &str) {
    let (answered, again, _) = asked(answer.into(), false).await;
    let told = match &answered {
        Ok(answer) => format!(
            "{} {:?}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        ),
        Err(why) => why.to_string(),
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
    let whole = format!("{begin}content-length: 4\r\n\r\nkeys");
    check(&whole, "200 \"keys\", and again").await;
    let closed = "the other end closed the connection without a word";
    check("", closed).await;
    check(begin, closed).await;
    check(&format!("{begin}content-length: 5\r\n\r\nkeys"), closed).await;
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(500);
    check(&format!("{interim}{whole}"), "200 \"keys\", and again").await;
    let chunked = format!("{begin}transfer-encoding: chunked\r\n\r\n");
    let one_by_one = "1\r\na\r\n".repeat(4);
    check(
        &format!("{chunked}{one_by_one}0\r\nx: y\r\n\r\n"),
        "200 \"aaaa\", and again",
    )
    .await;
    check(&format!("{chunked}{one_by_one}"), closed).await;
    check(&format!("{begin}\r\nkeys"), "200 \"keys\"").await;
    check("HTTP/1.0 503 no\r\n\r\n", "503 \"\"").await;
    let garbled = "what it answered cannot be read";
    let (answered, ..) = asked(b"SSH-2.0-x\r\n".to_vec(), false).await;
    assert!(answered.unwrap_err().to_string().starts_with(garbled));
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    let endless = format!(
        "HTTP/1.1 200 OK\r\n{}",
        "x-more: of this\r\n".repeat(100_000)
    );
    let size = endless.len();
    let (answered, again, taken) = asked(endless.into(), true).await;
    assert!(
        matches!(answered, Err(NotFetched::Garbled(_))),
        "{answered:?}"
    );
    assert!(!again && taken < size / 10, "{taken} of {size}");
}

#[tokio::test]
async fn of_a_body_without_end_only_the_begin_is_read() {
    for framing in ["content-length: 100000000000", "connection: close"] {
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        let endless = [head.as_bytes(), &vec![0; 4 << 20]].concat();
        let (answered, again, taken) = asked(endless, true).await;
        let (status, most) = (200, MOST);
        assert_eq!(answered, Err(NotFetched::TooLong { status, most }));
        assert!(!again && taken <= 2 * MOST, "{framing}: {taken}");
    }
}
