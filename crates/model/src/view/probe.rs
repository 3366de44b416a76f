//! Health checks from outside the mesh: who makes them cannot prove who it is, and an application that is not
//! asked counts as dead.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use crate::origin::Origin;
use crate::view::access::IpBlock;

/// What in plain is let in by where it comes from and what it asks, before mTLS and access are asked about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The entry in the object: `Mesh shop /spec/probes/0`.
    pub origin: Origin,
    /// Where it comes from: an address of one of these.
    pub from: Vec<IpBlock>,
    /// The workload's port, as it listens on it.
    pub port: u16,
    /// How it asks.
    pub check: Check,
}

/// How a health check asks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Check {
    /// By a request for this path, exactly; what follows a `?` is free. Only a GET or HEAD is one, or a check of gRPC
    /// ([`Probe::GRPC_PATH`]), and only if it asks for no other protocol.
    Request(Arc<str>),
    /// By TLS, which hides what is asked: whatever begins so is let in.
    Tls,
    /// By a connection in which nothing is said.
    Connection,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request(path) => path,
            Self::Tls => "TLS",
            Self::Connection => "a connection",
        })
    }
}

impl Probe {
    /// Where gRPC's health checking protocol asks, by POST.
    pub const GRPC_PATH: &str = "/grpc.health.v1.Health/Check";
}
