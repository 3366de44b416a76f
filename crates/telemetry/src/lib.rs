//! What happened, as values, and those who read them: metrics, golden signals, the access log, taps.
//!
//! A proxy says each thing once, by [`Recorder::record`]; nobody else spells a metric's name. Time
//! comes with the events.

pub mod access_log;
pub mod capture;
pub mod certificates;
pub mod control;
mod counter;
pub mod door;
pub mod event;
pub mod export;
pub mod exposition;
mod facts;
mod flows;
mod kept;
mod limit;
mod lock;
pub mod metric;
mod native;
pub mod obstacles;
mod pace;
pub mod processes;
pub mod prometheus;
mod record;
mod recorder;
mod registry;
mod series;
mod snapshot;
mod span;
mod tally;
mod tap;

pub use access_log::{AccessLog, Format};
pub use event::{
    Accept, Bytes, Call, Consent, Consulted, Decided, Edge, Endpoints, Event, FailedTry, Flow,
    Handshake, Headers, Late, Line, Load, Logged, Party, Reporter, Security, Stream, Unusable,
    is_cut, is_grpc_failure,
};
pub use facts::{FactOf, FactValue, Facts, TokenFact, is_secret};
pub use flows::{Flows, Gathered, Passed};
pub use kept::Kept;
pub use leno_model::Histogram;
pub use limit::Limit;
pub use record::Record;
pub use recorder::{Recorder, Settings, Telemetry};
pub use registry::{CodeCounts, Total};
pub use series::{Labels, StatusClass, Traits, What};
pub use snapshot::{EdgeName, Signals, Snapshot};
pub use span::{Span, SpanEvent, SpanKind, Traced, Value};
pub use tap::{Filter, Tap};
