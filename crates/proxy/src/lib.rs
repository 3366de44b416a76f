//! The proxy: listen, secure, admit, route, pick, forward, report.
//!
//! A [`Proxy`] runs one worker per core, each a thread with everything it needs; it decides by
//! `leno-traffic` and by nothing else. Where it listens is data ([`Listener`]), chosen once.

mod aim;
mod asked;
mod buffer;
mod coalesce;
mod connect;
mod copies;
mod decision;
mod dns;
mod export;
pub mod follow;
mod hands;
mod http;
mod incoming;
mod inside;
mod listen;
mod meter;
mod metrics;
mod named;
mod news;
mod pool;
mod pump;
pub mod reports;
mod room;
mod stream;
mod tcp;
mod telling;
mod tunnel;
mod worker;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use leno_channel::Keyring;
use leno_identity::{BadRoot, Trust};
use leno_model::view::{View, WorkloadId};
use leno_model::{Network, SpiffeId};
use leno_telemetry::Telemetry;
use leno_traffic::{Scope, Table};
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, watch};

pub use asked::Witness;
pub use inside::Inside;
pub use leno_channel::Clocks;
pub use listen::{Door, Listener, Place};

use crate::export::Export;
use crate::follow::Asker;
use crate::hands::Hands;
use crate::room::Room;
use crate::worker::Worker;

/// How a proxy runs.
#[derive(Debug)]
pub struct Settings {
    /// How many workers.
    pub workers: NonZeroUsize,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// The network in which addresses mean something here.
    pub network: Network,
    /// How many connections, and streams in tunnels, may live at once.
    pub connections: usize,
    /// How long live connections may go on once a drain has begun.
    pub drain: Duration,
    /// Where dice begin. Different in each process.
    pub seed: u64,
}

/// How many connections a process may hold that may open so many files: each takes two, and some
/// files are used for other things.
pub fn connections(files: Option<u64>) -> usize {
    const MOST: u64 = 1 << 20;
    const OTHERS: u64 = 128;
    let files = files.map_or(MOST, |files| files.min(MOST));
    usize::try_from(files.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX)
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    keyring: Arc<Keyring>,
    state: watch::Sender<State>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    /// Whose turn it is to take a connection.
    turn: AtomicUsize,
    export: Export,
    workers: Vec<JoinHandle<io::Result<()>>>,
}

/// What one worker is told to do with workloads that come and go.
#[derive(Debug)]
enum Order {
    /// Take what comes here too.
    Listen(listen::Socket),
    /// Reach the application of this workload so.
    Enclose(WorkloadId, inside::Share),
    /// Ask so what the view was never asked to hold.
    AskBy(Asker),
    /// Serve this connection, of which so much was read elsewhere, as if it had come by this door.
    Take(TcpStream, Vec<u8>, Door),
    /// Close what belongs to this workload.
    Leave(WorkloadId),
}

/// What all workers go by.
#[derive(Clone, Debug)]
struct State {
    table: Arc<Table>,
    /// Counts the changes of trust.
    trust: u64,
    draining: bool,
}

