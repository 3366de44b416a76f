//! One worker: a thread with its own connections, pools, balancer and counters. Nothing on a
//! request's path is shared with another worker but what is read only.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use leno_channel::{Clocks, Keyring};
use leno_host::KeptBlocks;
use leno_host::Netns;
use leno_identity::Pace;
use leno_model::view::{PortRef, State, WorkloadId};
use leno_model::{CallId, Code, Dice, HostName, Mono, Network, Now, Wall};
use leno_telemetry::{
    Accept, Bytes, Decided, Edge, Endpoints, Event, Flow, Limit, Party, Recorder, Reporter,
    Security, Stream, Telemetry, Unusable,
};
use leno_traffic::{Balancer, Direct, Permit, Picked, Port, Refusal, Table, Tokens, Tried};
use tokio::sync::Notify;
use tokio::time::Sleep;

use crate::buffer::Buffers;
use crate::copies::Space;
use crate::cut::Cut;
use crate::dns::Forwarding;
use crate::follow::Asker;
use crate::http::authorize::Questions;
use crate::http::http2::shared::SharedPool;
use crate::inside::Entrance;
use crate::named::Lookups;
use crate::news::{News, Reader};
use crate::pool::{Pool, TargetRef};
use crate::proof::Proofs;
use crate::room::{Peer, Places, Room, Seat, Share};
use crate::spread::Spread;
use crate::stream;
use crate::succession::{Heir, Passed, Plain};
use crate::told::ToldNames;
use crate::tunnel::client::Tunnels;

/// What the tasks of one worker share.
pub(crate) struct Worker {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) network: Network,
    pub(crate) balancer: RefCell<Balancer>,
    pub(crate) dice: RefCell<Dice>,
    /// The tokens that it has proven.
    pub(crate) tokens: Tokens,
    pub(crate) buffers: Buffers,
    /// For how long a peer may take nothing of what is ready for it.
    pub(crate) stalled: Duration,
    pub(crate) space: Space,
    /// One more share of it for each copy of a request that is under way.
    pub(crate) copying: Rc<()>,
    /// The questions to external authorizers that are under way.
    pub(crate) asking: Questions,
    pub(crate) pool: Pool,
    pub(crate) shared: SharedPool,
    pub(crate) tunnels: Tunnels,
    pub(crate) news: News,
    pub(crate) telemetry: Telemetry,
    pub(crate) forwarding: Forwarding,
    pub(crate) lookups: Lookups,
    pub(crate) told: Arc<ToldNames>,
    pub(crate) proofs: Arc<Proofs>,
    pub(crate) node_servers: Arc<[IpAddr]>,
    asker: RefCell<Option<Asker>>,
    entrances: RefCell<BTreeMap<WorkloadId, Rc<Entrance>>>,
    /// The network namespaces of workloads that we reach into.
    networks: RefCell<BTreeMap<WorkloadId, Arc<Netns>>>,
    upstreams: RefCell<BTreeMap<SocketAddr, (WorkloadId, PortRef)>>,
    table: RefCell<Held>,
    recorder: RefCell<Recorder>,
    /// Told when somebody waits for a beat, or there is something to hand over and was not before.
    counted: Notify,
    beats: News,
    clocks: Clocks,
    pace: RefCell<Pace>,
    phase: Cell<Phase>,
    places: Rc<Places>,
    pub(crate) spread: Spread,
    connections: Cell<usize>,
    cut: RefCell<Cut>,
    heir: RefCell<Option<Heir>>,
    panics: Cell<Panics>,
    blocks: KeptBlocks,
}

/// How far a worker is on its way to its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// As before, and not ready.
    LameDuck,
    /// No new calls; those that live go on.
    Draining,
    /// Nothing lives any longer.
    Over,
}

/// A worker's part of what its process has.
pub(crate) struct Part {
    /// Where its connections have their places.
    pub(crate) room: Arc<Room>,
    /// The way to the other workers.
    pub(crate) spread: Spread,
    /// How many bytes it may hold in buffers.
    pub(crate) buffered: usize,
    /// For how long a peer may take nothing of what is ready for it.
    pub(crate) stalled: Duration,
    /// What workloads were told of hosts outside the mesh.
    pub(crate) told: Arc<ToldNames>,
    /// What the process sends to see whether that comes.
    pub(crate) proofs: Arc<Proofs>,
    /// The name servers of the node whose pods it serves.
    pub(crate) node_servers: Arc<[IpAddr]>,
    /// Where its dice begin.
    pub(crate) seed: u64,
}

