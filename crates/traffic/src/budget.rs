//! How many retries there may be beside first tries. Exact for the whole process: all workers
//! share one budget per service port, and it takes no lock.

use leno_model::Mono;
use leno_model::view::Budget;

/// The retries of one service port over the last ten seconds.
#[derive(Debug)]
pub struct RetryBudget {}

impl RetryBudget {
    /// A budget of which nothing is spent.
    pub fn new(_limits: Budget) -> Self {
        unimplemented!("the door comes first")
    }

    /// Counts a first try.
    pub fn deposit(&self, _now: Mono) {
        unimplemented!("the door comes first")
    }

    /// Takes one retry out; `false` if none is left.
    pub fn withdraw(&self, _now: Mono) -> bool {
        unimplemented!("the door comes first")
    }
}
