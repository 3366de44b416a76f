//! Access: who may call. One function judges, [`Policy::judge`]; only [`Policy::admit`], which asks
//! it about a proven caller, makes the [`Admitted`] that can be routed.

pub(crate) mod gate;

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_model::view::{AccessRule, Effect, Mtls, WorkloadId};
use leno_model::{Code, Namespace, Origin, SpiffeId};
use leno_protocol::Request;

use crate::caller::{Channel, Claim, Fact, Missing, Peer};
use crate::policy::gate::{Asked, Call, Gate, rule_mismatch};
use crate::story::{Detail, Known, Outcome, Step, StepKind, Story};
use crate::table::Table;

/// What stands before a port: of a workload that is called, or of the workloads that call.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'t> {
    table: &'t Table,
    before: Before<'t>,
}

#[derive(Clone, Copy, Debug)]
enum Before<'t> {
    /// Calls that own workloads make: whoever is called decides.
    Outbound,
    /// A port of an own workload.
    Port(Target<'t>, &'t Gate),
}

/// A port of a workload.
#[derive(Clone, Copy, Debug)]
struct Target<'t> {
    workload: &'t WorkloadId,
    port: u16,
}

impl<'t> Policy<'t> {
    pub(crate) fn outbound(table: &'t Table) -> Self {
        Self {
            table,
            before: Before::Outbound,
        }
    }

    pub(crate) fn inbound(
        table: &'t Table,
        workload: &'t WorkloadId,
        port: u16,
        gate: &'t Gate,
    ) -> Self {
        let target = Target { workload, port };
        Self {
            table,
            before: Before::Port(target, gate),
        }
    }

    /// Says whether the caller may make this request. Every reading of the path is asked.
    pub fn judge(&self, claim: &Claim<'_>, request: &Request<'_>) -> Verdict<'t> {
        let readings = request.path.readings().map(|path| Asked {
            method: request.method,
            host: request.host,
            path,
        });
        self.judge_readings(claim, readings)
    }

    /// Says whether the caller may open a stream of bytes.
    pub fn judge_stream(&self, claim: &Claim<'_>) -> Verdict<'t> {
        self.judge_one(claim, None, Gate::judge)
    }

    /// Lets a request in, or says why not.
    pub fn admit<'a>(&self, peer: &'a Peer, request: Request<'a>) -> Result<Admitted<'a>, Denied>
    where
        't: 'a,
    {
        let claim = self.claim(peer);
        let verdict = self.judge(&claim, &request);
        Ok(Admitted {
            grant: self.grant(peer, claim, verdict)?,
            request,
        })
    }

    /// Lets a stream of bytes in, or says why not.
    pub fn admit_stream<'a>(&self, peer: &'a Peer) -> Result<AdmittedStream<'a>, Denied>
    where
        't: 'a,
    {
        let claim = self.claim(peer);
        let verdict = self.judge_stream(&claim);
        Ok(AdmittedStream(self.grant(peer, claim, verdict)?))
    }

    /// What `peer` proved, as a claim.
    pub fn claim<'p>(&self, peer: &'p Peer) -> Claim<'p>
    where
        't: 'p,
    {
        let caller = match &peer.channel {
            Channel::Mtls(caller) => Some(caller.id()),
            Channel::Local(workload) => {
                let workload = self.table.view().workloads.get(workload);
                workload.map(|workload| &workload.identity)
            }
            Channel::Plain(_) => None,
        };
        Claim {
            caller: Fact::Known(caller),
            address: Fact::Known(peer.address),
        }
    }

    fn grant<'a>(
        &self,
        peer: &'a Peer,
        claim: Claim<'a>,
        verdict: Verdict<'a>,
    ) -> Result<Grant<'a>, Denied>
    where
        't: 'a,
    {
        let allowed = match verdict {
            Verdict::Allow(allowed) => allowed,
            Verdict::Deny(denied) => return Err(denied),
            // A peer lacks no fact. If it did, what is not decided would be closed.
            Verdict::Undecided(_) => return Err(Denied::NoAllowRule),
        };
        let target = match self.before {
            Before::Outbound if !matches!(peer.channel, Channel::Local(_)) => {
                return Err(Denied::NotOurs);
            }
            Before::Outbound => None,
            Before::Port(target, _) => Some(target),
        };
        Ok(Grant {
            peer,
            caller: match claim.caller {
                Fact::Known(caller) => caller,
                Fact::Unknown => None,
            },
            allowed,
            target,
        })
    }

    /// Judges each reading. They must all be allowed, or none: what follows from the first holds.
    fn judge_readings<'r>(
        &self,
        claim: &Claim<'_>,
        mut readings: impl Iterator<Item = Asked<'r>>,
    ) -> Verdict<'t> {
        let first = self.judge_one(claim, readings.next(), Gate::judge);
        for reading in readings {
            match (&first, self.judge_one(claim, Some(reading), Gate::judge)) {
                (Verdict::Allow(_), Verdict::Allow(_)) | (Verdict::Deny(_), Verdict::Deny(_)) => {}
                (Verdict::Undecided(missing), _) => return Verdict::Undecided(*missing),
                (_, Verdict::Undecided(missing)) => return Verdict::Undecided(missing),
                (Verdict::Allow(_), Verdict::Deny(_)) | (Verdict::Deny(_), Verdict::Allow(_)) => {
                    return Verdict::Deny(Denied::AmbiguousPath);
                }
            }
        }
        first
    }

    fn judge_one(
        &self,
        claim: &Claim<'_>,
        asked: Option<Asked<'_>>,
        judge: impl Fn(&'t Gate, Call<'_>) -> Verdict<'t>,
    ) -> Verdict<'t> {
        let Before::Port(target, gate) = self.before else {
            return Verdict::Allow(Allowed::Outbound);
        };
        let verdict = judge(
            gate,
            Call {
                claim,
                port: target.port,
                asked,
            },
        );
        let revoked = &self.table.view().revoked;
        match claim.caller {
            Fact::Known(Some(caller)) if !revoked.is_empty() && revoked.contains(caller) => {
                Verdict::Deny(Denied::Revoked(caller.clone()))
            }
            Fact::Known(_) | Fact::Unknown => verdict,
        }
    }
}