/// The panics of tasks since a moment.
#[derive(Clone, Copy, Default)]
struct Panics {
    since: Mono,
    count: u32,
}

/// How many tasks of one worker may panic within a minute before it is taken for broken.
const MOST_PANICS: u32 = 10;
/// How long after something began to be counted those who count are told, and what was counted by kind
/// of call is handed over.
const BEAT: Duration = Duration::from_secs(1);

const MINUTE: Duration = Duration::from_secs(60);

impl Worker {
    /// On the thread that it works on.
    pub(crate) fn new(
        keyring: Arc<Keyring>,
        clocks: Clocks,
        network: Network,
        table: Arc<Table>,
        telemetry: Telemetry,
        part: Part,
    ) -> Self {
        let places = Places::new(part.room);
        Self {
            keyring,
            network,
            balancer: RefCell::new(Balancer::new(&table)),
            dice: RefCell::new(Dice::new(part.seed)),
            tokens: Tokens::default(),
            buffers: Buffers::new(part.buffered, places.clone()),
            stalled: part.stalled,
            space: Space::default(),
            copying: Rc::default(),
            asking: Questions::default(),
            pool: Pool::default(),
            shared: SharedPool::default(),
            tunnels: Tunnels::default(),
            news: News::default(),
            forwarding: Forwarding::default(),
            lookups: Lookups::default(),
            told: part.told,
            proofs: part.proofs,
            node_servers: part.node_servers,
            asker: RefCell::default(),
            entrances: RefCell::default(),
            networks: RefCell::default(),
            upstreams: RefCell::default(),
            table: RefCell::new(Held::new(table)),
            recorder: RefCell::new(telemetry.recorder()),
            counted: Notify::new(),
            beats: News::default(),
            telemetry,
            pace: RefCell::new(Pace::new(clocks.now())),
            clocks,
            phase: Cell::new(Phase::Serving),
            places,
            spread: part.spread,
            connections: Cell::new(0),
            cut: RefCell::default(),
            heir: RefCell::default(),
            panics: Cell::default(),
            blocks: leno_host::keep_blocks(),
        }
    }

    /// What calls are decided by. A call keeps the one it began with.
    pub(crate) fn table(&self) -> Held {
        self.table.borrow().clone()
    }

    /// Decides by `table` from here on. Whoever proved something under another trust proves it anew.
    pub(crate) fn adopt(&self, table: Arc<Table>, trust_changed: bool) {
        self.balancer.borrow_mut().adopt(&table);
        self.told.keep(table.view());
        *self.table.borrow_mut() = Held::new(table);
        if trust_changed {
            self.tunnels.retire();
            self.pool.retire();
            self.shared.retire();
        }
        self.news.announce();
    }

    /// Says that it is not ready, and goes on as before.
    pub(crate) fn begin_to_leave(&self) {
        self.go_on_to(Phase::LameDuck);
    }

    /// Takes no new calls; those that live go on.
    pub(crate) fn drain(&self) {
        self.go_on_to(Phase::Draining);
        self.pool.clear();
        self.shared.clear();
    }

    /// Ends those that live too, each with its reason.
    pub(crate) fn end(&self) {
        self.go_on_to(Phase::Over);
    }

    /// Takes no new calls: a newer process does, and is given what can be.
    pub(crate) fn is_succeeded_by(&self, heir: Heir) {
        *self.heir.borrow_mut() = Some(heir);
        self.drain();
    }

    /// Whether a newer process has taken the place of this one.
    pub(crate) fn is_succeeded(&self) -> bool {
        self.heir.borrow().is_some()
    }

    /// Passes on a connection from `from` on which nothing is under way, if there is somebody to take
    /// it. One that cannot change its process is closed, and so is one whose peer said for whom it
    /// connects: it would be asked again.
    pub(crate) fn let_go(&self, client: stream::Stream, from: SocketAddr) {
        if let (Some(heir), stream::Stream::Tcp(tcp)) = (&*self.heir.borrow(), client)
            && tcp.peer_addr().is_ok_and(|peer| peer == from)
            && let Ok(tcp) = tcp.into_std()
        {
            heir.give(Passed::Connection(tcp));
        }
    }

