//! How `leno up` looks: what runs, the first call, what to try next.

use std::io;
use std::time::Duration;

use leno_admin::{Past, grpc_name};
use leno_host::Exit;
use leno_model::{Code, Namespace};
use leno_telemetry::{Call, Edge, Event, Party, Security, Stream};
use time::UtcOffset;

use super::called;
use super::engine::Up;
use super::news::{Ended, Followed, Published, Revised, Row, State};
use crate::command::explicit::capture;
use crate::render::{change, failure};
use crate::terminal::{Line, Terminal};

/// Tells which mesh is up, with what does not hold of it, and gives the columns for what runs in it and
/// for what is `outside`. `file` is where it is written, as a person would find it.
pub(crate) fn introduce(
    up: &Up,
    name: &str,
    file: &str,
    outside: &[&str],
    terminal: &mut Terminal,
) -> io::Result<Columns> {
    let head = Line::new().strong(name).plain(format_args!(
        " ({file}) · revision {} · no root needed · {}",
        up.revision(),
        capture(up.is_explicit())
    ));
    terminal.line(head)?;
    failure::findings(&up.errors(), "", terminal)?;
    terminal.gap()?;
    let programs = up.programs();
    let names = programs.iter().map(|program| called(&program.id));
    let names = names.collect::<Vec<_>>();
    let typed = programs.iter().map(|program| program.typed.as_str());
    let widths = names.iter().map(String::as_str).zip(typed);
    let columns = Columns::of(widths.chain(outside.iter().map(|name| (*name, ""))));
    let mtls = if up.is_strict() {
        "strict"
    } else {
        "permissive"
    };
    let domain = up.trust_domain();
    let mesh = format!("trust domain {domain} · mTLS {mtls} between services");
    terminal.line(columns.mesh(up.age(), &mesh))?;
    Ok(columns)
}

/// The columns of the table of workloads: as wide as the widest that may stand there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Columns {
    state: usize,
    after: usize,
    what: usize,
    where_: usize,
}

impl Columns {
    /// For workloads of these names and commands.
    pub(crate) fn of<'a>(workloads: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let widest = |widths: &mut dyn Iterator<Item = usize>, least| widths.max().max(Some(least));
        let names = workloads.clone().map(|(name, _)| name.chars().count());
        let commands = workloads.map(|(_, typed)| clipped(typed).chars().count());
        let name = widest(&mut names.into_iter(), "mesh".len()).unwrap_or_default();
        let command = widest(&mut commands.into_iter(), "exit 127".len()).unwrap_or_default();
        let state = 2 + name + 3;
        let after = state + "FAILED".len() + 2;
        let what = after + "00.0 s".len() + 2;
        Self {
            state,
            after,
            what,
            where_: what + command + 3,
        }
    }

    /// The line about the mesh itself.
    pub(crate) fn mesh(&self, after: Duration, what: &str) -> Line {
        let line = Line::new().plain("  mesh").column(self.state, 1);
        let line = line.good("ready").column(self.after, 1);
        line.plain(seconds(after)).column(self.what, 1).plain(what)
    }

    /// The line about a program that is no workload of ours.
    pub(crate) fn outside(&self, name: &str, what: &str) -> Line {
        let line = Line::new().plain("  ").strong(name).column(self.state, 1);
        line.dim("outside").column(self.what, 1).plain(what)
    }

    /// A line that belongs to the one about a workload.
    pub(crate) fn below(&self, text: &str) -> Line {
        Line::new().column(self.what, 0).dim(text)
    }

    /// The line about a workload.
    pub(crate) fn workload(&self, row: &Row) -> Line {
        let line = Line::new().plain("  ").strong(row.called());
        let line = line.column(self.state, 1);
        match &row.state {
            State::Starting => {
                let line = line.doubtful("starting").column(self.what, 1);
                line.plain(clipped(&row.typed))
            }
            State::Up(after) => {
                let line = line.good("up").column(self.after, 1);
                let line = line.plain(seconds(*after)).column(self.what, 1);
                let line = line.plain(clipped(&row.typed)).column(self.where_, 1);
                refused(published(line, &row.published), row.udp_refused)
            }
            State::Ended {
                after,
                how,
                last_line,
            } => {
                let line = match how.is_failure() {
                    true => line.bad("FAILED"),
                    false => line.dim("ended"),
                };
                let line = line.column(self.after, 1).plain(seconds(*after));
                let line = line.column(self.what, 1).plain(ended(how));
                let line = line.column(self.where_, 1);
                if !how.is_failure() {
                    return line.plain(clipped(&row.typed));
                }
                let line = match why(how, last_line) {
                    Some(why) => line.plain(format_args!("\"{why}\" ")),
                    None => line,
                };
                let line = match row.place.is_empty() {
                    true => line,
                    false => line.plain(format_args!("({})", row.place)),
                };
                let line = match how.code() {
                    Some(code) => line.plain(format_args!("   {code} {}", code.slug())),
                    None => line,
                };
                line.plain(format_args!("   leno logs {}", row.called()))
            }
        }
    }
}

