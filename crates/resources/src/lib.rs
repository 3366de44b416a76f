//! What people write: Gateway API, the Kubernetes kinds Leno reads, and its own, as plain structs
//! read from YAML or JSON.
//!
//! The door is [`Resources::read`]. Reading never fails as a whole. Whatever is wrong is noted where it
//! stands, and the smallest [`Part`] around it is flawed: a list's item, else the object's `spec`. A field
//! that is unknown, of the wrong type, out of bounds, missing or written twice is wrong. What holds
//! while a part is flawed is decided by its kind, and nothing ever allows more than was written:
//!
//! | flawed | what holds |
//! |---|---|
//! | a document that is no object, or has no valid name | nothing of it |
//! | `HTTPRoute` backend reference | its share of the requests answers 500 |
//! | `HTTPRoute` rule, or a match or filter in it | the requests that its readable matches take answer 500 |
//! | `HTTPRoute` spec | the requests that its rules match answer 500 |
//! | `GRPCRoute` | as an `HTTPRoute`, with UNAVAILABLE in the place of 500 |
//! | `TLSRoute`, `TCPRoute` backend reference | its share of the connections is refused |
//! | `TLSRoute`, `TCPRoute` rule, spec | the connections that it takes are refused |
//! | any route's parent reference, host name | the route is not attached there, does not take that host |
//! | `ReferenceGrant` entry, spec | it grants nothing |
//! | `AccessPolicy` rule, or a part of it | whatever its readable parts cover is denied |
//! | `AccessPolicy` target | calls to every workload of its namespace are denied |
//! | `AccessPolicy` spec | calls to its targets are denied |
//! | `AccessPolicy` spec.outbound | calls of its targets to hosts outside the mesh are denied |
//! | `Mesh` kubernetes | while nobody answers what pods get, none is made that is to be in the mesh |
//! | `Mesh` telemetry | what of it is readable; without a collector that can be reached and proven nothing is sent |
//! | `Mesh` spec | each setting that cannot be read takes its strict form |
//! | `MeshPeer` spec | no identity of its trust domain is believed |
//! | `Service` selector | it selects nothing |
//! | `EndpointSlice` endpoint or port | it does not exist |
//! | `NetworkPolicy` rule about those who come in, or an entry of one | it lets nobody in |
//! | `NetworkPolicy` spec | it lets nobody in to what it readably selects |
//! | `Service`, `MeshWorkload` port or instance | it does not exist |
//! | `MeshWorkload` service account | it acts as nobody: none of its instances exists |
//! | `TelemetryPolicy` redaction | of paths and headers nothing is told in the access log and in spans |
//! | `TelemetryPolicy` filter of the access log | calls have their lines without it |
//! | anything else: `TrafficPolicy`, labels, the rest of a `Service` | the rest holds without it |
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

pub mod case;
pub mod compose;
mod decode;
mod duration;
pub mod endpoint_slice;
mod form;
pub mod gateway;
mod in_force;
mod kinds;
pub mod mesh;
pub mod network_policy;
mod object;
mod part;
pub mod peer;
pub mod pod;
pub mod policy;
mod read;
pub mod schema;
pub mod service;
pub mod static_proxy;
mod text;
mod time;
pub mod yaml;

pub use kinds::{GROUP, KINDS, Resources, Spelling, schema, spellings};
pub use object::{Metadata, Object, Objects, Outline, Source};
pub use part::{List, Part};
pub use read::ReadFile;
pub use text::Text;
pub use time::rfc3339;
