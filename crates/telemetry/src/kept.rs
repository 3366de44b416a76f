//! The calls and streams that a process keeps for whoever asks later why: those that failed, the
//! slowest of each second, a sample of the rest.
//!
//! Each worker keeps its own, in its share of the room. What is not kept costs it two comparisons;
//! what is kept, a lock that a reader holds only while it copies pointers.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
}

impl Kept {
    /// How many that failed each worker keeps of a second.
    pub const FAILED: u32 = 100;

    /// How many of the slowest that did not fail each worker keeps of a second.
    pub const SLOWEST: usize = 4;

    /// How many others that did not fail each worker keeps of a second.
    pub const SAMPLED: u32 = 4;
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
}

#[derive(Default, Debug)]
struct Held {
    /// For all three together, in bytes.
    room: usize,
    failed: Queue,
    slowest: Queue,
    sampled: Queue,
    /// How many of the last of `slowest` belong to a second that is not over.
    open: usize,
}

/// Records, oldest first.
#[derive(Default, Debug)]
struct Queue {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
}

/// Why something is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Because {
    Failed,
    Slow,
    Sampled,
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
            lock(&shelf.held).copy_to(&mut kept.records);
            kept.dropped += shelf.dropped.get();
        }
        kept.records.sort_by_key(|record| record.event().ended());
        kept
    }
}

impl Held {
    fn fit(&mut self, room: usize) {
        self.room = room;
        self.failed.fit(room / 2);
        self.slowest.fit(room / 4);
        self.sampled.fit(room / 4);
    }

    fn keep(&mut self, because: Because, record: Record) {
        match because {
            Because::Failed => self.failed.keep(record),
            Because::Slow => self.keep_slow(record),
            Because::Sampled => self.sampled.keep(record),
        }
        self.fit(self.room);
    }

    /// Keeps it in the place of the fastest of its second, once there are enough of that.
    fn keep_slow(&mut self, record: Record) {
        self.open = self.open.min(self.slowest.records.len());
        if self.open == Kept::SLOWEST {
            let first = self.slowest.records.len() - self.open;
            let fastest = self.slowest.records.range(first..).enumerate();
            if let Some((place, _)) = fastest.min_by_key(|(_, record)| took(&record.event())) {
                self.slowest.remove(first + place);
                self.open -= 1;
            }
        }
        self.slowest.keep(record);
        self.open += 1;
    }

    /// How long one must take to be among the slowest of the second that is not over.
    fn bar(&self) -> Option<Duration> {
        if self.open < Kept::SLOWEST {
            return None;
        }
        let open = self.slowest.records.iter().rev().take(self.open);
        open.map(|record| took(&record.event())).min()
    }

    fn copy_to(&self, records: &mut Vec<Arc<Record>>) {
        for queue in [&self.failed, &self.slowest, &self.sampled] {
            records.extend(queue.records.iter().cloned());
        }
    }
}

impl Queue {
    fn keep(&mut self, record: Record) {
        self.bytes += weight(&record);
        self.records.push_back(Arc::new(record));
    }

    fn fit(&mut self, room: usize) {
        while self.bytes > room && self.remove(0) {}
    }

    fn remove(&mut self, place: usize) -> bool {
        let Some(record) = self.records.remove(place) else {
            return false;
        };
        self.bytes -= weight(&record);
        true
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
    sampled: Pace,
    /// The second that is not over, counted from 1970.
    second: u64,
    /// Whether nothing of it has been kept as slow.
    begins: bool,
    /// How long one must take to be among the slowest of it, once there are enough.
    bar: Option<Duration>,
}

impl Keeper {
    fn new(shelf: Arc<Shelf>, is_on: bool) -> Self {
        Self {
            shelf,
            is_on,
            failed: Pace::new(Kept::FAILED),
            sampled: Pace::new(Kept::SAMPLED),
            second: 0,
            begins: true,
            bar: None,
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
        if because == Because::Slow && mem::take(&mut self.begins) {
            held.open = 0;
        }
        held.keep(because, record);
        if because == Because::Slow {
            self.bar = held.bar();
        }
    }

    fn because(&mut self, event: &Event<'_>) -> Option<Because> {
        let (took, fault) = match event {
            Event::Call(call) => (Some(call.took), call.fault()),
            // How long it lives says nothing about anybody's speed.
            Event::Stream(stream) => (None, stream.fault()),
            Event::Opened(_) | Event::Handshake(_) | Event::Accept(_) => return None,
        };
        let ended = event.ended();
        if fault.is_some() {
            if self.failed.permits(ended) {
                return Some(Because::Failed);
            }
            self.shelf.dropped.add(1);
            return None;
        }
        let second = ended.elapsed_since_epoch().as_secs();
        // A clock that goes back far is followed; one event that is told a little late is not.
        if second > self.second || second.saturating_add(2) < self.second {
            self.second = second;
            self.bar = None;
            self.begins = true;
        }
        if took.is_some_and(|took| self.bar.is_none_or(|bar| took > bar)) {
            return Some(Because::Slow);
        }
        let sampled = self.sampled.permits(ended);
        sampled.then_some(Because::Sampled)
    }
}

/// How long a call took; a stream is not measured.
fn took(event: &Event<'_>) -> Duration {
    match event {
        Event::Call(call) => call.took,
        Event::Opened(_) | Event::Stream(_) | Event::Handshake(_) | Event::Accept(_) => {
            Duration::ZERO
        }
    }
}
