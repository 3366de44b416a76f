//! What goes between services, counted by kind of call for whoever reports it to a control plane.
//!
//! Each worker counts in a table of its own and hands it over whole, once a second at most; who
//! gathers adds the tables up. A call of a kind that is in the table costs a look-up and no
//! allocation; while nobody gathers, a comparison.

mod counting;
mod passed;
mod row;

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use leno_model::flow::{Flow, Kind, Sum};
use tokio::sync::Notify;

pub(crate) use counting::Counting;
pub use passed::Passed;

use crate::flows::passed::{Counted, Memory};
use crate::flows::row::Row;
use crate::lock::lock;

/// The way to what the workers of a process counted. Clones gather from the same.
#[derive(Clone, Debug)]
pub struct Flows(Arc<Handed>);

/// What was counted since somebody gathered last.
#[derive(Clone, Default, Debug)]
pub struct Gathered {
    /// The flows, in the order of their kinds.
    pub flows: Vec<Flow>,
    /// How many calls and streams are counted in these without what was asked, or without names:
    /// there were too many kinds.
    pub folded: u64,
    /// How many are not in these: nobody gathered for too long.
    pub lost: u64,
}

impl Flows {
    /// How many kinds are told apart in what is gathered at once; further ones are folded.
    pub const MOST: usize = 4096;

    /// Takes what workers have handed over.
    pub fn gather(&self) -> Gathered {
        let Tables { rows, lost, folded } = mem::take(&mut *lock(&self.0.tables));
        let mut sums = BTreeMap::<Kind, Sum>::new();
        let mut gathered = Gathered {
            flows: Vec::new(),
            folded,
            lost,
        };
        for row in rows.into_iter().flatten() {
            let (mut kind, sum) = row.told();
            if sums.len() >= Self::MOST && !sums.contains_key(&kind) {
                gathered.folded += sum.count;
                kind = kind.folded();
            }
            sums.entry(kind).or_default().add(&sum);
        }
        let flows = sums.into_iter().map(|(kind, sum)| Flow { kind, sum });
        gathered.flows = flows.collect();
        gathered
    }

    /// Returns when something was handed over since this returned last.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }
}

/// Where workers hand over what they counted.
#[derive(Default, Debug)]
pub(crate) struct Handed {
    /// Whether anybody gathers.
    is_wanted: AtomicBool,
    tables: Mutex<Tables>,
    arrived: Notify,
    memory: Mutex<Memory>,
}

#[derive(Default, Debug)]
struct Tables {
    rows: Vec<Vec<Row>>,
    folded: u64,
    lost: u64,
}

/// How many tables may wait to be gathered.
const MOST_TABLES: usize = 256;

impl Handed {
    /// Lets workers count from here on.
    pub(crate) fn flows(self: &Arc<Self>) -> Flows {
        self.is_wanted.store(true, Ordering::Relaxed);
        Flows(self.clone())
    }

    fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// What is remembered of the call whose id begins with these digits, of which there must be eight
    /// at least: as the caller's proxy saw it and as that of the called did, so far as they are here.
    pub(crate) fn passed(&self, digits: &str) -> Vec<Passed> {
        lock(&self.memory).of(digits)
    }

    /// Remembers of what kind the calls were that were counted in `rows`.
    fn remember(&self, rows: &[Row], counted: &mut Vec<Counted>) {
        let kinds: Vec<_> = rows.iter().map(|row| (row.kind(), row.count())).collect();
        let mut memory = lock(&self.memory);
        let numbers = kinds
            .into_iter()
            .map(|(kind, count)| memory.count(kind, count));
        let numbers: Vec<_> = numbers.collect();
        for counted in counted.drain(..) {
            let number = counted.place().and_then(|place| numbers.get(place));
            if let Some(number) = number {
                memory.remember(&counted, *number);
            }
        }
    }

    fn take(&self, rows: Vec<Row>, folded: u64) {
        let mut tables = lock(&self.tables);
        if tables.rows.len() < MOST_TABLES {
            tables.rows.push(rows);
            tables.folded += folded;
        } else {
            tables.lost += rows.iter().map(Row::count).sum::<u64>();
        }
        drop(tables);
        self.arrived.notify_one();
    }
}
