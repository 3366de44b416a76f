//! What is decided about a call or a stream on its way, learned while it goes on, so that it can be
//! explained when it is over.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use leno_authorizer::Answer;
use leno_model::view::access::{ExternalAuth, OnFailure};
use leno_model::view::{AccessRule, Generation, PortRef};
use leno_model::{Code, Origin, Roll, SpiffeId};
use leno_protocol::Request;
use leno_telemetry::{
    Consent, Consulted, Decided, Endpoints, FactOf, FactValue, Facts, FailedTry, Late, Load,
    TokenFact, Unusable,
};
use leno_traffic::{
    Allowed, Asks, Candidate, Draw, Forward, Leave, NoAnswer, Picked, Port, Refusal, Report, Timed,
    Token, WhyNot, header_of, parameter_of,
};

use crate::incoming::Way;

/// What was decided, as far as it came to that.
#[derive(Default)]
pub(crate) struct Decision<'a> {
    caller: Option<&'a SpiffeId>,
    /// The rule that let it in.
    allowed_by: Option<&'a Origin>,
    /// The access rules that matched it and only tell so.
    audited: Vec<Origin>,
    /// The external authorizers that were asked about it.
    consulted: Vec<Consulted>,
    /// Who or what kept it from going on, and why in words.
    kept_by: Option<Origin>,
    /// The rule that took it and could not carry it.
    taken_by: Option<Origin>,
    why: String,
    called: Option<&'a Port>,
    backend: Option<&'a PortRef>,
    roll: Option<Roll>,
    drawn: Option<Drawn>,
    unusable: Vec<Unusable>,
    failed: Vec<FailedTry>,
    not_retried: Option<&'static str>,
    late: Option<(Timed, Duration)>,
    late_by: Option<Origin>,
}

/// The endpoints of a port when one of them was picked, or none could be.
#[derive(Clone, Copy)]
struct Drawn {
    known: u32,
    usable: u32,
    taken: Option<Load>,
    beside: Option<(SocketAddr, Load)>,
}

/// Who decided, and what rules ask about it.
pub(crate) struct Basis<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) way: &'a Way,
    pub(crate) facts: Option<&'a dyn Facts>,
}

impl<'a> Decision<'a> {
    /// It comes from `caller`, if somebody proved to be that.
    pub(crate) fn comes_from(&mut self, caller: Option<&'a SpiffeId>) {
        self.caller = caller;
    }

    /// It was let in.
    pub(crate) fn allowed(&mut self, allowed: Allowed<'a>) {
        self.allowed_by = match allowed {
            Allowed::ByRule(rule) => Some(&rule.origin),
            Allowed::Probe(probe) => Some(&probe.origin),
            Allowed::ByDefault | Allowed::Outbound => None,
        };
    }

    /// These rules matched it and only tell so.
    pub(crate) fn audited(&mut self, rules: &[&Arc<AccessRule>]) {
        self.audited = rules.iter().map(|rule| rule.origin.clone()).collect();
    }

    /// These rules about calls that leave the mesh matched it too.
    pub(crate) fn also_audited<'r>(&mut self, rules: impl Iterator<Item = &'r Origin>) {
        self.audited.extend(rules.cloned());
    }

    /// It was let out of the mesh.
    pub(crate) fn let_out(&mut self, leave: &Leave<'a>) {
        self.allowed_by = leave.rule().map(|rule| &rule.origin).or(self.allowed_by);
    }

    /// An external authorizer was asked, and that is what came of it.
    pub(crate) fn consulted(
        &mut self,
        auth: &ExternalAuth,
        answer: &Result<Answer, NoAnswer>,
        took: Duration,
    ) {
        let said = match (answer, auth.on_failure) {
            (Ok(Answer::Allowed(_)), _) => Consent::Allowed,
            (Ok(Answer::Refused(_)), _) => Consent::Denied,
            (Err(_), OnFailure::Deny) => Consent::Silent,
            (Err(_), OnFailure::Allow) => Consent::SilentAllowed,
        };
        let why = answer.as_ref().err().map(ToString::to_string);
        self.consulted.push(Consulted {
            by: auth.origin.clone(),
            to: auth.to.clone(),
            said,
            took,
            why: why.unwrap_or_default().into(),
        });
    }

    /// It calls a service.
    pub(crate) fn calls(&mut self, port: &'a Port) {
        self.called = Some(port);
    }

    /// It goes to the endpoints of a service.
    pub(crate) fn goes_to(&mut self, port: &'a Port) {
        self.backend = Some(port.name());
    }

    /// It was routed.
    pub(crate) fn forwarded<A>(&mut self, forward: &Forward<'a, A>) {
        self.called = Some(forward.called());
        self.backend = Some(forward.port().name());
        self.roll = forward.part().map(|(_, roll)| roll);
    }

    /// One of the endpoints was picked.
    pub(crate) fn picked(&mut self, picked: &Picked) {
        let Draw {
            known,
            usable,
            chosen,
            ..
        } = picked.draw();
        let beside = picked.beside();
        self.drawn = Some(Drawn {
            known: *known,
            usable: *usable,
            taken: Some(load(chosen)),
            beside: beside.map(|(endpoint, seen)| (endpoint.address, load(seen))),
        });
    }

    /// None of so many endpoints could be picked.
    pub(crate) fn none_usable(&mut self, known: u32, unusable: Vec<Unusable>) {
        self.drawn = Some(Drawn {
            known,
            usable: 0,
            taken: None,
            beside: None,
        });
        self.unusable = unusable;
        self.not_retried = Some(NO_ENDPOINT);
    }

    /// A try failed, so long after the beginning.
    pub(crate) fn failed_at(&mut self, endpoint: SocketAddr, code: Code, after: Duration) {
        self.failed.push(FailedTry {
            endpoint,
            code,
            after,
        });
    }

    /// It is not tried again.
    pub(crate) fn not_retried(&mut self, why: WhyNot) {
        self.not_retried = Some(why.as_str());
    }

    /// It was refused.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.kept(refusal.origin().cloned(), refusal.to_string());
        self.taken_by = refusal.rule().cloned();
        self.passed(refusal.late());
    }

    /// Something kept it from going on.
    pub(crate) fn kept(&mut self, by: Option<Origin>, why: String) {
        self.kept_by = by;
        self.why = why;
    }

    /// A time passed.
    pub(crate) fn passed(&mut self, late: Option<(Timed, Duration)>) {
        self.late = late;
    }

    /// Finds out who set the time that passed, if one did.
    pub(crate) fn limited_by<'o>(&mut self, by: impl FnOnce(Timed) -> Option<&'o Origin>) {
        if let Some((of, _)) = self.late {
            self.late_by = by(of).cloned();
        }
    }

    /// The port that was called, if it came to that.
    pub(crate) fn called(&self) -> Option<&'a Port> {
        self.called
    }

    /// The rule of a route that took it and could not carry it, if that is why it was refused.
    pub(crate) fn taken_by(&self) -> Option<&Origin> {
        self.taken_by.as_ref()
    }

    /// All of it, for whoever reads events.
    pub(crate) fn decided<'d>(&'d self, basis: &Basis<'d>) -> Decided<'d> {
        Decided {
            workload: Some(basis.way.workload()),
            application: basis.way.application(),
            generation: Some(basis.generation),
            caller: self.caller,
            said_by: self.kept_by.as_ref().or(self.allowed_by),
            audited: &self.audited,
            consulted: &self.consulted,
            called: self.called.map(Port::name),
            backend: self.backend,
            roll: self.roll,
            endpoints: self.drawn.map(|drawn| Endpoints {
                known: drawn.known,
                usable: drawn.usable,
                taken: drawn.taken,
                beside: drawn.beside,
                unusable: &self.unusable,
            }),
            failed: &self.failed,
            not_retried: self.not_retried,
            late: self.late.map(|(of, limit)| Late {
                of: of.as_str(),
                limit,
                said_by: self.late_by.as_ref(),
            }),
            facts: basis.facts,
            why: &self.why,
        }
    }
}

