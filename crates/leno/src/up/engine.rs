//! The mesh of a folder while it runs: one task that owns all of its state. What happens comes in as
//! a message, what there is to tell goes out as [`News`].

mod ending;
mod explicit;
mod guests;
mod member;
mod ports;
mod revised;
mod starting;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use leno_admin::Finding;
use leno_channel::Keyring;
use leno_control::{Attendance, Control, Desk, Edition, Ended, LocalKeys, Present};
use leno_dashboard::Arrived;
use leno_host::{Enclosure, Event, Listeners, NetworkId, OpenError};
use leno_model::view::{Mtls, PortRef, Protocol, WorkloadId};
use leno_model::{Dice, Mono, Name, Network, SpiffeId, TrustDomain};
use leno_proxy::reports::Reports;
use leno_proxy::{Clocks, Door, Limits, Listener, Place as At, Proxy};
use leno_telemetry::{Event as Told, Filter, Party, Record, Reporter, Tap, Telemetry};
use leno_traffic::{Naming, Scope};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub(crate) use self::guests::{Guest, Joined, Opened};
use self::member::Member;
use super::applications::Applications;
use super::certificates::Certificates;
use super::explicit::Pin;
use super::news::{News, Published, Row};
use super::place::{Held, Place};
use super::program::{Program, programs};
use super::reporting::Reporting;
use super::source::Source;
use super::witness::witness;
use crate::command::proxy::connections;
use crate::command::seed;
use crate::{neighbours, stories};

/// A mesh that runs.
pub(crate) struct Up {
    /// What was applied last.
    source: Source,
    /// Whether something else is written, and not in force.
    is_behind: bool,
    place: Place,
    _held: Held,
    clocks: Clocks,
    began: Mono,
    proxy: Proxy,
    certificates: Certificates,
    /// The control plane in this process.
    desk: Desk,
    control: JoinHandle<Ended>,
    attendance: Arc<Attendance>,
    /// What the programs are given.
    applications: Applications,
    /// Where other commands of this host find its proxy.
    _found: Option<neighbours::Place>,
    /// Whose certificates somebody wants renewed at once.
    renewals: mpsc::Receiver<SpiffeId>,
    /// What the proxy goes by.
    edition: Arc<Edition>,
    editions: watch::Receiver<Arc<Edition>>,
    /// The revision whose programs run.
    revision: u64,
    telemetry: Telemetry,
    /// Where the proxy takes calls for all workloads.
    tunnel: SocketAddr,
    /// As whom published ports call.
    host: WorkloadId,
    members: BTreeMap<WorkloadId, Member>,
    /// The port of the loopback at which services are also published by their names.
    names_at: Option<u16>,
    /// Service ports on this machine's loopback, by the port that was wanted for them.
    published: BTreeMap<(PortRef, u16), Published>,
    /// How many workloads were given a place.
    places: u16,
    /// Whether nothing is captured, and which ports are wanted then.
    explicit: Option<Vec<Pin>>,
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
    /// The first call has failed, or gone well.
    Called(Record),
    /// Something else is written, or cannot be read.
    Written(Result<Source, String>),
    /// Something is wrong that costs no call yet.
    Trouble(String),
    /// Somebody asks.
    Asked(Question),
    /// A connection from this machine, to a service that its first request names, with the way to
    /// say that it is taken.
    Arrived(Arrived, oneshot::Sender<()>),
}

