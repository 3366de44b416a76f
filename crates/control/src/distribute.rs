//! One proxy's stream: what it says goes into its [`Server`], what that wants to say goes out, and
//! each new edition is offered to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use leno_channel::grpc::{Answer, Call, Status, StatusCode};
use leno_identity::BundleHash;
use leno_model::view::{Generation, WorkloadId};
use leno_model::{Code, SpiffeId, Subscription};
use leno_store::SOURCE;
use leno_wire::{Holder, Request, Server};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::center::Center;
use crate::edition::{Edition, Wanted};
use crate::entitled::Entitled;
use crate::event::Event;
use crate::fleet::{Certificate, Member, Place};
use crate::serve::Peer;
use crate::tunnels::{OfPod, Report};

/// Serves the stream until it ends, and says so.
pub(crate) async fn run(center: &Arc<Center>, peer: &Peer, call: Call) {
    let Call {
        mut messages,
        mut answer,
        ..
    } = call;
    let mut editions = center.editions.subscribe();
    let (asks, mut asked) = mpsc::channel(MOST_ASKED);
    let mut stream = Stream {
        center,
        peer,
        renew: asks,
        server: Server::default(),
        place: None,
        wants: Arc::default(),
        reported: None,
        shown: None,
        offered: None,
        refused: None,
    };
    if answer.begin().is_err() {
        return;
    }
    let end = loop {
        let done = tokio::select! {
            message = messages.next() => match message {
                Ok(Some(message)) => stream.take(&message),
                Ok(None) => break Ok(()),
                Err(status) => break Err(status),
            },
            Some(id) = asked.recv() => {
                stream.server.renew(id);
                Ok(())
            }
            () = sleep_until(stream.due()) => Ok(()),
            changed = editions.changed() => match changed {
                Ok(()) => Ok(()),
                Err(_) => Err(Status::new(StatusCode::Unavailable, "the control plane is stopping")),
            },
        };
        if let Err(status) = done {
            break Err(status);
        }
        let edition = Arc::clone(&editions.borrow_and_update());
        if edition.trusted.revoked.contains(peer.caller.id()) {
            let message = format!("{} is revoked", peer.caller.id());
            break Err(Status::new(StatusCode::PermissionDenied, message));
        }
        if let Err(status) = stream.offer(&edition).await {
            break Err(status);
        }
        // One that takes nothing keeps nobody's memory.
        let generation = edition.generation.clone();
        drop(edition);
        if let Err(status) = stream.send(&generation, &mut answer).await {
            break Err(status);
        }
    };
    if let Some(hello) = stream.server.hello() {
        let why = match &end {
            Ok(()) => "it went away".to_owned(),
            Err(status) => status.to_string(),
        };
        center.tell(&Event::Gone {
            proxy: hello.proxy.clone(),
            why,
        });
    }
    // A proxy that is gone needs no answer.
    drop(answer.finish(end));
}

/// How many certificates of one proxy may wait to be asked for.
const MOST_ASKED: usize = 64;

struct Stream<'a> {
    center: &'a Arc<Center>,
    peer: &'a Peer,
    /// Hears whose certificates are to be renewed.
    renew: mpsc::Sender<SpiffeId>,
    server: Server,
    place: Option<Place>,
    /// What the proxy wants to know about.
    wants: Arc<BTreeSet<Subscription>>,
    /// What it was last reported to take where.
    reported: Option<TakenAt>,
    /// Where it stands, as people are shown it.
    shown: Option<Standing>,
    /// What was offered last, unless the proxy has asked for something since.
    offered: Option<Offered>,
    /// The last refusal that was told.
    refused: Option<Generation>,
}

/// Where a proxy takes mesh calls, whom it stands in front of, and whom not, and the node that it serves.
#[derive(Clone, PartialEq)]
struct Standing {
    tunnel: Option<SocketAddr>,
    granted: BTreeSet<WorkloadId>,
    others: BTreeSet<WorkloadId>,
    node: Option<Arc<str>>,
}

/// What was offered to a proxy.
struct Offered {
    generation: Generation,
    wanted: Wanted,
    workloads: BTreeSet<WorkloadId>,
    /// The node that it serves.
    node: Option<Arc<str>>,
    /// When it may be told that another generation says the same.
    rests_until: Instant,
    /// The generation that says the same and that it is not told yet.
    same: Option<Generation>,
}

/// A proxy whose view says the same in a later generation is told so after this time: while a mesh changes all the
/// time, most changes are nothing to most proxies.
const REST: Duration = Duration::from_secs(5);

