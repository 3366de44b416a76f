//! The one door to a cluster of Kubernetes: what its API server tells, as the values that the rest of
//! Leno knows. Nobody else speaks of requests, lists and watches.
//!
//! The door is [`Cluster`]; what it is asked first is a [`Watch`]. Only what is used of an object is kept
//! in memory. What puts a control plane there is in [`install`].

mod cluster;
mod document;
mod injection;
mod inside;
pub mod install;
mod issuer;
mod pod;
mod proposed;
mod review;
mod shelf;
mod signer;
mod status;
mod told;
mod wanted;
mod watch;
mod webhook;
mod words;
pub mod yaml;

pub use cluster::{Cluster, NotConnected, Where, kubeconfig_context};
pub use document::said;
pub use injection::{Around, CAPTURE, Injection, OTHER, PROXY, Placement, beside, review_other};
pub use inside::{Inside, NotRun};
pub use issuer::{Issuer, NoIssuer};
pub use proposed::{Proposed, Replaced, VALIDATE};
pub use review::Misfit;
pub use signer::{NotAsked, Progress, Signer};
pub use status::{NotWritten, Standing, Standings, is_programmed};
pub use told::{NotTold, Warning};
pub use wanted::{Live, SET, Tried, Wanted, rank};
pub use watch::{Document, Seen, Watch};
pub use webhook::{Known, NotProven, validation, webhook};
