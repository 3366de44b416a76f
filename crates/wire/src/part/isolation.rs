//! From where calls come to which ports, as it is carried. Who does not know of it lets nobody in ([`guards`]).

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_model::view::access::IpBlock;
use leno_model::view::{AddressBlock, At, Egress, Ingress, Isolation, Leave, Peers};
use leno_model::{Name, Namespace, Origin, Ports};
use prost::Message;

use crate::carried::{Carried, Misfit, from_list, from_option, required, to_list};
use crate::part::access::{AccessRuleMessage, IpBlockMessage};
use crate::part::feature;
use crate::part::pod::PortsMessage;
use crate::part::word::OriginMessage;

/// The rules by which nobody is let in where nobody knows of isolation, or of a kind of it that is there.
pub(crate) fn guards(isolation: &Isolation) -> impl Iterator<Item = AccessRuleMessage> {
    let egress = isolation.egress.first().and_then(|it| it.by.first());
    let any = isolation.by.first().or(egress);
    let guards = [
        (any, feature::ISOLATION),
        (egress, feature::ISOLATION_EGRESS),
    ];
    let needed = guards.into_iter();
    needed.filter_map(|(origin, feature)| Some(AccessRuleMessage::guard(origin?, feature)))
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IsolationMessage {
    #[prost(message, repeated, tag = "1")]
    by: Vec<OriginMessage>,
    #[prost(message, repeated, tag = "2")]
    rules: Vec<IngressMessage>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) egress: Vec<EgressMessage>,
}

impl Carried for Isolation {
    type Message = IsolationMessage;

    fn to_message(&self) -> IsolationMessage {
        IsolationMessage {
            by: to_list(&self.by),
            rules: to_list(&self.rules),
            egress: self.egress.iter().map(|it| it.to_message()).collect(),
        }
    }

    fn from_message(message: IsolationMessage) -> Result<Self, Misfit> {
        let egress = from_list::<Egress>(message.egress)?;
        Ok(Self {
            by: from_list(message.by)?,
            rules: from_list(message.rules)?,
            egress: egress.into_iter().map(Arc::new).collect(),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EgressMessage {
    #[prost(message, repeated, tag = "1")]
    by: Vec<OriginMessage>,
    #[prost(message, optional, tag = "2")]
    callers: Option<PeersMessage>,
    #[prost(message, repeated, tag = "3")]
    rules: Vec<LeaveMessage>,
    #[prost(bool, tag = "4")]
    is_rest: bool,
    #[prost(bool, tag = "5")]
    have_others: bool,
}

impl Carried for Egress {
    type Message = EgressMessage;

    fn to_message(&self) -> EgressMessage {
        EgressMessage {
            by: to_list(&self.by),
            callers: Some(self.callers.to_message()),
            rules: to_list(&self.rules),
            is_rest: self.is_rest,
            have_others: self.have_others,
        }
    }

    fn from_message(message: EgressMessage) -> Result<Self, Misfit> {
        Ok(Self {
            by: from_list(message.by)?,
            callers: Arc::new(required::<Peers>(
                message.callers,
                "callers whom rules let out",
            )?),
            rules: from_list(message.rules)?,
            is_rest: message.is_rest,
            have_others: message.have_others,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LeaveMessage {
    #[prost(message, optional, tag = "1")]
    origin: Option<OriginMessage>,
    #[prost(message, repeated, tag = "2")]
    ports: Vec<PortsMessage>,
    #[prost(uint32, tag = "3")]
    alike: u32,
}

impl Carried for Leave {
    type Message = LeaveMessage;

    fn to_message(&self) -> LeaveMessage {
        LeaveMessage {
            origin: Some(self.origin.to_message()),
            ports: to_list(&self.ports),
            alike: self.alike,
        }
    }

    fn from_message(message: LeaveMessage) -> Result<Self, Misfit> {
        Ok(Self {
            origin: required::<Origin>(message.origin, "origin of a rule about who goes out")?,
            ports: from_list::<Ports>(message.ports)?,
            alike: message.alike,
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
    /// Whether all who act as it are meant: else those at these addresses, or all others.
    #[prost(bool, tag = "3")]
    anywhere: bool,
    #[prost(bytes = "vec", repeated, tag = "4")]
    addresses: Vec<Vec<u8>>,
    #[prost(bool, tag = "5")]
    others: bool,
}

impl AccountMessage {
    fn of(((namespace, name), at): (&(Namespace, Name), &At)) -> Self {
        let addresses = match at {
            At::Anywhere => Vec::new(),
            At::Addresses(addresses) | At::Others(addresses) => {
                addresses.iter().map(IpAddr::to_message).collect()
            }
        };
        Self {
            namespace: namespace.to_message(),
            name: name.to_message(),
            anywhere: *at == At::Anywhere,
            addresses,
            others: matches!(at, At::Others(_)),
        }
    }

    fn read(self) -> Result<((Namespace, Name), At), Misfit> {
        let namespace = Namespace::from_message(self.namespace)?;
        let name = Name::from_message(self.name)?;
        let addresses = || Ok(from_list::<IpAddr>(self.addresses)?.into_iter().collect());
        let at = match (self.anywhere, self.others) {
            (true, _) => At::Anywhere,
            (false, false) => At::Addresses(addresses()?),
            (false, true) => At::Others(addresses()?),
        };
        Ok(((namespace, name), at))
    }
}
