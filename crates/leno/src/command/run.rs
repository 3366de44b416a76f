//! `leno run`: one program, joined to the mesh that is up here, or to one of its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc::{self as std_mpsc, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use leno_host::{Blocker, Event, Exit, Family, OpenError, Program, Session};
use leno_model::Code;
use leno_model::view::WorkloadId;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::arguments;
use crate::command::Answer;
use crate::command::explicit::print_blocker;
use crate::terminal::{Line, Terminal};
use crate::up::{Client, Guest, News, Opened, Place, Server, Source, Up, exports, meant, process};

/// How long a mesh of its own may take to begin.
const BEGINNING: Duration = Duration::from_secs(10);

/// Runs the program; its terminal, its signals and its exit code are ours.
pub(crate) fn run(options: &arguments::Run, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let command = &options.command;
    let first = command.first().context("there is no command")?;
    let of = match &options.name {
        Some(name) => meant(name).with_context(|| format!("--name {name:?}"))?,
        None => named_after(first)?,
    };
    let typed = command.iter().map(|word| word.to_string_lossy());
    let guest = Guest {
        of,
        ports: options.publish.clone(),
        calls_only: false,
        explicit: options.way.explicit.then(|| options.way.upstream.clone()),
        typed: typed.collect::<Vec<_>>().join(" "),
    };
    let place = Place::here()?;
    match Client::connect(&place)? {
        Some(client) => run_as(client, &guest, command.clone(), terminal),
        None => {
            let alone = Alone::begin(place.clone())?;
            let ran = Client::require(&place)
                .and_then(|client| run_as(client, &guest, command.clone(), terminal));
            alone.end()?;
            ran
        }
    }
}

/// Runs a command as a guest of the mesh that `client` is connected to.
pub(crate) fn run_as(
    client: Client,
    guest: &Guest,
    command: Vec<OsString>,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    run_in(client, guest, command, None, terminal)
}

/// Who hears what a command says, and for how long it may run.
pub(crate) struct Hearer {
    /// Where its output goes.
    pub(crate) out: OwnedFd,
    /// After this it is ended.
    pub(crate) limit: Duration,
}

/// The same, for somebody else than the terminal if one is given.
pub(crate) fn run_in(
    client: Client,
    guest: &Guest,
    command: Vec<OsString>,
    hearer: Option<Hearer>,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ran = LocalSet::new().block_on(&runtime, enclose(client, guest, command, hearer, terminal));
    match ran {
        Ok(Event::NotStarted { errno }) => {
            let why = io::Error::from_raw_os_error(errno);
            terminal.error(&anyhow!("{}: {why}", guest.typed));
            let code = if why.kind() == io::ErrorKind::NotFound {
                127
            } else {
                126
            };
            Ok(Answer::Exit(code))
        }
        Ok(Event::Exited(exit)) => Ok(Answer::Exit(code(exit))),
        Ok(_) => Ok(Answer::Exit(code(Exit::Lost))),
        Err(error) => match error.downcast_ref::<OpenError>() {
            Some(refused) => {
                print_blocker(&Blocker::of(refused), "leno run --explicit ..", terminal)?;
                Ok(Answer::Bad)
            }
            None => Err(error),
        },
    }
}

/// Joins, opens the enclosure, and waits for the program's end, which is returned.
async fn enclose(
    mut client: Client,
    guest: &Guest,
    command: Vec<OsString>,
    hearer: Option<Hearer>,
    terminal: &mut Terminal,
) -> anyhow::Result<Event> {
    let limit = hearer.as_ref().map(|hearer| hearer.limit);
    let joined = client.join(guest)?;
    let (mut enclosure, listeners) = match &joined.environment {
        None => process::open(joined.layout).await?,
        Some(_) => process::open_bare().await?,
    };
    let opened = Opened {
        listeners,
        v4: enclosure.sockets(Family::V4)?,
        v6: enclosure.sockets(Family::V6).ok(),
    };
    client.hand_over(&opened)?;
    drop(opened);
    let env = environment(joined.environment, joined.workload_api, guest, terminal);
    let signals = Signals::new()?;
    enclosure.launch(Program {
        command,
        env,
        cwd: std::env::current_dir()?,
        stdio: [
            io::stdin().as_fd().try_clone_to_owned()?,
            match hearer {
                Some(hearer) => hearer.out,
                None => io::stdout().as_fd().try_clone_to_owned()?,
            },
            io::stderr().as_fd().try_clone_to_owned()?,
        ],
        session: Session::Shared,
        open_files: None,
    })?;
    let (order, orders) = mpsc::unbounded_channel();
    tokio::task::spawn_local(signals.pass_on(order));
    let mut end = Event::Exited(Exit::Lost);
    let mut is_refused = false;
    let tell = |event| match event {
        // Without the mesh the program goes on, as far as it can.
        Event::Listening { addresses, .. } => drop(client.listening(&addresses)),
        Event::UdpRefused { datagrams } => {
            drop(client.udp_refused(datagrams));
            if !std::mem::replace(&mut is_refused, true) {
                let (code, slug) = (Code::R042, Code::R042.slug());
                let line = Line::new()
                    .doubtful("! ")
                    .plain(code)
                    .plain(" ")
                    .plain(slug);
                terminal.progress(line.plain(": only DNS is carried over UDP; leno ps counts"));
            }
        }
        Event::Exited(_) | Event::NotStarted { .. } => end = event,
        Event::Started { .. } => {}
    };
    let watching = process::watch(enclosure, orders, tell);
    match limit {
        None => watching.await,
        // What is left in the enclosure ends with it.
        Some(limit) => drop(timeout(limit, watching).await),
    }
    Ok(end)
}

