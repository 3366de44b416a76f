//! Whether a call is tried again: only what provably was not processed, or what its rule names,
//! within the rule's count, the service's budget and the deadline.

use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use leno_model::view::Retry;
use leno_model::{Dice, Mono};

use crate::balance::{Picked, Tried};
use crate::budget::RetryBudget;
use crate::deadline::Deadline;

/// The tries of one call.
#[derive(Debug)]
pub struct Attempts<'a> {
    retry: &'a Retry,
    budget: &'a RetryBudget,
    deadline: Deadline,
    tried: Tried,
    made: u8,
}

impl<'a> Attempts<'a> {
    /// The first try of a call that began at `now`; it is counted in the budget.
    pub fn start(
        retry: &'a Retry,
        budget: &'a RetryBudget,
        limit: Option<Duration>,
        now: Mono,
    ) -> Self {
        budget.deposit(now);
        Self {
            retry,
            budget,
            deadline: Deadline::after(now, limit),
            tried: Tried::default(),
            made: 1,
        }
    }

    /// Nobody waits for the call after `end`.
    pub fn hurry(&mut self, end: Mono) {
        self.deadline = self.deadline.or_sooner(end);
    }

    /// When the whole call must be over.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Whether another try may follow: then it is worth keeping what it would need.
    pub fn may_follow(&self) -> bool {
        self.made <= self.retry.attempts
    }

    /// How many tries were made, the running one included: what `leno-attempt` says from 2 on.
    pub fn made(&self) -> u8 {
        self.made
    }

    /// The endpoints that had a try: the next pick avoids them while there are others.
    pub fn tried(&self) -> &Tried {
        &self.tried
    }

    /// Says what follows when the try at `picked` failed. `replayable` is whether all of the
    /// call's body can be sent again.
    pub fn after(
        &mut self,
        picked: &Picked,
        failure: Failure,
        replayable: bool,
        now: Mono,
        dice: &mut Dice,
    ) -> Next {
        self.tried.add(picked);
        match self.again(failure, replayable, now, dice) {
            Ok(at) => {
                self.made = self.made.saturating_add(1);
                Next::Again(at)
            }
            Err(why) => Next::Stop(why),
        }
    }

    /// The budget is asked last, so that nothing is taken from it for a retry that is not made.
    fn again(
        &self,
        failure: Failure,
        replayable: bool,
        now: Mono,
        dice: &mut Dice,
    ) -> Result<Mono, WhyNot> {
        match failure {
            Failure::NotSent => {}
            // Who names a status bears that what it says happens twice, whoever would say it.
            _ if self.retry.codes.contains(&failure.told()) => {}
            Failure::Answered(_) => return Err(WhyNot::StatusNotNamed),
            Failure::NoAnswer | Failure::Late | Failure::Unanswered(_) if self.retry.unanswered => {
            }
            Failure::NoAnswer | Failure::Late | Failure::Unanswered(_) => {
                return Err(WhyNot::MaybeProcessed);
            }
        }
        if !replayable {
            return Err(WhyNot::BodyGone);
        }
        if !self.may_follow() {
            return Err(WhyNot::NoneLeft);
        }
        let at = now + self.backoff(dice);
        if self.deadline.has_passed(at) {
            return Err(WhyNot::TooLate);
        }
        if !self.budget.withdraw(now) {
            return Err(WhyNot::BudgetSpent);
        }
        Ok(at)
    }

    /// Doubled for each retry, and up to half as much again by chance, so that calls which failed
    /// together do not return together.
    //= HTTPRouteRetry backoff: "MAY add arbitrary jitter to stagger requests, as long as unsuccessful
    //= backend requests are not retried before the configured minimum duration."
    fn backoff(&self, dice: &mut Dice) -> Duration {
        let doublings = u32::from(self.made - 1).min(16);
        let least = self.retry.backoff.saturating_mul(1 << doublings);
        let roll = dice.roll(const { NonZeroU32::new(1001).unwrap() });
        least.saturating_add((least / 2000).saturating_mul(roll.value))
    }
}

/// How a try failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nothing of the call reached a server that could have read it: no connection, or a reused
    /// one that had been closed.
    NotSent,
    /// The call was sent, and the connection ended before an answer began.
    NoAnswer,
    /// The call was sent, and no answer came in the time that one try has.
    Late,
    /// This answer came.
    Answered(u16),
    /// This answer came, of the endpoint's proxy: its application gave none.
    Unanswered(u16),
}

impl Failure {
    /// The status that a caller learns it by.
    fn told(self) -> u16 {
        match self {
            Self::NotSent => 503,
            Self::NoAnswer => 502,
            Self::Late => 504,
            Self::Answered(status) | Self::Unanswered(status) => status,
        }
    }
}

/// What follows a failed try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Try again, not before this moment. The budget has been charged.
    Again(Mono),
    /// The failure stands.
    Stop(WhyNot),
}

/// Why a call is not tried again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WhyNot {
    /// It may have been processed.
    MaybeProcessed,
    /// The answer's status is not one that is tried again.
    StatusNotNamed,
    /// Bytes of the body are gone and cannot be sent again.
    BodyGone,
    /// It was tried as often as the rule says.
    NoneLeft,
    /// The service's retry budget is spent.
    BudgetSpent,
    /// The deadline would pass first.
    TooLate,
}

impl WhyNot {
    /// Half a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaybeProcessed => "it may have been processed",
            Self::StatusNotNamed => "its status is not one that is tried again",
            Self::BodyGone => "its body cannot be sent again",
            Self::NoneLeft => "it was tried as often as it may be",
            Self::BudgetSpent => "the retry budget is spent",
            Self::TooLate => "the deadline would pass first",
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
