//! What is heard of single calls beside the counters: who of several answered, and why calls failed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use leno_telemetry::{Call, Event, Filter, Record, Reporter, Security, Tap, Telemetry};

use crate::render::edges::{Remarks, Share};

/// Who called, and what.
type EdgeName = (String, String);

/// A listener to every call.
pub(super) struct Heard {
    tap: Tap,
    workloads: BTreeMap<IpAddr, String>,
    shares: Shares,
    failures: BTreeMap<EdgeName, String>,
    first: Option<Record>,
}

/// How many calls of an edge each workload answered.
pub(super) type Shares = BTreeMap<(EdgeName, String), Share>;

impl Heard {
    /// Listens from here on.
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        Self {
            tap: telemetry.tap(Filter::default(), MOST_PER_SECOND),
            workloads: BTreeMap::new(),
            shares: Shares::new(),
            failures: BTreeMap::new(),
            first: None,
        }
    }

    /// Learns who is at an address.
    pub(super) fn learn(&mut self, address: IpAddr, workload: &str) {
        self.workloads.insert(address, workload.to_owned());
    }

    /// Takes in what has happened since.
    pub(super) fn listen(&mut self) {
        while let Some(record) = self.tap.try_next() {
            let Event::Call(call) = record.event() else {
                continue;
            };
            let carried = call.edge.security == Security::Mtls && call.fault().is_none();
            if self.first.is_none() && carried {
                self.first = Some(record.clone());
            }
            self.hear(&call);
        }
    }

    /// The first call that went well, between two proxies that proved themselves to each other.
    pub(super) fn first(&self) -> Option<&Record> {
        self.first.as_ref()
    }

    /// What has been counted so far.
    pub(super) fn shares(&self) -> &Shares {
        &self.shares
    }

    /// What is worth saying of each edge, of the calls that came after `before` was counted.
    pub(super) fn remarks(&self, before: &Shares) -> BTreeMap<EdgeName, Remarks> {
        let mut remarks = BTreeMap::<EdgeName, Remarks>::new();
        for (edge, failure) in &self.failures {
            remarks.entry(edge.clone()).or_default().failure = failure.clone();
        }
        for (key, share) in &self.shares {
            let mut share = share.clone();
            if let Some(before) = before.get(key) {
                share.calls -= before.calls;
                share.failed -= before.failed;
            }
            let edge = remarks.entry(key.0.clone()).or_default();
            edge.shares.push(share);
        }
        for remarks in remarks.values_mut() {
            if remarks.shares.len() < 2 {
                remarks.shares.clear();
            }
        }
        remarks
    }

    fn hear(&mut self, call: &Call<'_>) {
        let edge = (
            call.edge.source.to_string(),
            call.edge.destination.to_string(),
        );
        let answered = call
            .endpoint
            .and_then(|endpoint| self.workloads.get(&endpoint.ip()));
        let failed = call.fault().is_some();
        if failed {
            let failure = match (call.refused, answered) {
                (Some(code), _) => format!("{code} {}", code.slug()),
                (None, Some(workload)) => format!("{workload} answered {}", call.status),
                (None, None) => format!("the service answered {}", call.status),
            };
            self.failures.insert(edge.clone(), failure);
        }
        if let (Some(workload), Reporter::Source) = (answered, call.edge.reporter) {
            let key = (edge, workload.clone());
            let share = self.shares.entry(key).or_insert_with(|| Share {
                name: workload.clone(),
                ..Share::default()
            });
            share.calls += 1;
            share.failed += u64::from(failed);
        }
    }
}

/// More than the demo's visitors cause.
const MOST_PER_SECOND: u32 = 10_000;
