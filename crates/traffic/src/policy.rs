//! Access: who may call. One function judges, [`Policy::judge`]; only [`Policy::admit`], which asks
//! it about a proven caller, makes the [`Admitted`] that can be routed.

mod bearer;
mod cookies;
mod external;
pub(crate) mod gate;
mod isolation;
mod meets;
mod permit;
mod probe;
mod telling;
mod tokens;
mod verdict;

use alloc::{borrow::ToOwned, boxed::Box, sync::Arc, vec::Vec};
use core::net::SocketAddr;

use leno_jwt::Proven;
use leno_model::view::access::ExternalAuth;
use leno_model::view::{AccessRule, HeaderChanges, Workload, WorkloadId};
use leno_model::{Namespace, SpiffeId, TrustDomain, Wall};
use leno_protocol::Request;

use crate::caller::{Channel, Claim, Consent, Fact, Peer, Token};
use crate::outside::{Leave, Left};
use crate::policy::external::{Authorizer, Consents};
use crate::policy::gate::Gate;
use crate::policy::meets::{Asked, Call};
use crate::policy::permit::Facts;
use crate::recorded::Recorded;
use crate::route::asks::Asks;
use crate::table::Table;

pub use crate::policy::bearer::{Bearer, RefusedToken, WhyRefused};
pub use crate::policy::external::{Dissent, Examined, NoAnswer, Silence};
pub use crate::policy::meets::Unclear;
pub use crate::policy::permit::Permit;
pub use crate::policy::tokens::Tokens;
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
pub(crate) struct Target<'t> {
    pub(crate) of: &'t Workload,
    pub(crate) port: u16,
}

impl<'t> Policy<'t> {
    pub(crate) fn outbound(table: &'t Table) -> Self {
        Self {
            table,
            before: Before::Outbound,
        }
    }

    pub(crate) fn inbound(table: &'t Table, target: Target<'t>, gate: &'t Gate) -> Self {
        Self {
            table,
            before: Before::Port(target, gate),
        }
    }

