//! Whether a call is tried again: only what provably was not processed, or what its rule names,
//! within the rule's count, the service's budget and the deadline.

use core::fmt;
use core::time::Duration;

use leno_model::{Dice, Mono};

use crate::balance::{Picked, Tried};
use crate::budget::RetryBudget;
use crate::deadline::Deadline;
use leno_model::view::Retry;

/// The tries of one call.
#[derive(Debug)]
pub struct Attempts<'a> {
    #[expect(dead_code, reason = "the door")]
    retry: &'a Retry,
    #[expect(dead_code, reason = "the door")]
    budget: &'a RetryBudget,
    deadline: Deadline,
    tried: Tried,
    made: u8,
}

/// How a try failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nothing of the call reached a server that could have read it: no connection, or a reused
    /// one that had been closed.
    NotSent,
    /// The call was sent, and the connection ended before an answer began.
    NoAnswer,
    /// This answer came.
    Answered(u16),
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

impl<'a> Attempts<'a> {
    /// The first try of a call that began at `now`; it is counted in the budget.
    pub fn start(
        _retry: &'a Retry,
        _budget: &'a RetryBudget,
        _limit: Option<Duration>,
        _now: Mono,
    ) -> Self {
        unimplemented!("the door comes first")
    }

    /// When the whole call must be over.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// How many tries were made, the running one included: what `leno-attempt` says from 2 on.
    pub fn made(&self) -> u8 {
        self.made
    }

    /// The endpoints that had a try: the next pick avoids them while there are others.
    pub fn tried(&self) -> &Tried {
        &self.tried
    }

    /// Says what follows the failed try at `picked`; `None` if no endpoint was picked at all.
    /// `replayable` is whether all of the call's body can be sent again.
    pub fn after(
        &mut self,
        _picked: &Picked,
        _failure: Failure,
        _replayable: bool,
        _now: Mono,
        _dice: &mut Dice,
    ) -> Next {
        unimplemented!("the door comes first")
    }
}
