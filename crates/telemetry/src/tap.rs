//! Watching events as they happen: a filter where they are recorded, a limit, a bounded queue.
//!
//! While nobody watches, a worker pays one atomic load an event. Whoever watches slowly misses
//! events, which are counted; no worker waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use leno_model::Code;
use tokio::sync::mpsc;

use crate::event::{Call, Edge, Event, Party};
use crate::lock::lock;
use crate::pace::Pace;
use crate::record::Record;

/// Which events are watched. Empty, it takes all.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Filter {
    /// Only those that failed.
    pub failed: bool,
    /// Only those to or from this one: `shop/cart`, or `unknown`.
    pub party: Option<String>,
    /// Only those from this one.
    pub from: Option<String>,
    /// Only those to this one.
    pub to: Option<String>,
    /// Only requests with this method.
    pub method: Option<String>,
    /// Only requests to paths that begin so.
    pub path: Option<String>,
    /// Only requests whose answer had a status between these two.
    pub status: Option<(u16, u16)>,
    /// Only those that a proxy refused or cut short for this reason.
    pub code: Option<Code>,
}

impl Filter {
    /// Whether it takes an event. A connection that could not be taken has no known parties, so that
    /// only a filter that asks for none takes it; and only calls have what a request has.
    pub fn takes(&self, event: &Event<'_>) -> bool {
        if self.failed && event.fault().is_none()
            || self.code.is_some_and(|code| event.code() != Some(code))
        {
            return false;
        }
        let asks_request = self.method.is_some() || self.path.is_some() || self.status.is_some();
        match event {
            Event::Call(call) => self.takes_edge(&call.edge) && self.takes_request(call),
            Event::Opened(_) | Event::Stream(_) | Event::Handshake(_) | Event::Accept(_) => {
                let parties = [&self.party, &self.from, &self.to];
                let takes = match event.edge() {
                    Some(edge) => self.takes_edge(edge),
                    None => parties.iter().all(|name| name.is_none()),
                };
                !asks_request && takes
            }
        }
    }

    fn takes_request(&self, call: &Call<'_>) -> bool {
        let Self {
            method,
            path,
            status,
            ..
        } = self;
        method.as_ref().is_none_or(|method| method == call.method)
            && path.as_ref().is_none_or(|path| call.path.starts_with(path))
            && status.is_none_or(|(first, last)| (first..=last).contains(&call.status))
    }

    fn takes_edge(&self, edge: &Edge<'_>) -> bool {
        let asks = |name: &Option<String>, parties: &[Party<'_>]| {
            let Some(name) = name else { return true };
            parties.iter().any(|party| party.is(name))
        };
        asks(&self.party, &[edge.source, edge.destination])
            && asks(&self.from, &[edge.source])
            && asks(&self.to, &[edge.destination])
    }
}

/// Someone who watches. Dropped, it is forgotten.
#[derive(Debug)]
pub struct Tap {
    taps: Arc<Taps>,
    watcher: Arc<Watcher>,
    records: mpsc::Receiver<Record>,
}

impl Tap {
    /// How many events a second are shown where nothing else is asked for.
    pub const LIMIT: u32 = 100;

    /// Waits for the next event. It may be cancelled without losing one.
    pub async fn next(&mut self) -> Record {
        match self.records.recv().await {
            Some(record) => record,
            // The watcher that sends is held by this tap.
            None => std::future::pending().await,
        }
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<Record> {
        self.records.try_recv().ok()
    }

    /// How many events the filter took that were not shown.
    pub fn dropped(&self) -> u64 {
        self.watcher.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.taps
            .change(|watchers| watchers.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher)));
    }
}

/// All who watch a process.
#[derive(Default, Debug)]
pub(crate) struct Taps {
    watchers: Mutex<Vec<Arc<Watcher>>>,
    /// Rises whenever `watchers` changes.
    version: AtomicU64,
    dropped: AtomicU64,
}

impl Taps {
    /// One more who watches, shown at most `limit` events a second.
    pub(crate) fn open(self: &Arc<Self>, filter: Filter, limit: u32) -> Tap {
        let (sender, records) = mpsc::channel(QUEUE);
        let watcher = Arc::new(Watcher {
            filter,
            pace: Pace::new(limit),
            sender,
            dropped: AtomicU64::new(0),
        });
        self.change(|watchers| watchers.push(watcher.clone()));
        Tap {
            taps: self.clone(),
            watcher,
            records,
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Watcher>>)) {
        let mut watchers = lock(&self.watchers);
        change(&mut watchers);
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// What one worker shows to those who watch.
#[derive(Debug)]
pub(crate) struct Shown {
    taps: Arc<Taps>,
    watchers: Vec<Arc<Watcher>>,
    version: u64,
}

impl Shown {
    pub(crate) fn new(taps: Arc<Taps>) -> Self {
        Self {
            taps,
            watchers: Vec::new(),
            version: 0,
        }
    }

    pub(crate) fn show(&mut self, event: &Event<'_>) {
        let version = self.taps.version.load(Ordering::Acquire);
        if version != self.version {
            self.version = version;
            self.watchers.clone_from(&lock(&self.taps.watchers));
        }
        for watcher in &self.watchers {
            if !watcher.show(event) {
                self.taps.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[derive(Debug)]
struct Watcher {
    filter: Filter,
    pace: Pace,
    sender: mpsc::Sender<Record>,
    dropped: AtomicU64,
}

impl Watcher {
    /// Whether the event was shown, or was not one to show.
    fn show(&self, event: &Event<'_>) -> bool {
        if !self.filter.takes(event) {
            return true;
        }
        if self.pace.permits(event.ended())
            && let Ok(room) = self.sender.try_reserve()
        {
            room.send(Record::of(event));
            return true;
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
        false
    }
}

/// So many events wait at most to be taken by who watches.
const QUEUE: usize = 256;
