//! What a control plane beside the default one of its mesh and that one say to each other: both are of one trust domain,
//! and the default one has its roots.

use alloc::{string::String, vec::Vec};

use leno_model::{SpiffeId, TrustDomain};
use prost::Message;

use crate::carried::{Carried, Misfit};

/// One that stands beside says how far it follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Follow {
    /// What names the bundle that it holds, and everyone who has a certificate of it.
    pub holds: Option<[u8; 16]>,
}

/// What the default one tells whoever follows it, each time that it is something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lead {
    /// Whose roots these are.
    pub trust_domain: TrustDomain,
    /// The roots in DER, in the order in which they came.
    pub roots: Vec<Vec<u8>>,
    /// SHA-256 of the one that signs.
    pub active: [u8; 32],
    /// The identities that are refused although their certificates are valid.
    pub revoked: Vec<SpiffeId>,
}

/// One that stands beside asks for an intermediate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endorse {
    /// A certificate request (PKCS #10) in DER.
    pub request: Vec<u8>,
}

/// What it is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endorsed {
    /// In DER: the intermediate, and the root that it leads to.
    pub chain: Vec<Vec<u8>>,
}

impl Follow {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        FollowMessage {
            holds: self.holds.map(Vec::from),
        }
        .encode_to_vec()
    }

    /// Reads what one that stands beside sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = FollowMessage::decode(bytes).map_err(|error| Misfit::new("follow", error))?;
        let holds = message.holds.map(<[u8; 16]>::try_from).transpose();
        let misfit = |_| Misfit::new("name of a bundle", "it has another length than 16 bytes");
        Ok(Self {
            holds: holds.map_err(misfit)?,
        })
    }
}

impl Lead {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        LeadMessage {
            trust_domain: self.trust_domain.to_message(),
            roots: self.roots.clone(),
            active: self.active.to_vec(),
            revoked: self.revoked.iter().map(Carried::to_message).collect(),
        }
        .encode_to_vec()
    }

    /// Reads what the default one sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = LeadMessage::decode(bytes).map_err(|error| Misfit::new("lead", error))?;
        let misfit = |_| Misfit::new("fingerprint", "it has another length than 32 bytes");
        let revoked = message.revoked.into_iter().map(SpiffeId::from_message);
        Ok(Self {
            trust_domain: TrustDomain::from_message(message.trust_domain)?,
            roots: message.roots,
            active: message.active.try_into().map_err(misfit)?,
            revoked: revoked.collect::<Result<_, _>>()?,
        })
    }
}

impl Endorse {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        EndorseMessage {
            request: self.request.clone(),
        }
        .encode_to_vec()
    }

    /// Reads what one that stands beside sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = EndorseMessage::decode(bytes);
        let message = message.map_err(|error| Misfit::new("endorse", error))?;
        Ok(Self {
            request: message.request,
        })
    }
}

impl Endorsed {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        EndorsedMessage {
            chain: self.chain.clone(),
        }
        .encode_to_vec()
    }

    /// Reads what the default one sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = EndorsedMessage::decode(bytes);
        let message = message.map_err(|error| Misfit::new("endorsed", error))?;
        Ok(Self {
            chain: message.chain,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct FollowMessage {
    #[prost(bytes = "vec", optional, tag = "1")]
    holds: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct LeadMessage {
    #[prost(string, tag = "1")]
    trust_domain: String,
    #[prost(bytes = "vec", repeated, tag = "2")]
    roots: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "3")]
    active: Vec<u8>,
    #[prost(string, repeated, tag = "4")]
    revoked: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct EndorseMessage {
    #[prost(bytes = "vec", tag = "1")]
    request: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct EndorsedMessage {
    #[prost(bytes = "vec", repeated, tag = "1")]
    chain: Vec<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_back() {
        let lead = Lead {
            trust_domain: TrustDomain::new("shop.local").unwrap(),
            roots: alloc::vec![alloc::vec![1], alloc::vec![2, 3]],
            active: [7; 32],
            revoked: alloc::vec![SpiffeId::parse("spiffe://shop.local/ns/shop/sa/cart").unwrap()],
        };
        assert_eq!(Lead::decode(&lead.encode()), Ok(lead));
        for holds in [None, Some([9; 16])] {
            let follow = Follow { holds };
            assert_eq!(Follow::decode(&follow.encode()), Ok(follow));
        }
        let endorsed = Endorsed {
            chain: alloc::vec![alloc::vec![1]],
        };
        assert_eq!(Endorsed::decode(&endorsed.encode()), Ok(endorsed));
    }

    #[test]
    fn what_is_too_short_to_be_a_hash_is_none() {
        let message = FollowMessage {
            holds: Some(alloc::vec![1; 15]),
        };
        assert!(Follow::decode(&message.encode_to_vec()).is_err());
        assert!(Lead::decode(&[]).is_err());
    }
}
