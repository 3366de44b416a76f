//! What is told of calls, and to whom.

use alloc::sync::Arc;
use core::time::Duration;

/// Where proxies send what they have to tell, over OTLP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collector {
    /// Its URL: `http://` or `https://`, a host, perhaps a port and a path. Nothing of it is checked
    /// beyond that.
    pub endpoint: Arc<str>,
    /// What is spoken to it.
    pub protocol: OtlpProtocol,
    /// A file on the proxy's host whose lines, `name: value`, are sent as headers. It is read again
    /// when it changes, so that a secret in it can be replaced.
    pub headers_file: Option<Arc<str>>,
    /// A file on the proxy's host with the roots, in PEM, that prove an `https://` endpoint.
    pub roots_file: Option<Arc<str>>,
    /// What is sent.
    pub signals: Signals,
    /// How often metrics are sent, and how long others wait for company at most.
    pub interval: Duration,
}

/// The two forms of OTLP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OtlpProtocol {
    /// OTLP/gRPC: HTTP/2, usually on port 4317.
    Grpc,
    /// OTLP/HTTP with protobuf bodies, usually on port 4318.
    Http,
}

/// Which kinds of telemetry are meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Signals {
    /// Counters and histograms.
    pub metrics: bool,
    /// Spans.
    pub traces: bool,
    /// The access log.
    pub logs: bool,
}
