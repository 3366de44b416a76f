//! What anyone may read of a proxy: its metrics, and whether it takes calls. GET, and nothing else.

use std::rc::Rc;
use std::time::Duration;

use leno_protocol::{Fields, HeadReader, Limits};
use leno_telemetry::prometheus::Format;
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
    let Ok(Some(asked)) = timeout(LIMIT, asked(&worker, &mut client)).await else {
        return;
    };
    let said = |text: &str| text.as_bytes().to_vec();
    let (status, kind, body) = match asked.path.as_str() {
        "/metrics" => {
            let body = scrape(&worker, asked.format).await;
            ("200 OK", asked.format.content_type(), body)
        }
        "/ready" if worker.is_draining() => ("503 Service Unavailable", TEXT, said("draining\n")),
        "/ready" => ("200 OK", TEXT, said("ready\n")),
        _ => (
            "404 Not Found",
            TEXT,
            said("there are /metrics and /ready\n"),
        ),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    let answer = [head.into_bytes(), body].concat();
    // A reader that has gone needs no answer.
    drop(timeout(LIMIT, client.write_all(&answer)).await);
}

/// What is asked.
struct Asked {
    path: String,
    format: Format,
}

const TEXT: &str = "text/plain; charset=utf-8";

/// The question; `None` if it is none.
async fn asked(worker: &Worker, client: &mut Stream) -> Option<Asked> {
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

/// A complete GET; `Some(None)` if more must come.
fn read(reader: &mut HeadReader, bytes: &[u8]) -> Option<Option<Asked>> {
    let mut fields = Fields::new();
    let Some(head) = reader.request(bytes, &mut fields).ok()? else {
        return Some(None);
    };
    if head.request.method != "GET" {
        return None;
    }
    let accept: Vec<_> = head.request.header("accept").collect();
    let accept = accept.join(&b","[..]);
    Some(Some(Asked {
        path: head.request.path.raw().into(),
        format: Format::asked(&String::from_utf8_lossy(&accept)),
    }))
}

/// The metrics of all workers. Merging them takes a while, so it is done beside the worker.
async fn scrape(worker: &Worker, format: Format) -> Vec<u8> {
    let telemetry = worker.telemetry.clone();
    let scraped = tokio::task::spawn_blocking(move || telemetry.scrape(format));
    scraped.await.unwrap_or_default()
}
