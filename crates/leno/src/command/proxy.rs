//! `leno proxy`: runs a proxy, from files alone or after a control plane.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use anyhow::{Context as _, anyhow, bail};
use leno_admin::{Asker, Follows, Holding, Question};
use leno_channel::{Keyring, files};
use leno_compile::{Instance, Mesh, ViewOf};
use leno_host::cpu::Cpu;
use leno_identity::{Credential, Trust};
use leno_model::view::{PortRef, View, WorkloadId};
use leno_model::{Code, Namespace, Network, ServiceName, Severity, SpiffeId};
use leno_proxy::succession::{Heir, Predecessor};
use leno_proxy::{Adopted, Clocks, Door, Limits, Listener, Place, Proxy, Settings, Witness};
use leno_resources::policy::Identity;
use leno_resources::static_proxy::{self, Named, StaticProxy, StaticWorkload};
use leno_resources::{List, Part};
use leno_telemetry::{AccessLog, Format, Telemetry};
use leno_traffic::{Naming, Scope};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::{self, Input};
use crate::command::collecting::Collecting;
use crate::command::doorkeeper::Doorkeeper;
use crate::command::ending::{EndSignals, end, tell_cut};
use crate::command::joined::holding::peers;
use crate::command::succeeding::{accepted, give_way, offer, predecessor, start_newer, tell_taken};
use crate::command::{Answer, host, joined, service};
use crate::neighbours;
use crate::offline::{Offline, count};
use crate::render;
use crate::terminal::{Line, Terminal};

/// Runs one proxy until it is told to end. Told to read its files again, it does: objects, keys,
/// roots and who is revoked are replaced together, or not at all if anything is wrong with them.
pub(crate) fn run(options: &arguments::Proxy, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let Some(file) = &options.static_file else {
        return joined::run(options, terminal);
    };
    let source = Source {
        file,
        namespace: &options.namespace,
    };
    let fixed = Fixed::read(&source, terminal)?;
    let settings = fixed.settings(&options.limits, &options.ending)?;
    let clocks = Clocks::start();
    let keyring = Arc::new(Keyring::new(clocks.clock()));
    for credential in fixed.credentials()? {
        keyring.install(&credential)?;
    }
    let view = fixed.view(0)?;
    let summary = summary(&fixed.described, &settings);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Before a signal could come that is meant for it.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let (telemetry, view) = (fixed.telemetry()?, Arc::new(view));
    let place = host::succession(file)?;
    let predecessor = predecessor(&place, options.take_over)?;
    let succeeds = predecessor.as_ref().map(Predecessor::process);
    let settings = Settings {
        predecessor,
        ..settings
    };
    let witness = witness(&clocks, &telemetry, &view);
    let mut collecting = Collecting::of(&telemetry);
    let now = clocks.clone();
    let proxy = Proxy::start(
        settings,
        keyring.clone(),
        clocks,
        &telemetry,
        view,
        Scope::Whole,
    )?;
    witness.try_by(&proxy);
    // Where it cannot be found, it works all the same.
    let (doorkeeper, mut asked) = Doorkeeper::new(now, None);
    let _found = runtime.block_on(async {
        let strangers = doorkeeper.clone();
        let answer = move |asker: Asker, question: Question| {
            doorkeeper.asks(&asker, &question);
            witness.clone().answer(question)
        };
        neighbours::Place::answer(move |user| strangers.refuses(user), answer).ok()
    });
    terminal.tell(fixed.offline.context());
    if let Some(process) = succeeds {
        tell_taken(process, terminal);
    }
    let mut succession = offer(&place, &proxy, terminal);
    terminal.tell(summary);
    service::serves();
    // What cannot be let go of is held as before.
    leno_host::release_code().ok();
    for reading in 1.. {
        let told = runtime.block_on(async {
            tokio::select! {
                told = signals.told(&proxy) => told,
                heir = accepted(&mut succession) => Told::Succeeded(heir),
                Some(line) = asked.recv() => Told::Asked(line),
                never = collecting.tell(terminal) => match never {},
            }
        });
        match told {
            Told::End => {
                service::ends();
                break;
            }
            Told::Newer => {
                if let Err(error) = start_newer() {
                    terminal.error(&error.context("no newer process could be started"));
                }
            }
            Told::Succeeded(heir) => {
                give_way(&proxy, heir, terminal);
                break;
            }
            Told::Asked(line) => terminal.tell(line),
            Told::Broken => return Err(proxy.failure()).context("a worker of the proxy has ended"),
            Told::Reread => match reread(&source, reading, &proxy, &keyring, terminal) {
                Ok(line) => terminal.tell(line),
                Err(error) => {
                    let error = error.context("what was read before stays in force");
                    terminal.error(&error);
                }
            },
        }
    }
    runtime.block_on(end(&proxy, &mut signals.end));
    tell_cut(&proxy.join()?, terminal)?;
    if let Some(succession) = succession {
        succession.finish();
    }
    Ok(Answer::Fine)
}

