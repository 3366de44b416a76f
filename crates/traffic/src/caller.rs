//! Who calls: proven by a channel, or claimed by somebody who asks what would happen.

use alloc::{collections::BTreeMap, sync::Arc};
use core::fmt;
use core::net::IpAddr;

use leno_identity::Caller;
use leno_jwt::{Claims, Proven, Value};
use leno_model::SpiffeId;
use leno_model::view::WorkloadId;
use leno_model::view::access::ExternalAuth;

use crate::policy::RefusedToken;

/// The other end of a connection that a proxy accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// What it proved.
    pub channel: Channel,
    /// Where it came from.
    pub address: IpAddr,
}

/// How a call reached the proxy, and what that proves about the caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Channel {
    /// Through a tunnel, after a handshake that proved who it is.
    Mtls(Caller),
    /// From a workload of this proxy's own, known by the socket it came through.
    Local(WorkloadId),
    /// In plain: nothing is proven.
    Plain(WhyPlain),
}

/// Why nothing is proven about the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WhyPlain {
    /// It called the workload's port itself, not the tunnel.
    CallerNotInMesh,
    /// It is a health check from outside.
    Probe,
    /// It is an endpoint without a tunnel.
    EndpointNotInMesh,
    /// It is a destination that the mesh knows nothing of.
    DestinationUnknown,
}

impl WhyPlain {
    /// The word in logs, metrics and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallerNotInMesh => "caller-not-in-mesh",
            Self::Probe => "probe",
            Self::EndpointNotInMesh => "endpoint-not-in-mesh",
            Self::DestinationUnknown => "destination-unknown",
        }
    }
}

impl fmt::Display for WhyPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is said about a caller. Anybody may claim anything: a claim is judged, never admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim<'a> {
    /// Who it is; `Known(None)` is a plain caller.
    pub caller: Fact<Option<&'a SpiffeId>>,
    /// Where it comes from.
    pub address: Fact<IpAddr>,
    /// The token that its request carries.
    pub token: Token<'a>,
    /// What those say of its request whom policies have asked about it.
    pub consent: Consent<'a>,
}

/// What external authorizers say of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consent<'a> {
    /// Whoever is asked lets it in.
    Given,
    /// These did; nobody else was asked.
    Of(&'a [Arc<ExternalAuth>]),
    /// Whoever is asked denies it.
    Withheld,
    /// Nobody can say.
    Unknown,
}

impl Consent<'_> {
    /// Nobody was asked.
    pub const NOT_ASKED: Self = Self::Of(&[]);
}

/// What is said of the token that a request carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token<'a> {
    /// There is none.
    Absent,
    /// Its issuer says this.
    Of(&'a Proven),
    /// It is taken for one that is accepted, and of what it says this is known. Nobody proved it.
    Known(&'a KnownClaims),
    /// It is not accepted.
    Refused(&'a RefusedToken),
    /// Nobody has looked whether there is one: where tokens are believed, that closes.
    NotLooked,
    /// It kept nobody out; whether there is one, and what it says, nobody can say.
    Passed,
    /// Nobody can say whether there is one, and what it says.
    Unknown,
}

/// What is known of a token's claims where it is not there itself: it was recorded, or is imagined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KnownClaims {
    /// All but who made it, if that is not among them: it says nothing else.
    All(Claims),
    /// What it says under these names, or that it says nothing there.
    Some(BTreeMap<Arc<str>, Option<Value>>),
}

impl KnownClaims {
    /// What it says under a name, or at a JSON pointer; `None` if nobody knows that.
    #[expect(
        clippy::option_option,
        reason = "nobody knows, and it says nothing, are two answers"
    )]
    pub fn get(&self, name: &str) -> Option<Option<&Value>> {
        match self {
            Self::All(claims) => match claims.get(name) {
                None if name == ISSUER => None,
                said => Some(said),
            },
            Self::Some(known) => known.get(name).map(Option::as_ref),
        }
    }

    /// Who made it, if that is known.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.get(ISSUER)??.as_str()
    }
}

/// Who made a token: every one says it.
pub(crate) const ISSUER: &str = "iss";

/// Something that was recorded, or was not. The proxy knows every fact; a replay may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fact<T> {
    /// It is this.
    Known(T),
    /// Nobody can say.
    Unknown,
}

impl<T> Fact<T> {
    /// What it is, if that is known.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }
}

/// A fact that a verdict needs and that is not known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Missing {
    /// Who the caller is.
    CallerIdentity,
    /// Where the caller comes from.
    CallerAddress,
    /// Its token, and what that says.
    Token,
    /// What its token says under this name.
    Claim(Arc<str>),
    /// What this external authorizer says.
    Consent(Arc<str>),
    /// The request's method.
    Method,
    /// The host that it asks for.
    Host,
    /// Its path, or what was folded in that.
    Path,
    /// A header of it.
    Header(Arc<str>),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallerIdentity => "the caller's identity",
            Self::CallerAddress => "the caller's address",
            Self::Token => "the token of the request",
            Self::Method => "the method",
            Self::Host => "the host",
            Self::Path => "the whole path",
            Self::Header(name) => return write!(f, "header {name}"),
            Self::Claim(name) => return write!(f, "claim {name}"),
            Self::Consent(name) => return write!(f, "what authorizer {name} says"),
        })
    }
}
