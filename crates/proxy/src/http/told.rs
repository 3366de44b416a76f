//! What is told of an exchange in the end.

use std::net::SocketAddr;
use std::time::Duration;

use leno_model::view::PortRef;
use leno_model::{Code, Origin, Roll, SpiffeId};
use leno_telemetry::{Bytes, Call, Decided, Edge, Event, FailedTry, Flow, Party, Security};
use leno_traffic::{Admitted, Allowed, Forward};

use crate::http::attempt::{Attempt, Tried};
use crate::http::exchange::Exchange;
use crate::http::refuse::Reason;
use crate::http::reply::Carried;

/// What is learned of an exchange while it goes on.
pub(super) struct Told<'a> {
    pub(super) source: Party<'a>,
    pub(super) destination: Party<'a>,
    pub(super) route: Option<&'a Origin>,
    security: Security,
    endpoint: Option<SocketAddr>,
    tries: u8,
    status: u16,
    refused: Option<Code>,
    /// The rule that let it in.
    allowed_by: Option<&'a Origin>,
    /// Who or what kept it from going on, and why in words.
    kept_by: Option<Origin>,
    why: String,
    caller: Option<&'a SpiffeId>,
    pub(super) called: Option<&'a PortRef>,
    backend: Option<&'a PortRef>,
    roll: Option<Roll>,
    failed: Vec<FailedTry>,
    /// Bytes of the request's body that were sent on.
    pub(super) sent: u64,
    received: u64,
    counted: Bytes,
}

impl<'a> Told<'a> {
    /// Of one from `source`, which proved this.
    pub(super) fn new(source: Party<'a>, security: Security) -> Self {
        Self {
            source,
            destination: Party::Unknown,
            route: None,
            security,
            endpoint: None,
            tries: 0,
            status: 0,
            refused: None,
            allowed_by: None,
            kept_by: None,
            why: String::new(),
            caller: None,
            called: None,
            backend: None,
            roll: None,
            failed: Vec::new(),
            sent: 0,
            received: 0,
            counted: Bytes::default(),
        }
    }

    /// It comes from `caller`, if somebody proved to be that.
    pub(super) fn comes_from(&mut self, caller: Option<&'a SpiffeId>) {
        self.caller = caller;
    }

    /// It was let in.
    pub(super) fn admitted(&mut self, admitted: &Admitted<'a>) {
        self.caller = admitted.caller();
        self.allowed_by = match admitted.allowed() {
            Allowed::ByRule(rule) => Some(&rule.origin),
            Allowed::ByDefault | Allowed::Outbound => None,
        };
    }

    /// It goes to a service.
    pub(super) fn forwarded(&mut self, forward: &Forward<'a>) {
        self.called = Some(forward.called().name());
        self.backend = Some(forward.port().name());
        self.roll = forward.part().map(|(_, roll)| roll);
    }

    /// It is tried.
    pub(super) fn tried(&mut self, attempt: &Attempt<'_>) {
        self.security = attempt.hop.security;
        self.endpoint = Some(attempt.hop.target.address);
        self.tries = attempt.number;
    }

    /// The try that was told of last came to this, so long after the call began.
    pub(super) fn came_to(&mut self, tried: &Tried, after: Duration) {
        let code = match tried {
            Tried::Failed(_, refusal) => refusal.code(),
            Tried::Hopeless(reason, _) => reason.code,
            Tried::Done(..) | Tried::Again(_) => return,
        };
        if let Some(endpoint) = self.endpoint {
            self.failed.push(FailedTry {
                endpoint,
                code,
                after,
            });
        }
    }

    /// As much of an answer was carried, while as much of the request went up and as many of these
    /// bytes were counted.
    pub(super) fn carried(&mut self, carried: &Carried, sent: u64, counted: Bytes) {
        self.sent += sent;
        self.counted.sent += counted.sent;
        self.counted.received += counted.received;
        self.received = carried.received;
        self.status = carried.status;
        self.refused = carried.cut;
    }

    /// It was answered here with this status.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// It was refused here.
    pub(super) fn refused(&mut self, reason: &Reason) {
        self.status = reason.status;
        self.refused = Some(reason.code);
        self.kept_by.clone_from(&reason.origin);
        self.why.clone_from(&reason.words);
    }

    fn decided(&self) -> Decided<'_> {
        Decided {
            generation: None,
            caller: self.caller,
            said_by: self.kept_by.as_ref().or(self.allowed_by),
            called: self.called,
            backend: self.backend,
            roll: self.roll,
            failed: &self.failed,
            why: &self.why,
        }
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
        worker.report(&Event::Call(Call {
            id: self.id,
            edge: self.edge(),
            route: told.route,
            peer: incoming.from,
            endpoint: told.endpoint,
            began: self.began.wall,
            took: worker.mono().since(self.began.mono),
            method: request.method,
            host: request.host,
            path: request.path.raw(),
            status: told.status,
            refused: told.refused,
            tries: told.tries,
            copy_of: None,
            sent: told.sent,
            received: told.received,
            counted: told.counted,
            traced: None,
            decided: Decided {
                generation: Some(&self.table.view().generation),
                ..told.decided()
            },
        }));
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
