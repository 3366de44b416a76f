//! What browsers are told about pages of other sites.

use alloc::{string::String, string::ToString, vec::Vec};

use leno_model::view::{Cors, Named, SiteMatch};
use prost::{Message, Oneof};

use crate::carried::{Carried, Misfit, from_list, port, required, to_list};
use crate::part::route::HostMessage;
use crate::part::word::{OriginMessage, SpanMessage};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CorsMessage {
    #[prost(message, optional, tag = "1")]
    origin: Option<OriginMessage>,
    #[prost(message, repeated, tag = "2")]
    sites: Vec<SiteMessage>,
    #[prost(bool, tag = "3")]
    credentials: bool,
    #[prost(message, optional, tag = "4")]
    methods: Option<NameSetMessage>,
    #[prost(message, optional, tag = "5")]
    headers: Option<NameSetMessage>,
    #[prost(message, optional, tag = "6")]
    exposed: Option<NameSetMessage>,
    #[prost(message, optional, tag = "7")]
    max_age: Option<SpanMessage>,
}

impl Carried for Cors {
    type Message = CorsMessage;

    fn to_message(&self) -> CorsMessage {
        CorsMessage {
            origin: Some(self.origin.to_message()),
            sites: to_list(&self.sites),
            credentials: self.credentials,
            methods: Some(self.methods.to_message()),
            headers: Some(self.headers.to_message()),
            exposed: Some(self.exposed.to_message()),
            max_age: Some(self.max_age.to_message()),
        }
    }

    fn from_message(message: CorsMessage) -> Result<Self, Misfit> {
        Ok(Self {
            origin: required(message.origin, "origin of a CORS filter")?,
            sites: from_list(message.sites)?,
            credentials: message.credentials,
            methods: required(message.methods, "methods of a CORS filter")?,
            headers: required(message.headers, "headers of a CORS filter")?,
            exposed: required(message.exposed, "exposed headers of a CORS filter")?,
            max_age: required(message.max_age, "age of a CORS filter")?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SiteMessage {
    #[prost(oneof = "SiteKind", tags = "1, 2")]
    kind: Option<SiteKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum SiteKind {
    #[prost(message, tag = "1")]
    Any(()),
    #[prost(message, tag = "2")]
    At(AtMessage),
}

#[derive(Clone, PartialEq, Message)]
struct AtMessage {
    #[prost(bool, tag = "1")]
    secure: bool,
    #[prost(message, optional, tag = "2")]
    host: Option<HostMessage>,
    #[prost(uint32, tag = "3")]
    port: u32,
}

impl Carried for SiteMatch {
    type Message = SiteMessage;

    fn to_message(&self) -> SiteMessage {
        SiteMessage {
            kind: Some(match self {
                Self::Any => SiteKind::Any(()),
                Self::At { secure, host, port } => SiteKind::At(AtMessage {
                    secure: *secure,
                    host: Some(host.to_message()),
                    port: (*port).into(),
                }),
            }),
        }
    }

    fn from_message(message: SiteMessage) -> Result<Self, Misfit> {
        Ok(match message.kind.ok_or_else(|| Misfit::missing("site"))? {
            SiteKind::Any(()) => Self::Any,
            SiteKind::At(at) => Self::At {
                secure: at.secure,
                host: required(at.host, "host of a site")?,
                port: port(at.port)?,
            },
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NameSetMessage {
    #[prost(oneof = "NamedKind", tags = "1, 2")]
    kind: Option<NamedKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum NamedKind {
    #[prost(message, tag = "1")]
    Any(()),
    #[prost(message, tag = "2")]
    These(NamesMessage),
}

#[derive(Clone, PartialEq, Message)]
struct NamesMessage {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
}

impl Carried for Named {
    type Message = NameSetMessage;

    fn to_message(&self) -> NameSetMessage {
        NameSetMessage {
            kind: Some(match self {
                Self::Any => NamedKind::Any(()),
                Self::These(names) => NamedKind::These(NamesMessage {
                    names: names.iter().map(ToString::to_string).collect(),
                }),
            }),
        }
    }

    fn from_message(message: NameSetMessage) -> Result<Self, Misfit> {
        Ok(
            match message.kind.ok_or_else(|| Misfit::missing("names"))? {
                NamedKind::Any(()) => Self::Any,
                NamedKind::These(message) => {
                    Self::These(message.names.into_iter().map(Into::into).collect())
                }
            },
        )
    }
}
