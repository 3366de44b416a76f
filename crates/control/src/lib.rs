//! The control plane: sources in, views out, and the CA.
//!
//! What people apply and what stands in watched folders becomes an edition of the whole mesh; each
//! connected proxy is told its part of it. [`Control`] runs all of it as supervised tasks: when
//! one of them ends, so does the process that should not go on without it.
//!
//! | task | what it does |
//! |---|---|
//! | `acting` | keeps the lease, where several control planes share an etcd |
//! | `renew` | reads the sources again when there is news, and makes the next edition |
//! | `watch` | looks at folders |
//! | `prove` | keeps the control plane's own certificate young |
//! | `principal` | follows the default control plane, where this one stands beside it |
//! | `outside` | asks an authority outside for intermediates, where one is to sign |
//! | `rotate` | lets the CA's roots and the intermediate replace each other |
//! | `peers` | other trust domains: asks for what proves their identities |
//! | `serve` | proxies: join, renew, distribution |
//! | `issuers` | those whose tokens let proxies join: asks for their keys |
//! | `beside` | processes of this host: join |
//! | `overrides` | the clock: measures end when their time is over |
//! | `watching` | what becomes of calls since a change that is watched |
//! | `tidy` | adds up what is kept of flows, and lets the oldest go |
//! | `administer` | people: the Unix socket; those elsewhere come to `serve` |
//! | `metrics` | whoever reads metrics |
//! | `export` | the collector of the mesh |

mod accounts;
mod administer;
mod apply;
mod asking;
mod attest;
mod auditing;
mod authority;
mod beside;
mod center;
mod clock;
mod cluster;
mod condition;
mod desk;
mod distribute;
mod edition;
mod elsewhere;
mod entitled;
mod event;
mod export;
mod fleet;
mod flows;
mod folder;
mod found;
mod holders;
mod inject;
mod issue;
mod issuers;
mod items;
mod jwks;
mod keys;
mod keyset;
mod lacking;
mod layout;
mod lead;
mod meaning;
mod metrics;
mod mint;
mod missing;
mod observed;
mod outside;
mod overrides;
mod overview;
mod peers;
mod placing;
mod plan;
mod positions;
mod present;
mod principal;
mod programmed;
mod published;
mod readmit;
mod relay;
mod remote;
mod renew;
mod replicas;
mod rotate;
mod serve;
mod served;
mod sight;
mod since;
mod strangers;
mod taken;
mod told;
mod troubled;
mod tunnels;
mod validate;
mod viewed;
mod warn;
mod watching;
mod web;
mod weigh;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use leno_agent::Door;
use leno_identity::{Pace, Renewal};
use leno_model::{Code, Name, TrustDomain};
use leno_store::{NotRead, Store};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

pub use authority::{NotFounded, NotIssued, NotOpened as AuthorityNotOpened};
pub use desk::{Attendance, Desk};
pub use edition::Edition;
pub use event::Event;
pub use flows::NotTaken;
pub use items::items_of;
pub use keys::NotUnsealed;
pub use lacking::held_without;
pub use leno_fetch::Url;
pub use leno_kubernetes::{Cluster, NotConnected, Where};
pub use mint::NotMinting;
pub use present::Present;
pub use principal::Beside;
pub use replicas::{Members, NotUsable, Replicas};
pub use told::{NotTold, mesh_of, understood};

use crate::auditing::Asked;
use crate::center::{Center, Start};
use crate::cluster::Followed;
use crate::folder::Folder;
use crate::found::First;
use crate::jwks::Jwks;
use crate::keys::Keys;
use crate::replicas::{Standby, Tell, Tenancy};