    /// Passes on both ends of a stream, whose client comes from `from`, whose server was reached at `to`, and
    /// of which nothing is held. What cannot be passed on is ended.
    pub(crate) fn pass_on(
        &self,
        id: CallId,
        (client, from): (stream::Stream, SocketAddr),
        (server, to): (stream::Stream, SocketAddr),
    ) {
        let heir = self.heir.borrow();
        match (&*heir, client, server) {
            (Some(heir), stream::Stream::Tcp(client), stream::Stream::Tcp(server)) => {
                if let (Ok(client), Ok(server)) = (client.into_std(), server.into_std()) {
                    heir.give(Passed::Stream(Plain {
                        id,
                        client,
                        from,
                        server,
                        to,
                    }));
                }
            }
            (_, client, server) => {
                client.reset(None);
                server.reset(None);
            }
        }
    }

    /// Whether the connection of a client may live on behind an answer.
    pub(crate) fn keeps(&self, client: &stream::Stream) -> bool {
        !self.is_draining() || self.is_succeeded() && matches!(client, stream::Stream::Tcp(_))
    }

    fn go_on_to(&self, phase: Phase) {
        self.phase.set(self.phase.get().max(phase));
        self.news.announce();
    }

    /// Whether calls should rather be made elsewhere.
    pub(crate) fn is_leaving(&self) -> bool {
        self.phase.get() > Phase::Serving
    }

    /// Whether no new calls are taken.
    pub(crate) fn is_draining(&self) -> bool {
        self.phase.get() >= Phase::Draining
    }

    /// Waits until no new calls are taken.
    pub(crate) async fn begins_to_drain(&self) {
        self.reaches(Phase::Draining).await;
    }

    /// Waits until what lives is ended.
    pub(crate) async fn is_told_to_end(&self) {
        self.reaches(Phase::Over).await;
    }

    /// Waits until a newer process has taken the place of this one.
    pub(crate) async fn is_taken_over(&self) {
        let mut news = self.news.subscribe();
        while !self.is_succeeded() {
            news.changed().await;
        }
    }

    async fn reaches(&self, phase: Phase) {
        let mut news = self.news.subscribe();
        while self.phase.get() < phase {
            news.changed().await;
        }
    }

    /// Whether the time of those that live is over, too.
    pub(crate) fn is_over(&self) -> bool {
        self.phase.get() == Phase::Over
    }

    /// Remembers that `workload` was told that `name` has an address, for so long.
    pub(crate) fn was_told(
        &self,
        workload: &WorkloadId,
        name: &HostName,
        address: (IpAddr, Duration),
    ) {
        let has_forgotten = self.told.tell(workload, name, address, self.mono());
        if has_forgotten && let Some(limit) = Limit::of(Code::D010) {
            self.recorder.borrow_mut().bit(limit, 1);
        }
    }

    /// Whether what lives by `permit` may go on.
    pub(crate) fn still_carries(&self, permit: &Permit) -> Result<(), Refusal> {
        if self.is_over() {
            return Err(Refusal::Draining);
        }
        let permitted = self.table().still_permits(permit);
        permitted.map_err(Refusal::PermitWithdrawn)
    }

    /// Closes what has been idle for too long, and lets everyone count anew if time has jumped.
    pub(crate) fn sweep(&self) {
        let now = self.now();
        self.pool.sweep(now.mono);
        self.shared.sweep(now.mono);
        self.tunnels.sweep(now.mono);
        self.buffers.pipes.sweep();
        self.blocks.sweep();
        let stopped = self.buffers.take_stopped();
        if stopped > 0 {
            let mut recorder = self.recorder.borrow_mut();
            recorder.bit(Limit::BufferedBytes, stopped);
        }
        // Streams that are open count on while nothing happens to them.
        self.hand_over();
        if self.pace.borrow_mut().has_jumped(now) {
            self.news.announce();
        }
    }

    /// Whether so many tasks panicked that nobody should rely on this worker.
    pub(crate) fn is_broken(&self) -> bool {
        self.panics.get().count > MOST_PANICS
    }

    /// How many connections live.
    pub(crate) fn connections(&self) -> usize {
        self.connections.get()
    }

    fn count_connections(&self, count: usize) {
        self.connections.set(count);
        self.spread.carries(count);
    }

    /// Whether anything lives that a drain waits for: connections, and copies of requests.
    pub(crate) fn is_busy(&self) -> bool {
        self.connections() > 0 || Rc::strong_count(&self.copying) > 1
    }

    /// What had to be cut because it lived for too long.
    pub(crate) fn cut(&self) -> Cut {
        self.cut.take()
    }

    /// Both clocks, read.
    pub(crate) fn now(&self) -> Now {
        self.clocks.now()
    }

