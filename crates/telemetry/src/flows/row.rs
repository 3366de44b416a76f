//! One kind of call in a worker's table: found by what an event borrows, told in words of its own.

use std::hash::{Hash, Hasher};
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use leno_model::flow::{self, Culprit, Failure, Kind, Side, Sum, What};
use leno_model::{CallId, Code, Origin, ServiceName, Wall};

use crate::event::{Call, Decided, Edge, Flow, Party, Reporter, Security, Stream};
use crate::series::{self, Labels};

/// What calls are counted under, borrowed from an event.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) labels: series::Key<'a>,
    pub(super) port: u16,
    pub(super) backend: Option<&'a ServiceName>,
    pub(super) code: Option<Code>,
    pub(super) culprit: Option<&'a Origin>,
    pub(super) asked: Asked<'a>,
}

/// What was asked, and from where if nobody proved to ask.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Asked<'a> {
    pub(super) peer: Option<IpAddr>,
    pub(super) method: &'static str,
    pub(super) shape: &'a str,
    pub(super) status: u16,
    /// As [`flow::Facts`] are written; empty where no rule asks for any.
    pub(super) facts: &'a str,
}

impl<'a> Key<'a> {
    pub(super) fn of_call(call: &Call<'a>, shape: &'a str, facts: &'a str) -> Self {
        let called = call.decided.called;
        let backend = call.decided.backend.map(|backend| &backend.service);
        let failed = call.fault().is_some();
        Self {
            labels: series::Key::of_call(call),
            port: port(&call.edge, &call.decided, call.endpoint),
            backend: backend.filter(|backend| called.is_none_or(|port| port.service != **backend)),
            code: call.refused,
            culprit: call
                .decided
                .said_by
                .filter(|_| failed && call.refused.is_some()),
            asked: Asked {
                peer: peer(&call.edge, call.peer.ip()),
                method: known(call.method),
                shape,
                status: call.status,
                facts,
            },
        }
    }

    pub(super) fn of_stream(stream: &Stream<'a>) -> Self {
        Self {
            code: stream.refused,
            labels: series::Key::of_stream(stream),
            ..Self::of_open(stream)
        }
    }

    /// What a stream counts under while nothing has failed.
    pub(super) fn of_open(stream: &Stream<'a>) -> Self {
        let asked = Asked {
            peer: peer(&stream.edge, stream.peer.ip()),
            ..Asked::NOTHING
        };
        Self {
            port: port(&stream.edge, &stream.decided, stream.endpoint),
            ..Self::plain(series::Key::of_open(stream), asked)
        }
    }

    /// What bytes count under while nobody knows how it ends.
    pub(super) fn of_flow(flow: &Flow<'a>) -> Self {
        let status = flow.status.unwrap_or_default();
        let asked = Asked {
            status,
            ..Asked::NOTHING
        };
        Self::plain(series::Key::of_flow(flow), asked)
    }

    fn plain(labels: series::Key<'a>, asked: Asked<'a>) -> Self {
        Self {
            labels,
            port: 0,
            backend: None,
            code: None,
            culprit: None,
            asked,
        }
    }

    /// The same with other facts.
    pub(super) fn with_facts(self, facts: &'a str) -> Self {
        Self {
            asked: Asked {
                facts,
                ..self.asked
            },
            ..self
        }
    }

    /// The same without what was asked.
    pub(super) fn without_request(self) -> Self {
        Self {
            asked: Asked {
                peer: None,
                method: Kind::OTHER,
                shape: Kind::OTHER,
                status: self.asked.status,
                facts: "",
            },
            ..self
        }
    }
}

impl Asked<'_> {
    const NOTHING: Self = Self {
        peer: None,
        method: "",
        shape: "",
        status: 0,
        facts: "",
    };
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.labels.hash(state);
        self.port.hash(state);
        self.backend.hash(state);
        self.code.hash(state);
        self.culprit.map(|origin| &origin.pointer).hash(state);
        self.asked.hash(state);
    }
}

/// The port that was called, as its proxy knows it.
fn port(edge: &Edge<'_>, decided: &Decided<'_>, endpoint: Option<SocketAddr>) -> u16 {
    if let Party::Outside(_) = edge.destination {
        return endpoint.map(|at| at.port()).unwrap_or_default();
    }
    let called = decided.called.map(|called| called.port);
    let application = decided.application.map(|at| at.port());
    let known = match edge.reporter {
        Reporter::Source => called,
        Reporter::Destination => application,
    };
    known.unwrap_or_default()
}

/// Where somebody called from who proved nothing.
fn peer(edge: &Edge<'_>, address: IpAddr) -> Option<IpAddr> {
    let is_plain = matches!(edge.security, Security::Plain(_) | Security::None);
    let is_nobody = matches!(edge.source, Party::Probe | Party::Unknown);
    (is_plain && is_nobody && edge.reporter == Reporter::Destination)
        .then(|| address.to_canonical())
}

/// A method by a name that outlives the request.
fn known(method: &str) -> &'static str {
    //= RFC 9110 section 9.1: "The method token is case-sensitive"
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE",
    ];
    let known = KNOWN.into_iter().find(|known| *known == method);
    known.unwrap_or(Kind::OTHER)
}