/// What the program finds in its environment: ours, and what the mesh tells one that is not captured,
/// which people are told too.
fn environment(
    told: Option<Vec<(String, String)>>,
    workload_api: Option<(String, String)>,
    guest: &Guest,
    terminal: &mut Terminal,
) -> Vec<(OsString, OsString)> {
    let mut env = std::env::vars_os().collect::<BTreeMap<_, _>>();
    let told = told.unwrap_or_default();
    if guest.calls_only {
        // It calls as the workload does, and not by whoever types it.
        env.remove(OsStr::new("http_proxy"));
    } else if !told.is_empty() {
        let lines = exports(&told).into_iter();
        lines.for_each(|line| terminal.progress(line));
    }
    env.extend(
        told.into_iter()
            .chain(workload_api)
            .map(|(name, value)| (name.into(), value.into())),
    );
    env.into_iter().collect()
}

fn code(exit: Exit) -> u8 {
    u8::try_from(exit.code()).unwrap_or(1)
}

/// `web` for `./bin/web.sh`.
fn named_after(program: &OsString) -> anyhow::Result<WorkloadId> {
    let path = std::path::Path::new(program);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let label = stem
        .to_ascii_lowercase()
        .replace(|char: char| !char.is_ascii_alphanumeric(), "-");
    let id = meant(label.trim_matches('-'));
    id.with_context(|| format!("{stem:?} is no name: say one with --name"))
}

/// Signals that are meant for the program. Those of a terminal reach it by themselves, and must not
/// end us before it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn pass_on(mut self, order: mpsc::UnboundedSender<process::Order>) {
        let has_terminal = io::stdin().is_terminal();
        loop {
            let kind = tokio::select! {
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = self.hang_up.recv() => SignalKind::hangup(),
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.quit.recv() => SignalKind::quit(),
            };
            let by_terminal = kind == SignalKind::interrupt() || kind == SignalKind::quit();
            if by_terminal && has_terminal {
                continue;
            }
            let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
            // A program that has ended needs no signal.
            order.send(process::Order::Signal(number)).ok();
        }
    }
}

/// A mesh that is there for one program.
struct Alone {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Alone {
    fn begin(place: Place) -> anyhow::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, begun) = std_mpsc::channel();
        let thread = std::thread::Builder::new().name("leno-up".into());
        let thread = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let serving = async {
                let source = Source::empty(place.folder());
                let up = Up::begin(source, place.clone(), |_: News| {})?;
                let server = Server::open(&place)?;
                tokio::task::spawn_local(server.run(up.inbox()));
                // Whoever waits for it may have given up.
                ready.send(()).ok();
                let until = async { drop(stopped.await) };
                up.run(until).await
            };
            let ran = LocalSet::new().block_on(&runtime, serving);
            runtime.shutdown_background();
            ran
        })?;
        match begun.recv_timeout(BEGINNING) {
            Ok(()) => Ok(Self { stop, thread }),
            Err(RecvTimeoutError::Timeout) => Err(anyhow!("the mesh did not begin in time")),
            Err(RecvTimeoutError::Disconnected) => Err(joined(thread)
                .err()
                .unwrap_or_else(|| anyhow!("the mesh ended before it began"))),
        }
    }

    fn end(self) -> anyhow::Result<()> {
        // A mesh that has ended by itself hears nothing.
        self.stop.send(()).ok();
        joined(self.thread)
    }
}

fn joined(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    let ran = thread.join();
    ran.unwrap_or_else(|_| Err(anyhow!("the mesh of this program panicked")))
}
