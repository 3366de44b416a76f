//! What a proxy and its CA say to each other about tokens: who wants one, for whom to read it, and what
//! was signed.

use alloc::{string::String, vec::Vec};

use leno_model::SpiffeId;
use prost::Message;

use crate::carried::{Carried, Misfit};

/// The most audiences that a token has.
pub const MOST_AUDIENCES: usize = 16;

/// The longest name of an audience, in bytes.
pub const LONGEST_AUDIENCE: usize = 1024;

/// A proxy that has proven who it is asks for a JWT-SVID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mint {
    /// For whom: itself, or a workload that its identity entitles it to stand in front of.
    pub identity: SpiffeId,
    /// Who is to take the token: from one to [`MOST_AUDIENCES`].
    pub audiences: Vec<String>,
}

/// What the CA gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Minted {
    /// The token in its compact form.
    pub token: String,
}

impl Mint {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        MintMessage {
            identity: self.identity.to_message(),
            audiences: self.audiences.clone(),
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = MintMessage::decode(bytes).map_err(|error| Misfit::new("mint", error))?;
        let audiences = message.audiences;
        let fit = |audience: &String| (1..=LONGEST_AUDIENCE).contains(&audience.len());
        if !(1..=MOST_AUDIENCES).contains(&audiences.len()) || !audiences.iter().all(fit) {
            let why = "there are none or too many, or one of them is empty or too long";
            return Err(Misfit::new("audiences", why));
        }
        Ok(Self {
            identity: SpiffeId::from_message(message.identity)?,
            audiences,
        })
    }
}

impl Minted {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        MintedMessage {
            token: self.token.clone(),
        }
        .encode_to_vec()
    }

    /// Reads what a CA sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = MintedMessage::decode(bytes).map_err(|error| Misfit::new("minted", error))?;
        Ok(Self {
            token: message.token,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct MintMessage {
    #[prost(string, tag = "1")]
    identity: String,
    #[prost(string, repeated, tag = "2")]
    audiences: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct MintedMessage {
    #[prost(string, tag = "1")]
    token: String,
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_wish_and_what_comes_of_it_survive_the_wire() {
        let mint = |audiences: Vec<String>| Mint {
            identity: SpiffeId::parse("spiffe://shop.local/ns/shop/sa/cart").unwrap(),
            audiences,
        };
        let good = mint(vec!["bank".into(), "vault".into()]);
        assert_eq!(Mint::decode(&good.encode()), Ok(good));
        for bad in [
            vec![],
            vec![String::new()],
            vec!["a".repeat(LONGEST_AUDIENCE + 1)],
            vec!["a".into(); MOST_AUDIENCES + 1],
        ] {
            assert!(Mint::decode(&mint(bad).encode()).is_err());
        }
        let minted = Minted {
            token: "a.b.c".into(),
        };
        assert_eq!(Minted::decode(&minted.encode()), Ok(minted));
    }
}
