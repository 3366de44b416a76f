//! The series of a process: known to all workers, counted by each on its own, added up when read.
//!
//! A worker asks the registry once per series and keeps the answer. While there is room that takes a
//! lock; once the budget is spent the names are fixed for good, and asking costs a look-up.

use std::hash::{BuildHasher, BuildHasherDefault};
use std::mem;
use std::sync::{Arc, Mutex, OnceLock};

use hashbrown::HashMap;
use hashbrown::hash_table::{Entry, HashTable};
use leno_model::{Code, Histogram, Origin};
use rustc_hash::FxHasher;

use crate::counter::Counter;
use crate::event::{Bytes, Call, Event, Flow, Reporter, Stream};
use crate::limit::Limit;
use crate::lock::lock;
use crate::series::{Key, Labels, Traits, What};
use crate::tally::Tally;

/// All series of a process.
#[derive(Debug)]
pub(crate) struct Registry {
    budget: usize,
    growing: Mutex<HashTable<Arc<Series>>>,
    /// Where `growing` goes when the budget is spent.
    full: OnceLock<HashTable<Arc<Series>>>,
    folded: Mutex<Vec<Arc<Series>>>,
    workers: Mutex<Vec<Arc<Marks>>>,
}

/// One series, and each worker's part of it.
#[derive(Debug)]
struct Series {
    hash: u64,
    labels: Labels,
    route: Option<Origin>,
    parts: Mutex<Vec<Arc<Part>>>,
}

/// What one worker counted of one series.
#[derive(Debug)]
struct Part {
    count: Counter,
    open: Counter,
    sent: Counter,
    received: Counter,
    /// Tries that followed the first.
    retries: Counter,
    /// Streams have none: how long they live says nothing about anybody's speed.
    took: Option<Tally>,
}

/// What one worker counted of everything else.
#[derive(Debug)]
struct Marks {
    folded: Counter,
    refused: ByCode,
    handshakes: ByCode,
    accepts: ByCode,
    limits: [Counter; Limit::ALL.len()],
}

/// A count per reporter and code.
#[derive(Debug)]
struct ByCode([[Counter; Code::ALL.len()]; 2]);

/// One series, all workers' parts added up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Total {
    /// What it counts.
    pub labels: Labels,
    /// How many: calls that were answered, or could not be; streams that ended, or could not be opened.
    pub count: u64,
    /// How many streams are open.
    pub open: u64,
    /// Bytes from the caller.
    pub sent: u64,
    /// Bytes to the caller.
    pub received: u64,
    /// Tries that followed the first.
    pub retries: u64,
    /// How long they took; empty for streams.
    pub took: Histogram,
}

/// Codes and how often each came up, as one side told it.
pub type CodeCounts = Vec<(Reporter, Code, u64)>;

/// Everything else that was counted, all workers' parts added up.
#[derive(Default, Debug)]
pub(crate) struct Rest {
    pub(crate) folded: u64,
    pub(crate) refused: CodeCounts,
    pub(crate) handshakes: CodeCounts,
    pub(crate) accepts: CodeCounts,
    pub(crate) limits: Vec<(Limit, u64)>,
}

impl Registry {
    /// A registry that tells `budget` series apart.
    pub(crate) fn new(budget: usize) -> Arc<Self> {
        let full = match budget {
            0 => OnceLock::from(HashTable::new()),
            _ => OnceLock::new(),
        };
        Arc::new(Self {
            budget,
            growing: Mutex::default(),
            full,
            folded: Mutex::default(),
            workers: Mutex::default(),
        })
    }

    /// Room for one more worker to count in.
    pub(crate) fn counters(self: &Arc<Self>) -> Counters {
        let marks = Arc::new(Marks::new());
        lock(&self.workers).push(marks.clone());
        Counters {
            registry: self.clone(),
            parts: HashTable::new(),
            folded: HashMap::default(),
            marks,
        }
    }

    /// Every series, in the order of its labels.
    pub(crate) fn totals(&self) -> Vec<Total> {
        let mut series = self.series();
        series.sort_by(|one, other| one.labels.cmp(&other.labels));
        series.iter().map(|series| series.total()).collect()
    }

