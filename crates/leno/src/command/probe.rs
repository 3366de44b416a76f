//! `leno probe`: really makes a call as a workload does, and tells how far it gets and how long each
//! step takes.

mod inside;
mod recorded;
mod steps;

use std::ffi::OsString;
use std::io::{PipeReader, Read as _};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use leno_admin::{
    KeptOf, ProbeOf, Probed, ReachOf, Recorded, Requested, Side, TapOf, Tapped, Wanted, Which,
};
use tokio::signal::unix::{SignalKind, signal};

use self::steps::{Found, Outcome, Step};
use crate::arguments::{self, Output};
use crate::authority::authority;
use crate::command::asking::Ground;
use crate::command::run::{Hearer, run_in};
use crate::command::{Answer, fleet};
use crate::terminal::Terminal;
use crate::up::{Client, Guest, Place, meant};

/// The exit code of what could not be found out.
const UNKNOWN: u8 = 3;

/// Makes the call. The answer is bad if a step failed.
pub(crate) fn run(options: &arguments::Probe, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let target = Target::read(options)?;
    if options.here {
        let probed = inside::probe(&target);
        terminal.text(&serde_json::to_string(&probed)?)?;
        return Ok(Answer::Fine);
    }
    let source = match options.source.split_once('/') {
        Some(_) => options.source.clone(),
        None => format!("{}/{}", options.namespace, options.source),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ground = runtime.block_on(Ground::choose(options.context.context.as_deref()))?;
    let place = Place::here()?;
    let inside = match options.context.context {
        None => Client::connect(&place)?,
        Some(_) => None,
    };
    let (probed, records) = match inside {
        Some(client) => in_its_place(client, &source, options, terminal)?,
        None => match runtime.block_on(by_its_proxy(&ground, &source, &target))? {
            Ok(probed) => (probed, Vec::new()),
            Err(failure) => {
                let json = options.context.output == Output::Json;
                fleet::refused(&failure, json, terminal)?;
                return Ok(Answer::Exit(UNKNOWN));
            }
        },
    };
    let found = runtime.block_on(async {
        tokio::select! {
            found = found(&ground, &source, probed, records) => Some(found),
            () = told_to_end() => None,
        }
    });
    let Some(found) = found else {
        return Ok(Answer::Exit(UNKNOWN));
    };
    let steps = steps::of(&found, &target);
    if options.context.output == Output::Json {
        terminal.text(&steps::json(&found, &steps, &source, &target)?)?;
    } else {
        for line in ground.head() {
            terminal.line(line)?;
        }
        steps::print(&found, &steps, &source, &target, terminal)?;
    }
    let has_failed = |step: &Step| step.outcome == Outcome::Failed;
    Ok(match steps.iter().any(has_failed) {
        true => Answer::Bad,
        false => Answer::Fine,
    })
}

/// What is called.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What is asked there; bytes have nothing.
    pub(crate) request: Option<Requested>,
}

impl Target {
    fn read(options: &arguments::Probe) -> anyhow::Result<Self> {
        let text = options.target.as_str();
        let (is_http, rest) = match text.split_once("://") {
            Some(("http", rest)) => (true, rest),
            Some(("tcp", rest)) => (false, rest),
            Some((scheme, _)) => bail!("{scheme}:// is not tried, only http:// and tcp://"),
            None => (true, text),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port
                    .parse()
                    .with_context(|| format!("{authority:?}: the port"))?;
                (host, port)
            }
            _ if is_http => (authority, 80),
            _ => bail!("{text:?}: which port? tcp://HOST:PORT"),
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            bail!("{text:?} names nothing to call");
        }
        let header = |text: &String| {
            let (name, value) = text
                .split_once(':')
                .with_context(|| format!("{text:?} is no header: write NAME: VALUE"))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        let headers = options.headers.iter().map(header);
        let request = Requested {
            method: options.method.clone(),
            path: match path.starts_with('/') {
                true => path.to_owned(),
                false => format!("/{path}"),
            },
            headers: headers.collect::<anyhow::Result<_>>()?,
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            request: is_http.then_some(request),
        })
    }

    /// `cart:8080`.
    fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// The head of the request, to a proxy that takes whole URLs if `by_proxy`.
    fn head(&self, by_proxy: bool) -> Option<String> {
        let request = self.request.as_ref()?;
        let authority = self.authority();
        let request = match by_proxy {
            true => Requested {
                path: format!("http://{authority}{}", request.path),
                ..request.clone()
            },
            false => request.clone(),
        };
        request.head(&authority)
    }

    /// The service that its host names in a mesh, to a caller of this namespace.
    fn service(&self, from: &str) -> String {
        let mut labels = self.host.split('.');
        let name = labels.next().unwrap_or_default();
        format!("{}/{name}", labels.next().unwrap_or(from))
    }
}