/// One kind of call, and what was counted of it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) hash: u64,
    labels: Labels,
    route: Option<Origin>,
    port: u16,
    peer: Option<IpAddr>,
    backend: Option<ServiceName>,
    code: Option<Code>,
    culprit: Option<Origin>,
    method: &'static str,
    shape: Box<str>,
    status: u16,
    facts: Box<str>,
    sum: Sum,
    /// How many streams are open.
    open: u64,
    /// Up to when that is counted.
    open_until: Wall,
}

impl Row {
    pub(super) fn new(hash: u64, key: &Key<'_>) -> Self {
        Self {
            hash,
            labels: key.labels.labels(),
            route: key.labels.route.cloned(),
            port: key.port,
            peer: key.asked.peer,
            backend: key.backend.cloned(),
            code: key.code,
            culprit: key.culprit.cloned(),
            method: key.asked.method,
            shape: key.asked.shape.into(),
            status: key.asked.status,
            facts: key.asked.facts.into(),
            sum: Sum::default(),
            open: 0,
            open_until: Wall::default(),
        }
    }

    /// One for all that has no row of its own and the traits and code of `key`.
    pub(super) fn folded(hash: u64, key: &Key<'_>) -> Self {
        Self {
            labels: Labels::folded(key.labels.traits),
            route: None,
            port: 0,
            backend: None,
            culprit: None,
            status: key.asked.status / 100 * 100,
            ..Self::new(hash, &key.without_request())
        }
    }

    pub(super) fn is(&self, key: &Key<'_>) -> bool {
        self.status == key.asked.status
            && self.code == key.code
            && self.port == key.port
            && self.peer == key.asked.peer
            && *self.shape == *key.asked.shape
            && *self.facts == *key.asked.facts
            && self.method == key.asked.method
            && self.backend.as_ref() == key.backend
            && self.culprit.as_ref() == key.culprit
            && key.labels.is(&self.labels, self.route.as_ref())
    }

    /// Whether it is what [`Self::folded`] makes of `key`.
    pub(super) fn folds(&self, key: &Key<'_>) -> bool {
        *self.labels.source == *Kind::OTHER
            && self.labels.traits == key.labels.traits
            && self.code == key.code
            && self.status == key.asked.status / 100 * 100
    }

    pub(super) fn count(&self) -> u64 {
        self.sum.count
    }

    pub(super) fn is_open(&self) -> bool {
        self.open > 0
    }

    /// Counts one that is over.
    pub(super) fn add(&mut self, ended: Wall, took: Option<Duration>, example: Option<CallId>) {
        let sum = &mut self.sum;
        if sum.count == 0 {
            sum.first = ended;
        }
        sum.count += 1;
        sum.last = ended;
        if let Some(took) = took {
            sum.took.record(took);
        }
        sum.example = example;
    }

    pub(super) fn add_bytes(&mut self, sent: u64, received: u64) {
        self.sum.sent = self.sum.sent.saturating_add(sent);
        self.sum.received = self.sum.received.saturating_add(received);
    }

    pub(super) fn opened(&mut self, now: Wall) {
        self.reckon(now);
        self.open += 1;
    }

    pub(super) fn closed(&mut self, now: Wall) {
        self.reckon(now);
        self.open = self.open.saturating_sub(1);
    }

    /// Counts for how long what is open has been so.
    fn reckon(&mut self, now: Wall) {
        self.sum.add_open(self.open, now.since(self.open_until));
        self.open_until = now;
    }

    /// What was counted up to `now`; what is open stays so.
    pub(super) fn cut(&mut self, now: Wall) -> Self {
        self.reckon(now);
        Self {
            hash: self.hash,
            labels: self.labels.clone(),
            route: self.route.clone(),
            port: self.port,
            peer: self.peer,
            backend: self.backend.clone(),
            code: self.code,
            culprit: self.culprit.clone(),
            method: self.method,
            shape: self.shape.clone(),
            status: self.status,
            facts: self.facts.clone(),
            sum: mem::take(&mut self.sum),
            open: 0,
            open_until: now,
        }
    }

    /// It in words.
    pub(super) fn told(self) -> (Kind, Sum) {
        (self.kind(), self.sum)
    }

    /// What its calls have in common, in words.
    pub(super) fn kind(&self) -> Kind {
        let Labels {
            source,
            destination,
            route,
            traits,
        } = &self.labels;
        let text = |text: &dyn ToString| Arc::<str>::from(text.to_string());
        Kind {
            side: match traits.reporter {
                Reporter::Source => Side::Source,
                Reporter::Destination => Side::Destination,
            },
            from: source.clone(),
            to: destination.clone(),
            port: self.port,
            peer: self.peer,
            route: self.route.is_some().then(|| route.clone()),
            backend: self.backend.as_ref().map(|backend| text(backend)),
            security: traits.security.as_str().into(),
            what: match traits.what {
                series::What::Streams => What::Streams,
                series::What::Calls(_) | series::What::Copies(_) => What::Requests {
                    method: self.method.into(),
                    shape: Arc::from(&*self.shape),
                    status: self.status,
                },
            },
            facts: flow::Facts::read(&self.facts),
            failure: traits.fault.map(|fault| Failure {
                fault,
                code: self.code,
                culprit: self.culprit.as_ref().map(|origin| Culprit {
                    object: text(&*origin.object),
                    place: origin.place.as_ref().map(|place| text(place)),
                }),
            }),
        }
    }
}
