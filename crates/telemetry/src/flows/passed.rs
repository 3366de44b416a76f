//! Of what kind each of the last calls was, those too that are not kept: of an id that somebody asks
//! for it can be said at least that the call succeeded, and what calls like it were.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use leno_model::flow::{Kind, What};
use leno_model::{CallId, Wall};

/// What is remembered of a call that may not be kept.
#[derive(Clone, Debug)]
pub struct Passed {
    /// When it was over, to the second.
    pub ended: Wall,
    /// Of what kind it was.
    pub kind: Kind,
    /// How many calls between the two were seen that asked for the like, itself among them.
    pub alike: u64,
    /// How many of these failed.
    pub failed: u64,
}

/// One call that a worker counted in the row at `place` of its table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    id: u64,
    second: u32,
    place: u32,
}

impl Counted {
    /// How many a worker holds at most until it hands them over; of what comes on top no kind is
    /// remembered.
    pub(super) const MOST: usize = 4096;

    pub(super) fn new(id: CallId, ended: Wall, place: usize) -> Self {
        Self {
            id: beginning(id.number()),
            second: u32::try_from(ended.elapsed_since_epoch().as_secs()).unwrap_or(u32::MAX),
            place: u32::try_from(place).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn place(&self) -> Option<usize> {
        usize::try_from(self.place).ok()
    }
}

/// The kinds of the last calls of all workers, in about half a megabyte.
#[derive(Default, Debug)]
pub(super) struct Memory {
    calls: VecDeque<Call>,
    kinds: BTreeMap<Kind, Seen>,
    /// That of the next kind. None is given twice: what was forgotten is never taken for another.
    number: u32,
}

/// The beginning of an id, a second since 1970, the number of a kind.
#[derive(Debug)]
struct Call {
    id: u64,
    second: u32,
    kind: u32,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    number: u32,
    count: u64,
}

/// How many calls are remembered.
const MOST_CALLS: usize = 32 * 1024;

/// How many kinds are told apart. One more, and everything is forgotten: kinds that clients can make
/// are many within a moment, and soon gone.
const MOST_KINDS: usize = 512;

/// The fewest digits by which a call is found: with fewer, others would be taken for it.
const FEWEST_DIGITS: usize = 8;

/// How many digits of an id are remembered.
const MOST_DIGITS: usize = 16;

impl Memory {
    /// Counts so many calls more of a kind; by its number they are remembered.
    pub(super) fn count(&mut self, kind: Kind, count: u64) -> u32 {
        if self.kinds.len() >= MOST_KINDS && !self.kinds.contains_key(&kind) {
            self.kinds.clear();
            self.calls.clear();
        }
        let seen = self.kinds.entry(kind).or_insert_with(|| {
            let number = self.number;
            self.number = number.wrapping_add(1);
            Seen { number, count: 0 }
        });
        seen.count = seen.count.saturating_add(count);
        seen.number
    }

    /// Remembers that a call was of the kind with this number.
    pub(super) fn remember(&mut self, counted: &Counted, kind: u32) {
        if self.calls.len() >= MOST_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(Call {
            id: counted.id,
            second: counted.second,
            kind,
        });
    }

    /// What is remembered of the last call whose id begins with these digits, as each of its proxies
    /// in this process counted it.
    pub(super) fn of(&self, digits: &str) -> Vec<Passed> {
        let Some((digits, first)) = first_digits(digits) else {
            return Vec::new();
        };
        let unknown = 4 * (MOST_DIGITS - digits);
        let begins_so = |call: &&Call| call.id >> unknown == first;
        let Some(last) = self.calls.iter().rfind(begins_so) else {
            return Vec::new();
        };
        let same = self.calls.iter().filter(|call| call.id == last.id);
        same.filter_map(|call| self.told(call)).collect()
    }

    fn told(&self, call: &Call) -> Option<Passed> {
        let mut kinds = self.kinds.iter();
        let (kind, _) = kinds.find(|(_, seen)| seen.number == call.kind)?;
        let (mut alike, mut failed) = (0_u64, 0_u64);
        for (other, seen) in &self.kinds {
            if is_alike(kind, other) {
                alike = alike.saturating_add(seen.count);
                if other.failure.is_some() {
                    failed = failed.saturating_add(seen.count);
                }
            }
        }
        Some(Passed {
            ended: Wall::since_epoch(Duration::from_secs(call.second.into())),
            kind: kind.clone(),
            alike,
            failed,
        })
    }
}

/// Whether calls of two kinds ask the same of the same.
fn is_alike(one: &Kind, other: &Kind) -> bool {
    let asked = match (&one.what, &other.what) {
        (What::Streams, What::Streams) => true,
        (
            What::Requests { method, shape, .. },
            What::Requests {
                method: other_method,
                shape: other_shape,
                ..
            },
        ) => method == other_method && shape == other_shape,
        (What::Streams, What::Requests { .. }) | (What::Requests { .. }, What::Streams) => false,
    };
    asked && one.side == other.side && one.from == other.from && one.to == other.to
}

/// The first half of an id: what is remembered of it.
fn beginning(id: u128) -> u64 {
    u64::try_from(id >> 64).unwrap_or(u64::MAX)
}

/// How many digits count of those that are asked for, and their value.
fn first_digits(digits: &str) -> Option<(usize, u64)> {
    let first = digits.get(..digits.len().min(MOST_DIGITS))?;
    let value = u64::from_str_radix(first, 16).ok()?;
    (first.len() >= FEWEST_DIGITS).then_some((first.len(), value))
}