/// Telling.
impl<'t> Policy<'t> {
    /// Judges like [`Self::judge`], or [`Self::judge_stream`] without a request, and tells what was
    /// seen: the steps mTLS and access. Asks every rule, and says so if the index had disagreed.
    pub fn explain(
        &self,
        claim: &Claim<'_>,
        request: Option<&Request<'_>>,
        story: &mut Story,
    ) -> Verdict<'t> {
        let verdict = match request {
            Some(request) => self.judge(claim, request),
            None => self.judge_stream(claim),
        };
        let Before::Port(target, gate) = self.before else {
            return verdict;
        };
        let stopped = matches!(
            verdict,
            Verdict::Deny(Denied::Plain(_) | Denied::Revoked(_))
        );
        story.steps.push(mtls_step(gate, claim, &verdict));
        if stopped {
            story.steps.push(Step::not_reached(
                StepKind::Access,
                "the caller was refused before",
            ));
            return verdict;
        }
        let asked = request.map(|request| Asked {
            method: request.method,
            host: request.host,
            path: request.path.raw(),
        });
        let mut step = access_step(&verdict);
        let call = Call {
            claim,
            port: target.port,
            asked,
        };
        let rules = gate.access().rules.iter();
        step.details.extend(rules.filter_map(|rule| {
            let mismatch = rule_mismatch(rule, call)?;
            Some(Detail {
                text: format!("{} no: {mismatch}", rule.origin.object),
                origin: Some(rule.origin.clone()),
            })
        }));
        let scanned = self.judge_one(claim, asked, Gate::judge_by_scan);
        let indexed = self.judge_one(claim, asked, Gate::judge);
        if scanned != indexed {
            step.details.push(Detail::of_disagreement());
        }
        story.steps.push(step);
        verdict
    }
}

fn mtls_step(gate: &Gate, claim: &Claim<'_>, verdict: &Verdict<'_>) -> Step {
    let mode = match gate.access().mtls {
        Mtls::Strict => "strict",
        Mtls::Permissive => "permissive",
    };
    let caller = match claim.caller {
        Fact::Known(Some(id)) => format!("the caller proved to be {id}"),
        Fact::Known(None) => "the caller came in plain".to_owned(),
        Fact::Unknown => "who the caller is was not recorded".to_owned(),
    };
    let outcome = match verdict {
        Verdict::Deny(Denied::Plain(_) | Denied::Revoked(_)) => Outcome::No,
        Verdict::Undecided(Missing::CallerIdentity) if gate.access().mtls == Mtls::Strict => {
            Outcome::Undecided
        }
        Verdict::Allow(_) | Verdict::Deny(_) | Verdict::Undecided(_) => Outcome::Yes,
    };
    let text = match verdict {
        Verdict::Deny(denied @ Denied::Revoked(_)) => format!("{mode}: {denied}"),
        Verdict::Allow(_) | Verdict::Deny(_) | Verdict::Undecided(_) => format!("{mode}: {caller}"),
    };
    Step {
        kind: StepKind::Mtls,
        outcome,
        known: Known::Replayed,
        text,
        origin: gate.access().mtls_origin.clone(),
        details: Vec::new(),
    }
}

