//! What a judgement comes to, and why.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
};

use leno_model::view::access::ExternalAuth;
use leno_model::view::{AccessRule, Effect, Egress, Isolation, Probe, WorkloadId};
use leno_model::{Code, Origin, SpiffeId, TrustDomain};

use crate::caller::Missing;
use crate::outside::NotLetOut;
use crate::policy::bearer::{RefusedToken, WhyRefused};
use crate::policy::external::{Dissent, Silence};
use crate::policy::isolation;
use crate::policy::meets::Unclear;
use crate::policy::telling::named;

/// The outcome of a judgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict<'t> {
    /// The call may go on.
    Allow(Allowed<'t>),
    /// It may not.
    Deny(Denied),
    /// It depends on a fact that the claim lacks.
    Undecided(Missing),
}

/// Why a call may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Allowed<'t> {
    /// A rule allows it.
    ByRule(&'t Arc<AccessRule>),
    /// It is a health check from outside.
    Probe(&'t Probe),
    /// No rule speaks of it, and the default is to allow: never a caller of another trust domain.
    ByDefault,
    /// It is a call that a workload of this proxy makes: whoever is called decides.
    Outbound,
}

/// Why a call may not go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// mTLS is strict, and the caller came in plain.
    #[error("mTLS is strict, and the call came in plain")]
    Plain(Option<Origin>),
    /// The caller's identity has been revoked.
    #[error("the identity {0} has been revoked")]
    Revoked(SpiffeId),
    /// The caller is a person, and only workloads call.
    #[error("{0} is a person, and only workloads call services")]
    Person(SpiffeId),
    /// The token of the request is not accepted.
    #[error("{}", .0.why)]
    Token(RefusedToken),
    /// It comes without a token, and this asks for one.
    #[error("the request carries no token, and only calls with one are allowed")]
    NoToken(Origin),
    /// A stream of bytes, which cannot carry a token, where every call needs one.
    #[error("a stream of bytes carries no token, and only calls with one are allowed")]
    NoTokenInStream(Origin),
    /// A rule denies it.
    #[error("denied by {}", named(.0))]
    ByRule(Arc<AccessRule>),
    /// A rule covers it that needs a feature this proxy lacks.
    #[error("{} needs a feature that this proxy lacks", named(.0))]
    NotUnderstood(Arc<AccessRule>),
    /// An external authorizer would have to be asked about it, and that one, in the end, whom it calls.
    #[error("{} has somebody asked who would be asked about it again, without an end", .0.origin.object)]
    InRing(Arc<AccessRule>),
    /// It cannot be told whether a rule speaks of it: one that denies does so, and one that allows
    /// does not.
    #[error("{} cannot be decided: {}", named(.0), .1)]
    Unclear(Arc<AccessRule>, Unclear),
    /// An external authorizer denies it.
    #[error("{} denies it", .0.by)]
    ByAuthorizer(Box<Dissent>),
    /// An external authorizer gave no answer.
    #[error("{0}")]
    NoAnswer(Box<Silence>),
    /// A stream of bytes, of which an external authorizer cannot be asked.
    #[error("{0} cannot be asked about a stream of bytes")]
    BytesNotAsked(Arc<ExternalAuth>),
    /// An external authorizer must be asked, and was not.
    #[error("{0} was not asked about it")]
    NotAsked(Arc<ExternalAuth>),
    /// An external authorizer must be asked, and its protocol cannot say such a request.
    #[error("{0} cannot be asked about a request of this form")]
    NotTold(Arc<ExternalAuth>),
    /// Rules allow others, and none allows this.
    #[error("no AccessPolicy allows it")]
    NoAllowRule,
    /// A `NetworkPolicy` selects whom it is for, and none lets the caller in to the port.
    #[error("{} in others, or to other ports, alone", isolation::who_lets(&.0.by))]
    Isolated(Arc<Isolation>),
    /// A `NetworkPolicy` selects the caller, and none that does lets it out to the port of whom it is for.
    #[error("{} the caller out to others, or to other ports, alone", isolation::who_lets_out(.0))]
    KeptIn(Arc<Egress>),
    /// No rule speaks of it, and the default is to allow: that is said of this mesh, and the caller is of
    /// another trust domain.
    #[error("no AccessPolicy allows it, and a default of Allow is not about callers of {0}")]
    OfPeer(TrustDomain),
    /// No rule speaks of it, and the default is to deny.
    #[error("no AccessPolicy allows it, and the default is to deny")]
    ByDefault(Option<Origin>),
    /// The readings of the path lead to different verdicts.
    #[error("the path can be read in two ways, and only one of them is allowed")]
    AmbiguousPath,
    /// The call came to the way out, and not from a workload of this proxy.
    #[error("the call did not come from a workload of this proxy")]
    NotOurs,
    /// It leaves the mesh, and may not.
    #[error("{0}")]
    NotLetOut(Box<NotLetOut>),
    /// The workload is no longer here.
    #[error("{0} is not a workload of this proxy")]
    TargetGone(WorkloadId),
}

impl Denied {
    /// The denial of a rule that matched.
    pub(crate) fn by(rule: &Arc<AccessRule>) -> Self {
        match rule.effect {
            Effect::Deny => Self::ByRule(rule.clone()),
            Effect::Ring => Self::InRing(rule.clone()),
            Effect::Allow | Effect::AllowAlso | Effect::Audit | Effect::NotUnderstood => {
                Self::NotUnderstood(rule.clone())
            }
        }
    }

