//! An event that owns what it tells of, for whoever reads it later or elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use leno_model::view::{Generation, HostMatch, PortRef, WorkloadId};
use leno_model::{CallId, Code, Origin, Roll, SpiffeId, Wall};

use crate::event::{
    Accept, Bytes, CUT, Call, Consulted, Decided, Edge, Endpoints, Event, FailedTry, Handshake,
    Late, Load, Logged, Party, Reporter, Security, Stream, Unusable, cut,
};
use crate::facts::{Facts, OwnedFacts};
use crate::span::Traced;

/// An event that owns what it tells of. Texts from outside are cut to 1 KiB each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record(Owned);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Owned {
    Call(Carried, Box<Request>),
    Opened(Carried),
    Stream(Carried),
    Handshake(Failed, Parties),
    Accept(Failed),
}

/// What calls and streams have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Carried {
    id: CallId,
    parties: Parties,
    route: Option<Origin>,
    peer: SocketAddr,
    endpoint: Option<SocketAddr>,
    began: Wall,
    took: Duration,
    opened: bool,
    refused: Option<Code>,
    sent: u64,
    received: u64,
    counted: Bytes,
    decided: Box<OwnedDecided>,
    /// How the access log tells of it, if that is asked for.
    logged: Option<Box<Logged>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Parties {
    reporter: Reporter,
    source: OwnedParty,
    destination: OwnedParty,
    security: Security,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Request {
    method: Box<str>,
    host: Box<str>,
    path: Box<str>,
    status: u16,
    grpc: Option<u16>,
    tries: u8,
    copy_of: Option<CallId>,
    traced: Option<Box<Traced>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct OwnedDecided {
    workload: Option<WorkloadId>,
    application: Option<SocketAddr>,
    generation: Option<Box<Generation>>,
    caller: Option<SpiffeId>,
    said_by: Option<Origin>,
    audited: Box<[Origin]>,
    consulted: Box<[Consulted]>,
    called: Option<PortRef>,
    backend: Option<PortRef>,
    roll: Option<Roll>,
    endpoints: Option<OwnedEndpoints>,
    failed: Box<[FailedTry]>,
    not_retried: Option<&'static str>,
    late: Option<OwnedLate>,
    facts: Option<OwnedFacts>,
    why: Box<str>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct OwnedEndpoints {
    known: u32,
    usable: u32,
    taken: Option<Load>,
    beside: Option<(SocketAddr, Load)>,
    unusable: Box<[Unusable]>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct OwnedLate {
    of: &'static str,
    limit: Duration,
    said_by: Option<Origin>,
}

/// What came to nothing before anything was asked, with the address at which it happened.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Failed {
    id: CallId,
    reporter: Reporter,
    address: SocketAddr,
    at: Wall,
    code: Code,
    why: Box<str>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum OwnedParty {
    Known {
        namespace: Box<str>,
        name: Box<str>,
    },
    Peer {
        trust_domain: Box<str>,
        namespace: Box<str>,
        name: Box<str>,
    },
    Outside(HostMatch),
    Probe,
    Unknown,
}

impl Record {
    /// Keeps an event as the access log tells of it.
    pub fn told(event: &Event<'_>) -> Self {
        let mut record = Self::of(event);
        let logged = event.logged().cloned().map(Box::new);
        match &mut record.0 {
            Owned::Call(carried, _) => carried.logged = logged,
            Owned::Stream(carried) | Owned::Opened(carried) => carried.logged = logged,
            Owned::Handshake(..) | Owned::Accept(_) => {}
        }
        record
    }

    /// Keeps an event, in full.
    pub fn of(event: &Event<'_>) -> Self {
        Self(match event {
            Event::Call(call) => Owned::Call(Carried::of_call(call), Box::new(Request::of(call))),
            Event::Opened(stream) => Owned::Opened(Carried::of_stream(stream)),
            Event::Stream(stream) => Owned::Stream(Carried::of_stream(stream)),
            Event::Handshake(handshake) => Owned::Handshake(
                Failed::of_handshake(handshake),
                Parties::of(&handshake.edge),
            ),
            Event::Accept(accept) => Owned::Accept(Failed::of_accept(accept)),
        })
    }

    /// The event that was kept.
    pub fn event(&self) -> Event<'_> {
        match &self.0 {
            Owned::Call(carried, request) => Event::Call(request.call(carried)),
            Owned::Opened(carried) => Event::Opened(carried.stream()),
            Owned::Stream(carried) => Event::Stream(carried.stream()),
            Owned::Handshake(failed, parties) => Event::Handshake(failed.handshake(parties)),
            Owned::Accept(failed) => Event::Accept(failed.accept()),
        }
    }

    /// About how many bytes it takes, without what it shares with the view.
    pub(crate) fn bytes(&self) -> usize {
        let heap = match &self.0 {
            Owned::Call(carried, request) => carried.heap() + request.heap(),
            Owned::Opened(carried) | Owned::Stream(carried) => carried.heap(),
            Owned::Handshake(failed, parties) => failed.why.len() + parties.heap(),
            Owned::Accept(failed) => failed.why.len(),
        };
        size_of::<Self>() + heap
    }
}

impl Carried {
    fn heap(&self) -> usize {
        self.parties.heap() + self.decided.heap()
    }

    fn of_call(call: &Call<'_>) -> Self {
        Self {
            id: call.id,
            parties: Parties::of(&call.edge),
            route: call.route.cloned(),
            peer: call.peer,
            endpoint: call.endpoint,
            began: call.began,
            took: call.took,
            opened: false,
            refused: call.refused,
            sent: call.sent,
            received: call.received,
            counted: call.counted,
            logged: None,
            decided: Box::new(OwnedDecided::of(&call.decided)),
        }
    }

    fn of_stream(stream: &Stream<'_>) -> Self {
        Self {
            id: stream.id,
            parties: Parties::of(&stream.edge),
            route: stream.route.cloned(),
            peer: stream.peer,
            endpoint: stream.endpoint,
            began: stream.began,
            took: stream.took,
            opened: stream.opened,
            refused: stream.refused,
            sent: stream.sent,
            received: stream.received,
            counted: stream.counted,
            logged: None,
            decided: Box::new(OwnedDecided::of(&stream.decided)),
        }
    }

    fn stream(&self) -> Stream<'_> {
        Stream {
            id: self.id,
            edge: self.parties.edge(),
            route: self.route.as_ref(),
            peer: self.peer,
            endpoint: self.endpoint,
            began: self.began,
            took: self.took,
            opened: self.opened,
            refused: self.refused,
            sent: self.sent,
            received: self.received,
            counted: self.counted,
            logged: self.logged.as_deref(),
            decided: self.decided.decided(),
        }
    }
}

impl Parties {
    fn of(edge: &Edge<'_>) -> Self {
        Self {
            reporter: edge.reporter,
            source: OwnedParty::of(edge.source),
            destination: OwnedParty::of(edge.destination),
            security: edge.security,
        }
    }

    fn edge(&self) -> Edge<'_> {
        Edge {
            reporter: self.reporter,
            source: self.source.party(),
            destination: self.destination.party(),
            security: self.security,
        }
    }

    fn heap(&self) -> usize {
        self.source.heap() + self.destination.heap()
    }
}

impl Request {
    fn of(call: &Call<'_>) -> Self {
        Self {
            method: owned(call.method),
            host: owned(call.host),
            path: owned(call.path),
            status: call.status,
            grpc: call.grpc,
            tries: call.tries,
            copy_of: call.copy_of,
            traced: call.traced.cloned().map(Box::new),
        }
    }

    fn call<'a>(&'a self, carried: &'a Carried) -> Call<'a> {
        Call {
            id: carried.id,
            edge: carried.parties.edge(),
            route: carried.route.as_ref(),
            peer: carried.peer,
            endpoint: carried.endpoint,
            began: carried.began,
            took: carried.took,
            method: &self.method,
            host: &self.host,
            path: &self.path,
            status: self.status,
            grpc: self.grpc,
            refused: carried.refused,
            tries: self.tries,
            copy_of: self.copy_of,
            sent: carried.sent,
            received: carried.received,
            counted: carried.counted,
            traced: self.traced.as_deref(),
            logged: carried.logged.as_deref(),
            decided: carried.decided.decided(),
        }
    }

    fn heap(&self) -> usize {
        let texts = [&self.method, &self.host, &self.path];
        let state = |traced: &Traced| size_of::<Traced>() + traced.state.len();
        let traced = self.traced.as_deref().map_or(0, state);
        size_of::<Self>() + traced + texts.map(|text| text.len()).iter().sum::<usize>()
    }
}

impl OwnedDecided {
    fn of(decided: &Decided<'_>) -> Self {
        Self {
            workload: decided.workload.cloned(),
            application: decided.application,
            generation: decided.generation.cloned().map(Box::new),
            caller: decided.caller.cloned(),
            said_by: decided.said_by.cloned(),
            audited: decided.audited.into(),
            consulted: decided.consulted.into(),
            called: decided.called.cloned(),
            backend: decided.backend.cloned(),
            roll: decided.roll,
            endpoints: decided.endpoints.as_ref().map(OwnedEndpoints::of),
            failed: decided.failed.into(),
            not_retried: decided.not_retried,
            late: decided.late.as_ref().map(OwnedLate::of),
            facts: decided.facts.map(OwnedFacts::of),
            why: owned(decided.why),
        }
    }

    fn decided(&self) -> Decided<'_> {
        Decided {
            workload: self.workload.as_ref(),
            application: self.application,
            generation: self.generation.as_deref(),
            caller: self.caller.as_ref(),
            said_by: self.said_by.as_ref(),
            audited: &self.audited,
            consulted: &self.consulted,
            called: self.called.as_ref(),
            backend: self.backend.as_ref(),
            roll: self.roll,
            endpoints: self.endpoints.as_ref().map(OwnedEndpoints::endpoints),
            failed: &self.failed,
            not_retried: self.not_retried,
            late: self.late.as_ref().map(OwnedLate::late),
            facts: self.facts.as_ref().map(|facts| facts as &dyn Facts),
            why: &self.why,
        }
    }

    fn heap(&self) -> usize {
        // A node of the map has room for eleven.
        let positions = |generation: &Generation| 512 * generation.positions.len().div_ceil(6);
        let generation = self.generation.as_deref().map_or(0, positions);
        let unusable = self.endpoints.as_ref().map_or(0, OwnedEndpoints::heap);
        let facts = self.facts.as_ref().map_or(0, OwnedFacts::heap);
        let lists = size_of_val(&*self.failed) + size_of_val(&*self.audited);
        let told = self.consulted.iter().map(|asked| asked.why.len());
        let lists = lists + size_of_val(&*self.consulted) + told.sum::<usize>();
        size_of::<Self>() + generation + unusable + facts + lists + self.why.len()
    }
}

