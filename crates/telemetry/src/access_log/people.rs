//! Lines for people: columns, each as wide as most of its values; a longer value shifts the rest.

use std::time::Duration;

use leno_model::{CallId, Code, Fault, Origin, Wall};

use super::line::{Line, is_plain};
use crate::event::{Accept, Call, Consents, Consulted, Edge, Event, Handshake, Reporter, Stream};
use crate::series::RuleNames;

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
    column(line, 26, |line| line.time(time));
    line.number(dropped);
    line.add(" lines are missing here: they could not be written in time\n");
}

fn write_call(call: &Call<'_>, line: &mut Line) {
    begin(line, call.began, &call.edge);
    outcome(line, call.fault(), |line| match call.status {
        status if status > 0 && line.has("status") => line.number(status.into()),
        _ => line.add("-"),
    });
    middle(line, call.took, &call.edge, call.id);
    match call.method {
        "" => line.add("-"),
        method => {
            chosen(line, "method", |line| word(line, method));
            line.add(" ");
            chosen(line, "host", |line| word(line, call.host));
            chosen(line, "path", |line| word(line, call.shown_path()));
        }
    }
    let logged = call.logged.into_iter();
    for (name, value) in logged.flat_map(|it| it.headers.iter().chain(&it.response_headers)) {
        line.add("  ");
        line.add(name);
        line.add("=\"");
        line.outside(value, is_plain, escape);
        line.add("\"");
    }
    if let Some(call) = call.copy_of.filter(|_| line.has("copy_of")) {
        line.add("  copy of ");
        line.show(call);
    }
    audited(line, call.decided.audited);
    consulted(line, call.decided.consulted);
    end(line, call.refused);
}

fn write_opened(stream: &Stream<'_>, line: &mut Line) {
    begin(line, stream.began, &stream.edge);
    outcome(line, None, |line| line.add("tcp"));
    middle(line, stream.took, &stream.edge, stream.id);
    line.add("opened\n");
}

fn write_stream(stream: &Stream<'_>, line: &mut Line) {
    begin(line, stream.began, &stream.edge);
    outcome(line, stream.fault(), |line| line.add("tcp"));
    middle(line, stream.took, &stream.edge, stream.id);
    chosen(line, "sent", |line| line.number(stream.sent));
    line.add(" B sent, ");
    chosen(line, "received", |line| line.number(stream.received));
    line.add(" B received");
    audited(line, stream.decided.audited);
    end(line, stream.refused);
}

fn write_handshake(handshake: &Handshake<'_>, line: &mut Line) {
    begin(line, handshake.at, &handshake.edge);
    outcome(line, Some(handshake.code.fault()), |line| line.add("tls"));
    unmeasured(line, handshake.id);
    line.add("handshake with ");
    line.address(handshake.peer);
    in_words(line, handshake.why, handshake.code);
}

fn write_accept(accept: &Accept<'_>, line: &mut Line) {
    time_and_reporter(line, accept.at, accept.reporter);
    column(line, 46, |line| {
        line.add("connections to ");
        line.address(accept.listener);
    });
    outcome(line, Some(accept.code.fault()), |line| line.add("-"));
    unmeasured(line, accept.id);
    line.add("not taken");
    in_words(line, accept.why, accept.code);
}

fn unmeasured(line: &mut Line, id: CallId) {
    column(line, 14, |line| line.add("-"));
    column(line, 22, |line| line.add("-"));
    column(line, 10, |line| line.show(id));
}

fn in_words(line: &mut Line, why: &str, code: Code) {
    line.add(": \"");
    line.outside(why, is_plain, escape);
    line.add("\"");
    end(line, Some(code));
}

fn begin(line: &mut Line, began: Wall, edge: &Edge<'_>) {
    time_and_reporter(line, began, edge.reporter);
    column(line, 46, |line| {
        chosen(line, "source", |line| line.party(edge.source));
        line.add(" -> ");
        chosen(line, "destination", |line| line.party(edge.destination));
    });
}

fn time_and_reporter(line: &mut Line, time: Wall, reporter: Reporter) {
    column(line, 26, |line| line.time(time));
    column(line, 13, |line| {
        chosen(line, "reporter", |line| line.add(reporter.as_str()));
    });
}

fn outcome(line: &mut Line, fault: Option<Fault>, status: impl FnOnce(&mut Line)) {
    column(line, 4, status);
    let fault = fault.filter(|_| line.has("fault"));
    column(line, 2, |line| {
        line.add(match fault {
            Some(Fault::Caller) => "C",
            Some(Fault::Service) => "S",
            Some(Fault::Configuration) => "G",
            Some(Fault::Mesh) => "M",
            None => "",
        });
    });
}

fn middle(line: &mut Line, took: Duration, edge: &Edge<'_>, id: CallId) {
    column(line, 14, |line| {
        chosen(line, "duration_ms", |line| {
            line.thousandths(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            line.add(" ms");
        });
    });
    column(line, 22, |line| {
        chosen(line, "security", |line| line.add(edge.security.as_str()));
    });
    column(line, 10, |line| line.show(id));
}

fn audited(line: &mut Line, rules: &[Origin]) {
    if !rules.is_empty() && line.has("audited") {
        line.add("  audited by ");
        line.show(RuleNames(rules));
    }
}

fn consulted(line: &mut Line, asked: &[Consulted]) {
    if !asked.is_empty() && line.has("authorizers") {
        line.add("  authorizer ");
        line.show(Consents(asked));
    }
}

fn end(line: &mut Line, code: Option<Code>) {
    if let Some(code) = code {
        if line.has("code") {
            line.add("  ");
            line.add(code.as_str());
        }
        if line.has("slug") {
            line.add(" ");
            line.add(code.slug());
        }
    }
    line.add("\n");
}

/// The value of a field, or `-` where the policy does not ask for it.
fn chosen(line: &mut Line, field: &str, value: impl FnOnce(&mut Line)) {
    if line.has(field) {
        value(line);
    } else {
        line.add("-");
    }
}

fn column(line: &mut Line, width: usize, value: impl FnOnce(&mut Line)) {
    let length = line.len() + width;
    value(line);
    line.pad(length);
}

/// A text from outside that has no business with spaces.
fn word(line: &mut Line, text: &str) {
    line.outside(text, |byte| byte != b' ' && is_plain(byte), escape);
}

/// As in a literal of Rust: `\n`, `\"`, `\u{1b}`.
fn escape(line: &mut Line, letter: char) {
    match letter {
        ' ' => line.show(' '.escape_unicode()),
        letter => line.show(letter.escape_default()),
    }
}
