//! What is told of an exchange in the end.

use std::net::SocketAddr;
use std::time::Duration;

use leno_model::{Code, Origin};
use leno_telemetry::{Bytes, Call, Edge, Event, Facts, Flow, Headers, Party, Security};
use leno_traffic::{Bearer, Report, WhyPlain};

use crate::decision::{Asking, Basis, Decision};
use crate::http::attempt::{Attempt, Tried};
use crate::http::exchange::Exchange;
use crate::http::refuse::Reason;
use crate::http::reply::Carried;
use crate::telling;

/// What is learned of an exchange while it goes on.
pub(super) struct Told<'a> {
    pub(super) source: Party<'a>,
    pub(super) destination: Party<'a>,
    pub(super) route: Option<&'a Origin>,
    pub(super) decision: Decision<'a>,
    security: Security,
    endpoint: Option<SocketAddr>,
    tries: u8,
    status: u16,
    /// What gRPC said of it.
    pub(super) grpc: Option<u16>,
    refused: Option<Code>,
    /// Bytes of the request's body that were sent on.
    pub(super) sent: u64,
    received: u64,
    counted: Bytes,
    response_headers: Headers,
    /// What was found of its token.
    pub(super) bearer: Bearer,
    /// How the call is told, once that is known.
    report: Option<&'a Report>,
}

impl<'a> Told<'a> {
    /// Of one from `source`, which proved this.
    pub(super) fn new(source: Party<'a>, security: Security) -> Self {
        Self {
            source,
            destination: Party::Unknown,
            route: None,
            decision: Decision::default(),
            security,
            endpoint: None,
            tries: 0,
            status: 0,
            grpc: None,
            refused: None,
            sent: 0,
            received: 0,
            counted: Bytes::default(),
            response_headers: Headers::default(),
            bearer: Bearer::default(),
            report: None,
        }
    }

    /// It is a health check from outside.
    pub(super) fn is_probe(&mut self) {
        self.source = Party::Probe;
        self.security = Security::Plain(WhyPlain::Probe.as_str());
    }

    /// It is tried.
    pub(super) fn tried(&mut self, attempt: &Attempt<'_>) {
        if self.source != Party::Probe {
            self.security = attempt.hop.security;
        }
        self.endpoint = Some(attempt.hop.target.address);
        self.tries = attempt.number;
    }

    /// The try that was told of last came to this, so long after the call began.
    pub(super) fn came_to(&mut self, tried: &Tried, after: Duration) {
        let code = match tried {
            Tried::Failed(_, refusal) => refusal.code(),
            Tried::Hopeless(reason, _) => reason.code,
            Tried::Done(..) | Tried::Again(_) | Tried::Left => return,
        };
        if let Some(endpoint) = self.endpoint {
            self.decision.failed_at(endpoint, code, after);
        }
    }

    /// As much of an answer was carried, while as much of the request went up and as many of these
    /// bytes were counted.
    pub(super) fn carried(&mut self, carried: Carried, sent: u64, counted: Bytes) {
        self.sent += sent;
        self.counted.sent += counted.sent;
        self.counted.received += counted.received;
        self.received = carried.received;
        self.status = carried.status;
        self.grpc = carried.grpc;
        self.response_headers = carried.headers;
        self.refused = carried.cut.as_ref().map(|reason| reason.code);
        if let Some(reason) = carried.cut {
            self.kept(&reason);
        }
    }

    /// It was answered here with this status.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// It was refused here.
    pub(super) fn refused(&mut self, reason: &Reason) {
        self.status = reason.status;
        self.refused = Some(reason.code);
        self.kept(reason);
    }

    /// The rule that took it.
    fn taken_by(&self) -> Option<&Origin> {
        self.route.or_else(|| self.decision.taken_by())
    }

    fn kept(&mut self, reason: &Reason) {
        let Reason {
            origin,
            words,
            late,
            ..
        } = reason;
        self.decision.kept(origin.clone(), words.clone());
        self.decision.passed(*late);
    }
}

impl<'a> Exchange<'a> {
    /// Says what became of it.
    pub(super) fn report(&self) {
        let Self {
            worker,
            incoming,
            told,
            head,
            ..
        } = self;
        let request = &head.request;
        let called = told.decision.called();
        let asks = match called {
            Some(port) => port.asks(incoming.namespace(self.table)),
            None => incoming.policy(self.table).ok().and_then(|it| it.asks()),
        };
        let report = told.report.unwrap_or_else(|| self.telling());
        let is_kept = asks.is_some() || !report.records().is_empty();
        let asking = is_kept.then(|| Asking {
            asks,
            request,
            token: told.bearer.token(),
            report,
        });
        let basis = Basis {
            generation: &self.table.view().generation,
            way: &incoming.way,
            facts: asking.as_ref().map(|asking| asking as &dyn Facts),
        };
        let call = Call {
            id: self.id,
            edge: self.edge(),
            route: told.taken_by(),
            peer: incoming.from,
            endpoint: told.endpoint,
            began: self.began.wall,
            took: worker.mono().since(self.began.mono),
            method: request.method,
            host: request.host,
            path: request.path.raw(),
            status: told.status,
            grpc: told.grpc,
            refused: told.refused,
            tries: told.tries,
            copy_of: None,
            sent: told.sent,
            received: told.received,
            counted: told.counted,
            traced: None,
            logged: None,
            decided: told.decision.decided(&basis),
        };
        let logged = telling::of_call(report, &call, Some(request), &told.response_headers);
        let traced = self.tracing.told(request, call.fault().is_some());
        worker.report(&Event::Call(Call {
            traced: traced.as_ref(),
            logged: logged.as_ref(),
            ..call
        }));
    }

    /// How it is told, where it is tried: what its answer has is told so, too.
    pub(super) fn is_told_by(&mut self) -> &'a Report {
        let report = self.telling();
        self.told.report = Some(report);
        report
    }

    fn telling(&self) -> &'a Report {
        let called = self.told.decision.called();
        let rule = self.told.taken_by();
        self.incoming.report(self.table, called, rule)
    }

    /// What its bytes count as while it goes on.
    pub(super) fn flow(&self) -> Flow<'a> {
        Flow {
            edge: self.edge(),
            route: self.told.route,
            status: Some(0),
            bytes: Bytes::default(),
        }
    }

    fn edge(&self) -> Edge<'a> {
        Edge {
            reporter: self.incoming.way.reporter(),
            source: self.told.source,
            destination: self.told.destination,
            security: self.told.security,
        }
    }
}
