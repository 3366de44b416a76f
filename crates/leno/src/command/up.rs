//! `leno up`: runs the mesh of a folder until Ctrl-C.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use leno_admin::Failure;
use leno_host::{Blocker, OpenError};
use leno_model::Namespace;
use leno_model::view::WorkloadId;
use leno_telemetry::Record;
use time::UtcOffset;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::arguments;
use crate::command::Answer;
use crate::command::explicit::{blocker, caveats, print_blocker};
use crate::dashboard::Page;
use crate::render;
use crate::terminal::{Line, Terminal};
use crate::up::{
    Client, Columns, News, Outside, Pin, Place, Row, Server, Source, State, Up, exports,
    first_call, introduce, revised, unclear,
};

/// How long the first call is waited for before what to try next is said without it.
const FIRST_CALL: Duration = Duration::from_secs(2);

/// How long a workload may start before that is said of it.
const STARTING: Duration = Duration::from_secs(10);

/// Runs what `leno.yaml` or the `Procfile` of this folder says.
pub(crate) fn run(options: &arguments::Up, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    // Known only while there is one thread.
    let offset = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
    let place = Place::of(".".as_ref())?;
    if options.detach {
        return detach(&place, options, terminal);
    }
    if !options.way.explicit
        && let Some(blocker) = blocker()
    {
        print_blocker(&blocker, "leno up --explicit", terminal)?;
        return Ok(Answer::Bad);
    }
    if options.then_silent {
        rustix::process::setsid()?;
    }
    let source = Source::read(place.folder())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    let ran = local.block_on(&runtime, show(source, place, offset, options, terminal));
    // Threads that still ask a port what it speaks end with the process.
    runtime.shutdown_background();
    match ran {
        Ok(()) => Ok(Answer::Fine),
        Err(error) => not_up(error, terminal),
    }
}

/// Says why a mesh is not up, where that is an answer and no failure of ours.
pub(crate) fn not_up(error: anyhow::Error, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    if let Some(refused) = error.downcast_ref::<OpenError>() {
        print_blocker(&Blocker::of(refused), "leno up --explicit", terminal)?;
        return Ok(Answer::Bad);
    }
    if let Some(refused) = error.downcast_ref::<Failure>() {
        render::failure::print(refused, terminal)?;
        return Ok(Answer::Bad);
    }
    Err(error)
}

/// Starts the same without a terminal, and shows how it begins.
fn detach(
    place: &Place,
    options: &arguments::Up,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    place.make()?;
    let port = options.dashboard.map(|port| format!("--dashboard={port}"));
    let mut command = Command::new("/proc/self/exe");
    let metrics = options
        .metrics
        .map(|address| format!("--metrics={address}"));
    command
        .args(["up", "--then-silent"])
        .args(port)
        .args(metrics);
    if options.way.explicit {
        command.arg("--explicit");
    }
    for pin in &options.way.upstream {
        command.arg("--upstream").arg(pin.to_string());
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(place.own_log())?)
        .spawn()?;
    let shown = child.stdout.take().context("the output was not piped")?;
    for line in BufReader::new(shown).lines() {
        terminal.text(&line?)?;
    }
    if Client::connect(place)?.is_some() {
        return Ok(Answer::Fine);
    }
    let code = child
        .wait()?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    let said = fs::read_to_string(place.own_log())?;
    match said.trim_end().strip_prefix("error: ") {
        Some(why) => bail!("{why}"),
        None => Ok(Answer::Exit(code.unwrap_or(1))),
    }
}

