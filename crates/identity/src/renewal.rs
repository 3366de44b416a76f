//! When to ask for the next certificate: at half of life, and again and again when that fails.
//! The certificate that is held stays in use until a better one comes.

use alloc::string::String;
use core::{fmt, num::NonZeroU32, time::Duration};

use leno_model::{Code, Dice, Fault, Mono, Now, Wall};

use crate::certificate::Validity;

/// The most time from a failure to the next try when the end is near.
const NEAR_THE_END: Duration = Duration::from_secs(5);

/// The most time from a failure to the next try while the end is far.
const FAR_FROM_THE_END: Duration = Duration::from_secs(300);

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Watches one certificate and says when to ask for its successor.
///
/// The shell calls [`Self::handle_timeout`] when [`Self::poll_timeout`] has come, and also after
/// the machine slept or a clock jumped; it tells what came of each try.
#[derive(Debug)]
pub struct Renewal {
    validity: Validity,
    state: State,
    failures: Option<Failures>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing to do until then.
    Fresh { due: Wall },
    /// Somebody was asked, and has until then to answer.
    Asked { until: Mono },
    /// The last try failed; the next is then.
    Resting { until: Mono },
}

#[derive(Clone, Debug)]
struct Failures {
    count: u32,
    since: Wall,
    reason: String,
}

impl Renewal {
    /// Watches a certificate that stands for `validity`; rolls when it is due.
    pub fn new(validity: Validity, dice: &mut Dice) -> Self {
        let state = State::Fresh {
            due: due(validity, dice),
        };
        Self {
            validity,
            state,
            failures: None,
        }
    }

    /// When the certificate stands that is held.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self, now: Now) -> Mono {
        match self.state {
            State::Fresh { due } => now.mono + due.since(now.wall),
            State::Asked { until } | State::Resting { until } => until,
        }
    }

    /// The longest that whoever could be asked may stay out of reach without being looked for: less, the
    /// nearer the end is.
    pub fn patience(&self, now: Now) -> Duration {
        limit(self.validity.left(now.wall))
    }

    /// Does not wait any longer, unless an answer is waited for.
    pub fn hasten(&mut self) {
        if !matches!(self.state, State::Asked { .. }) {
            let until = Mono::default();
            self.state = State::Resting { until };
        }
    }

    /// Whether to ask for a certificate at this moment. Once it says so, it waits for
    /// [`Self::handle_renewed`] or [`Self::handle_failed`], and takes silence for failure.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Now, dice: &mut Dice) -> bool {
        let ask = match self.state {
            State::Fresh { due } => due <= now.wall,
            State::Resting { until } => until <= now.mono,
            State::Asked { until } if until <= now.mono => {
                let reason = String::from("no answer came");
                self.handle_failed(reason, now, dice);
                false
            }
            State::Asked { .. } => false,
        };
        if ask {
            let until = now.mono + PATIENCE;
            self.state = State::Asked { until };
        }
        ask
    }

    /// A successor came and is in use.
    pub fn handle_renewed(&mut self, validity: Validity, dice: &mut Dice) {
        *self = Self::new(validity, dice);
    }

    /// A try failed, for a `reason` in words.
    pub fn handle_failed(&mut self, reason: String, now: Now, dice: &mut Dice) {
        let (count, since) = match &self.failures {
            Some(failures) => (failures.count.saturating_add(1), failures.since),
            None => (1, now.wall),
        };
        self.failures = Some(Failures {
            count,
            since,
            reason,
        });
        let until = now.mono + rest(count, self.validity.left(now.wall), dice);
        self.state = State::Resting { until };
    }

    /// What to tell about a certificate that should have been renewed and was not; `None` while all
    /// is well.
    pub fn trouble(&self) -> Option<NotRenewing> {
        let failures = self.failures.clone()?;
        Some(NotRenewing {
            ends: self.validity.ends,
            failures: failures.count,
            since: failures.since,
            reason: failures.reason,
        })
    }
}

/// Half of life, up to a tenth of that earlier or later, so that what was issued together is not
/// renewed together.
fn due(validity: Validity, dice: &mut Dice) -> Wall {
    validity.begins + jitter(validity.life() / 2, dice)
}

/// Doubles from a second; the limit shrinks with what is `left` of the certificate.
fn rest(failures: u32, left: Duration, dice: &mut Dice) -> Duration {
    let doubled = Duration::from_secs(1) * 2u32.saturating_pow(failures.saturating_sub(1).min(16));
    jitter(doubled, dice).min(limit(left))
}

fn limit(left: Duration) -> Duration {
    (left / 20).clamp(NEAR_THE_END, FAR_FROM_THE_END)
}

/// `span`, up to a tenth shorter or longer.
fn jitter(span: Duration, dice: &mut Dice) -> Duration {
    const STEPS: NonZeroU32 = NonZeroU32::new(2001).expect("not zero");
    let roll = dice.roll(STEPS).value;
    let tenth = span / 10;
    span - tenth + tenth * roll / 1000
}

/// A certificate that should have been renewed and was not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotRenewing {
    /// The last second of the certificate that stays in use.
    pub ends: Wall,
    /// How many tries failed.
    pub failures: u32,
    /// When the first of them failed.
    pub since: Wall,
    /// Why the last one failed.
    pub reason: String,
}

impl NotRenewing {
    /// The code of every such finding.
    pub fn code(&self) -> Code {
        Code::T007
    }

    /// Whose move it is.
    pub fn fault(&self) -> Fault {
        self.code().fault()
    }
}

/// `14 renewals failed since 2026-11-20T02:41:00.000Z: Vault answered 403; it ends at ..`
impl fmt::Display for NotRenewing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ends,
            failures,
            since,
            reason,
        } = self;
        let noun = if *failures == 1 {
            "renewal"
        } else {
            "renewals"
        };
        write!(
            f,
            "{failures} {noun} failed since {since}: {reason}; it ends at {ends}"
        )
    }
}
