//! `leno control`: runs a control plane.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use anyhow::Context as _;
use leno_control::{Control, Desk, Event, LocalKeys, Settings};
use leno_dashboard::{Broken, Port};
use leno_model::TrustDomain;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::arguments::fleet;
use crate::command::{Answer, host};
use crate::dashboard::{self, Door};
use crate::stories;
use crate::terminal::{Line, Terminal};

/// Runs a control plane until it is told to end.
pub(crate) fn run(options: &fleet::ControlRun, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let data = options
        .data
        .clone()
        .map_or_else(|| host::state("control"), Ok)?;
    let named = options.socket.clone().or_else(host::named_socket);
    let socket = named.map_or_else(host::socket, Ok)?;
    for folder in [Some(data.as_path()), socket.parent()]
        .into_iter()
        .flatten()
    {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let domain = options
        .trust_domain
        .as_deref()
        .map(TrustDomain::new)
        .transpose()?;
    let settings = Settings {
        seal_keys_with: options.seal_keys_with.clone(),
        advertise: Some(options.advertise.clone()),
        folders: options.watch.clone(),
        trust_domain: domain,
        join_socket: options.join_socket.clone(),
        metrics: options.metrics,
        keys: LocalKeys {
            folder: options.keys.clone(),
            loopback: options.keys_on_loopback,
        },
        ..Settings::new(data, options.listen, socket.clone())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (tell, mut heard) = mpsc::channel(MOST_LINES);
        // A line that finds no room is not worth waiting for.
        let tell = move |event: &Event| drop(tell.try_send(event.to_string()));
        let control = Control::open(settings, tell)?;
        stories::give(&control.desk());
        let mut showing = JoinSet::new();
        if let Some(port) = options.dashboard {
            showing.spawn(show(control.desk(), port, terminal)?);
        }
        let ready = Line::new().good("ready").plain("  asked at ");
        terminal.line(ready.plain(socket.display()))?;
        let mut running = tokio::spawn(control.run());
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
            tokio::select! {
                Some(line) = heard.recv() => terminal.line(line)?,
                Some(ended) = showing.join_next() => terminal.line(ended?.to_string())?,
                ended = &mut running => return Err(ended?.into()),
                _ = terminate.recv() => return Ok(Answer::Fine),
                _ = interrupt.recv() => return Ok(Answer::Fine),
            }
        }
    })
}

/// Shows how the mesh is, for as long as what is returned is polled. A link is printed to a person;
/// a journal keeps it for others to read.
fn show(
    desk: Desk,
    port: u16,
    terminal: &mut Terminal,
) -> anyhow::Result<impl Future<Output = Broken> + use<>> {
    let dashboard = dashboard::open(Port::Exactly(port))?;
    let links = dashboard.links();
    let line = Line::new().good("shown").plain("  at ");
    terminal.line(match terminal.is_live() {
        true => line
            .strong(links.make())
            .dim("   once; again: leno dashboard"),
        false => line.plain(format_args!(
            "http://localhost:{port}/   link: leno dashboard"
        )),
    })?;
    desk.give_links(move || links.make());
    Ok(dashboard.run(Door::of(desk)))
}

/// How many lines may wait to be printed.
const MOST_LINES: usize = 1024;
