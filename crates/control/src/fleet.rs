//! The proxies that are connected, as people may see them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_admin::ProxyState;
use leno_model::view::{Generation, WorkloadId};
use leno_model::{SpiffeId, Wall};

/// The proxies that are connected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet(Arc<Mutex<Members>>);

#[derive(Debug, Default)]
struct Members {
    next: u64,
    by_number: BTreeMap<u64, Member>,
}

/// One proxy.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) identity: SpiffeId,
    pub(crate) address: IpAddr,
    pub(crate) since: Wall,
    pub(crate) ends: Wall,
    pub(crate) tunnel: Option<SocketAddr>,
    pub(crate) workloads: BTreeSet<WorkloadId>,
    pub(crate) not_entitled: BTreeSet<WorkloadId>,
    pub(crate) adopted: Generation,
    /// Whether it has what it should have.
    pub(crate) current: bool,
    pub(crate) refused: Option<String>,
}

/// A proxy's place among the others, for as long as it is connected.
#[derive(Debug)]
pub(crate) struct Place {
    fleet: Fleet,
    number: u64,
}

impl Fleet {
    /// Takes a proxy in.
    pub(crate) fn enter(&self, member: Member) -> Place {
        let mut members = self.members();
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
        self.members().by_number.len()
    }

    /// All of them, by name.
    pub(crate) fn told(&self) -> Vec<ProxyState> {
        let names = |workloads: &BTreeSet<WorkloadId>| {
            workloads.iter().map(WorkloadId::to_string).collect()
        };
        let tell = |member: &Member| ProxyState {
            name: member.name.clone(),
            identity: member.identity.to_string(),
            address: member.address.to_string(),
            tunnel: member.tunnel.map(|tunnel| tunnel.to_string()),
            workloads: names(&member.workloads),
            not_entitled: names(&member.not_entitled),
            generation: member.adopted.to_string(),
            current: member.current,
            refused: member.refused.clone(),
            since: member.since.to_string(),
            ends: member.ends.to_string(),
        };
        let mut told: Vec<_> = self.members().by_number.values().map(tell).collect();
        told.sort_by(|one, other| one.name.cmp(&other.name));
        told
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Notes what has changed about the proxy.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.fleet.members().by_number.get_mut(&self.number) {
            change(member);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.fleet.members().by_number.remove(&self.number);
    }
}
