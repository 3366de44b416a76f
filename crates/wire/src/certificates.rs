//! What a proxy and its CA say to each other: who asks to join or renew, what is issued, and by what
//! time all of it is judged.

use alloc::{collections::BTreeSet, string::String, vec::Vec};
use core::time::Duration;

use leno_model::view::WorkloadId;
use leno_model::{SpiffeId, TrustDomain, Wall};
use prost::Message;

use crate::carried::{Carried, Misfit};
use crate::part::word::NamedMessage;
use crate::pods::{Arriving, ArrivingMessage};

/// The service account of nodes: whoever proves to be it may stand in front of every workload of its
/// namespace, and act as each of them.
pub const NODE: &str = "leno-node";

/// Who the control plane of a trust domain is.
pub fn control_plane(trust_domain: &TrustDomain) -> SpiffeId {
    SpiffeId::control_plane(trust_domain)
}

/// A proxy that has no certificate shows evidence to get one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Join {
    /// What proves who it is.
    pub evidence: Evidence,
    /// The namespace it wants to act in, if the evidence leaves a choice.
    pub namespace: Option<String>,
    /// The service account it wants to act as, if the evidence leaves a choice.
    pub service_account: Option<String>,
    /// A certificate request (PKCS #10) in DER.
    pub request: Vec<u8>,
}

/// What proves who somebody is that has no certificate.
#[derive(Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A join token.
    Token {
        /// Which one.
        id: String,
        /// What only its bearer knows.
        secret: Vec<u8>,
    },
    /// The process that asks, as the kernel of the control plane's host knows it.
    Process,
    /// A token of somebody else, in its compact form.
    Jwt(String),
}

/// What becomes of a proxy that is let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    /// Its first certificate.
    pub issued: Issued,
    /// Host and port at which it finds the control plane.
    pub address: String,
}

/// A proxy that has proven who it is asks for a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renew {
    /// For whom: itself, or a workload that its identity entitles it to stand in front of.
    pub identity: SpiffeId,
    /// A certificate request (PKCS #10) in DER.
    pub request: Vec<u8>,
    /// The pod whose own process is to have it, where the proxy of its node asks for that: it is a holder of its own.
    pub pod: Option<Arriving>,
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
        let (token, secret, jwt) = match &self.evidence {
            Evidence::Token { id, secret } => (Some(id.clone()), secret.clone(), None),
            Evidence::Process => (None, Vec::new(), None),
            Evidence::Jwt(token) => (None, Vec::new(), Some(token.clone())),
        };
        JoinMessage {
            token,
            secret,
            service_account: self.service_account.clone(),
            request: self.request.clone(),
            namespace: self.namespace.clone(),
            jwt,
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = JoinMessage::decode(bytes).map_err(|error| Misfit::new("join", error))?;
        let secret = message.secret;
        Ok(Self {
            evidence: match (message.token, message.jwt) {
                (Some(id), None) => Evidence::Token { id, secret },
                (None, Some(token)) => Evidence::Jwt(token),
                (None, None) => Evidence::Process,
                (Some(_), Some(_)) => return Err(Misfit::new("join", "it shows two things")),
            },
            namespace: message.namespace,
            service_account: message.service_account,
            request: message.request,
        })
    }
}

/// Shows which token, and nothing of its secret.
impl core::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Token { id, .. } => write!(f, "Token({id})"),
            Self::Process => f.write_str("Process"),
            Self::Jwt(_) => f.write_str("Jwt"),
        }
    }
}

impl Joined {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        JoinedMessage {
            issued: Some(self.issued.to_message()),
            address: self.address.clone(),
        }
        .encode_to_vec()
    }

    /// Reads what a control plane sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = JoinedMessage::decode(bytes).map_err(|error| Misfit::new("joined", error))?;
        let issued = message
            .issued
            .ok_or_else(|| Misfit::missing("certificate"))?;
        Ok(Self {
            issued: Issued::of(issued)?,
            address: message.address,
        })
    }
}

impl Renew {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        RenewMessage {
            identity: self.identity.to_message(),
            request: self.request.clone(),
            pod: self.pod.as_ref().map(Arriving::to_message),
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = RenewMessage::decode(bytes).map_err(|error| Misfit::new("renew", error))?;
        Ok(Self {
            identity: SpiffeId::from_message(message.identity)?,
            request: message.request,
            pod: message.pod.map(Arriving::from_message).transpose()?,
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
        self.to_message().encode_to_vec()
    }

    /// Reads what a CA sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        Self::of(IssuedMessage::decode(bytes).map_err(|error| Misfit::new("issued", error))?)
    }

    fn to_message(&self) -> IssuedMessage {
        IssuedMessage {
            chain: self.chain.clone(),
            trust_domain: self.trust_domain.to_message(),
            roots: self.roots.clone(),
        }
    }

    fn of(message: IssuedMessage) -> Result<Self, Misfit> {
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
struct JoinedMessage {
    #[prost(message, optional, tag = "1")]
    issued: Option<IssuedMessage>,
    #[prost(string, tag = "2")]
    address: String,
}

#[derive(Clone, PartialEq, Message)]
struct JoinMessage {
    #[prost(string, optional, tag = "1")]
    token: Option<String>,
    #[prost(bytes = "vec", tag = "2")]
    secret: Vec<u8>,
    #[prost(string, optional, tag = "3")]
    service_account: Option<String>,
    #[prost(bytes = "vec", tag = "4")]
    request: Vec<u8>,
    #[prost(string, optional, tag = "5")]
    namespace: Option<String>,
    #[prost(string, optional, tag = "6")]
    jwt: Option<String>,
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
    #[prost(message, optional, tag = "3")]
    pod: Option<ArrivingMessage>,
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
