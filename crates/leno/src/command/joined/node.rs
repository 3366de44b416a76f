//! The pods of a node of a cluster whose calls this proxy carries from outside, and those with proxies of their own whose
//! capture it keeps: as the view says which, and the network plugin tells of each before it starts.

mod arriving;
mod door;
mod guarding;
mod keeping;
mod left_over;
mod plugin;
mod pod;
mod process;
mod processes;
mod proofs;
mod resolver;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use leno_channel::Keyring;
use leno_cni::Answer;
use leno_host::{KnownBy, Netns, PodCapture, TUNNEL_PORT, networks_of_pods};
use leno_model::Code;
use leno_model::view::{self, View, WorkloadId};
use leno_proxy::follow::{Asker, Placer, Voucher};
use leno_resources::pod::is_static;
use leno_telemetry::capture::Whose;
use leno_telemetry::obstacles::HOST;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::arguments::node::Node as Wanted;
use crate::command::joined::node::arriving::Arrivals;
use crate::command::joined::node::door::Door;
use crate::command::joined::node::guarding::{Guarding, Looked};
use crate::command::joined::node::keeping::Keeping;
use crate::command::joined::node::plugin::{Asked, Knowing, refused};
use crate::command::joined::node::pod::{Heard, NotTaken, Pod, capture};
use crate::command::joined::node::process::{Happened, What};
use crate::command::joined::node::processes::Processes;
use crate::command::joined::node::proofs::Proofs;
use crate::command::joined::running::Running;

pub(super) use crate::command::joined::node::left_over::is_uid;
pub(super) use crate::command::joined::node::pod::listeners;
pub(super) use crate::command::joined::node::processes::{Living, Settings};
pub(super) use crate::command::joined::node::resolver::name_servers;

/// Where a proxy takes the mesh calls of each pod: at the pod's own address.
pub(super) const TUNNEL: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), TUNNEL_PORT);

/// How often it is looked for pods that could not be served, and at the node's network configuration.
const LOOK: Duration = Duration::from_secs(1);

/// For how long a pod that the plugin told of may be in no view: the next one names it.
const ARRIVING: Duration = Duration::from_secs(60);

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
    /// Why rules of pods that somebody changed could not be put back.
    not_repaired: BTreeMap<WorkloadId, String>,
    /// Those that the plugin has told of and that are not served yet.
    arriving: Arrivals,
    announced: BTreeSet<WorkloadId>,
    guarding: Guarding,
    heard: mpsc::Sender<Heard>,
    hearing: mpsc::Receiver<Heard>,
    processes: Processes<'a>,
    /// Why those have no bounds that the kernel keeps, if they have none.
    unbounded: Option<String>,
    happening: mpsc::Receiver<Happened>,
    said: Vec<Said>,
}

impl<'a> Node<'a> {
    /// Serves nobody yet. Which pods there are is said by `views`.
    pub(super) fn new(
        wanted: &'a Wanted,
        running: &'a Running<'a>,
        keyring: Arc<Keyring>,
        (asker, placer): (Asker, Placer),
        (voucher, settings, living): (Voucher, &'a Settings, &'a Living),
        views: watch::Receiver<Option<Arc<View>>>,
    ) -> Self {
        let (heard, hearing) = mpsc::channel(MOST_WAITING);
        let (happened, happening) = mpsc::channel(MOST_WAITING);
        let (processes, unbounded) = Processes::new(settings, voucher, living, happened);
        Self {
            wanted,
            running,
            keyring,
            asker,
            placer,
            views,
            pods: BTreeMap::new(),
            not_taken: BTreeMap::new(),
            not_repaired: BTreeMap::new(),
            arriving: Arrivals::default(),
            announced: BTreeSet::new(),
            guarding: Guarding::default(),
            heard,
            hearing,
            processes,
            unbounded,
            happening,
            said: Vec::new(),
        }
    }

