//! The pods of a node of a cluster whose calls this proxy carries from outside: as the view says which, and the network
//! plugin tells of each before it starts.

mod plugin;
mod pod;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use leno_channel::Keyring;
use leno_cni::{Answer, Keeper, Options, PLUGIN, Places};
use leno_host::{Netns, SocketFile, TUNNEL_PORT, networks_of_pods};
use leno_model::Code;
use leno_model::view::{self, View, WorkloadId};
use leno_proxy::follow::{Asker, Placer};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::arguments::node::Node as Wanted;
use crate::command::joined::node::plugin::{Asked, Plugin, refused};
use crate::command::joined::node::pod::{NotTaken, Pod, capture};
use crate::command::joined::running::Running;

/// Where a proxy takes the mesh calls of each pod: at the pod's own address.
pub(super) const TUNNEL: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), TUNNEL_PORT);

/// How often it is looked for pods that could not be served, and at the node's network configuration.
const LOOK: Duration = Duration::from_secs(1);

/// For how long a pod that the plugin told of may be in no view: the next one names it.
const ARRIVING: Duration = Duration::from_secs(60);

/// For how long a pod that is captured waits to be served before it starts.
const STARTING: Duration = Duration::from_secs(3);

/// How many lines, and how many pods, may wait to be taken note of.
const MOST_WAITING: usize = 256;

/// What happened, in words.
pub(super) enum Said {
    Good(String),
    Bad(String),
}

/// The pods of a node.
pub(super) struct Node<'a> {
    wanted: &'a Wanted,
    running: &'a Running<'a>,
    keyring: Arc<Keyring>,
    asker: Asker,
    placer: Placer,
    views: watch::Receiver<Option<Arc<View>>>,
    pods: BTreeMap<WorkloadId, Pod>,
    /// Why pods are not captured, as was told last.
    not_taken: BTreeMap<WorkloadId, String>,
    /// Those that the plugin has told of, and when it is to be answered at the latest, though they are not served yet.
    arriving: BTreeMap<WorkloadId, (Instant, Vec<oneshot::Sender<Answer>>)>,
    announced: BTreeSet<WorkloadId>,
    heard: mpsc::Sender<String>,
    said: Vec<Said>,
}

impl<'a> Node<'a> {
    /// Serves nobody yet. Which pods there are is said by `views`.
    pub(super) fn new(
        wanted: &'a Wanted,
        running: &'a Running<'a>,
        keyring: Arc<Keyring>,
        (asker, placer): (Asker, Placer),
        views: watch::Receiver<Option<Arc<View>>>,
    ) -> (Self, mpsc::Receiver<String>) {
        let (heard, hearing) = mpsc::channel(MOST_WAITING);
        let node = Self {
            wanted,
            running,
            keyring,
            asker,
            placer,
            views,
            pods: BTreeMap::new(),
            not_taken: BTreeMap::new(),
            arriving: BTreeMap::new(),
            announced: BTreeSet::new(),
            heard,
            said: Vec::new(),
        };
        (node, hearing)
    }

