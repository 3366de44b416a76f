//! A workload of a mesh that runs, whether it runs itself or has ended.

use std::collections::{BTreeMap, BTreeSet};

use leno_host::{Layout, Sockets};
use leno_model::view::{Protocol, WorkloadId};
use leno_model::{Mono, Name};
use tokio::sync::mpsc;

use super::guests::Guest;
use super::{Program, Published, Row, Running, Up};
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
    /// What to start once it has ended.
    pub(super) next: Option<Program>,
    pub(super) supply: Option<Sockets>,
    /// The ports on which it was found to listen, with what is spoken there.
    pub(super) found: BTreeMap<u16, Protocol>,
    /// The ports that are being asked what is spoken there.
    pub(super) greeted: BTreeSet<u16>,
    pub(super) udp_refused: u64,
}

/// Who starts a workload.
#[derive(Clone)]
pub(super) enum Starter {
    /// We do.
    Us(Program),
    /// Another process, which opens the enclosure and passes on what is needed of it.
    Guest(Guest),
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
            next: None,
            supply: None,
            found: BTreeMap::new(),
            greeted: BTreeSet::new(),
            udp_refused: 0,
        }
    }

    /// The `MeshWorkload` it is an instance of.
    fn of(&self) -> &Name {
        match &self.starter {
            Starter::Us(program) => &program.name,
            Starter::Guest(guest) => &guest.name,
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

    pub(super) fn running(&self) -> Running {
        Running {
            of: self.of().clone(),
            address: self.layout.v4,
            found: self.found.clone(),
            called: match &self.starter {
                Starter::Us(_) => true,
                Starter::Guest(guest) => !guest.calls_only,
            },
        }
    }
}

impl Up {
    /// The member, if this run of it is the one that counts.
    pub(super) fn current(&mut self, id: &WorkloadId, run: u32) -> Option<&mut Member> {
        let member = self.members.get_mut(id)?;
        (member.run == run).then_some(member)
    }

    /// How a member stands.
    pub(super) fn row(&self, id: &WorkloadId, member: &Member) -> Row {
        let (typed, place) = match &member.starter {
            Starter::Us(program) => (program.typed.clone(), program.place.clone()),
            Starter::Guest(guest) => (guest.typed.clone(), String::new()),
        };
        Row {
            name: id.name.to_string(),
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
            self.compiled.service_port(id, published.port).as_ref() == Some(port)
        });
        of_member.map(|(_, published)| *published).collect()
    }
}
