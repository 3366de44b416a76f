//! How the access log and spans tell of what happened, as policy says it: which of it gets a line, and
//! what of it may be read.

use std::borrow::Cow;
use std::sync::Arc;

use leno_condition::{ClaimSaid, Fact, Facts, Value};
use leno_model::Origin;
use leno_protocol::{Request, Response};
use leno_telemetry::{Call, Edge, Headers, Line, Logged, Party, Stream};
use leno_traffic::{Port, Report, Table};

use crate::incoming::{Incoming, Way};

impl Incoming {
    /// What is told of a call that came so and goes to `called`, where `rule` took it if one did.
    pub(crate) fn report<'a>(
        &self,
        table: &'a Table,
        called: Option<&'a Port>,
        rule: Option<&Origin>,
    ) -> &'a Report {
        match (&self.way, called) {
            (Way::Inbound { workload, port, .. }, _) => table.report_inbound(workload, *port),
            (Way::Outbound { .. }, Some(called)) => called.report(self.namespace(table), rule),
            (Way::Outbound { .. }, None) => table.report(),
        }
    }
}

/// How a call is told, of whose answer these headers are; `None` if that is in full. Without its
/// request, it has no headers.
pub(crate) fn of_call(
    report: &Report,
    call: &Call<'_>,
    request: Option<&Request<'_>>,
    response_headers: &Headers,
) -> Option<Logged> {
    if report.is_plain() {
        return None;
    }
    let names = &report.access_log().request_headers;
    let headers = request.map(|request| shown(report, names, |name| header(request, name)));
    Some(Logged {
        line: line(report.line(&CallFacts { call, request })),
        fields: report.access_log().fields,
        path: match report.path(call.path) {
            Cow::Borrowed(_) => None,
            Cow::Owned(shown) => Some(shown.into()),
        },
        headers: headers.unwrap_or_default(),
        response_headers: response_headers.clone(),
    })
}

/// What may be read of the headers of an answer that a line is to have.
pub(crate) fn of_answer(report: &Report, response: &Response<'_>) -> Headers {
    let names = &report.access_log().response_headers;
    shown(report, names, |name| joined(response.header(name)))
}

/// What may be read of headers.
fn shown<'a>(
    report: &Report,
    names: &[Arc<str>],
    value: impl Fn(&str) -> Option<Cow<'a, str>>,
) -> Headers {
    let headers = names.iter().filter_map(|name| {
        let value = value(name)?;
        Some((name.clone(), report.header(name, &value).into()))
    });
    headers.collect()
}

/// How a stream is told; `None` if that is in full.
pub(crate) fn of_stream(report: &Report, stream: &Stream<'_>) -> Option<Logged> {
    (!report.is_plain()).then(|| Logged {
        line: line(report.line(&StreamFacts(stream))),
        fields: report.access_log().fields,
        path: None,
        headers: Headers::default(),
        response_headers: Headers::default(),
    })
}

fn line(line: leno_traffic::Line) -> Line {
    match line {
        leno_traffic::Line::Yes => Line::Yes,
        leno_traffic::Line::No => Line::No,
        leno_traffic::Line::Unfiltered => Line::Unfiltered,
    }
}

fn header<'a>(request: &Request<'a>, name: &str) -> Option<Cow<'a, str>> {
    joined(request.header(name))
}

/// The values of a header, with commas between.
fn joined<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Cow<'a, str>> {
    let mut values = values.map(String::from_utf8_lossy);
    let first = values.next()?;
    Some(values.fold(first, |all, value| Cow::Owned(format!("{all}, {value}"))))
}

struct CallFacts<'c, 'a> {
    call: &'c Call<'a>,
    request: Option<&'c Request<'a>>,
}

