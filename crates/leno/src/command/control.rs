//! `leno control`: runs a control plane.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::pin::pin;
use std::{env, io, process};

use anyhow::Context as _;
use leno_control::{
    Beside, Cluster, Control, Desk, Event, LocalKeys, Members, Replicas, Settings, Url,
};
use leno_dashboard::{Broken, Port};
use leno_model::TrustDomain;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::arguments::fleet;
use crate::command::cluster::place;
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
    let (kubeconfig, context) = (options.kubeconfig.clone(), options.kube_context.clone());
    let place = options.kubernetes.then(|| place(kubeconfig, context));
    let settings = Settings {
        seal_keys_with: options.seal_keys_with.clone(),
        advertise: Some(options.advertise.clone()),
        folders: options.watch.clone(),
        trust_domain: domain,
        join_socket: options.join_socket.clone(),
        metrics: options.metrics,
        sidecar: options.sidecar.clone(),
        node_capture: options.captured_by == fleet::CapturedBy::Node,
        beside: beside(options),
        keys: LocalKeys {
            folder: options.keys.clone(),
            loopback: options.keys_on_loopback,
        },
        replicas: replicas(&options.replicas)?,
        ..Settings::new(data, options.listen, socket.clone())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cluster = match &place {
            Some(place) => Some(Cluster::connect(place).await?),
            None => None,
        };
        let settings = Settings {
            cluster,
            ..settings
        };
        let (tell, mut heard) = mpsc::channel(MOST_LINES);
        // A line that finds no room is not worth waiting for.
        let tell = move |event: &Event| drop(tell.try_send(event.to_string()));
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut opening = pin!(Control::open_to_act(settings, tell));
        let control = loop {
            tokio::select! {
                opened = &mut opening => break opened?,
                Some(line) = heard.recv() => terminal.tell(line),
                _ = terminate.recv() => return Ok(Answer::Fine),
                _ = interrupt.recv() => return Ok(Answer::Fine),
            }
        };
        stories::give(&control.desk());
        let mut showing = JoinSet::new();
        if let Some(port) = options.dashboard {
            showing.spawn(show(control.desk(), port, terminal)?);
        }
        let ready = Line::new().good("ready").plain("  asked at ");
        terminal.tell(ready.plain(socket.display()));
        let mut running = tokio::spawn(control.run());
        loop {
            tokio::select! {
                Some(line) = heard.recv() => terminal.tell(line),
                Some(ended) = showing.join_next() => terminal.tell(ended?.to_string()),
                ended = &mut running => {
                    let ended = ended?;
                    while let Ok(line) = heard.try_recv() {
                        terminal.tell(line);
                    }
                    return match ended.is_to_stand_by() {
                        true => Err(begin_anew().into()),
                        false => Err(ended.into()),
                    };
                }
                _ = terminate.recv() => return Ok(Answer::Fine),
                _ = interrupt.recv() => return Ok(Answer::Fine),
            }
        }
    })
}

/// Becomes a control plane that stands by. What this one held in memory is older than what the one
/// that acts does, and nothing of it is to live on: not a thread, not a connection.
fn begin_anew() -> io::Error {
    let mut arguments = env::args_os();
    let mut again = process::Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments).exec()
}

/// How it stands beside the default control plane of a cluster, if it does.
fn beside(options: &fleet::ControlRun) -> Option<Beside> {
    let (name, token) = options.name.clone().zip(options.oidc_token.clone())?;
    Some(Beside { name, token })
}

/// What makes it one of several, if something does.
fn replicas(options: &fleet::Replicas) -> anyhow::Result<Option<Replicas>> {
    if options.etcd.is_empty() {
        return Ok(None);
    }
    let url = |text: &String| Url::parse(text).with_context(|| format!("--etcd {text}"));
    let name = match &options.replica {
        Some(name) => name.clone(),
        None => fs::read_to_string("/proc/sys/kernel/hostname")
            .context("what is this host called? Name it by --replica")?
            .trim()
            .to_owned(),
    };
    Ok(Some(Replicas {
        etcd: Members {
            urls: options
                .etcd
                .iter()
                .map(url)
                .collect::<anyhow::Result<_>>()?,
            roots: options.etcd_ca.clone(),
            shown: options.etcd_cert.clone().zip(options.etcd_key.clone()),
        },
        prefix: options.etcd_prefix.clone(),
        name,
    }))
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
    let link = match terminal.is_live() {
        true => line
            .strong(links.make())
            .dim("   once; again: leno dashboard"),
        false => line.plain(format_args!(
            "http://localhost:{port}/   link: leno dashboard"
        )),
    };
    terminal.tell(link);
    desk.give_links(move || links.make());
    Ok(dashboard.run(Door::of(desk)))
}

/// How many lines may wait to be printed.
const MOST_LINES: usize = 1024;
