//! The door: one [`Telemetry`] per process, one [`Recorder`] per worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leno_model::Wall;

use crate::access_log::{AccessLog, Pen};
use crate::capture::Capture;
use crate::certificates::Certificates;
use crate::event::{Event, Flow, Line};
use crate::export::{Export, Queue, Signal, Taker};
use crate::flows::{Counting, Flows, Handed, Passed};
use crate::kept::{Keeper, Keeping, Kept};
use crate::limit::Limit;
use crate::obstacles::Obstacles;
use crate::processes::Processes;
use crate::prometheus;
use crate::record::Record;
use crate::registry::{Counters, Registry, Rest};
use crate::snapshot::Snapshot;
use crate::span::Span;
use crate::tap::{Filter, Shown, Tap, Taps};

/// What is observed, and how much of it.
#[derive(Debug)]
pub struct Settings {
    /// How many series are told apart. Further ones are counted together under `other`, where their
    /// totals stay exact; those have few series, by the labels that can have few values.
    pub series: usize,
    /// Where a line for each event goes, if it goes anywhere.
    pub access_log: Option<AccessLog>,
    /// How many bytes the calls and streams may take that are kept for whoever asks later why.
    pub kept: usize,
    /// Whether what happens is observed at all. A blind process counts, keeps and tells nothing of
    /// calls: beside it one sees what observing costs.
    pub blind: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            series: 10_000,
            access_log: None,
            // With what is remembered of calls that are not kept, it is 4 MiB at most.
            kept: 13 << 18,
            blind: false,
        }
    }
}

/// Everything one process observes. A cheap handle: clones speak of the same counters.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Readers>);

#[derive(Debug)]
struct Readers {
    is_blind: bool,
    registry: Arc<Registry>,
    access_log: Option<AccessLog>,
    taps: Arc<Taps>,
    keeping: Keeping,
    handed: Arc<Handed>,
    certificates: Certificates,
    capture: Capture,
    processes: Processes,
    obstacles: Obstacles,
    export: Arc<Export>,
    spans: Arc<Queue<Span>>,
    lines: Arc<Queue<Record>>,
    /// Calls on which the filter of the access log failed.
    unfiltered: AtomicU64,
    audited: AtomicU64,
}

/// How many spans wait at most for whoever sends them.
const MOST_SPANS: usize = 2048;
/// How many lines do: of about half a kilobyte each.
const MOST_LINES: usize = 8192;

impl Readers {
    /// Puts an event to what is sent to a collector.
    fn send(&self, event: &Event<'_>) {
        if self.spans.is_on()
            && let Event::Call(call) = event
            && let Some(span) = Span::of(call)
        {
            self.spans.put(|| span);
        }
        // The one line of a stream comes when it ends.
        let is_told = event.line() != Line::No && !matches!(event, Event::Opened(_));
        if self.lines.is_on() && is_told {
            self.lines.put(|| Record::told(event));
        }
    }
}

impl Telemetry {
    /// Begins to observe, with everything at zero.
    pub fn new(settings: Settings) -> Self {
        let export = Arc::default();
        Self(Arc::new(Readers {
            is_blind: settings.blind,
            registry: Registry::new(settings.series),
            access_log: settings.access_log,
            taps: Arc::default(),
            keeping: Keeping::new(settings.kept),
            handed: Arc::default(),
            certificates: Certificates::default(),
            capture: Capture::default(),
            processes: Processes::default(),
            obstacles: Obstacles::default(),
            spans: Queue::new(Signal::Traces, MOST_SPANS, &export),
            lines: Queue::new(Signal::Logs, MOST_LINES, &export),
            export,
            unfiltered: AtomicU64::new(0),
            audited: AtomicU64::new(0),
        }))
    }

    /// A recorder for one more worker. What it counted is kept when it is dropped.
    pub fn recorder(&self) -> Recorder {
        Recorder {
            counters: self.0.registry.counters(),
            pen: self.0.access_log.as_ref().map(AccessLog::pen),
            shown: Shown::new(self.0.taps.clone()),
            keeper: self.0.keeping.keeper(),
            flows: Counting::new(self.0.handed.clone()),
            readers: self.0.clone(),
        }
    }

    /// Everything that was counted so far. Workers go on meanwhile: an event that falls into this
    /// moment may be in one number and not yet in another.
    pub fn snapshot(&self) -> Snapshot {
        let Rest {
            folded,
            refused,
            handshakes,
            accepts,
            limits,
        } = self.0.registry.rest();
        Snapshot {
            series: self.0.registry.totals(),
            refused,
            handshakes,
            accepts,
            certificates: self.0.certificates.standings(),
            captured: self.0.capture.each(),
            pod_processes: self.0.processes.ends(),
            limits,
            folded,
            log_dropped: self.0.access_log.as_ref().map_or(0, AccessLog::dropped),
            tap_dropped: self.0.taps.dropped(),
            exported: self.0.export.exported(),
            log_unfiltered: self.0.unfiltered.load(Ordering::Relaxed),
            audited: self.0.audited.load(Ordering::Relaxed),
        }
    }