/// The lines about a revision that came in force.
pub(crate) fn revised(told: &Revised) -> Vec<Line> {
    let line = Line::new().plain("  revision ").strong(told.revision);
    let mut lines = vec![match &told.past {
        Some(Past {
            who, what, message, ..
        }) => {
            let line = line.plain(format_args!("  {what}, by {who}"));
            match message.is_empty() {
                true => line,
                false => line.dim(format_args!("  {message}")),
            }
        }
        None => line,
    }];
    let indented = |line: &Line| Line::new().plain("  ").then(line);
    let texts = told.revision > 1;
    lines.extend(change::lines(&told.changes, texts).iter().map(indented));
    for (id, followed) in &told.programs {
        let line = Line::new().plain("  ").strong(called(id)).plain("  ");
        lines.push(match followed {
            Followed::Started => line.good("is new, and starts"),
            Followed::Restarted(what) => {
                line.doubtful(format_args!("starts again: its {what} has changed"))
            }
            Followed::Ended => line.dim("is gone, and ends"),
        });
    }
    if let Some(file) = told.until {
        lines.push(Line::new().plain(format_args!("  It holds until {file} changes.")));
    }
    lines
}

/// The lines about a call from one workload to another.
pub(crate) fn first_call(event: &Event<'_>, offset: UtcOffset) -> Vec<Line> {
    let (edge, began, told, asked) = match event {
        Event::Call(call) => (&call.edge, call.began, told_call(call), Some(call.host)),
        Event::Opened(stream) => (&stream.edge, stream.began, "TCP  opened".to_owned(), None),
        Event::Stream(stream) => (&stream.edge, stream.began, told_stream(stream), None),
        Event::Handshake(_) | Event::Accept(_) => return Vec::new(),
    };
    let (source, destination) = (name(edge.source), name(edge.destination));
    let line = Line::new()
        .plain("  first call  ")
        .dim(clock(began, offset));
    let line = line.plain(format_args!("  {source} → {destination}  {told}  "));
    let mut lines = vec![secured(line, edge, &source)];
    if let (Some(host), Some(port)) = (asked.filter(|host| is_loopback(host)), port_of(event)) {
        let line = Line::new().column(14, 0);
        lines.push(line.dim(format_args!(
            "({source} asked for {host}:{port}; that is {destination})"
        )));
    }
    lines
}

fn told_call(call: &Call<'_>) -> String {
    let took = millis(call.took);
    let status = call.grpc.map(grpc_name);
    let status = status.unwrap_or_else(|| call.status.to_string());
    let told = format!("{} {}  {status}  {took}", call.method, call.path);
    match call.refused {
        Some(code) => format!("{told}  {code} {}", code.slug()),
        None => told,
    }
}

fn told_stream(stream: &Stream<'_>) -> String {
    let took = millis(stream.took);
    match stream.refused {
        Some(code) => format!("TCP  {took}  {code} {}", code.slug()),
        None => format!("TCP  {took}"),
    }
}

