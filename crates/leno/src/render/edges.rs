//! The golden signals of each edge, as a table.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use leno_admin::Edge;
use leno_admin::figures::{bytes, duration, percent, short};

use crate::terminal::Line;

/// A part of an edge's calls: those that one workload answered.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Share {
    /// The workload.
    pub(crate) name: String,
    /// How many calls.
    pub(crate) calls: u64,
    /// How many of these failed.
    pub(crate) failed: u64,
}

/// What else is known of an edge.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Remarks {
    /// Who answered, where it is not always the same.
    pub(crate) shares: Vec<Share>,
    /// Why a call of late failed.
    pub(crate) failure: String,
}

impl Remarks {
    /// What an edge says of itself: why most of what failed did.
    fn of(edge: &Edge) -> Self {
        let failure = edge.failures.first().map(|failure| match &failure.code {
            Some(code) => format!("{code} {}", failure.why),
            None => failure.why.clone(),
        });
        Self {
            failure: failure.unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// The table of what went over `edges` in `time`: callers before whom they call.
pub(crate) fn table(
    edges: &[Edge],
    remarks: &BTreeMap<(String, String), Remarks>,
    time: Duration,
) -> Vec<Line> {
    let names = edges.iter().map(|edge| named(edge).width());
    let per_second = names.max().unwrap_or_default().max(12) + 2;
    let columns = Columns { per_second };
    let head = Line::new().dim("  CALLS").column(per_second, 1);
    let head = head.dim("  PER S  FAILED      P50      P99    OPEN   BYTES/S  mTLS");
    let mut lines = vec![head];
    for edge in in_order(edges) {
        let key = (edge.from.clone(), edge.to.clone());
        let remarks = remarks
            .get(&key)
            .cloned()
            .unwrap_or_else(|| Remarks::of(edge));
        lines.push(columns.edge(edge, &remarks, time));
        let answered: u64 = remarks.shares.iter().map(|share| share.calls).sum();
        for share in remarks.shares {
            lines.push(columns.share(&share, answered, time));
        }
    }
    lines
}

struct Columns {
    per_second: usize,
}

/// Where the reasons stand, behind the column of rates.
const WHY: usize = 7 + 2 + 6 + 9 + 9 + 8 + 10 + 2 + 6;

impl Columns {
    fn edge(&self, edge: &Edge, remarks: &Remarks, time: Duration) -> Line {
        let line = self.rates(named(edge), edge.calls, edge.failed, time);
        let [p50, p99] = [edge.p50_us, edge.p99_us].map(|took| match took {
            Some(micros) => duration(Duration::from_micros(micros)),
            None => "-".to_owned(),
        });
        let open = match edge.open {
            0 => "-".to_owned(),
            open => open.to_string(),
        };
        let rate = bytes(edge.bytes() as f64 / time.as_secs_f64().max(0.001));
        let line = line.plain(format_args!("{p50:>9}{p99:>9}{open:>8}{rate:>10}  "));
        let line = match (edge.mtls, edge.plain) {
            (0, 0) => line.plain("-"),
            (_, 0) => line.good("yes"),
            (0, _) => line.bad("no"),
            (mtls, plain) => line.bad(percent(mtls, mtls + plain)),
        };
        match remarks.failure.is_empty() || edge.failed == 0 {
            true => line,
            false => line.column(self.per_second + WHY, 2).dim(&remarks.failure),
        }
    }

    fn share(&self, share: &Share, of: u64, time: Duration) -> Line {
        let line = Line::new().plain("    ").dim(&share.name);
        let line = line.dim(format_args!(" {}", percent(share.calls, of)));
        self.rates(line, share.calls, share.failed, time)
    }

    fn rates(&self, line: Line, calls: u64, failed: u64, time: Duration) -> Line {
        let per_second = calls as f64 / time.as_secs_f64().max(0.001);
        let line = line.column(self.per_second, 1);
        let line = line.plain(format_args!("{per_second:>7.1}  "));
        match failed {
            0 => line.plain(format_args!("{:>6}", "0")),
            _ => line.bad(format_args!("{:>6}", percent(failed, calls))),
        }
    }
}

/// The edges in the order in which calls go: first those of who is not called.
pub(crate) fn in_order(edges: &[Edge]) -> Vec<&Edge> {
    let called: BTreeSet<_> = edges.iter().map(|edge| &edge.to).collect();
    let callers: BTreeSet<_> = edges.iter().map(|edge| &edge.from).collect();
    // A circle has no beginning: who is in one that nobody else calls comes last, by name.
    let (later, firsts): (Vec<_>, Vec<_>) =
        callers.into_iter().partition(|from| called.contains(from));
    let mut waiting: VecDeque<_> = firsts.into();
    let mut rest = later.into_iter();
    let (mut ordered, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some(from) = waiting.pop_front().or_else(|| rest.next()) {
        if !seen.insert(from) {
            continue;
        }
        for edge in edges.iter().filter(|edge| edge.from == *from) {
            ordered.push(edge);
            waiting.push_back(&edge.to);
        }
    }
    ordered
}

/// `web → cart`, or only what was called; behind it what else is told apart.
fn named(edge: &Edge) -> Line {
    let line = Line::new().plain("  ");
    let line = match (edge.from.is_empty(), edge.to.is_empty()) {
        (_, true) => return line.strong("all"),
        (true, false) => line,
        (false, false) => line.plain(short(&edge.from)).dim(" → "),
    };
    let line = line.strong(short(&edge.to));
    let further = [&edge.route, &edge.backend, &edge.request];
    let mut further = further.into_iter().flatten();
    further.next().map_or(line.clone(), |further| {
        line.dim(format_args!("  {further}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_come_before_whom_they_call() {
        let edge = |name: &str| {
            let (from, to) = name.split_once(' ').unwrap();
            Edge {
                from: from.to_owned(),
                to: to.to_owned(),
                ..Edge::default()
            }
        };
        let edges = [
            "a store",
            "cart a",
            "host web",
            "visitors web",
            "web cart",
            "x y",
            "y x",
        ];
        let edges: Vec<_> = edges.into_iter().map(edge).collect();
        let told: Vec<_> = in_order(&edges)
            .into_iter()
            .map(|edge| format!("{} {}", edge.from, edge.to))
            .collect();
        let expect = [
            "host web",
            "visitors web",
            "web cart",
            "cart a",
            "a store",
            "x y",
            "y x",
        ];
        assert_eq!(told, expect);
    }
}