/// How a control plane runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the store.
    pub data: PathBuf,
    /// A file whose secret seals the CA's keys in the store; else they lie there as they are.
    pub seal_keys_with: Option<PathBuf>,
    /// Where proxies are taken care of: port 15012.
    pub listen: SocketAddr,
    /// Host and port at which proxies find it, which stand in join tokens; else where it listens.
    pub advertise: Option<String>,
    /// The socket on which it may be asked.
    pub socket: PathBuf,
    /// The socket on which processes of this host may join, if there is to be one.
    pub join_socket: Option<PathBuf>,
    /// Where metrics and readiness are read, if anywhere: port 15020.
    pub metrics: Option<SocketAddr>,
    /// Folders that are watched.
    pub folders: Vec<PathBuf>,
    /// The trust domain of the CA, if it should be founded at once. Else it is founded for what the
    /// first `Mesh` object says, or by the first token.
    pub trust_domain: Option<TrustDomain>,
    /// What the mesh is called that holds where nobody has written a `Mesh`: one that is strict
    /// from the start, and open. Without a name, it is as a `Mesh` that says nothing.
    pub mesh: Option<Name>,
    /// What of this host policies may name as a source of keys.
    pub keys: LocalKeys,
    /// What makes it one of several. Then it takes a secret to seal by.
    pub replicas: Option<Replicas>,
    /// The cluster whose objects are configuration, and whose pods run: for [`Control::open_to_act`].
    pub cluster: Option<Cluster>,
    /// The image of the proxy that pods of the cluster get, if they get one.
    pub sidecar: Option<String>,
    /// Whether the proxies of nodes load the packet rules of pods that get one, so that nothing in those needs the right to.
    pub node_capture: bool,
    /// How it stands beside the default control plane of that cluster, if it does: it takes its trust from there, and
    /// reports nothing.
    pub beside: Option<Beside>,
}

impl Settings {
    /// A control plane that says no more than where it keeps what it knows, where proxies come to, and
    /// where it is asked.
    pub fn new(data: PathBuf, listen: SocketAddr, socket: PathBuf) -> Self {
        Self {
            data,
            seal_keys_with: None,
            listen,
            advertise: None,
            socket,
            join_socket: None,
            metrics: None,
            folders: Vec::new(),
            trust_domain: None,
            mesh: None,
            keys: LocalKeys::default(),
            replicas: None,
            cluster: None,
            sidecar: None,
            node_capture: false,
            beside: None,
        }
    }

    /// Listens where it may be asked.
    fn administration(&self) -> Result<leno_admin::Server, NotStarted> {
        let server = leno_admin::Server::listen(&self.socket);
        server.map_err(|why| NotStarted::Socket {
            path: self.socket.clone(),
            why,
        })
    }

    /// Listens where metrics are read.
    fn metrics_door(&self) -> Result<Option<TcpListener>, NotStarted> {
        let listener = self.metrics.map(|address| {
            let listener = bound(address).and_then(|door| door.listen(WAITING));
            listener.map_err(|why| NotStarted::Listen { address, why })
        });
        listener.transpose()
    }
}

/// What of the control plane's host policies may name as a source of the keys that prove tokens. Who
/// writes policies of one namespace may not read that host, nor call what listens on it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LocalKeys {
    /// The folder that their files are in; without one, they may name none.
    pub folder: Option<PathBuf>,
    /// Whether they may name `http://` URLs on loopback.
    pub loopback: bool,
}

/// A control plane that is ready to run.
pub struct Control {
    center: Arc<Center>,
    listener: TcpListener,
    administration: leno_admin::Server,
    joining: Option<Door>,
    metrics: Option<TcpListener>,
    folders: Vec<Folder>,
    cluster: Option<Followed>,
    /// For how long it acts, if it is one of several.
    tenancy: Option<Tenancy>,
}

