//! From where calls come to which ports of a workload, as `NetworkPolicy` says it: what the network of a cluster cannot
//! hold of calls of the mesh, since all of them arrive at one port.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::fmt;
use core::net::IpAddr;

use crate::name::{Name, Namespace};
use crate::origin::Origin;
use crate::ports::Ports;
use crate::view::access::IpBlock;

/// What stands before all ports of a workload that a `NetworkPolicy` selects: only calls that one of the rules lets in
/// come to it. It is asked about callers that proved who they are; of others the network of the cluster sees the port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Isolation {
    /// The policies that select the workload. Without one, nothing is isolated.
    pub by: Vec<Origin>,
    /// Whom they let in, in the order of the policies.
    pub rules: Vec<Ingress>,
}

/// Callers who come in to some ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ingress {
    /// The rule in the object: `NetworkPolicy shop/cart /spec/ingress/0`.
    pub origin: Origin,
    /// The ports, as the workload listens on them. Empty is every port.
    pub ports: Vec<Ports>,
    /// Who; `None` is everybody.
    pub from: Option<Arc<Peers>>,
}

/// `shop/web, 10.0.0.0/8 without 10.1.0.0/16 to port 8080`.
impl fmt::Display for Ingress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Some(peers) => write!(f, "{peers} to ")?,
            None => f.write_str("everybody to ")?,
        }
        match self.ports.split_first() {
            None => f.write_str("every port"),
            Some((first, others)) => {
                write!(f, "port {first}")?;
                others.iter().try_for_each(|port| write!(f, ", {port}"))
            }
        }
    }
}

/// Callers, by where they come from: any of these.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Peers {
    /// Who comes from these addresses.
    pub blocks: Vec<AddressBlock>,
    /// Everybody who acts in one of these namespaces of the own trust domain.
    pub namespaces: BTreeSet<Namespace>,
    /// Who acts as one of these accounts of the own trust domain.
    pub accounts: BTreeMap<(Namespace, Name), At>,
}

/// `10.0.0.0/8, shop/*, bank/web at 10.1.0.7 10.1.0.8`, or `nobody`.
impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        let mut apart = || core::mem::replace(&mut before, ", ");
        for block in &self.blocks {
            write!(f, "{}{block}", apart())?;
        }
        for namespace in &self.namespaces {
            write!(f, "{}{namespace}/*", apart())?;
        }
        for ((namespace, account), at) in &self.accounts {
            write!(f, "{}{namespace}/{account}{at}", apart())?;
        }
        match before {
            "" => f.write_str("nobody"),
            _ => Ok(()),
        }
    }
}

/// A block of addresses, without some of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressBlock {
    /// The block.
    pub block: IpBlock,
    /// What of it is not meant.
    pub except: Vec<IpBlock>,
}

/// `10.0.0.0/8 without 10.1.0.0/16`.
impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.block)?;
        let without = if self.except.is_empty() {
            ""
        } else {
            " without"
        };
        f.write_str(without)?;
        self.except.iter().try_for_each(|it| write!(f, " {it}"))
    }
}

impl AddressBlock {
    /// Whether `address` is meant.
    pub fn contains(&self, address: IpAddr) -> bool {
        let is_in = |block: &IpBlock| block.contains(address);
        is_in(&self.block) && !self.except.iter().any(is_in)
    }
}

/// Which of those who act as one account are meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum At {
    /// All of them.
    Anywhere,
    /// Those at one of these addresses: others act as the same account, and are not meant.
    Addresses(BTreeSet<IpAddr>),
}

/// ` at 10.1.0.7 10.1.0.8`, or nothing.
impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anywhere => Ok(()),
            Self::Addresses(some) => {
                f.write_str(" at")?;
                some.iter().try_for_each(|address| write!(f, " {address}"))
            }
        }
    }
}
