//! Every decision of a proxy, as values: who is admitted, where a call goes, which endpoint takes
//! it, whether it is tried again. The proxy, `leno why` and `leno test` decide by the same code.
//!
//! A [`Table`] is compiled once from a view and shared; a [`Balancer`] belongs to one worker. A
//! call goes [`Table::destination`], [`Policy::admit`], [`Table::route`], [`Balancer::pick`]; each
//! takes what the one before it gave, and none allocates. Time and chance are passed in.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

pub mod attempts;
pub mod balance;
pub mod budget;
pub mod caller;
pub mod cors;
pub mod deadline;
pub mod destination;
pub mod grpc;
mod index;
mod matching;
pub mod naming;
pub mod outside;
mod paths;
pub mod policy;
pub mod recorded;
pub mod refusal;
mod report;
pub mod route;
pub mod story;
pub mod table;
pub mod told;
pub mod tracing;

pub use attempts::{Attempts, Failure, Next, WhyNot};
pub use balance::{Balancer, Candidate, Draw, Ended, Picked, Tried};
pub use budget::RetryBudget;
pub use caller::{Channel, Claim, Consent, Fact, KnownClaims, Missing, Peer, Token, WhyPlain};
pub use cors::CrossOrigin;
pub use deadline::{Deadline, Timed};
pub use destination::{Destination, Direct, Scope};
pub use naming::{Named, Naming, Unnamed, Wanted, published_host};
pub use outside::{Host, Imagined, Leave, NotLetOut, Outside, Said, WhyNotOut};
pub use policy::{
    Admitted, AdmittedStream, Allowed, Bearer, Denied, Dissent, Examined, NoAnswer, Permit, Policy,
    RefusedToken, Silence, Tokens, Unclear, Verdict, WhyRefused,
};
pub use recorded::{Kept, Lacking, Recorded, RecordedPath};
pub use refusal::{NoSwitch, NoTunnel, NotSpoken, Refusal, RefusedIdentity};
pub use report::{Line, Report};
pub use route::asks::{Asked, Asks, Hangs, Led, header_of, parameter_of};
pub use route::{Changed, Forward, ForwardStream, Preflight, Redirected, Routed};
pub use story::{Detail, Known, Outcome, Step, StepKind, Story};
pub use table::{Port, Table};
pub use told::Told;