impl OwnedEndpoints {
    fn of(endpoints: &Endpoints<'_>) -> Self {
        let told = endpoints.unusable.iter().take(Endpoints::MOST_UNUSABLE);
        Self {
            known: endpoints.known,
            usable: endpoints.usable,
            taken: endpoints.taken,
            beside: endpoints.beside,
            unusable: told.copied().collect(),
        }
    }

    fn endpoints(&self) -> Endpoints<'_> {
        Endpoints {
            known: self.known,
            usable: self.usable,
            taken: self.taken,
            beside: self.beside,
            unusable: &self.unusable,
        }
    }

    fn heap(&self) -> usize {
        size_of_val(&*self.unusable)
    }
}

impl OwnedLate {
    fn of(late: &Late<'_>) -> Self {
        Self {
            of: late.of,
            limit: late.limit,
            said_by: late.said_by.cloned(),
        }
    }

    fn late(&self) -> Late<'_> {
        Late {
            of: self.of,
            limit: self.limit,
            said_by: self.said_by.as_ref(),
        }
    }
}

impl Failed {
    fn of_handshake(handshake: &Handshake<'_>) -> Self {
        Self {
            id: handshake.id,
            reporter: handshake.edge.reporter,
            address: handshake.peer,
            at: handshake.at,
            code: handshake.code,
            why: owned(handshake.why),
        }
    }

