//! What the workloads of this process were told of hosts outside the mesh: shared by all workers, since
//! one may answer the question and another carry the connection. Only calls that leave the mesh, and
//! answers about its hosts, come here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_model::view::{View, WorkloadId};
use leno_model::{HostName, Mono};
use leno_traffic::{Host, Said, Told};

/// What each workload was told.
#[derive(Debug, Default)]
pub(crate) struct ToldNames(Mutex<BTreeMap<WorkloadId, Told>>);

impl ToldNames {
    /// Remembers that `workload` was told that `name` has `address`; whether something older had to be
    /// forgotten for it.
    pub(crate) fn tell(
        &self,
        workload: &WorkloadId,
        name: &HostName,
        (address, ttl): (IpAddr, Duration),
        now: Mono,
    ) -> bool {
        let mut all = self.all();
        let told = all.entry(workload.clone()).or_default();
        told.tell(name, address, ttl, now)
    }

    /// What `workload` was told of the host at `address`, of which a connection says this.
    pub(crate) fn host(
        &self,
        workload: &WorkloadId,
        address: IpAddr,
        said: Said,
        now: Mono,
    ) -> Host {
        match self.all().get(workload) {
            Some(told) => told.host(address, said, now),
            None => Host {
                told: Vec::new(),
                said,
            },
        }
    }

    /// Forgets what workloads were told that `view` does not hold.
    pub(crate) fn keep(&self, view: &View) {
        self.all().retain(|id, _| view.workloads.contains_key(id));
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<WorkloadId, Told>> {
        // Each change is whole before the next begins.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
