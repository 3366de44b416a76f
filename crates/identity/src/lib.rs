//! Who a caller is: SPIFFE certificates, the roots that prove them, and the rules of the CA.
//!
//! The one way to a [`Caller`] is [`verify()`], after every handshake, resumed or not. What is
//! issued by [`Root`] and [`Intermediate`] is what [`verify()`] accepts; [`Renewal`] says when to
//! ask for the next certificate, [`Rotation`] when roots replace each other, and [`MeshTime`] what
//! time all of it is judged by.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

mod anchor;
mod authority;
mod certificate;
mod credential;
mod distrust;
mod endorsement;
mod endpoint;
mod key;
mod mesh_time;
mod renewal;
mod rotation;
mod seal;
mod token_keys;
mod trust;
mod verify;

pub use anchor::Anchor;
pub use authority::{
    BadAuthority, CannotSign, INTERMEDIATE_LIFE, Intermediate, LEAF_LIFE, ROOT_LIFE, Root,
    SHORTEST_LIFE,
};
pub use certificate::{BadIdentity, KeyKind, Unfit, Validity};
pub use credential::{BadCredential, Credential};
pub use distrust::{Distrust, Link, Said};
pub use endorsement::{Endorsed, MOST_ABOVE, NotEndorsed, endorsed};
pub use endpoint::{NotEndpoint, verify_endpoint};
pub use key::{BadKey, BadRequest, Key, PublicKey};
pub use mesh_time::{
    Answer, Boot, ClockOff, LONGEST_ROUND_TRIP, Looked, Lookout, MeshTime, NotBelieved, Pace,
    Shown, StoodStill, Told, WALL_CLOCK_BOUND,
};
pub use renewal::{NotRenewing, Renewal};
pub use rotation::{
    BundleHash, Consumer, Consumers, Fingerprint, Rotation, Stage, Standing, Step,
    intermediate_is_due,
};
pub use seal::{BrokenSeal, Seal};
pub use token_keys::{KeyStep, TOKEN_LIFE, key_step, signing_key};
pub use trust::{BadRoot, Trust};
pub use verify::{Caller, LONGEST_CHAIN, expect_peer, verify};

#[cfg(test)]
mod tests;
