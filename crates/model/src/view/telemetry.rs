//! What is told of calls, and to whom.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;

use crate::{Origin, Pattern, RequestFact};

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

/// What is told of calls, as `TelemetryPolicy` says it, with defaults filled in. Each field says who
/// wrote it through [`Telemetry::origins`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Telemetry {
    /// Which calls get a line in the access log, and what stands in it.
    pub access_log: AccessLog,
    /// Which calls are traced.
    pub tracing: Tracing,
    /// What of it nobody is to read.
    pub redaction: Redaction,
    /// What flows keep of requests whether a rule asks for it or not, each with who said so.
    pub records: BTreeMap<RequestFact, Origin>,
    /// Who wrote each field that is not a default, by its name in `TelemetryPolicy.spec`.
    pub origins: BTreeMap<Arc<str>, Origin>,
}

/// Which calls get a line in the access log, and what stands in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessLog {
    /// Whether there are lines at all.
    pub is_on: bool,
    /// A CEL expression: only calls of which it is true get a line. It was checked by who wrote the
    /// view; one that a proxy cannot read takes no call its line.
    pub when: Option<Arc<str>>,
    /// The fields that a line has; `None` is all.
    pub fields: Option<LogFields>,
    /// Headers of the request that stand in a line too, in lower case.
    pub request_headers: Vec<Arc<str>>,
    /// Headers of the answer, likewise.
    pub response_headers: Vec<Arc<str>>,
}

/// A line for each call, with everything but headers.
impl Default for AccessLog {
    fn default() -> Self {
        Self {
            is_on: true,
            when: None,
            fields: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
        }
    }
}

/// Some of the fields that a line of the access log can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogFields(u32);

impl LogFields {
    /// The fields that can be chosen. What else a line has stands in every one.
    pub const ALL: [&str; 24] = [
        "reporter",
        "source",
        "destination",
        "route",
        "security",
        "peer",
        "endpoint",
        "method",
        "host",
        "path",
        "status",
        "grpc_status",
        "duration_ms",
        "tries",
        "copy_of",
        "trace",
        "span",
        "sent",
        "received",
        "code",
        "slug",
        "fault",
        "audited",
        "authorizers",
    ];

    /// These; names that there are not are left out.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let bits = names.into_iter().filter_map(Self::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }

    /// The names of those that are chosen.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let names = Self::ALL.into_iter();
        names.filter(move |name| Self::bit(name).is_some_and(|bit| self.0 & bit != 0))
    }

    /// Whether a field stands in a line: if it is chosen, or cannot be.
    pub fn has(self, name: &str) -> bool {
        Self::bit(name).is_none_or(|bit| self.0 & bit != 0)
    }

    fn bit(name: &str) -> Option<u32> {
        let place = Self::ALL.iter().position(|field| *field == name)?;
        Some(1 << place)
    }
}

/// Which calls are traced.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tracing {
    /// Of a million calls that come without a trace, so many begin one.
    pub sample: u32,
    /// Whether calls that fail are told as spans even if they were not sampled.
    pub errors: bool,
}

impl Tracing {
    /// What [`Tracing::sample`] is at most: every call.
    pub const EVERY: u32 = 1_000_000;
}

/// What nobody is to read of paths and headers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Redaction {
    /// Nothing, because it could not be read what was meant.
    pub all: bool,
    /// No segment of a path, and no header's value, that one of these matches.
    pub patterns: Vec<Pattern>,
}