impl Control {
    /// Opens the store and the CA, and listens. Nobody is answered before [`Self::run`]. `tell` is
    /// called with whatever happens, on any thread. Needs a runtime around it.
    pub fn open(
        settings: Settings,
        tell: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Self, NotStarted> {
        let store = Store::open(&settings.data, leno_store::Settings::default())?;
        Self::open_on(Arc::new(store), None, None, settings, Arc::new(tell))
    }

    /// The same for one of several, once it acts: until then it stands by, and says so to whoever asks.
    /// One that is alone acts at once. Where a cluster is a source, once that has told all it holds.
    pub async fn open_to_act(
        settings: Settings,
        tell: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Self, NotStarted> {
        // An edition is made by another thread than the one before it.
        leno_host::share_heaps();
        let tell: Tell = Arc::new(tell);
        let (store, tenancy) = match &settings.replicas {
            Some(_) if !settings.folders.is_empty() => return Err(NotStarted::Watches),
            Some(replicas) => {
                let standby = Standby::open(&settings, replicas, Arc::clone(&tell))?;
                let (store, tenancy) = standby.wait().await;
                (store, Some(tenancy))
            }
            None => {
                let store = Store::open(&settings.data, leno_store::Settings::default())?;
                (Arc::new(store), None)
            }
        };
        let cluster = match &settings.cluster {
            Some(cluster) => Some(Followed::begin(cluster, &tell).await),
            None => None,
        };
        Self::open_on(store, tenancy, cluster, settings, tell)
    }

    fn open_on(
        store: Arc<Store>,
        tenancy: Option<Tenancy>,
        cluster: Option<Followed>,
        settings: Settings,
        tell: Tell,
    ) -> Result<Self, NotStarted> {
        let mut folders: Vec<_> = settings
            .folders
            .iter()
            .map(|path| Folder::new(path))
            .collect();
        for folder in &mut folders {
            folder.look();
        }
        let found = folders.iter().map(|folder| folder.found().clone());
        let first = First {
            sources: found.collect(),
            said: cluster.as_ref().map(Followed::said),
            cluster: cluster.as_ref().and_then(Followed::uid),
            pods: cluster.as_ref().map(Followed::pods),
        };
        let listening = |why| NotStarted::Listen {
            address: settings.listen,
            why,
        };
        let door = bound(settings.listen).map_err(listening)?;
        let address = door.local_addr().map_err(listening)?;
        let administration = settings.administration()?;
        let metrics = settings.metrics_door()?;
        let advertise = settings.advertise.unwrap_or_else(|| address.to_string());
        let keys = Keys::open(&store, settings.seal_keys_with.as_deref());
        let keys = keys.map_err(AuthorityNotOpened::Keys)?;
        let keys = Arc::new(keys);
        let jwks = Jwks::open(Arc::clone(&store), settings.keys)?;
        let center = Center::open(
            store,
            keys,
            jwks,
            Start {
                address: advertise,
                mesh: settings.mesh,
                sidecar: settings.sidecar,
                node_capture: settings.node_capture,
                beside: settings.beside,
            },
            first,
            Box::new(move |event: &Event| tell(event)),
        )?;
        if let Some(domain) = &settings.trust_domain
            && center.has_own_ca()
        {
            center.found(domain)?;
        }
        if tenancy.is_some() {
            // Nothing is signed by the intermediate of another one.
            rotate::turn(&center);
        }
        // Whoever connects as soon as somebody listens is answered by somebody who is proven.
        if center.authority.told().is_some()
            && let Err(why) = center.prove()
        {
            center.trouble(Code::T007, why);
        }
        let joining = settings.join_socket.map(|path| {
            let opened = Door::open(&path);
            opened.map_err(|why| NotStarted::Socket { path, why })
        });
        let joining = joining.transpose()?;
        // Last, so that whoever reaches it can also ask.
        let listener = door.listen(WAITING).map_err(listening)?;
        center.tell(&Event::Listening(address));
        Ok(Self {
            center: Arc::new(center),
            listener,
            administration,
            joining,
            metrics,
            folders,
            cluster,
            tenancy,
        })
    }

    /// Where proxies are taken care of.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The way to it from the process that it runs in.
    pub fn desk(&self) -> Desk {
        Desk::of(Arc::clone(&self.center))
    }

    /// Runs until a task ends that should not have: there is no going on without it.
    pub async fn run(self) -> Ended {
        let Self {
            center,
            listener,
            administration,
            joining,
            metrics,
            folders,
            cluster,
            tenancy,
        } = self;
        let mut tasks = JoinSet::new();
        if let Some(tenancy) = tenancy {
            let shared = Arc::clone(&center);
            let keep = tenancy.keep(move |trouble| shared.part(trouble));
            tasks.spawn(named(ACTING, keep));
        }
        tasks.spawn(named("renew", renew(Arc::clone(&center))));
        tasks.spawn(named("heaps", give_back(Arc::clone(&center))));
        tasks.spawn(named("watch", watch(Arc::clone(&center), folders)));
        let accounts = accounts::keep(Arc::clone(&center), cluster.as_ref().map(Followed::cluster));
        tasks.spawn(named("accounts", accounts));
        let inject = inject::keep(Arc::clone(&center), cluster.as_ref().map(Followed::cluster));
        tasks.spawn(named("inject", inject));
        let signers = outside::run(Arc::clone(&center), cluster.as_ref().map(Followed::cluster));
        let principal =
            principal::follow(Arc::clone(&center), cluster.as_ref().map(Followed::cluster));
        tasks.spawn(named("principal", principal));
        // What is told beside objects of the cluster is told once, by the default one.
        let told = cluster.as_ref().filter(|_| center.principal.is_none());
        let warn = warn::keep(Arc::clone(&center), told.map(Followed::cluster));
        tasks.spawn(named("warn", warn));
        let reporting = told.map(Followed::reporting);
        let report = cluster::report(Arc::clone(&center), reporting);
        tasks.spawn(named("report", report));
        tasks.spawn(named(
            "cluster",
            cluster::follow(Arc::clone(&center), cluster),
        ));
        tasks.spawn(named("prove", prove(Arc::clone(&center))));
        tasks.spawn(named("outside", signers));
        tasks.spawn(named("jwks", jwks::look(Arc::clone(&center))));
        tasks.spawn(named("peers", peers::look(Arc::clone(&center))));
        tasks.spawn(named("rotate", rotate::run(Arc::clone(&center))));
        tasks.spawn(named("overrides", overrides::run(Arc::clone(&center))));
        tasks.spawn(named("watching", watching::run(Arc::clone(&center))));
        tasks.spawn(named("export", export::send(Arc::clone(&center))));
        tasks.spawn(named("serve", serve::accept(Arc::clone(&center), listener)));
        tasks.spawn(named("issuers", issuers::keep(Arc::clone(&center))));

        tasks.spawn(named("tidy", flows::tidy(Arc::clone(&center))));
        if let Some(door) = joining {
            tasks.spawn(named("beside", beside::accept(Arc::clone(&center), door)));
        }
        if let Some(listener) = metrics {
            let told = Arc::clone(&center);
            let serve = metrics::serve(listener, move |asked| metrics::answer(&told, asked));
            tasks.spawn(named("metrics", serve));
        }
        let shared = Arc::clone(&center);
        let administration = administration.telling(move |user| {
            auditing::refused(&shared, &Asked::of_stranger(user), Code::S016);
        });
        let answer =
            move |asker, question| administer::answer(Arc::clone(&center), asker, question);
        tasks.spawn(named("administer", administration.run(answer)));
        match tasks.join_next().await {
            Some(Ok(task)) => Ended(task),
            Some(Err(_)) | None => Ended("a task that panicked"),
        }
    }
}

/// Takes an address that nobody can connect to yet.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A control plane that starts again need not wait for what the one before has closed.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// How many connections may wait to be accepted.
const WAITING: u32 = 1024;

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

/// Makes the next edition whenever there is news.
async fn renew(center: Arc<Center>) {
    let mut news = center.news.subscribe();
    // What came before this task listened.
    news.mark_changed();
    while news.changed().await.is_ok() {
        news.borrow_and_update();
        let shared = Arc::clone(&center);
        let renewed = tokio::task::spawn_blocking(move || {
            let renewed = shared.renew();
            shared.found_if_named();
            renewed
        });
        let begin = Instant::now();
        match renewed.await {
            // What changes meanwhile is in the next one, together.
            Ok(Ok(())) => sleep(MOST_REST.min(begin.elapsed() * RESTS)).await,
            Ok(Err(error)) => {
                center.trouble(error.code(), error);
                sleep(AGAIN).await;
                news.mark_changed();
            }
            Err(_) => return,
        }
    }
}

/// Between two editions it rests so many times as long as the last one took, so that it takes a third of a core at
/// most, and no longer than this.
const RESTS: u32 = 2;
const MOST_REST: Duration = Duration::from_millis(250);

/// Gives back what the making of editions has left free, once in a while: one that compiles all objects takes about as
/// much again as is kept.
async fn give_back(center: Arc<Center>) {
    let mut editions = center.editions.subscribe();
    editions.mark_changed();
    while editions.changed().await.is_ok() {
        sleep(WHILE).await;
        editions.mark_unchanged();
        if tokio::task::spawn_blocking(leno_host::give_back_freed)
            .await
            .is_err()
        {
            return;
        }
    }
}

/// How long it is waited for further editions before what they left free is given back.
const WHILE: Duration = Duration::from_secs(10);

/// How long until something that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Looks at the folders.
async fn watch(center: Arc<Center>, mut folders: Vec<Folder>) {
    if folders.is_empty() {
        return std::future::pending().await;
    }
    // Whether something was found that has not been taken yet.
    let mut due = false;
    loop {
        sleep(folder::LOOK).await;
        let looked = tokio::task::spawn_blocking(move || {
            let looks = folders.iter_mut().map(Folder::look);
            let changed = looks.fold(false, |changed, news| changed | news);
            (folders, changed)
        });
        let Ok((back, changed)) = looked.await else {
            return;
        };
        folders = back;
        due |= changed;
        if due {
            let found = folders.iter().map(|folder| folder.found().clone());
            let (found, shared) = (found.collect(), Arc::clone(&center));
            let taken = tokio::task::spawn_blocking(move || {
                let taken = shared.take_found(found);
                taken.inspect_err(|failed| shared.trouble(failed.code(), failed))
            });
            due = !matches!(taken.await, Ok(Ok(())));
        }
    }
}

/// Keeps the control plane's own certificate young.
async fn prove(center: Arc<Center>) {
    let mut editions = center.editions.subscribe();
    editions.mark_changed();
    let mut renewal: Option<Renewal> = None;
    let mut dice = clock::dice();
    let mut pace = Pace::new(center.clocks.now());
    loop {
        let now = center.clocks.now();
        let due = renewal
            .as_ref()
            .map_or(now.mono + LOOK, |renewal| renewal.poll_timeout(now))
            .min(now.mono + LOOK);
        tokio::select! {
            changed = editions.changed() => {
                if changed.is_err() {
                    return;
                }
                editions.borrow_and_update();
            }
            () = tokio::time::sleep_until(center.clocks.instant(due)) => {}
        }
        let now = center.clocks.now();
        if pace.has_jumped(now) {
            center.judge_again();
        }
        let asks = match &mut renewal {
            None => center.authority.told().is_some(),
            Some(renewal) => renewal.handle_timeout(now, &mut dice),
        };
        if !asks {
            continue;
        }
        let shared = Arc::clone(&center);
        let proven = tokio::task::spawn_blocking(move || shared.prove()).await;
        match proven {
            Ok(Ok(validity)) => renewal = Some(Renewal::new(validity, &mut dice)),
            Ok(Err(why)) => {
                center.trouble(Code::T007, &why);
                if let Some(renewal) = &mut renewal {
                    renewal.handle_failed(why.to_string(), now, &mut dice);
                }
            }
            Err(_) => return,
        }
    }
}

/// How often the clock is looked at: timers stand still while the machine sleeps.
const LOOK: Duration = Duration::from_secs(10);

/// The task without which a control plane did not go on.
#[derive(Debug, thiserror::Error)]
#[error("the control plane cannot go on: the task {0:?} ended")]
pub struct Ended(&'static str);

impl Ended {
    /// Whether that is because another one acts, or may act: then it may stand by from here on.
    pub fn is_to_stand_by(&self) -> bool {
        self.0 == ACTING
    }
}

/// The task that keeps the lease of the one that acts.
const ACTING: &str = "acting";

/// Why a log is not followed, and where more about that stands.
fn with_code(why: &leno_store::NotFollowed) -> String {
    let code = why.code();
    format!("{code} {}: {why}", code.slug())
}

/// Why nobody can listen there.
fn not_listening(address: &SocketAddr, why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::AddrInUse => {
            let (code, slug) = (Code::H002, Code::H002.slug());
            format!("{code} {slug}: another program listens at {address}")
        }
        _ => format!("{address} cannot be listened on: {why}"),
    }
}

/// Why a control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// What goes into etcd is sealed, and there is no secret to seal it by.
    #[error(
        "what goes into etcd is sealed by a secret: add --seal-keys-with FILE, the same for all"
    )]
    NoSecret,
    /// A folder is of one host, and whoever takes over knows nothing of it.
    #[error(
        "--watch is not for one of several control planes: a folder is of one host, and another that takes over does not have it. Apply it, which all of them keep: leno apply -f DIR"
    )]
    Watches,
    /// etcd cannot be asked.
    #[error(transparent)]
    Etcd(#[from] NotUsable),
    /// What etcd holds cannot be followed.
    #[error("{}", with_code(.0))]
    Log(#[from] leno_store::NotFollowed),
    /// The store cannot be trusted or used.
    #[error(transparent)]
    Store(#[from] leno_store::NotOpened),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] NotRead),
    /// The CA in the store cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityNotOpened),
    /// The keys that sign tokens cannot be used.
    #[error(transparent)]
    Minting(#[from] NotMinting),
    /// The CA could not be founded.
    #[error(transparent)]
    Founding(#[from] NotFounded),
    /// Proxies cannot be taken care of at the address.
    #[error("{}", not_listening(address, why))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        why: io::Error,
    },
    /// The socket cannot be made.
    #[error("the socket {} cannot be made: {why}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}
