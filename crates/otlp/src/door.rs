//! One way in to a collector, for one signal: it stays open from one request to the next.

use std::sync::Arc;
use std::time::Duration;

use leno_channel::Clocks;
use leno_model::Code;
use leno_model::view::{Collector, OtlpProtocol};
use leno_telemetry::export::Signal;
use tokio::time::timeout;

use crate::batch::Batch;
use crate::dial::{self, Endpoint, NotDialled};
use crate::verdict::Verdict;
use crate::{grpc, http};

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
    Http(http::Open),
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
            Ok(Err(NotDialled::Away(why))) => Verdict::away(why),
            Ok(Err(NotDialled::Unusable(why))) => Verdict::Later {
                code: Code::X003,
                why,
                after: None,
            },
            Err(_) => Verdict::away(format_args!("it did not answer within {LIMIT:?}")),
        }
    }

    async fn send_by(&mut self, open: Open, batch: &Batch) -> Result<(Open, Verdict), NotDialled> {
        let collector = &*self.collector;
        // Read each time: a secret in it may have been replaced.
        let headers = dial::headers(collector.headers_file.as_deref())?;
        let endpoint = Endpoint::read(&collector.endpoint)?;
        Ok(match collector.protocol {
            OtlpProtocol::Grpc => {
                let open = match open {
                    Open::Grpc(open) if open.says(&headers) => *open,
                    _ => {
                        let stream = endpoint.dial(collector, self.clocks.clock(), b"h2").await?;
                        grpc::open(&endpoint, headers, stream).await?
                    }
                };
                let (open, verdict) = open.send(self.signal, batch).await;
                (
                    open.map_or(Open::Nothing, |open| Open::Grpc(Box::new(open))),
                    verdict,
                )
            }
            OtlpProtocol::Http => {
                let open = match open {
                    Open::Http(open) => open,
                    _ => {
                        let clock = self.clocks.clock();
                        http::open(endpoint.dial(collector, clock, b"http/1.1").await?)
                    }
                };
                let (open, verdict) = open.send(&endpoint, &headers, self.signal, batch).await;
                (open.map_or(Open::Nothing, Open::Http), verdict)
            }
        })
    }
}
