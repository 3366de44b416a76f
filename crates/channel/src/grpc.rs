//! gRPC over authenticated streams: calls by path, messages as bytes. What the bytes mean is for
//! others to know.
//!
//! [`Keyring::enter`](crate::Keyring::enter) is the server's way to a stream, [`join()`] and
//! [`Keyring::connect`](crate::Keyring::connect) the client's; [`serve`] and [`Line`] speak over it.
//! The protocol is a length before each message and a status in the trailers of an HTTP/2 stream.

mod client;
mod enter;
mod join;
mod message;
mod reach;
mod server;
mod status;

use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

pub use client::{Incoming, Line, Packing, To};
pub use enter::Entered;
pub use join::{Joining, Proven, join};
pub use message::{Messages, Sender};
pub use reach::{connect, open_line};
pub use server::{Answer, Call, serve};
pub use status::{Status, StatusCode};

/// The largest message that is taken from somebody who proved who it is.
pub const LARGEST_MESSAGE: usize = 8 << 20;

/// The largest message that is taken from anybody else.
pub const LARGEST_ANONYMOUS_MESSAGE: usize = 64 << 10;

/// How much of a stream and of a connection may be on its way.
const WINDOW: u32 = 1 << 20;

/// How many calls a client may have under way.
const MOST_CALLS: u32 = 16;

/// The largest head of a call.
const LARGEST_HEAD: u32 = 16 << 10;

/// How long a peer may be silent before it is asked for a sign of life.
const SILENCE: Duration = Duration::from_secs(3);

/// How long it has to give it: whoever is gone without a word, as a host that lost its power, is missed within 10 seconds.
const PATIENCE: Duration = Duration::from_secs(6);

/// Asks the peer for signs of life, and returns when it gives none.
async fn until_dead(mut ping: PingPong) {
    loop {
        sleep(SILENCE).await;
        match timeout(PATIENCE, ping.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