    /// The clock that only goes forward, read.
    pub(crate) fn mono(&self) -> Mono {
        self.clocks.mono()
    }

    /// How long a proof still stands whose last second is `end`.
    pub(crate) fn until(&self, end: Wall) -> Duration {
        (end + Duration::from_secs(1)).since(self.now().wall)
    }

    /// Waits until `point`.
    pub(crate) fn sleep_until(&self, point: Mono) -> Sleep {
        tokio::time::sleep_until(self.clocks.instant(point))
    }

    /// Picks an endpoint of `port` for one try.
    pub(crate) fn pick(&self, port: &Port, tried: &Tried, now: Mono) -> Result<Picked, Refusal> {
        let dice = &mut self.dice.borrow_mut();
        self.balancer.borrow().pick(port, tried, now, dice, None)
    }

    /// Holds the endpoint of `port` that is called in plain at `address`, if it has one.
    pub(crate) fn busy_with(&self, port: &Port, address: SocketAddr) -> Option<Picked> {
        let mut endpoints = port.slices().iter().flat_map(|slice| slice.endpoints());
        let endpoint = endpoints.find(|one| one.address == address && one.tunnel.is_none())?;
        let direct = Direct {
            of: port,
            endpoint,
            address,
        };
        Some(self.balancer.borrow().direct(&direct, self.mono()))
    }

    /// How many endpoints `port` has, and why the first of them cannot be picked, none of which can.
    pub(crate) fn unusable(&self, port: &Port) -> (u32, Vec<Unusable>) {
        let balancer = self.balancer.borrow();
        let known = u32::try_from(balancer.endpoints(port).count()).unwrap_or(u32::MAX);
        let first = balancer.endpoints(port).take(Endpoints::MOST_UNUSABLE);
        let unusable = first.map(|endpoint| Unusable {
            endpoint: endpoint.address,
            why: match endpoint.state {
                State::Draining => "draining",
                State::Ready => "ready",
                State::Unknown => "not known to be ready",
            },
        });
        (known, unusable.collect())
    }

    /// Asks by `asker` what the view was never asked to hold.
    pub(crate) fn ask_by(&self, asker: Asker) {
        *self.asker.borrow_mut() = Some(asker);
    }

    /// Who can be asked what the view was never asked to hold.
    pub(crate) fn asker(&self) -> Option<Asker> {
        self.asker.borrow().clone()
    }

    /// Reaches the application of `workload` by `entrance` from here on; without one, at its address.
    pub(crate) fn enter_by(&self, workload: WorkloadId, entrance: Option<Entrance>) {
        let mut entrances = self.entrances.borrow_mut();
        match entrance {
            Some(entrance) => entrances.insert(workload, Rc::new(entrance)),
            None => entrances.remove(&workload),
        };
    }

    /// Makes connections for calls of `workload` and to it in that network from here on; without one, in ours.
    pub(crate) fn reach_into(&self, workload: WorkloadId, netns: Option<Arc<Netns>>) {
        let mut networks = self.networks.borrow_mut();
        let before = match netns {
            Some(netns) => networks.insert(workload, netns),
            None => networks.remove(&workload),
        };
        drop(networks);
        if let Some(before) = before {
            self.pool.forget(&before);
            self.shared.forget(&before);
            self.tunnels.forget(&before);
        }
    }

    /// Where connections for calls of `workload` and to it are made, if that is not our own network.
    pub(crate) fn netns(&self, workload: &WorkloadId) -> Option<Arc<Netns>> {
        self.networks.borrow().get(workload).cloned()
    }

    /// Takes connections to `address` for calls of `workload` to `port` from here on.
    pub(crate) fn listens_for(&self, workload: WorkloadId, port: PortRef, address: SocketAddr) {
        self.upstreams
            .borrow_mut()
            .insert(address, (workload, port));
    }

    /// Takes no connections for calls of `workload` any more.
    pub(crate) fn forget_upstreams(&self, workload: &WorkloadId) {
        let mut upstreams = self.upstreams.borrow_mut();
        upstreams.retain(|_, (caller, _)| caller != workload);
    }

    /// What a call of `workload` to `address` means, if a listener of ours takes such calls there:
    /// it needs not be called to find that out.
    pub(crate) fn upstream(&self, workload: &WorkloadId, address: SocketAddr) -> Option<PortRef> {
        let upstreams = self.upstreams.borrow();
        let (caller, port) = upstreams.get(&address)?;
        (caller == workload).then(|| port.clone())
    }