/// What one may ask a mesh that runs, each with the way back.
#[derive(Debug)]
pub(crate) enum Question {
    /// What runs?
    Rows(oneshot::Sender<Vec<Row>>),
    /// Start this one again.
    Restart(WorkloadId, oneshot::Sender<Result<(), String>>),
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
    /// Takes the place, starts the control plane, puts in force what is written if that is something
    /// else than before, and starts the proxy with nothing to serve yet. Needs a `LocalSet` around it.
    pub(crate) fn begin(
        mut source: Source,
        place: Place,
        mut tell: impl FnMut(News) + 'static,
    ) -> anyhow::Result<Self> {
        let held = place.hold()?;
        let open_files = leno_host::files::raise_limit().context("cannot raise the file limit")?;
        let clocks = Clocks::start();
        let began = clocks.now().mono;
        let (happen, happened) = mpsc::unbounded_channel();
        let control = control(&source, &place, happen.clone())?;
        let desk = control.desk();
        stories::give(&desk);
        let editions = desk.editions();
        let control = tokio::spawn(control.run());
        let news = written::begin(&desk, &mut source, &place)?;
        let is_behind = matches!(news, Some(News::NotInForce { .. }));
        if let Some(news) = news {
            tell(news);
        }
        desk.found().context("the CA cannot be founded")?;
        let edition = desk.edition();
        let Front {
            proxy,
            keyring,
            telemetry,
            tunnel,
        } = Front::start(&edition, &clocks)?;
        let host = WorkloadId {
            namespace: source.namespace(),
            name: Name::new(HOST).expect("a constant that is a name"),
        };
        let (attendance, renewals) = desk.attend(source.mesh.as_str(), &host, tunnel);
        let witness = witness(source.mesh.as_str(), &desk, &clocks, &telemetry);
        witness.try_by(&proxy);
        attendance.answer_by(witness.respondent());
        // Where it cannot be found, it is asked through its control plane.
        let (strangers, shared) = (desk.clone(), desk.clone());
        let answer = move |asker, question: leno_admin::Question| {
            let (witness, desk) = (witness.clone(), shared.clone());
            async move {
                desk.note_asked(asker, &question).await?;
                witness.answer(question).await
            }
        };
        let found = neighbours::Place::answer(move |user| strangers.note_stranger(user), answer);
        let attendance = Arc::new(attendance);
        let told = happen.clone();
        let applications = Applications::begin(
            place.workload_api(),
            &edition.mesh().settings.trust_domain,
            Arc::clone(&attendance),
            clocks.clone(),
            // When nobody listens, all has ended.
            move |what| drop(told.send(Happened::Trouble(what))),
        );
        let mut up = Self {
            certificates: Certificates::new(attendance.clone(), keyring, Dice::new(seed())),
            attendance,
            applications,
            _found: found.ok(),
            renewals,
            source,
            is_behind,
            place,
            _held: held,
            began,
            clocks,
            proxy,
            desk,
            control,
            revision: edition.revision(),
            edition,
            editions,
            telemetry,
            tunnel,
            host,
            members: BTreeMap::new(),
            names_at: None,
            published: BTreeMap::new(),
            places: 0,
            explicit: None,
            open_files,
            happen,
            happened,
            tell: Box::new(tell),
        };
        up.desk.give_export(up.telemetry.export());
        up.update()?;
        Ok(up)
    }

    /// Captures nothing: workloads that are started from here on are plain children, told by their
    /// environment where the mesh takes their calls.
    pub(crate) fn explicitly(mut self, pins: Vec<Pin>) -> Self {
        self.explicit = Some(pins);
        self
    }

    /// Whether nothing is captured.
    pub(crate) fn is_explicit(&self) -> bool {
        self.explicit.is_some()
    }

    /// What does not hold as it was written. What is merely doubtful may be so only because nothing
    /// runs yet: it is left out.
    pub(crate) fn errors(&self) -> Vec<Finding> {
        let mut errors = self.desk.check().findings;
        errors.retain(|finding| finding.severity == "error");
        errors
    }

    /// The revision that is in force.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// What is to be started.
    pub(crate) fn programs(&self) -> Vec<Program> {
        match self.source.file {
            Some(_) => programs(self.edition.written(), &self.source.folder),
            None => Vec::new(),
        }
    }

    /// Whose certificates prove an identity here.
    pub(crate) fn trust_domain(&self) -> &TrustDomain {
        &self.edition.mesh().settings.trust_domain
    }

    /// Whether every workload refuses callers that prove nothing.
    pub(crate) fn is_strict(&self) -> bool {
        let mut instances = self.edition.mesh().instances.values();
        instances.all(|instance| instance.workload.other_ports.mtls == Mtls::Strict)
    }

    /// Tells metrics to whoever asks at `address`.
    pub(crate) fn tell_metrics_at(&self, address: SocketAddr) -> io::Result<()> {
        self.proxy.listen(vec![Listener {
            place: At::Address(address),
            door: Door::Metrics,
        }])
    }

    /// How long it has been there.
    pub(crate) fn age(&self) -> Duration {
        self.clocks.now().mono.since(self.began)
    }

    /// What is counted of its calls, and where they can be watched.
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// The folder that holds what is run.
    pub(crate) fn folder(&self) -> &Path {
        self.place.folder()
    }

