//! The small words: names, origins, addresses, spans of time.

use alloc::{collections::BTreeMap, string::String, string::ToString as _, sync::Arc, vec::Vec};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use leno_model::view::{PortRef, WorkloadId};
use leno_model::{
    Code, Name, Namespace, Network, ObjectRef, Origin, Pattern, Place, ServiceName, SpiffeId,
    Subscription, TrustDomain,
};
use prost::Message;

use crate::carried::{Carried, Misfit, port, required};

/// Declares the types that travel as the text they print as.
macro_rules! carried_text {
    ($($type:ty, $what:literal, $read:expr;)+) => {$(
        impl Carried for $type {
            type Message = String;

            fn to_message(&self) -> String {
                self.to_string()
            }

            fn from_message(text: String) -> Result<Self, Misfit> {
                ($read)(&text).map_err(|error| Misfit::new($what, error))
            }
        }
    )+};
}

carried_text! {
    Name, "name", Name::new;
    Namespace, "namespace", Namespace::new;
    Network, "network", Network::new;
    TrustDomain, "trust domain", TrustDomain::new;
    SpiffeId, "identity", SpiffeId::parse;
    Code, "code", str::parse;
    Pattern, "pattern", Pattern::new;
    Subscription, "subscription", |text: &str| Subscription::parse(text).ok_or("it is none");
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OriginMessage {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, optional, tag = "2")]
    namespace: Option<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    pointer: String,
    #[prost(string, optional, tag = "5")]
    file: Option<String>,
    #[prost(uint32, tag = "6")]
    line: u32,
    #[prost(uint32, tag = "7")]
    column: u32,
}

impl Carried for Origin {
    type Message = OriginMessage;

    fn to_message(&self) -> OriginMessage {
        let place = self.place.as_ref();
        OriginMessage {
            kind: self.object.kind.to_string(),
            namespace: self.object.namespace.as_ref().map(Namespace::to_message),
            name: self.object.name.to_message(),
            pointer: self.pointer.to_string(),
            file: place.map(|place| place.file.to_string()),
            line: place.map_or(0, |place| place.line),
            column: place.map_or(0, |place| place.column),
        }
    }

    fn from_message(message: OriginMessage) -> Result<Self, Misfit> {
        let OriginMessage {
            kind,
            namespace,
            name,
            pointer,
            file,
            line,
            column,
        } = message;
        Ok(Self {
            object: Arc::new(ObjectRef {
                kind: kind.into(),
                namespace: namespace.map(Namespace::from_message).transpose()?,
                name: Name::from_message(name)?,
            }),
            pointer: pointer.into(),
            place: file.map(|file| Place {
                file: file.into(),
                line,
                column,
            }),
        })
    }
}

/// Who wrote a field.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldMessage {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(message, optional, tag = "2")]
    origin: Option<OriginMessage>,
}

/// Who wrote each of some fields.
impl Carried for BTreeMap<Arc<str>, Origin> {
    type Message = Vec<FieldMessage>;

    fn to_message(&self) -> Vec<FieldMessage> {
        let fields = self.iter().map(|(field, origin)| FieldMessage {
            field: field.to_string(),
            origin: Some(origin.to_message()),
        });
        fields.collect()
    }

    fn from_message(message: Vec<FieldMessage>) -> Result<Self, Misfit> {
        let fields = message.into_iter().map(|field| {
            let origin = required(field.origin, "origin of a field")?;
            Ok((field.field.into(), origin))
        });
        fields.collect()
    }
}

/// A namespace and a name: a service or a workload.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NamedMessage {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    name: String,
}

impl Carried for ServiceName {
    type Message = NamedMessage;

    fn to_message(&self) -> NamedMessage {
        NamedMessage {
            namespace: self.namespace.to_message(),
            name: self.name.to_message(),
        }
    }

    fn from_message(message: NamedMessage) -> Result<Self, Misfit> {
        let namespace = Namespace::from_message(message.namespace)?;
        Ok(Self::new(namespace, Name::from_message(message.name)?))
    }
}

impl Carried for WorkloadId {
    type Message = NamedMessage;

    fn to_message(&self) -> NamedMessage {
        NamedMessage {
            namespace: self.namespace.to_message(),
            name: self.name.to_message(),
        }
    }

    fn from_message(message: NamedMessage) -> Result<Self, Misfit> {
        Ok(Self {
            namespace: Namespace::from_message(message.namespace)?,
            name: Name::from_message(message.name)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PortRefMessage {
    #[prost(message, optional, tag = "1")]
    service: Option<NamedMessage>,
    #[prost(uint32, tag = "2")]
    port: u32,
}

impl Carried for PortRef {
    type Message = PortRefMessage;

    fn to_message(&self) -> PortRefMessage {
        PortRefMessage {
            service: Some(self.service.to_message()),
            port: self.port.into(),
        }
    }

    fn from_message(message: PortRefMessage) -> Result<Self, Misfit> {
        Ok(Self {
            service: required(message.service, "service")?,
            port: port(message.port)?,
        })
    }
}

impl Carried for IpAddr {
    type Message = Vec<u8>;

    fn to_message(&self) -> Vec<u8> {
        match self {
            Self::V4(address) => address.octets().to_vec(),
            Self::V6(address) => address.octets().to_vec(),
        }
    }

    fn from_message(octets: Vec<u8>) -> Result<Self, Misfit> {
        if let Ok(octets) = <[u8; 4]>::try_from(octets.as_slice()) {
            return Ok(Self::from(octets));
        }
        let octets = <[u8; 16]>::try_from(octets.as_slice());
        octets
            .map(Self::from)
            .map_err(|_| Misfit::new("address", "it has neither 4 nor 16 bytes"))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SocketMessage {
    #[prost(bytes = "vec", tag = "1")]
    ip: Vec<u8>,
    #[prost(uint32, tag = "2")]
    port: u32,
}

impl Carried for SocketAddr {
    type Message = SocketMessage;

    fn to_message(&self) -> SocketMessage {
        SocketMessage {
            ip: self.ip().to_message(),
            port: self.port().into(),
        }
    }

    fn from_message(message: SocketMessage) -> Result<Self, Misfit> {
        Ok(Self::new(
            IpAddr::from_message(message.ip)?,
            port(message.port)?,
        ))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SpanMessage {
    #[prost(uint64, tag = "1")]
    seconds: u64,
    #[prost(uint32, tag = "2")]
    nanos: u32,
}

impl Carried for Duration {
    type Message = SpanMessage;

    fn to_message(&self) -> SpanMessage {
        SpanMessage {
            seconds: self.as_secs(),
            nanos: self.subsec_nanos(),
        }
    }

    fn from_message(message: SpanMessage) -> Result<Self, Misfit> {
        if message.nanos >= 1_000_000_000 {
            return Err(Misfit::new(
                "span of time",
                "it has a second or more of nanoseconds",
            ));
        }
        Ok(Self::new(message.seconds, message.nanos))
    }
}

/// The origin of things that are made up for tests.
#[cfg(test)]
pub(crate) fn some_origin() -> OriginMessage {
    OriginMessage {
        kind: "HTTPRoute".into(),
        name: "cart".into(),
        ..OriginMessage::default()
    }
}