    /// Says whether the caller may make this request. Every reading of the path is asked.
    pub fn judge(&self, claim: &Claim<'_>, request: &Request<'_>) -> Verdict<'t> {
        self.judge_readings(claim, readings(request))
    }

    /// Says the same of a request of which not everything is known.
    pub fn judge_recorded(&self, claim: &Claim<'_>, request: &Recorded<'_>) -> Verdict<'t> {
        let asked = request.readings().map(|path| Asked {
            method: request.method,
            host: request.host,
            path,
            headers: request.headers,
            kept: request.kept,
        });
        self.judge_readings(claim, asked)
    }

    /// Says whether the caller may open a stream of bytes. One that is allowed as a health check alone is so for as long
    /// as it does what that does ([`Check`](leno_model::view::Check)).
    pub fn judge_stream(&self, claim: &Claim<'_>) -> Verdict<'t> {
        match self.judge_bytes(claim) {
            Verdict::Deny(denied) => {
                let check = self.judge_check(claim);
                check.unwrap_or(Verdict::Deny(denied))
            }
            verdict @ (Verdict::Allow(_) | Verdict::Undecided(_)) => verdict,
        }
    }

    /// The same, whatever health checks there are.
    pub fn judge_bytes(&self, claim: &Claim<'_>) -> Verdict<'t> {
        self.judge_one(claim, None, Gate::judge)
    }

    /// Whether some requests may be let in and no others: a stream of bytes is never one of them.
    pub fn asks_requests(&self) -> bool {
        match self.before {
            Before::Outbound => false,
            Before::Port(target, gate) => gate.asks_requests() || self.is_probed(target),
        }
    }

    /// The headers that rules ask about; `None` if there are no rules here.
    pub fn asks(&self) -> Option<&'t Asks> {
        match self.before {
            Before::Outbound => None,
            Before::Port(_, gate) => Some(gate.asks()),
        }
    }

    /// What is to be thought of the token that `request` carries, as of `now`. Costs nothing where nobody's
    /// tokens are believed; a signature, once for each token that is remembered in `tokens`, else.
    pub fn bearer(&self, request: &Request<'_>, tokens: &Tokens, now: Wall) -> Bearer {
        let believed = self.gate().and_then(Gate::believed);
        believed.map_or_else(Bearer::default, |it| it.bearer(request, tokens, now))
    }

    /// Whether something stands in `request` where tokens are looked for. Nobody proves it.
    pub fn carries_token(&self, request: &Request<'_>) -> bool {
        let believed = self.gate().and_then(Gate::believed);
        believed.is_some_and(|it| it.carries(request))
    }

    fn gate(&self) -> Option<&'t Gate> {
        match self.before {
            Before::Outbound => None,
            Before::Port(_, gate) => Some(gate),
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
            let believed = gate.believed();
            let call = Call {
                claim,
                port,
                asked,
                believed,
                own: self.own_domain(),
            };
            for rule in gate.audits(call) {
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

    /// Lets a request in, or says why not. Where tokens are believed, or others are asked, it lets nobody in:
    /// that takes [`Self::examine`].
    pub fn admit<'a>(&self, peer: &'a Peer, request: Request<'a>) -> Result<Admitted<'a>, Denied>
    where
        't: 'a,
    {
        self.examine(peer, request, Bearer::default())?.admitted()
    }

    /// Says whether the rules let a request in that carries what [`Self::bearer`] found, and who is to be
    /// asked about it then. Costs nothing where nobody is.
    pub fn examine<'a>(
        &self,
        peer: &'a Peer,
        request: Request<'a>,
        bearer: Bearer,
    ) -> Result<Examined<'a>, Denied>
    where
        't: 'a,
    {
        let proven = self.claim(peer);
        let claim = Claim {
            token: bearer.token(),
            consent: Consent::Given,
            ..proven
        };
        let verdict = self.judge(&claim, &request);
        let asked = match &verdict {
            Verdict::Allow(Allowed::Probe(_)) | Verdict::Deny(_) | Verdict::Undecided(_) => {
                Vec::new()
            }
            Verdict::Allow(_) => self.asked(&claim, &request),
        };
        let grant = self.grant(peer, proven, verdict)?;
        let admitted = Admitted {
            grant,
            gate: self.gate(),
            bearer,
            consents: None,
            request,
            left: None,
        };
        Ok(Examined::new(admitted, asked))
    }

    /// Who is asked about a request that the rules let in, under any reading of its path.
    pub fn asked(&self, claim: &Claim<'_>, request: &Request<'_>) -> Vec<&'t Arc<ExternalAuth>> {
        let Before::Port(Target { port, .. }, gate) = self.before else {
            return Vec::new();
        };
        let authorizers = gate.authorizers().iter();
        let is_asked = |authorizer: &&Authorizer| {
            readings(request).any(|asked| {
                let call = Call {
                    claim,
                    port,
                    asked: Some(asked),
                    believed: gate.believed(),
                    own: self.own_domain(),
                };
                // A proxy knows every fact.
                authorizer.is_asked(call).unwrap_or(true)
            })
        };
        let asked = authorizers.filter(is_asked);
        asked.map(Authorizer::auth).collect()
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

    /// What `peer` proved, as a claim, whose request may carry a token or not.
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
            token: Token::NotLooked,
            consent: Consent::NOT_ASKED,
        }
    }

    fn own_domain(&self) -> &'t TrustDomain {
        &self.table.view().settings.trust_domain
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
        let namespace = match &peer.channel {
            Channel::Mtls(caller) => {
                let id = caller.id();
                // A namespace of another mesh may be called as one of ours, and is another.
                (id.trust_domain == *self.own_domain()).then_some(&id.namespace)
            }
            Channel::Local(workload) => Some(&workload.namespace),
            Channel::Plain(_) => None,
        };
        Ok(Grant {
            peer,
            namespace,
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
                (Verdict::Undecided(missing), _) => return Verdict::Undecided(missing.clone()),
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
        let call = Call {
            claim,
            port: target.port,
            asked,
            believed: gate.believed(),
            own: self.own_domain(),
        };
        if let Some(verdict) = self.judge_probe(call) {
            return verdict;
        }
        let verdict = match (isolation::judge(target, call), judge(gate, call)) {
            (Some(Verdict::Deny(denied)), _) => Verdict::Deny(denied),
            (Some(isolated), Verdict::Allow(_) | Verdict::Undecided(_)) => isolated,
            (Some(_) | None, verdict) => verdict,
        };
        let Fact::Known(Some(caller)) = claim.caller else {
            return verdict;
        };
        let revoked = &self.table.view().revoked;
        if !revoked.is_empty() && revoked.contains(caller) {
            return Verdict::Deny(Denied::Revoked(caller.clone()));
        }
        if caller.is_person() {
            return Verdict::Deny(Denied::Person(caller.clone()));
        }
        match verdict {
            // Who believes another mesh has not opened its own to it.
            Verdict::Allow(Allowed::ByDefault) if caller.trust_domain != *self.own_domain() => {
                Verdict::Deny(Denied::OfPeer(caller.trust_domain.clone()))
            }
            Verdict::Allow(_) | Verdict::Deny(_) | Verdict::Undecided(_) => verdict,
        }
    }
}

