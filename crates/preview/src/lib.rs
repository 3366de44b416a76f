//! What another configuration would do with calls that were recorded. Each kind of call is decided by
//! the functions of `traffic` that decide real ones, once by the configuration in force and once by
//! the other; what a rule asks for and nobody recorded leaves it undecided.
//!
//! Time grows with the number of kinds of call, not of calls; and for each kind with the routes of the
//! service and the rules over the port that it called. What neither configuration changed is not asked.

mod aftermath;
mod blame;
mod call;
mod compare;
mod fate;
mod ground;
mod met;
mod outside;
mod preview;
mod same;
mod suggest;
mod unread;

pub use aftermath::{Aftermath, Ends, Weight, Worse, aftermath};
pub use call::Seen;
pub use compare::{Outcome, Verdict};
pub use fate::{Fate, Refused, To, Way};
pub use ground::Ground;
pub use preview::{Preview, Request, Row, preview};
pub use suggest::{Allowed, Caller, Left, Suggestion, suggest};
pub use unread::unread;