    /// The way into the enclosure of the application that `target` is, if it is in one.
    pub(crate) fn entrance(&self, target: &TargetRef<'_>) -> Option<Rc<Entrance>> {
        let entrances = self.entrances.borrow();
        if !target.is_own() || entrances.is_empty() {
            return None;
        }
        let table = self.table();
        let workload = table.workload_at(&self.network, target.address.ip())?;
        entrances.get(&workload.id).cloned()
    }

    /// A name for a call that begins here.
    pub(crate) fn new_id(&self) -> CallId {
        CallId::roll(&mut self.dice.borrow_mut())
    }

    /// A number for a question that is forwarded.
    pub(crate) fn roll_id(&self) -> [u8; 2] {
        let [first, second, ..] = self.dice.borrow_mut().next_u64().to_be_bytes();
        [first, second]
    }

    /// Says what happened.
    pub(crate) fn report(&self, event: &Event<'_>) {
        if self.is_over()
            && event.code() == Some(Code::R041)
            && let Some(edge) = event.edge()
        {
            self.cut.borrow_mut().count(edge);
        }
        self.recording(|recorder| recorder.record(event));
    }

    /// Whether somebody takes spans: else no call is traced.
    pub(crate) fn takes_spans(&self) -> bool {
        self.recorder.borrow().takes_spans()
    }

    /// Counts bytes of something that goes on.
    pub(crate) fn count(&self, flow: &Flow<'_>) {
        self.recording(|recorder| recorder.flow(flow));
    }

    fn recording(&self, record: impl FnOnce(&mut Recorder)) {
        let mut recorder = self.recorder.borrow_mut();
        let held = recorder.holds_flows();
        record(&mut recorder);
        if !held && recorder.holds_flows() {
            self.counted.notify_one();
        }
    }

    /// Hands over what was counted by kind of call.
    pub(crate) fn hand_over(&self) {
        let now = self.now().wall;
        self.recorder.borrow_mut().hand_over(now);
    }

    /// Learns within a second that it is time to count.
    pub(crate) fn next_beat(&self) -> Reader {
        self.counted.notify_one();
        self.beats.subscribe()
    }

    /// Tells those who wait that it is time to count.
    pub(crate) fn beat(&self) {
        self.beats.announce();
    }

    /// Lets those count who wait for it, and hands over a while after something was counted, again and
    /// again. While nothing is, it holds no timer.
    pub(crate) async fn keep_handing_over(&self) -> Infallible {
        loop {
            self.counted.notified().await;
            tokio::time::sleep(BEAT).await;
            self.beat();
            self.hand_over();
        }
    }

    /// Says that connections wait at `listener` for which no file is left: once for all workers,
    /// and again if it lasts.
    pub(crate) fn tell_starved(&self, reporter: Reporter, listener: SocketAddr, why: &io::Error) {
        let now = self.now();
        if self.places.room().notes_starved(now.mono) {
            self.report(&Event::Accept(Accept {
                id: self.new_id(),
                reporter,
                listener,
                at: now.wall,
                code: Code::H004,
                why: &why.to_string(),
            }));
        }
    }

    /// A place for one more connection or stream; with `spare`, beyond what there may be.
    pub(crate) fn seat(&self, spare: usize) -> Option<Seat> {
        self.places.take(spare)
    }

    /// Whether another connection may come in.
    pub(crate) fn admit(&self) -> Result<Seat, Refusal> {
        if self.buffers.are_spent() {
            return Err(Refusal::BuffersFull);
        }
        self.seat(0).ok_or(Refusal::TooManyConnections)
    }

    /// One more connection of a peer.
    pub(crate) fn join(&self, peer: Peer) -> Option<Share> {
        self.places.room().join(peer)
    }

    /// Says that the limit which `code` stands for bit somebody who cannot be told so.
    pub(crate) fn note_limit(&self, code: Code) {
        if let Some(limit) = Limit::of(code) {
            self.recorder.borrow_mut().bit(limit, 1);
        }
    }

    /// Runs the task of a connection or stream from `peer`, and counts it while it lives.
    pub(crate) fn spawn(
        self: &Rc<Self>,
        seat: Seat,
        peer: SocketAddr,
        task: impl Future<Output = ()> + 'static,
    ) {
        self.count_connections(self.connections.get() + 1);
        let counted = Counted(self.clone(), seat);
        self.run(peer, Some(counted), task);
    }

