//! The access log: a line for each event, for people or for programs.
//!
//! Workers put lines into buffers of their own; one thread writes them. A worker never waits for it:
//! what finds no room is dropped, counted, and said in a line.

pub mod fields;
mod json;
mod line;
mod people;
mod writer;

use std::io::{self, Write};

use leno_model::Wall;

use crate::event::{self, Event};
use line::Line;
use writer::{Page, Writer};

/// What lines look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Columns for people: when, who told, from whom to whom, the status and whose fault, how long
    /// it took, how it was secured, its name, what was asked, why it failed.
    Text,
    /// One JSON object a line, with the fields of [`FIELDS`].
    Json,
}

impl Format {
    /// The line for an event, its end included. It is ASCII.
    pub fn line(self, event: &Event<'_>) -> Vec<u8> {
        let mut line = Line::new();
        line.choose(event.logged().and_then(|logged| logged.fields));
        self.write(event, &mut line);
        line.as_bytes().to_vec()
    }

    fn write(self, event: &Event<'_>, line: &mut Line) {
        match self {
            Self::Text => people::write(event, line),
            Self::Json => json::write(event, line),
        }
    }

    /// The line that says how many are missing, the first of them from `time`.
    fn write_dropped(self, time: Wall, dropped: u64, line: &mut Line) {
        match self {
            Self::Text => people::write_dropped(time, dropped, line),
            Self::Json => json::write_dropped(time, dropped, line),
        }
    }
}

/// One field of a line in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// What it is called.
    pub name: &'static str,
    /// What stands in it, in one sentence.
    pub help: &'static str,
    /// The attribute that it is to OpenTelemetry, by its semantic conventions as far as they have a
    /// name for it; empty for what a log record has a place of its own for.
    pub otel: &'static str,
}

/// The fields of a line in JSON, in order. Those that an event has nothing to say of are absent.
#[rustfmt::skip]
pub const FIELDS: &[Field] = &[
    Field { name: "time", help: "When it began: RFC 3339, UTC, milliseconds.", otel: "" },
    Field { name: "event", help: "What it tells of: call, stream, handshake, accept, or dropped; to a tap also opened.", otel: "" },
    Field { name: "id", help: "The name of the call: 32 hexadecimal digits, the same at both proxies.", otel: "leno.id" },
    Field { name: "reporter", help: "Which proxy tells: source or destination.", otel: "leno.reporter" },
    Field { name: "source", help: "Who called: namespace/service account, or unknown.", otel: "leno.source" },
    Field { name: "destination", help: "What was called: namespace/service, or unknown.", otel: "leno.destination" },
    Field { name: "route", help: "The route and rule that took the request.", otel: "leno.route" },
    Field { name: "security", help: "How the two proxies were connected: mtls, why it was plain, or none if they were not.", otel: "leno.security" },
    Field { name: "peer", help: "The address of whoever opened the connection.", otel: "client.address" },
    Field { name: "listener", help: "The address at which connections wait that cannot be taken.", otel: "leno.listener" },
    Field { name: "endpoint", help: "The address it went to in the end.", otel: "network.peer.address" },
    Field { name: "method", help: "The method of the request.", otel: "http.request.method" },
    Field { name: "host", help: "The host that was asked for.", otel: "server.address" },
    Field { name: "path", help: "The path without the query.", otel: "url.path" },
    Field { name: "headers", help: "Headers of the request that the policy names, as a JSON object.", otel: "http.request.header" },
    Field { name: "status", help: "The status of the answer.", otel: "http.response.status_code" },
    Field { name: "response_headers", help: "Headers of the answer that the policy names, as a JSON object.", otel: "http.response.header" },
    Field { name: "grpc_status", help: "What gRPC says became of the call: 0 is well.", otel: "rpc.grpc.status_code" },
    Field { name: "duration_ms", help: "How long it took, in milliseconds.", otel: "leno.duration_ms" },
    Field { name: "tries", help: "How many times the request was tried.", otel: "leno.tries" },
    Field { name: "copy_of", help: "The call of which it is a copy, for a mirror.", otel: "leno.copy_of" },
    Field { name: "trace", help: "The trace it is told in: 32 hexadecimal digits.", otel: "" },
    Field { name: "span", help: "The span of this proxy there: 16 hexadecimal digits.", otel: "" },
    Field { name: "sent", help: "Bytes from the caller, without heads.", otel: "leno.sent" },
    Field { name: "received", help: "Bytes to the caller, without heads.", otel: "leno.received" },
    Field { name: "code", help: "The code of the failure: see leno explain.", otel: "leno.code" },
    Field { name: "slug", help: "The code in words.", otel: "error.type" },
    Field { name: "fault", help: "Whose fault it was: caller, service, configuration, mesh.", otel: "leno.fault" },
    Field { name: "audited", help: "The access rules that matched and whose action is Audit, with commas between.", otel: "leno.audited" },
    Field { name: "authorizers", help: "The external authorizers that were asked, and what each said, with semicolons between.", otel: "leno.authorizers" },
    Field { name: "why", help: "The failure of a handshake, or of taking connections, in words.", otel: "leno.why" },
    Field { name: "dropped", help: "How many lines are missing here.", otel: "" },
];

/// A log that is being written. Dropped, it writes what it has and ends.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    writer: Writer,
}

impl AccessLog {
    /// Starts the thread that writes to `out`. Errors of `out` cost the lines they hit, which are
    /// counted; only a thread that cannot be started is an error here.
    pub fn start(format: Format, out: impl Write + Send + 'static) -> io::Result<Self> {
        let writer = Writer::start(format, out)?;
        Ok(Self { format, writer })
    }

    /// Lines that found no room or could not be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.writer.dropped()
    }

    /// What one more worker writes with.
    pub(crate) fn pen(&self) -> Pen {
        Pen {
            format: self.format,
            line: Line::new(),
            page: self.writer.page(),
        }
    }
}

/// What one worker writes lines with.
#[derive(Debug)]
pub(crate) struct Pen {
    format: Format,
    line: Line,
    page: Page,
}

impl Pen {
    /// Writes a line, except for a stream that was opened: its one line comes when it ends.
    pub(crate) fn write(&mut self, event: &Event<'_>) {
        if matches!(event, Event::Opened(_)) || event.line() == event::Line::No {
            return;
        }
        self.line.clear();
        self.line
            .choose(event.logged().and_then(|logged| logged.fields));
        self.format.write(event, &mut self.line);
        self.page.push(self.line.as_bytes(), event.ended());
    }
}
