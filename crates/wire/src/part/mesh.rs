//! What holds everywhere: settings, revoked identities, bundles.

use alloc::{collections::BTreeMap, collections::BTreeSet, string::String, vec::Vec};

use leno_model::view::{Settings, Unknown};
use leno_model::{SpiffeId, TrustDomain};
use prost::Message;

use crate::carried::{Carried, Misfit, carried_enum};
use crate::part::word::FieldMessage;

carried_enum!(UnknownMessage for Unknown, "unknown destinations" { Pass = 1, Refuse = 2 });

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SettingsMessage {
    #[prost(string, tag = "1")]
    trust_domain: String,
    #[prost(enumeration = "UnknownMessage", tag = "2")]
    unknown_destinations: i32,
    #[prost(message, repeated, tag = "3")]
    origins: Vec<FieldMessage>,
}

impl Carried for Settings {
    type Message = SettingsMessage;

    fn to_message(&self) -> SettingsMessage {
        SettingsMessage {
            trust_domain: self.trust_domain.to_message(),
            unknown_destinations: self.unknown_destinations.to_message(),
            origins: self.origins.to_message(),
        }
    }

    fn from_message(message: SettingsMessage) -> Result<Self, Misfit> {
        Ok(Self {
            trust_domain: TrustDomain::from_message(message.trust_domain)?,
            unknown_destinations: Unknown::from_message(message.unknown_destinations)?,
            origins: BTreeMap::from_message(message.origins)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RevokedMessage {
    #[prost(string, repeated, tag = "1")]
    identities: Vec<String>,
}

impl Carried for BTreeSet<SpiffeId> {
    type Message = RevokedMessage;

    fn to_message(&self) -> RevokedMessage {
        RevokedMessage {
            identities: self.iter().map(SpiffeId::to_message).collect(),
        }
    }

    fn from_message(message: RevokedMessage) -> Result<Self, Misfit> {
        message
            .identities
            .into_iter()
            .map(SpiffeId::from_message)
            .collect()
    }
}

/// The roots of one trust domain.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BundleMessage {
    #[prost(string, tag = "1")]
    pub(crate) trust_domain: String,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) roots: Vec<Vec<u8>>,
}