/// Who answers what is asked about the proxy, and about its calls.
fn witness(clocks: &Clocks, telemetry: &Telemetry, view: &Arc<View>) -> Witness {
    let workloads: Vec<_> = view.workloads.keys().map(WorkloadId::to_string).collect();
    let first = view.workloads.values().next();
    let name = workloads.first().cloned();
    let name = name.unwrap_or_else(|| "proxy".to_owned());
    let began = clocks.now().wall.to_string();
    let holding = Holding {
        proxy: name.clone(),
        identity: first.map_or_else(String::new, |first| first.identity.to_string()),
        now: began.clone(),
        workloads,
        generation: Some(view.generation.to_string()),
        follows: Follows::Files,
        since: began,
        certificates: Vec::new(),
        peers: peers(view),
        clock: None,
    };
    let now = clocks.clone();
    let holding = move || Holding {
        now: now.now().wall.to_string(),
        ..holding.clone()
    };
    Witness::new(name, clocks.clone(), telemetry.clone(), holding)
}

/// Goes over to what the files say by now. Listeners stay as they are.
fn reread(
    source: &Source<'_>,
    reading: u64,
    proxy: &Proxy,
    keyring: &Keyring,
    terminal: &mut Terminal,
) -> anyhow::Result<Line> {
    let fixed = Fixed::read(source, terminal)?;
    let (credentials, view) = (fixed.credentials()?, fixed.view(reading)?);
    for credential in credentials {
        keyring.install(&credential)?;
    }
    match proxy.adopt(Arc::new(view), Scope::Whole) {
        Adopted::Yes { .. } => Ok(Line::new()
            .good("read again")
            .plain(format_args!("  {}", count(fixed.offline.objects, "object")))),
        Adopted::Stale { held } => bail!("{} is held already", held.generation),
    }
}

/// What a proxy is told from outside.
enum Told {
    End,
    /// Somebody asks, or may not.
    Asked(String),
    Reread,
    /// Start a newer process of the same.
    Newer,
    /// A worker has ended by itself.
    Broken,
    /// A newer process serves in its place.
    Succeeded(Heir),
}

struct Signals {
    end: EndSignals,
    hangup: Signal,
    newer: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            end: EndSignals::new()?,
            hangup: signal(SignalKind::hangup())?,
            newer: signal(SignalKind::user_defined2())?,
        })
    }

    async fn told(&mut self, proxy: &Proxy) -> Told {
        tokio::select! {
            () = self.end.next() => Told::End,
            _ = self.hangup.recv() => Told::Reread,
            _ = self.newer.recv() => Told::Newer,
            () = proxy.broken() => Told::Broken,
        }
    }
}

/// Where a proxy is described.
struct Source<'a> {
    file: &'a Path,
    /// The namespace of names that state none.
    namespace: &'a str,
}

/// A proxy as its file describes it, and the mesh that its files describe.
struct Fixed {
    offline: Offline,
    described: StaticProxy,
    folder: PathBuf,
}

impl Fixed {
    /// Reads the file and all that it names; what is wrong with objects is told.
    fn read(source: &Source<'_>, terminal: &mut Terminal) -> anyhow::Result<Self> {
        let path = source.file;
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.display().to_string();
        let (described, notes) = static_proxy::read(&name, &text);
        let texts = BTreeMap::from([(name.as_str(), text.as_slice())]);
        for note in &notes {
            render::note::print(note, &texts, terminal)?;
        }
        let described = described.ok_or_else(|| anyhow!("{name} describes no proxy"))?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let files = sound(&described.resources).map(|file| folder.join(&**file));
        let mut offline = Offline::read(&Input {
            files: files.collect(),
            namespace: source.namespace.to_owned(),
        })?;
        let texts = offline.texts();
        for note in &offline.notes {
            if note.severity > Severity::Info {
                render::note::print(note, &texts, terminal)?;
            }
        }
        for tunnel in sound(&described.tunnels) {
            let id = instance(&offline, &tunnel.workload)?.workload.id.clone();
            offline.mesh.set_tunnel(&id, Some(tunnel.address));
        }
        Ok(Self {
            offline,
            described,
            folder,
        })
    }

    fn settings(
        &self,
        limits: &arguments::Limits,
        ending: &arguments::Ending,
    ) -> anyhow::Result<Settings> {
        let mut listeners = Vec::new();
        let mut listen = |address, door| {
            listeners.push(Listener {
                place: Place::Address(address),
                door,
            });
        };
        for workload in sound(&self.described.workloads) {
            let id = instance(&self.offline, &workload.name)?.workload.id.clone();
            for upstream in sound(&workload.upstreams) {
                let port = self.port(&id.namespace, &upstream.service, upstream.port)?;
                listen(upstream.listen, Door::Upstream(id.clone(), port));
            }
            if let Some(address) = workload.http_proxy {
                listen(address, Door::Named(id.clone(), Naming::Target));
            }
            if let Some(address) = workload.published {
                listen(address, Door::Named(id.clone(), Naming::Published));
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
            workers: workers
                .and_then(NonZeroUsize::new)
                .unwrap_or_else(|| Cpu::read().workers()),
            listeners,
            network: Network::default_network(),
            limits: self.limits(limits)?,
            lame_duck: ending.lame_duck.unwrap_or(self.described.lame_duck),
            node_servers: Vec::new(),
            drain: ending.drain.unwrap_or(self.described.drain),
            predecessor: None,
            seed: super::seed(),
        })
    }