async fn show(
    source: Source,
    place: Place,
    offset: UtcOffset,
    options: &arguments::Up,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let (tell, news) = mpsc::unbounded_channel();
    let file = source.file.unwrap_or_default();
    let name = source.mesh.clone();
    let tell = move |told| drop(tell.send(told));
    let mut up = Up::begin(source, place.clone(), tell)?;
    if let Some(address) = options.metrics {
        let listening = up.tell_metrics_at(address);
        listening.with_context(|| format!("metrics cannot be told at {address}"))?;
    }
    let page = Page::of(&mut up, options.dashboard)?;
    if options.way.explicit {
        up = explicitly(up, &options.way.upstream)?;
    }
    let server = Server::open(&place)?;
    tokio::task::spawn_local(server.run(up.inbox()));
    let programs = up.programs();
    let waiting = programs.iter().map(|program| program.id.clone());
    let waiting = waiting.collect::<Vec<_>>();
    let outside = Outside::read(place.folder(), &waiting);
    let names = outside.names().collect::<Vec<_>>();
    let columns = introduce(&up, name.as_str(), &format!("./{file}"), &names, terminal)?;
    let screen = Screen {
        columns,
        offset,
        waiting,
        settled: BTreeMap::new(),
        shown: Vec::new(),
        outside: Some(outside),
        told: BTreeMap::new(),
        is_explicit: up.is_explicit(),
        first_call: None,
        first_failure: None,
        own_log: place.own_log(),
        page: page.link(Line::new().plain("  Page   ")),
        hinted: false,
        then_silent: options.then_silent,
        terminal,
    };
    let until = until_told()?;
    tokio::select! {
        ran = up.run(until) => ran,
        shown = screen.run(news) => Ok(shown?),
    }
}

/// Waits for Ctrl-C, or the signal to end.
pub(crate) fn until_told() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Lets nothing be captured, if it is clear which calls the pinned ports are for.
fn explicitly(up: Up, pins: &[Pin]) -> anyhow::Result<Up> {
    let names = up.programs().into_iter().map(|program| program.id.name);
    if let Some(pin) = unclear(pins, &names.collect::<Vec<_>>()) {
        bail!(
            "--upstream {pin}: say who calls, a workload of this folder: --upstream web:{}={}",
            pin.service,
            pin.port
        );
    }
    Ok(up.explicitly(pins.to_vec()))
}

/// What a person sees of a mesh that runs.
struct Screen<'a> {
    columns: Columns,
    offset: UtcOffset,
    /// Those of which nothing has been shown, in the order of the file.
    waiting: Vec<WorkloadId>,
    /// What became of those that stand behind others.
    settled: BTreeMap<WorkloadId, Row>,
    /// Those of which something has been shown.
    shown: Vec<Row>,
    /// What is no workload, until it is shown.
    outside: Option<Outside>,
    /// What workloads that are not captured find in their environment, until it is shown.
    told: BTreeMap<WorkloadId, Vec<String>>,
    is_explicit: bool,
    /// The first call that went well, until all rows are shown.
    first_call: Option<Record>,
    /// The first that failed, which is shown where none goes well in time.
    first_failure: Option<Record>,
    /// The line about the page, until it is shown.
    page: Line,
    hinted: bool,
    /// Whether what is said after that goes into the mesh's own log.
    then_silent: bool,
    own_log: PathBuf,
    terminal: &'a mut Terminal,
}

