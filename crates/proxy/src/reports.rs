//! Reports of what goes through a proxy on their way to its control plane: gathered from the workers
//! while anything goes, sent one after the other, each again and again until it is known to be kept.

use std::future::Future;
use std::time::Duration;

use leno_channel::Clocks;
use leno_model::{Dice, Mono};
use leno_telemetry::{Flows, Telemetry};
use leno_wire::flows::{Boot, Outbox, Taken};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

/// What goes through a proxy, for whoever keeps it.
#[derive(Debug)]
pub struct Reports {
    flows: Flows,
    outbox: Outbox,
    clocks: Clocks,
    /// Whether workers have handed over what is not in the outbox yet.
    has_more: bool,
    /// When the next report is made, at the earliest.
    due: Mono,
    pause: Duration,
    /// When the next one is sent, at the earliest.
    rested: Mono,
    sent: JoinSet<Result<Taken, NotTaken>>,
    /// How many calls people know to be lost.
    told_lost: u64,
}

/// What is there to tell people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A report was refused for good.
    Refused(String),
    /// So many calls are in no report: there was no room for them while nobody took any.
    Lost(u64),
}

/// Why a report was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotTaken {
    /// It never will be, for this reason.
    Never(String),
    /// It may be later.
    Yet,
}

/// How long to wait between two reports while nobody has said it.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that is taken from a control plane.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long to wait after a report that was not taken.
const REST: Duration = Duration::from_secs(5);

impl Reports {
    /// Those of `proxy`, which begins to live; what its workers count from here on is in them.
    pub fn new(proxy: &str, telemetry: &Telemetry, clocks: Clocks, dice: &mut Dice) -> Self {
        let now = clocks.now();
        Self {
            flows: telemetry.flows(),
            outbox: Outbox::new(proxy, Boot::roll(dice), now.wall, Outbox::ROOM),
            clocks,
            has_more: false,
            due: now.mono,
            pause: PAUSE,
            rested: now.mono,
            sent: JoinSet::new(),
            told_lost: 0,
        }
    }

    /// Sends the next report by `deliver`, unless there is none or one is on its way.
    pub fn send<F>(&mut self, deliver: impl FnOnce(Vec<u8>) -> F)
    where
        F: Future<Output = Result<Taken, NotTaken>> + Send + 'static,
    {
        if !self.sent.is_empty() || self.clocks.mono() < self.rested {
            return;
        }
        if let Some(message) = self.outbox.next() {
            self.sent.spawn(deliver(message.to_vec()));
        }
    }

    /// What was on its way may have been taken or not: it is sent again.
    pub fn begin_anew(&mut self) {
        self.sent.abort_all();
        self.sent = JoinSet::new();
        self.rested = self.clocks.mono();
    }

    /// Waits for the next thing that happens: then there may be something to [`Self::send`], and
    /// something to tell.
    pub async fn turn(&mut self) -> Option<Told> {
        let rests = self.outbox.next().is_some() && self.clocks.mono() < self.rested;
        let due = self.clocks.instant(self.due);
        let rested = self.clocks.instant(self.rested);
        tokio::select! {
            () = self.flows.arrived(), if !self.has_more => self.has_more = true,
            () = sleep_until(due), if self.has_more => self.gather(),
            () = sleep_until(rested), if rests => {}
            Some(sent) = self.sent.join_next(), if !self.sent.is_empty() => {
                return self.hear(sent.unwrap_or(Err(NotTaken::Yet)));
            }
        }
        None
    }

    /// Gathers what is left when nothing goes through the proxy any more; whether anything is to be
    /// sent.
    pub fn gather_the_last(&mut self) -> bool {
        self.begin_anew();
        self.gather();
        self.outbox.next().is_some()
    }

    /// Sends by `deliver` until nothing is left or it fails.
    pub async fn finish(&mut self, deliver: impl AsyncFn(Vec<u8>) -> Result<Taken, NotTaken>) {
        while let Some(message) = self.outbox.next() {
            match deliver(message.to_vec()).await {
                Ok(taken) => self.outbox.taken(&taken),
                Err(NotTaken::Never(_)) => self.outbox.refused(),
                Err(NotTaken::Yet) => return,
            }
        }
    }

    fn gather(&mut self) {
        let gathered = self.flows.gather();
        let now = self.clocks.now();
        self.has_more = false;
        self.due = now.mono + self.pause;
        let (folded, lost) = (gathered.folded, gathered.lost);
        self.outbox.put(gathered.flows, folded, lost, now.wall);
    }

    fn hear(&mut self, sent: Result<Taken, NotTaken>) -> Option<Told> {
        match sent {
            Ok(taken) => {
                self.outbox.taken(&taken);
                self.pause = taken.pause.clamp(PAUSE, LONGEST_PAUSE);
                let lost = self.outbox.lost();
                let more = lost.saturating_sub(self.told_lost);
                self.told_lost = lost;
                (more > 0).then_some(Told::Lost(more))
            }
            Err(NotTaken::Never(why)) => {
                self.outbox.refused();
                Some(Told::Refused(why))
            }
            Err(NotTaken::Yet) => {
                self.rested = self.clocks.mono() + REST;
                None
            }
        }
    }
}
