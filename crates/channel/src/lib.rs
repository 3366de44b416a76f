//! Authenticated streams: TLS 1.3 between two identities, each proven to the other.
//!
//! A [`Keyring`] holds the identities of one process and what it judges others by. Its `accept`
//! and `connect` give a stream only together with the [`leno_identity::Caller`] at its other end,
//! judged anew in every handshake, resumed or not. [`grpc`] speaks over such streams. Names of peers are sent hashed ([`peer_name`]).

use std::time::Duration;

mod accept;
mod alpn;
mod basis;
mod clock;
mod connect;
mod failure;
pub mod files;
pub mod grpc;
mod judge;
mod key;
mod keyring;
mod outside;
mod own;
mod proof;
mod sessions;
mod sni;
mod words;

pub use accept::Accepted;
pub use alpn::Alpn;
pub use clock::{Clock, Clocks, boot, wall};
pub use connect::Connected;
pub use failure::{HandshakeFailure, Refusal, WhyFailed};
pub use judge::KeyWitness;
pub use key::generate_key;
pub use keyring::Keyring;
pub use outside::Roots;
pub use proof::Proof;
pub use sni::peer_name;
pub use tokio_rustls::{client::TlsStream as ClientStream, server::TlsStream as ServerStream};
pub use words::words;

/// How long a handshake may take, from its first byte to the last.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
