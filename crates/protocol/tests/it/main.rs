//! The crate from its door: bytes in, stories out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod allocations;
mod conversation;
mod corpus;
/// The same as other corpora are written with.
#[path = "../../../../tests/attacks/src/escapes.rs"]
mod escapes;
mod rewriting;
