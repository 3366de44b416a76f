//! A workload of a mesh that runs, whether it runs itself or has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use leno_host::{Layout, NetworkId, Sockets};
use leno_model::Mono;
use leno_model::view::{Protocol, WorkloadId};
use tokio::sync::mpsc;

use super::guests::Guest;
use super::{Present, Program, Published, Row, Up};
use crate::up::explicit::Doors;
use crate::up::news::State;
use crate::up::process::Order;

/// A workload.
pub(super) struct Member {
    /// Who starts it.
    pub(super) starter: Starter,
    pub(super) layout: Layout,
    /// Counts its starts: what an earlier run still has to tell is passed over.
    pub(super) run: u32,
    pub(super) began: Mono,
    pub(super) state: State,
    /// Whether its enclosure is open and the proxy serves it.
    pub(super) inside: bool,
    pub(super) pid: Option<u32>,
    pub(super) orders: Option<mpsc::UnboundedSender<Order>>,
    /// Where the mesh takes its calls, if it is not captured.
    pub(super) doors: Option<Doors>,
    /// What becomes of it once it has ended.
    pub(super) then: Then,
    pub(super) supply: Option<Sockets>,
    /// The network that is its alone, if it is captured.
    pub(super) network: Option<NetworkId>,
    /// The ports on which it was found to listen, with what is spoken there.
    pub(super) found: BTreeMap<u16, Protocol>,
    /// The ports that are being asked what is spoken there.
    pub(super) greeted: BTreeSet<u16>,
    /// Where it listens.
    pub(super) listening: BTreeSet<SocketAddr>,
    pub(super) udp_refused: u64,
}

/// What becomes of a workload once it has ended.
pub(super) enum Then {
    /// It stays, for people to see how it ended.
    Stay,
    /// This is started in its place.
    Start(Program),
    /// It is no workload of the mesh any more.
    Leave,
}

/// Who starts a workload.
#[derive(Clone)]
pub(super) enum Starter {
    /// We do.
    Us(Program),
    /// Another process, which opens the enclosure and passes on what is needed of it.
    Guest(Guest),
}

impl Starter {
    /// The `MeshWorkload` that it starts an instance of.
    pub(super) fn of(&self) -> &WorkloadId {
        match self {
            Self::Us(program) => &program.id,
            Self::Guest(guest) => &guest.of,
        }
    }
}

impl Member {
    pub(super) fn new(starter: Starter, layout: Layout, run: u32, began: Mono) -> Self {
        Self {
            starter,
            layout,
            run,
            began,
            state: State::Starting,
            inside: false,
            pid: None,
            orders: None,
            doors: None,
            then: Then::Stay,
            supply: None,
            network: None,
            found: BTreeMap::new(),
            greeted: BTreeSet::new(),
            listening: BTreeSet::new(),
            udp_refused: 0,
        }
    }

    /// Whether it says itself on which ports it takes calls.
    pub(super) fn declares_ports(&self) -> bool {
        match &self.starter {
            Starter::Us(program) => program.declares_ports,
            Starter::Guest(_) => false,
        }
    }

    /// The port that is wanted on this machine for one of its own.
    pub(super) fn wanted_for(&self, port: u16) -> u16 {
        match &self.starter {
            Starter::Us(_) => port,
            Starter::Guest(guest) => {
                let mut pairs = guest.ports.iter();
                let pair = pairs.find(|(_, inside)| *inside == port);
                pair.map_or(port, |(outside, _)| *outside)
            }
        }
    }

    /// What there is to report of it while the proxy serves it, which takes its calls at `tunnel`.
    pub(super) fn present(&self, tunnel: SocketAddr) -> Present {
        let calls_only = match &self.starter {
            Starter::Us(_) => false,
            Starter::Guest(guest) => guest.calls_only,
        };
        Present {
            of: self.starter.of().name.clone(),
            address: self.layout.v4.into(),
            found: self.found.clone(),
            tunnel: (!calls_only).then_some(tunnel),
        }
    }
}

impl Up {
    /// The member, if this run of it is the one that counts.
    pub(super) fn current(&mut self, id: &WorkloadId, run: u32) -> Option<&mut Member> {
        let member = self.members.get_mut(id)?;
        (member.run == run).then_some(member)
    }

    /// How all stand: what is written in the order of the file, then who came by themselves.
    pub(super) fn rows(&self) -> Vec<Row> {
        let programs = self.programs();
        let place = |id: &WorkloadId| {
            let place = programs.iter().position(|program| program.id == *id);
            place.unwrap_or(usize::MAX)
        };
        let mut members = self.members.iter().collect::<Vec<_>>();
        members.sort_by_key(|(id, _)| place(id));
        let rows = members.into_iter().map(|(id, member)| self.row(id, member));
        rows.collect()
    }

    /// How a member stands.
    pub(super) fn row(&self, id: &WorkloadId, member: &Member) -> Row {
        let (typed, place) = match &member.starter {
            Starter::Us(program) => (program.typed.clone(), program.place.clone()),
            Starter::Guest(guest) => (guest.typed.clone(), String::new()),
        };
        Row {
            id: id.clone(),
            typed,
            place,
            state: member.state.clone(),
            published: self.published_for(id),
            pid: member.pid,
            udp_refused: member.udp_refused,
        }
    }

    fn published_for(&self, id: &WorkloadId) -> Vec<Published> {
        let all = self.published.iter();
        let of_member = all.filter(|((port, _), published)| {
            self.service_port(id, published.port).as_ref() == Some(port)
        });
        of_member.map(|(_, published)| published.clone()).collect()
    }
}
