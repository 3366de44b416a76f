//! What proxies recorded, as it travels: the fields of the access log, and beside them what was
//! decided, by what, and what it was decided about.

use std::fmt;

use leno_model::origin::RouteName;
use leno_model::{CallId, Code, Fault, Origin, Roll};
use leno_telemetry::{Call, Edge, Event, Facts, FailedTry, Load, Reporter, Security, Stream};
use serde::{Deserialize, Serialize};

use crate::figures;

/// What one proxy tells of one call, stream of bytes, handshake or full listener.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Recorded {
    /// When it began: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// What it tells of.
    pub event: Happening,
    /// Its name: 32 hexadecimal digits, the same at both proxies.
    #[serde(default)]
    pub id: String,
    /// Which of the two proxies tells.
    pub reporter: Side,
    /// Who called: `namespace/service account`, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What was called: `namespace/service`, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The route and rule that took it: `HTTPRoute shop/cart rule 2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// How the two proxies were connected: `mtls`, why it was plain, or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<String>,
    /// Who opened the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Where connections wait that cannot be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// Whom it went to in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The host that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path without the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The status of the answer, if one was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What gRPC says became of it: 0 is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u16>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// How many times it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u8>,
    /// The call of which it is a copy, for a mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
    /// Bytes from the caller, without heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// Bytes to the caller, without heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// The code of the failure, if this proxy refused it or cut it short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in words: `no-allow-rule`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// Whose fault it was, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What was decided on its way.
    #[serde(default)]
    pub decided: Decided,
}

/// What a record tells of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Happening {
    /// A request that was answered, or could not be.
    Call,
    /// A stream of bytes that goes on.
    Opened,
    /// A stream of bytes that ended, or could not be opened.
    Stream,
    /// A handshake between proxies that came to nothing.
    Handshake,
    /// Connections that wait and cannot be taken.
    Accept,
}

/// Which of the two proxies of a call tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// That of the caller.
    Source,
    /// That of the one who was called.
    Destination,
}

/// An external authorizer that was asked about a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Consulted {
    /// What has it asked.
    pub by: Said,
    /// Who was asked: `shop/authz:9000`.
    pub to: String,
    /// What followed: `allowed`, `denied`, `no answer`, `no answer, let in`.
    pub said: String,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// Why there was no answer, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a proxy decided, as far as it came to that.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Decided {
    /// The workload whose proxy decided: `shop/checkout-6d5f`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Where that one listens, if it was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The generation of the view that it was decided by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// The SPIFFE ID that the caller proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The rule of a route that took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Said>,
    /// What let it in, or kept it from going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_by: Option<Said>,
    /// The access rules that matched it and only tell so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audited: Vec<Said>,
    /// The external authorizers that were asked about it, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consulted: Vec<Consulted>,
    /// The service port that was called: `shop/cart:8080`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// The service port to whose endpoints it was to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// What the dice came to that chose this backend, and out of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roll: Option<(u32, u32)>,
    /// Which endpoints there were at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// The tries that failed, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    /// Why it was not tried again: `the retry budget is spent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_retried: Option<String>,
    /// The time that it had, and that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Late>,
    /// The headers and parameters that rules ask about, as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// Why it was refused, in half a sentence; empty if it was not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// A part of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Said {
    /// The object: `HTTPRoute shop/cart`.
    pub object: String,
    /// The field in it: `/spec/rules/0`.
    pub pointer: String,
    /// The file and line, where it came from one: `cart.yaml:12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// The endpoints of a backend as the balancer saw them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoints {
    /// How many there were.
    pub known: u32,
    /// How many of them could be picked.
    pub usable: u32,
    /// How the one was that was picked: `3 in flight, 20 ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    /// The one that was drawn beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Seen>,
    /// The first of those that could not be picked, if none could.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unusable: Vec<Seen>,
}

/// An endpoint as the balancer saw it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Where it is.
    pub endpoint: String,
    /// How it was: `draining`, `3 in flight, 20 ms`.
    pub state: String,
}