    /// Serves pods for as long as it is polled.
    pub(super) async fn run(
        mut self,
        mut hearing: mpsc::Receiver<String>,
        mut tell: impl FnMut(Said),
    ) -> anyhow::Result<Infallible> {
        let (asked, mut asking) = mpsc::channel(MOST_WAITING);
        let mut door = Door::open(&self, &asked)?;
        let mut keeper = self.keeper()?;
        let mut not_kept = None;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Once a newer proxy of this node answers the plugin, the pods that come are its own.
            if door.is_open() {
                self.settle().await;
            }
            self.said.drain(..).for_each(&mut tell);
            tokio::select! {
                failed = &mut door.serving => return Err(failed).context("the network plugin's socket"),
                // Whoever says so lives as long as this.
                _ = self.views.changed() => {}
                Some(asked) = asking.recv() => self.answer(asked),
                Some(line) = hearing.recv() => tell(Said::Bad(line)),
                _ = look.tick() => {
                    if door.is_deserted() {
                        door = Door::open(&self, &asked)?;
                    }
                    if let Some(keeper) = keeper.as_mut().filter(|_| door.is_open()) {
                        keep(keeper, &mut not_kept, &mut tell);
                    }
                }
            }
        }
    }

    /// What keeps the network plugin on the node, if that is asked for.
    fn keeper(&self) -> anyhow::Result<Option<Keeper>> {
        let Wanted {
            cni_socket: Some(socket),
            cni_bin: Some(plugins),
            cni_conf: Some(configurations),
            ..
        } = self.wanted
        else {
            return Ok(None);
        };
        let places = Places {
            program: beside_us(PLUGIN)?,
            plugins: plugins.clone(),
            configurations: configurations.clone(),
        };
        let options = Options {
            socket: socket.clone(),
            ..Options::default()
        };
        Ok(Some(Keeper::new(places, options)))
    }

    /// Brings what is captured and served in line with what the view says.
    async fn settle(&mut self) {
        let Some(view) = self.views.borrow_and_update().clone() else {
            return;
        };
        self.let_go(&view);
        self.take_up(&view).await;
        self.serve(&view).await;
        self.let_start();
    }

    /// Lets those pods start that are served, and those for which nobody could be expected to wait longer: what they send
    /// waits.
    fn let_start(&mut self) {
        let may_start = |id: &WorkloadId, (until, _): &mut (Instant, Vec<_>)| {
            let is_served = self.pods.get(id).is_some_and(Pod::is_served);
            is_served || *until <= Instant::now()
        };
        for (_, (_, answers)) in self.arriving.extract_if(.., may_start) {
            for answer in answers {
                // One that hangs up asks again.
                answer.send(Answer::Served(true)).ok();
            }
        }
    }

    /// Lets go of pods that are there no more, or are no more this proxy's affair.
    fn let_go(&mut self, view: &View) {
        let is_over = |id: &WorkloadId, pod: &mut Pod| match of(view, id) {
            Some(said) => said.uid != pod.uid,
            None => pod.since.elapsed() > ARRIVING || pod.is_served(),
        };
        for (id, pod) in self.pods.extract_if(.., is_over) {
            if let Some(proxy) = self.running.proxy() {
                // One whose workers have ended ends soon.
                drop(proxy.leave(&id));
            }
            pod.release();
            self.said.push(Said::Good(format!("leaves {id}")));
        }
        self.not_taken.retain(|id, _| of(view, id).is_some());
    }

    /// Captures pods of which only the view tells: those that ran before.
    async fn take_up(&mut self, view: &View) {
        let of_view = view.workloads.iter();
        let of_view = of_view.filter_map(|(id, workload)| Some((id, workload.pod.as_ref()?)));
        let missing: BTreeMap<_, _> = of_view
            .filter(|(id, _)| !self.pods.contains_key(*id))
            .map(|(id, pod)| (pod.uid.clone(), (id.clone(), pod.clone())))
            .collect();
        let unknown = view.settings.unknown_destinations;
        if !missing.is_empty() {
            let uids = missing.keys().cloned().collect();
            let found = tokio::task::spawn_blocking(move || networks_of_pods(&uids)).await;
            let found = match found {
                Ok(Ok(found)) => found,
                Ok(Err(why)) => return self.said.push(Said::Bad(format!("/proc: {why}"))),
                Err(_) => return,
            };
            for (uid, netns) in found {
                if let Some((id, pod)) = missing.get(&uid) {
                    // Why not is told, and it is tried again.
                    drop(self.take(id, pod, netns, unknown));
                }
            }
        }
        for (id, pod) in &mut self.pods {
            if let Some(said) = of(view, id) {
                let capture = capture(said, unknown);
                if let Err(why) = pod.capture(id, capture, &self.heard) {
                    self.said.push(Said::Bad(format!("{id}: {why}")));
                }
            }
        }
    }

    /// Lets the proxy take what arrives at pods whose certificates are there, and says of whom it does.
    async fn serve(&mut self, view: &View) {
        let Some(proxy) = self.running.proxy() else {
            return;
        };
        let certified: BTreeSet<_> = self.keyring.identities().into_iter().collect();
        let may_be_served = |id: &WorkloadId| {
            let workload = view.workloads.get(id);
            workload.is_some_and(|it| certified.contains(&it.identity))
        };
        let served = self.pods.keys().filter(|id| may_be_served(id)).cloned();
        let served: BTreeSet<_> = served.collect();
        // Said first: nobody calls them otherwise than through the tunnel by the time they answer.
        if served != self.announced {
            self.asker.announce(served.clone(), Some(TUNNEL)).await;
            self.announced = served.clone();
        }
        for (id, pod) in &mut self.pods {
            if pod.is_served() || !served.contains(id) {
                continue;
            }
            let served = proxy.reach_into(id, &pod.netns);
            let served = served.and_then(|()| proxy.listen(pod.listeners(id)));
            self.said.push(match served {
                Ok(()) => Said::Good(format!("serves {id}")),
                Err(why) => Said::Bad(format!("{id}: {why}")),
            });
        }
    }

    fn take(
        &mut self,
        id: &WorkloadId,
        pod: &view::Pod,
        netns: Netns,
        unknown: view::Unknown,
    ) -> Result<(), NotTaken> {
        let capture = capture(pod, unknown);
        match Pod::take(id, pod.uid.clone(), netns, capture, &self.heard) {
            Ok(pod) => {
                self.not_taken.remove(id);
                self.pods.insert(id.clone(), pod);
                Ok(())
            }
            Err(why) => {
                let told = self.not_taken.insert(id.clone(), why.0.clone());
                if told.as_ref() != Some(&why.0) {
                    self.said.push(Said::Bad(format!("{id}: {why}")));
                }
                Err(why)
            }
        }
    }

    /// Answers the plugin about a pod of ours.
    fn answer(&mut self, asked: Asked) {
        let Asked {
            id,
            pod,
            netns,
            is_check,
            answer,
        } = asked;
        let is_held = |held: &Pod| held.uid == pod.uid && *held.netns == netns;
        let held = self.pods.get(&id).filter(|held| is_held(held));
        let given = match held {
            Some(held) => match held.differences() {
                Ok(differences) if differences.is_empty() => Answer::Served(true),
                Ok(_) => refused(Code::H005, "its packet rules are not there"),
                Err(why) => refused(Code::H006, &why.to_string()),
            },
            None if is_check => refused(Code::H005, "this proxy does not serve it"),
            None => {
                // Another pod of its name, or an earlier sandbox of the same one.
                if let Some(before) = self.pods.remove(&id) {
                    if let Some(proxy) = self.running.proxy() {
                        drop(proxy.leave(&id));
                    }
                    before.release();
                }
                let unknown = |view: &Arc<View>| view.settings.unknown_destinations;
                let unknown = self.views.borrow().as_ref().map(unknown);
                let unknown = unknown.unwrap_or(view::Unknown::Refuse);
                match self.take(&id, &pod, netns, unknown) {
                    Ok(()) => {
                        let until = Instant::now() + STARTING;
                        let arriving = self.arriving.entry(id).or_insert((until, Vec::new()));
                        return arriving.1.push(answer);
                    }
                    Err(why) => refused(Code::H018, &why.0),
                }
            }
        };
        // One that hangs up asks again.
        answer.send(given).ok();
    }
}

