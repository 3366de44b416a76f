//! The proxy: listen, secure, admit, route, pick, forward, report.
//!
//! A [`Proxy`] runs one worker per core, each a thread with everything it needs; it decides by
//! `leno-traffic` and by nothing else. Where it listens is data ([`Listener`]), chosen once.

mod ahead;
mod aim;
mod asked;
mod both;
mod buffer;
mod coalesce;
mod connect;
mod copies;
mod cut;
mod decision;
mod dns;
mod export;
mod first;
pub mod follow;
mod groups;
mod hands;
mod http;
mod incoming;
mod inside;
mod linger;
mod listen;
mod meter;
mod metrics;
mod named;
mod news;
mod outside;
mod patience;
mod pieces;
mod pipes;
mod pool;
mod proof;
mod pulse;
mod pump;
pub mod reports;
mod room;
mod run;
mod settings;
mod spread;
mod stream;
pub mod succession;
mod tcp;
mod telling;
mod told;
mod tunnel;
mod worker;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use leno_channel::Keyring;
use leno_host::Netns;
use leno_identity::{BadRoot, Trust};
use leno_model::view::{View, WorkloadId};
use leno_model::{Dice, Network, SpiffeId};
use leno_telemetry::Telemetry;
use leno_traffic::{Scope, Table};
use tokio::net::TcpSocket;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot, watch};

pub use asked::Witness;
pub use cut::Cut;
pub use dns::host::named_in as name_servers;
pub use inside::Inside;
pub use leno_channel::Clocks;
pub use listen::{Door, Listener, Place};
pub use proof::Prover;

use crate::export::Export;
use crate::follow::Asker;
use crate::hands::Hands;
use crate::proof::Proofs;
use crate::room::Room;
use crate::run::{Accepting, Ending, run};
use crate::spread::{Loads, Spread};
use crate::succession::{Heir, Plain, Predecessor};
use crate::told::ToldNames;
use crate::worker::{Part, Worker};

/// How a proxy runs.
#[derive(Debug)]
pub struct Settings {
    /// How many workers.
    pub workers: NonZeroUsize,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// The network in which addresses mean something here.
    pub network: Network,
    /// How much of what others can make grow there may be.
    pub limits: Limits,
    /// For how long it takes calls as before once it is told to end, and says that it is not ready.
    pub lame_duck: Duration,
    /// How long after that what lives may go on.
    pub drain: Duration,
    /// Whose place it takes.
    pub predecessor: Option<Predecessor>,
    /// The name servers of the node whose pods it serves, for those that ask these.
    pub node_servers: Vec<IpAddr>,
    /// Where dice begin. Different in each process.
    pub seed: u64,
}

/// How much there may be in a process of what others can make grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections, and streams in tunnels, that live at once.
    pub connections: usize,
    /// Connections from one peer: an identity that was proven, else an address.
    pub connections_of_peer: usize,
    /// Bytes in buffers. When they are spent reading stops, and what is new is refused.
    pub buffered: usize,
    /// For how long a peer may take nothing of what is ready for it, in requests and answers. It is given
    /// up after that, at the latest after twice as long.
    pub stalled: Duration,
}

impl Limits {
    /// Those of a process that may hold so many connections, where nobody says anything else.
    pub fn of(connections: usize) -> Self {
        Self {
            connections,
            connections_of_peer: (connections / 2).max(1),
            buffered: 256 << 20,
            stalled: Duration::from_secs(300),
        }
    }
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
    /// What it sends to see whether that comes.
    proofs: Arc<Proofs>,
    workers: Vec<JoinHandle<io::Result<Cut>>>,
}

/// What one worker is told to do with workloads that come and go.
#[derive(Debug)]
enum Order {
    /// Take what comes here too.
    Listen(listen::Socket),
    /// Reach the application of this workload so.
    Enclose(WorkloadId, inside::Share),
    /// Make connections for calls of this workload and to it in that network.
    ReachInto(WorkloadId, Arc<Netns>),
    /// Make the socket by which this address is connected to for a call of this workload.
    GiveSocket(
        WorkloadId,
        SocketAddr,
        oneshot::Sender<io::Result<TcpSocket>>,
    ),
    /// Ask so what the view was never asked to hold.
    AskBy(Asker),
    /// Serve this connection, of which so much was read elsewhere, as if it had come by this door.
    Take(TcpStream, Vec<u8>, Door),
    /// Serve this connection, which another worker accepted at this door.
    Accept(TcpStream, Door),
    /// Carry this stream on, whose client came by this door to an older process.
    Carry(Plain, Door),
    /// Close what belongs to this workload.
    Leave(WorkloadId),
    /// Lend the sockets that it listens on.
    Lend(std::sync::mpsc::Sender<Vec<OwnedFd>>),
}

/// What all workers go by.
#[derive(Clone, Debug)]
struct State {
    table: Arc<Table>,
    /// Counts the changes of trust.
    trust: u64,
    stage: Stage,
    /// Who has taken the place of this process.
    heir: Option<Heir>,
}