    /// Serves pods for as long as it is polled.
    pub(super) async fn run(mut self, mut tell: impl FnMut(Said)) -> anyhow::Result<Infallible> {
        let (asked, mut asking) = mpsc::channel(MOST_WAITING);
        let (said, mut saying) = mpsc::channel(MOST_WAITING);
        let knowing = Knowing {
            placer: self.placer.clone(),
            told: self.views.clone(),
            asked,
            said,
        };
        let socket = self.wanted.cni_socket.as_ref();
        let open = || Door::open(socket, &knowing);
        let mut door = open()?;
        let mut keeping = Keeping::of(self.wanted)?;
        let mut captures = self.running.capture().known();
        let mut proofs = Proofs::default();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Once a newer proxy of this node answers the plugin, the pods that come are its own.
            if door.is_open() {
                self.settle().await;
            }
            self.let_start();
            self.said.drain(..).for_each(&mut tell);
            tokio::select! {
                failed = &mut door.serving => return Err(failed).context("the network plugin's socket"),
                // Whoever says so lives as long as this.
                _ = self.views.changed() => {}
                Some(asked) = asking.recv() => self.answer(asked),
                Some(said) = saying.recv() => self.said.push(said),
                Some(heard) = self.hearing.recv() => self.hear(heard),
                Some(happened) = self.happening.recv() => self.note(&happened),
                // Whoever says so lives as long as this.
                _ = captures.changed() => {
                    let told = proofs.told(&captures.borrow_and_update());
                    told.into_iter().for_each(&mut tell);
                }
                _ = look.tick() => {
                    let now = self.running.wall();
                    self.running.capture().forget_news(now);
                    self.running.processes().look(now);
                    if door.is_deserted() {
                        door = open()?;
                    }
                    if let Some(keeping) = keeping.as_mut().filter(|_| door.is_open()) {
                        if let Some(view) = &*self.views.borrow() {
                            keeping.say(&view.settings);
                        }
                        keeping.keep(self.running.obstacles(), now, &mut tell);
                    }
                    self.forget_repaired();
                }
            }
        }
    }

    /// Brings what is captured and served in line with what the view says.
    async fn settle(&mut self) {
        let Some(view) = self.views.borrow_and_update().clone() else {
            return;
        };
        self.let_go(&view);
        self.take_up(&view).await;
        self.clear(&view);
        self.start(&view);
        self.serve(&view).await;
        self.guard();
        self.tell_obstacles();
    }

    /// Has the control plane told of what is in the way of serving pods.
    fn tell_obstacles(&self) {
        let (obstacles, now) = (self.running.obstacles(), self.running.wall());
        for (code, whys) in [
            (Code::H006, &self.not_repaired),
            (Code::H018, &self.not_taken),
        ] {
            let of_pods = whys.iter();
            let of_pods = of_pods.map(|(id, why)| (id.to_string().into(), why.clone()));
            obstacles.are(code, of_pods, now);
        }
        let unguarded = self.guarding.left_out();
        let unguarded = unguarded.map(|why| (HOST.into(), why));
        obstacles.are(Code::H020, unguarded, now);
    }

    /// Tells no more of rules that hold by now, whoever put them back.
    fn forget_repaired(&mut self) {
        let pods = &self.pods;
        let is_wrong = |id: &WorkloadId, _: &mut String| {
            let differences = pods.get(id).map(Pod::differences);
            differences.is_some_and(|told| told.map_or(true, |told| !told.is_empty()))
        };
        self.not_repaired.retain(is_wrong);
    }

    /// Guards what is captured on the node's side, too.
    fn guard(&mut self) {
        let Looked { put_back, said } = self.guarding.keep(&self.pods);
        self.said.extend(said);
        let Some(what) = put_back else { return };
        let (code, wall) = (Code::H019, self.running.wall());
        let line = format!("{code} {}: {what}", code.slug());
        self.said.push(Said::Bad(line));
        for id in self.pods.keys() {
            self.running.capture().repaired(id, what.clone(), wall);
        }
    }

    /// Lets go of pods that are there no more, or are no more this proxy's affair.
    fn let_go(&mut self, view: &View) {
        let is_over = |id: &WorkloadId, pod: &mut Pod| match of(view, id) {
            Some((said, _)) => said.uid != pod.uid,
            None => pod.since.elapsed() > ARRIVING || pod.is_told,
        };
        let over: Vec<_> = self.pods.extract_if(.., is_over).collect();
        for (id, pod) in over {
            self.leave(&id, pod);
            self.said.push(Said::Good(format!("leaves {id}")));
        }
        self.not_taken.retain(|id, _| of(view, id).is_some());
    }

    /// Serves and captures a pod no more.
    fn leave(&mut self, id: &WorkloadId, pod: Pod) {
        if let Some(proxy) = self.running.proxy() {
            // One whose workers have ended ends soon.
            drop(proxy.leave(id));
        }
        pod.release();
        self.processes.forget(id);
        self.running.capture().forget(id);
        self.running.processes().forget(id);
        self.arriving.refuse(id);
    }

    /// Lets those pods start that are served, or have waited for long enough.
    fn let_start(&mut self) {
        let is_served = |id: &WorkloadId| self.pods.get(id).is_some_and(Pod::is_served);
        self.arriving.let_start(is_served, Instant::now());
    }

    /// Captures pods of which only the view tells: those that ran before.
    async fn take_up(&mut self, view: &View) {
        let missing = view.workloads.keys().chain(view.sidecars.keys());
        let missing = missing.filter(|id| !self.pods.contains_key(*id));
        let missing: BTreeMap<_, _> = missing
            .filter_map(|id| {
                let (pod, known_by) =
                    of(view, id).filter(|(pod, _)| is_known_by_groups(id, pod))?;
                Some((pod.uid.clone(), (id, pod, known_by)))
            })
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
                if let Some((id, pod, known_by)) = missing.get(&uid) {
                    let capture = capture(pod, *known_by, unknown);
                    // Why not is told, and it is tried again.
                    drop(self.take(id, pod, netns, capture));
                }
            }
        }
        let mut changed = Vec::new();
        for (id, pod) in &mut self.pods {
            if let Some((said, known_by)) = of(view, id) {
                pod.is_told = true;
                let captured = pod.capture(id, capture(said, known_by, unknown), &self.heard);
                changed.push((id.clone(), captured));
            }
        }
        for (id, captured) in changed {
            self.took(&id, captured.as_ref().err());
        }
    }

    /// Removes what an earlier proxy of this node kept for processes of pods that have none any more.
    fn clear(&mut self, view: &View) {
        let told = view.workloads.values().filter_map(|it| it.pod.as_deref());
        let told = told.filter(|pod| pod.own_process.is_some());
        let held = self.pods.values().filter(|pod| pod.own.is_some());
        let uids = told.map(|pod| &pod.uid).chain(held.map(|pod| &pod.uid));
        let uids: BTreeSet<&str> = uids.map(|uid| &**uid).collect();
        self.processes.clear(|uid| uids.contains(uid));
    }

    /// Starts the processes of pods that have one of their own, once the view says whom they act as.
    fn start(&mut self, view: &View) {
        for (id, pod) in &mut self.pods {
            let (Some(own), Some(workload)) = (pod.own.clone(), view.workloads.get(id)) else {
                continue;
            };
            if pod.process.is_some() {
                continue;
            }
            let identity = workload.identity.clone();
            match self.processes.start(id, pod, own, identity) {
                Ok(process) => pod.process = Some(process),
                Err(why) => self.said.push(Said::Bad(format!("{id}: {why:#}"))),
            }
            let (now, why) = (self.running.wall(), self.unbounded.clone());
            self.running.processes().expect(id.clone());
            self.running.processes().unbounded(why.clone(), now);
            let whose = Whose::Sidecar;
            self.running.capture().expect(id.clone(), whose);
        }
    }

    /// Takes note of what happened to the process of a pod.
    fn note(&mut self, happened: &Happened) {
        let Happened { id, what } = happened;
        let Some(pod) = self.pods.get(id) else { return };
        self.processes.place(pod, happened);
        self.said.push(match what {
            What::Serves(process) => Said::Good(format!("serves {id} by process {process}")),
            What::Ended(why) => {
                let (code, now) = (Code::H024, self.running.wall());
                self.running.processes().ended(id, why.clone(), now);
                Said::Bad(format!("{id}: {code} {}: {why}", code.slug()))
            }
        });
    }

    /// Lets the proxy take what arrives at pods whose certificates are there, and says of whom it does.
    async fn serve(&mut self, view: &View) {
        let Some(proxy) = self.running.proxy() else {
            return;
        };
        let certified: BTreeSet<_> = self.keyring.identities().into_iter().collect();
        let may_be_served = |(id, pod): &(&WorkloadId, &Pod)| {
            let workload = view.workloads.get(*id).filter(|_| pod.own.is_none());
            workload.is_some_and(|it| certified.contains(&it.identity))
        };
        let of_ours = self.pods.iter().filter(|(_, pod)| !pod.has_own_proxy());
        let served = of_ours.filter(may_be_served);
        let served: BTreeSet<_> = served.map(|(id, _)| id.clone()).collect();
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
            let sockets = pod.sockets().unwrap_or_default();
            let served = served.and_then(|()| proxy.listen(listeners(id, sockets)));
            self.said.push(match served {
                Ok(()) => {
                    self.running.capture().expect(id.clone(), Whose::Pod);
                    let netns = Arc::clone(&pod.netns);
                    pod.prove(self.running.prover(proxy, id, Some(netns)));
                    Said::Good(format!("serves {id}"))
                }
                Err(why) => Said::Bad(format!("{id}: {why}")),
            });
        }
    }

    fn take(
        &mut self,
        id: &WorkloadId,
        pod: &view::Pod,
        netns: Netns,
        capture: PodCapture,
    ) -> Result<(), NotTaken> {
        let taken = Pod::take(id, pod, netns, capture, &self.heard);
        self.took(id, taken.as_ref().err());
        let taken = taken?;
        if taken.has_own_proxy() {
            self.running.capture().expect(id.clone(), Whose::Sidecar);
            self.said
                .push(Said::Good(format!("keeps the capture of {id}")));
        }
        self.pods.insert(id.clone(), taken);
        Ok(())
    }

    /// Takes note of why a pod is not captured as it should be, if it is not, and tells it once.
    fn took(&mut self, id: &WorkloadId, why: Option<&NotTaken>) {
        let Some(why) = why else {
            self.not_taken.remove(id);
            return;
        };
        let told = self.not_taken.insert(id.clone(), why.0.clone());
        if told.as_ref() != Some(&why.0) {
            self.said.push(Said::Bad(format!("{id}: {why}")));
        }
    }

    /// Takes note of what happened to a pod's rules.
    fn hear(&mut self, Heard { id, what }: Heard) {
        let repair = match what {
            Ok(repair) => repair,
            Err(why) => {
                let (code, why) = (Code::H006, why.to_string());
                let told = self.not_repaired.insert(id.clone(), why.clone());
                if told.as_ref() != Some(&why) {
                    let line = format!("{id}: {code} {}: {why}", code.slug());
                    self.said.push(Said::Bad(line));
                }
                return;
            }
        };
        let first = repair.differences.first();
        let first = first.map(ToString::to_string).unwrap_or_default();
        let (code, wall) = (Code::H019, self.running.wall());
        let line = format!("{id}: {code} {}: {first}", code.slug());
        if self.running.capture().repaired(&id, first, wall) {
            self.said.push(Said::Bad(line));
        }
    }

    /// Answers the plugin about a pod of ours.
    fn answer(&mut self, asked: Asked) {
        let Asked {
            id,
            pod,
            known_by,
            netns,
            is_check,
            answer,
        } = asked;
        let is_held = |held: &&Pod| held.uid == pod.uid && *held.netns == netns;
        let captured = match self.pods.get(&id).filter(is_held) {
            Some(held) => match held.differences() {
                Ok(differences) if differences.is_empty() => Ok(()),
                Ok(_) => Err(refused(Code::H005, "its packet rules are not there")),
                Err(why) => Err(refused(Code::H006, &why.to_string())),
            },
            None if is_check => Err(refused(Code::H005, "this proxy does not serve it")),
            None => self.take_instead(&id, &pod, known_by, netns),
        };
        let given = match captured {
            Ok(()) if is_check => Answer::Served(true),
            // Also if it was asked before: until it is served, what it sends would only wait.
            Ok(()) => return self.arriving.wait(id, answer, Instant::now()),
            Err(refused) => refused,
        };
        // One that hangs up asks again.
        answer.send(given).ok();
    }

    /// Captures a pod in the place of another one of its name, or of an earlier sandbox of the same one.
    fn take_instead(
        &mut self,
        id: &WorkloadId,
        pod: &view::Pod,
        known_by: KnownBy,
        netns: Netns,
    ) -> Result<(), Answer> {
        if let Some(before) = self.pods.remove(id) {
            self.leave(id, before);
        }
        let unknown = |view: &Arc<View>| view.settings.unknown_destinations;
        let unknown = self.views.borrow().as_ref().map(unknown);
        let unknown = unknown.unwrap_or(view::Unknown::Refuse);
        let taken = self.take(id, pod, netns, capture(pod, known_by, unknown));
        taken.map_err(|why| refused(Code::H018, &why.0))
    }
}

/// Whether a pod is who its control groups say. Of a static one they say what an annotation does, which whoever may make
/// pods may write: it is believed where whoever may do that may do anything, and where such pods are.
fn is_known_by_groups(id: &WorkloadId, pod: &view::Pod) -> bool {
    !is_static(&pod.uid) || id.namespace.as_str() == SYSTEM_OF_CLUSTER
}

/// The namespace of what a cluster consists of.
const SYSTEM_OF_CLUSTER: &str = "kube-system";

/// What the view says of a pod that is to be served, or whose capture is to be kept, and by what its proxy is known.
fn of<'v>(view: &'v View, id: &WorkloadId) -> Option<(&'v view::Pod, KnownBy)> {
    let served = view.workloads.get(id).and_then(|it| it.pod.as_deref());
    let kept = view.sidecars.get(id).map(|pod| (&**pod, KnownBy::User));
    served.map(|pod| (pod, KnownBy::Mark)).or(kept)
}
