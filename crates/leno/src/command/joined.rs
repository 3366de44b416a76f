//! `leno proxy --joined`: a proxy that follows a control plane.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use leno_channel::Keyring;
use leno_model::view::{PortRef, View, WorkloadId};
use leno_model::{Name, Namespace, Network, ServiceName, Subscription};
use leno_proxy::follow::{Event, Follower, Following};
use leno_proxy::{Clocks, Door, Listener, Place, Proxy, Settings};
use leno_telemetry::Telemetry;
use leno_traffic::Scope;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::arguments::fleet::Joined;
use crate::command::{Answer, host, proxy, seed};
use crate::terminal::{Line, Terminal};

/// How long live connections may go on once the proxy is told to end.
const DRAIN: Duration = Duration::from_secs(30);

/// Runs the proxy until it is told to end. It listens as soon as it holds a view: the last one at
/// once, also where no control plane is there.
pub(crate) fn run(
    options: &Joined,
    namespace: &str,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let home = Namespace::new(namespace).context("-n")?;
    let ids = options.workloads.iter().map(|text| workload(text, &home));
    let ids = ids.collect::<anyhow::Result<Vec<_>>>()?;
    let upstreams = options.upstreams.iter().map(|text| upstream(text, &home));
    let upstreams = upstreams.collect::<anyhow::Result<Vec<_>>>()?;
    let workloads: BTreeSet<_> = ids.iter().cloned().collect();
    let following = Following {
        name: ids
            .first()
            .map_or_else(|| "proxy".to_owned(), WorkloadId::to_string),
        folder: options.state.clone().map_or_else(host::identity, Ok)?,
        workloads,
        tunnel: options.advertise.or(options.tunnel),
        seed: seed(),
    };
    let clocks = Clocks::start();
    let keyring = Arc::new(Keyring::new(clocks.wall_clock()));
    let terminal = RefCell::new(terminal);
    // Standard output that is gone leaves nobody to tell.
    let tell = |event: &Event| drop(terminal.borrow_mut().line(event.to_string()));
    let (follower, asker) = Follower::open(&following, Arc::clone(&keyring), clocks, tell)?;
    tell_identity(&terminal, &follower);
    let telemetry = Telemetry::new(leno_telemetry::Settings::default());
    let first = follower.view();
    let running = RefCell::new(None::<anyhow::Result<Proxy>>);
    let started = Notify::new();
    let adopt = |view: Arc<View>, scope: Scope| {
        let mut running = running.borrow_mut();
        match &*running {
            Some(Ok(proxy)) => drop(proxy.adopt(view, scope)),
            Some(Err(_)) => {}
            None => {
                let started_one = settings(options, &ids, &upstreams).and_then(|settings| {
                    let keyring = Arc::clone(&keyring);
                    let proxy = Proxy::start(settings, keyring, clocks, &telemetry, view, scope)?;
                    proxy.ask_by(&asker)?;
                    Ok(proxy)
                });
                *running = Some(started_one);
                started.notify_one();
            }
        }
    };
    if let Some((view, scope)) = first {
        adopt(view, scope);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let seen_in_advance = async {
            for (port, _) in &upstreams {
                // One that is not known yet is asked for again by the call that needs it.
                asker
                    .ask(Subscription::Service(port.service.clone()))
                    .await
                    .ok();
            }
            std::future::pending::<()>().await;
        };
        let has_failed = async {
            started.notified().await;
            if !matches!(&*running.borrow(), Some(Err(_))) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            never = follower.run(adopt, tell) => match never {},
            () = seen_in_advance => {}
            () = has_failed => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        anyhow::Ok(())
    })?;
    match running.into_inner() {
        None => Ok(Answer::Fine),
        Some(Err(error)) => Err(error),
        Some(Ok(proxy)) => {
            proxy.drain();
            proxy.join()?;
            Ok(Answer::Fine)
        }
    }
}

fn tell_identity(terminal: &RefCell<&mut Terminal>, follower: &Follower) {
    let line = Line::new()
        .good("follows")
        .plain("  as ")
        .strong(follower.identity());
    let line = match follower.view() {
        Some((view, _)) => line.plain(format_args!(" · holds view {}", view.generation)),
        None => line.plain(" · holds no view yet"),
    };
    // As above.
    drop(terminal.borrow_mut().line(line));
}

fn settings(
    options: &Joined,
    ids: &[WorkloadId],
    upstreams: &[(PortRef, std::net::SocketAddr)],
) -> anyhow::Result<Settings> {
    let mut listeners = Vec::new();
    let mut listen = |address, door| {
        listeners.push(Listener {
            place: Place::Address(address),
            door,
        });
    };
    if let Some(id) = ids.first() {
        for (port, address) in upstreams {
            listen(*address, Door::Upstream(id.clone(), port.clone()));
        }
        for (address, door) in [
            (options.outbound, Door::Outbound(id.clone())),
            (options.inbound, Door::Inbound(id.clone())),
        ] {
            if let Some(address) = address {
                listen(address, door);
            }
        }
    }
    for (address, door) in [
        (options.tunnel, Door::Tunnel),
        (options.metrics, Door::Metrics),
    ] {
        if let Some(address) = address {
            listen(address, door);
        }
    }
    Ok(Settings {
        workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        listeners,
        network: Network::default_network(),
        connections: proxy::connections()?,
        drain: DRAIN,
        seed: seed(),
    })
}

/// `web` or `shop/web`.
fn workload(text: &str, home: &Namespace) -> anyhow::Result<WorkloadId> {
    let (namespace, name) = named(text, home)?;
    Ok(WorkloadId { namespace, name })
}

/// `cart:80=127.0.0.1:8081`.
fn upstream(text: &str, home: &Namespace) -> anyhow::Result<(PortRef, std::net::SocketAddr)> {
    let read = || {
        let (port, address) = text.split_once('=')?;
        let (service, port) = port.rsplit_once(':')?;
        Some((service, port.parse().ok()?, address.parse().ok()?))
    };
    let Some((service, port, address)) = read() else {
        bail!("{text:?} is no upstream: write SERVICE:PORT=ADDRESS:PORT");
    };
    let (namespace, name) = named(service, home)?;
    let service = ServiceName::new(namespace, name);
    Ok((PortRef { service, port }, address))
}

fn named(text: &str, home: &Namespace) -> anyhow::Result<(Namespace, Name)> {
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Namespace::new(namespace)?, name),
        None => (home.clone(), text),
    };
    Ok((namespace, Name::new(name).map_err(|error| anyhow!(error))?))
}
