//! Asks the control plane for the time: at the beginning of each connection until it is known, then
//! every ten minutes, and at once when the host's clocks say that the machine may have stood still.
//!
//! What it tells is kept beside the view, so that a proxy whose clock is wrong also knows the time
//! when it starts again without a control plane.

use std::time::Duration;

use leno_channel::Clocks;
use leno_channel::grpc::{self, Line, Proven};
use leno_identity::{
    Answer, LONGEST_ROUND_TRIP, Lookout, MeshTime, NotBelieved, StoodStill, Trust, Validity,
    WALL_CLOCK_BOUND,
};
use leno_model::{Mono, SpiffeId};
use leno_wire::call;
use leno_wire::certificates::Time;
use leno_wire::troubles::Trouble;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::follow::event::Event;
use crate::follow::folder::Folder;
use crate::follow::stream::EndWith;

/// How often the time is asked for: two clocks drift apart by a tenth of a second meanwhile.
const EVERY: Duration = Duration::from_secs(600);

/// How soon again, while nothing is known, or what is known is doubtful.
const AGAIN: Duration = Duration::from_secs(5);

/// For how long it is told that the machine stood still.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// When to ask, and what is asked.
#[derive(Debug)]
pub(super) struct Timekeeper {
    due: Mono,
    /// Whether the machine may have stood still since the time was told last.
    is_doubtful: bool,
    asked: JoinSet<Option<Answer>>,
    lookout: Lookout,
    wrong: watch::Sender<Wrong>,
}

/// What is wrong with the host's clocks, for the control plane.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Wrong {
    wall: Option<Trouble>,
    /// Until when it is told, too.
    stood_still: Option<(Trouble, Mono)>,
}

impl Wrong {
    /// Each thing.
    pub(super) fn troubles(&self) -> impl Iterator<Item = Trouble> {
        let stood_still = self.stood_still.iter().map(|(trouble, _)| trouble);
        self.wall.iter().chain(stood_still).cloned()
    }
}

impl Timekeeper {
    /// Looks at the clocks from here on.
    pub(super) fn new(clocks: &Clocks) -> Self {
        Self {
            due: Mono::default(),
            is_doubtful: false,
            asked: JoinSet::new(),
            lookout: Lookout::new(clocks.shown()),
            wrong: watch::Sender::default(),
        }
    }

    /// What is wrong, as it changes.
    pub(super) fn wrong(&self) -> watch::Receiver<Wrong> {
        self.wrong.subscribe()
    }

    /// Looks whether the machine stood still since the last look, and asks for the time at once if it may have.
    pub(super) fn look(&mut self, clocks: &Clocks, tell: &mut impl FnMut(&Event)) {
        let shown = clocks.shown();
        let looked = self.lookout.look(shown);
        if looked.is_doubtful || looked.slept.is_some() {
            self.due = shown.mono;
            self.is_doubtful = true;
            // What was asked before is no answer to that.
            self.asked = JoinSet::new();
        }
        if let Some(slept) = looked.slept.filter(|slept| *slept > WALL_CLOCK_BOUND) {
            self.stood_still(StoodStill::Slept(slept), clocks, tell);
        }
        self.wrong.send_if_modified(|wrong| {
            let is_over = |(_, until): &(Trouble, Mono)| *until <= shown.mono;
            wrong.stood_still.take_if(|told| is_over(told)).is_some()
        });
    }

    fn stood_still(&self, stood: StoodStill, clocks: &Clocks, tell: &mut impl FnMut(&Event)) {
        let trouble = Trouble {
            code: stood.code(),
            about: HOST.into(),
            why: stood.to_string(),
            since: clocks.now().wall,
        };
        let until = clocks.mono() + REMEMBERED;
        self.wrong
            .send_modify(|wrong| wrong.stood_still = Some((trouble, until)));
        tell(&Event::StoodStill(stood));
    }

    /// A connection begins: whatever was asked on the one before is not answered any more.
    pub(super) fn begin(&mut self, now: Mono) {
        self.asked.abort_all();
        self.due = now;
    }

    /// When [`Self::ask`] should be called next.
    pub(super) fn due(&self, clocks: &Clocks) -> Instant {
        clocks.instant(self.due)
    }

    /// Asks, if it is time to, whoever proved itself by what `stands`.
    pub(super) fn ask(&mut self, line: &Line, stands: Validity, clocks: &Clocks) {
        if self.is_time(clocks) {
            let asking = ask(line.clone(), stands, clocks.clone());
            self.asked.spawn(asking);
        }
    }

    /// Whether it is time to ask. It is not again for a while, in which an answer may come.
    fn is_time(&mut self, clocks: &Clocks) -> bool {
        let now = clocks.mono();
        let is_time = self.due <= now;
        if is_time {
            let is_known = clocks.is_told() && !self.is_doubtful;
            self.due = now + if is_known { EVERY } else { AGAIN };
        }
        is_time
    }

    /// What came of a question; pending while none is under way.
    pub(super) async fn answered(&mut self) -> Option<Answer> {
        match self.asked.join_next().await {
            Some(answered) => answered.ok().flatten(),
            None => std::future::pending().await,
        }
    }

