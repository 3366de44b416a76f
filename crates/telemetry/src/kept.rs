//! What a process keeps for whoever asks later why: calls, streams and handshakes that failed, the
//! slowest of each second, a sample of the rest.
//!
//! Each worker keeps its own, in its share of the room. What is not kept costs it two comparisons;
//! what is kept, a lock that a reader holds only while it copies pointers.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex};

use leno_model::Wall;

use crate::counter::Counter;
use crate::event::Event;
use crate::lock::lock;
use crate::pace::Pace;
use crate::record::Record;

/// What is kept at one moment.
#[derive(Clone, Default, Debug)]
pub struct Kept {
    /// The records, in the order in which they ended.
    pub records: Vec<Arc<Record>>,
    /// How many that failed were not kept: there were more a second than [`Kept::FAILED`] a worker.
    pub dropped: u64,
    /// When the latest of those that failed had ended that gave way to newer ones; `None` if none has.
    /// What failed later is kept, unless it was dropped.
    pub gone: Option<Wall>,
    /// How many did not fail.
    pub succeeded: u64,
}

impl Kept {
    /// How many that failed each worker keeps of a second.
    pub const FAILED: u32 = 100;

    /// How many of the slowest that did not fail each worker keeps of a second.
    pub const SLOWEST: usize = 8;

    /// How many others that did not fail each worker keeps of a second: those with the least ids, so
    /// that both proxies of a call keep the same.
    pub const SAMPLED: usize = 8;
}

/// What all workers keep.
#[derive(Debug)]
pub(crate) struct Keeping {
    bytes: usize,
    shelves: Mutex<Vec<Arc<Shelf>>>,
}

/// What one worker keeps.
#[derive(Debug)]
struct Shelf {
    held: Mutex<Held>,
    dropped: Counter,
    succeeded: Counter,
}

#[derive(Default, Debug)]
struct Held {
    /// For all three together, in bytes.
    room: usize,
    failed: Queue,
    slowest: Seconds,
    sampled: Seconds,
}

/// The highest of each second.
#[derive(Default, Debug)]
struct Seconds {
    queue: Queue,
    /// The ranks of the last in `queue`: those of a second that is not over.
    open: VecDeque<u128>,
}

/// Records, oldest first.
#[derive(Default, Debug)]
struct Queue {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// When the latest had ended that there was no room for any more.
    gone: Option<Wall>,
}

/// Why something is kept.
#[derive(Clone, Copy, Debug)]
enum Because {
    Failed,
    /// By how long it took.
    Slow(u128),
    /// By its id.
    Sampled(u128),
}

impl Keeping {
    /// Keeps so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            shelves: Mutex::default(),
        }
    }

    /// Room for one more worker, taken from the others in equal parts.
    pub(crate) fn keeper(&self) -> Keeper {
        let shelf = Arc::new(Shelf {
            held: Mutex::default(),
            dropped: Counter::new(),
            succeeded: Counter::new(),
        });
        let mut shelves = lock(&self.shelves);
        shelves.push(shelf.clone());
        let room = self.bytes / shelves.len();
        for shelf in &*shelves {
            lock(&shelf.held).fit(room);
        }
        Keeper::new(shelf, self.bytes > 0)
    }

    pub(crate) fn kept(&self) -> Kept {
        let shelves = lock(&self.shelves).clone();
        let mut kept = Kept::default();
        for shelf in &shelves {
            lock(&shelf.held).copy_to(&mut kept);
            kept.dropped += shelf.dropped.get();
            kept.succeeded += shelf.succeeded.get();
        }
        kept.records.sort_by_key(|record| record.event().ended());
        kept
    }
}

impl Held {
    fn fit(&mut self, room: usize) {
        self.room = room;
        self.failed.fit(room / 2);
        self.slowest.queue.fit(room / 4);
        self.sampled.queue.fit(room / 4);
    }

    fn copy_to(&self, kept: &mut Kept) {
        kept.gone = kept.gone.max(self.failed.gone);
        for queue in [&self.failed, &self.slowest.queue, &self.sampled.queue] {
            kept.records.extend(queue.records.iter().cloned());
        }
    }
}

impl Seconds {
    /// Keeps it, in the place of the lowest once there are `most` of its second. Says how high the
    /// next must rank, if there are.
    fn keep(&mut self, record: Record, rank: u128, most: usize) -> Option<u128> {
        // What the room had no place for is gone.
        let held = self.queue.records.len();
        while self.open.len() > held {
            self.open.pop_front();
        }
        let lowest = |open: &VecDeque<u128>| {
            let ranks = open.iter().copied().enumerate();
            ranks.min_by_key(|(_, rank)| *rank)
        };
        if self.open.len() >= most
            && let Some((place, _)) = lowest(&self.open)
        {
            self.queue.remove(held - self.open.len() + place);
            self.open.remove(place);
        }
        self.queue.keep(record);
        self.open.push_back(rank);
        let (_, lowest) = lowest(&self.open).filter(|_| self.open.len() >= most)?;
        Some(lowest)
    }
}

