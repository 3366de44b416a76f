//! The proxies that are connected, as people may see them, and those that were and are not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_admin::several::Respondent;
use leno_admin::{Ahead, ProxyState};
use leno_model::view::{Generation, WorkloadId};
use leno_model::{Code, SpiffeId, Subscription, Wall};
use leno_wire::Holds;
use tokio::sync::{mpsc, watch};

use crate::clock;

/// The proxies.
#[derive(Clone)]
pub(crate) struct Fleet {
    members: Arc<Mutex<Members>>,
    /// How proxies are asked, by the other end of their connection.
    ways: Arc<Mutex<BTreeMap<SocketAddr, Respondent>>>,
    /// Rises whenever a certificate was asked for, and whenever a proxy goes.
    asked: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Members {
    next: u64,
    by_number: BTreeMap<u64, Member>,
    /// When the last proxy in front of a workload went away.
    gone: BTreeMap<WorkloadId, Wall>,
}

/// One proxy.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) identity: SpiffeId,
    /// The other end of its connection.
    pub(crate) peer: SocketAddr,
    pub(crate) since: Wall,
    /// The certificates that it is known to have.
    pub(crate) certificates: BTreeMap<SpiffeId, Certificate>,
    pub(crate) tunnel: Option<SocketAddr>,
    pub(crate) workloads: BTreeSet<WorkloadId>,
    pub(crate) not_entitled: BTreeSet<WorkloadId>,
    /// The node of a cluster that it serves.
    pub(crate) node: Option<Arc<str>>,
    pub(crate) adopted: Generation,
    /// What it wants to know about.
    pub(crate) wants: Arc<BTreeSet<Subscription>>,
    /// The parts of the view that it has adopted.
    pub(crate) holds: Holds,
    /// Whether it has what it should have.
    pub(crate) current: bool,
    /// Why not, if it said so.
    pub(crate) refused: Option<(Code, String)>,
    /// The features that its view needs and that it lacks.
    pub(crate) lacks: BTreeSet<String>,
    /// The features that it understands.
    pub(crate) features: BTreeSet<String>,
    /// Hears whose certificates are to be renewed.
    pub(crate) renew: mpsc::Sender<SpiffeId>,
}

/// A certificate of a proxy, as far as this end of its connection knows.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Certificate {
    /// The last second of the newest one.
    pub(crate) ends: Option<Wall>,
    /// When that one was asked for; unknown of one that the proxy had before it connected.
    pub(crate) renewed: Option<Wall>,
    /// How often one was asked for.
    pub(crate) asked: u32,
    /// What is wrong since the newest one came.
    pub(crate) failures: Option<Failures>,
}

/// Tries that failed, one after another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failures {
    pub(crate) count: u32,
    pub(crate) since: Wall,
    /// Why the last one failed.
    pub(crate) why: String,
}

/// A way to ask a proxy, for as long as there is one.
pub(crate) struct Way {
    fleet: Fleet,
    peer: SocketAddr,
}

/// A proxy's place among the others, for as long as it is connected.
pub(crate) struct Place {
    fleet: Fleet,
    number: u64,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            members: Arc::default(),
            ways: Arc::default(),
            asked: watch::Sender::new(0),
        }
    }
}

