//! A pod into whose network its node's proxy reaches: to carry its calls, or to keep the rules by which a proxy in the pod
//! does.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;
use core::net::IpAddr;

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
    /// Whom it asks for names that the mesh does not know. Without it, the cluster's name servers.
    pub resolver: Option<Resolver>,
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

/// The name servers that a pod asks, in its own network, one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolver {
    /// Whose come first.
    pub first: NameServers,
    /// Those that it names itself.
    pub more: Vec<IpAddr>,
}

/// Whose name servers there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameServers {
    /// Those of the cluster.
    Cluster,
    /// Those that its node asks.
    Node,
    /// Nobody's.
    Nobody,
}

impl Resolver {
    /// How many servers are asked, as resolv.conf(5) has it.
    pub const MOST: usize = 3;

    /// The servers that are asked, of those of the cluster and those of the node.
    pub fn servers(&self, cluster: &[IpAddr], node: &[IpAddr]) -> Vec<IpAddr> {
        let first = match self.first {
            NameServers::Cluster => cluster,
            NameServers::Node => node,
            NameServers::Nobody => &[],
        };
        let mut servers = Vec::new();
        for server in first.iter().chain(&self.more) {
            if servers.len() < Self::MOST && !servers.contains(server) {
                servers.push(*server);
            }
        }
        servers
    }
}

/// `the cluster's name servers, then 10.0.0.53`
impl fmt::Display for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.first, self.more.is_empty()) {
            (NameServers::Cluster, true) => "the cluster's name servers",
            (NameServers::Cluster, false) => "the cluster's name servers, then ",
            (NameServers::Node, true) => "its node's name servers",
            (NameServers::Node, false) => "its node's name servers, then ",
            (NameServers::Nobody, true) => "nobody",
            (NameServers::Nobody, false) => "",
        })?;
        for (number, server) in self.more.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{server}")?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn a_pod_asks_whom_its_policy_names_and_then_its_own_servers() {
        let ip = |last: u8| IpAddr::from([10, 0, 0, last]);
        let (cluster, node) = ([ip(1)], [ip(2), ip(3)]);
        for (first, more, expect, told) in [
            (
                NameServers::Cluster,
                &[][..],
                &[1][..],
                "the cluster's name servers",
            ),
            (
                NameServers::Cluster,
                &[9, 1],
                &[1, 9],
                "the cluster's name servers, then 10.0.0.9, 10.0.0.1",
            ),
            (NameServers::Node, &[], &[2, 3], "its node's name servers"),
            (
                NameServers::Node,
                &[3, 8, 9],
                &[2, 3, 8],
                "its node's name servers, then 10.0.0.3, 10.0.0.8, 10.0.0.9",
            ),
            (NameServers::Nobody, &[9], &[9], "10.0.0.9"),
            (NameServers::Nobody, &[], &[], "nobody"),
        ] {
            let more = more.iter().copied().map(ip).collect();
            let resolver = Resolver { first, more };
            let expect: Vec<_> = expect.iter().copied().map(ip).collect();
            assert_eq!(resolver.servers(&cluster, &node), expect, "{resolver}");
            assert_eq!(resolver.to_string(), told);
        }
    }
}
