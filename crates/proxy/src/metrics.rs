//! What anyone may read of a proxy: its metrics, and whether it takes calls. GET, and nothing else.

use std::rc::Rc;
use std::time::Duration;

use leno_telemetry::door::{Answer, Asked, Reader};
use tokio::time::timeout;

use crate::stream::Stream;
use crate::worker::Worker;

/// How long a reader may take for its question, and for taking the answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Answers one question and ends the connection.
pub(crate) async fn serve(worker: Rc<Worker>, mut client: Stream) {
    let Ok(Some(asked)) = timeout(LIMIT, asked(&worker, &mut client)).await else {
        return;
    };
    let answer = match asked.path.as_str() {
        "/metrics" => scrape(&worker, &asked).await,
        "/ready" if worker.is_leaving() => Answer::ready(false, "draining"),
        "/ready" => match worker.telemetry.capture().unproven() {
            None => Answer::ready(true, "ready"),
            Some(why) => Answer::ready(false, &why),
        },
        _ => Answer::nothing("there are /metrics and /ready"),
    };
    // A reader that has gone needs no answer.
    drop(timeout(LIMIT, client.write_all(&answer.bytes())).await);
}

/// The question; `None` if it is none.
async fn asked(worker: &Worker, client: &mut Stream) -> Option<Asked> {
    let mut bytes = worker.buffers.lend();
    let mut reader = Reader::default();
    loop {
        if let Some(asked) = reader.read(&bytes).ok()? {
            return Some(asked);
        }
        match client.read_into(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return None,
        }
    }
}

/// The metrics of all workers. Merging them takes a while, so it is done beside the worker.
async fn scrape(worker: &Worker, asked: &Asked) -> Answer {
    let (telemetry, format) = (worker.telemetry.clone(), asked.format);
    let scraped = tokio::task::spawn_blocking(move || telemetry.scrape(format));
    Answer::scrape(format, scraped.await.unwrap_or_default())
}
