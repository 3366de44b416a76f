//! OTLP/gRPC.

use ::http::HeaderMap;
use leno_channel::grpc::{Line, Packing, To};
use leno_fetch::{NotFetched, Stream, Url};
use leno_telemetry::export::Signal;
use tokio::task::JoinSet;

use crate::batch::{self, Batch};
use crate::verdict::Verdict;

/// An open connection.
pub(crate) struct Open {
    line: Line,
    headers: HeaderMap,
    /// What moves its bytes, for as long as it is held.
    moving: JoinSet<()>,
}

pub(crate) async fn open(
    collector: &Url,
    headers: HeaderMap,
    stream: Stream,
) -> Result<Open, NotFetched> {
    let to = To {
        scheme: collector.scheme().clone(),
        authority: collector.authority().clone(),
        headers: headers.clone(),
    };
    let opened = Line::open_to(to, stream).await;
    let (line, run) = opened.map_err(|status| NotFetched::Away(status.message))?;
    let mut moving = JoinSet::new();
    // Why it ended is told to the calls on it.
    moving.spawn(async move { drop(run.await) });
    Ok(Open {
        line,
        headers,
        moving,
    })
}

impl Open {
    /// Whether it sends these headers.
    pub(crate) fn says(&self, headers: &HeaderMap) -> bool {
        self.headers == *headers
    }

    /// Sends a batch; gives itself back if it is fit for another.
    pub(crate) async fn send(mut self, signal: Signal, batch: &Batch) -> (Option<Self>, Verdict) {
        let path = path(signal);
        let asked = self.line.ask_packed(path, &batch.body, Packing::Gzip);
        let verdict = match asked.await {
            Ok((Packing::Plain, answer)) => Verdict::of_message(&answer),
            Ok((Packing::Gzip, answer)) => Verdict::of_message(&batch::unpacked(&answer)),
            Err(status) => Verdict::of_status(&status),
        };
        let lives = self.moving.try_join_next().is_none();
        (lives.then_some(self), verdict)
    }
}

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

#[cfg(test)]
mod tests;
