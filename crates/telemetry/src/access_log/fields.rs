//! What a line tells, field by field, for whichever form it takes.

use leno_model::origin::RouteName;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;
use std::time::Duration;

use leno_model::{CallId, Code, Fault, Origin, Wall};

use crate::event::{Accept, Call, Consents, Consulted, Edge, Event, Handshake, Party, Stream, cut};
use crate::series::RuleNames;

/// What stands in a field.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// A point in time.
    Time(Wall),
    /// A word of ours.
    Word(&'static str),
    /// A text from outside.
    Outside(&'a str),
    /// A name of a call.
    Id(CallId),
    /// One end of an edge.
    Party(Party<'a>),
    /// A rule.
    Route(&'a Origin),
    /// Rules, at least one.
    Rules(&'a [Origin]),
    /// What external authorizers said, at least one.
    Consents(&'a [Consulted]),
    /// An address.
    Address(SocketAddr),
    /// A number.
    Number(u64),
    /// A duration.
    Took(Duration),
    /// A trace.
    Trace(NonZeroU128),
    /// A span of it.
    Span(NonZeroU64),
    /// Headers, by name.
    Headers(&'a [(Arc<str>, Box<str>)]),
}

/// As people read it, nothing of it escaped.
impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => time.fmt(f),
            Self::Word(word) => f.write_str(word),
            Self::Outside(text) => f.write_str(cut(text).0),
            Self::Id(id) => f.write_str(&String::from_utf8_lossy(&id.digits())),
            Self::Party(party) => party.fmt(f),
            Self::Route(route) => RouteName(route).fmt(f),
            Self::Rules(rules) => RuleNames(rules).fmt(f),
            Self::Consents(asked) => Consents(asked).fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Took(took) => write!(f, "{took:?}"),
            Self::Trace(trace) => write!(f, "{trace:032x}"),
            Self::Span(span) => write!(f, "{span:016x}"),
            Self::Headers(headers) => {
                let mut between = "";
                headers.iter().try_for_each(|(name, value)| {
                    write!(f, "{between}{name}: {}", cut(value).0)?;
                    between = ", ";
                    Ok(())
                })
            }
        }
    }
}

/// Says each field of [`FIELDS`](super::FIELDS) that an event has something to say of, in their order.
pub fn fields<'a>(event: &Event<'a>, mut say: impl FnMut(&'static str, Said<'a>)) {
    let chosen = event.logged().and_then(|logged| logged.fields);
    let say = &mut |name, said| {
        if chosen.is_none_or(|chosen| chosen.has(name)) {
            say(name, said);
        }
    };
    match event {
        Event::Call(call) => say_call(call, say),
        Event::Opened(stream) => say_opened(stream, say),
        Event::Stream(stream) => say_stream(stream, say),
        Event::Handshake(handshake) => say_handshake(handshake, say),
        Event::Accept(accept) => say_accept(accept, say),
    }
}

fn say_call<'a>(call: &Call<'a>, say: &mut impl FnMut(&'static str, Said<'a>)) {
    begin(call.began, "call", say);
    parties(call.id, &call.edge, say);
    taken(call.route, say);
    addresses(&call.edge, call.peer, call.endpoint, say);
    say("method", Said::Outside(call.method));
    say("host", Said::Outside(call.host));
    say("path", Said::Outside(call.shown_path()));
    if let Some(logged) = call.logged.filter(|logged| !logged.headers.is_empty()) {
        say("headers", Said::Headers(&logged.headers));
    }
    if call.status > 0 {
        say("status", Said::Number(call.status.into()));
    }
    if let Some(logged) = call.logged.filter(|it| !it.response_headers.is_empty()) {
        say("response_headers", Said::Headers(&logged.response_headers));
    }
    if let Some(status) = call.grpc {
        say("grpc_status", Said::Number(status.into()));
    }
    say("duration_ms", Said::Took(call.took));
    say("tries", Said::Number(call.tries.into()));
    if let Some(call) = call.copy_of {
        say("copy_of", Said::Id(call));
    }
    if let Some(traced) = call.traced {
        say("trace", Said::Trace(traced.trace));
        say("span", Said::Span(traced.span));
    }
    say("sent", Said::Number(call.sent));
    say("received", Said::Number(call.received));
    failure(call.refused, call.fault(), say);
    audited(call.decided.audited, say);
    if let asked @ [_, ..] = call.decided.consulted {
        say("authorizers", Said::Consents(asked));
    }
}

fn say_opened<'a>(stream: &Stream<'a>, say: &mut impl FnMut(&'static str, Said<'a>)) {
    begin(stream.began, "opened", say);
    parties(stream.id, &stream.edge, say);
    taken(stream.route, say);
    addresses(&stream.edge, stream.peer, stream.endpoint, say);
}

