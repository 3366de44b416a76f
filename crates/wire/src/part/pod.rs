//! A pod whose network its node's proxy reaches into, as it is carried.

use alloc::{string::String, vec::Vec};

use leno_model::Ports;
use leno_model::view::{LeftOut, NameServers, OwnProcess, Pod, Resolver};

use crate::carried::{
    Carried, Misfit, carried_enum, from_list, from_option, port, required, to_list,
};
use crate::part::access::IpBlockMessage;
use crate::part::word::OriginMessage;

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
    #[prost(message, optional, tag = "5")]
    own_process: Option<OwnProcessMessage>,
    /// Who does not know it asks the cluster's name servers.
    #[prost(message, optional, tag = "6")]
    resolver: Option<ResolverMessage>,
}

carried_enum!(NameServersMessage for NameServers, "name servers" { Cluster = 1, Node = 2, Nobody = 3 });

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResolverMessage {
    #[prost(enumeration = "NameServersMessage", tag = "1")]
    first: i32,
    #[prost(bytes = "vec", repeated, tag = "2")]
    more: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OwnProcessMessage {
    #[prost(uint32, tag = "1")]
    memory_mib: u32,
    #[prost(uint32, optional, tag = "2")]
    cpu_milli: Option<u32>,
    #[prost(message, optional, tag = "3")]
    origin: Option<OriginMessage>,
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
            own_process: self.own_process.as_ref().map(Carried::to_message),
            resolver: self.resolver.as_ref().map(Carried::to_message),
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
            own_process: from_option(message.own_process)?,
            resolver: from_option(message.resolver)?,
        })
    }
}

impl Carried for OwnProcess {
    type Message = OwnProcessMessage;

    fn to_message(&self) -> OwnProcessMessage {
        OwnProcessMessage {
            memory_mib: self.memory_mib,
            cpu_milli: self.cpu_milli,
            origin: Some(self.origin.to_message()),
        }
    }

    fn from_message(message: OwnProcessMessage) -> Result<Self, Misfit> {
        Ok(Self {
            memory_mib: message.memory_mib,
            cpu_milli: message.cpu_milli,
            origin: required(message.origin, "who asks for a process")?,
        })
    }
}

impl Carried for Resolver {
    type Message = ResolverMessage;

    fn to_message(&self) -> ResolverMessage {
        ResolverMessage {
            first: self.first.to_message(),
            more: to_list(&self.more),
        }
    }

    fn from_message(message: ResolverMessage) -> Result<Self, Misfit> {
        Ok(Self {
            first: NameServers::from_message(message.first)?,
            more: from_list(message.more)?,
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
