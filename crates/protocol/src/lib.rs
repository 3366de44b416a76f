//! What bytes say: HTTP/1 heads and framing, and the canonical [`Request`] that policy, routing
//! and the application all see. Bytes in, values out; nothing here reads or writes.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]
#![deny(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

extern crate alloc;

pub mod request;

pub use request::{Header, Path, Request};