    /// The limits that the command line says, else the file.
    fn limits(&self, said: &arguments::Limits) -> anyhow::Result<Limits> {
        let written = self.described.limits.as_ref().and_then(Part::sound);
        let number = |said: Option<u32>, written: Option<u32>| said.or(written);
        limits(&arguments::Limits {
            connections: number(
                said.connections,
                written.and_then(|written| written.connections),
            ),
            connections_of_peer: number(
                said.connections_of_peer,
                written.and_then(|written| written.connections_of_peer),
            ),
            buffered_mib: number(
                said.buffered_mib,
                written.and_then(|written| written.buffered_mib),
            ),
            stalled: said.stalled.or(written.and_then(|written| written.stalled)),
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

    /// What its workloads prove themselves with.
    fn credentials(&self) -> anyhow::Result<Vec<Credential>> {
        let workloads = sound(&self.described.workloads);
        workloads
            .filter_map(|workload| self.credential(workload).transpose())
            .collect()
    }

    fn credential(&self, workload: &StaticWorkload) -> anyhow::Result<Option<Credential>> {
        let (Some(key), Some(chain)) = (&workload.key, &workload.chain) else {
            return Ok(None);
        };
        let credential =
            files::read_credential(&self.folder.join(&**key), &self.folder.join(&**chain))?;
        let named = &instance(&self.offline, &workload.name)?.workload;
        if *credential.id() != named.identity {
            bail!(
                "the certificate of {} is for {}, and it is {}",
                named.id,
                credential.id(),
                named.identity
            );
        }
        Ok(Some(credential))
    }

    /// What the proxy decides by: the one of `reading` follows those before it.
    fn view(&self, reading: u64) -> anyhow::Result<View> {
        let workloads = sound(&self.described.workloads);
        let workloads = workloads
            .map(|workload| Ok(instance(&self.offline, &workload.name)?.workload.id.clone()))
            .collect::<anyhow::Result<BTreeSet<WorkloadId>>>()?;
        let mut view = self.offline.mesh.view(ViewOf {
            workloads: &workloads,
        });
        view.generation.positions = BTreeMap::from([(Arc::from("files"), reading)]);
        let domain = view.settings.trust_domain.clone();
        let revoked = sound(&self.described.revoked).map(|who| match who {
            Identity::Spiffe(id) => id.clone(),
            Identity::Short(namespace, account) => SpiffeId {
                trust_domain: domain.clone(),
                namespace: namespace.clone(),
                service_account: account.clone(),
            },
        });
        view.revoked = Arc::new(revoked.collect());
        if let Some(bundle) = &self.described.bundle {
            let roots = files::read_certificates(&self.folder.join(&**bundle))?;
            view.bundles.insert(domain, Arc::new(roots));
        }
        let (_, bad_roots) = Trust::new(&view.bundles, view.revoked.clone());
        if let Some(bad) = bad_roots.first() {
            bail!("a root of {} cannot be used: {}", bad.domain, bad.why);
        }
        Ok(view)
    }

    fn telemetry(&self) -> anyhow::Result<Telemetry> {
        let format = self.described.access_log.map(|format| match format {
            static_proxy::AccessLog::Text => Format::Text,
            static_proxy::AccessLog::Json => Format::Json,
        });
        let access_log = format.map(|format| AccessLog::start(format, io::stdout()));
        Ok(Telemetry::new(leno_telemetry::Settings {
            access_log: access_log.transpose()?,
            ..leno_telemetry::Settings::default()
        }))
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

/// The limits that are said, and those of this host where nothing is.
pub(super) fn limits(said: &arguments::Limits) -> anyhow::Result<Limits> {
    let most = connections()?;
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let connections = said.connections.map_or(most, number);
    if connections > most {
        bail!(
            "{} {}: {connections} connections need more files than this process may open, which \
             is enough for {most}: raise `ulimit -Hn`, or LimitNOFILE= of its unit",
            Code::H004,
            Code::H004.slug()
        );
    }
    let limits = Limits::of(connections);
    Ok(Limits {
        connections_of_peer: said
            .connections_of_peer
            .map_or(limits.connections_of_peer, number),
        buffered: said
            .buffered_mib
            .map_or(limits.buffered, |mib| number(mib).saturating_mul(1 << 20)),
        stalled: said.stalled.unwrap_or(limits.stalled),
        ..limits
    })
}

/// How many connections may live at once, once the process may open as many files as it can.
pub(crate) fn connections() -> anyhow::Result<usize> {
    leno_host::files::raise_limit().context("cannot raise the limit of open files")?;
    Ok(leno_proxy::connections(leno_host::files::limit()))
}
