//! What an external authorizer is asked about a request, and what its answer means: Envoy's ext_authz, by
//! gRPC and by HTTP. Values in, bytes out, and back; nobody is asked here.
//!
//! An answer is hostile until it was read: it has a bound, and says nothing that concerns one connection or
//! that proxies tell each other.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;

mod answer;
mod check;
mod field;
mod http;
mod message;
mod question;

pub use answer::{Allowed, Answer, Garbled, LARGEST_BODY, MOST_HEADERS, Refused};
pub use check::{LARGEST_MESSAGE, PATH, check_request, framed, read_framed};
pub use field::Field;
pub use http::{HttpQuestion, read_http, too_long};
pub use question::{Body, Party, Question};

#[cfg(test)]
mod tests;
