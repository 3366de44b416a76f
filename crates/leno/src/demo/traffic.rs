//! The demo's traffic as a table. A terminal shows it live; a pipe gets it now and then, in plain
//! lines.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use leno_admin::Edge;
use leno_model::Mono;
use leno_telemetry::{Record, Snapshot, Telemetry};

use super::heard::{Heard, Shares};
use crate::render;
use crate::signals;
use crate::terminal::{Line, Terminal};

/// What is told of the traffic.
pub(super) struct Traffic {
    telemetry: Telemetry,
    heard: Heard,
    /// The moments of the last seconds, the oldest first.
    moments: VecDeque<Moment>,
    /// How many lines of the table stand at the foot of the terminal.
    shown: usize,
}

struct Moment {
    at: Mono,
    counted: Snapshot,
    shares: Shares,
}

/// Everything that was carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Total {
    /// Calls and streams, also those that go on.
    pub(crate) calls: u64,
    /// Of these, how many went between proxies that proved themselves to each other.
    pub(crate) mtls: u64,
    /// Of these, how many failed.
    pub(crate) failed: u64,
}

impl Traffic {
    /// Watches what `telemetry` counts.
    pub(super) fn new(telemetry: Telemetry) -> Self {
        Self {
            heard: Heard::new(&telemetry),
            telemetry,
            moments: VecDeque::new(),
            shown: 0,
        }
    }

    /// Learns who is at an address.
    pub(super) fn learn(&mut self, address: IpAddr, workload: &str) {
        self.heard.learn(address, workload);
    }

    /// Takes in what happened; to be called several times a second.
    pub(super) fn listen(&mut self) {
        self.heard.listen();
    }

    /// The first call that was carried over mTLS.
    pub(super) fn first(&self) -> Option<&Record> {
        self.heard.first()
    }

    /// Takes note of how far things are: the table tells what comes after.
    pub(super) fn mark(&mut self, now: Mono) {
        self.heard.listen();
        while self.moments.len() > 1 && now.since(self.moments[0].at) > WINDOW {
            self.moments.pop_front();
        }
        self.moments.push_back(Moment {
            at: now,
            counted: self.telemetry.snapshot(),
            shares: self.heard.shares().clone(),
        });
    }

    /// Shows what the last seconds were like.
    pub(super) fn show(&mut self, now: Mono, terminal: &mut Terminal) -> io::Result<()> {
        self.mark(now);
        let (Some(before), Some(last)) = (self.moments.front(), self.moments.back()) else {
            return Ok(());
        };
        let edges = signals::edges(&before.counted, &last.counted);
        let remarks = self.heard.remarks(&before.shares);
        let table = render::edges::table(&edges, &remarks, now.since(before.at));
        let mut lines = vec![Line::new()];
        lines.extend(table);
        self.shown = terminal.rewrite(self.shown, &lines)?;
        Ok(())
    }

    /// Makes room for other lines where the table stands: it is shown again below them.
    pub(super) fn hide(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        self.shown = terminal.rewrite(self.shown, &[])?;
        Ok(())
    }

    /// All that happened.
    pub(super) fn total(&self) -> Total {
        let edges = signals::edges(&Snapshot::default(), &self.telemetry.snapshot());
        let sum = |count: fn(&Edge) -> u64| edges.iter().map(count).sum();
        Total {
            calls: sum(|edge| edge.calls + edge.open),
            mtls: sum(|edge| edge.mtls),
            failed: sum(|edge| edge.failed),
        }
    }
}

/// How far the table looks back.
const WINDOW: Duration = Duration::from_secs(10);