fn secured(line: Line, edge: &Edge<'_>, source: &str) -> Line {
    match edge.security {
        Security::Mtls => line.good(format_args!("encrypted, caller proven: {source}")),
        Security::Plain(why) => line.doubtful(format_args!("plain: {why}")),
        Security::None => line,
    }
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// The port at which the workload was asked: who asks loopback means the port that a workload has.
fn port_of(event: &Event<'_>) -> Option<u16> {
    match event {
        Event::Call(call) => Some(call.endpoint?.port()),
        Event::Opened(_) | Event::Stream(_) | Event::Handshake(_) | Event::Accept(_) => None,
    }
}

/// What people call a party here.
fn name(party: Party<'_>) -> String {
    match party {
        Party::Known { namespace, name } => {
            match namespace == Namespace::default_namespace().as_str() {
                true => name.to_owned(),
                false => format!("{namespace}/{name}"),
            }
        }
        Party::Peer { .. } | Party::Outside(_) | Party::Probe => party.to_string(),
        Party::Unknown => "outside".to_owned(),
    }
}

/// How it ended, in two words.
fn ended(how: &Ended) -> String {
    match how {
        Ended::NotStarted(_) => "not started".to_owned(),
        Ended::Exit(Exit::Code(code)) => format!("exit {code}"),
        Ended::Exit(Exit::Signal(signal)) => format!("signal {signal}"),
        Ended::Exit(Exit::Lost) => "killed".to_owned(),
    }
}

/// The reason, from the system or else from what the workload said last.
fn why(how: &Ended, last_line: &str) -> Option<String> {
    let why = match how {
        Ended::NotStarted(errno) => io::Error::from_raw_os_error(*errno).to_string(),
        Ended::Exit(_) => without_shell(last_line).to_owned(),
    };
    (!why.is_empty()).then(|| clip(&why, 72))
}

/// What a shell says about a line, without the shell's own name and the line's number.
fn without_shell(line: &str) -> &str {
    let said = line.strip_prefix("/bin/sh: ").unwrap_or(line);
    let (number, rest) = said.split_once(": ").unwrap_or(("", said));
    let number = number.strip_prefix("line ").unwrap_or(number);
    match number.parse::<u32>() {
        Ok(_) => rest,
        Err(_) => said,
    }
}

fn published(line: Line, published: &[Published]) -> Line {
    let url = |published: &Published| match published.taken {
        true => format!("{published} ({} is another program's)", published.port),
        false => published.to_string(),
    };
    let all = published.iter().map(url).collect::<Vec<_>>();
    line.plain(all.join("  "))
}

/// What the workload sent in vain.
fn refused(line: Line, datagrams: u64) -> Line {
    match datagrams {
        0 => line,
        _ => line.doubtful("   ").doubtful(udp_refused(datagrams)),
    }
}

fn udp_refused(datagrams: u64) -> String {
    let code = Code::R042;
    format!("UDP refused: {datagrams} ({code} {})", code.slug())
}

/// What is wrong with a workload, in words.
pub(crate) fn trouble(row: &Row) -> Option<String> {
    match &row.state {
        State::Ended { how, last_line, .. } if how.is_failure() => {
            let told = match why(how, last_line) {
                Some(why) => format!("{}: {why}", ended(how)),
                None => ended(how),
            };
            let code = how.code()?;
            Some(format!("{told} ({code} {})", code.slug()))
        }
        State::Starting | State::Up(_) | State::Ended { .. } => {
            (row.udp_refused > 0).then(|| udp_refused(row.udp_refused))
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

/// `12:04:31` where the person is.
fn clock(at: leno_model::Wall, offset: UtcOffset) -> String {
    let seconds = i64::try_from(at.elapsed_since_epoch().as_secs()).unwrap_or(i64::MAX);
    let local = seconds.saturating_add(offset.whole_seconds().into());
    let (hours, minutes) = (local / 3600 % 24, local / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", local % 60)
}

/// A command, as far as there is room for it.
fn clipped(command: &str) -> String {
    clip(command.lines().next().unwrap_or_default(), 40)
}

fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
