//! One way in to a collector, for one signal: it stays open from one request to the next.

use std::sync::Arc;
use std::time::Duration;

use leno_channel::Clocks;
use leno_fetch::{BadUrl, NotFetched, Open as OpenHttp, Plain, Trusted, Url, Way};
use leno_model::Code;
use leno_model::view::{Collector, OtlpProtocol};
use leno_telemetry::export::Signal;
use tokio::time::timeout;

use crate::batch::Batch;
use crate::verdict::Verdict;
use crate::{grpc, headers, http};

/// How long a collector may take for one request, connecting to it included.
const LIMIT: Duration = Duration::from_secs(10);

/// A way in.
pub(crate) struct Door {
    collector: Arc<Collector>,
    clocks: Clocks,
    signal: Signal,
    open: Open,
}

/// What is open.
enum Open {
    Nothing,
    Grpc(Box<grpc::Open>),
    Http(OpenHttp),
}

impl Door {
    pub(crate) fn new(collector: Arc<Collector>, clocks: Clocks, signal: Signal) -> Self {
        Self {
            collector,
            clocks,
            signal,
            open: Open::Nothing,
        }
    }

    /// Sends a batch. A connection that is not fit for another request is let go.
    pub(crate) async fn send(&mut self, batch: &Batch) -> Verdict {
        let open = std::mem::replace(&mut self.open, Open::Nothing);
        let was_open = !matches!(open, Open::Nothing);
        let verdict = self.send_within(open, batch).await;
        // A connection may have been closed while it rested.
        match verdict {
            Verdict::Later {
                code: Code::X001, ..
            } if was_open => self.send_within(Open::Nothing, batch).await,
            verdict => verdict,
        }
    }

    async fn send_within(&mut self, open: Open, batch: &Batch) -> Verdict {
        match timeout(LIMIT, self.send_by(open, batch)).await {
            Ok(Ok((open, verdict))) => {
                self.open = open;
                verdict
            }
            Ok(Err(why)) => Verdict::not_asked(why),
            Err(_) => Verdict::not_asked(NotFetched::Late(LIMIT)),
        }
    }

    async fn send_by(&mut self, open: Open, batch: &Batch) -> Result<(Open, Verdict), NotFetched> {
        let collector = &*self.collector;
        // Read each time: a secret in it may have been replaced.
        let headers = headers::of_file(collector.headers_file.as_deref())?;
        let url = Url::parse(&collector.endpoint);
        let url = url.map_err(|why: BadUrl| NotFetched::Unusable(format!("its URL: {why}")))?;
        let roots = collector.roots_file.as_deref();
        let way = Way {
            clock: self.clocks.clock(),
            trusted: roots.map_or(Trusted::Host, |file| Trusted::File(file.into())),
            plain: Plain::Anywhere,
            shown: None,
        };
        Ok(match collector.protocol {
            OtlpProtocol::Grpc => {
                let open = match open {
                    Open::Grpc(open) if open.says(&headers) => *open,
                    _ => grpc::open(&url, headers, way.dial(&url, b"h2").await?).await?,
                };
                let (open, verdict) = open.send(self.signal, batch).await;
                let open = open.map(|open| Open::Grpc(Box::new(open)));
                (open.unwrap_or(Open::Nothing), verdict)
            }
            OtlpProtocol::Http => {
                let open = match open {
                    Open::Http(open) => open,
                    _ => OpenHttp::over(way.dial(&url, b"http/1.1").await?),
                };
                let sent = http::send(open, &url, &headers, self.signal, batch);
                let (open, verdict) = sent.await;
                (open.map_or(Open::Nothing, Open::Http), verdict)
            }
        })
    }
}