/// A try that failed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Failed {
    /// At which endpoint.
    pub endpoint: String,
    /// The code of the failure.
    pub code: String,
    /// The same in words.
    pub slug: String,
    /// When it had failed, after the call began.
    #[serde(default)]
    pub after_ms: f64,
}

/// A time that passed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Late {
    /// What of the call it was for: `request`, `backendRequest`, `connect`.
    pub of: String,
    /// How long it was.
    pub limit: String,
    /// Who set it; absent if it is a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_by: Option<Said>,
}

/// Something about a request that rules ask for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// Where it stands.
    pub of: FactOf,
    /// Its name.
    pub name: String,
    /// What it was.
    pub value: FactValue,
}

/// Where a fact stands in a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactOf {
    /// Among its headers.
    Header,
    /// Among the parameters of its query.
    Query,
}

/// What a fact was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactValue {
    /// It was not there.
    Absent,
    /// It was this.
    Is(String),
    /// It began so, and was longer than what is kept.
    Begins(String),
    /// It was there; what it says is nobody's business.
    Secret,
}

impl Recorded {
    /// What `event` tells.
    pub fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Call(call) => Self::of_call(call),
            Event::Opened(stream) => Self::of_stream(stream, Happening::Opened),
            Event::Stream(stream) => Self::of_stream(stream, Happening::Stream),
            Event::Handshake(handshake) => Self {
                time: handshake.at.to_string(),
                peer: Some(handshake.peer.to_string()),
                decided: why(handshake.why),
                ..Self::carried(Happening::Handshake, handshake.id, &handshake.edge)
            }
            .failed(Some(handshake.code), Some(handshake.code.fault())),
            Event::Accept(accept) => Self {
                time: accept.at.to_string(),
                id: digits(accept.id),
                listener: Some(accept.listener.to_string()),
                decided: why(accept.why),
                ..Self::blank(Happening::Accept, accept.reporter)
            }
            .failed(Some(accept.code), Some(accept.code.fault())),
        }
    }

    fn of_call(call: &Call<'_>) -> Self {
        Self {
            endpoint: call.endpoint.map(|endpoint| endpoint.to_string()),
            route: call.route.map(|rule| RouteName(rule).to_string()),
            method: Some(call.method.to_owned()),
            host: Some(call.host.to_owned()),
            path: Some(call.path.to_owned()),
            status: (call.status > 0).then_some(call.status),
            grpc_status: call.grpc,
            duration_ms: Some(millis(call.took)),
            tries: Some(call.tries),
            copy_of: call.copy_of.map(digits),
            sent: Some(call.sent),
            received: Some(call.received),
            decided: Decided::of(&call.decided, call.route),
            ..Self::carried(Happening::Call, call.id, &call.edge)
        }
        .began(call.began.to_string(), call.peer.to_string())
        .failed(call.refused, call.fault())
    }

    fn of_stream(stream: &Stream<'_>, event: Happening) -> Self {
        let is_over = event == Happening::Stream;
        Self {
            route: stream.route.map(|rule| RouteName(rule).to_string()),
            endpoint: stream.endpoint.map(|endpoint| endpoint.to_string()),
            duration_ms: is_over.then(|| millis(stream.took)),
            sent: is_over.then_some(stream.sent),
            received: is_over.then_some(stream.received),
            decided: Decided::of(&stream.decided, stream.route),
            ..Self::carried(event, stream.id, &stream.edge)
        }
        .began(stream.began.to_string(), stream.peer.to_string())
        .failed(stream.refused, stream.fault())
    }

    fn carried(event: Happening, id: CallId, edge: &Edge<'_>) -> Self {
        Self {
            id: digits(id),
            source: Some(edge.source.to_string()),
            destination: Some(edge.destination.to_string()),
            security: Some(edge.security.as_str().to_owned()),
            ..Self::blank(event, edge.reporter)
        }
    }

    fn blank(event: Happening, reporter: Reporter) -> Self {
        Self {
            time: String::new(),
            event,
            id: String::new(),
            reporter: match reporter {
                Reporter::Source => Side::Source,
                Reporter::Destination => Side::Destination,
            },
            source: None,
            destination: None,
            route: None,
            security: None,
            peer: None,
            listener: None,
            endpoint: None,
            method: None,
            host: None,
            path: None,
            status: None,
            grpc_status: None,
            duration_ms: None,
            tries: None,
            copy_of: None,
            sent: None,
            received: None,
            code: None,
            slug: None,
            fault: None,
            decided: Decided::default(),
        }
    }

    fn began(self, time: String, peer: String) -> Self {
        Self {
            time,
            peer: Some(peer),
            ..self
        }
    }

    fn failed(self, code: Option<Code>, fault: Option<Fault>) -> Self {
        Self {
            code: code.map(|code| code.as_str().to_owned()),
            slug: code.map(|code| code.slug().to_owned()),
            fault: fault.map(|fault| fault.as_str().to_owned()),
            ..self
        }
    }

    /// As much of its name as people are shown.
    pub fn short_id(&self) -> &str {
        self.id.get(..8).unwrap_or(&self.id)
    }

    /// Whether the connection between the two proxies was proven by both.
    pub fn is_mtls(&self) -> bool {
        self.security.as_deref() == Some(Security::Mtls.as_str())
    }

    /// What was asked: `GET /items`, `tcp opened`, `handshake with 10.0.0.7:15008`.
    pub fn request(&self) -> String {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        match self.event {
            Happening::Call => {
                let asked = format!("{} {}", text(&self.method), text(&self.path));
                match asked.trim() {
                    "" => "a request that is none".to_owned(),
                    asked => asked.to_owned(),
                }
            }
            Happening::Opened => "tcp opened".to_owned(),
            Happening::Stream => {
                let bytes = |count: Option<u64>| figures::bytes(count.unwrap_or_default() as f64);
                let (sent, received) = (bytes(self.sent), bytes(self.received));
                format!("tcp {sent} up, {received} down")
            }
            Happening::Handshake => format!("handshake with {}", text(&self.peer)),
            Happening::Accept => format!("connections to {}", text(&self.listener)),
        }
    }

    /// What was answered, if something was: `404`, or of a call of gRPC the name of its status, `NOT_FOUND`.
    pub fn answered(&self) -> Option<String> {
        let status = || self.status.map(|status| status.to_string());
        self.grpc_status.map(grpc_name).or_else(status)
    }

    /// Why it failed, in a few words; empty if it did not.
    pub fn why(&self) -> &str {
        match (&self.slug, &self.fault) {
            (Some(slug), _) => slug,
            (None, Some(_)) => "the service answered",
            (None, None) => "",
        }
    }
}

