//! Lines for programs: one JSON object each (RFC 8259), with the names of the table.

use std::net::SocketAddr;
use std::time::Duration;

use leno_model::{CallId, Code, Fault, Wall};

use super::line::{Line, is_plain};
use crate::event::{Accept, Call, Edge, Event, Handshake, Stream};
use crate::series::RouteName;

pub(super) fn write(event: &Event<'_>, line: &mut Line) {
    match event {
        Event::Call(call) => write_call(call, line),
        Event::Opened(stream) => write_opened(stream, line),
        Event::Stream(stream) => write_stream(stream, line),
        Event::Handshake(handshake) => write_handshake(handshake, line),
        Event::Accept(accept) => write_accept(accept, line),
    }
}

pub(super) fn write_dropped(time: Wall, dropped: u64, line: &mut Line) {
    begin(line, time, "dropped");
    number(line, "dropped", dropped);
    end(line);
}

fn write_call(call: &Call<'_>, line: &mut Line) {
    begin(line, call.began, "call");
    parties(line, call.id, &call.edge);
    if let Some(route) = call.route {
        string(line, "route", |line| line.show(RouteName(route)));
    }
    addresses(line, &call.edge, call.peer, call.endpoint);
    outside(line, "method", call.method);
    outside(line, "host", call.host);
    outside(line, "path", call.path);
    if call.status > 0 {
        number(line, "status", call.status.into());
    }
    duration(line, call.took);
    number(line, "tries", call.tries.into());
    if let Some(call) = call.copy_of {
        string(line, "copy_of", |line| line.ascii(&call.digits()));
    }
    if let Some(traced) = call.traced {
        string(line, "trace", |line| {
            line.show(format_args!("{:032x}", traced.trace))
        });
        string(line, "span", |line| {
            line.show(format_args!("{:016x}", traced.span))
        });
    }
    number(line, "sent", call.sent);
    number(line, "received", call.received);
    failure(line, call.refused, call.fault());
    end(line);
}

fn write_opened(stream: &Stream<'_>, line: &mut Line) {
    begin(line, stream.began, "opened");
    parties(line, stream.id, &stream.edge);
    addresses(line, &stream.edge, stream.peer, stream.endpoint);
    end(line);
}

fn write_stream(stream: &Stream<'_>, line: &mut Line) {
    begin(line, stream.began, "stream");
    parties(line, stream.id, &stream.edge);
    addresses(line, &stream.edge, stream.peer, stream.endpoint);
    duration(line, stream.took);
    number(line, "sent", stream.sent);
    number(line, "received", stream.received);
    failure(line, stream.refused, stream.fault());
    end(line);
}

fn write_handshake(handshake: &Handshake<'_>, line: &mut Line) {
    begin(line, handshake.at, "handshake");
    parties(line, handshake.id, &handshake.edge);
    string(line, "peer", |line| line.address(handshake.peer));
    failure(line, Some(handshake.code), Some(handshake.code.fault()));
    outside(line, "why", handshake.why);
    end(line);
}

fn write_accept(accept: &Accept<'_>, line: &mut Line) {
    begin(line, accept.at, "accept");
    string(line, "id", |line| line.ascii(&accept.id.digits()));
    string(line, "reporter", |line| line.add(accept.reporter.as_str()));
    string(line, "listener", |line| line.address(accept.listener));
    failure(line, Some(accept.code), Some(accept.code.fault()));
    outside(line, "why", accept.why);
    end(line);
}

fn begin(line: &mut Line, time: Wall, event: &str) {
    line.add("{\"time\":\"");
    line.time(time);
    line.add("\"");
    string(line, "event", |line| line.add(event));
}

fn parties(line: &mut Line, id: CallId, edge: &Edge<'_>) {
    string(line, "id", |line| line.ascii(&id.digits()));
    string(line, "reporter", |line| line.add(edge.reporter.as_str()));
    string(line, "source", |line| line.party(edge.source));
    string(line, "destination", |line| line.party(edge.destination));
}

fn addresses(line: &mut Line, edge: &Edge<'_>, peer: SocketAddr, endpoint: Option<SocketAddr>) {
    string(line, "security", |line| line.add(edge.security.as_str()));
    string(line, "peer", |line| line.address(peer));
    if let Some(endpoint) = endpoint {
        string(line, "endpoint", |line| line.address(endpoint));
    }
}

fn duration(line: &mut Line, took: Duration) {
    name(line, "duration_ms");
    line.thousandths(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

fn failure(line: &mut Line, code: Option<Code>, fault: Option<Fault>) {
    if let Some(code) = code {
        string(line, "code", |line| line.add(code.as_str()));
        string(line, "slug", |line| line.add(code.slug()));
    }
    if let Some(fault) = fault {
        string(line, "fault", |line| line.add(fault.as_str()));
    }
}

fn end(line: &mut Line) {
    line.add("}\n");
}

/// A text from outside.
fn outside(line: &mut Line, of: &str, text: &str) {
    string(line, of, |line| line.outside(text, is_plain, escape));
}

/// As in a string of JSON: `\u001b`, above U+FFFF as a pair.
fn escape(line: &mut Line, letter: char) {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        line.show(format_args!("\\u{unit:04x}"));
    }
}

/// A string whose letters need no escape, or have had it.
fn string(line: &mut Line, of: &str, value: impl FnOnce(&mut Line)) {
    name(line, of);
    line.add("\"");
    value(line);
    line.add("\"");
}

fn number(line: &mut Line, of: &str, number: u64) {
    name(line, of);
    line.number(number);
}

fn name(line: &mut Line, name: &str) {
    line.add(",\"");
    line.add(name);
    line.add("\":");
}