/// Why there is no other try where nobody could take one.
const NO_ENDPOINT: &str = "no endpoint left";

fn load(seen: &Candidate) -> Load {
    Load {
        in_flight: seen.in_flight,
        latency: seen.latency,
        failing: (seen.failing.clamp(0.0, 1.0) * 100.0).round() as u8,
    }
}

/// What routes or access rules ask about a request, and what is recorded though none may ask.
pub(crate) struct Asking<'a> {
    pub(crate) asks: Option<&'a Asks>,
    pub(crate) request: &'a Request<'a>,
    /// The token that it carries.
    pub(crate) token: Token<'a>,
    /// What is recorded of it, and what nobody is to read.
    pub(crate) report: &'a Report,
}

impl<'a> Asking<'a> {
    /// The names that are asked for or recorded, each once.
    fn names(
        &self,
        of: fn(&'a Asks) -> &'a [Arc<str>],
    ) -> impl Iterator<Item = &'a Arc<str>> + use<'a> {
        let asked = self.asks.map(of).unwrap_or_default();
        let recorded = of(self.report.records()).iter();
        let recorded = recorded.filter(|name| !asked.contains(name));
        asked.iter().chain(recorded)
    }
}

impl Facts for Asking<'_> {
    fn each(&self, tell: &mut dyn FnMut(FactOf, &str, FactValue<'_>)) {
        for name in self.names(Asks::headers) {
            let value = header_of(self.request, name);
            let hides = |value| {
                self.report.hides(value) || self.report.hides_header(self.request.headers, name)
            };
            tell(FactOf::Header, name, fact(name, value.as_deref(), hides));
        }
        for name in self.names(Asks::parameters) {
            let value = parameter_of(self.request, name);
            let hides = |value| self.report.hides(value);
            tell(FactOf::Query, name, fact(name, value.as_deref(), hides));
        }
    }

    fn token(&self, tell: &mut dyn FnMut(TokenFact<'_>)) {
        let claims = match self.token {
            Token::Absent => return tell(TokenFact::None),
            Token::Of(proven) => proven.claims(),
            Token::Refused(_)
            | Token::NotLooked
            | Token::Known(_)
            | Token::Passed
            | Token::Unknown => return,
        };
        for name in self.names(Asks::claims) {
            let value = claims.get(name);
            let hides = |_| value.is_some_and(|value| self.report.hides_claim(name, value));
            let text = value.map(ToString::to_string);
            let text = text.as_deref().map(str::as_bytes);
            tell(TokenFact::Claim(name, fact(name, text, hides)));
        }
    }

    fn host(&self) -> Option<&str> {
        let host = self.request.host;
        let is_asked = self.asks.is_some_and(Asks::host) || self.report.records().host();
        let is_told = is_asked && !self.report.hides(host.as_bytes());
        is_told.then_some(host)
    }
}

fn fact<'v>(
    name: &str,
    value: Option<&'v [u8]>,
    hides: impl FnOnce(&'v [u8]) -> bool,
) -> FactValue<'v> {
    match value {
        Some(value) if hides(value) => FactValue::Secret,
        value => FactValue::of(name, value),
    }
}

impl fmt::Debug for Asking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.report.records();
        write!(f, "what rules ask: {:?}, recorded {records:?}", self.asks)
    }
}
