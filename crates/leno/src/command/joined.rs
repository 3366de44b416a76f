//! `leno proxy --joined`: a proxy that follows a control plane.

pub(super) mod holding;

use std::cell::{OnceCell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use leno_admin::{self as admin, Ending, Question, Server};
use leno_channel::Keyring;
use leno_host::cpu::Cpu;
use leno_model::view::{PortRef, View, WorkloadId};
use leno_model::{Name, Namespace, Network, ServiceName, Subscription};
use leno_proxy::follow::{Asker, Event, Follower, Following};
use leno_proxy::succession::Predecessor;
use leno_proxy::{Clocks, Cut, Door, Listener, Place, Proxy, Settings, Witness};
use leno_telemetry::{AccessLog, Format, Telemetry};
use leno_traffic::Scope;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::arguments::{
    self,
    fleet::{self, Joined},
};
use crate::command::collecting::Collecting;
use crate::command::ending::{EndSignals, end, tell_cut};
use crate::command::joined::holding::Held;
use crate::command::succeeding::{accepted, give_way, offer, predecessor, start_newer, tell_taken};
use crate::command::{Answer, host, proxy, seed, service};
use crate::neighbours;
use crate::terminal::{Line, Terminal};

/// How long live connections may go on once the proxy is told to end, if nothing is said.
const DRAIN: Duration = Duration::from_secs(30);

/// Runs the proxy until it is told to end. It listens as soon as it holds a view: the last one at
/// once, also where no control plane is there.
pub(crate) fn run(options: &arguments::Proxy, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let wanted = Wanted::read(options)?;
    let options = &options.joined;
    let clocks = Clocks::start();
    let keyring = Arc::new(Keyring::new(clocks.clock()));
    let terminal = RefCell::new(terminal);
    // Standard output that is gone leaves nobody to tell.
    let tell = |event: &Event| drop(terminal.borrow_mut().line(event.to_string()));
    let following = wanted.following()?;
    let place = host::proxy_succession(&following.folder);
    let predecessor = predecessor(&place, wanted.take_over)?;
    let succeeds = predecessor.as_ref().map(Predecessor::process);
    let (mut follower, asker) =
        Follower::open(&following, Arc::clone(&keyring), clocks.clone(), tell)?;
    tell_identity(&terminal, &follower);
    let held = Held::of(
        &following.name,
        &wanted.workloads,
        &follower,
        clocks.now().wall,
    );
    let telemetry = telemetry(options)?;
    let witness = held.witness(&clocks, &telemetry);
    follower.answer_by(witness.respondent());
    follower.report(&telemetry);
    let ended = Arc::new(Notify::new());
    let tell = |event: &Event| {
        held.hear(event, clocks.now().wall);
        tell(event);
    };
    let running = Running {
        wanted,
        keyring,
        clocks: clocks.clone(),
        telemetry,
        witness: witness.clone(),
        asker,
        predecessor: RefCell::new(predecessor),
        proxy: OnceCell::new(),
        started: watch::Sender::new(false),
    };
    let adopt = |view: Arc<View>, scope| {
        held.see(&view);
        running.adopt(view, scope);
    };
    let mut collecting = Collecting::of(&running.telemetry);
    if let Some((view, scope)) = follower.view() {
        adopt(view, scope);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let keeping = follower.folder().clone();
    let succession = runtime.block_on(async {
        let mut signals = EndSignals::new()?;
        let answering = async {
            if let Some(process) = succeeds {
                // Until then the other one answers.
                let _proxy = running.started().await;
                tell_taken(process, *terminal.borrow_mut())?;
            }
            let _asked = listen(&following.folder, witness, &ended, succeeds.is_some())?;
            let _found = neighbours::Place::of(&host::proxy_socket(&following.folder));
            pending::<anyhow::Result<Infallible>>().await
        };
        let life = async {
            let mut succession = None;
            let mut newer = signal(SignalKind::user_defined2())?;
            let starting = async {
                loop {
                    newer.recv().await;
                    if let Err(error) = start_newer() {
                        let error = error.context("no newer process could be started");
                        terminal.borrow_mut().error(&error);
                    }
                }
            };
            let offered = async {
                let proxy = running.started().await;
                service::serves();
                succession = offer(&place, proxy, *terminal.borrow_mut())?;
                let heir = accepted(&mut succession).await;
                keeping.give_up();
                give_way(proxy, heir, *terminal.borrow_mut())
            };
            tokio::select! {
                () = ended.notified() => service::ends(),
                () = running.has_failed() => return Ok(succession),
                () = signals.next() => service::ends(),
                succeeded = offered => succeeded?,
                never = starting => match never {},
            }
            running.drain(&mut signals).await;
            anyhow::Ok(succession)
        };
        let succession = tokio::select! {
            lived = life => lived?,
            failed = answering => match failed? {},
            // While it drains, too, what lives obeys what is in force.
            never = follower.run(adopt, tell) => match never {},
            never = running.see_in_advance() => match never {},
            never = tell_collecting(&mut collecting, &terminal) => match never {},
        };
        follower.tell_the_last().await;
        anyhow::Ok(succession)
    })?;
    // With it goes the connection to the control plane.
    runtime.shutdown_background();
    let cut = running.end()?;
    tell_cut(&cut, *terminal.borrow_mut())?;
    if let Some(succession) = succession {
        succession.finish();
    }
    Ok(Answer::Fine)
}

fn telemetry(options: &Joined) -> io::Result<Telemetry> {
    let format = options.access_log.map(|format| match format {
        fleet::AccessLog::Text => Format::Text,
        fleet::AccessLog::Json => Format::Json,
    });
    let access_log = format.map(|format| AccessLog::start(format, io::stdout()));
    Ok(Telemetry::new(leno_telemetry::Settings {
        access_log: access_log.transpose()?,
        blind: options.blind,
        ..leno_telemetry::Settings::default()
    }))
}

/// Answers on the proxy's socket, for as long as the answer is held; whoever asks it to end is told in
/// `ended`. Instead of whoever answered there, if it has taken that one's place.
fn listen(
    folder: &Path,
    witness: Witness,
    ended: &Arc<Notify>,
    instead: bool,
) -> anyhow::Result<JoinSet<()>> {
    let socket = host::proxy_socket(folder);
    let server = match instead {
        true => Server::listen_instead(&socket),
        false => Server::listen(&socket),
    };
    let server = server.with_context(|| format!("cannot listen on {}", socket.display()))?;
    let ended = Arc::clone(ended);
    let answer = move |_, question| {
        let (witness, ended) = (witness.clone(), Arc::clone(&ended));
        async move {
            match question {
                Question::End(_) => {
                    ended.notify_one();
                    Ok(admin::Answer::Ending(Ending {}).into())
                }
                question => witness.answer(question).await,
            }
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run(answer));
    Ok(tasks)
}

/// What the command line asks for.
struct Wanted<'a> {
    options: &'a Joined,
    limits: &'a arguments::Limits,
    ending: &'a arguments::Ending,
    take_over: bool,
    /// The workloads in front of which the proxy stands.
    workloads: Vec<WorkloadId>,
    /// Service ports, each with where the proxy listens for it.
    upstreams: Vec<(PortRef, SocketAddr)>,
}

impl<'a> Wanted<'a> {
    fn read(proxy: &'a arguments::Proxy) -> anyhow::Result<Self> {
        let options = &proxy.joined;
        let home = Namespace::new(&proxy.namespace).context("-n")?;
        let workloads = options.workloads.iter().map(|text| workload(text, &home));
        let upstreams = options.upstreams.iter().map(|text| upstream(text, &home));
        Ok(Self {
            options,
            limits: &proxy.limits,
            ending: &proxy.ending,
            take_over: proxy.take_over,
            workloads: workloads.collect::<anyhow::Result<_>>()?,
            upstreams: upstreams.collect::<anyhow::Result<_>>()?,
        })
    }

    fn following(&self) -> anyhow::Result<Following> {
        let Self {
            options, workloads, ..
        } = self;
        let name = workloads.first().map(WorkloadId::to_string);
        Ok(Following {
            name: name.unwrap_or_else(|| "proxy".to_owned()),
            folder: options.state.clone().map_or_else(host::identity, Ok)?,
            workloads: workloads.iter().cloned().collect(),
            tunnel: options.advertise.or(options.tunnel),
            seed: seed(),
        })
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let options = self.options;
        let mut listeners = Vec::new();
        let mut listen = |address, door| {
            listeners.push(Listener {
                place: Place::Address(address),
                door,
            });
        };
        if let Some(id) = self.workloads.first() {
            for (port, address) in &self.upstreams {
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
            workers: Cpu::read().workers(),
            listeners,
            network: Network::default_network(),
            limits: proxy::limits(self.limits)?,
            lame_duck: self.ending.lame_duck.unwrap_or_default(),
            drain: self.ending.drain.unwrap_or(DRAIN),
            predecessor: None,
            seed: seed(),
        })
    }
}

/// The proxy, from its first view on.
struct Running<'a> {
    wanted: Wanted<'a>,
    keyring: Arc<Keyring>,
    clocks: Clocks,
    telemetry: Telemetry,
    witness: Witness,
    asker: Asker,
    /// Whose place the proxy takes when it starts.
    predecessor: RefCell<Option<Predecessor>>,
    /// Empty while there has been no view.
    proxy: OnceCell<anyhow::Result<Proxy>>,
    started: watch::Sender<bool>,
}

impl Running<'_> {
    /// Goes over to a view; the first one starts the proxy.
    fn adopt(&self, view: Arc<View>, scope: Scope) {
        match self.proxy.get() {
            Some(Ok(proxy)) => drop(proxy.adopt(view, scope)),
            Some(Err(_)) => {}
            None => {
                self.proxy.get_or_init(|| self.start(view, scope));
                self.started.send_replace(true);
                // What cannot be let go of is held as before.
                leno_host::release_code().ok();
            }
        }
    }

    fn start(&self, view: Arc<View>, scope: Scope) -> anyhow::Result<Proxy> {
        let settings = Settings {
            predecessor: self.predecessor.take(),
            ..self.wanted.settings()?
        };
        let (keyring, clocks) = (Arc::clone(&self.keyring), self.clocks.clone());
        let proxy = Proxy::start(settings, keyring, clocks, &self.telemetry, view, scope)?;
        proxy.ask_by(&self.asker)?;
        self.witness.try_by(&proxy);
        Ok(proxy)
    }

    /// Asks for what the upstreams will need, before the first call does.
    async fn see_in_advance(&self) -> Infallible {
        for (port, _) in &self.wanted.upstreams {
            let service = Subscription::Service(port.service.clone());
            // One that is not known yet is asked for again by the call that needs it.
            self.asker.ask(service).await.ok();
        }
        pending().await
    }

    /// The proxy, once it has started.
    async fn started(&self) -> &Proxy {
        let mut started = self.started.subscribe();
        // Whoever says so lives as long as this.
        drop(started.wait_for(|started| *started).await);
        match self.proxy.get() {
            Some(Ok(proxy)) => proxy,
            Some(Err(_)) | None => pending().await,
        }
    }

    /// Waits until the proxy could not be started, or has ended by itself.
    async fn has_failed(&self) {
        let mut started = self.started.subscribe();
        drop(started.wait_for(|started| *started).await);
        if let Some(Ok(proxy)) = self.proxy.get() {
            proxy.broken().await;
        }
    }

    /// Lets what lives end in peace, if a proxy runs.
    async fn drain(&self, signals: &mut EndSignals) {
        if let Some(Ok(proxy)) = self.proxy.get() {
            end(proxy, signals).await;
        }
    }

    /// What had to be cut, once it has ended.
    fn end(self) -> anyhow::Result<Cut> {
        let Some(proxy) = self.proxy.into_inner().transpose()? else {
            return Ok(Cut::default());
        };
        if proxy.is_broken() {
            return Err(proxy.failure()).context("a worker of the proxy has ended");
        }
        Ok(proxy.join()?)
    }
}

async fn tell_collecting(
    collecting: &mut Collecting,
    terminal: &RefCell<&mut Terminal>,
) -> Infallible {
    loop {
        for line in collecting.next().await {
            // As above.
            drop(terminal.borrow_mut().line(line));
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

/// `web` or `shop/web`.
fn workload(text: &str, home: &Namespace) -> anyhow::Result<WorkloadId> {
    let (namespace, name) = named(text, home)?;
    Ok(WorkloadId { namespace, name })
}

/// `cart:80=127.0.0.1:8081`.
fn upstream(text: &str, home: &Namespace) -> anyhow::Result<(PortRef, SocketAddr)> {
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
