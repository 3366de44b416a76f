//! What is on its way to a collector, and what became of what was sent.
//!
//! Workers put things into queues, which never let them wait; whoever sends takes them out by a
//! [`Taker`], and says in [`Export`] how it went.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use leno_model::{Code, Wall};
use tokio::sync::{Notify, watch};

use crate::lock::lock;

/// A kind of telemetry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Signal {
    /// Points of metrics.
    Metrics,
    /// Spans.
    Traces,
    /// Lines of the access log.
    Logs,
}

impl Signal {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// The word in metrics and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }
}

/// Why something does not reach the collector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lost {
    /// More of it came than had room while it waited.
    NoRoom,
    /// It was tried for as long as it is worth while.
    TriedLong,
    /// The collector refused a whole batch for good.
    Refused,
    /// The collector took a batch, and said that it did not take all of it.
    Rejected,
}

impl Lost {
    const ALL: [Self; 4] = [Self::NoRoom, Self::TriedLong, Self::Refused, Self::Rejected];

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRoom => "no-room",
            Self::TriedLong => "tried-long",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
        }
    }
}

/// Why a collector does not get what is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// What kind of failure.
    pub code: Code,
    /// The collector's URL.
    pub endpoint: Arc<str>,
    /// The failure in words.
    pub why: String,
    /// When it began.
    pub since: Wall,
}

/// What became of what a process sent to a collector.
#[derive(Debug)]
pub struct Export {
    signals: [Counts; Signal::ALL.len()],
    troubles: watch::Sender<[Option<Trouble>; Signal::ALL.len()]>,
}

#[derive(Default, Debug)]
struct Counts {
    taken: AtomicU64,
    lost: [AtomicU64; Lost::ALL.len()],
    /// Tries that failed.
    failures: AtomicU64,
}

/// What became of one signal so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exported {
    /// Which.
    pub signal: Signal,
    /// How many points, spans or lines the collector took.
    pub taken: u64,
    /// How many it will not get, by the reason.
    pub lost: Vec<(Lost, u64)>,
    /// How many times it was tried in vain.
    pub failures: u64,
}

impl Default for Export {
    fn default() -> Self {
        Self {
            signals: Default::default(),
            troubles: watch::Sender::new(Default::default()),
        }
    }
}

impl Export {
    /// The collector took so many.
    pub fn taken(&self, signal: Signal, count: u64) {
        let taken = &self.signals[signal as usize].taken;
        taken.fetch_add(count, Ordering::Relaxed);
    }

    /// It will not get so many.
    pub fn lost(&self, signal: Signal, why: Lost, count: u64) {
        let lost = &self.signals[signal as usize].lost[why as usize];
        lost.fetch_add(count, Ordering::Relaxed);
    }

    /// It was tried in vain. What is wrong with a signal began with the first failure after a success.
    pub fn failed(&self, signal: Signal, trouble: Trouble) {
        let failures = &self.signals[signal as usize].failures;
        failures.fetch_add(1, Ordering::Relaxed);
        self.troubles.send_if_modified(|troubles| {
            let held = &mut troubles[signal as usize];
            match held {
                Some(held) if held.code == trouble.code && held.why == trouble.why => false,
                _ => {
                    let since = held.as_ref().map_or(trouble.since, |held| held.since);
                    *held = Some(Trouble { since, ..trouble });
                    true
                }
            }
        });
    }

    /// Nothing is wrong with a signal.
    pub fn well(&self, signal: Signal) {
        self.troubles
            .send_if_modified(|troubles| troubles[signal as usize].take().is_some());
    }

    /// What is wrong, each thing once.
    pub fn troubles(&self) -> Vec<Trouble> {
        distinct(&*self.troubles.borrow())
    }

    /// Waits until something else is wrong than before, beginning with what is wrong at the first
    /// call.
    pub fn news(&self) -> News {
        let mut troubles = self.troubles.subscribe();
        troubles.mark_changed();
        News(troubles)
    }

    /// What became of each signal so far.
    pub fn exported(&self) -> Vec<Exported> {
        let counts = self.signals.iter().zip(Signal::ALL);
        let exported = counts.map(|(counts, signal)| Exported {
            signal,
            taken: counts.taken.load(Ordering::Relaxed),
            lost: Lost::ALL
                .into_iter()
                .zip(counts.lost.iter().map(|lost| lost.load(Ordering::Relaxed)))
                .collect(),
            failures: counts.failures.load(Ordering::Relaxed),
        });
        exported.collect()
    }
}

/// What is wrong, as it changes.
#[derive(Debug)]
pub struct News(watch::Receiver<[Option<Trouble>; Signal::ALL.len()]>);

impl News {
    /// What is wrong, each thing once, when that is something else than before; never once nobody
    /// sends any more.
    pub async fn next(&mut self) -> Vec<Trouble> {
        match self.0.changed().await {
            Ok(()) => distinct(&*self.0.borrow_and_update()),
            Err(_) => std::future::pending().await,
        }
    }
}

