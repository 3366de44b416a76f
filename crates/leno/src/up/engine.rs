//! The mesh of a folder while it runs: one task that owns all of its state. What happens comes in as
//! a message, what there is to tell goes out as [`News`].

mod ending;
mod guests;
mod member;
mod ports;
mod starting;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use leno_channel::Keyring;
use leno_host::{Enclosure, Event, Listeners, OpenError};
use leno_model::view::{Mtls, PortRef, Protocol, WorkloadId};
use leno_model::{Dice, Mono, Name, Network, Note, Notes, Severity, TrustDomain};
use leno_proxy::{Clocks, Door, Listener, Place as At, Proxy};
use leno_store::Store;
use leno_telemetry::{Event as Told, Filter, Party, Record, Reporter, Tap, Telemetry};
use leno_traffic::Scope;
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::guests::{Guest, Joined, Opened};
use self::member::Member;
use super::authority::Authority;
use super::mesh::{Compiled, HOST, Program, Running, understand};
use super::news::{News, Published, Row};
use super::place::{Held, Place};
use super::source::Source;
use crate::command::proxy::connections;
use crate::command::seed;

/// A mesh that runs.
pub(crate) struct Up {
    source: Source,
    place: Place,
    _held: Held,
    clocks: Clocks,
    began: Mono,
    proxy: Proxy,
    authority: Authority,
    store: Store,
    telemetry: Telemetry,
    /// Where the proxy takes calls for all workloads.
    tunnel: SocketAddr,
    generation: u64,
    compiled: Compiled,
    /// As whom published ports call.
    host: WorkloadId,
    members: BTreeMap<WorkloadId, Member>,
    /// Service ports on this machine's loopback, by the port that was wanted for them.
    published: BTreeMap<(PortRef, u16), Published>,
    /// How many workloads were given a place.
    places: u16,
    /// The soft limit on open files that workloads start with.
    open_files: Option<u64>,
    happen: mpsc::UnboundedSender<Happened>,
    happened: mpsc::UnboundedReceiver<Happened>,
    tell: Box<dyn FnMut(News)>,
}

/// What comes in.
#[derive(Debug)]
pub(crate) enum Happened {
    /// An enclosure was opened for a run of a workload, or could not be.
    Enclosed(WorkloadId, u32, Result<(Enclosure, Listeners), OpenError>),
    /// Something happened inside.
    Inside(WorkloadId, u32, Event),
    /// A workload has ended, with this as the last that it said.
    Ended(WorkloadId, u32, Event, String),
    /// A workload has had time to listen.
    Waited(WorkloadId, u32),
    /// This is spoken on a port of a workload.
    Greeted(WorkloadId, u32, u16, Protocol),
    /// The first call has ended.
    Called(Record),
    /// Something else is written.
    Written(Source),
    /// Somebody asks.
    Asked(Question),
}

/// What one may ask a mesh that runs, each with the way back.
#[derive(Debug)]
pub(crate) enum Question {
    /// What runs?
    Rows(oneshot::Sender<Vec<Row>>),
    /// What is counted of calls, and where can they be watched?
    Telemetry(oneshot::Sender<Telemetry>),
    /// Start this one again.
    Restart(Name, oneshot::Sender<Result<(), String>>),
    /// End.
    Down(oneshot::Sender<()>),
    /// May this one join?
    Join(Guest, oneshot::Sender<Result<Joined, String>>),
    /// It has opened its enclosure: serve it.
    Opened(Joined, Opened, oneshot::Sender<Result<(), String>>),
    /// Something happened inside a guest.
    Inside(Joined, Event),
    /// A guest has gone.
    Left(Joined),
}

/// How long connections may go on when all workloads have ended.
const DRAIN: Duration = Duration::from_millis(200);