fn say_stream<'a>(stream: &Stream<'a>, say: &mut impl FnMut(&'static str, Said<'a>)) {
    begin(stream.began, "stream", say);
    parties(stream.id, &stream.edge, say);
    taken(stream.route, say);
    addresses(&stream.edge, stream.peer, stream.endpoint, say);
    say("duration_ms", Said::Took(stream.took));
    say("sent", Said::Number(stream.sent));
    say("received", Said::Number(stream.received));
    failure(stream.refused, stream.fault(), say);
    audited(stream.decided.audited, say);
}

fn audited<'a>(rules: &'a [Origin], say: &mut impl FnMut(&'static str, Said<'a>)) {
    if !rules.is_empty() {
        say("audited", Said::Rules(rules));
    }
}

fn say_handshake<'a>(handshake: &Handshake<'a>, say: &mut impl FnMut(&'static str, Said<'a>)) {
    begin(handshake.at, "handshake", say);
    parties(handshake.id, &handshake.edge, say);
    say("peer", Said::Address(handshake.peer));
    failure(Some(handshake.code), Some(handshake.code.fault()), say);
    say("why", Said::Outside(handshake.why));
}

fn say_accept<'a>(accept: &Accept<'a>, say: &mut impl FnMut(&'static str, Said<'a>)) {
    begin(accept.at, "accept", say);
    say("id", Said::Id(accept.id));
    say("reporter", Said::Word(accept.reporter.as_str()));
    say("listener", Said::Address(accept.listener));
    failure(Some(accept.code), Some(accept.code.fault()), say);
    say("why", Said::Outside(accept.why));
}

fn begin<'a>(time: Wall, event: &'static str, say: &mut impl FnMut(&'static str, Said<'a>)) {
    say("time", Said::Time(time));
    say("event", Said::Word(event));
}

fn parties<'a>(id: CallId, edge: &Edge<'a>, say: &mut impl FnMut(&'static str, Said<'a>)) {
    say("id", Said::Id(id));
    say("reporter", Said::Word(edge.reporter.as_str()));
    say("source", Said::Party(edge.source));
    say("destination", Said::Party(edge.destination));
}

fn taken<'a>(route: Option<&'a Origin>, say: &mut impl FnMut(&'static str, Said<'a>)) {
    if let Some(route) = route {
        say("route", Said::Route(route));
    }
}

fn addresses<'a>(
    edge: &Edge<'a>,
    peer: SocketAddr,
    endpoint: Option<SocketAddr>,
    say: &mut impl FnMut(&'static str, Said<'a>),
) {
    say("security", Said::Word(edge.security.as_str()));
    say("peer", Said::Address(peer));
    if let Some(endpoint) = endpoint {
        say("endpoint", Said::Address(endpoint));
    }
}

fn failure<'a>(
    code: Option<Code>,
    fault: Option<Fault>,
    say: &mut impl FnMut(&'static str, Said<'a>),
) {
    if let Some(code) = code {
        say("code", Said::Word(code.as_str()));
        say("slug", Said::Word(code.slug()));
    }
    if let Some(fault) = fault {
        say("fault", Said::Word(fault.as_str()));
    }
}
