//! What a proxy and its CA say to each other: who asks to join or renew, what is issued, and by what
//! time all of it is judged.

use alloc::{collections::BTreeSet, string::String, vec::Vec};
use core::time::Duration;

use leno_model::view::WorkloadId;
use leno_model::{Name, Namespace, SpiffeId, TrustDomain, Wall};
use prost::Message;

use crate::carried::{Carried, Misfit};
use crate::part::word::NamedMessage;

/// The service account of nodes: whoever proves to be it may stand in front of every workload of its
/// namespace, and act as each of them.
pub const NODE: &str = "leno-node";

/// Who the control plane of a trust domain is.
pub fn control_plane(trust_domain: &TrustDomain) -> SpiffeId {
    SpiffeId {
        trust_domain: trust_domain.clone(),
        namespace: Namespace::new("leno-system").expect("a constant that is a label"),
        service_account: Name::new("leno-control").expect("a constant that is a name"),
    }
}

/// A proxy that has no certificate shows a token to get one.
#[derive(Clone, PartialEq, Eq)]
pub struct Join {
    /// Which token.
    pub token: String,
    /// What only its bearer knows.
    pub secret: Vec<u8>,
    /// The service account it wants to act as, if the token leaves a choice.
    pub service_account: Option<String>,
    /// A certificate request (PKCS #10) in DER.
    pub request: Vec<u8>,
}

/// A proxy that has proven who it is asks for a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renew {
    /// For whom: itself, or a workload that its identity entitles it to stand in front of.
    pub identity: SpiffeId,
    /// A certificate request (PKCS #10) in DER.
    pub request: Vec<u8>,
}

/// A proxy whose certificate has ended asks for another: nothing but that certificate says who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Readmit {
    /// The certificates that have ended, in DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// A certificate request (PKCS #10) in DER.
    pub request: Vec<u8>,
    /// The ended certificate's seal over the request, as of its last second.
    pub signature: Vec<u8>,
}

/// A proxy that has proven who it is goes away for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leave {
    /// The workloads that it no longer stands in front of.
    pub workloads: BTreeSet<WorkloadId>,
}

/// What the CA gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// The certificates in DER, the leaf first and the root left out.
    pub chain: Vec<Vec<u8>>,
    /// Whose roots these are.
    pub trust_domain: TrustDomain,
    /// The roots in DER.
    pub roots: Vec<Vec<u8>>,
}

/// What time it is at the control plane, at the moment it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time(pub Wall);

impl Join {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        JoinMessage {
            token: self.token.clone(),
            secret: self.secret.clone(),
            service_account: self.service_account.clone(),
            request: self.request.clone(),
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = JoinMessage::decode(bytes).map_err(|error| Misfit::new("join", error))?;
        Ok(Self {
            token: message.token,
            secret: message.secret,
            service_account: message.service_account,
            request: message.request,
        })
    }
}

/// Shows which token, and nothing of its secret.
impl core::fmt::Debug for Join {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Join({})", self.token)
    }
}

impl Renew {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        RenewMessage {
            identity: self.identity.to_message(),
            request: self.request.clone(),
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = RenewMessage::decode(bytes).map_err(|error| Misfit::new("renew", error))?;
        Ok(Self {
            identity: SpiffeId::from_message(message.identity)?,
            request: message.request,
        })
    }
}

impl Readmit {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        ReadmitMessage {
            chain: self.chain.clone(),
            request: self.request.clone(),
            signature: self.signature.clone(),
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message =
            ReadmitMessage::decode(bytes).map_err(|error| Misfit::new("readmit", error))?;
        Ok(Self {
            chain: message.chain,
            request: message.request,
            signature: message.signature,
        })
    }
}

impl Leave {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        LeaveMessage {
            workloads: self.workloads.iter().map(Carried::to_message).collect(),
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = LeaveMessage::decode(bytes).map_err(|error| Misfit::new("leave", error))?;
        let workloads = message.workloads.into_iter().map(WorkloadId::from_message);
        Ok(Self {
            workloads: workloads.collect::<Result<_, _>>()?,
        })
    }
}

impl Issued {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        IssuedMessage {
            chain: self.chain.clone(),
            trust_domain: self.trust_domain.to_message(),
            roots: self.roots.clone(),
        }
        .encode_to_vec()
    }

    /// Reads what a CA sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = IssuedMessage::decode(bytes).map_err(|error| Misfit::new("issued", error))?;
        Ok(Self {
            chain: message.chain,
            trust_domain: TrustDomain::from_message(message.trust_domain)?,
            roots: message.roots,
        })
    }
}

impl Time {
    /// Its bytes.
    pub fn encode(self) -> Vec<u8> {
        let Self(wall) = self;
        let since = wall.elapsed_since_epoch();
        TimeMessage {
            seconds: since.as_secs(),
            nanos: since.subsec_nanos(),
        }
        .encode_to_vec()
    }

    /// Reads what a control plane sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = TimeMessage::decode(bytes).map_err(|error| Misfit::new("time", error))?;
        let nanos = Duration::from_nanos(u64::from(message.nanos));
        let since = Duration::from_secs(message.seconds).saturating_add(nanos);
        Ok(Self(Wall::since_epoch(since)))
    }
}

#[derive(Clone, PartialEq, Message)]
struct TimeMessage {
    #[prost(uint64, tag = "1")]
    seconds: u64,
    #[prost(uint32, tag = "2")]
    nanos: u32,
}

#[derive(Clone, PartialEq, Message)]
struct JoinMessage {
    #[prost(string, tag = "1")]
    token: String,
    #[prost(bytes = "vec", tag = "2")]
    secret: Vec<u8>,
    #[prost(string, optional, tag = "3")]
    service_account: Option<String>,
    #[prost(bytes = "vec", tag = "4")]
    request: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ReadmitMessage {
    #[prost(bytes = "vec", repeated, tag = "1")]
    chain: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "2")]
    request: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct LeaveMessage {
    #[prost(message, repeated, tag = "1")]
    workloads: Vec<NamedMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct RenewMessage {
    #[prost(string, tag = "1")]
    identity: String,
    #[prost(bytes = "vec", tag = "2")]
    request: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct IssuedMessage {
    #[prost(bytes = "vec", repeated, tag = "1")]
    chain: Vec<Vec<u8>>,
    #[prost(string, tag = "2")]
    trust_domain: String,
    #[prost(bytes = "vec", repeated, tag = "3")]
    roots: Vec<Vec<u8>>,
}
