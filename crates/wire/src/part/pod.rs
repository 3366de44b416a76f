//! A pod whose network its node's proxy reaches into, as it is carried.

use alloc::{string::String, vec::Vec};

use leno_model::Ports;
use leno_model::view::{LeftOut, Pod};

use crate::carried::{Carried, Misfit, from_list, port, to_list};
use crate::part::access::IpBlockMessage;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PodMessage {
    #[prost(string, tag = "1")]
    uid: String,
    #[prost(message, repeated, tag = "2")]
    inbound: Vec<PortsMessage>,
    #[prost(message, repeated, tag = "3")]
    outbound: Vec<PortsMessage>,
    #[prost(message, repeated, tag = "4")]
    outbound_blocks: Vec<IpBlockMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PortsMessage {
    #[prost(uint32, tag = "1")]
    first: u32,
    #[prost(uint32, tag = "2")]
    last: u32,
}

impl Carried for Pod {
    type Message = PodMessage;

    fn to_message(&self) -> PodMessage {
        PodMessage {
            uid: String::from(&*self.uid),
            inbound: to_list(&self.left_out.inbound),
            outbound: to_list(&self.left_out.outbound),
            outbound_blocks: to_list(&self.left_out.outbound_blocks),
        }
    }

    fn from_message(message: PodMessage) -> Result<Self, Misfit> {
        Ok(Self {
            uid: message.uid.into(),
            left_out: LeftOut {
                inbound: from_list(message.inbound)?,
                outbound: from_list(message.outbound)?,
                outbound_blocks: from_list(message.outbound_blocks)?,
            },
        })
    }
}

impl Carried for Ports {
    type Message = PortsMessage;

    fn to_message(&self) -> PortsMessage {
        PortsMessage {
            first: self.first().into(),
            last: self.last().into(),
        }
    }

    fn from_message(message: PortsMessage) -> Result<Self, Misfit> {
        let (first, last) = (port(message.first)?, port(message.last)?);
        Self::new(first, last).ok_or_else(|| Misfit::new("ports", "they end before they begin"))
    }
}
