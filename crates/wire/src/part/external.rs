//! Who is asked about requests, beside which requests these are.

use alloc::{string::String, string::ToString, sync::Arc, vec::Vec};
use core::num::NonZeroU16;
use core::time::Duration;

use leno_model::view::access::{AuthProtocol, ExternalAuth, OnFailure};
use prost::Message;

use crate::carried::{Carried, Misfit, carried_enum, required};
use crate::part::word::{PortRefMessage, SpanMessage};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExternalMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) to: Option<PortRefMessage>,
    #[prost(enumeration = "AskedByMessage", tag = "2")]
    by: i32,
    /// What stands before the path, where it is asked by HTTP.
    #[prost(string, tag = "3")]
    path: String,
    #[prost(message, optional, tag = "4")]
    timeout: Option<SpanMessage>,
    #[prost(enumeration = "OnFailureMessage", tag = "5")]
    on_failure: i32,
    /// Without it, all: a list that is absent would be read as one that is empty.
    #[prost(message, optional, tag = "6")]
    tells: Option<NamesMessage>,
    #[prost(string, repeated, tag = "7")]
    sets: Vec<String>,
    #[prost(uint32, tag = "8")]
    body: u32,
}

/// Headers.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NamesMessage {
    #[prost(string, repeated, tag = "1")]
    of: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum AskedByMessage {
    Unset = 0,
    Http = 1,
    Grpc = 2,
}

carried_enum!(OnFailureMessage for OnFailure, "on failure" { Deny = 1, Allow = 2 });

/// What a message says beside where it stands and which requests it is about.
pub(super) struct Asked {
    pub(super) protocol: AuthProtocol,
    pub(super) timeout: Duration,
    pub(super) on_failure: OnFailure,
    pub(super) tells: Option<Vec<Arc<str>>>,
    pub(super) sets: Vec<Arc<str>>,
    pub(super) body: Option<NonZeroU16>,
}

impl ExternalMessage {
    pub(super) fn of(external: &ExternalAuth) -> Self {
        let (by, path) = match &external.protocol {
            AuthProtocol::Http(path) => (AskedByMessage::Http, path.to_string()),
            AuthProtocol::Grpc => (AskedByMessage::Grpc, String::new()),
        };
        let names = |names: &[Arc<str>]| names.iter().map(ToString::to_string).collect();
        Self {
            to: Some(external.to.to_message()),
            by: by.into(),
            path,
            timeout: Some(external.timeout.to_message()),
            on_failure: external.on_failure.to_message(),
            tells: external
                .tells
                .as_ref()
                .map(|tells| NamesMessage { of: names(tells) }),
            sets: names(&external.sets),
            body: external.body.map_or(0, |body| body.get().into()),
        }
    }

    pub(super) fn asked(self) -> Result<Asked, Misfit> {
        let names =
            |names: Vec<String>| names.into_iter().map(Arc::from).collect::<Vec<Arc<str>>>();
        let misfit = |what| Misfit::new(what, "it is not known");
        let protocol = match AskedByMessage::try_from(self.by) {
            Ok(AskedByMessage::Http) => AuthProtocol::Http(self.path.into()),
            Ok(AskedByMessage::Grpc) => AuthProtocol::Grpc,
            Ok(AskedByMessage::Unset) | Err(_) => {
                return Err(misfit("how an external authorizer is asked"));
            }
        };
        let body = u16::try_from(self.body).map_err(|_large| misfit("so much of a body"))?;
        Ok(Asked {
            protocol,
            timeout: required(self.timeout, "time of an external authorizer")?,
            on_failure: OnFailure::from_message(self.on_failure)?,
            tells: self.tells.map(|tells| names(tells.of)),
            sets: names(self.sets),
            body: NonZeroU16::new(body),
        })
    }
}
