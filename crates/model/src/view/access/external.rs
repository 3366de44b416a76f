//! External authorization: who is asked about a request that the rules let in, and what becomes of it.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;
use core::num::NonZeroU16;
use core::time::Duration;

use crate::origin::Origin;
use crate::view::access::{RequestMatch, Within};
use crate::view::service::PortRef;

/// Somebody who is asked about each request that the rules over a port let in. The request goes on only
/// if everyone who is asked lets it; a stream of bytes, of which nobody can be asked, never does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExternalAuth {
    /// Where it is written: `AccessPolicy shop/payments /spec/externalAuth`.
    pub origin: Origin,
    /// What its policy is about: of other requests nobody is asked. Empty is everything.
    pub within: Vec<Within>,
    /// About which of these it is asked; empty is all.
    pub requests: Vec<RequestMatch>,
    /// And about none of these.
    pub except: Vec<RequestMatch>,
    /// Who is asked: a port of a service, by the workload's proxy in the workload's name.
    pub to: PortRef,
    /// How.
    pub protocol: AuthProtocol,
    /// How long one question may take in all.
    pub timeout: Duration,
    /// What becomes of a request where there is no answer.
    pub on_failure: OnFailure,
    /// Which headers of the request are told, in lower case, beside those that always are; `None` is all
    /// of them.
    pub tells: Option<Vec<Arc<str>>>,
    /// The headers that it may set in the request, in lower case. What clients send under these names
    /// does not count.
    pub sets: Vec<Arc<str>>,
    /// How many bytes of the body are told; `None` is none.
    pub body: Option<NonZeroU16>,
}

/// How an external authorizer is asked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AuthProtocol {
    /// By a request like the one that is asked about, at its path behind this one.
    Http(Arc<str>),
    /// By `envoy.service.auth.v3.Authorization/Check`.
    Grpc,
}

/// What becomes of a request where the authorizer gave no answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OnFailure {
    /// It is denied ([`crate::Code::R065`]).
    Deny,
    /// It is let in, and that is told.
    Allow,
}

/// `authorizer shop/authz:9000`
impl fmt::Display for ExternalAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authorizer {}", self.to)
    }
}
