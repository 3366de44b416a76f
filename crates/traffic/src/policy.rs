//! Access: who may call. One function judges, [`Policy::judge`]; only [`Policy::admit`], which asks
//! it about a proven caller, makes the [`Admitted`] that can be routed.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_model::view::{AccessRule, WorkloadId};
use leno_model::{Code, Namespace, Origin, SpiffeId};
use leno_protocol::Request;

use crate::caller::{Channel, Claim, Missing, Peer};
use crate::story::Story;
use crate::table::Table;

/// What stands before a port: of a workload that is called, or of the workloads that call.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'t> {
    #[expect(dead_code, reason = "the door")]
    table: &'t Table,
}

impl<'t> Policy<'t> {
    /// Says whether the caller may make this request. Every reading of the path is asked.
    pub fn judge(&self, _claim: &Claim<'_>, _request: &Request<'_>) -> Verdict<'t> {
        unimplemented!("the door comes first")
    }

    /// Says whether the caller may open a stream of bytes.
    pub fn judge_stream(&self, _claim: &Claim<'_>) -> Verdict<'t> {
        unimplemented!("the door comes first")
    }

    /// Judges like [`Self::judge`], by scanning every rule, and tells what was seen: the steps
    /// mTLS and access.
    pub fn explain(
        &self,
        _claim: &Claim<'_>,
        _request: Option<&Request<'_>>,
        _story: &mut Story,
    ) -> Verdict<'t> {
        unimplemented!("the door comes first")
    }

    /// Lets a request in, or says why not.
    pub fn admit<'a>(&self, _peer: &'a Peer, _request: Request<'a>) -> Result<Admitted<'a>, Denied>
    where
        't: 'a,
    {
        unimplemented!("the door comes first")
    }

    /// Lets a stream of bytes in, or says why not.
    pub fn admit_stream<'a>(&self, _peer: &'a Peer) -> Result<AdmittedStream<'a>, Denied>
    where
        't: 'a,
    {
        unimplemented!("the door comes first")
    }
}

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
    /// No rule speaks of it, and the default is to allow.
    ByDefault,
    /// It is a call that a workload of this proxy makes: whoever is called decides.
    Outbound,
}

/// Why a call may not go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// mTLS is strict, and the caller came in plain.
    #[error("mTLS is strict{}, and the call came in plain", said_by(.0.as_ref()))]
    Plain(Option<Origin>),
    /// The caller's identity has been revoked.
    #[error("the identity {0} has been revoked")]
    Revoked(SpiffeId),
    /// A rule denies it.
    #[error("denied by {}", .0.origin)]
    ByRule(Arc<AccessRule>),
    /// A rule covers it that needs a feature this proxy lacks.
    #[error("{} needs a feature that this proxy lacks", .0.origin)]
    NotUnderstood(Arc<AccessRule>),
    /// Rules allow others, and none allows this.
    #[error("no AccessPolicy allows it")]
    NoAllowRule,
    /// No rule speaks of it, and the default is to deny.
    #[error("no AccessPolicy allows it, and the default is to deny{}", said_by(.0.as_ref()))]
    ByDefault(Option<Origin>),
    /// The readings of the path lead to different verdicts.
    #[error("the path can be read in two ways, and only one of them is allowed")]
    AmbiguousPath,
    /// The workload is no longer here.
    #[error("{0} is not a workload of this proxy")]
    TargetGone(WorkloadId),
}

impl Denied {
    /// What kind of denial it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Plain(_) => Code::R002,
            Self::NoAllowRule | Self::ByDefault(_) => Code::R003,
            Self::ByRule(_) => Code::R004,
            Self::NotUnderstood(_) => Code::R005,
            Self::AmbiguousPath => Code::R035,
            Self::Revoked(_) => Code::T005,
            Self::TargetGone(_) => Code::R001,
        }
    }

    /// The HTTP status that answers it.
    pub fn status(&self) -> u16 {
        match self {
            Self::AmbiguousPath => 400,
            Self::TargetGone(_) => 502,
            Self::Plain(_)
            | Self::Revoked(_)
            | Self::ByRule(_)
            | Self::NotUnderstood(_)
            | Self::NoAllowRule
            | Self::ByDefault(_) => 403,
        }
    }
}

/// ` by mesh.yaml:7`, or nothing.
fn said_by(origin: Option<&Origin>) -> String {
    origin
        .map(|origin| alloc::format!(" by {origin}"))
        .unwrap_or_default()
}

/// A request that may go on, with its head inside. Only [`Policy::admit`] makes one.
#[derive(Debug)]
pub struct Admitted<'a> {
    peer: &'a Peer,
    request: Request<'a>,
    allowed: Allowed<'a>,
    target: Option<(&'a WorkloadId, u16)>,
}

impl<'a> Admitted<'a> {
    /// Who made it.
    pub fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// The request that was judged.
    pub fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// Why it may go on.
    pub fn allowed(&self) -> Allowed<'a> {
        self.allowed
    }

    /// The namespace of the caller, if it proved one.
    pub fn namespace(&self) -> Option<&'a Namespace> {
        match &self.peer.channel {
            Channel::Mtls(caller) => Some(&caller.id().namespace),
            Channel::Local(workload) => Some(&workload.namespace),
            Channel::Plain(_) => None,
        }
    }

    /// What is kept of the permission while the exchange lives, to be asked again when the view
    /// changes. Copies the facts of the request: make one for what lives longer than an instant.
    pub fn permit(&self) -> Permit {
        unimplemented!("the door comes first")
    }
}

/// A stream of bytes that may go on. Only [`Policy::admit_stream`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct AdmittedStream<'a> {
    peer: &'a Peer,
    allowed: Allowed<'a>,
    target: Option<(&'a WorkloadId, u16)>,
}

impl<'a> AdmittedStream<'a> {
    /// Who opened it.
    pub fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// Why it may go on.
    pub fn allowed(&self) -> Allowed<'a> {
        self.allowed
    }

    /// What is kept of the permission while the stream lives.
    pub fn permit(&self) -> Permit {
        unimplemented!("the door comes first")
    }
}

/// A permission that was given, without a life of its own: who, to what, by which rule, and for a
/// request what was asked. [`Table::still_permits`] asks it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permit {
    caller: Option<SpiffeId>,
    address: IpAddr,
    target: Option<(WorkloadId, u16)>,
    rule: Option<Arc<AccessRule>>,
    asked: Option<Asked>,
}

/// The facts of a request that access rules look at.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Asked {
    method: String,
    host: String,
    readings: Vec<String>,
}

impl Permit {
    /// Who was let in; `None` came in plain.
    pub fn caller(&self) -> Option<&SpiffeId> {
        self.caller.as_ref()
    }

    /// The rule that let it in, if one had to.
    pub fn rule(&self) -> Option<&AccessRule> {
        self.rule.as_deref()
    }
}