    fn of_accept(accept: &Accept<'_>) -> Self {
        Self {
            id: accept.id,
            reporter: accept.reporter,
            address: accept.listener,
            at: accept.at,
            code: accept.code,
            why: owned(accept.why),
        }
    }

    fn handshake<'a>(&'a self, parties: &'a Parties) -> Handshake<'a> {
        Handshake {
            id: self.id,
            edge: parties.edge(),
            peer: self.address,
            at: self.at,
            code: self.code,
            why: &self.why,
        }
    }

    fn accept(&self) -> Accept<'_> {
        Accept {
            id: self.id,
            reporter: self.reporter,
            listener: self.address,
            at: self.at,
            code: self.code,
            why: &self.why,
        }
    }
}

impl OwnedParty {
    fn of(party: Party<'_>) -> Self {
        match party {
            Party::Known { namespace, name } => Self::Known {
                namespace: namespace.into(),
                name: name.into(),
            },
            Party::Peer {
                trust_domain,
                namespace,
                name,
            } => Self::Peer {
                trust_domain: trust_domain.into(),
                namespace: namespace.into(),
                name: name.into(),
            },
            Party::Outside(host) => Self::Outside(host.clone()),
            Party::Probe => Self::Probe,
            Party::Unknown => Self::Unknown,
        }
    }

    fn heap(&self) -> usize {
        match self {
            Self::Known { namespace, name } => namespace.len() + name.len(),
            Self::Peer {
                trust_domain,
                namespace,
                name,
            } => trust_domain.len() + namespace.len() + name.len(),
            // Its name is the rule's.
            Self::Outside(_) | Self::Probe | Self::Unknown => 0,
        }
    }

    fn party(&self) -> Party<'_> {
        match self {
            Self::Known { namespace, name } => Party::Known { namespace, name },
            Self::Peer {
                trust_domain,
                namespace,
                name,
            } => Party::Peer {
                trust_domain,
                namespace,
                name,
            },
            Self::Outside(host) => Party::Outside(host),
            Self::Probe => Party::Probe,
            Self::Unknown => Party::Unknown,
        }
    }
}

/// A text from outside, its cut marked.
fn owned(text: &str) -> Box<str> {
    match cut(text) {
        (kept, false) => kept.into(),
        (kept, true) => format!("{kept}{CUT}").into(),
    }
}