    /// Who said so.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Plain(origin) | Self::ByDefault(origin) => origin.as_ref(),
            Self::ByRule(rule)
            | Self::NotUnderstood(rule)
            | Self::InRing(rule)
            | Self::Unclear(rule, _) => Some(&rule.origin),
            Self::Isolated(isolation) => isolation.by.first(),
            Self::KeptIn(egress) => egress.by.first(),
            Self::Token(refused) => refused.origin.as_ref(),
            Self::NoToken(origin) | Self::NoTokenInStream(origin) => Some(origin),
            Self::NotLetOut(not) => not.origin(),
            Self::ByAuthorizer(dissent) => Some(&dissent.by.origin),
            Self::NoAnswer(silence) => Some(&silence.by.origin),
            Self::BytesNotAsked(auth) | Self::NotAsked(auth) | Self::NotTold(auth) => {
                Some(&auth.origin)
            }
            Self::NotOurs
            | Self::Revoked(_)
            | Self::Person(_)
            | Self::NoAllowRule
            | Self::OfPeer(_)
            | Self::AmbiguousPath
            | Self::TargetGone(_) => None,
        }
    }

    /// What kind of denial it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Plain(_) | Self::NotOurs => Code::R002,
            Self::NoAllowRule | Self::ByDefault(_) | Self::Isolated(_) | Self::KeptIn(_) => {
                Code::R003
            }
            Self::OfPeer(_) => Code::R066,
            Self::ByRule(_) => Code::R004,
            Self::NotUnderstood(_) => Code::R005,
            Self::InRing(_) => Code::R070,
            Self::Unclear(..) => Code::R060,
            Self::Token(refused) => refused.why.code(),
            Self::NoToken(_) | Self::NoTokenInStream(_) => Code::R062,
            Self::ByAuthorizer(_) => Code::R064,
            Self::NoAnswer(_) | Self::BytesNotAsked(_) | Self::NotAsked(_) => Code::R065,
            Self::NotTold(_) => Code::R030,
            Self::AmbiguousPath => Code::R035,
            Self::Revoked(_) => Code::T005,
            Self::Person(_) => Code::T028,
            Self::TargetGone(_) => Code::R001,
            Self::NotLetOut(not) => not.code(),
        }
    }

    /// What the client is told of how to prove itself (RFC 6750 section 3), where a token would help.
    pub fn challenge(&self) -> Option<String> {
        match self {
            //= RFC 6750 section 3.1: "If the request lacks any authentication information (e.g., the client was unaware that
            //= authentication is necessary or attempted using an unsupported authentication method), the resource server
            //= SHOULD NOT include an error code or other error information."
            Self::NoToken(_) => Some("Bearer".into()),
            Self::Token(refused) => {
                let error = match refused.why {
                    WhyRefused::Token(_) | WhyRefused::OfAnother(_) | WhyRefused::NotLooked => {
                        "invalid_token"
                    }
                    WhyRefused::Several => "invalid_request",
                    WhyRefused::KeysMissing(_) => return None,
                };
                let why = refused.why.to_string().replace(['"', '\\'], "'");
                Some(format!(
                    "Bearer error=\"{error}\", error_description=\"{why}\""
                ))
            }
            Self::Plain(_)
            | Self::Revoked(_)
            | Self::Person(_)
            | Self::NoTokenInStream(_)
            | Self::ByRule(_)
            | Self::NotUnderstood(_)
            | Self::InRing(_)
            | Self::Unclear(..)
            | Self::ByAuthorizer(_)
            | Self::NoAnswer(_)
            | Self::BytesNotAsked(_)
            | Self::NotAsked(_)
            | Self::NotTold(_)
            | Self::NoAllowRule
            | Self::Isolated(_)
            | Self::KeptIn(_)
            | Self::OfPeer(_)
            | Self::ByDefault(_)
            | Self::AmbiguousPath
            | Self::NotOurs
            | Self::NotLetOut(_)
            | Self::TargetGone(_) => None,
        }
    }

    /// The HTTP status that answers it.
    pub fn status(&self) -> u16 {
        match self {
            Self::AmbiguousPath | Self::NotTold(_) => 400,
            Self::TargetGone(_) => 502,
            Self::Token(refused) => refused.why.status(),
            Self::NoToken(_) => 401,
            Self::ByAuthorizer(dissent) => dissent.answer.status,
            // The caller did nothing wrong, and may try again.
            Self::NoAnswer(_) | Self::NotAsked(_) => 503,
            Self::Plain(_)
            | Self::NotOurs
            | Self::Revoked(_)
            | Self::Person(_)
            | Self::NoTokenInStream(_)
            | Self::BytesNotAsked(_)
            | Self::ByRule(_)
            | Self::NotUnderstood(_)
            | Self::InRing(_)
            | Self::Unclear(..)
            | Self::NoAllowRule
            | Self::Isolated(_)
            | Self::KeptIn(_)
            | Self::OfPeer(_)
            | Self::NotLetOut(_)
            | Self::ByDefault(_) => 403,
        }
    }
}

impl From<Box<NotLetOut>> for Denied {
    fn from(not: Box<NotLetOut>) -> Self {
        Self::NotLetOut(not)
    }
}