impl Queue {
    fn keep(&mut self, record: Record) {
        self.bytes += weight(&record);
        self.records.push_back(Arc::new(record));
    }

    fn fit(&mut self, room: usize) {
        while self.bytes > room {
            let gone = self.remove(0).map(|record| record.event().ended());
            self.gone = self.gone.max(gone);
        }
    }

    fn remove(&mut self, place: usize) -> Option<Arc<Record>> {
        let record = self.records.remove(place)?;
        self.bytes -= weight(&record);
        Some(record)
    }
}

/// What a record costs: itself, its counts, what a queue that has grown holds for it at most, and
/// what the allocator adds to each of its texts.
fn weight(record: &Record) -> usize {
    const COUNTS: usize = 2 * size_of::<usize>();
    const PLACES: usize = 3 * size_of::<usize>();
    const TEXTS: usize = 10 * 2 * size_of::<usize>();
    record.bytes() + COUNTS + PLACES + TEXTS
}

/// What one worker keeps, and what it has yet to find out about it.
#[derive(Debug)]
pub(crate) struct Keeper {
    shelf: Arc<Shelf>,
    is_on: bool,
    failed: Pace,
    /// The second that is not over, counted from 1970.
    second: u64,
    slowest: Bar,
    sampled: Bar,
}

/// What must be passed to be among the highest of a second.
#[derive(Default, Debug)]
struct Bar {
    /// Whether nothing of it has been kept.
    begins: bool,
    /// How high the lowest of them ranks, once there are enough.
    lowest: Option<u128>,
}

impl Bar {
    const AT_BEGIN: Self = Self {
        begins: true,
        lowest: None,
    };

    fn lets_pass(&self, rank: u128) -> bool {
        self.lowest.is_none_or(|lowest| rank > lowest)
    }

    fn keep(&mut self, seconds: &mut Seconds, record: Record, rank: u128, most: usize) {
        if mem::take(&mut self.begins) {
            seconds.open.clear();
        }
        self.lowest = seconds.keep(record, rank, most);
    }
}

impl Keeper {
    fn new(shelf: Arc<Shelf>, is_on: bool) -> Self {
        Self {
            shelf,
            is_on,
            failed: Pace::new(Kept::FAILED),
            second: 0,
            slowest: Bar::AT_BEGIN,
            sampled: Bar::AT_BEGIN,
        }
    }

    /// Keeps an event, if it is one to keep.
    pub(crate) fn keep(&mut self, event: &Event<'_>) {
        if !self.is_on {
            return;
        }
        let Some(because) = self.because(event) else {
            return;
        };
        let record = Record::of(event);
        let mut held = lock(&self.shelf.held);
        match because {
            Because::Failed => held.failed.keep(record),
            Because::Slow(rank) => {
                self.slowest
                    .keep(&mut held.slowest, record, rank, Kept::SLOWEST);
            }
            Because::Sampled(rank) => {
                self.sampled
                    .keep(&mut held.sampled, record, rank, Kept::SAMPLED);
            }
        }
        let room = held.room;
        held.fit(room);
    }

    fn because(&mut self, event: &Event<'_>) -> Option<Because> {
        let (took, failed) = match event {
            // Who passed on what the other proxy refused knows of no fault, and is the other half of
            // its story.
            Event::Call(call) => (Some(call.took), call.has_failed()),
            // How long it lives says nothing about anybody's speed.
            Event::Stream(_) => (None, false),
            Event::Handshake(_) | Event::Accept(_) => (None, true),
            Event::Opened(_) => return None,
        };
        let ended = event.ended();
        if failed || event.fault().is_some() {
            if self.failed.permits(ended) {
                return Some(Because::Failed);
            }
            self.shelf.dropped.add(1);
            return None;
        }
        self.shelf.succeeded.add(1);
        let second = ended.elapsed_since_epoch().as_secs();
        // A clock that goes back far is followed; one event that is told a little late is not.
        if second > self.second || second.saturating_add(2) < self.second {
            self.second = second;
            self.slowest = Bar::AT_BEGIN;
            self.sampled = Bar::AT_BEGIN;
        }
        if let Some(rank) = took.map(|took| took.as_nanos())
            && self.slowest.lets_pass(rank)
        {
            return Some(Because::Slow(rank));
        }
        let rank = u128::MAX - event.id().number();
        let sampled = self.sampled.lets_pass(rank);
        sampled.then_some(Because::Sampled(rank))
    }
}