/// How far a proxy is on its way to its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    Serving,
    /// What lives ends in peace.
    Ending,
    /// What lives is ended.
    Over,
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
        leno_host::keep_freed();
        judge_by(&keyring, &view);
        let export = Export::new(telemetry, clocks.clone(), &view, settings.seed);
        let table = Arc::new(Table::new(view, scope));
        let (state, _) = watch::channel(State {
            table: table.clone(),
            trust: 0,
            stage: Stage::Serving,
            heir: None,
        });
        let Settings {
            workers,
            listeners,
            network,
            limits,
            lame_duck,
            drain,
            mut predecessor,
            node_servers,
            seed,
        } = settings;
        let node_servers: Arc<[IpAddr]> = node_servers.into();
        let ending = Ending { lame_duck, drain };
        let room = Room::new(limits.connections, limits.connections_of_peer);
        let buffered = limits.buffered / workers.get();
        let doors = listen::doors(&listeners);
        let mut inherited = Vec::new();
        if let Some(predecessor) = &mut predecessor {
            predecessor.ask().map_err(io::Error::other)?;
            inherited = predecessor.sockets();
        }
        let shares = listen::share(listeners, workers, inherited)?;
        let mut begun = Vec::new();
        let (orders, takings): (Vec<_>, Vec<_>) =
            shares.iter().map(|_| mpsc::unbounded_channel()).unzip();
        let loads = Loads::new(orders.len());
        let told = Arc::<ToldNames>::default();
        let proofs = Arc::<Proofs>::default();
        let parts = shares.into_iter().zip(takings).enumerate();
        let workers = parts.map(|(own, (sockets, taking))| {
            let part = Part {
                room: room.clone(),
                spread: Spread::new(loads.clone(), own, orders.clone()),
                buffered,
                stalled: limits.stalled,
                told: told.clone(),
                proofs: proofs.clone(),
                node_servers: node_servers.clone(),
                seed: seed.wrapping_add(own as u64),
            };
            let (begin, has_begun) = std::sync::mpsc::channel();
            begun.push(has_begun);
            let (keyring, network, table) = (keyring.clone(), network.clone(), table.clone());
            let (telemetry, state) = (telemetry.clone(), state.subscribe());
            let clocks = clocks.clone();
            let work = move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())?;
                let worker = Worker::new(keyring, clocks, network, table, telemetry, part);
                let worker = Rc::new(worker);
                runtime.block_on(async {
                    let accepting = Accepting::at(&worker, sockets)?;
                    // Whoever started the workers waits for it.
                    begin.send(()).ok();
                    run(worker, accepting, taking, state, ending).await
                })
            };
            std::thread::Builder::new()
                .name("leno-worker".into())
                .spawn(work)
        });
        let mut workers = workers.collect::<io::Result<Vec<_>>>()?;
        if let Some(failed) = begun.iter().position(|begun| begun.recv().is_err()) {
            return Err(why_ended(workers.swap_remove(failed)));
        }
        if let Some(predecessor) = predecessor {
            predecessor.retire(doors, orders.clone());
        }
        Ok(Self {
            keyring,
            state,
            orders,
            turn: AtomicUsize::new(0),
            export,
            proofs,
            workers,
        })
    }

    /// Listens at more places. When this returns, connections to them are kept waiting at worst.
    pub fn listen(&self, listeners: Vec<Listener>) -> io::Result<()> {
        let workers = NonZeroUsize::new(self.orders.len()).unwrap_or(NonZeroUsize::MIN);
        for (worker, sockets) in
            self.orders
                .iter()
                .zip(listen::share(listeners, workers, Vec::new())?)
        {
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

    /// What tries whether what `workload` sends comes by [`Door::Outbound`]: from within `netns`, its network, or from that
    /// of this process, which runs beside it.
    pub fn prover(
        &self,
        workload: WorkloadId,
        netns: Option<Arc<Netns>>,
        telemetry: &Telemetry,
        clocks: Clocks,
        seed: u64,
    ) -> Prover {
        Prover {
            workload,
            proofs: self.proofs.clone(),
            telemetry: telemetry.clone(),
            clocks,
            dice: Dice::new(seed),
            netns,
        }
    }

    /// Reaches the application of `workload` inside its enclosure from here on.
    pub fn enclose(&self, workload: &WorkloadId, inside: &Inside) -> io::Result<()> {
        for worker in &self.orders {
            tell(worker, Order::Enclose(workload.clone(), inside.share()?))?;
        }
        Ok(())
    }

    /// Makes connections for calls of `workload` and to it in its network namespace from here on, where what a proxy
    /// sends is known by its mark ([`leno_host::KnownBy::Mark`]). It takes `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`.
    pub fn reach_into(&self, workload: &WorkloadId, netns: &Arc<Netns>) -> io::Result<()> {
        let mut workers = self.orders.iter();
        workers
            .try_for_each(|worker| tell(worker, Order::ReachInto(workload.clone(), netns.clone())))
    }

    /// Lets connections to what the view was never asked to hold wait for the control plane's answer.
    pub fn ask_by(&self, asker: &Asker) -> io::Result<()> {
        let mut workers = self.orders.iter();
        workers.try_for_each(|worker| tell(worker, Order::AskBy(asker.clone())))
    }

    /// Closes all listeners of `workload`, and no longer reaches into its enclosure or network. Connections
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

    /// Begins to end: soon takes no new calls; live ones may go on for as long as the settings say.
    pub fn drain(&self) {
        self.go_on_to(Stage::Ending);
    }

    /// Ends what lives too, at once.
    pub fn end(&self) {
        self.go_on_to(Stage::Over);
    }

    /// Takes nothing new from here on, passes on what can be, and ends the rest as [`Self::drain`] does.
    pub fn succeeded_by(&self, heir: Heir) {
        self.state.send_modify(|state| {
            state.stage = state.stage.max(Stage::Ending);
            state.heir = Some(heir);
        });
    }

    fn go_on_to(&self, stage: Stage) {
        self.state
            .send_modify(|state| state.stage = state.stage.max(stage));
    }

    /// Waits until every worker has ended: told to by [`Self::drain`], it does.
    pub async fn ended(&self) {
        for order in &self.orders {
            order.closed().await;
        }
    }

    /// Waits until every worker has ended, and says what had to be cut. Blocks: call [`Self::drain`]
    /// before.
    pub fn join(self) -> io::Result<Cut> {
        let mut cut = Cut::default();
        for worker in self.workers {
            let ended = worker.join();
            cut.merge(ended.unwrap_or_else(|_| Err(io::Error::other("a worker panicked")))?);
        }
        // Nothing more is passed on, whoever still looks at the state.
        self.state.send_modify(|state| state.heir = None);
        Ok(cut)
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
        self.workers.iter().any(JoinHandle::is_finished)
            && self.state.borrow().stage == Stage::Serving
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
fn why_ended(worker: JoinHandle<io::Result<Cut>>) -> io::Error {
    match worker.join() {
        Ok(Err(error)) => error,
        Err(_) => io::Error::other("it panicked"),
        Ok(Ok(_)) => io::Error::other("nobody knows why"),
    }
}

fn judge_by(keyring: &Keyring, view: &View) -> Vec<BadRoot> {
    let revoked: Arc<BTreeSet<SpiffeId>> = view.revoked.clone();
    let (trust, bad_roots) = Trust::new(&view.bundles, revoked);
    keyring.judge_by(Arc::new(trust));
    bad_roots
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::sync::Barrier;

    use leno_host::PROXY_MARK;
    use leno_model::view::{Generation, Settings as MeshSettings};
    use leno_model::{Name, Namespace, TrustDomain};
    use socket2::{Domain, SockRef, Socket, Type};

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
            sidecars: Default::default(),
            token_keys: Default::default(),
        })
    }

    /// A proxy that listens nowhere, with one worker.
    fn proxy() -> Proxy {
        let clocks = Clocks::start();
        let settings = Settings {
            workers: NonZeroUsize::MIN,
            listeners: Vec::new(),
            network: Network::default_network(),
            limits: Limits::of(1),
            lame_duck: Duration::ZERO,
            drain: Duration::ZERO,
            predecessor: None,
            node_servers: Vec::new(),
            seed: 1,
        };
        let keyring = Arc::new(Keyring::new(clocks.clock()));
        let telemetry = Telemetry::new(leno_telemetry::Settings::default());
        Proxy::start(settings, keyring, clocks, &telemetry, view(0), Scope::Whole).unwrap()
    }

    #[tokio::test]
    async fn whoever_tries_a_call_of_a_workload_needs_no_right_for_its_socket() {
        let tried = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        let may_mark = tried.set_mark(PROXY_MARK).is_ok();
        let proxy = proxy();
        // That of this thread alone: workers began with theirs.
        leno_host::give_up_rights().unwrap();
        let (hands, netns) = (proxy.hands(), Arc::new(Netns::own().unwrap()));
        let id = |name: &str| WorkloadId {
            namespace: Namespace::default_namespace(),
            name: Name::new(name).unwrap(),
        };
        let (cart, web) = (id("cart-1"), id("web-1"));
        let to = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 80);
        let socket = async |id| {
            let socket = hands.socket_for(id, to).await;
            socket.map(|socket| SockRef::from(&socket).mark().unwrap())
        };
        assert_eq!(socket(&cart).await.unwrap(), 0);
        proxy.reach_into(&cart, &netns).unwrap();
        match may_mark {
            true => assert_eq!(socket(&cart).await.unwrap(), PROXY_MARK),
            false => assert!(socket(&cart).await.is_err()),
        }
        assert_eq!(socket(&web).await.unwrap(), 0);
        proxy.leave(&cart).unwrap();
        assert_eq!(socket(&cart).await.unwrap(), 0);
        proxy.drain();
        proxy.join().unwrap();
    }

    #[test]
    fn of_several_who_adopt_at_once_none_takes_back_what_another_said() {
        let proxy = proxy();
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