/// Where the network plugin asks, if it is to ask at all.
struct Door {
    at: Option<(PathBuf, SocketFile)>,
    serving: Pin<Box<dyn Future<Output = io::Error>>>,
}

impl Door {
    fn open(node: &Node<'_>, asked: &mpsc::Sender<Asked>) -> anyhow::Result<Self> {
        let Some(path) = node.wanted.cni_socket.clone() else {
            return Ok(Self {
                at: None,
                serving: Box::pin(std::future::pending()),
            });
        };
        let listening = Plugin::listen(&path, node.placer.clone(), asked.clone());
        let (plugin, file) =
            listening.with_context(|| format!("cannot listen on {}", path.display()))?;
        Ok(Self {
            at: Some((path, file)),
            serving: Box::pin(plugin.serve()),
        })
    }

    /// Whether the plugin asks here, and no other proxy of this node.
    fn is_open(&self) -> bool {
        self.at.as_ref().is_none_or(|(_, file)| file.stands())
    }

    /// Whether the plugin was to ask a newer proxy, which has ended.
    fn is_deserted(&self) -> bool {
        let at = self.at.as_ref().filter(|_| !self.is_open());
        at.is_some_and(|(path, _)| !SocketFile::is_taken(path).unwrap_or(true))
    }
}

/// What the view says of a pod that is to be served.
fn of<'v>(view: &'v View, id: &WorkloadId) -> Option<&'v view::Pod> {
    view.workloads.get(id)?.pod.as_deref()
}

/// Keeps the plugin on the node, and tells what that took and what is in its way.
fn keep(keeper: &mut Keeper, told: &mut Option<String>, tell: &mut impl FnMut(Said)) {
    let (changes, not_kept) = keeper.ensure();
    for change in changes {
        tell(match change.code() {
            Some(code) => Said::Bad(format!("{code} {}: {change}", code.slug())),
            None => Said::Good(change.to_string()),
        });
    }
    let why = not_kept.map(|why| {
        let code = why.code();
        format!("{code} {}: {why}", code.slug())
    });
    if *told != why {
        if let Some(why) = &why {
            tell(Said::Bad(why.clone()));
        }
        *told = why;
    }
}

/// A program in the folder of this one.
fn beside_us(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("where this program is")?;
    Ok(own.parent().unwrap_or(Path::new("/")).join(name))
}
