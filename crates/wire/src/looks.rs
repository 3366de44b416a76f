//! Who asked a proxy by its own socket, as its control plane is told for the audit log.

mod outbox;

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use leno_model::Wall;
use prost::Message;

use crate::carried::Misfit;

pub use outbox::{Next, Outbox};

/// Somebody asked a proxy by its own socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// When, as the proxy knows the time.
    pub at: Wall,
    /// The number of the user of the proxy's host.
    pub user: u32,
    /// What was asked: `tap`.
    pub what: String,
    /// About what, in words.
    pub about: String,
    /// Whether that user may not ask, and was told so.
    pub is_refused: bool,
    /// How many more there were before it that are only counted.
    pub before: u64,
}

impl Look {
    /// The longest text, in bytes.
    pub const LONGEST_TEXT: usize = 512;

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        LookMessage {
            at_ms: u64::try_from(self.at.elapsed_since_epoch().as_millis()).unwrap_or(u64::MAX),
            user: self.user,
            what: self.what.clone(),
            about: self.about.clone(),
            is_refused: self.is_refused,
            before: self.before,
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = LookMessage::decode(bytes).map_err(|error| Misfit::new("look", error))?;
        let LookMessage {
            at_ms,
            user,
            what,
            about,
            is_refused,
            before,
        } = message;
        if what.is_empty()
            || [&what, &about]
                .iter()
                .any(|it| it.len() > Self::LONGEST_TEXT)
        {
            return Err(Misfit::new("look", "a text of it is empty or too long"));
        }
        Ok(Self {
            at: Wall::since_epoch(Duration::from_millis(at_ms)),
            user,
            what,
            about,
            is_refused,
            before,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct LookMessage {
    #[prost(uint64, tag = "1")]
    at_ms: u64,
    #[prost(uint32, tag = "2")]
    user: u32,
    #[prost(string, tag = "3")]
    what: String,
    #[prost(string, tag = "4")]
    about: String,
    #[prost(bool, tag = "5")]
    is_refused: bool,
    #[prost(uint64, tag = "6")]
    before: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_read_as_it_was_told_and_is_bounded() {
        let look = |what: &str, about: String| Look {
            at: Wall::since_epoch(Duration::from_secs(7)),
            user: 1000,
            what: what.into(),
            about,
            is_refused: false,
            before: 3,
        };
        let told = look("tap", "shop/cart".into());
        assert_eq!(Look::decode(&told.encode()), Ok(told));
        let longest = look("tap", "a".repeat(Look::LONGEST_TEXT));
        assert_eq!(Look::decode(&longest.encode()), Ok(longest));
        for bad in [
            look("tap", "a".repeat(Look::LONGEST_TEXT + 1)),
            look("", String::new()),
        ] {
            assert!(Look::decode(&bad.encode()).is_err());
        }
        assert!(Look::decode(&[0xff]).is_err());
    }
}