    /// Runs a task that no drain waits for. If it panics it is dropped, with all that it holds, and
    /// that is told.
    pub(crate) fn supervise(
        self: &Rc<Self>,
        peer: SocketAddr,
        task: impl Future<Output = ()> + 'static,
    ) {
        self.run(peer, None, task);
    }

    fn run(
        self: &Rc<Self>,
        peer: SocketAddr,
        counted: Option<Counted>,
        task: impl Future<Output = ()> + 'static,
    ) {
        let worker = self.clone();
        // What is moved into an async block takes its room twice; a box is small.
        let mut task = Box::pin(task);
        tokio::task::spawn_local(async move {
            let _counted = counted;
            std::future::poll_fn(|context| {
                // What a task leaves half done is its own: shared state is borrowed for one call.
                let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context)));
                polled.unwrap_or_else(|_| {
                    worker.note_panic(peer);
                    Poll::Ready(())
                })
            })
            .await;
        });
    }

    fn note_panic(&self, peer: SocketAddr) {
        let now = self.now();
        let mut panics = self.panics.get();
        if now.mono.since(panics.since) > MINUTE {
            panics = Panics {
                since: now.mono,
                count: 0,
            };
        }
        panics.count += 1;
        self.panics.set(panics);
        self.report(&Event::Stream(Stream {
            id: self.new_id(),
            edge: Edge {
                reporter: Reporter::Source,
                source: Party::Unknown,
                destination: Party::Unknown,
                security: Security::None,
            },
            route: None,
            peer,
            endpoint: None,
            began: now.wall,
            took: Duration::ZERO,
            opened: false,
            refused: Some(Code::R044),
            sent: 0,
            received: 0,
            counted: Bytes::default(),
            logged: None,
            decided: Decided::default(),
        }));
    }
}

/// The table that a worker decides by, shared among its own tasks: each call holds one, and no other
/// worker's count is touched for it.
#[derive(Clone, Debug)]
pub(crate) struct Held(Rc<Shared>);

#[derive(Debug)]
struct Shared(Arc<Table>);

impl Held {
    fn new(table: Arc<Table>) -> Self {
        Self(Rc::new(Shared(table)))
    }

    /// What knows it again, and does not hold it.
    pub(crate) fn mark(&self) -> Mark {
        Mark(Rc::downgrade(&self.0))
    }
}

/// What knows a table again that a worker decides by.
pub(crate) struct Mark(Weak<Shared>);

impl Mark {
    /// Whether it is this one.
    pub(crate) fn is_of(&self, table: &Held) -> bool {
        ptr::eq(self.0.as_ptr(), Rc::as_ptr(&table.0))
    }
}

impl Deref for Held {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.0.0
    }
}

/// A connection that lives.
struct Counted(Rc<Worker>, #[expect(dead_code, reason = "it is held")] Seat);

impl Drop for Counted {
    fn drop(&mut self) {
        let worker = &self.0;
        worker.count_connections(worker.connections.get() - 1);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use leno_traffic::Scope;
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;
    use crate::spread::Loads;
    use crate::tests::view;

    /// A worker of an empty mesh.
    pub(crate) fn worker() -> Worker {
        let clocks = Clocks::start();
        Worker::new(
            Arc::new(Keyring::new(clocks.clock())),
            clocks,
            Network::default_network(),
            Arc::new(Table::new(view(0), Scope::Whole)),
            Telemetry::new(leno_telemetry::Settings::default()),
            Part {
                room: Room::new(1, 1),
                spread: Spread::new(Loads::new(1), 0, Vec::new()),
                buffered: usize::MAX,
                stalled: Duration::MAX,
                told: Arc::default(),
                proofs: Arc::default(),
                node_servers: Arc::default(),
                seed: 1,
            },
        )
    }

    #[test]
    fn a_panic_ends_its_own_task_and_many_end_the_worker() {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let worker = Rc::new(worker());
            let peer = SocketAddr::from(([127, 0, 0, 1], 4711));
            for _ in 0..=MOST_PANICS {
                assert!(!worker.is_broken());
                // The place of the one before is free again.
                let seat = worker.seat(0).unwrap();
                worker.spawn(seat, peer, async { panic!("a bug, as asked for") });
                while worker.connections() > 0 {
                    tokio::task::yield_now().await;
                }
            }
            assert!(worker.is_broken());
            let told = worker.telemetry.snapshot().refused;
            let count = u64::from(MOST_PANICS) + 1;
            assert_eq!(told, [(Reporter::Source, Code::R044, count)]);
        });
    }
}
