//! Who calls: proven by a channel, or claimed by somebody who asks what would happen.

use core::fmt;
use core::net::IpAddr;

use leno_identity::Caller;
use leno_model::SpiffeId;
use leno_model::view::WorkloadId;

/// The other end of a connection that a proxy accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// What it proved.
    pub channel: Channel,
    /// Where it came from.
    pub address: IpAddr,
}

/// How a call reached the proxy, and what that proves about the caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Channel {
    /// Through a tunnel, after a handshake that proved who it is.
    Mtls(Caller),
    /// From a workload of this proxy's own, known by the socket it came through.
    Local(WorkloadId),
    /// In plain: nothing is proven.
    Plain(WhyPlain),
}

/// Why nothing is proven about the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WhyPlain {
    /// It called the workload's port itself, not the tunnel.
    CallerNotInMesh,
    /// It is an endpoint without a tunnel.
    EndpointNotInMesh,
    /// It is a destination that the mesh knows nothing of.
    DestinationUnknown,
}

impl WhyPlain {
    /// The word in logs, metrics and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallerNotInMesh => "caller-not-in-mesh",
            Self::EndpointNotInMesh => "endpoint-not-in-mesh",
            Self::DestinationUnknown => "destination-unknown",
        }
    }
}

impl fmt::Display for WhyPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is said about a caller. Anybody may claim anything: a claim is judged, never admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim<'a> {
    /// Who it is; `Known(None)` is a plain caller.
    pub caller: Fact<Option<&'a SpiffeId>>,
    /// Where it comes from.
    pub address: Fact<IpAddr>,
}

/// Something that was recorded, or was not. The proxy knows every fact; a replay may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fact<T> {
    /// It is this.
    Known(T),
    /// Nobody can say.
    Unknown,
}

/// A fact that a verdict needs and a claim lacks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Missing {
    /// Who the caller is.
    CallerIdentity,
    /// Where the caller comes from.
    CallerAddress,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallerIdentity => "the caller's identity",
            Self::CallerAddress => "the caller's address",
        })
    }
}