impl Fleet {
    /// Takes a proxy in.
    pub(crate) fn enter(&self, member: Member) -> Place {
        let mut members = self.lock();
        let number = members.next;
        members.next += 1;
        members.by_number.insert(number, member);
        Place {
            fleet: self.clone(),
            number,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_number.len()
    }

    /// All of them, by name, each with a number of its own.
    pub(crate) fn members(&self) -> Vec<(u64, Member)> {
        let members = self.lock();
        let each = members.by_number.iter();
        let mut all: Vec<_> = each
            .map(|(number, member)| (*number, member.clone()))
            .collect();
        all.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        all
    }

    /// The one of this number, if it is still there.
    pub(crate) fn member(&self, number: u64) -> Option<Member> {
        self.lock().by_number.get(&number).cloned()
    }

    /// Lets the proxy behind `peer` be asked, until what this gives is dropped.
    pub(crate) fn answers(&self, peer: SocketAddr, respondent: Respondent) -> Way {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.insert(peer, respondent);
        Way {
            fleet: self.clone(),
            peer,
        }
    }

    /// How the proxy behind `peer` is asked, if it can be.
    pub(crate) fn way(&self, peer: SocketAddr) -> Option<Respondent> {
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.get(&peer).cloned()
    }

    /// When the last proxy in front of `workload` went away; `None` if there is one, or has not been
    /// since this process started.
    pub(crate) fn gone(&self, workload: &WorkloadId) -> Option<Wall> {
        self.lock().gone.get(workload).copied()
    }

    /// Notes what became of a certificate for `id` that the proxy behind `peer` asked for.
    pub(crate) fn certified(&self, peer: SocketAddr, id: &SpiffeId, asked: Result<Wall, String>) {
        let mut members = self.lock();
        let member = members.by_number.values_mut().find(|one| one.peer == peer);
        if let Some(member) = member {
            let certificate = member.certificates.entry(id.clone()).or_default();
            certificate.note(asked, clock::wall());
        }
        self.asked.send_modify(|count| *count += 1);
    }

    /// Hears when a certificate was asked for, and when a proxy goes.
    pub(crate) fn hear(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }

    /// The connected proxies that have not taken `generation` yet, by name.
    pub(crate) fn lacking(&self, generation: &Generation) -> Vec<String> {
        let members = self.lock();
        let members = members.by_number.values();
        let lacking = members.filter(|member| !member.adopted.follows(generation));
        lacking.map(|member| member.name.clone()).collect()
    }

    /// The proxies that hold what a view at `ours` would take back, and the highest epoch among them.
    pub(crate) fn ahead(&self, ours: &Generation) -> (Vec<Ahead>, u64) {
        let members = self.lock();
        let is_ahead = |member: &&Member| !ours.follows(&member.adopted);
        let ahead = members.by_number.values().filter(is_ahead);
        let ahead = ahead.collect::<Vec<_>>();
        let epoch = ahead.iter().map(|member| member.adopted.epoch).max();
        let tell = |member: &&Member| Ahead {
            name: member.name.clone(),
            generation: member.adopted.to_string(),
        };
        let mut told: Vec<_> = ahead.iter().map(tell).collect();
        told.sort_by(|one, other| one.name.cmp(&other.name));
        (told, epoch.unwrap_or(0))
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// One that has connected at this moment, of which nothing else is known yet.
    pub(crate) fn new(
        name: String,
        identity: SpiffeId,
        peer: SocketAddr,
        renew: mpsc::Sender<SpiffeId>,
    ) -> Self {
        Self {
            name,
            identity,
            peer,
            since: clock::wall(),
            certificates: BTreeMap::new(),
            tunnel: None,
            workloads: BTreeSet::new(),
            not_entitled: BTreeSet::new(),
            node: None,
            adopted: Generation::default(),
            wants: Arc::default(),
            holds: Holds::default(),
            current: false,
            refused: None,
            lacks: BTreeSet::new(),
            features: BTreeSet::new(),
            renew,
        }
    }

    /// It as people may see it.
    pub(crate) fn told(&self) -> ProxyState {
        let names = |workloads: &BTreeSet<WorkloadId>| {
            workloads.iter().map(WorkloadId::to_string).collect()
        };
        // One that runs in this process proves nothing of its own.
        let own = self.certificates.get(&self.identity);
        let first = || self.certificates.values().filter_map(|one| one.ends).min();
        let ends = own.and_then(|own| own.ends).or_else(first);
        ProxyState {
            name: self.name.clone(),
            identity: self.identity.to_string(),
            address: self.peer.ip().to_string(),
            tunnel: self.tunnel.map(|tunnel| tunnel.to_string()),
            workloads: names(&self.workloads),
            node: self.node.as_deref().map(str::to_owned),
            not_entitled: names(&self.not_entitled),
            generation: self.adopted.to_string(),
            current: self.current,
            refused: self.refused.as_ref().map(|(_, why)| why.clone()),
            code: self.refused.as_ref().map(|(code, _)| code.to_string()),
            lacks: self.lacks.iter().cloned().collect(),
            features: Some(self.features.iter().cloned().collect()),
            since: self.since.to_string(),
            ends: ends.unwrap_or_default().to_string(),
        }
    }
}

impl Certificate {
    fn note(&mut self, asked: Result<Wall, String>, now: Wall) {
        self.asked = self.asked.saturating_add(1);
        match asked {
            Ok(ends) => {
                self.ends = Some(ends);
                self.renewed = Some(now);
                self.failures = None;
            }
            Err(why) => {
                let (count, since) = match &self.failures {
                    Some(failures) => (failures.count.saturating_add(1), failures.since),
                    None => (1, now),
                };
                self.failures = Some(Failures { count, since, why });
            }
        }
    }
}

impl Place {
    /// Notes what has changed about the proxy.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Member)) {
        let mut members = self.fleet.lock();
        if let Some(member) = members.by_number.get_mut(&self.number) {
            change(member);
            let workloads = member.workloads.clone();
            members.gone.retain(|id, _| !workloads.contains(id));
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        let ways = &self.fleet.ways;
        let mut ways = ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.remove(&self.peer);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut members = self.fleet.lock();
        if let Some(member) = members.by_number.remove(&self.number) {
            let now = clock::wall();
            let left = member.workloads.into_iter().filter(|id| {
                let mut others = members.by_number.values();
                !others.any(|other| other.workloads.contains(id))
            });
            let left: Vec<_> = left.collect();
            members.gone.extend(left.into_iter().map(|id| (id, now)));
            while members.gone.len() > MOST_GONE {
                let oldest = members.gone.iter().min_by_key(|(_, at)| **at);
                let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                    break;
                };
                members.gone.remove(&oldest);
            }
        }
        self.fleet.asked.send_modify(|count| *count += 1);
    }
}

/// Of how many workloads it is remembered when their proxy went away.
const MOST_GONE: usize = 10_000;
