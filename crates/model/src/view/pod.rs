//! A pod into whose network its node's proxy reaches: to carry its calls, or to keep the rules by which a proxy in the pod
//! does.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use super::access::IpBlock;
use crate::{Origin, Ports};

/// How the proxy of a node finds the pod's network, and what it does not capture there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pod {
    /// What tells it from other pods of its name, before and after.
    pub uid: Arc<str>,
    /// What goes past the proxy.
    pub left_out: LeftOut,
    /// The process that carries its calls and nobody else's. Without it, the one of all pods of its node does.
    pub own_process: Option<OwnProcess>,
}

/// A process that carries the calls of one pod alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnProcess {
    /// The most memory that it may take, in MiB.
    pub memory_mib: u32,
    /// The most time of processors that it may take, in thousandths of one. Without it, as much as there is.
    pub cpu_milli: Option<u32>,
    /// Who asks for it.
    pub origin: Origin,
}

impl OwnProcess {
    /// The memory that it may take where nobody says it, in MiB.
    pub const MEMORY_MIB: u32 = 128;
}

/// `a process of its own, of at most 128 MiB and 500 m of processors`
impl fmt::Display for OwnProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a process of its own, of at most {} MiB",
            self.memory_mib
        )?;
        match self.cpu_milli {
            Some(milli) => write!(f, " and {milli} m of processors"),
            None => Ok(()),
        }
    }
}

/// What a pod leaves out of its capture.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LeftOut {
    /// The ports at which it is called without the proxy.
    pub inbound: Vec<Ports>,
    /// The ports that it calls without the proxy.
    pub outbound: Vec<Ports>,
    /// The addresses that it calls without the proxy.
    pub outbound_blocks: Vec<IpBlock>,
}

impl LeftOut {
    /// How many of each there may be: a packet that opens a connection is held against all of them.
    pub const MOST: usize = 64;
}