    /// What is counted beside series.
    pub(crate) fn rest(&self) -> Rest {
        let workers = lock(&self.workers).clone();
        Rest {
            folded: workers.iter().map(|marks| marks.folded.get()).sum(),
            refused: ByCode::total(workers.iter().map(|marks| &marks.refused)),
            handshakes: ByCode::total(workers.iter().map(|marks| &marks.handshakes)),
            accepts: ByCode::total(workers.iter().map(|marks| &marks.accepts)),
            limits: limits(&workers),
        }
    }

    /// Whoever reads them holds no lock that a worker could wait for.
    fn series(&self) -> Vec<Arc<Series>> {
        let mut all: Vec<_> = lock(&self.growing).iter().cloned().collect();
        // In this order: what leaves `growing` meanwhile is in `full`.
        if let Some(full) = self.full.get() {
            all = full.iter().cloned().collect();
        }
        all.extend(lock(&self.folded).iter().cloned());
        all
    }

    /// The series of `key`, which is made if there is room for it.
    fn named(&self, hash: u64, key: &Key<'_>) -> Option<Arc<Series>> {
        if let Some(full) = self.full.get() {
            return full.find(hash, |series| series.is(key)).cloned();
        }
        let mut growing = lock(&self.growing);
        // While this worker waited for the lock another one may have spent the budget.
        if let Some(full) = self.full.get() {
            return full.find(hash, |series| series.is(key)).cloned();
        }
        let entry = growing.entry(hash, |series| series.is(key), |series| series.hash);
        let series = match entry {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(room) => {
                let route = key.route.cloned();
                let series = Series::new(hash, key.labels(), route);
                room.insert(series).get().clone()
            }
        };
        if growing.len() == self.budget {
            self.full.get_or_init(|| mem::take(&mut *growing));
        }
        Some(series)
    }

    /// The series of all that has no series of its own and these traits.
    fn folded(&self, traits: Traits) -> Arc<Series> {
        let mut folded = lock(&self.folded);
        if let Some(series) = folded.iter().find(|series| series.labels.traits == traits) {
            return series.clone();
        }
        let series = Series::new(0, Labels::folded(traits), None);
        folded.push(series.clone());
        series
    }
}

impl Series {
    fn new(hash: u64, labels: Labels, route: Option<Origin>) -> Arc<Self> {
        Arc::new(Self {
            hash,
            labels,
            route,
            parts: Mutex::default(),
        })
    }

    fn is(&self, key: &Key<'_>) -> bool {
        key.is(&self.labels, self.route.as_ref())
    }

    /// A part for one more worker.
    fn part(&self) -> Arc<Part> {
        let part = Arc::new(Part::new(self.labels.traits.what));
        lock(&self.parts).push(part.clone());
        part
    }

    fn total(&self) -> Total {
        let mut total = Total {
            labels: self.labels.clone(),
            count: 0,
            open: 0,
            sent: 0,
            received: 0,
            retries: 0,
            took: Histogram::default(),
        };
        for part in lock(&self.parts).iter() {
            total.count += part.count.get();
            total.open += part.open.get();
            total.sent += part.sent.get();
            total.received += part.received.get();
            total.retries += part.retries.get();
            if let Some(took) = &part.took {
                took.add_to(&mut total.took);
            }
        }
        total
    }
}

impl Part {
    fn new(what: What) -> Self {
        Self {
            count: Counter::new(),
            open: Counter::new(),
            sent: Counter::new(),
            received: Counter::new(),
            retries: Counter::new(),
            took: match what {
                What::Calls(_) => Some(Tally::new()),
                What::Copies(_) | What::Streams => None,
            },
        }
    }

    fn add_call(&self, call: &Call<'_>) {
        let Call { sent, received, .. } = *call;
        self.count.add(1);
        self.add_bytes(Bytes { sent, received }.since(call.counted));
        self.retries.add(call.tries.saturating_sub(1).into());
        if let Some(took) = &self.took {
            took.record(call.took);
        }
    }

    fn add_stream(&self, stream: &Stream<'_>) {
        let Stream { sent, received, .. } = *stream;
        self.count.add(1);
        self.add_bytes(Bytes { sent, received }.since(stream.counted));
    }