    /// Goes by the answer and keeps it, and tells people about clocks that are wrong.
    pub(super) fn take(
        &mut self,
        answer: Answer,
        clocks: &Clocks,
        folder: &Folder,
        tell: &mut impl FnMut(&Event),
    ) {
        let held = clocks.known();
        match clocks.learn(answer) {
            Ok(learned @ MeshTime::Told(told)) => {
                self.due = clocks.mono() + EVERY;
                self.is_doubtful = false;
                if let Some(stood) = StoodStill::between(&held, &learned) {
                    self.stood_still(stood, clocks, tell);
                }
                if let Err(error) = folder.keep_time(&told) {
                    let why = error.to_string();
                    tell(&Event::NotSaved { why });
                }
            }
            // The next one may say more.
            Ok(MeshTime::Unknown) | Err(NotBelieved::TooSlow { .. }) => {}
            Err(why @ NotBelieved::OutsideItsCertificate { .. }) => {
                tell(&Event::TimeNotBelieved(why));
            }
        }
        self.compare(clocks, tell);
    }

    /// Tells people when the host's clock begins to be off, and when it is right again.
    fn compare(&self, clocks: &Clocks, tell: &mut impl FnMut(&Event)) {
        let since = self.wrong.borrow().wall.as_ref().map(|told| told.since);
        let off = clocks.wall_clock_off();
        match off {
            Some(off) if since.is_none() => tell(&Event::ClockOff(off)),
            None if since.is_some() => tell(&Event::ClockRight),
            Some(_) | None => {}
        }
        let wall = off.map(|off| Trouble {
            code: off.code(),
            about: HOST.into(),
            why: off.to_string(),
            since: since.unwrap_or_else(|| clocks.now().wall),
        });
        self.wrong.send_if_modified(|wrong| {
            let has_changed = wrong.wall != wall;
            wrong.wall = wall;
            has_changed
        });
    }
}

/// What troubles with clocks are about.
const HOST: &str = "host";

/// Asks the control plane at `address` for the time, showing no certificate. A machine that was paused counts too
/// little: it takes the other's certificate for one that has not begun, or shows one of its own that has ended, and cannot
/// connect before it knows the time.
pub(super) async fn ask_as_nobody(
    trust: &Trust,
    clocks: &Clocks,
    address: &str,
    expected: &SpiffeId,
) -> Option<Answer> {
    let stream = grpc::connect(address).await.ok()?;
    let joining = grpc::join(stream, clocks.later(), Proven::ByTrust(trust), expected).await;
    let joining = joining.ok()?;
    let (line, run) = Line::open(joining.stream).await.ok()?;
    let _run = EndWith(tokio::spawn(async move {
        // Why it ended is told by the call that ends with it.
        drop(run.await);
    }));
    ask(line, joining.peer.stands(), clocks.clone()).await
}

/// An answer that is late, or a control plane that does not know the call, says nothing.
async fn ask(line: Line, stands: Validity, clocks: Clocks) -> Option<Answer> {
    let asked = clocks.boot();
    let answered = timeout(LONGEST_ROUND_TRIP, line.ask(call::TIME, &[])).await;
    let came = clocks.boot();
    let Time(told) = Time::decode(&answered.ok()?.ok()?).ok()?;
    Some(Answer {
        asked,
        came,
        told,
        stands,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use leno_channel::{boot, wall};
    use leno_identity::Boot;

    use super::*;

    #[test]
    fn what_is_doubtful_is_asked_about_until_somebody_answered_in_time() {
        static PAUSED: AtomicU64 = AtomicU64::new(0);
        let hour = Duration::from_secs(3600);
        let clocks = Clocks::with(wall, || {
            let paused = Duration::from_secs(PAUSED.load(Ordering::SeqCst));
            Boot(boot().0 + Duration::from_secs(86_400) - paused)
        });
        let place = std::env::temp_dir().join(format!("leno-time-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        let folder = Folder::at(&place);
        let mut keeper = Timekeeper::new(&clocks);
        // Asks if it is time to, is told after so long, and says whether it asks again within a minute.
        let asks = |keeper: &mut Timekeeper, took: Option<Duration>| {
            keeper.look(&clocks, &mut |_| {});
            assert!(keeper.is_time(&clocks));
            assert!(!keeper.is_time(&clocks));
            if let Some(took) = took {
                let asked = clocks.boot();
                let answer = Answer {
                    asked,
                    came: Boot(asked.0 + took),
                    told: wall(),
                    stands: Validity {
                        begins: wall() - hour,
                        ends: wall() + hour,
                    },
                };
                keeper.take(answer, &clocks, &folder, &mut |_| {});
            }
            keeper.due <= clocks.mono() + Duration::from_secs(60)
        };
        assert!(asks(&mut keeper, None));
        keeper.due = clocks.mono();
        assert!(!asks(&mut keeper, Some(Duration::ZERO)));

        PAUSED.store(3600, Ordering::SeqCst);
        assert!(asks(&mut keeper, None));
        keeper.due = clocks.mono();
        assert!(asks(&mut keeper, Some(2 * LONGEST_ROUND_TRIP)));
        keeper.due = clocks.mono();
        assert!(!asks(&mut keeper, Some(Duration::ZERO)));
        std::fs::remove_dir_all(&place).unwrap();
    }
}