impl Screen<'_> {
    async fn run(mut self, mut news: mpsc::UnboundedReceiver<News>) -> io::Result<()> {
        let mut patience = std::pin::pin!(tokio::time::sleep(STARTING));
        loop {
            tokio::select! {
                told = news.recv() => match told {
                    Some(told) => match self.show(told) {
                        // A log that is full ends no mesh; a reader that left wants no more of it.
                        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => self.terminal.miss(why),
                        shown => shown?,
                    },
                    None => return Ok(()),
                },
                () = &mut patience, if !self.hinted => self.show_rest()?,
            }
            self.show_settled()?;
            if self.waiting.is_empty() && !self.hinted {
                let soon = tokio::time::Instant::now() + FIRST_CALL;
                if patience.deadline() > soon {
                    patience.as_mut().reset(soon);
                }
            }
        }
    }

    fn show(&mut self, told: News) -> io::Result<()> {
        match told {
            News::Changed(row) if self.waiting.contains(&row.id) => {
                self.settled.insert(row.id.clone(), row);
                Ok(())
            }
            News::Changed(row) => self.show_row(&row),
            News::Told(id, told) => {
                self.told.insert(id, exports(&told));
                Ok(())
            }
            News::FirstCall(record) => {
                self.first_call = Some(record);
                Ok(())
            }
            News::FirstFailure(record) => {
                self.first_failure = Some(record);
                Ok(())
            }
            News::Revised(told) => {
                self.terminal.gap()?;
                for line in revised(&told) {
                    self.terminal.line(line)?;
                }
                render::failure::findings(&told.findings, "", self.terminal)
            }
            News::Same(revision) => self.terminal.line(format!(
                "  revision {revision} says what is written: nothing changes"
            )),
            News::NotInForce { why, meanwhile } => {
                self.terminal.gap()?;
                render::failure::print(&why, self.terminal)?;
                let line = Line::new().dim("    In force  ");
                self.terminal
                    .line(line.plain(format_args!("revision {meanwhile}")))
            }
            News::Placed(..) => Ok(()),
            News::Trouble(what) => self.terminal.line(Line::new().doubtful("  ! ").plain(what)),
        }
    }

    /// Shows the rows that no row of the file before them waits for.
    fn show_settled(&mut self) -> io::Result<()> {
        while let Some(row) = self.waiting.first().and_then(|id| self.settled.remove(id)) {
            self.waiting.remove(0);
            self.show_first(row)?;
        }
        if self.waiting.is_empty() {
            self.show_outside()?;
        }
        if self.waiting.is_empty()
            && let Some(record) = self.first_call.take()
        {
            self.show_call(&record)?;
            self.show_hints()?;
        }
        Ok(())
    }

    fn show_first(&mut self, row: Row) -> io::Result<()> {
        self.show_row(&row)?;
        self.shown.push(row);
        Ok(())
    }

    fn show_outside(&mut self) -> io::Result<()> {
        let outside = self.outside.take().unwrap_or_default();
        let mut lines = outside.lines(&self.columns).into_iter();
        lines.try_for_each(|line| self.terminal.line(line))
    }

    fn show_row(&mut self, row: &Row) -> io::Result<()> {
        self.terminal.line(self.columns.workload(row))?;
        for line in self.told.remove(&row.id).into_iter().flatten() {
            self.terminal.line(self.columns.below(&line))?;
        }
        Ok(())
    }

    fn show_call(&mut self, record: &Record) -> io::Result<()> {
        self.terminal.gap()?;
        let mut lines = first_call(&record.event(), self.offset).into_iter();
        lines.try_for_each(|line| self.terminal.line(line))
    }

    /// Shows also what is still starting, and what to try.
    fn show_rest(&mut self) -> io::Result<()> {
        for id in std::mem::take(&mut self.waiting) {
            let row = self.settled.remove(&id);
            let row = row.unwrap_or_else(|| Row::starting(id));
            self.show_first(row)?;
        }
        self.show_outside()?;
        if let Some(record) = self.first_failure.take() {
            self.show_call(&record)?;
            let line = Line::new().column(14, 0);
            self.terminal
                .line(line.doubtful("no call has gone well yet"))?;
        }
        self.show_hints()
    }

    fn show_hints(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.hinted, true) {
            return Ok(());
        }
        self.terminal.gap()?;
        if self.is_explicit {
            for line in caveats() {
                self.terminal.line(line)?;
            }
            self.terminal.gap()?;
        }
        self.terminal.line(std::mem::take(&mut self.page))?;
        self.terminal
            .line(format!("  Try    {}", what_to_try(&self.shown)))?;
        if !self.then_silent {
            return self
                .terminal
                .line("  Stop   Ctrl-C        keep running: leno up -d");
        }
        self.terminal.line("  Stop   leno down")?;
        // Whoever started us reads until this.
        let log = File::options().append(true).open(&self.own_log)?;
        Ok(rustix::stdio::dup2_stdout(log)?)
    }
}

/// Commands that work here.
fn what_to_try(rows: &[Row]) -> String {
    fn port(row: &Row) -> Option<(&Row, u16)> {
        let mut published = row.published.iter();
        let http = published.find(|published| published.protocol.is_http())?;
        Some((row, http.port))
    }
    let running = rows.iter().filter(|row| matches!(row.state, State::Up(_)));
    let caller = running.clone().next();
    match (caller, running.skip(1).find_map(port)) {
        (Some(caller), Some((called, port))) => format!(
            "leno tap · leno why {} http://{}:{port}/ · leno history",
            caller.called(),
            host(&called.id, &caller.id.namespace)
        ),
        _ => "leno ps · leno logs -f · leno history".to_owned(),
    }
}

/// The host by which a workload of `from` reaches another.
fn host(id: &WorkloadId, from: &Namespace) -> String {
    match id.namespace == *from {
        true => id.name.to_string(),
        false => format!("{}.{}", id.name, id.namespace),
    }
}
