//! Access: who may call. One function judges, [`Policy::judge`]; only [`Policy::admit`], which asks
//! it about a proven caller, makes the [`Admitted`] that can be routed.

pub(crate) mod gate;
mod meets;
mod permit;
mod telling;
mod verdict;

use alloc::{borrow::ToOwned, sync::Arc, vec::Vec};

use leno_model::view::{AccessRule, WorkloadId};
use leno_model::{Namespace, SpiffeId};
use leno_protocol::Request;

use crate::caller::{Channel, Claim, Fact, Peer};
use crate::policy::gate::Gate;
use crate::policy::meets::{Asked, Call};
use crate::policy::permit::Facts;
use crate::route::asks::Asks;
use crate::table::Table;

pub use crate::policy::meets::Unclear;
pub use crate::policy::permit::Permit;
pub use crate::policy::verdict::{Allowed, Denied, Verdict};

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
        self.judge_readings(claim, readings(request))
    }

    /// Says whether the caller may open a stream of bytes.
    pub fn judge_stream(&self, claim: &Claim<'_>) -> Verdict<'t> {
        self.judge_one(claim, None, Gate::judge)
    }

    /// Whether a rule allows some requests and no others: a stream of bytes is never one of them.
    pub fn asks_requests(&self) -> bool {
        match self.before {
            Before::Outbound => false,
            Before::Port(_, gate) => gate.asks_requests(),
        }
    }

    /// The headers that rules ask about; `None` if there are no rules here.
    pub fn asks(&self) -> Option<&'t Asks> {
        match self.before {
            Before::Outbound => None,
            Before::Port(_, gate) => Some(gate.asks()),
        }
    }

    /// The rules that only tell what they match, and match this request, or without one a stream of
    /// bytes, under any reading of the path.
    pub fn audits(
        &self,
        claim: &Claim<'_>,
        request: Option<&Request<'_>>,
    ) -> Vec<&'t Arc<AccessRule>> {
        let Before::Port(Target { port, .. }, gate) = self.before else {
            return Vec::new();
        };
        let mut matched: Vec<&Arc<AccessRule>> = Vec::new();
        if gate.access().audits.is_empty() {
            return matched;
        }
        let mut ask = |asked| {
            for rule in gate.audits(Call { claim, port, asked }) {
                if !matched.iter().any(|known| Arc::ptr_eq(known, rule)) {
                    matched.push(rule);
                }
            }
        };
        match request {
            Some(request) => readings(request).for_each(|asked| ask(Some(asked))),
            None => ask(None),
        }
        matched
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

/// What is asked, under each reading of the path.
fn readings<'r>(request: &'r Request<'r>) -> impl Iterator<Item = Asked<'r>> {
    request.path.readings().map(|path| Asked {
        method: request.method,
        host: request.host,
        path,
        headers: request.headers,
    })
}

/// Leave, and who has it.
#[derive(Clone, Copy, Debug)]
struct Grant<'a> {
    peer: &'a Peer,
    caller: Option<&'a SpiffeId>,
    allowed: Allowed<'a>,
    target: Option<Target<'a>>,
}

impl<'a> Grant<'a> {
    fn namespace(&self) -> Option<&'a Namespace> {
        match &self.peer.channel {
            Channel::Mtls(caller) => Some(&caller.id().namespace),
            Channel::Local(workload) => Some(&workload.namespace),
            Channel::Plain(_) => None,
        }
    }

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

    /// Who it was proven to be, if anybody.
    pub fn caller(&self) -> Option<&'a SpiffeId> {
        self.grant.caller
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
        self.grant.namespace()
    }

    /// What is kept of the permission while the exchange lives, to be asked again when the view
    /// changes. Copies the facts of the request: make one for what lives longer than an instant.
    pub fn permit(&self) -> Permit {
        let Request {
            method,
            host,
            path,
            headers,
            ..
        } = &self.request;
        let headers = headers.iter();
        self.grant.permit(Some(Facts {
            method: (*method).to_owned(),
            host: (*host).to_owned(),
            readings: path.readings().map(ToOwned::to_owned).collect(),
            headers: headers
                .map(|it| (it.name.into(), it.value.into()))
                .collect(),
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

    /// The namespace of the caller, if it proved one.
    pub fn namespace(&self) -> Option<&'a Namespace> {
        self.0.namespace()
    }

    /// What is kept of the permission while the stream lives.
    pub fn permit(&self) -> Permit {
        self.0.permit(None)
    }
}