/// What is asked, under each reading of the path.
fn readings<'r>(request: &'r Request<'r>) -> impl Iterator<Item = Asked<'r>> {
    let readings = request.path.readings();
    readings.map(|path| Asked::of(request, path))
}

/// Leave, and who has it.
#[derive(Clone, Copy, Debug)]
struct Grant<'a> {
    peer: &'a Peer,
    /// The namespace of this mesh that it acts in, if it proved one.
    namespace: Option<&'a Namespace>,
    caller: Option<&'a SpiffeId>,
    allowed: Allowed<'a>,
    target: Option<Target<'a>>,
}

impl<'a> Grant<'a> {
    fn permit(&self, asked: Option<Facts>, token: Option<Arc<Proven>>) -> Permit {
        let rule = match self.allowed {
            Allowed::ByRule(rule) => Some(rule.clone()),
            Allowed::Probe(_) | Allowed::ByDefault | Allowed::Outbound => None,
        };
        Permit {
            caller: self.caller.cloned(),
            address: self.peer.address,
            target: self
                .target
                .map(|target| (target.of.id.clone(), target.port)),
            rule,
            asked,
            token,
            left: None,
            consents: Vec::new(),
        }
    }
}

/// A request that may go on, with its head inside. Only [`Policy::admit`] and [`Examined::admitted`] make one.
#[derive(Debug)]
pub struct Admitted<'a> {
    grant: Grant<'a>,
    bearer: Bearer,
    gate: Option<&'a Gate>,
    /// What was said by those who were asked, if anybody was.
    consents: Option<Box<Consents>>,
    request: Request<'a>,
    left: Option<Box<Left>>,
}

impl<'a> Admitted<'a> {
    /// The same, which goes out of the mesh by this leave.
    pub fn leaving(self, leave: &Leave<'_>) -> Self {
        let left = Some(Box::new(leave.keep()));
        Self { left, ..self }
    }

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

    /// What becomes of its headers on the way to the application, where anybody's tokens are believed: no
    /// client says what only a token may, and claims are told.
    pub fn told_of_token(&self) -> Option<HeaderChanges> {
        let believed = self.gate?.believed()?;
        Some(believed.changes(&self.request, &self.bearer))
    }

    /// Why it may go on.
    pub fn allowed(&self) -> Allowed<'a> {
        self.grant.allowed
    }

    /// The namespace of this mesh that the caller acts in, if it proved one.
    pub fn namespace(&self) -> Option<&'a Namespace> {
        self.grant.namespace
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
        let asked = Facts {
            method: (*method).to_owned(),
            host: (*host).to_owned(),
            readings: path.readings().map(ToOwned::to_owned).collect(),
            headers: headers
                .map(|it| (it.name.into(), it.value.into()))
                .collect(),
        };
        let token = self.bearer.proven().cloned();
        let consents = self.consents.as_ref();
        Permit {
            consents: consents.map(|it| it.of.clone()).unwrap_or_default(),
            left: self.left.clone(),
            ..self.grant.permit(Some(asked), token)
        }
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

    /// The namespace of this mesh that the caller acts in, if it proved one.
    pub fn namespace(&self) -> Option<&'a Namespace> {
        self.0.namespace
    }

    /// What is kept of the permission while the stream lives.
    pub fn permit(&self) -> Permit {
        self.0.permit(None, None)
    }

    /// The same of one that goes out of the mesh by this leave.
    pub fn permit_out(&self, leave: &Leave<'_>) -> Permit {
        self.permit_left(leave.keep())
    }

    /// The same of one that `caller`, a workload of this proxy, makes in plain to who has `address` in the mesh.
    pub fn permit_plain(&self, caller: &WorkloadId, address: SocketAddr) -> Permit {
        self.permit_left(Left::plain(caller, address))
    }

    fn permit_left(&self, left: Left) -> Permit {
        Permit {
            left: Some(Box::new(left)),
            ..self.permit()
        }
    }
}
