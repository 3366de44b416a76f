use leno_model::Code;
use tokio::io::{AsyncWriteExt as _, duplex};

use super::*;
use crate::played::{batch, take_all};

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()];
    [&head.concat(), payload].concat()
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

/// A server that says these frames after its settings, over and over, is away, and it is said why.
async fn check(frames: Vec<u8>) {
    let (ours, theirs) = duplex(16 << 10);
    let (read, mut write) = tokio::io::split(theirs);
    let serving = tokio::spawn(async move {
        let mut said = write.write_all(&frame(SETTINGS, 0, 0, &[])).await;
        while said.is_ok() {
            said = write.write_all(&frames).await;
        }
    });
    let reading = take_all(read);
    let endpoint = Url::parse("http://otel:4317").unwrap();
    let opened = open(&endpoint, HeaderMap::new(), Box::new(ours)).await;
    let why = match opened {
        Err(why) => why.to_string(),
        Ok(open) => match open.send(Signal::Logs, &batch()).await.1 {
            Verdict::Later { code, why, .. } => {
                assert_eq!(code, Code::X001, "{why}");
                why
            }
            verdict => panic!("{verdict:?}"),
        },
    };
    assert!(!why.is_empty());
    serving.abort();
    reading.abort();
}

#[tokio::test]
async fn a_server_that_always_goes_away_is_away() {
    check(frame(GOAWAY, 0, 0, &[0; 8])).await;
}

#[tokio::test]
async fn headers_without_end_end_the_connection() {
    let headers = frame(HEADERS, 0, 1, &[0x40, 1, b'a', 1, b'b']);
    let more = frame(CONTINUATION, 0, 1, &[0x40, 1, b'a', 1, b'b'].repeat(1000));
    check([headers, more.repeat(1000)].concat()).await;
}

#[tokio::test]
async fn what_is_no_http_2_ends_the_connection() {
    check(b"220 mail is taken here\r\n".repeat(100)).await;
}
