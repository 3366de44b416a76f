//! OTLP/HTTP: a POST of protobuf over HTTP/1.1.

use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use ::http::{HeaderMap, HeaderValue};
use leno_fetch::{Answer, Ask, NotFetched, Open, Url};
use leno_telemetry::export::Signal;

use crate::batch::Batch;
use crate::verdict::Verdict;

/// As much of an answer's body as is read.
const LARGEST_BODY: usize = 64 * 1024;

/// Sends a batch to a collector; gives the connection back if it is fit for another.
pub(crate) async fn send(
    open: Open,
    collector: &Url,
    headers: &HeaderMap,
    signal: Signal,
    batch: &Batch,
) -> (Option<Open>, Verdict) {
    let url = collector.under(&format!("/v1/{}", signal.as_str()));
    let url = url.expect("a name of ours is a path");
    let ask = Ask::post("application/x-protobuf", &batch.body)
        .header(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
        .headers(headers);
    let (open, answer) = open.ask(&url, &ask, LARGEST_BODY).await;
    let verdict = match answer {
        Ok(answer) => verdict(&answer),
        // Whatever else it says, it said yes or no first.
        Err(NotFetched::TooLong { status, .. }) => Verdict::of_http(status, None, &[]),
        Err(why) => Verdict::not_asked(why),
    };
    (open, verdict)
}

fn verdict(answer: &Answer) -> Verdict {
    let kind = answer.header(CONTENT_TYPE);
    match kind.filter(|kind| kind.starts_with("text/")) {
        Some(kind) if (200..300).contains(&answer.status) => Verdict::of_page(answer.status, kind),
        _ => Verdict::of_http(answer.status, answer.header(RETRY_AFTER), &answer.body),
    }
}

#[cfg(test)]
mod tests;
