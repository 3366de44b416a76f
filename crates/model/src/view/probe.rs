//! Health checks from outside the mesh: who makes them cannot prove who it is, and an application that is not
//! asked counts as dead.

use alloc::{sync::Arc, vec::Vec};

use crate::origin::Origin;
use crate::view::access::IpBlock;

/// Requests in plain that are let in by where they come from and what they ask, before mTLS and access
/// are asked about them.
///
/// Only a GET or HEAD is one, or a check of gRPC ([`Probe::GRPC_PATH`]), and only if it asks for no
/// other protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The entry in the object: `Mesh shop /spec/probes/0`.
    pub origin: Origin,
    /// Where it comes from: an address of one of these.
    pub from: Vec<IpBlock>,
    /// The workload's port, as it listens on it.
    pub port: u16,
    /// The path that is asked, exactly. What follows a `?` is free.
    pub path: Arc<str>,
}

impl Probe {
    /// Where gRPC's health checking protocol asks, by POST.
    pub const GRPC_PATH: &str = "/grpc.health.v1.Health/Check";
}
