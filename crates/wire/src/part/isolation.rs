//! From where calls come to which ports, as it is carried. Who does not know of it lets nobody in ([`guard`]).

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_model::view::access::IpBlock;
use leno_model::view::{AddressBlock, At, Ingress, Isolation, Peers};
use leno_model::{Name, Namespace, Origin, Ports};
use prost::Message;

use crate::carried::{Carried, Misfit, from_list, from_option, required, to_list};
use crate::part::access::{AccessRuleMessage, IpBlockMessage};
use crate::part::feature;
use crate::part::pod::PortsMessage;
use crate::part::word::OriginMessage;

/// The rule by which nobody is let in where nobody knows of isolation.
pub(crate) fn guard(isolation: &Isolation) -> Option<AccessRuleMessage> {
    let origin = isolation.by.first()?;
    Some(AccessRuleMessage::guard(origin, feature::ISOLATION))
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IsolationMessage {
    #[prost(message, repeated, tag = "1")]
    by: Vec<OriginMessage>,
    #[prost(message, repeated, tag = "2")]
    rules: Vec<IngressMessage>,
}

impl Carried for Isolation {
    type Message = IsolationMessage;

    fn to_message(&self) -> IsolationMessage {
        IsolationMessage {
            by: to_list(&self.by),
            rules: to_list(&self.rules),
        }
    }

    fn from_message(message: IsolationMessage) -> Result<Self, Misfit> {
        Ok(Self {
            by: from_list(message.by)?,
            rules: from_list(message.rules)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IngressMessage {
    #[prost(message, optional, tag = "1")]
    origin: Option<OriginMessage>,
    #[prost(message, repeated, tag = "2")]
    ports: Vec<PortsMessage>,
    /// Absent for everybody.
    #[prost(message, optional, tag = "3")]
    from: Option<PeersMessage>,
}

impl Carried for Ingress {
    type Message = IngressMessage;

    fn to_message(&self) -> IngressMessage {
        IngressMessage {
            origin: Some(self.origin.to_message()),
            ports: to_list(&self.ports),
            from: self.from.as_ref().map(|from| from.to_message()),
        }
    }

    fn from_message(message: IngressMessage) -> Result<Self, Misfit> {
        Ok(Self {
            origin: required::<Origin>(message.origin, "origin of a rule about who comes in")?,
            ports: from_list::<Ports>(message.ports)?,
            from: from_option(message.from)?.map(Arc::new),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PeersMessage {
    #[prost(message, repeated, tag = "1")]
    blocks: Vec<BlockMessage>,
    #[prost(string, repeated, tag = "2")]
    namespaces: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    accounts: Vec<AccountMessage>,
}

impl Carried for Peers {
    type Message = PeersMessage;

    fn to_message(&self) -> PeersMessage {
        let accounts = self.accounts.iter();
        PeersMessage {
            blocks: to_list(&self.blocks),
            namespaces: self.namespaces.iter().map(Carried::to_message).collect(),
            accounts: accounts.map(AccountMessage::of).collect(),
        }
    }

    fn from_message(message: PeersMessage) -> Result<Self, Misfit> {
        let namespaces = message.namespaces.into_iter();
        let accounts = message.accounts.into_iter();
        Ok(Self {
            blocks: from_list(message.blocks)?,
            namespaces: namespaces
                .map(Namespace::from_message)
                .collect::<Result<_, _>>()?,
            accounts: accounts
                .map(AccountMessage::read)
                .collect::<Result<BTreeMap<_, _>, _>>()?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BlockMessage {
    #[prost(message, optional, tag = "1")]
    block: Option<IpBlockMessage>,
    #[prost(message, repeated, tag = "2")]
    except: Vec<IpBlockMessage>,
}

impl Carried for AddressBlock {
    type Message = BlockMessage;

    fn to_message(&self) -> BlockMessage {
        BlockMessage {
            block: Some(self.block.to_message()),
            except: to_list(&self.except),
        }
    }

    fn from_message(message: BlockMessage) -> Result<Self, Misfit> {
        Ok(Self {
            block: required::<IpBlock>(message.block, "block of addresses")?,
            except: from_list(message.except)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AccountMessage {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    name: String,
    /// Whether all who act as it are meant: else those at these addresses.
    #[prost(bool, tag = "3")]
    anywhere: bool,
    #[prost(bytes = "vec", repeated, tag = "4")]
    addresses: Vec<Vec<u8>>,
}

impl AccountMessage {
    fn of(((namespace, name), at): (&(Namespace, Name), &At)) -> Self {
        let addresses = match at {
            At::Anywhere => Vec::new(),
            At::Addresses(addresses) => addresses.iter().map(IpAddr::to_message).collect(),
        };
        Self {
            namespace: namespace.to_message(),
            name: name.to_message(),
            anywhere: *at == At::Anywhere,
            addresses,
        }
    }

    fn read(self) -> Result<((Namespace, Name), At), Misfit> {
        let namespace = Namespace::from_message(self.namespace)?;
        let name = Name::from_message(self.name)?;
        let at = match self.anywhere {
            true => At::Anywhere,
            false => At::Addresses(from_list::<IpAddr>(self.addresses)?.into_iter().collect()),
        };
        Ok(((namespace, name), at))
    }
}
