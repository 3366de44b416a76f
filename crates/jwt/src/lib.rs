//! JSON Web Tokens (RFC 7519) and the keys that prove them (RFC 7517), judged as RFC 8725 asks.
//!
//! The one way to [`Proven`] is [`verify()`]: of a [`Token`] that was read, by [`Keys`] of an issuer. A
//! key decides which algorithms it is for; a token only says which of these was used. Nothing that a
//! token points to is fetched, and no shared secret proves anything: whoever can check one can forge.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

mod bundle;
mod claims;
mod json;
mod key;
mod keys;
mod sign;
mod token;
mod verify;

pub use bundle::{Authority, SpiffeBundle};
pub use claims::{Claims, Time};
pub use json::Flaw;
pub use key::{KeyHash, WhySkipped};
pub use keys::{BadKeys, Keys, Purpose, Skipped};
pub use serde_json::{Map, Value};
pub use sign::{BadSigningKey, Signer};
pub use token::{Algorithm, Token, TokenHash};
pub use verify::{Audiences, Expected, LEEWAY, Proven, WhyNot, verify};

#[cfg(test)]
mod tests;
