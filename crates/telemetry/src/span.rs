//! What one proxy did of a call, for whoever collects traces. Names follow OpenTelemetry's semantic
//! conventions for HTTP (1.37); what they have no name for begins with `leno.`.

use std::num::{NonZeroU64, NonZeroU128};
use std::time::Duration;

use leno_model::Wall;
use leno_model::origin::RouteName;

use crate::event::{Call, Party, Reporter, Security, cut};

/// Where what a proxy did of a call stands in a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Traced {
    /// The trace.
    pub trace: NonZeroU128,
    /// What this proxy did.
    pub span: NonZeroU64,
    /// Within what it was done; none at the root.
    pub parent: Option<NonZeroU64>,
    /// The `tracestate` that came with the request.
    pub state: Box<str>,
}

/// One span.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    /// Where it stands.
    pub traced: Traced,
    /// Which end of the call it is.
    pub kind: SpanKind,
    /// On whose behalf the proxy acted: namespace and name, for the resource that the span is of.
    pub of: Option<(Box<str>, Box<str>)>,
    /// The method, for a request that could be read.
    pub name: Box<str>,
    /// When it began.
    pub began: Wall,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub error: Option<Box<str>>,
    /// What is known of it, each name once.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened meanwhile, in order.
    pub events: Vec<SpanEvent>,
}

/// Which end of a call a span is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpanKind {
    /// The one that calls: the caller's proxy.
    Client,
    /// The one that is called: the proxy of the one that was called.
    Server,
}

/// Something that happened in the course of a span.
#[derive(Clone, PartialEq, Debug)]
pub struct SpanEvent {
    /// What.
    pub name: &'static str,
    /// When, after the span began.
    pub after: Duration,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A text; one from outside is cut to 1 KiB.
    Text(Box<str>),
    /// A number.
    Number(i64),
}

impl Span {
    /// The span of a call, if it is traced.
    pub fn of(call: &Call<'_>) -> Option<Self> {
        let traced = call.traced?.clone();
        let (kind, own) = match call.edge.reporter {
            Reporter::Source => (SpanKind::Client, call.edge.source),
            Reporter::Destination => (SpanKind::Server, call.edge.destination),
        };
        Some(Self {
            traced,
            kind,
            of: match own {
                Party::Known { namespace, name } => Some((namespace.into(), name.into())),
                Party::Peer { .. } | Party::Outside(_) | Party::Probe | Party::Unknown => None,
            },
            name: match call.method {
                "" => "HTTP".into(),
                method => outside(method),
            },
            began: call.began,
            took: call.took,
            error: error(call, kind),
            attributes: attributes(call, kind),
            events: events(call),
        })
    }
}

/// Why it failed: what a proxy refused or cut short, and answers that the conventions call errors.
//= OpenTelemetry semantic conventions, HTTP spans, Status: "For HTTP status codes in the 4xx range
//= span status MUST be left unset in case of `SpanKind.SERVER` and SHOULD be set to `Error` in case
//= of `SpanKind.CLIENT`."
fn error(call: &Call<'_>, kind: SpanKind) -> Option<Box<str>> {
    if let Some(code) = call.refused {
        return Some(format!("{code} {}", code.slug()).into());
    }
    if let Some(status) = call.grpc.filter(|status| *status != 0) {
        return (kind == SpanKind::Client || call.fault().is_some())
            .then(|| format!("gRPC {status}").into());
    }
    let least = match kind {
        SpanKind::Client => 400,
        SpanKind::Server => 500,
    };
    (call.status >= least).then(|| call.status.to_string().into())
}

fn attributes(call: &Call<'_>, kind: SpanKind) -> Vec<(&'static str, Value)> {
    let mut attributes = vec![("leno.id", Value::text(&format!("{:?}", call.id)))];
    let mut say = |name, value| attributes.push((name, value));
    if !call.method.is_empty() {
        say("http.request.method", Value::outside(call.method));
        if kind == SpanKind::Client {
            let full = format!("http://{}{}", call.host, call.shown_path());
            say("url.full", Value::outside(&full));
        }
        say("url.scheme", Value::text("http"));
        say("url.path", Value::outside(call.shown_path()));
        say("server.address", Value::outside(call.host));
    }
    if call.status > 0 {
        say("http.response.status_code", Value::from(call.status));
    }
    if let Some(status) = call.grpc {
        say("rpc.grpc.status_code", Value::from(status));
    }
    say("network.protocol.name", Value::text("http"));
    match kind {
        SpanKind::Client => {
            if let Some(endpoint) = call.endpoint {
                say(
                    "network.peer.address",
                    Value::text(&endpoint.ip().to_string()),
                );
                say("network.peer.port", Value::from(endpoint.port()));
            }
            if call.tries > 1 {
                say("http.request.resend_count", Value::from(call.tries - 1));
            }
        }
        SpanKind::Server => {
            say("client.address", Value::text(&call.peer.ip().to_string()));
        }
    }
    say("http.request.body.size", Value::bytes(call.sent));
    say("http.response.body.size", Value::bytes(call.received));
    say("leno.source", Value::text(&call.edge.source.to_string()));
    say(
        "leno.destination",
        Value::text(&call.edge.destination.to_string()),
    );
    if call.edge.security != Security::None {
        say("leno.security", Value::text(call.edge.security.as_str()));
    }
    if let Some(route) = call.route {
        say("leno.route", Value::text(&RouteName(route).to_string()));
    }
    if let Some(code) = call.refused {
        say("leno.code", Value::text(code.as_str()));
        say("error.type", Value::text(code.slug()));
    } else if error(call, kind).is_some() {
        say("error.type", Value::text(&call.status.to_string()));
    }
    if let Some(fault) = call.fault() {
        say("leno.fault", Value::text(fault.as_str()));
    }
    attributes
}

/// The tries that failed.
fn events(call: &Call<'_>) -> Vec<SpanEvent> {
    let events = call.decided.failed.iter().map(|failed| SpanEvent {
        name: "leno.try_failed",
        after: failed.after,
        attributes: vec![
            (
                "network.peer.address",
                Value::text(&failed.endpoint.ip().to_string()),
            ),
            ("network.peer.port", Value::from(failed.endpoint.port())),
            ("leno.code", Value::text(failed.code.as_str())),
            ("error.type", Value::text(failed.code.slug())),
        ],
    });
    events.collect()
}

impl Value {
    fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    fn outside(text: &str) -> Self {
        Self::Text(outside(text))
    }

    fn bytes(count: u64) -> Self {
        Self::Number(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl<T: Into<i64>> From<T> for Value {
    fn from(number: T) -> Self {
        Self::Number(number.into())
    }
}

fn outside(text: &str) -> Box<str> {
    let (kept, _) = cut(text);
    kept.into()
}