/// The name of a status of gRPC, as gRPC writes it: `NOT_FOUND`; of one that has none its number.
pub fn grpc_name(status: u16) -> String {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let name = NAMES.get(usize::from(status));
    name.map_or_else(|| status.to_string(), |name| (*name).to_owned())
}

impl Decided {
    fn of(decided: &leno_telemetry::Decided<'_>, rule: Option<&Origin>) -> Self {
        let leno_telemetry::Decided {
            workload,
            application,
            generation,
            caller,
            said_by,
            audited,
            consulted,
            called,
            backend,
            roll,
            endpoints,
            failed,
            not_retried,
            late,
            facts,
            why,
        } = *decided;
        Self {
            workload: workload.map(ToString::to_string),
            application: application.map(|application| application.to_string()),
            generation: generation.map(ToString::to_string),
            caller: caller.map(ToString::to_string),
            rule: rule.map(Said::of),
            said_by: said_by.map(Said::of),
            audited: audited.iter().map(Said::of).collect(),
            consulted: consulted.iter().map(Consulted::of).collect(),
            called: called.map(ToString::to_string),
            backend: backend.map(ToString::to_string),
            roll: roll.map(|Roll { value, of }| (value, of.get())),
            endpoints: endpoints.as_ref().map(Endpoints::of),
            failed: failed.iter().map(Failed::of).collect(),
            not_retried: not_retried.map(str::to_owned),
            late: late.as_ref().map(Late::of),
            facts: facts.map(Fact::all).unwrap_or_default(),
            why: why.to_owned(),
        }
    }
}