impl Facts for CallFacts<'_, '_> {
    fn value(&self, fact: Fact) -> Option<Value<'_>> {
        let call = self.call;
        match fact {
            Fact::Method => text(call.method),
            Fact::Path => text(call.path),
            Fact::Host => text(call.host),
            Fact::RequestSize => number(call.sent),
            Fact::ResponseSize => number(call.received),
            Fact::SourceIdentity => {
                let caller = call.decided.caller;
                caller.map_or(text(""), |caller| owned(caller.to_string()))
            }
            Fact::SourceAddress => owned(call.peer.ip().to_string()),
            Fact::DestinationAddress => call
                .endpoint
                .map_or(text(""), |it| owned(it.ip().to_string())),
            Fact::Status => number(call.status),
            Fact::Code => text(call.refused.map_or("", |code| code.as_str())),
            Fact::Fault => text(call.fault().map_or("", |fault| fault.as_str())),
            Fact::Duration => Some(Value::Span(call.took)),
            Fact::Tries => number(call.tries),
            Fact::SourceNamespace
            | Fact::SourceService
            | Fact::DestinationNamespace
            | Fact::DestinationService => party(&call.edge, fact),
            Fact::Headers | Fact::Claims => None,
        }
    }

    fn header(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        Some(header(self.request?, name))
    }

    fn claim(&self, _: &str) -> Option<ClaimSaid<'_>> {
        None
    }
}

/// A stream has no request: what it would say is nothing.
struct StreamFacts<'s>(&'s Stream<'s>);

impl Facts for StreamFacts<'_> {
    fn value(&self, fact: Fact) -> Option<Value<'_>> {
        let stream = self.0;
        match fact {
            Fact::Method | Fact::Path | Fact::Host => text(""),
            Fact::Status | Fact::Tries => number(0u8),
            Fact::RequestSize => number(stream.sent),
            Fact::ResponseSize => number(stream.received),
            Fact::SourceIdentity => {
                let caller = stream.decided.caller;
                caller.map_or(text(""), |caller| owned(caller.to_string()))
            }
            Fact::SourceAddress => owned(stream.peer.ip().to_string()),
            Fact::DestinationAddress => stream
                .endpoint
                .map_or(text(""), |it| owned(it.ip().to_string())),
            Fact::Code => text(stream.refused.map_or("", |code| code.as_str())),
            Fact::Fault => text(stream.fault().map_or("", |fault| fault.as_str())),
            Fact::Duration => Some(Value::Span(stream.took)),
            Fact::SourceNamespace
            | Fact::SourceService
            | Fact::DestinationNamespace
            | Fact::DestinationService => party(&stream.edge, fact),
            Fact::Headers | Fact::Claims => None,
        }
    }

    fn header(&self, _: &str) -> Option<Option<Cow<'_, str>>> {
        Some(None)
    }

    fn claim(&self, _: &str) -> Option<ClaimSaid<'_>> {
        None
    }
}

/// The namespace or the name of one end of an edge.
fn party<'a>(edge: &Edge<'a>, fact: Fact) -> Option<Value<'a>> {
    let party = match fact {
        Fact::SourceNamespace | Fact::SourceService => edge.source,
        _ => edge.destination,
    };
    match (party, fact) {
        // Names are those of this mesh, as they are to an AccessPolicy.
        (Party::Outside(_), Fact::DestinationService) => owned(party.to_string()),
        (Party::Peer { .. } | Party::Outside(_) | Party::Probe | Party::Unknown, _) => text(""),
        (Party::Known { namespace, .. }, Fact::SourceNamespace | Fact::DestinationNamespace) => {
            text(namespace)
        }
        (Party::Known { name, .. }, _) => text(name),
    }
}

fn text(text: &str) -> Option<Value<'_>> {
    Some(Value::Text(Cow::Borrowed(text)))
}

fn owned(text: String) -> Option<Value<'static>> {
    Some(Value::Text(Cow::Owned(text)))
}

fn number(number: impl TryInto<i64>) -> Option<Value<'static>> {
    Some(Value::Number(number.try_into().unwrap_or(i64::MAX)))
}
