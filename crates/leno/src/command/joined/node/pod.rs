//! One pod into whose network the proxy of its node reaches: the rules there, and the sockets that take what they lead to
//! them, unless a proxy in the pod has its own.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::io;
use std::mem;
use std::sync::Arc;

use leno_host::nft::{Difference, Netfilter, NotRepaired};
use leno_host::{KnownBy, Netns, PodCapture, PodListeners, Veth, veths};
use leno_model::Code;
use leno_model::view::{self, OwnProcess, Unknown, WorkloadId};
use leno_proxy::{Door, Listener, Place, Prover};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::command::joined::node::guarding::{FIRST_OF_NODE, Sides};
use crate::command::joined::node::process::Process;
use crate::upkeep::{Repair, Upkeep};

/// A pod that is captured.
pub(super) struct Pod {
    pub(super) uid: Arc<str>,
    pub(super) netns: Arc<Netns>,
    /// Its devices that have their other end elsewhere: on the node.
    pub(super) veths: Vec<Veth>,
    /// Since when.
    pub(super) since: Instant,
    /// Whether a view has told of it.
    pub(super) is_told: bool,
    capture: PodCapture,
    upkeep: JoinHandle<()>,
    /// Until the proxy takes what arrives there; none where a proxy in the pod does.
    listeners: Option<PodListeners>,
    /// What tries whether what the pod sends comes, once it is served.
    proving: JoinSet<Infallible>,
    /// What the process of its own may use that it is to have.
    pub(super) own: Option<OwnProcess>,
    /// That process, once it was started.
    pub(super) process: Option<Process>,
}

/// What happened to the rules of a pod.
pub(super) struct Heard {
    pub(super) id: WorkloadId,
    /// What was put back, or why it could not be.
    pub(super) what: Result<Repair, NotRepaired>,
}

/// A pod is not captured.
#[derive(Debug)]
pub(super) struct NotTaken(pub(super) String);

/// `H018 pod-not-served: port 15001 of the pod: Address already in use`
impl Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", Code::H018, Code::H018.slug(), self.0)
    }
}

impl NotTaken {
    fn because(why: &impl Display) -> Self {
        Self(why.to_string())
    }
}

/// What is captured of a pod whose proxy is known so, in a mesh that treats unknown destinations so.
pub(super) fn capture(pod: &view::Pod, known_by: KnownBy, unknown: Unknown) -> PodCapture {
    let left_out = pod.left_out.clone();
    PodCapture {
        skip_inbound: left_out.inbound,
        skip_outbound: left_out.outbound,
        skip_outbound_blocks: left_out.outbound_blocks,
        refuse_udp: unknown == Unknown::Refuse,
        known_by,
    }
}

impl Pod {
    /// Captures what goes in and out of a pod from here on. What arrives waits until [`Self::sockets`] are taken. What
    /// happens to the rules is told to `heard`.
    pub(super) fn take(
        id: &WorkloadId,
        said: &view::Pod,
        netns: Netns,
        capture: PodCapture,
        heard: &mpsc::Sender<Heard>,
    ) -> Result<Self, NotTaken> {
        let of_node = Netns::of_process(FIRST_OF_NODE);
        if of_node.is_ok_and(|of_node| of_node == netns) {
            return Err(NotTaken("it has the network of its node".to_owned()));
        }
        let listeners = match capture.known_by {
            KnownBy::Mark => netns.within(PodListeners::open).map(Some),
            KnownBy::User => Ok(None),
        };
        let listeners = listeners.map_err(|why| NotTaken::because(&why))?;
        let veths = netns.within(veths);
        let veths = veths.map_err(|why| NotTaken::because(&why))?;
        let upkeep = hold(id, &netns, &capture, heard)?;
        Ok(Self {
            uid: said.uid.clone(),
            netns: Arc::new(netns),
            veths,
            since: Instant::now(),
            is_told: false,
            capture,
            upkeep,
            listeners,
            proving: JoinSet::new(),
            own: said.own_process.clone(),
            process: None,
        })
    }

