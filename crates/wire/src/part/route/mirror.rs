//! Mirrors: no more of them than may stand in one place.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use leno_model::view::Mirror;
use prost::Message;

use crate::carried::{Carried, Misfit, from_list, required};
use crate::part::word::{OriginMessage, PortRefMessage};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MirrorMessage {
    #[prost(message, optional, tag = "1")]
    to: Option<PortRefMessage>,
    #[prost(uint32, tag = "2")]
    share: u32,
    #[prost(uint32, tag = "3")]
    of: u32,
    #[prost(message, optional, tag = "4")]
    origin: Option<OriginMessage>,
}

/// The mirrors of a rule or of one of its backends.
pub(crate) fn from_messages(messages: Vec<MirrorMessage>) -> Result<Vec<Mirror>, Misfit> {
    if messages.len() > Mirror::MOST {
        return Err(Misfit::new("mirrors", "they are too many"));
    }
    from_list(messages)
}

impl Carried for Mirror {
    type Message = MirrorMessage;

    fn to_message(&self) -> MirrorMessage {
        MirrorMessage {
            to: Some(self.to.to_message()),
            share: self.share,
            of: self.of.get(),
            origin: Some(self.origin.to_message()),
        }
    }

    fn from_message(message: MirrorMessage) -> Result<Self, Misfit> {
        Ok(Self {
            to: required(message.to, "service of a mirror")?,
            share: message.share,
            of: NonZeroU32::new(message.of)
                .ok_or_else(|| Misfit::new("mirror", "its share is one of nothing"))?,
            origin: required(message.origin, "origin of a mirror")?,
        })
    }
}
