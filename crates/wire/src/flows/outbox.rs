//! The sending end of flow reports: they wait here, oldest first, until they are known to be kept.

use alloc::{collections::VecDeque, string::String, vec::Vec};
use core::time::Duration;

use leno_model::flow::Flow;
use leno_model::{Dice, Wall};

use crate::flows::{Report, Taken};

/// One life of a proxy, told from its others by chance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Boot(pub [u8; 16]);

impl Boot {
    /// One that never was.
    pub fn roll(dice: &mut Dice) -> Self {
        let mut bytes = [0; 16];
        for half in bytes.chunks_exact_mut(8) {
            half.copy_from_slice(&dice.next_u64().to_be_bytes());
        }
        Self(bytes)
    }
}

/// Reports that wait to be kept: at most so many bytes of them, and always the one that is on its way.
/// Beyond that the oldest are dropped, and what was in them is counted as lost.
#[derive(Debug)]
pub struct Outbox {
    proxy: String,
    boot: Boot,
    sequence: u64,
    until: Wall,
    lost: u64,
    folded: u64,
    room: usize,
    bytes: usize,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    sequence: u64,
    /// How many calls and streams it tells of.
    count: u64,
    message: Vec<u8>,
}

impl Outbox {
    /// How many bytes of reports wait at most.
    pub const ROOM: usize = 4 << 20;

    /// For how long a report tells at most.
    pub const LONGEST: Duration = Duration::from_secs(10);

    /// An empty one, of a life that began at `now`.
    pub fn new(proxy: &str, boot: Boot, now: Wall, room: usize) -> Self {
        Self {
            proxy: proxy.into(),
            boot,
            sequence: 0,
            until: now,
            lost: 0,
            folded: 0,
            room,
            bytes: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Puts in what went until `now`; so many calls of it have lost what was asked, and so many are
    /// in no flow.
    pub fn put(&mut self, flows: Vec<Flow>, folded: u64, lost: u64, now: Wall) {
        self.folded = self.folded.saturating_add(folded);
        self.lost = self.lost.saturating_add(lost);
        // What was put in late tells of the end of a long silence; a clock that goes back leaves a
        // moment that is nobody's.
        let earliest = now.elapsed_since_epoch().saturating_sub(Self::LONGEST);
        let from = self.until.max(Wall::since_epoch(earliest)).min(now);
        self.until = now;
        if flows.is_empty() {
            return;
        }
        self.sequence = self.sequence.saturating_add(1);
        let count = flows
            .iter()
            .fold(0, |sum: u64, flow| sum.saturating_add(flow.sum.count));
        let report = Report {
            proxy: self.proxy.clone(),
            boot: self.boot,
            sequence: self.sequence,
            from,
            until: now,
            lost: self.lost,
            folded: self.folded,
            flows,
        };
        let message = report.encode();
        self.bytes = self.bytes.saturating_add(message.len());
        self.waiting.push_back(Waiting {
            sequence: self.sequence,
            count,
            message,
        });
        // The first may be on its way, or kept already: whether it is lost nobody knows.
        while self.bytes > self.room && self.drop(1) {}
    }

    /// The report that is to be sent next, again and again until it is taken.
    pub fn next(&self) -> Option<&[u8]> {
        self.waiting.front().map(|waiting| &*waiting.message)
    }

    /// Everything up to this sequence is kept.
    pub fn taken(&mut self, taken: &Taken) {
        while let Some(first) = self.waiting.front()
            && first.sequence <= taken.sequence
        {
            self.bytes = self.bytes.saturating_sub(first.message.len());
            self.waiting.pop_front();
        }
    }

    /// The next one will never be taken: what is in it is lost.
    pub fn refused(&mut self) {
        self.drop(0);
    }

    /// How many calls and streams are in no report.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn drop(&mut self, place: usize) -> bool {
        let Some(oldest) = self.waiting.remove(place) else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(oldest.message.len());
        self.lost = self.lost.saturating_add(oldest.count);
        true
    }
}
