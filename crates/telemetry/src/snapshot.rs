//! Everything that was counted up to one moment, and the golden signals in it.
//!
//! Two snapshots make a rate: [`Signals::since`] is what came between them, the reader knows the time.

use std::collections::BTreeMap;
use std::sync::Arc;

use leno_model::view::WorkloadId;
use leno_model::{Fault, Histogram, SpiffeId};

use crate::capture::Captured;
use crate::certificates::Standing;
use crate::event::{Reporter, Security};
use crate::export::Exported;
use crate::limit::Limit;
use crate::registry::{CodeCounts, Total};
use crate::series::{Labels, What};

/// Everything a process counted since it began.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The series, in the order of their labels.
    pub series: Vec<Total>,
    /// Calls and streams that this process refused or cut short, by code.
    pub refused: CodeCounts,
    /// Handshakes that failed, by code.
    pub handshakes: CodeCounts,
    /// Times at which connections waited and could not be taken, by code.
    pub accepts: CodeCounts,
    /// How each certificate stands that this process holds or waits for.
    pub certificates: Vec<(SpiffeId, Standing)>,
    /// Whether what workloads send comes to this process, of those that are to be captured.
    pub captured: Vec<(WorkloadId, Captured)>,
    /// How often the process of each pod ended by itself, of pods that have one of their own.
    pub pod_processes: Vec<(WorkloadId, u64)>,
    /// How often each limit bit, of those that did.
    pub limits: Vec<(Limit, u64)>,
    /// Events counted as `other`, because the budget of series was spent.
    pub folded: u64,
    /// Lines that the access log had no room for or could not write.
    pub log_dropped: u64,
    /// Events that taps asked for and had no room or leave for.
    pub tap_dropped: u64,
    /// What became of what was sent to a collector; empty where none is named.
    pub exported: Vec<Exported>,
    /// Calls that have a line in the access log because its filter failed on them.
    pub log_unfiltered: u64,
    /// Times that an access rule matched which only tells so.
    pub audited: u64,
}

impl Snapshot {
    /// The golden signals of each edge, as each of its proxies saw them.
    pub fn edges(&self) -> BTreeMap<EdgeName, Signals> {
        self.signals(|labels| EdgeName {
            source: labels.source.clone(),
            destination: labels.destination.clone(),
            reporter: labels.traits.reporter,
        })
    }

    /// The golden signals of all series that `group` puts together.
    pub fn signals<G: Ord>(&self, group: impl Fn(&Labels) -> G) -> BTreeMap<G, Signals> {
        let mut groups = BTreeMap::<G, Signals>::new();
        for total in &self.series {
            groups.entry(group(&total.labels)).or_default().add(total);
        }
        groups
    }
}

/// An edge, and who tells of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EdgeName {
    /// Who called.
    pub source: Arc<str>,
    /// What was called.
    pub destination: Arc<str>,
    /// Which of the two proxies counted.
    pub reporter: Reporter,
}

/// Traffic, errors, latency, and how it was secured.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Signals {
    /// Requests.
    pub requests: u64,
    /// Streams of bytes that ended or could not be opened.
    pub streams: u64,
    /// Streams that are open, by how they are secured.
    pub open: BTreeMap<Security, u64>,
    /// Requests and streams that failed, by whose fault it was.
    pub failures: BTreeMap<Fault, u64>,
    /// Requests and streams by how they were secured.
    pub security: BTreeMap<Security, u64>,
    /// How long the requests took: ask it for p50, p90 and p99.
    pub took: Histogram,
    /// Bytes from the callers.
    pub sent: u64,
    /// Bytes to the callers.
    pub received: u64,
}

impl Signals {
    /// Requests and streams that failed, whosever fault it was.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// What was counted after `earlier`, former signals of the same group. What is open is open still.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            streams: self.streams.saturating_sub(earlier.streams),
            open: self.open.clone(),
            failures: less(&self.failures, &earlier.failures),
            security: less(&self.security, &earlier.security),
            took: self.took.since(&earlier.took),
            sent: self.sent.saturating_sub(earlier.sent),
            received: self.received.saturating_sub(earlier.received),
        }
    }

    fn add(&mut self, total: &Total) {
        let traits = total.labels.traits;
        match traits.what {
            What::Calls(_) => self.requests += total.count,
            What::Streams => self.streams += total.count,
            // Nobody waits for what becomes of a copy.
            What::Copies(_) => return,
        }
        add(&mut self.open, traits.security, total.open);
        if let Some(fault) = traits.fault {
            add(&mut self.failures, fault, total.count);
        }
        add(&mut self.security, traits.security, total.count);
        self.took.add(&total.took);
        self.sent += total.sent;
        self.received += total.received;
    }
}

/// Adds to a count, if there is something to add.
fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, count: u64) {
    if count > 0 {
        *counts.entry(key).or_default() += count;
    }
}

/// What is left of each count; those of which nothing is left are left out.
fn less<K: Copy + Ord>(counts: &BTreeMap<K, u64>, earlier: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let rest = counts.iter().map(|(key, count)| {
        let before = earlier.get(key).copied().unwrap_or_default();
        (*key, count.saturating_sub(before))
    });
    rest.filter(|(_, count)| *count > 0).collect()
}