fn distinct(troubles: &[Option<Trouble>]) -> Vec<Trouble> {
    let mut distinct = Vec::<Trouble>::new();
    for trouble in troubles.iter().flatten() {
        let is_told = |told: &&mut Trouble| told.code == trouble.code && told.why == trouble.why;
        match distinct.iter_mut().find(is_told) {
            Some(told) => told.since = told.since.min(trouble.since),
            None => distinct.push(trouble.clone()),
        }
    }
    distinct
}

/// Things that wait to be sent, put in by workers, which never wait for it.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    signal: Signal,
    room: usize,
    takers: AtomicUsize,
    waiting: Mutex<VecDeque<T>>,
    filled: Notify,
    export: Arc<Export>,
}

impl<T> Queue<T> {
    /// A queue that nobody takes from yet, with room for so many things.
    pub(crate) fn new(signal: Signal, room: usize, export: &Arc<Export>) -> Arc<Self> {
        Arc::new(Self {
            signal,
            room,
            takers: AtomicUsize::new(0),
            waiting: Mutex::default(),
            filled: Notify::new(),
            export: Arc::clone(export),
        })
    }

    /// Whether somebody takes what is put in: else nothing need be made to be put in.
    pub(crate) fn is_on(&self) -> bool {
        self.takers.load(Ordering::Relaxed) > 0
    }

    /// Puts in what `make` makes, if there is room; else that is counted.
    pub(crate) fn put(&self, make: impl FnOnce() -> T) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= self.room {
            drop(waiting);
            return self.export.lost(self.signal, Lost::NoRoom, 1);
        }
        waiting.push_back(make());
        if waiting.len() == self.room.div_ceil(2) {
            self.filled.notify_one();
        }
    }

    pub(crate) fn taker(self: &Arc<Self>) -> Taker<T> {
        self.takers.fetch_add(1, Ordering::Relaxed);
        Taker(Arc::clone(self))
    }
}

/// Takes what workers have put in. Without one, nothing is put in.
#[derive(Debug)]
pub struct Taker<T>(Arc<Queue<T>>);

impl<T> Taker<T> {
    /// The first of those that wait, at most so many.
    pub fn take(&self, most: usize) -> Vec<T> {
        let mut waiting = lock(&self.0.waiting);
        let most = most.min(waiting.len());
        let rest = waiting.split_off(most);
        mem::replace(&mut *waiting, rest).into()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        lock(&self.0.waiting).len()
    }

    /// Waits until half of the room is taken.
    pub async fn filled(&self) {
        self.0.filled.notified().await;
    }
}

/// What waits when nobody takes it any more is let go.
impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        if self.0.takers.fetch_sub(1, Ordering::Relaxed) == 1 {
            lock(&self.0.waiting).clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(why: &str, second: u64) -> Trouble {
        Trouble {
            code: Code::X001,
            endpoint: "http://otel:4317".into(),
            why: why.to_owned(),
            since: Wall::since_epoch(std::time::Duration::from_secs(second)),
        }
    }

    #[test]
    fn what_is_wrong_is_told_once_and_since_it_began() {
        let export = Export::default();
        assert_eq!(export.troubles(), []);
        export.failed(Signal::Metrics, trouble("refused", 5));
        export.failed(Signal::Logs, trouble("refused", 3));
        export.failed(Signal::Logs, trouble("refused", 9));
        assert_eq!(export.troubles(), [trouble("refused", 3)]);
        export.failed(Signal::Logs, trouble("late", 12));
        assert_eq!(
            export.troubles(),
            [trouble("refused", 5), trouble("late", 3)]
        );
        export.well(Signal::Metrics);
        export.well(Signal::Logs);
        assert_eq!(export.troubles(), []);
        assert_eq!(export.exported()[2].failures, 3);
    }

    #[test]
    fn what_has_no_room_is_lost_and_counted() {
        let export = Arc::new(Export::default());
        let queue = Queue::new(Signal::Traces, 3, &export);
        let taker = queue.taker();
        let put = |thing| queue.put(|| thing);
        (1..=5).for_each(put);
        assert_eq!(taker.waiting(), 3);
        assert_eq!(taker.take(2), [1, 2]);
        put(6);
        assert_eq!(taker.take(9), [3, 6]);
        assert_eq!(taker.waiting(), 0);
        assert_eq!(export.exported()[1].lost[0], (Lost::NoRoom, 2));
    }

    #[test]
    fn nothing_is_wanted_while_nobody_takes_it() {
        let queue = Queue::new(Signal::Logs, 3, &Arc::default());
        assert!(!queue.is_on());
        let (first, second) = (queue.taker(), queue.taker());
        drop(first);
        queue.put(|| 1);
        assert!(queue.is_on());
        drop(second);
        assert!(!queue.is_on());
        assert_eq!(queue.taker().take(9), [0; 0]);
    }
}