impl Consulted {
    fn of(asked: &leno_telemetry::Consulted) -> Self {
        Self {
            by: Said::of(&asked.by),
            to: asked.to.to_string(),
            said: asked.said.as_str().to_owned(),
            took_ms: asked.took.as_secs_f64() * 1000.0,
            why: (!asked.why.is_empty()).then(|| asked.why.to_string()),
        }
    }
}

/// `authorizer shop/authz:9000 said: allowed, in 2.1 ms`
impl fmt::Display for Consulted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            to, said, took_ms, ..
        } = self;
        write!(f, "authorizer {to}: {said}, after {took_ms:.1} ms")?;
        match &self.why {
            Some(why) => write!(f, " ({why})"),
            None => Ok(()),
        }
    }
}

fn why(words: &str) -> Decided {
    Decided {
        why: words.to_owned(),
        ..Decided::default()
    }
}

impl Said {
    /// Who said something.
    pub fn of(origin: &Origin) -> Self {
        Self {
            object: origin.object.to_string(),
            pointer: origin.pointer.to_string(),
            place: origin.place.as_ref().map(ToString::to_string),
        }
    }

    /// Whether it is `origin`, wherever the line stands.
    pub fn is(&self, origin: &Origin) -> bool {
        *self.pointer == *origin.pointer && self.object == origin.object.to_string()
    }

    /// The shortest way for a person to find it: the file and line, else the object and field.
    pub fn shown(&self) -> String {
        match (&self.place, self.pointer.as_str()) {
            (Some(place), _) => place.clone(),
            (None, "") => self.object.clone(),
            (None, pointer) => format!("{} {pointer}", self.object),
        }
    }
}

impl Endpoints {
    fn of(endpoints: &leno_telemetry::Endpoints<'_>) -> Self {
        let beside = endpoints.beside.as_ref().map(|(address, load)| Seen {
            endpoint: address.to_string(),
            state: told(load),
        });
        let unusable = endpoints.unusable.iter().map(|one| Seen {
            endpoint: one.endpoint.to_string(),
            state: one.why.to_owned(),
        });
        Self {
            known: endpoints.known,
            usable: endpoints.usable,
            taken: endpoints.taken.as_ref().map(told),
            beside,
            unusable: unusable.collect(),
        }
    }
}

/// `3 in flight, 20 ms, 12 % failing`
fn told(load: &Load) -> String {
    let latency = match load.latency {
        Some(latency) => figures::duration(latency),
        None => "never answered yet".to_owned(),
    };
    let failing = match load.failing {
        0 => String::new(),
        failing => format!(", {failing} % failing"),
    };
    format!("{} in flight, {latency}{failing}", load.in_flight)
}

impl Late {
    fn of(late: &leno_telemetry::Late<'_>) -> Self {
        Self {
            of: late.of.to_owned(),
            limit: format!("{:?}", late.limit),
            said_by: late.said_by.map(Said::of),
        }
    }
}

impl Fact {
    fn all(facts: &dyn Facts) -> Vec<Self> {
        let mut all = Vec::new();
        facts.each(&mut |of, name, value| {
            all.push(Self {
                of: match of {
                    leno_telemetry::FactOf::Header => FactOf::Header,
                    leno_telemetry::FactOf::Query => FactOf::Query,
                },
                name: name.to_owned(),
                value: match value {
                    leno_telemetry::FactValue::Absent => FactValue::Absent,
                    leno_telemetry::FactValue::Is(text) => FactValue::Is(text.to_owned()),
                    leno_telemetry::FactValue::Begins(text) => FactValue::Begins(text.to_owned()),
                    leno_telemetry::FactValue::Secret => FactValue::Secret,
                },
            });
        });
        all
    }
}

impl Failed {
    fn of(failed: &FailedTry) -> Self {
        Self {
            endpoint: failed.endpoint.to_string(),
            code: failed.code.as_str().to_owned(),
            slug: failed.code.slug().to_owned(),
            after_ms: millis(failed.after),
        }
    }
}

fn digits(id: CallId) -> String {
    format!("{id:?}")
}

fn millis(took: std::time::Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
