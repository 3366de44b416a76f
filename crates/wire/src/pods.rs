//! What the proxy of a node asks its control plane about a pod that is about to run there.

use alloc::{string::String, vec::Vec};

use leno_model::view::{Pod, WorkloadId};
use prost::Message;

use crate::carried::{Carried, Misfit, required};
use crate::part::pod::PodMessage;
use crate::part::word::NamedMessage;

/// A pod that gets its network now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arriving {
    /// Its namespace and name.
    pub id: WorkloadId,
    /// What tells it from others of its name.
    pub uid: String,
}

/// Who carries its calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Placed {
    /// It has not been seen in the cluster: nobody knows yet.
    NotSeen,
    /// Not the proxy that asks.
    Elsewhere,
    /// The proxy that asks.
    Here(Pod),
    /// A proxy in the pod, whose capture the one that asks keeps.
    Beside(Pod),
}

impl Arriving {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.to_message().encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = ArrivingMessage::decode(bytes);
        Self::from_message(message.map_err(|error| Misfit::new("pod that arrives", error))?)
    }
}

impl Carried for Arriving {
    type Message = ArrivingMessage;

    fn to_message(&self) -> ArrivingMessage {
        ArrivingMessage {
            id: Some(self.id.to_message()),
            uid: self.uid.clone(),
        }
    }

    fn from_message(message: ArrivingMessage) -> Result<Self, Misfit> {
        Ok(Self {
            id: required(message.id, "name of a pod")?,
            uid: message.uid,
        })
    }
}

impl Placed {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (here, beside) = match self {
            Self::NotSeen | Self::Elsewhere => (None, None),
            Self::Here(pod) => (Some(pod.to_message()), None),
            Self::Beside(pod) => (None, Some(pod.to_message())),
        };
        PlacedMessage {
            seen: *self != Self::NotSeen,
            here,
            beside,
        }
        .encode_to_vec()
    }

    /// Reads what a control plane sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = PlacedMessage::decode(bytes);
        let message = message.map_err(|error| Misfit::new("place of a pod", error))?;
        Ok(match (message.seen, message.here, message.beside) {
            (_, Some(pod), _) => Self::Here(Pod::from_message(pod)?),
            (_, None, Some(pod)) => Self::Beside(Pod::from_message(pod)?),
            (true, None, None) => Self::Elsewhere,
            (false, None, None) => Self::NotSeen,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ArrivingMessage {
    #[prost(message, optional, tag = "1")]
    id: Option<NamedMessage>,
    #[prost(string, tag = "2")]
    uid: String,
}

#[derive(Clone, PartialEq, Message)]
struct PlacedMessage {
    #[prost(bool, tag = "1")]
    seen: bool,
    #[prost(message, optional, tag = "2")]
    here: Option<PodMessage>,
    /// A proxy of a node that does not know it takes the pod for one that is elsewhere.
    #[prost(message, optional, tag = "3")]
    beside: Option<PodMessage>,
}

#[cfg(test)]
mod tests {
    use leno_model::view::LeftOut;
    use leno_model::{Name, Namespace};

    use super::*;

    #[test]
    fn they_read_as_they_were_written() {
        let arriving = Arriving {
            id: WorkloadId {
                namespace: Namespace::new("shop").unwrap(),
                name: Name::new("cart-1").unwrap(),
            },
            uid: "7f".into(),
        };
        assert_eq!(Arriving::decode(&arriving.encode()), Ok(arriving));
        let pod = Pod {
            uid: "7f".into(),
            left_out: LeftOut {
                inbound: [22.into()].into(),
                ..LeftOut::default()
            },
            own_process: None,
            resolver: None,
        };
        for placed in [
            Placed::NotSeen,
            Placed::Elsewhere,
            Placed::Here(pod.clone()),
            Placed::Beside(pod),
        ] {
            assert_eq!(Placed::decode(&placed.encode()), Ok(placed));
        }
    }
}
