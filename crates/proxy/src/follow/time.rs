//! Asks the control plane for the time: at the beginning of each connection until it is known, and
//! then every ten minutes.
//!
//! What it tells is kept beside the view, so that a proxy whose clock is wrong also knows the time
//! when it starts again without a control plane.

use std::time::Duration;

use leno_channel::Clocks;
use leno_channel::grpc::Line;
use leno_identity::{Answer, LONGEST_ROUND_TRIP, MeshTime, NotBelieved, Validity};
use leno_model::Mono;
use leno_wire::call;
use leno_wire::certificates::Time;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::follow::event::Event;
use crate::follow::folder::Folder;

/// How often the time is asked for: two clocks drift apart by a tenth of a second meanwhile.
const EVERY: Duration = Duration::from_secs(600);

/// How soon again, while nothing is known.
const AGAIN: Duration = Duration::from_secs(5);

/// When to ask, and what is asked.
#[derive(Debug, Default)]
pub(super) struct Timekeeper {
    due: Mono,
    asked: JoinSet<Option<Answer>>,
    /// Whether people were told that the host's clock is off.
    told_off: bool,
}

impl Timekeeper {
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
        let now = clocks.mono();
        if self.due <= now {
            self.due = now + if clocks.is_told() { EVERY } else { AGAIN };
            let asking = ask(line.clone(), stands, clocks.clone());
            self.asked.spawn(asking);
        }
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
        match clocks.learn(answer) {
            Ok(MeshTime::Told(told)) => {
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
        match clocks.wall_clock_off() {
            Some(off) if !self.told_off => tell(&Event::ClockOff(off)),
            None if self.told_off => tell(&Event::ClockRight),
            Some(_) | None => {}
        }
        self.told_off = clocks.wall_clock_off().is_some();
    }
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