impl Proxy {
    /// Starts the workers. When this returns, every listener takes connections, and whatever the
    /// workers need files for beside connections is open.
    pub fn start(
        settings: Settings,
        keyring: Arc<Keyring>,
        clocks: Clocks,
        telemetry: &Telemetry,
        view: Arc<View>,
        scope: Scope,
    ) -> io::Result<Self> {
        judge_by(&keyring, &view);
        let export = Export::new(telemetry, clocks.clone(), &view, settings.seed);
        let table = Arc::new(Table::new(view, scope));
        let (state, _) = watch::channel(State {
            table: table.clone(),
            trust: 0,
            draining: false,
        });
        let Settings {
            workers,
            listeners,
            network,
            connections,
            drain,
            seed,
        } = settings;
        let room = Room::new(connections);
        let shares = listen::share(listeners, workers)?;
        let (mut orders, mut begun) = (Vec::new(), Vec::new());
        let workers = shares.into_iter().zip(seed..).map(|(sockets, seed)| {
            let (order, taking) = mpsc::unbounded_channel();
            orders.push(order);
            let (begin, has_begun) = std::sync::mpsc::channel();
            begun.push(has_begun);
            let (keyring, network, table) = (keyring.clone(), network.clone(), table.clone());
            let (telemetry, state) = (telemetry.clone(), state.subscribe());
            let (room, clocks) = (room.clone(), clocks.clone());
            let run = move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())?;
                let worker = Worker::new(keyring, clocks, network, table, telemetry, room, seed);
                let worker = Rc::new(worker);
                runtime.block_on(async {
                    let accepting = Accepting::at(&worker, sockets)?;
                    // Whoever started the workers waits for it.
                    begin.send(()).ok();
                    run_worker(worker, accepting, taking, state, drain).await
                })
            };
            std::thread::Builder::new()
                .name("leno-worker".into())
                .spawn(run)
        });
        let mut workers = workers.collect::<io::Result<Vec<_>>>()?;
        if let Some(failed) = begun.iter().position(|begun| begun.recv().is_err()) {
            return Err(why_ended(workers.swap_remove(failed)));
        }
        Ok(Self {
            keyring,
            state,
            orders,
            turn: AtomicUsize::new(0),
            export,
            workers,
        })
    }

    /// Listens at more places. When this returns, connections to them are kept waiting at worst.
    pub fn listen(&self, listeners: Vec<Listener>) -> io::Result<()> {
        let workers = NonZeroUsize::new(self.orders.len()).unwrap_or(NonZeroUsize::MIN);
        for (worker, sockets) in self.orders.iter().zip(listen::share(listeners, workers)?) {
            for socket in sockets {
                tell(worker, Order::Listen(socket))?;
            }
        }
        Ok(())
    }

    /// Serves `connection`, of which `came` has been read already, as if it had come by `door`: for
    /// whoever shares an address with it and sees by the first bytes whose connection it is.
    pub fn take(&self, connection: TcpStream, came: Vec<u8>, door: Door) -> io::Result<()> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.orders.len().max(1);
        let ended = || io::Error::other("the proxy has no worker");
        let worker = self.orders.get(turn).ok_or_else(ended)?;
        tell(worker, Order::Take(connection, came, door))
    }

    /// A way to try calls through this proxy from other tasks.
    pub(crate) fn hands(&self) -> Hands {
        Hands::new(
            self.keyring.clone(),
            self.state.subscribe(),
            self.orders.clone(),
        )
    }

    /// Reaches the application of `workload` inside its enclosure from here on.
    pub fn enclose(&self, workload: &WorkloadId, inside: &Inside) -> io::Result<()> {
        for worker in &self.orders {
            tell(worker, Order::Enclose(workload.clone(), inside.share()?))?;
        }
        Ok(())
    }

    /// Lets connections to what the view was never asked to hold wait for the control plane's answer.
    pub fn ask_by(&self, asker: &Asker) -> io::Result<()> {
        let mut workers = self.orders.iter();
        workers.try_for_each(|worker| tell(worker, Order::AskBy(asker.clone())))
    }

    /// Closes all listeners of `workload`, and no longer reaches into its enclosure. Connections
    /// that live go on.
    pub fn leave(&self, workload: &WorkloadId) -> io::Result<()> {
        let mut workers = self.orders.iter();
        workers.try_for_each(|worker| tell(worker, Order::Leave(workload.clone())))
    }

    /// Goes over to `view`, whole, if it does not take back what is held; says which roots in it
    /// cannot be used. Of several callers at once each is compared with what the one before it
    /// left. Streams whose permission no longer stands are cut, and no others.
    pub fn adopt(&self, view: Arc<View>, scope: Scope) -> Adopted {
        let mut adopted = Adopted::Yes {
            bad_roots: Vec::new(),
        };
        self.state.send_if_modified(|state| {
            let held = state.table.view();
            if !view.generation.follows(&held.generation) {
                adopted = Adopted::Stale { held: held.clone() };
                return false;
            }
            if view.bundles != held.bundles || view.revoked != held.revoked {
                let bad_roots = judge_by(&self.keyring, &view);
                adopted = Adopted::Yes { bad_roots };
                state.trust += 1;
            }
            self.export.follow(&view);
            state.table = Arc::new(state.table.next(view.clone(), scope));
            true
        });
        adopted
    }

    /// Takes no new calls; live ones may go on for as long as the settings say.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    /// Waits until every worker has ended. Blocks: call [`Self::drain`] before.
    pub fn join(self) -> io::Result<()> {
        for worker in self.workers {
            worker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a worker panicked")))?;
        }
        Ok(())
    }

    /// Waits until a worker has ended: a proxy without all of its workers is not to be kept alive.
    pub async fn broken(&self) {
        let ends = self.orders.iter().map(|order| Box::pin(order.closed()));
        let mut ends: Vec<_> = ends.collect();
        poll_fn(|context| {
            let mut ends = ends.iter_mut().map(|end| end.as_mut().poll(context));
            ends.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }

    /// Why a worker has ended by itself, once one has.
    pub fn failure(mut self) -> io::Error {
        let ended = self
            .orders
            .iter()
            .position(mpsc::UnboundedSender::is_closed);
        ended.map_or_else(
            || io::Error::other("nobody knows why"),
            |ended| why_ended(self.workers.swap_remove(ended)),
        )
    }

    /// Whether a worker has ended, and nobody told it to.
    pub fn is_broken(&self) -> bool {
        self.workers.iter().any(JoinHandle::is_finished) && !self.state.borrow().draining
    }
}

/// What became of a view.
#[derive(Debug)]
pub enum Adopted {
    /// Calls are decided by it.
    Yes {
        /// Roots in it that cannot be used.
        bad_roots: Vec<BadRoot>,
    },
    /// It is older than the one that is held.
    Stale {
        /// The one that is held.
        held: Arc<View>,
    },
}

fn tell(worker: &mpsc::UnboundedSender<Order>, order: Order) -> io::Result<()> {
    let ended = |_| io::Error::other("a worker of the proxy has ended");
    worker.send(order).map_err(ended)
}

/// Why a worker ended that nobody told to.
fn why_ended(worker: JoinHandle<io::Result<()>>) -> io::Error {
    match worker.join() {
        Ok(Err(error)) => error,
        Err(_) => io::Error::other("it panicked"),
        Ok(Ok(())) => io::Error::other("nobody knows why"),
    }
}

fn judge_by(keyring: &Keyring, view: &View) -> Vec<BadRoot> {
    let revoked: Arc<BTreeSet<SpiffeId>> = view.revoked.clone();
    let (trust, bad_roots) = Trust::new(&view.bundles, revoked);
    keyring.judge_by(Arc::new(trust));
    bad_roots
}

/// Runs one worker until it has drained. Beside the connections that it takes and makes it opens no
/// file: when none is left, it goes on.
async fn run_worker(
    worker: Rc<Worker>,
    mut accepting: Accepting,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut state: watch::Receiver<State>,
    drain: Duration,
) -> io::Result<()> {
    let mut trust = 0;
    let mut sweep = tokio::time::interval(SWEEP);
    let mut handing_over = std::pin::pin!(worker.keep_handing_over());
    loop {
        tokio::select! {
            never = &mut handing_over => match never {},
            changed = state.changed() => {
                let now = state.borrow_and_update().clone();
                if now.draining || changed.is_err() {
                    break;
                }
                let trust_changed = std::mem::replace(&mut trust, now.trust) != now.trust;
                worker.adopt(now.table, trust_changed);
            }
            Some(order) = orders.recv() => match order {
                Order::Listen(socket) => accepting.begin(&worker, socket)?,
                Order::Enclose(workload, share) => {
                    worker.enter_by(workload, Some(share.open()?));
                }
                Order::AskBy(asker) => worker.ask_by(asker),
                Order::Take(connection, came, door) => {
                    listen::take(&worker, &door, connection, &came);
                }
                Order::Leave(workload) => {
                    accepting.end(&workload);
                    worker.forget_upstreams(&workload);
                    worker.enter_by(workload, None);
                }
            },
            _ = sweep.tick() => {
                worker.sweep();
                if worker.is_broken() || accepting.has_ended() {
                    return Err(io::Error::other("too much panicked; see what was said above"));
                }
            }
        }
    }
    worker.drain();
    accepting.drained().await;
    if !is_idle(&worker, drain).await {
        worker.end();
        // What does not even hear that is closed with the runtime.
        is_idle(&worker, LAST_WORDS).await;
    }
    worker.hand_over();
    Ok(())
}

/// Waits until no connection lives, for as long as `limit`.
async fn is_idle(worker: &Worker, limit: Duration) -> bool {
    let idle = async {
        while worker.connections() > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    };
    tokio::time::timeout(limit, idle).await.is_ok()
}

/// What a worker listens at.
#[derive(Default)]
struct Accepting(Vec<Listening>);

struct Listening {
    /// The workload that it belongs to.
    workload: Option<WorkloadId>,
    /// Whether it goes on while the worker drains.
    stays: bool,
    task: tokio::task::JoinHandle<()>,
}

impl Accepting {
    /// Begins to accept at each of `sockets`.
    fn at(worker: &Rc<Worker>, sockets: Vec<listen::Socket>) -> io::Result<Self> {
        let mut accepting = Self::default();
        for socket in sockets {
            accepting.begin(worker, socket)?;
        }
        Ok(accepting)
    }

    fn begin(&mut self, worker: &Rc<Worker>, socket: listen::Socket) -> io::Result<()> {
        let (workload, stays) = (socket.door.workload().cloned(), socket.door.stays());
        if let Some((workload, port, address)) = socket.upstream() {
            worker.listens_for(workload, port, address);
        }
        let task = listen::accept(worker.clone(), socket.open()?);
        self.0.push(Listening {
            workload,
            stays,
            task: tokio::task::spawn_local(task),
        });
        Ok(())
    }

    /// Ends what belongs to `workload`.
    fn end(&mut self, workload: &WorkloadId) {
        self.0.retain(|listening| {
            let goes_on = listening.workload.as_ref() != Some(workload);
            if !goes_on {
                listening.task.abort();
            }
            goes_on
        });
    }

    /// Whether any has ended by itself: it panicked.
    fn has_ended(&self) -> bool {
        self.0.iter().any(|listening| listening.task.is_finished())
    }

    /// Waits until what has come to the sockets is taken and they are closed.
    async fn drained(self) {
        for listening in self.0.into_iter().filter(|listening| !listening.stays) {
            // One that panicked has ended as well.
            drop(listening.task.await);
        }
    }
}

/// How often idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// How long connections whose time is over may take to tell that.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often a drain looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use leno_model::TrustDomain;
    use leno_model::view::{Generation, Settings as MeshSettings};

    use super::*;

    /// A view of an empty mesh.
    pub(crate) fn view(position: u64) -> Arc<View> {
        Arc::new(View {
            generation: Generation {
                epoch: 1,
                positions: [("store".into(), position)].into(),
            },
            settings: Arc::new(MeshSettings::new(TrustDomain::new("shop.local").unwrap())),
            workloads: Default::default(),
            services: Default::default(),
            endpoints: Default::default(),
            revoked: Arc::default(),
            bundles: Default::default(),
        })
    }

    #[test]
    fn of_several_who_adopt_at_once_none_takes_back_what_another_said() {
        let clocks = Clocks::start();
        let settings = Settings {
            workers: NonZeroUsize::MIN,
            listeners: Vec::new(),
            network: Network::default_network(),
            connections: 1,
            drain: Duration::ZERO,
            seed: 1,
        };
        let keyring = Arc::new(Keyring::new(clocks.clock()));
        let telemetry = Telemetry::new(leno_telemetry::Settings::default());
        let proxy = Proxy::start(settings, keyring, clocks, &telemetry, view(0), Scope::Whole);
        let proxy = proxy.unwrap();
        let held = || proxy.state.borrow().table.view().generation.clone();
        let together = Barrier::new(4);
        std::thread::scope(|scope| {
            for first in 1..=4 {
                let (proxy, together) = (&proxy, &together);
                scope.spawn(move || {
                    together.wait();
                    for position in (first..2_000).step_by(4) {
                        let stale = match proxy.adopt(view(position), Scope::Whole) {
                            Adopted::Yes { .. } => false,
                            Adopted::Stale { held } => {
                                assert!(held.generation.positions["store"] > position);
                                true
                            }
                        };
                        let after = held().positions["store"];
                        assert!(
                            after >= position,
                            "{after} after {position}, stale: {stale}"
                        );
                    }
                });
            }
        });
        assert_eq!(held().positions["store"], 1_999);
        proxy.drain();
        proxy.join().unwrap();
    }
}
