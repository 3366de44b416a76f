//! The nodes of a cluster: what tells one from the other.

use crate::families::Families;

/// One of the nodes of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    /// The one that every cluster has, with etcd, the API server and all that is there once.
    First,
    /// One that runs pods and nothing else.
    Second,
}

impl Node {
    /// All there may be.
    pub(crate) const ALL: [Self; 2] = [Self::First, Self::Second];

    /// What the cluster calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "node-1",
            Self::Second => "node-2",
        }
    }

    /// Its address on the nodes' network, to which nothing leads from outside.
    pub(crate) fn ip(self) -> &'static str {
        match self {
            Self::First => "172.30.0.10",
            Self::Second => "172.30.0.11",
        }
    }

    /// Its address of the other family.
    pub(crate) fn ip6(self) -> &'static str {
        match self {
            Self::First => "fd00:30::10",
            Self::Second => "fd00:30::11",
        }
    }

    /// The one at which all that a cluster is made of reaches it.
    pub(crate) fn first_ip(self, families: Families) -> &'static str {
        families.first(self.ip(), self.ip6())
    }

    /// The address of its device on that network, the same whenever the host starts.
    pub(crate) fn mac(self) -> &'static str {
        match self {
            Self::First => "02:00:00:00:00:01",
            Self::Second => "02:00:00:00:00:02",
        }
    }

    /// The addresses of its pods.
    pub(crate) fn pods(self) -> &'static str {
        match self {
            Self::First => "10.244.0.0/24",
            Self::Second => "10.244.1.0/24",
        }
    }

    /// Those of the other family.
    pub(crate) fn pods6(self) -> &'static str {
        match self {
            Self::First => "fd00:244::/64",
            Self::Second => "fd00:244:0:1::/64",
        }
    }
}