    /// The body of a scrape.
    pub fn scrape(&self, format: prometheus::Format) -> Vec<u8> {
        let kept = match format {
            prometheus::Format::Text => Kept::default(),
            prometheus::Format::OpenMetrics | prometheus::Format::Protobuf => self.kept(),
        };
        format.write(&self.snapshot().exposition(&kept))
    }

    /// How the certificates stand that this process holds.
    pub fn certificates(&self) -> &Certificates {
        &self.0.certificates
    }

    /// Whether what workloads send comes to this process.
    pub fn capture(&self) -> &Capture {
        &self.0.capture
    }

    /// The processes that this one keeps going, each for one pod.
    pub fn processes(&self) -> &Processes {
        &self.0.processes
    }

    /// What is in the way of this process, if it is the proxy of a node.
    pub fn obstacles(&self) -> &Obstacles {
        &self.0.obstacles
    }

    /// What becomes of what is sent to a collector.
    pub fn export(&self) -> &Arc<Export> {
        &self.0.export
    }

    /// The calls and streams that are kept: what failed, the slowest, a sample of the rest.
    pub fn kept(&self) -> Kept {
        self.0.keeping.kept()
    }

    /// What is remembered of the last call whose id begins with these digits, eight at least, whether
    /// it is kept or not: as each of its proxies saw it that is in this process. Nothing, while nobody
    /// takes [`Self::flows`].
    pub fn passed(&self, digits: &str) -> Vec<Passed> {
        self.0.handed.passed(digits)
    }

    /// Takes the spans of all workers. Without anybody who takes them, calls are not traced.
    pub fn spans(&self) -> Taker<Span> {
        self.0.spans.taker()
    }

    /// Takes what is written into access logs.
    pub fn lines(&self) -> Taker<Record> {
        self.0.lines.taker()
    }

    /// What goes between services, by kind of call, from here on. Without it nothing of the kind is
    /// counted.
    pub fn flows(&self) -> Flows {
        self.0.handed.flows()
    }

    /// Watches the events that `filter` takes, at most `limit` a second; [`Tap::LIMIT`] is for people.
    pub fn tap(&self, filter: Filter, limit: u32) -> Tap {
        self.0.taps.open(filter, limit)
    }
}

/// Where one worker says what happened. It shares no lock with other workers, except for the first
/// event of a series.
#[derive(Debug)]
pub struct Recorder {
    counters: Counters,
    pen: Option<Pen>,
    shown: Shown,
    keeper: Keeper,
    flows: Counting,
    /// Keeps the thread that writes the log while there is somebody to write for.
    readers: Arc<Readers>,
}

impl Recorder {
    /// Says that something happened. It never waits for whoever reads it.
    pub fn record(&mut self, event: &Event<'_>) {
        if self.readers.is_blind {
            return;
        }
        self.counters.count(event);
        if event.line() == Line::Unfiltered {
            self.readers.unfiltered.fetch_add(1, Ordering::Relaxed);
        }
        if let audited @ 1.. = event.audited().len() as u64 {
            self.readers.audited.fetch_add(audited, Ordering::Relaxed);
        }
        if let Some(pen) = &mut self.pen {
            pen.write(event);
        }
        self.shown.show(event);
        self.keeper.keep(event);
        self.flows.count(event);
        self.readers.send(event);
    }

    /// Whether somebody takes spans: else it is of no use to trace a call.
    pub fn takes_spans(&self) -> bool {
        self.readers.spans.is_on()
    }

    /// Counts bytes of something that goes on; its last event says how many of its own these were.
    pub fn flow(&mut self, flow: &Flow<'_>) {
        if self.readers.is_blind {
            return;
        }
        self.counters.count_bytes(flow);
        self.flows.count_bytes(flow);
    }

    /// Says that a limit bit so many times where nothing was refused.
    pub fn bit(&mut self, limit: Limit, times: u64) {
        if !self.readers.is_blind {
            self.counters.bit(limit, times);
        }
    }

    /// Whether there is something to [`Self::hand_over`].
    pub fn holds_flows(&self) -> bool {
        self.flows.holds_any()
    }

    /// Hands what was counted up to `now` to whoever gathers [`Telemetry::flows`].
    pub fn hand_over(&mut self, now: Wall) {
        self.flows.hand_over(now);
    }
}
