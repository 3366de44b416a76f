//! What is told of an exchange in the end.

use std::net::SocketAddr;

use leno_model::{Code, Origin};
use leno_telemetry::{Bytes, Call, Edge, Event, Flow, Party, Security};

use crate::http::attempt::Attempt;
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
            sent: 0,
            received: 0,
            counted: Bytes::default(),
        }
    }

    /// It is tried.
    pub(super) fn tried(&mut self, attempt: &Attempt<'_>) {
        self.security = attempt.hop.security;
        self.endpoint = Some(attempt.hop.target.address);
        self.tries = attempt.number;
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
