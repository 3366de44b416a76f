//! What a judgement comes to, and why.

use alloc::sync::Arc;

use leno_model::view::{AccessRule, Effect, WorkloadId};
use leno_model::{Code, Origin, SpiffeId};

use crate::caller::Missing;
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
    /// No rule speaks of it, and the default is to allow.
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
    /// A rule denies it.
    #[error("denied by {}", named(.0))]
    ByRule(Arc<AccessRule>),
    /// A rule covers it that needs a feature this proxy lacks.
    #[error("{} needs a feature that this proxy lacks", named(.0))]
    NotUnderstood(Arc<AccessRule>),
    /// It cannot be told whether a rule speaks of it: one that denies does so, and one that allows
    /// does not.
    #[error("{} cannot be decided: {}", named(.0), .1)]
    Unclear(Arc<AccessRule>, Unclear),
    /// Rules allow others, and none allows this.
    #[error("no AccessPolicy allows it")]
    NoAllowRule,
    /// No rule speaks of it, and the default is to deny.
    #[error("no AccessPolicy allows it, and the default is to deny")]
    ByDefault(Option<Origin>),
    /// The readings of the path lead to different verdicts.
    #[error("the path can be read in two ways, and only one of them is allowed")]
    AmbiguousPath,
    /// The call came to the way out, and not from a workload of this proxy.
    #[error("the call did not come from a workload of this proxy")]
    NotOurs,
    /// The workload is no longer here.
    #[error("{0} is not a workload of this proxy")]
    TargetGone(WorkloadId),
}

impl Denied {
    /// The denial of a rule that matched.
    pub(crate) fn by(rule: &Arc<AccessRule>) -> Self {
        match rule.effect {
            Effect::Deny => Self::ByRule(rule.clone()),
            Effect::Allow | Effect::Audit | Effect::NotUnderstood => {
                Self::NotUnderstood(rule.clone())
            }
        }
    }

    /// Who said so.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Plain(origin) | Self::ByDefault(origin) => origin.as_ref(),
            Self::ByRule(rule) | Self::NotUnderstood(rule) | Self::Unclear(rule, _) => {
                Some(&rule.origin)
            }
            Self::NotOurs
            | Self::Revoked(_)
            | Self::NoAllowRule
            | Self::AmbiguousPath
            | Self::TargetGone(_) => None,
        }
    }

    /// What kind of denial it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Plain(_) | Self::NotOurs => Code::R002,
            Self::NoAllowRule | Self::ByDefault(_) => Code::R003,
            Self::ByRule(_) => Code::R004,
            Self::NotUnderstood(_) => Code::R005,
            Self::Unclear(..) => Code::R060,
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
            | Self::NotOurs
            | Self::Revoked(_)
            | Self::ByRule(_)
            | Self::NotUnderstood(_)
            | Self::Unclear(..)
            | Self::NoAllowRule
            | Self::ByDefault(_) => 403,
        }
    }
}
