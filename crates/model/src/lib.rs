//! The words of Leno: names, identities, time, chance, findings, and the values that travel
//! between the hops (`View` from control plane to proxy, `Event` from proxy to telemetry).
//!
//! Everything here is plain data with rules about what may exist; nothing here decides.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

pub mod address;
pub mod call;
pub mod code;
pub mod control_name;
pub mod dice;
pub mod flow;
pub mod histogram;
pub mod key_numbers;
pub mod measure;
pub mod name;
pub mod near;
pub mod note;
pub mod origin;
pub mod pattern;
pub mod pause;
pub mod ports;
pub mod process;
pub mod request_fact;
pub mod role;
pub mod shape;
pub mod spiffe;
pub mod subscription;
pub mod template;
pub mod time;
pub mod view;

pub use call::CallId;
pub use code::{Code, Fault};
pub use control_name::{BadControlName, ControlName};
pub use dice::{Dice, Roll};
pub use histogram::Histogram;
pub use key_numbers::KeyNumbers;
pub use measure::{Measure, NoMeasure, Override};
pub use name::{BadName, HostName, Name, Namespace, Network, ServiceName};
pub use note::{Note, Notes, Severity};
pub use origin::{ObjectRef, Origin, Place};
pub use pattern::{BadPattern, Pattern};
pub use pause::Pause;
pub use ports::{BadPorts, Ports};
pub use process::{ProcessFacts, ProcessMatch, ProcessMismatch, Unread};
pub use request_fact::{NoRequestFact, RequestFact};
pub use role::{Role, Warrant};
pub use shape::{Shape, Shaped};
pub use spiffe::{BadSpiffeId, SpiffeId, TrustDomain};
pub use subscription::Subscription;
pub use template::{BadTemplate, PathTemplate};
pub use time::{Mono, Now, Wall};