impl Up {
    /// Takes the place, and starts the proxy with nothing to serve yet.
    pub(crate) fn begin(
        source: Source,
        place: Place,
        tell: impl FnMut(News) + 'static,
    ) -> anyhow::Result<Self> {
        let held = place.hold()?;
        let open_files = leno_host::files::raise_limit().context("cannot raise the file limit")?;
        let clocks = Clocks::start();
        let mut compiled = understand(&source, &BTreeMap::new());
        let keyring = Arc::new(Keyring::new(clocks.clock()));
        let authority = Authority::open(
            &place.authority(),
            &compiled.mesh.settings.trust_domain,
            keyring.clone(),
            clocks.now(),
            Dice::new(seed()),
        )?;
        let store = Store::open(&place.store(), leno_store::Settings::default())?;
        let tunnel = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = tunnel.local_addr()?;
        let telemetry = Telemetry::new(leno_telemetry::Settings::default());
        let settings = leno_proxy::Settings {
            workers: leno_host::cpu::Cpu::read().workers(),
            listeners: vec![Listener {
                place: At::Socket(tunnel),
                door: Door::Tunnel,
            }],
            network: Network::default_network(),
            connections: connections()?,
            drain: DRAIN,
            seed: seed(),
        };
        let nothing = compiled.view(&BTreeMap::new(), address, authority.roots(), 0);
        let proxy = Proxy::start(
            settings,
            keyring,
            clocks.clone(),
            &telemetry,
            Arc::new(nothing),
            Scope::Whole,
        )?;
        let (happen, happened) = mpsc::unbounded_channel();
        let host = WorkloadId {
            namespace: source.namespace(),
            name: Name::new(HOST).expect("a constant that is a name"),
        };
        let mut up = Self {
            source,
            place,
            _held: held,
            began: clocks.now().mono,
            clocks,
            proxy,
            authority,
            store,
            telemetry,
            tunnel: address,
            generation: 0,
            compiled,
            host,
            members: BTreeMap::new(),
            published: BTreeMap::new(),
            places: 0,
            open_files,
            happen,
            happened,
            tell: Box::new(tell),
        };
        up.update()?;
        Ok(up)
    }

    /// What does not hold as it was written.
    pub(crate) fn notes(&self) -> &Notes {
        &self.compiled.notes
    }

    /// What is to be started.
    pub(crate) fn programs(&self) -> Vec<Program> {
        self.compiled.programs(&self.source)
    }

    /// Whose certificates prove an identity here.
    pub(crate) fn trust_domain(&self) -> &TrustDomain {
        &self.compiled.mesh.settings.trust_domain
    }

    /// Whether every workload refuses callers that prove nothing.
    pub(crate) fn is_strict(&self) -> bool {
        let mut instances = self.compiled.mesh.instances.values();
        instances.all(|instance| instance.workload.other_ports.mtls == Mtls::Strict)
    }

    /// How long it has been there.
    pub(crate) fn age(&self) -> Duration {
        self.clocks.now().mono.since(self.began)
    }

    /// What is counted of its calls, and where they can be watched.
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// The way to tell it what happens elsewhere.
    pub(crate) fn inbox(&self) -> mpsc::UnboundedSender<Happened> {
        self.happen.clone()
    }

    /// Starts every program, and runs until `until` ends or somebody asks for the end. Needs a
    /// `LocalSet` around it.
    pub(crate) async fn run(mut self, until: impl Future<Output = ()>) -> anyhow::Result<()> {
        for program in self.programs() {
            if program.name.as_str() == HOST {
                bail!("{}: the name {HOST} stands for this machine", program.place);
            }
            self.start(program);
        }
        let tap = self.telemetry.tap(Filter::default(), Tap::LIMIT);
        tokio::task::spawn_local(tell_first_call(tap, self.happen.clone()));
        let mut until = std::pin::pin!(until);
        loop {
            let now = self.clocks.now();
            let renewal = self.authority.poll_timeout(now);
            let renewal = renewal.map_or(Duration::MAX, |at| at.since(now.mono));
            tokio::select! {
                Some(happened) = self.happened.recv() => {
                    if let Happened::Asked(Question::Down(done)) = happened {
                        self.end().await;
                        // Whoever asked may have gone.
                        done.send(()).ok();
                        return Ok(());
                    }
                    self.handle(happened)?;
                }
                () = tokio::time::sleep(renewal) => self.renew(),
                () = self.proxy.broken() => return Err(self.proxy.failure().into()),
                () = &mut until => break,
            }
        }
        self.end().await;
        Ok(())
    }

    fn handle(&mut self, happened: Happened) -> anyhow::Result<()> {
        match happened {
            Happened::Enclosed(id, run, opened) => self.handle_enclosed(&id, run, opened),
            Happened::Inside(id, run, event) => self.handle_event(&id, run, event),
            Happened::Ended(id, run, event, line) => self.handle_ended(&id, run, &event, line),
            Happened::Waited(id, run) => {
                self.handle_waited(&id, run);
                Ok(())
            }
            Happened::Greeted(id, run, port, protocol) => {
                self.handle_greeted(&id, run, port, protocol)
            }
            Happened::Called(record) => {
                (self.tell)(News::FirstCall(record));
                Ok(())
            }
            Happened::Written(source) => self.handle_written(source),
            Happened::Asked(question) => self.handle_question(question),
        }
    }