/// Lets the proxy of the source make the call.
async fn by_its_proxy(
    ground: &Ground,
    source: &str,
    target: &Target,
) -> anyhow::Result<Result<Probed, leno_admin::Failure>> {
    let namespace = source
        .split_once('/')
        .map_or("default", |(namespace, _)| namespace);
    let ask = ProbeOf {
        workload: source.to_owned(),
        service: target.service(namespace),
        port: target.port,
        request: target.request.clone(),
    };
    ground.probe(ask).await
}

/// Makes the call in an enclosure like the one of the workload, and hears what its proxies record.
fn in_its_place(
    client: Client,
    source: &str,
    options: &arguments::Probe,
    terminal: &mut Terminal,
) -> anyhow::Result<(Probed, Vec<Recorded>)> {
    let guest = Guest {
        of: meant(source)?,
        ports: Vec::new(),
        calls_only: true,
        explicit: None,
        typed: format!("leno probe {}", options.target),
    };
    let mut command = vec![
        OsString::from("/proc/self/exe"),
        "probe".into(),
        "--here".into(),
    ];
    command.extend(std::env::args_os().skip(2));
    let (record, records) = channel();
    let (ready, is_ready) = channel();
    let (party, context) = (source.to_owned(), options.context.context.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        // Who does not hear anything tells what was seen from inside.
        if let Ok(runtime) = runtime {
            drop(runtime.block_on(hear(context, party, &ready, &record)));
        }
    });
    // A mesh that cannot be watched can still be called.
    is_ready.recv_timeout(PATIENCE).ok();
    let (read, write) = std::io::pipe()?;
    let telling = std::thread::spawn(move || told(read));
    let hearer = Hearer {
        out: write.into(),
        limit: inside::LIMIT,
    };
    run_in(client, &guest, command, Some(hearer), terminal)?;
    let said = telling.join().unwrap_or_default();
    let probed: Probed = serde_json::from_str(said.trim())
        .context("the call could not be made from inside the mesh")?;
    let ours = match &probed.from {
        Some(from) => recorded::of(from, &records),
        None => Vec::new(),
    };
    Ok((probed, ours))
}

/// How long one may take to begin to hear.
const PATIENCE: Duration = Duration::from_secs(3);

/// Waits until this process is to end. One in which a program ran does not by itself: it passed such
/// signals on.
async fn told_to_end() {
    let [Ok(mut terminate), Ok(mut interrupt)] =
        [SignalKind::terminate(), SignalKind::interrupt()].map(signal)
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Passes on what the proxies tell of the calls of one caller.
async fn hear(
    context: Option<std::path::PathBuf>,
    from: String,
    ready: &Sender<()>,
    record: &Sender<Recorded>,
) -> anyhow::Result<()> {
    let ground = Ground::choose(context.as_deref()).await?;
    let ask = TapOf {
        which: Which {
            from: Some(from),
            ..Which::default()
        },
        limit: MOST_RECORDS,
        both: true,
    };
    let mut tap = ground.tap(ask).await?;
    while let Some(tapped) = tap.next().await? {
        match tapped {
            Tapped::Watching(_) => ready.send(())?,
            Tapped::Call(told) => record.send(*told)?,
            Tapped::Dropped(_) => {}
        }
    }
    Ok(())
}

/// More than a workload causes while it is probed.
const MOST_RECORDS: u32 = 10_000;

fn told(mut pipe: PipeReader) -> String {
    let mut said = String::new();
    // What cannot be read is nothing.
    drop(pipe.read_to_string(&mut said));
    said
}

/// Puts together what is known of the call that was made, and tries the way to its endpoint.
async fn found(ground: &Ground, source: &str, probed: Probed, mut records: Vec<Recorded>) -> Found {
    if let (Some(id), true) = (&probed.id, records.is_empty()) {
        let wanted = Wanted::Named { id: id.clone() };
        if let Ok(Ok(kept)) = ground.kept(KeptOf { wanted }).await {
            records = kept.calls;
        }
    }
    let by = |side: Side| records.iter().rfind(|one| one.reporter == side).cloned();
    let (sender, receiver) = (by(Side::Source), by(Side::Destination));
    let endpoint = sender.as_ref().and_then(|sender| sender.endpoint.clone());
    let recorded = sender.as_ref().and_then(|one| one.decided.workload.clone());
    let mut reached = None;
    if let Some(endpoint) = endpoint {
        // The enclosure that the call was made in is gone; one of several instances has its own name.
        for workload in [Some(source.to_owned()), recorded].into_iter().flatten() {
            let endpoint = endpoint.clone();
            let ask = ReachOf { workload, endpoint };
            reached = ground.reach(ask).await.ok().and_then(Result::ok);
            if reached.is_some() {
                break;
            }
        }
    }
    Found {
        probed,
        sender,
        receiver,
        reached,
    }
}