/// Of those who are not waited for.
const FAR: Duration = Duration::from_secs(3600);

impl Offered {
    /// Whether `edition` says the same to it, and need not be told yet. What people have changed is told at
    /// once, for they wait for it.
    fn lasts(
        &self,
        edition: &Edition,
        workloads: &BTreeSet<WorkloadId>,
        node: Option<&str>,
    ) -> bool {
        let (told, now) = (&self.generation, &edition.generation);
        let is_of_store =
            told.epoch != now.epoch || told.positions.get(SOURCE) != now.positions.get(SOURCE);
        !is_of_store
            && Instant::now() < self.rests_until
            && self.workloads == *workloads
            && self.node.as_deref() == node
            && self.wanted.is_in(edition, workloads, node)
    }
}

impl Stream<'_> {
    /// When it is to be offered what says the same.
    fn due(&self) -> Instant {
        let waits = self
            .offered
            .as_ref()
            .filter(|offered| offered.same.is_some());
        waits.map_or_else(|| Instant::now() + FAR, |offered| offered.rests_until)
    }

    fn take(&mut self, message: &[u8]) -> Result<(), Status> {
        let invalid = |misfit| Status::new(StatusCode::InvalidArgument, misfit);
        let request = Request::decode(message).map_err(invalid)?;
        let asks = !request.subscribe.is_empty() || !request.unsubscribe.is_empty();
        if asks || request.hello.is_some() {
            self.offered = None;
        }
        self.server.handle_request(request).map_err(invalid)?;
        if asks {
            self.wants = Arc::new(self.server.subscriptions().clone());
        }
        Ok(())
    }

    /// Offers `edition`, unless the proxy has what it says.
    async fn offer(&mut self, edition: &Edition) -> Result<(), Status> {
        let Some(hello) = self.server.hello() else {
            return Ok(());
        };
        let (proxy, tunnel) = (hello.proxy.clone(), hello.tunnel);
        let node = self.peer.node(self.center);
        if node.is_none() && self.peer.has_been_a_pod_of_nodes() {
            // It goes by what it was told before, until another has taken its place.
            let message = "the pod that you proved to be is not seen in the cluster";
            return Err(Status::new(StatusCode::PermissionDenied, message));
        }
        let entitled = Entitled::new(&edition.mesh, self.peer.caller.id(), node.as_deref());
        let (mut granted, others) = entitled.split(&hello.workloads);
        let on_node: BTreeSet<_> = entitled.on_node().collect();
        // That of a node says nothing of those with its pods' identities that it does not serve.
        let taken = granted
            .iter()
            .filter(|id| node.is_none() || on_node.contains(id));
        let taken = taken.map(|id| (id.clone(), taken_at(id, tunnel, edition)));
        let report = taken.collect();
        granted.extend(on_node.into_iter().cloned());
        let standing = Standing {
            tunnel,
            granted: granted.clone(),
            others,
            node: node.clone(),
        };
        self.enter(&proxy, standing);
        self.report(report).await?;
        match &mut self.offered {
            Some(offered) if offered.generation == edition.generation => return Ok(()),
            Some(offered) if offered.lasts(edition, &granted, node.as_deref()) => {
                offered.same = Some(edition.generation.clone());
                return Ok(());
            }
            Some(_) | None => {}
        }
        let subscriptions = self.server.subscriptions();
        let wanted = Wanted::of(edition, &granted, node.as_deref(), subscriptions);
        let target = Arc::new(wanted.target(edition));
        match target.generation().follows(self.server.adopted()) {
            true => self.server.offer(target),
            // No other control plane has what this one lacks.
            false => self.server.insist(target),
        }
        self.offered = Some(Offered {
            generation: edition.generation.clone(),
            wanted,
            workloads: granted,
            node,
            rests_until: Instant::now() + REST,
            same: None,
        });
        Ok(())
    }

    /// Sends what there is to send, and notes where the proxy stands beside the newest `generation`.
    async fn send(&mut self, generation: &Generation, answer: &mut Answer) -> Result<(), Status> {
        let Some(hello) = self.server.hello() else {
            return Ok(());
        };
        let proxy = hello.proxy.clone();
        let holder = Holder {
            proxy: proxy.clone(),
            identity: self.peer.caller.id().clone(),
        };
        while let Some(mut response) = self.server.poll_response() {
            if let Some(commit) = &mut response.commit {
                commit.seal = self.center.seal(&commit.statement(&holder));
            }
            answer.send(&response.encode()).await?;
        }
        self.note(&proxy, generation);
        Ok(())
    }

    /// Shows the proxy in the fleet, with whom it stands in front of: before anybody is told of its
    /// tunnel, and before it is told anything itself.
    fn enter(&mut self, proxy: &str, standing: Standing) {
        if self.place.is_none() {
            self.place = Some(self.center.fleet.enter(self.member(proxy)));
            self.center.tell(&Event::Connected {
                proxy: proxy.to_owned(),
                identity: self.peer.caller.id().clone(),
            });
        }
        if let Some(place) = &self.place
            && self.shown.as_ref() != Some(&standing)
        {
            self.shown = Some(standing.clone());
            place.update(|member| {
                member.tunnel = standing.tunnel;
                member.workloads = standing.granted;
                member.not_entitled = standing.others;
                member.node = standing.node;
            });
        }
    }

    /// Tells everybody where this proxy takes mesh calls. The report is on disk, and in an edition
    /// to come, before the proxy is sent anything that rests on it.
    async fn report(&mut self, report: TakenAt) -> Result<(), Status> {
        if self.reported.as_ref() == Some(&report) {
            return Ok(());
        }
        let before = self.reported.replace(report.clone()).unwrap_or_default();
        let mut changed = report;
        for workload in before.into_keys() {
            changed.entry(workload).or_default();
        }
        let center = Arc::clone(self.center);
        let kept = tokio::task::spawn_blocking(move || {
            let kept = center.take_report(&changed);
            kept.inspect_err(|failed| center.trouble(failed.code(), failed))
        });
        match kept.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Status::new(StatusCode::Unavailable, "the store failed")),
        }
    }

    fn note(&mut self, proxy: &str, newest: &Generation) {
        let refused = self.server.refused();
        if let Some((generation, why)) = refused
            && self.refused.as_ref() != Some(generation)
        {
            self.refused = Some(generation.clone());
            self.center.tell(&Event::Refused {
                code: code(newest, &self.server),
                proxy: proxy.to_owned(),
                generation: generation.clone(),
                why: why.to_owned(),
            });
        }
        self.peer.seat.holds(proxy, self.bundle());
        let why = refused.map(|(_, why)| (code(newest, &self.server), why.to_owned()));
        let adopted = self.server.adopted().clone();
        let says_same = |offered: &Offered| {
            offered.same.as_ref() == Some(newest) && offered.generation == adopted
        };
        let is_current = adopted == *newest || self.offered.as_ref().is_some_and(says_same);
        if let Some(place) = &self.place {
            place.update(|member| {
                member.current = is_current && why.is_none();
                member.adopted = adopted;
                member.wants = Arc::clone(&self.wants);
                member.holds = self.server.holds().clone();
                member.refused = why;
                member.lacks = self.server.lacks();
                member.features = self.server.features();
            });
        }
    }

    /// The bundle of our own trust domain that it holds.
    fn bundle(&self) -> Option<BundleHash> {
        let (name, _) = self.center.authority.told()?.bundle();
        let version = self.server.holds().version(&name)?;
        Some(BundleHash(*version.bytes()))
    }

    fn member(&self, proxy: &str) -> Member {
        let shown = Certificate {
            ends: Some(self.peer.caller.ends()),
            ..Certificate::default()
        };
        let identity = self.peer.caller.id().clone();
        Member {
            certificates: BTreeMap::from([(identity.clone(), shown)]),
            ..Member::new(
                proxy.to_owned(),
                identity,
                self.peer.address,
                self.renew.clone(),
            )
        }
    }
}

/// Where the mesh calls of workloads are taken.
type TakenAt = BTreeMap<WorkloadId, Report>;

/// What is said of a workload whose mesh calls are taken there.
fn taken_at(id: &WorkloadId, tunnel: Option<SocketAddr>, edition: &Edition) -> Report {
    let named = (id.namespace.clone(), id.name.clone());
    let instance = edition.mesh.instances.get(id);
    let of_node = instance.and_then(|it| it.workload.pod.as_ref());
    let pod = edition
        .meaning
        .compiled_from()
        .pods
        .get(&named)
        .map(|pod| OfPod {
            uid: pod.uid.clone(),
            is_served: of_node.is_some_and(|of_node| of_node.uid == pod.uid),
        });
    Report { tunnel, pod }
}

/// What kind of refusal a proxy's is: what it could not understand, or what would take it back.
fn code(newest: &Generation, server: &Server) -> Code {
    match newest.follows(server.adopted()) {
        true => Code::D002,
        false => Code::D004,
    }
}
