//! What is kept of a permission while a stream lives, to be asked again when the view changes.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_jwt::{Proven, WhyNot};
use leno_model::SpiffeId;
use leno_model::view::access::ExternalAuth;
use leno_model::view::{AccessRule, WorkloadId};
use leno_protocol::Header;

use crate::caller::{Claim, Consent, Fact, Token};
use crate::outside::Left;
use crate::policy::gate::Gate;
use crate::policy::meets::Asked;
use crate::policy::{Denied, Policy, RefusedToken, Verdict, WhyRefused};
use crate::table::Table;

/// A permission that was given, without a life of its own: who, to what, by which rule, and for a
/// request what was asked. [`Table::still_permits`] asks it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permit {
    pub(super) caller: Option<SpiffeId>,
    pub(super) address: IpAddr,
    /// Absent for a call that goes out.
    pub(super) target: Option<(WorkloadId, u16)>,
    pub(super) rule: Option<Arc<AccessRule>>,
    /// Absent for a stream of bytes.
    pub(super) asked: Option<Facts>,
    /// What proved it more than its channel did.
    pub(super) token: Option<Arc<Proven>>,
    /// For what it may go out of the mesh, if it does.
    pub(super) left: Option<Box<Left>>,
    /// Who let it in beside the rules.
    pub(super) consents: Vec<Arc<ExternalAuth>>,
}

/// The facts of a request that access rules look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Facts {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) readings: Vec<String>,
    /// All of them: a later view may ask for what this one did not.
    pub(super) headers: Vec<(Box<str>, Box<[u8]>)>,
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

impl Policy<'_> {
    /// Whether what a token proved when a call was let in is still believed.
    fn holds(&self, proven: &Proven) -> bool {
        let believed = self.gate().and_then(Gate::believed);
        believed.is_none_or(|believed| believed.holds(proven))
    }
}

impl Table {
    /// Whether a permission that an earlier table gave would be given again.
    pub fn still_permits(&self, permit: &Permit) -> Result<(), Denied> {
        if let Some(left) = &permit.left {
            let gone = || Denied::TargetGone(left.caller.clone());
            let lets_out = self.still_lets_out(left).ok_or_else(gone)?;
            return lets_out.map_err(Denied::from);
        }
        let Some((workload, port)) = &permit.target else {
            return Ok(());
        };
        let gone = || Denied::TargetGone(workload.clone());
        let policy = self.inbound(workload, *port).ok_or_else(gone)?;
        let gone = RefusedToken {
            origin: None,
            why: WhyRefused::Token(WhyNot::KeyGone),
        };
        let claim = Claim {
            caller: Fact::Known(permit.caller.as_ref()),
            address: Fact::Known(permit.address),
            token: match &permit.token {
                None => Token::Absent,
                Some(proven) if policy.holds(proven) => Token::Of(proven),
                Some(_) => Token::Refused(&gone),
            },
            consent: Consent::Of(&permit.consents),
        };
        let verdict = match &permit.asked {
            None => policy.judge_stream(&claim),
            Some(Facts {
                method,
                host,
                readings,
                headers,
            }) => {
                let headers = headers.iter().map(|(name, value)| Header { name, value });
                let headers = &headers.collect::<Vec<_>>();
                let readings = readings.iter();
                let readings = readings.map(|path| Asked::known(method, host, path, headers));
                policy.judge_readings(&claim, readings)
            }
        };
        match verdict {
            Verdict::Allow(_) => Ok(()),
            Verdict::Deny(denied) => Err(denied),
            Verdict::Undecided(_) => Err(Denied::NoAllowRule),
        }
    }
}
