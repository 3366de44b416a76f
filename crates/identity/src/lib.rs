//! Who a caller is: SPIFFE certificates, the bundles that prove them, and the CA's rules.
//!
//! The one way to a [`Caller`] is [`verify`], after every handshake, resumed or not.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

use leno_model::SpiffeId;

/// A caller that proved who it is. Only `verify` makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller(SpiffeId);

impl Caller {
    /// Who it is.
    pub fn id(&self) -> &SpiffeId {
        &self.0
    }
}