    /// Captures what `capture` says from here on; if that cannot be, what it did before.
    pub(super) fn capture(
        &mut self,
        id: &WorkloadId,
        capture: PodCapture,
        heard: &mpsc::Sender<Heard>,
    ) -> Result<(), NotTaken> {
        if self.capture != capture {
            let upkeep = hold(id, &self.netns, &capture, heard)?;
            // It has had no turn since, in which it would have put its own rules back.
            mem::replace(&mut self.upkeep, upkeep).abort();
            self.capture = capture;
        }
        Ok(())
    }

    /// In what the rules that hold differ from those that should.
    pub(super) fn differences(&self) -> io::Result<Vec<Difference>> {
        let rules = self.capture.rules();
        self.netns.within(|| Netfilter::open()?.differences(&rules))
    }

    /// What of it can be guarded from outside: where nothing is left out of its capture.
    pub(super) fn sides(&self) -> Sides {
        let PodCapture {
            skip_inbound,
            skip_outbound,
            skip_outbound_blocks,
            ..
        } = &self.capture;
        Sides {
            inbound: skip_inbound.is_empty(),
            outbound: skip_outbound.is_empty() && skip_outbound_blocks.is_empty(),
        }
    }

    /// Whether a proxy in the pod carries its calls: of such a one the rules alone are kept.
    pub(super) fn has_own_proxy(&self) -> bool {
        self.capture.known_by == KnownBy::User
    }

    /// Whether a proxy takes what arrives there, or the pod's own process does.
    pub(super) fn is_served(&self) -> bool {
        match (&self.own, &self.process) {
            (None, _) => self.listeners.is_none(),
            (Some(_), process) => process.as_ref().is_some_and(Process::serves),
        }
    }

    /// The sockets at which what is captured arrives, once.
    pub(super) fn sockets(&mut self) -> Option<PodListeners> {
        self.listeners.take()
    }

    /// Has it tried again and again whether what the pod sends comes, for as long as this is held.
    pub(super) fn prove(&mut self, prover: Prover) {
        self.proving.spawn(prover.run());
    }

    /// Captures nothing any more. Of a pod that has ended there is nothing left to release, and a proxy in a pod goes on as
    /// long as that does.
    pub(super) fn release(mut self) {
        self.upkeep.abort();
        if let Some(process) = self.process.take() {
            process.leave();
        }
        if self.has_own_proxy() {
            return;
        }
        let table = self.capture.rules().table;
        let released = self.netns.within(|| {
            let netfilter = Netfilter::open()?;
            netfilter.remove(table).map_err(io::Error::other)
        });
        // Whoever has gone captures nothing.
        drop(released);
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

/// What takes what arrives at the sockets of a pod.
pub(in crate::command::joined) fn listeners(
    id: &WorkloadId,
    sockets: PodListeners,
) -> Vec<Listener> {
    let streams = [
        (sockets.outbound, Door::Outbound(id.clone())),
        (sockets.inbound, Door::Inbound(id.clone())),
        (sockets.tunnel, Door::TunnelTo(id.clone())),
        (sockets.dns_tcp, Door::Dns(id.clone())),
    ];
    let streams = streams.into_iter().flat_map(|(sockets, door)| {
        sockets.into_iter().map(move |socket| Listener {
            place: Place::Socket(socket),
            door: door.clone(),
        })
    });
    let datagrams = sockets.dns_udp.into_iter().map(|socket| Listener {
        place: Place::Datagrams(socket),
        door: Door::Dns(id.clone()),
    });
    streams.chain(datagrams).collect()
}

/// Loads the rules, and puts them back whenever somebody changes them, until the task is ended.
fn hold(
    id: &WorkloadId,
    netns: &Netns,
    capture: &PodCapture,
    heard: &mpsc::Sender<Heard>,
) -> Result<JoinHandle<()>, NotTaken> {
    let rules = capture.rules();
    let begun = netns.within(|| {
        let netfilter = Netfilter::open()?;
        let loaded = netfilter.replace(&rules).map_err(io::Error::other);
        loaded.and_then(|()| Upkeep::begin(rules))
    });
    let mut upkeep = begun.map_err(|why| NotTaken::because(&why))?;
    let (id, heard) = (id.clone(), heard.clone());
    Ok(tokio::spawn(async move {
        loop {
            let (id, what) = (id.clone(), upkeep.repaired().await);
            // Nobody listens when all has ended.
            drop(heard.send(Heard { id, what }).await);
        }
    }))
}
