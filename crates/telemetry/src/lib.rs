//! What happened, as values, and those who read them: metrics, the access log, taps.
//!
//! A proxy says each thing once, by [`Recorder::record`]; nobody else spells a metric's name.

pub mod event;
mod recorder;

pub use event::{Call, Edge, Event, Handshake, Party, Reporter, Security, Stream};
pub use recorder::{Recorder, Settings, Telemetry};
