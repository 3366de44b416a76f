//! `leno proxy`: runs a proxy, from files alone or after a control plane.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use leno_channel::{Keyring, files};
use leno_compile::{Instance, Mesh, ViewOf};
use leno_model::view::{PortRef, View, WorkloadId};
use leno_model::{Namespace, Network, ServiceName};
use leno_proxy::{Clocks, Door, Listener, Place, Proxy, Settings};
use leno_resources::static_proxy::{self, Named, StaticProxy, StaticWorkload};
use leno_resources::{List, Part};
use leno_telemetry::{AccessLog, Format, Telemetry};
use leno_traffic::Scope;

use crate::arguments::{self, Input};
use crate::command::{Answer, joined};
use crate::offline::{Offline, count};
use crate::render;
use crate::terminal::{Line, Terminal};

/// Runs one proxy until it is told to end.
pub(crate) fn run(options: &arguments::Proxy, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let Some(path) = &options.static_file else {
        return joined::run(&options.joined, &options.namespace, terminal);
    };
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display().to_string();
    let (described, notes) = static_proxy::read(&name, &text);
    for note in &notes {
        let texts = BTreeMap::from([(name.as_str(), text.as_slice())]);
        render::note::print(note, &texts, terminal)?;
    }
    let described = described.ok_or_else(|| anyhow!("{name} describes no proxy"))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let input = Input {
        files: sound(&described.resources)
            .map(|file| folder.join(&**file))
            .collect(),
        namespace: options.namespace.clone(),
    };
    let mut offline = Offline::read(&input)?;
    for tunnel in sound(&described.tunnels) {
        let id = instance(&offline, &tunnel.workload)?.workload.id.clone();
        offline.mesh.set_tunnel(&id, Some(tunnel.address));
    }
    let fixed = Fixed {
        offline: &offline,
        described: &described,
        folder,
    };
    let settings = fixed.settings()?;
    let clocks = Clocks::start();
    let keyring = Arc::new(Keyring::new(clocks.wall_clock()));
    for workload in sound(&described.workloads) {
        fixed.install(workload, &keyring)?;
    }
    let view = fixed.view()?;
    let summary = summary(&described, &settings);
    let format = described.access_log.map(|format| match format {
        static_proxy::AccessLog::Text => Format::Text,
        static_proxy::AccessLog::Json => Format::Json,
    });
    let access_log = format
        .map(|format| AccessLog::start(format, std::io::stdout()))
        .transpose()?;
    let telemetry = Telemetry::new(leno_telemetry::Settings {
        access_log,
        ..leno_telemetry::Settings::default()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let proxy = Proxy::start(
        settings,
        keyring,
        clocks,
        &telemetry,
        Arc::new(view),
        Scope::Whole,
    )?;
    terminal.line(offline.context())?;
    terminal.line(summary)?;
    if !runtime.block_on(is_told(&proxy))? {
        return Err(proxy.failure()).context("a worker of the proxy has ended");
    }
    proxy.drain();
    proxy.join()?;
    Ok(Answer::Fine)
}

/// Waits for the signal to end; `false` if a worker has ended by itself.
async fn is_told(proxy: &Proxy) -> anyhow::Result<bool> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(true),
        _ = interrupt.recv() => Ok(true),
        () = proxy.broken() => Ok(false),
    }
}

/// A proxy as its file describes it, and the mesh that its files describe.
struct Fixed<'a> {
    offline: &'a Offline,
    described: &'a StaticProxy,
    folder: &'a Path,
}

