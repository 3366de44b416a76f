//! One proxy's stream: what it says goes into its [`Server`], what that wants to say goes out, and
//! each new edition is offered to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use leno_channel::grpc::{Answer, Call, Status, StatusCode};
use leno_compile::Mesh;
use leno_identity::BundleHash;
use leno_model::view::{Generation, WorkloadId};
use leno_model::{Code, SpiffeId, Subscription};
use leno_wire::{Holder, Request, Server};
use tokio::sync::mpsc;

use crate::center::Center;
use crate::edition::Edition;
use crate::entitled::Entitled;
use crate::event::Event;
use crate::fleet::{Certificate, Member, Place};
use crate::serve::Peer;

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
        if let Err(status) = stream.proceed(&edition, &mut answer).await {
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
    /// The generation that was offered last, unless the proxy has asked for something since.
    offered: Option<Generation>,
    /// The last refusal that was told.
    refused: Option<Generation>,
}

impl Stream<'_> {
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

    /// Offers `edition`, sends what there is to send, and notes where the proxy stands.
    async fn proceed(&mut self, edition: &Edition, answer: &mut Answer) -> Result<(), Status> {
        let Some(hello) = self.server.hello() else {
            return Ok(());
        };
        let (proxy, tunnel) = (hello.proxy.clone(), hello.tunnel);
        let node = self.peer.node(self.center);
        let entitled = Entitled::new(&edition.mesh, self.peer.caller.id(), node.as_deref());
        let (mut granted, others) = entitled.split(&hello.workloads);
        let report = taken_at(&edition.mesh, &granted, tunnel);
        granted.extend(entitled.on_node().cloned());
        self.enter(&proxy, tunnel, &granted, others);
        self.report(report).await?;
        if self.offered.as_ref() != Some(&edition.generation) {
            let target = Arc::new(edition.target(&granted, self.server.subscriptions()));
            match target.generation().follows(self.server.adopted()) {
                true => self.server.offer(target),
                // No other control plane has what this one lacks.
                false => self.server.insist(target),
            }
            self.offered = Some(edition.generation.clone());
        }
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
        self.note(&proxy, edition);
        Ok(())
    }

    /// Shows the proxy in the fleet, with whom it stands in front of: before anybody is told of its
    /// tunnel, and before it is told anything itself.
    fn enter(
        &mut self,
        proxy: &str,
        tunnel: Option<SocketAddr>,
        granted: &BTreeSet<WorkloadId>,
        not_entitled: BTreeSet<WorkloadId>,
    ) {
        if self.place.is_none() {
            self.center.tell(&Event::Connected {
                proxy: proxy.to_owned(),
                identity: self.peer.caller.id().clone(),
            });
            self.place = Some(self.center.fleet.enter(self.member(proxy)));
        }
        if let Some(place) = &self.place {
            place.update(|member| {
                member.tunnel = tunnel;
                member.workloads = granted.clone();
                member.not_entitled = not_entitled;
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
            let kept = center.tunnels.report(&changed);
            kept.inspect_err(|failed| center.trouble(failed.code(), failed))
        });
        match kept.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Status::new(StatusCode::Unavailable, "the store failed")),
        }
    }

    fn note(&mut self, proxy: &str, edition: &Edition) {
        let refused = self.server.refused();
        if let Some((generation, why)) = refused
            && self.refused.as_ref() != Some(generation)
        {
            self.refused = Some(generation.clone());
            self.center.tell(&Event::Refused {
                code: code(edition, &self.server),
                proxy: proxy.to_owned(),
                generation: generation.clone(),
                why: why.to_owned(),
            });
        }
        self.peer.seat.holds(proxy, self.bundle());
        let why = refused.map(|(_, why)| (code(edition, &self.server), why.to_owned()));
        let adopted = self.server.adopted().clone();
        if let Some(place) = &self.place {
            place.update(|member| {
                member.current = adopted == edition.generation && why.is_none();
                member.adopted = adopted;
                member.wants = Arc::clone(&self.wants);
                member.holds = self.server.holds().clone();
                member.refused = why;
                member.lacks = self.server.lacks();
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

/// Where the mesh calls of workloads are taken; nothing for one whose are taken nowhere.
type TakenAt = BTreeMap<WorkloadId, Option<SocketAddr>>;

/// Where a proxy takes the mesh calls of those it stands in front of. One that says a port of no address in particular
/// takes them at each one's own address, as the proxy of a node does.
fn taken_at(mesh: &Mesh, workloads: &BTreeSet<WorkloadId>, tunnel: Option<SocketAddr>) -> TakenAt {
    let own = |workload: &WorkloadId, port: u16| {
        let addresses = &mesh.instances.get(workload)?.workload.addresses;
        Some(SocketAddr::new(*addresses.first()?, port))
    };
    let taken = |workload: &WorkloadId| match tunnel {
        Some(tunnel) if tunnel.ip().is_unspecified() => own(workload, tunnel.port()),
        tunnel => tunnel,
    };
    let each = workloads.iter();
    each.map(|workload| (workload.clone(), taken(workload)))
        .collect()
}

/// What kind of refusal a proxy's is: what it could not understand, or what would take it back.
fn code(edition: &Edition, server: &Server) -> Code {
    match edition.generation.follows(server.adopted()) {
        true => Code::D002,
        false => Code::D004,
    }
}