    /// Goes by what is written from here on, and lets run what runs. Where a document cannot be read,
    /// nobody knows what it would have said: then all that was in force stays.
    fn handle_written(&mut self, source: Source) -> anyhow::Result<()> {
        let notes = understand(&source, &BTreeMap::new()).notes;
        let is_unread = |note: &Note| note.severity == Severity::Error && note.object().is_none();
        let in_force = !notes.iter().any(is_unread);
        if in_force {
            let before = std::mem::replace(&mut self.source, source);
            if let Err(error) = self.update() {
                self.source = before;
                self.update()?;
                let why = format!("what is written cannot be put in force: {error:#}");
                (self.tell)(News::Trouble(why));
                return Ok(());
            }
        }
        (self.tell)(News::Written { notes, in_force });
        Ok(())
    }

    /// Answers; whoever asked may have gone, and then nobody is left to hear it.
    fn handle_question(&mut self, question: Question) -> anyhow::Result<()> {
        match question {
            Question::Rows(answer) => {
                let rows = self.members.iter().map(|(id, member)| self.row(id, member));
                drop(answer.send(rows.collect()));
            }
            Question::Telemetry(answer) => drop(answer.send(self.telemetry.clone())),
            Question::Restart(name, answer) => drop(answer.send(self.restart(&name))),
            Question::Join(guest, answer) => drop(answer.send(self.join(guest))),
            Question::Opened(joined, opened, answer) => {
                let served = self.serve(&joined.id, joined.run, opened);
                drop(answer.send(served.map_err(|error| format!("{error:#}"))));
            }
            Question::Inside(joined, event) => self.handle_event(&joined.id, joined.run, event)?,
            Question::Left(joined) => self.handle_left(&joined)?,
            Question::Down(_) => unreachable!("the loop ends by it"),
        }
        Ok(())
    }

    /// Understands everything anew with what runs at this moment, and lets the proxy go by it.
    fn update(&mut self) -> anyhow::Result<()> {
        let mut running = BTreeMap::from([(self.host.clone(), self.host_running())]);
        let inside = self.members.iter().filter(|(_, member)| member.inside);
        running.extend(inside.map(|(id, member)| (id.clone(), member.running())));
        let now = self.clocks.now();
        let mut compiled = understand(&self.source, &running);
        compiled.give_addresses(&self.store, now.wall)?;
        self.generation += 1;
        let roots = self.authority.roots();
        let view = compiled.view(&running, self.tunnel, roots, self.generation);
        let life = compiled.mesh.certificate_lifetime;
        for workload in view.workloads.values() {
            self.authority.prove(&workload.identity, life, now)?;
        }
        self.proxy.adopt(Arc::new(view), Scope::Whole);
        self.compiled = compiled;
        Ok(())
    }

    fn host_running(&self) -> Running {
        Running {
            of: self.host.name.clone(),
            address: starting::address(0),
            found: BTreeMap::new(),
            called: false,
        }
    }

    fn renew(&mut self) {
        let life = self.compiled.mesh.certificate_lifetime;
        for trouble in self.authority.renew(life, self.clocks.now()) {
            (self.tell)(News::Trouble(trouble));
        }
    }
}

/// Waits for the first call between two workloads.
async fn tell_first_call(mut tap: Tap, happen: mpsc::UnboundedSender<Happened>) {
    let is_workload = |party: Party<'_>| match party {
        Party::Known { name, .. } => name != HOST,
        Party::Unknown => false,
    };
    loop {
        let record = tap.next().await;
        let event = record.event();
        let edge = match &event {
            Told::Call(call) => &call.edge,
            Told::Opened(stream) | Told::Stream(stream) => &stream.edge,
            Told::Handshake(_) | Told::Accept(_) => continue,
        };
        if event.reporter() == Reporter::Source
            && is_workload(edge.source)
            && is_workload(edge.destination)
        {
            // When nobody listens, all has ended.
            drop(happen.send(Happened::Called(record)));
            return;
        }
    }
}