fn access_step(verdict: &Verdict<'_>) -> Step {
    let (outcome, text, origin) = match verdict {
        Verdict::Allow(Allowed::ByRule(rule)) => {
            let text = format!("allowed by {}", rule.origin.object);
            (Outcome::Yes, text, Some(rule.origin.clone()))
        }
        Verdict::Allow(Allowed::ByDefault) => (
            Outcome::Yes,
            "no rule speaks of it, and the default is to allow".to_owned(),
            None,
        ),
        Verdict::Allow(Allowed::Outbound) => {
            (Outcome::Yes, "whoever is called decides".to_owned(), None)
        }
        Verdict::Deny(denied) => (Outcome::No, format!("{denied}"), denied.origin().cloned()),
        Verdict::Undecided(missing) => (Outcome::Undecided, format!("depends on {missing}"), None),
    };
    Step {
        kind: StepKind::Access,
        outcome,
        known: Known::Replayed,
        text,
        origin,
        details: Vec::new(),
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
            Effect::Allow | Effect::NotUnderstood => Self::NotUnderstood(rule.clone()),
        }
    }

    /// Who said so.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Plain(origin) | Self::ByDefault(origin) => origin.as_ref(),
            Self::ByRule(rule) | Self::NotUnderstood(rule) => Some(&rule.origin),
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

/// Leave, and who has it.
#[derive(Clone, Copy, Debug)]
struct Grant<'a> {
    peer: &'a Peer,
    caller: Option<&'a SpiffeId>,
    allowed: Allowed<'a>,
    target: Option<Target<'a>>,
}

impl Grant<'_> {
    fn permit(&self, asked: Option<Facts>) -> Permit {
        let rule = match self.allowed {
            Allowed::ByRule(rule) => Some(rule.clone()),
            Allowed::ByDefault | Allowed::Outbound => None,
        };
        Permit {
            caller: self.caller.cloned(),
            address: self.peer.address,
            target: self
                .target
                .map(|target| (target.workload.clone(), target.port)),
            rule,
            asked,
        }
    }
}

/// A request that may go on, with its head inside. Only [`Policy::admit`] makes one.
#[derive(Debug)]
pub struct Admitted<'a> {
    grant: Grant<'a>,
    request: Request<'a>,
}

impl<'a> Admitted<'a> {
    /// Who made it.
    pub fn peer(&self) -> &'a Peer {
        self.grant.peer
    }

    /// The request that was judged.
    pub fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// Why it may go on.
    pub fn allowed(&self) -> Allowed<'a> {
        self.grant.allowed
    }

    /// The namespace of the caller, if it proved one.
    pub fn namespace(&self) -> Option<&'a Namespace> {
        match &self.grant.peer.channel {
            Channel::Mtls(caller) => Some(&caller.id().namespace),
            Channel::Local(workload) => Some(&workload.namespace),
            Channel::Plain(_) => None,
        }
    }

    /// What is kept of the permission while the exchange lives, to be asked again when the view
    /// changes. Copies the facts of the request: make one for what lives longer than an instant.
    pub fn permit(&self) -> Permit {
        let Request {
            method, host, path, ..
        } = &self.request;
        self.grant.permit(Some(Facts {
            method: (*method).to_owned(),
            host: (*host).to_owned(),
            readings: path.readings().map(ToOwned::to_owned).collect(),
        }))
    }
}

/// A stream of bytes that may go on. Only [`Policy::admit_stream`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct AdmittedStream<'a>(Grant<'a>);

impl<'a> AdmittedStream<'a> {
    /// Who opened it.
    pub fn peer(&self) -> &'a Peer {
        self.0.peer
    }

    /// Why it may go on.
    pub fn allowed(&self) -> Allowed<'a> {
        self.0.allowed
    }

    /// What is kept of the permission while the stream lives.
    pub fn permit(&self) -> Permit {
        self.0.permit(None)
    }
}

/// A permission that was given, without a life of its own: who, to what, by which rule, and for a
/// request what was asked. [`Table::still_permits`] asks it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permit {
    caller: Option<SpiffeId>,
    address: IpAddr,
    /// Absent for a call that goes out.
    target: Option<(WorkloadId, u16)>,
    rule: Option<Arc<AccessRule>>,
    /// Absent for a stream of bytes.
    asked: Option<Facts>,
}

/// The facts of a request that access rules look at.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Facts {
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

impl Table {
    /// Whether a permission that an earlier table gave would be given again.
    pub fn still_permits(&self, permit: &Permit) -> Result<(), Denied> {
        let Some((workload, port)) = &permit.target else {
            return Ok(());
        };
        let gone = || Denied::TargetGone(workload.clone());
        let policy = self.inbound(workload, *port).ok_or_else(gone)?;
        let claim = Claim {
            caller: Fact::Known(permit.caller.as_ref()),
            address: Fact::Known(permit.address),
        };
        let verdict = match &permit.asked {
            None => policy.judge_stream(&claim),
            Some(Facts {
                method,
                host,
                readings,
            }) => {
                let readings = readings.iter().map(|path| Asked { method, host, path });
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
