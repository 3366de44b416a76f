//! Trust between trust domains: what the bundle of another one is worth, when to look for the next one
//! ([`Peering`]), and what is told to others of our own ([`publish()`]).
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

mod believe;
mod peering;
mod publish;

pub use believe::{Believed, NotBelieved, believe};
pub use peering::{Kept, Peering, Source, Trouble};
pub use publish::{awaited_abroad, next_sequence, publish, refresh_hint};

#[cfg(test)]
mod tests;