    /// The control plane that it runs by.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Publishes services by their names at this port of the loopback, beside those of their own.
    /// Who listens there hands on what arrives for them.
    pub(crate) fn publish_names_at(&mut self, port: u16) {
        self.names_at = Some(port);
    }

    /// The way to tell it what happens elsewhere.
    pub(crate) fn inbox(&self) -> mpsc::UnboundedSender<Happened> {
        self.happen.clone()
    }

    /// Starts every program, and runs until `until` ends or somebody asks for the end. Needs a
    /// `LocalSet` around it.
    pub(crate) async fn run(mut self, until: impl Future<Output = ()>) -> anyhow::Result<()> {
        for program in self.programs() {
            if program.id == self.host {
                bail!("{}: the name {HOST} stands for this machine", program.place);
            }
            self.start(program);
        }
        let reports = Reports::new(
            self.source.mesh.as_str(),
            &self.telemetry,
            self.clocks.clone(),
            &mut Dice::new(seed()),
        );
        let happen = self.happen.clone();
        // Whoever does not hear of it has ended.
        let trouble = move |why| drop(happen.send(Happened::Trouble(why)));
        let reporting = Reporting::begin(reports, self.attendance.reports(), trouble);
        let tap = self.telemetry.tap(Filter::default(), Tap::LIMIT);
        tokio::task::spawn_local(tell_first_calls(tap, self.happen.clone()));
        if self.source.file.is_some() {
            let folder = self.source.folder.clone();
            tokio::task::spawn_local(written::watch(folder, self.happen.clone()));
        }
        let mut until = std::pin::pin!(until);
        loop {
            let now = self.clocks.now();
            let renewal = self.certificates.poll_timeout(now);
            let renewal = renewal.map_or(Duration::MAX, |at| at.since(now.mono));
            tokio::select! {
                Some(happened) = self.happened.recv() => {
                    if let Happened::Asked(Question::Down(done)) = happened {
                        self.end(reporting).await;
                        // Whoever asked may have gone.
                        done.send(()).ok();
                        return Ok(());
                    }
                    self.handle(happened)?;
                }
                Ok(()) = self.editions.changed() => self.handle_edition(Vec::new())?,
                () = tokio::time::sleep(renewal) => self.renew(),
                Some(id) = self.renewals.recv() => {
                    let trouble = self.certificates.renew_one(&id, self.clocks.now());
                    if let Some(trouble) = trouble {
                        (self.tell)(News::Trouble(trouble));
                    }
                }
                ended = &mut self.control => return Err(ended?.into()),
                () = self.proxy.broken() => return Err(self.proxy.failure().into()),
                () = &mut until => break,
            }
        }
        self.end(reporting).await;
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
                (self.tell)(match record.event().fault() {
                    None => News::FirstCall(record),
                    Some(_) => News::FirstFailure(record),
                });
                Ok(())
            }
            Happened::Written(source) => self.handle_written(source),
            Happened::Trouble(what) => {
                (self.tell)(News::Trouble(what));
                Ok(())
            }
            Happened::Asked(question) => self.handle_question(question),
            Happened::Arrived(Arrived { stream, bytes }, taken) => {
                let door = Door::Named(self.host.clone(), Naming::Published);
                self.proxy.take(stream, bytes, door)?;
                // Who brought it may have gone.
                taken.send(()).ok();
                Ok(())
            }
        }
    }

    /// Answers; whoever asked may have gone, and then nobody is left to hear it.
    fn handle_question(&mut self, question: Question) -> anyhow::Result<()> {
        match question {
            Question::Rows(answer) => drop(answer.send(self.rows())),
            Question::Restart(id, answer) => drop(answer.send(self.restart(&id))),
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

    /// Reports what runs at this moment, and lets the proxy go by what that means.
    fn update(&mut self) -> anyhow::Result<()> {
        let edition = self.desk.report(self.present())?;
        self.go_by(edition);
        Ok(())
    }

    /// All that the proxy serves.
    fn present(&self) -> BTreeMap<WorkloadId, Present> {
        let host = Present {
            of: self.host.name.clone(),
            address: starting::address(0).into(),
            found: BTreeMap::new(),
            tunnel: None,
        };
        let inside = self.members.iter().filter(|(_, member)| member.inside);
        let mut present = BTreeMap::from([(self.host.clone(), host)]);
        present.extend(inside.map(|(id, member)| (id.clone(), member.present(self.tunnel))));
        present
    }

    /// Lets the proxy go by an edition.
    fn go_by(&mut self, edition: Arc<Edition>) {
        let workloads = self.present().into_keys().collect();
        let view = edition.view(&workloads);
        for workload in view.workloads.values() {
            if let Some(trouble) = self.certificates.prove(&workload.identity) {
                (self.tell)(News::Trouble(trouble));
            }
        }
        self.applications.see(&view, &self.networks());
        self.proxy.adopt(Arc::new(view), Scope::Whole);
        self.attendance.adopted(&edition, workloads);
        self.edition = edition;
    }

    /// The networks that belong to one workload alone.
    fn networks(&self) -> BTreeMap<WorkloadId, NetworkId> {
        let members = self.members.iter().filter(|(_, member)| member.inside);
        let networks = members.filter_map(|(id, member)| Some((id.clone(), member.network?)));
        networks.collect()
    }

    fn renew(&mut self) {
        for trouble in self.certificates.renew(self.clocks.now()) {
            (self.tell)(News::Trouble(trouble));
        }
    }
}

/// The workload as which calls from outside the mesh are made, by published ports.
pub(crate) const HOST: &str = "host";

/// A proxy that serves nothing yet, and what it shares with the mesh.
struct Front {
    proxy: Proxy,
    keyring: Arc<Keyring>,
    telemetry: Telemetry,
    /// Where it takes calls.
    tunnel: SocketAddr,
}

impl Front {
    fn start(edition: &Edition, clocks: &Clocks) -> anyhow::Result<Self> {
        let keyring = Arc::new(Keyring::new(clocks.clock()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let tunnel = listener.local_addr()?;
        let telemetry = Telemetry::new(leno_telemetry::Settings::default());
        let settings = leno_proxy::Settings {
            workers: leno_host::cpu::Cpu::read().workers(),
            listeners: vec![Listener {
                place: At::Socket(listener),
                door: Door::Tunnel,
            }],
            network: Network::default_network(),
            limits: Limits::of(connections()?),
            lame_duck: Duration::ZERO,
            node_servers: Vec::new(),
            predecessor: None,
            drain: DRAIN,
            seed: seed(),
        };
        let proxy = Proxy::start(
            settings,
            keyring.clone(),
            clocks.clone(),
            &telemetry,
            Arc::new(edition.view(&BTreeSet::new())),
            Scope::Whole,
        )?;
        Ok(Self {
            proxy,
            keyring,
            telemetry,
            tunnel,
        })
    }
}

/// The control plane of a place. Where nothing is written, it is there for one program.
fn control(
    source: &Source,
    place: &Place,
    happen: mpsc::UnboundedSender<Happened>,
) -> anyhow::Result<Control> {
    let data = match source.file {
        Some(_) => place.store(),
        None => place.store_of_one(),
    };
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let settings = leno_control::Settings {
        mesh: Some(source.mesh.clone()),
        // Who writes its objects runs its processes.
        keys: LocalKeys {
            folder: Some(source.folder.clone()),
            loopback: true,
        },
        ..leno_control::Settings::new(data, listen, place.control_socket())
    };
    let tell = move |event: &leno_control::Event| {
        if let leno_control::Event::Trouble { .. } = event {
            // When nobody listens, all has ended.
            drop(happen.send(Happened::Trouble(event.to_string())));
        }
    };
    Ok(Control::open(settings, tell)?)
}

/// Waits for the first call between two workloads that goes well, and tells of one that failed before.
async fn tell_first_calls(mut tap: Tap, happen: mpsc::UnboundedSender<Happened>) {
    let is_workload = |party: Party<'_>| match party {
        Party::Known { name, .. } => name != HOST,
        Party::Peer { .. } | Party::Outside(_) | Party::Probe | Party::Unknown => false,
    };
    let mut has_failed = false;
    loop {
        let record = tap.next().await;
        let event = record.event();
        let edge = match &event {
            Told::Call(call) => &call.edge,
            Told::Opened(stream) | Told::Stream(stream) => &stream.edge,
            Told::Handshake(_) | Told::Accept(_) => continue,
        };
        let is_first = event.reporter() == Reporter::Source
            && is_workload(edge.source)
            && is_workload(edge.destination);
        let fails = event.fault().is_some();
        if !is_first || (fails && has_failed) {
            continue;
        }
        has_failed = fails;
        // When nobody listens, all has ended.
        drop(happen.send(Happened::Called(record)));
        if !fails {
            return;
        }
    }
}
