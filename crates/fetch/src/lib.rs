//! Asks servers outside the mesh over HTTP/1.1: by TCP, or by TLS 1.3 where the host proves its name.
//!
//! A [`Client`] asks one question over a connection of its own, within a time and for so many bytes.
//! [`Way`] and [`Open`] are its halves: for whoever keeps a connection, or speaks something else
//! over it. Nobody is led elsewhere: an answer that points to another place is an answer.

mod ask;
mod client;
mod not_fetched;
mod open;
mod url;
mod way;

pub use ask::{Answer, Ask};
pub use client::{Bounds, Client};
pub use http::{HeaderMap, HeaderName, HeaderValue};
pub use not_fetched::NotFetched;
pub use open::Open;
pub use url::{BadUrl, Url};
pub use way::{Duplex, Plain, Shown, Stream, Trusted, Way};
