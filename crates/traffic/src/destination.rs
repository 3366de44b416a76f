//! Where a captured connection wants to go: the address it was made to, as the view knows it.

use alloc::{collections::BTreeSet, sync::Arc};
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use leno_model::view::{Endpoint, Service, Unknown, Workload};
use leno_model::{Network, ServiceName};

use crate::table::Port;

/// What an address and port mean.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destination<'t> {
    /// A port of a service: its routes decide.
    Service(&'t Port),
    /// One endpoint, named by its own address: the service's routes are not asked.
    Endpoint(Direct<'t>),
    /// A workload that this proxy stands in front of, and that no service sends to.
    Own(&'t Workload),
    /// A service, at a port that it does not have.
    NoSuchPort(&'t Service),
    /// Nothing in the mesh.
    Unknown(Unknown),
    /// Nothing that the view was asked to hold: ask for this, and look again.
    Needs(Subscription),
}

/// One endpoint, at a port of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Direct<'t> {
    /// A service port that it answers for: whose tuning holds.
    pub of: &'t Port,
    /// The endpoint.
    pub endpoint: &'t Endpoint,
    /// Where the call goes: the endpoint's address, perhaps at another port than the service uses.
    pub address: SocketAddr,
}

/// One question to the control plane.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subscription {
    /// A service by its name.
    Service(ServiceName),
    /// Whatever has this address.
    Address(Network, IpAddr),
}

/// `service/NS/NAME` or `address/NETWORK/IP`.
impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service/{name}"),
            Self::Address(network, ip) => write!(f, "address/{network}/{ip}"),
        }
    }
}

/// How much of the mesh a view holds. What lies outside is not absent, only not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All of it.
    Whole,
    /// The answers to these.
    Answered(Arc<BTreeSet<Subscription>>),
}

impl Scope {
    /// Whether the view would hold the answer, if there is one.
    pub fn holds(&self, question: &Subscription) -> bool {
        match self {
            Self::Whole => true,
            Self::Answered(answered) => answered.contains(question),
        }
    }
}
