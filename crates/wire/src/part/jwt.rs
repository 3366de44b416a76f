//! Whose tokens are believed, and by which keys.

use alloc::{string::String, string::ToString, sync::Arc, vec::Vec};
use core::time::Duration;

use leno_model::Wall;
use leno_model::view::access::{
    ClaimHeader, IssuerKeys, Jwt, JwtIssuer, KeyPlace, KeySource, TokenPlace,
};
use prost::{Message, Oneof};

use crate::carried::{Carried, Misfit, from_list, required, to_list};
use crate::part::word::OriginMessage;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JwtMessage {
    /// Which policies require a token.
    #[prost(message, repeated, tag = "1")]
    required: Vec<OriginMessage>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) issuers: Vec<IssuerMessage>,
}

impl Carried for Jwt {
    type Message = JwtMessage;

    fn to_message(&self) -> JwtMessage {
        JwtMessage {
            required: to_list(&self.required),
            issuers: to_list(&self.issuers),
        }
    }

    fn from_message(message: JwtMessage) -> Result<Self, Misfit> {
        Ok(Self {
            required: from_list(message.required)?,
            issuers: from_list(message.issuers)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IssuerMessage {
    #[prost(message, optional, tag = "1")]
    origin: Option<OriginMessage>,
    #[prost(string, tag = "2")]
    issuer: String,
    /// Without it, any: a list that is absent would be read as one that is empty.
    #[prost(message, optional, tag = "3")]
    audiences: Option<AudiencesMessage>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) from: Vec<PlaceMessage>,
    #[prost(bool, tag = "5")]
    forward: bool,
    #[prost(message, repeated, tag = "6")]
    claims: Vec<HeaderMessage>,
    #[prost(message, optional, tag = "7")]
    keys: Option<KeysMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AudiencesMessage {
    #[prost(string, repeated, tag = "1")]
    of: Vec<String>,
}

/// A header, and the prefix of a token in it; or a cookie.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PlaceMessage {
    #[prost(string, tag = "1")]
    header: String,
    #[prost(string, tag = "2")]
    prefix: String,
    #[prost(string, optional, tag = "3")]
    pub(crate) cookie: Option<String>,
}

/// A header, and the claim that it tells.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderMessage {
    #[prost(string, tag = "1")]
    header: String,
    #[prost(string, tag = "2")]
    with: String,
}

impl Carried for JwtIssuer {
    type Message = IssuerMessage;

    fn to_message(&self) -> IssuerMessage {
        let audiences = self.audiences.clone();
        IssuerMessage {
            origin: Some(self.origin.to_message()),
            issuer: self.issuer.to_string(),
            audiences: audiences.map(|of| AudiencesMessage { of }),
            from: to_list(&self.from),
            forward: self.forward,
            claims: to_list(&self.claims),
            keys: Some(self.keys.to_message()),
        }
    }

    fn from_message(message: IssuerMessage) -> Result<Self, Misfit> {
        Ok(Self {
            origin: required(message.origin, "origin of an issuer")?,
            issuer: message.issuer.into(),
            audiences: message.audiences.map(|audiences| audiences.of),
            from: from_list(message.from)?,
            forward: message.forward,
            claims: from_list(message.claims)?,
            keys: required(message.keys, "keys of an issuer")?,
        })
    }
}

impl Carried for TokenPlace {
    type Message = PlaceMessage;

    fn to_message(&self) -> PlaceMessage {
        match self {
            Self::Header { name, prefix } => PlaceMessage {
                header: name.to_string(),
                prefix: prefix.to_string(),
                cookie: None,
            },
            Self::Cookie(name) => PlaceMessage {
                cookie: Some(name.to_string()),
                ..PlaceMessage::default()
            },
        }
    }

    fn from_message(message: PlaceMessage) -> Result<Self, Misfit> {
        Ok(match message.cookie {
            Some(name) => Self::Cookie(name.into()),
            None => Self::Header {
                name: message.header.into(),
                prefix: message.prefix.into(),
            },
        })
    }
}

impl Carried for ClaimHeader {
    type Message = HeaderMessage;

    fn to_message(&self) -> HeaderMessage {
        HeaderMessage {
            header: self.header.to_string(),
            with: self.claim.to_string(),
        }
    }

    fn from_message(HeaderMessage { header, with }: HeaderMessage) -> Result<Self, Misfit> {
        Ok(Self {
            header: header.into(),
            claim: with.into(),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeysMessage {
    #[prost(string, optional, tag = "1")]
    jwks: Option<String>,
    /// Seconds since 1970.
    #[prost(uint64, optional, tag = "2")]
    until: Option<u64>,
    #[prost(oneof = "PlaceKind", tags = "3, 4")]
    place: Option<PlaceKind>,
    #[prost(uint64, tag = "5")]
    every_seconds: u64,
    #[prost(uint64, tag = "6")]
    keep_seconds: u64,
}

#[derive(Clone, PartialEq, Oneof)]
enum PlaceKind {
    #[prost(string, tag = "3")]
    File(String),
    #[prost(string, tag = "4")]
    Url(String),
}

impl Carried for IssuerKeys {
    type Message = KeysMessage;

    fn to_message(&self) -> KeysMessage {
        let source = self.source.as_ref();
        KeysMessage {
            jwks: self.jwks.as_ref().map(ToString::to_string),
            until: self
                .until
                .map(|until| until.elapsed_since_epoch().as_secs()),
            place: source.map(|source| match &source.place {
                KeyPlace::File(file) => PlaceKind::File(file.to_string()),
                KeyPlace::Url(url) => PlaceKind::Url(url.to_string()),
            }),
            every_seconds: source.map_or(0, |source| source.every.as_secs()),
            keep_seconds: source.map_or(0, |source| source.keep.as_secs()),
        }
    }

    fn from_message(message: KeysMessage) -> Result<Self, Misfit> {
        let (every, keep) = (message.every_seconds, message.keep_seconds);
        let source = |place| KeySource {
            place,
            every: Duration::from_secs(every),
            keep: Duration::from_secs(keep),
        };
        let since_epoch = |seconds| Wall::since_epoch(Duration::from_secs(seconds));
        Ok(Self {
            source: message.place.map(|place| match place {
                PlaceKind::File(file) => source(KeyPlace::File(file.into())),
                PlaceKind::Url(url) => source(KeyPlace::Url(url.into())),
            }),
            jwks: message.jwks.map(Arc::from),
            until: message.until.map(since_epoch),
        })
    }
}
