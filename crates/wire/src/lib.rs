//! What travels between control plane and proxy: a [`Part`] of a view as bytes, and the delta
//! protocol as two state machines, [`Server`] and [`Client`], that know nothing of sockets.
//!
//! The transport is delta xDS with one type of ours. A part's version is the hash of its bytes, so
//! that a proxy that comes back, to whichever replica, is sent only what differs.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]
#![deny(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

extern crate alloc;

mod carried;
pub mod client;
pub mod delta;
pub mod part;
pub mod server;

pub use carried::Misfit;
pub use client::{Client, Known, Received};
pub use delta::{Request, Response, Subscription};
pub use part::{Part, PartName, Version};
pub use server::{Server, Target};
