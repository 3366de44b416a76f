//! A pod into whose network its node's proxy reaches: to carry its calls, or to keep the rules by which a proxy in the pod
//! does.

use alloc::{sync::Arc, vec::Vec};

use super::access::IpBlock;
use crate::Ports;

/// How the proxy of a node finds the pod's network, and what it does not capture there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pod {
    /// What tells it from other pods of its name, before and after.
    pub uid: Arc<str>,
    /// What goes past the proxy.
    pub left_out: LeftOut,
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