    fn add_bytes(&self, bytes: Bytes) {
        self.sent.add(bytes.sent);
        self.received.add(bytes.received);
    }
}

impl Marks {
    fn new() -> Self {
        Self {
            folded: Counter::new(),
            refused: ByCode::new(),
            handshakes: ByCode::new(),
            accepts: ByCode::new(),
            limits: [const { Counter::new() }; Limit::ALL.len()],
        }
    }
}

fn limits(workers: &[Arc<Marks>]) -> Vec<(Limit, u64)> {
    let all = Limit::ALL.iter().map(|limit| {
        let times = workers
            .iter()
            .map(|marks| marks.limits[*limit as usize].get());
        (*limit, times.sum())
    });
    all.filter(|(_, times)| *times > 0).collect()
}

impl ByCode {
    fn new() -> Self {
        Self([const { [const { Counter::new() }; Code::ALL.len()] }; 2])
    }

    fn add(&self, reporter: Reporter, code: Code) {
        self.0[reporter as usize][code as usize].add(1);
    }

    fn total<'a>(workers: impl Iterator<Item = &'a Self> + Clone) -> CodeCounts {
        let mut counts = Vec::new();
        for reporter in [Reporter::Source, Reporter::Destination] {
            for code in Code::ALL.iter().copied() {
                let of_worker = |worker: &Self| worker.0[reporter as usize][code as usize].get();
                match workers.clone().map(of_worker).sum() {
                    0 => {}
                    count => counts.push((reporter, code, count)),
                }
            }
        }
        counts
    }
}

/// Where one worker counts.
#[derive(Debug)]
pub(crate) struct Counters {
    registry: Arc<Registry>,
    parts: HashTable<Mine>,
    folded: HashMap<Traits, Arc<Part>, Fx>,
    marks: Arc<Marks>,
}

/// A series and the part that is this worker's.
#[derive(Debug)]
struct Mine {
    series: Arc<Series>,
    part: Arc<Part>,
}

type Fx = BuildHasherDefault<FxHasher>;

impl Counters {
    pub(crate) fn count(&mut self, event: &Event<'_>) {
        match event {
            Event::Call(call) => {
                self.part(&Key::of_call(call)).add_call(call);
                if call.copy_of.is_none() {
                    self.refuse(call.edge.reporter, call.refused);
                }
            }
            Event::Opened(stream) => self.part(&Key::of_open(stream)).open.add(1),
            Event::Stream(stream) => {
                if stream.opened {
                    self.part(&Key::of_open(stream)).open.take(1);
                }
                self.part(&Key::of_stream(stream)).add_stream(stream);
                self.refuse(stream.edge.reporter, stream.refused);
            }
            Event::Handshake(handshake) => {
                let handshakes = &self.marks.handshakes;
                handshakes.add(handshake.edge.reporter, handshake.code);
            }
            Event::Accept(accept) => self.marks.accepts.add(accept.reporter, accept.code),
        }
        if let Some(limit) = event.code().and_then(Limit::of) {
            self.bit(limit, 1);
        }
    }

    pub(crate) fn count_bytes(&mut self, flow: &Flow<'_>) {
        self.part(&Key::of_flow(flow)).add_bytes(flow.bytes);
    }

    pub(crate) fn bit(&self, limit: Limit, times: u64) {
        self.marks.limits[limit as usize].add(times);
    }

    fn refuse(&self, reporter: Reporter, code: Option<Code>) {
        if let Some(code) = code {
            self.marks.refused.add(reporter, code);
        }
    }

    /// This worker's part of the series that `key` is counted in.
    fn part(&mut self, key: &Key<'_>) -> &Part {
        let hash = Fx::default().hash_one(key);
        let is_key = |mine: &Mine| mine.series.is(key);
        let room = match self.parts.entry(hash, is_key, |mine| mine.series.hash) {
            Entry::Occupied(entry) => return &entry.into_mut().part,
            Entry::Vacant(room) => room,
        };
        let Some(series) = self.registry.named(hash, key) else {
            self.marks.folded.add(1);
            let part = || self.registry.folded(key.traits).part();
            return self.folded.entry(key.traits).or_insert_with(part);
        };
        let part = series.part();
        &room.insert(Mine { series, part }).into_mut().part
    }
}
