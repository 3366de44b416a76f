//! From where calls come to which ports of a workload, as `NetworkPolicy` says it: what the network of a cluster cannot
//! hold of calls of the mesh, since all of them arrive at one port.

use alloc::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
    vec::Vec,
};
use core::fmt;
use core::net::IpAddr;

use crate::name::{Name, Namespace};
use crate::origin::Origin;
use crate::ports::Ports;
use crate::view::access::IpBlock;

/// What stands before all ports of a workload by a `NetworkPolicy`: only calls come to it that one of the rules lets in,
/// where policies select it, and that a rule lets out, where they select the caller. It is asked about callers that proved
/// who they are; of others the network of the cluster sees the port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Isolation {
    /// The policies that select the workload. Without one, everybody is let in.
    pub by: Vec<Origin>,
    /// Whom they let in, in the order of the policies.
    pub rules: Vec<Ingress>,
    /// Whom other policies let out to some of the workload's ports alone, or to all of them where the others of these
    /// callers are held.
    pub egress: Vec<Arc<Egress>>,
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
        write_ports(&self.ports, f)
    }
}

/// `every port`, or `port 8080, 9000-9094`.
fn write_ports(ports: &[Ports], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match ports.split_first() {
        None => f.write_str("every port"),
        Some((first, others)) => {
            write!(f, "port {first}")?;
            others.iter().try_for_each(|port| write!(f, ", {port}"))
        }
    }
}

/// Callers that the same policies select: of a workload's ports, these let them out to some alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Egress {
    /// The policies, of which there is one at least.
    pub by: Vec<Origin>,
    /// Whether no policy selects all of them: each caller has others, and these are an example.
    pub have_others: bool,
    /// Whom they select. No caller is in two of a workload's without [`Self::is_rest`], but for one whose address is not
    /// known yet.
    pub callers: Arc<Peers>,
    /// What they let out to the workload.
    pub rules: Vec<Leave>,
    /// Whether it is about those of the callers alone whom none of the workload's before it is about.
    pub is_rest: bool,
}

/// Ports to which callers are let out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Leave {
    /// The rule in the object: `NetworkPolicy shop/web /spec/egress/0`.
    pub origin: Origin,
    /// How many rules of other objects say the same, of others of the callers.
    pub alike: u32,
    /// The ports, as the workload listens on them. Empty is every port.
    pub ports: Vec<Ports>,
}

/// `port 8080`, `port 443 (and 12 rules alike)`.
impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ports(&self.ports, f)?;
        match self.alike {
            0 => Ok(()),
            alike => write!(f, " (and {alike} rules alike)"),
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

impl Peers {
    /// Everybody who acts in a namespace.
    pub fn of_namespace(namespace: Namespace) -> Self {
        Self {
            namespaces: [namespace].into(),
            ..Self::default()
        }
    }

    /// All who are among any of these.
    pub fn any_of<'p>(several: impl Iterator<Item = &'p Self>) -> Self {
        let mut all = Self::default();
        for peers in several {
            all.blocks.extend_from_slice(&peers.blocks);
            all.namespaces.extend(peers.namespaces.iter().cloned());
            for (account, at) in &peers.accounts {
                all.add(account.clone(), at.clone());
            }
        }
        all
    }

    /// Those of an account who are at `at`, beside those who were meant before.
    pub fn add(&mut self, account: (Namespace, Name), at: At) {
        match self.accounts.entry(account) {
            Entry::Vacant(entry) => drop(entry.insert(at)),
            Entry::Occupied(mut entry) => {
                let before = entry.insert(At::Anywhere);
                entry.insert(before.or(at));
            }
        }
    }
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

    /// Whether one of `addresses` is meant.
    pub fn has_one(&self, addresses: &[IpAddr]) -> bool {
        let mut addresses = addresses.iter();
        addresses.any(|address| self.contains(address.to_canonical()))
    }
}

/// Which of those who act as one account are meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum At {
    /// All of them.
    Anywhere,
    /// Those at one of these addresses: others act as the same account, and are not meant.
    Addresses(BTreeSet<IpAddr>),
    /// All but those at these addresses, who act as the same account and are not meant. Who is new is.
    Others(BTreeSet<IpAddr>),
}

impl At {
    /// Either of both.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Anywhere, _) | (_, Self::Anywhere) => Self::Anywhere,
            (Self::Addresses(mut some), Self::Addresses(more)) => {
                some.extend(more);
                Self::Addresses(some)
            }
            (Self::Addresses(some), Self::Others(others))
            | (Self::Others(others), Self::Addresses(some)) => Self::but(&others - &some),
            (Self::Others(one), Self::Others(other)) => Self::but(&one & &other),
        }
    }

    /// All but those at these addresses.
    fn but(others: BTreeSet<IpAddr>) -> Self {
        match others.is_empty() {
            true => Self::Anywhere,
            false => Self::Others(others),
        }
    }
}

/// ` at 10.1.0.7 10.1.0.8`, ` but at 10.1.0.7`, or nothing.
impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, some) = match self {
            Self::Anywhere => return Ok(()),
            Self::Addresses(some) => (" at", some),
            Self::Others(some) => (" but at", some),
        };
        f.write_str(word)?;
        some.iter().try_for_each(|address| write!(f, " {address}"))
    }
}
