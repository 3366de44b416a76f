//! What takes part in a comparison: one proxy or a pair, in front of the same origin.

use std::{io, net::SocketAddr, time::Duration};

use crate::rig::process::Running;

/// One proxy, or a pair of them, that carries calls from `address` to the origin; none, if `address`
/// is the origin's.
pub(crate) struct Contestant {
    /// As the document names it.
    pub(crate) name: String,
    /// Where it takes calls.
    pub(crate) address: SocketAddr,
    /// Its processes, the one that takes the calls first.
    pub(crate) proxies: Vec<Running>,
}

impl Contestant {
    /// The CPU time that its processes have used.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        self.proxies.iter().map(Running::cpu).sum()
    }

    /// The private memory that its processes hold, in bytes.
    pub(crate) fn private(&self) -> io::Result<u64> {
        self.proxies
            .iter()
            .map(|proxy| Ok(proxy.memory()?.private))
            .sum()
    }
}