impl Fixed<'_> {
    fn settings(&self) -> anyhow::Result<Settings> {
        let mut listeners = Vec::new();
        let mut listen = |address, door| {
            listeners.push(Listener {
                place: Place::Address(address),
                door,
            });
        };
        for workload in sound(&self.described.workloads) {
            let id = instance(self.offline, &workload.name)?.workload.id.clone();
            for upstream in sound(&workload.upstreams) {
                let port = self.port(&id.namespace, &upstream.service, upstream.port)?;
                listen(upstream.listen, Door::Upstream(id.clone(), port));
            }
            for port in sound(&workload.ports) {
                listen(port.listen, Door::Port(id.clone(), port.application));
            }
            if let Some(address) = workload.outbound {
                listen(address, Door::Outbound(id.clone()));
            }
            if let Some(address) = workload.inbound {
                listen(address, Door::Inbound(id.clone()));
            }
        }
        if let Some(address) = self.described.tunnel {
            listen(address, Door::Tunnel);
        }
        if let Some(address) = self.described.metrics {
            listen(address, Door::Metrics);
        }
        let workers = self.described.workers.map(usize::from);
        Ok(Settings {
            workers: workers.and_then(NonZeroUsize::new).unwrap_or_else(cores),
            listeners,
            network: Network::default_network(),
            connections: connections()?,
            drain: self.described.drain,
            seed: super::seed(),
        })
    }

    /// The service port that `service` means to a workload in `home`.
    fn port(&self, home: &Namespace, service: &Named, port: u16) -> anyhow::Result<PortRef> {
        let namespace = service.namespace.clone().unwrap_or_else(|| home.clone());
        let service = ServiceName::new(namespace, service.name.clone());
        let mesh: &Mesh = &self.offline.mesh;
        let known = mesh.services.get(&service);
        let known = known.ok_or_else(|| anyhow!("there is no Service {service}"))?;
        if !known.ports.contains_key(&port) {
            bail!("Service {service} has no port {port}");
        }
        Ok(PortRef { service, port })
    }

    /// Gives the keyring what a workload proves itself with.
    fn install(&self, workload: &StaticWorkload, keyring: &Keyring) -> anyhow::Result<()> {
        let (Some(key), Some(chain)) = (&workload.key, &workload.chain) else {
            return Ok(());
        };
        let credential =
            files::read_credential(&self.folder.join(&**key), &self.folder.join(&**chain))?;
        let named = &instance(self.offline, &workload.name)?.workload;
        if *credential.id() != named.identity {
            bail!(
                "the certificate of {} is for {}, and it is {}",
                named.id,
                credential.id(),
                named.identity
            );
        }
        keyring.install(&credential)?;
        Ok(())
    }

    fn view(&self) -> anyhow::Result<View> {
        let workloads = sound(&self.described.workloads);
        let workloads = workloads
            .map(|workload| Ok(instance(self.offline, &workload.name)?.workload.id.clone()))
            .collect::<anyhow::Result<BTreeSet<WorkloadId>>>()?;
        let mut view = self.offline.mesh.view(ViewOf {
            workloads: &workloads,
        });
        if let Some(bundle) = &self.described.bundle {
            let roots = files::read_certificates(&self.folder.join(&**bundle))?;
            view.bundles
                .insert(view.settings.trust_domain.clone(), Arc::new(roots));
        }
        Ok(view)
    }
}

fn sound<T>(list: &List<T>) -> impl Iterator<Item = &T> {
    list.iter().filter_map(Part::sound)
}

fn instance<'a>(offline: &'a Offline, name: &Named) -> anyhow::Result<&'a Arc<Instance>> {
    let home = name.namespace.as_ref().unwrap_or(&offline.namespace);
    offline
        .mesh
        .workload(name.name.as_str(), home)
        .map_err(|missing| match &missing.suggestion {
            Some(suggestion) => anyhow!("{missing}; {suggestion}"),
            None => anyhow!("{missing}"),
        })
}

fn summary(described: &StaticProxy, settings: &Settings) -> Line {
    let workloads = count(described.workloads.len(), "workload");
    let workers = count(settings.workers.get(), "worker");
    let listeners = count(settings.listeners.len(), "listener");
    let line = Line::new().good("ready").plain("  proxy of ");
    line.plain(format_args!("{workloads} · {workers} · {listeners}"))
}

/// How many connections may live at once: each takes two files, and some are used for other things.
pub(crate) fn connections() -> anyhow::Result<usize> {
    leno_host::files::raise_limit()?;
    let files = leno_host::files::limit().map_or(MOST_FILES, |files| files.min(MOST_FILES));
    Ok(usize::try_from(files.saturating_sub(SPARE_FILES) / 2)?)
}

/// More than anybody has use for in one process.
const MOST_FILES: u64 = 1 << 20;
const SPARE_FILES: u64 = 128;

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
