//! What anyone may read of a proxy: its metrics, and whether it takes calls. GET, and nothing else.

use std::rc::Rc;
use std::time::Duration;

use leno_protocol::{Fields, HeadReader, Limits};
use leno_telemetry::prometheus::CONTENT_TYPE;
use tokio::time::timeout;

use crate::stream::Stream;
use crate::worker::Worker;

/// How long a reader may take for its question, and for taking the answer.
const LIMIT: Duration = Duration::from_secs(10);

/// A question is short.
const HEAD: Limits = Limits {
    head_bytes: 8 * 1024,
    target_bytes: 1024,
    headers: 64,
};

/// Answers one question and ends the connection.
pub(crate) async fn serve(worker: Rc<Worker>, mut client: Stream) {
    let Ok(Some(path)) = timeout(LIMIT, asked(&worker, &mut client)).await else {
        return;
    };
    let (status, kind, body) = match path.as_str() {
        "/metrics" => ("200 OK", CONTENT_TYPE, scrape(&worker).await),
        "/ready" if worker.is_draining() => {
            ("503 Service Unavailable", TEXT, "draining\n".to_owned())
        }
        "/ready" => ("200 OK", TEXT, "ready\n".to_owned()),
        _ => (
            "404 Not Found",
            TEXT,
            "there are /metrics and /ready\n".to_owned(),
        ),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    // A reader that has gone needs no answer.
    drop(timeout(LIMIT, client.write_all(answer.as_bytes())).await);
}

const TEXT: &str = "text/plain; charset=utf-8";

/// The path that is asked for; `None` if it is no question.
async fn asked(worker: &Worker, client: &mut Stream) -> Option<String> {
    let mut bytes = worker.buffers.lend();
    let mut reader = HeadReader::new(HEAD);
    loop {
        if let Some(asked) = read(&mut reader, &bytes)? {
            return Some(asked);
        }
        match client.read_into(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return None,
        }
    }
}

/// The path of a complete GET; `Some(None)` if more must come.
fn read(reader: &mut HeadReader, bytes: &[u8]) -> Option<Option<String>> {
    let mut fields = Fields::new();
    match reader.request(bytes, &mut fields).ok()? {
        Some(head) if head.request.method == "GET" => Some(Some(head.request.path.raw().into())),
        Some(_) => None,
        None => Some(None),
    }
}

/// The metrics of all workers. Merging them takes a while, so it is done beside the worker.
async fn scrape(worker: &Worker) -> String {
    let telemetry = worker.telemetry.clone();
    let scraped = tokio::task::spawn_blocking(move || telemetry.snapshot().prometheus());
    scraped.await.unwrap_or_default()
}
