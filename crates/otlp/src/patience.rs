//! When something that a collector did not take is tried again, and when it is given up.

use std::time::Duration;

use leno_model::{Dice, Mono, Pause};

/// How long it rests between two tries: from one second to ten, or for as long as the collector wants.
#[derive(Debug)]
pub(crate) struct Patience {
    pause: Pause,
    dice: Dice,
}

/// How long a batch is tried before it makes room for others.
const WORTH_WHILE: Duration = Duration::from_secs(300);

/// The longest that a collector may make us wait.
const LONGEST_REST: Duration = Duration::from_secs(600);

impl Patience {
    /// Whose dice begin at `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            pause: Pause::new(Duration::from_secs(1), Duration::from_secs(10)),
            dice: Dice::new(seed),
        }
    }

    /// How long to rest after one more failure, at which the collector may have said how long.
    pub(crate) fn rest(&mut self, wanted: Option<Duration>) -> Duration {
        let pause = self.pause.next(&mut self.dice);
        pause.max(wanted.unwrap_or_default().min(LONGEST_REST))
    }

    /// Something was taken: the next failure is the first.
    pub(crate) fn reset(&mut self) {
        self.pause.reset();
    }
}

/// Whether a batch that was first tried at `began` is worth another try after this rest.
pub(crate) fn is_worth_while(began: Mono, now: Mono, rest: Duration) -> bool {
    now.since(began) + rest <= WORTH_WHILE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rests between the tries of one batch that is never taken, in milliseconds.
    fn rests(seed: u64, wanted: Option<Duration>) -> Vec<u128> {
        let mut patience = Patience::new(seed);
        let (began, mut now) = (Mono::default(), Mono::default());
        let mut rests = Vec::new();
        loop {
            let rest = patience.rest(wanted);
            if !is_worth_while(began, now, rest) {
                return rests;
            }
            rests.push(rest.as_millis());
            now = now + rest;
        }
    }

    #[test]
    fn a_collector_that_is_away_is_tried_ever_less_often_and_a_batch_is_given_up() {
        for seed in 0..100 {
            let rests = rests(seed, None);
            let bounds = [500..=1000, 1000..=2000, 2000..=4000, 4000..=8000];
            for (rest, bound) in rests.iter().zip(bounds) {
                assert!(bound.contains(rest), "{rests:?}");
            }
            assert!(rests[4..].iter().all(|rest| (5000..=10_000).contains(rest)));
            let all: u128 = rests.iter().sum();
            assert!((290_000..=300_000).contains(&all), "{all}");
        }
        assert_ne!(
            rests(1, None),
            rests(2, None),
            "many do not come back at once"
        );
    }

    #[test]
    fn a_collector_says_how_long_it_wants_to_rest_within_bounds() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(rests(1, seconds(60)), [60_000; 5]);
        assert_eq!(rests(1, seconds(301)), [], "longer than it is worth while");
        let mut patience = Patience::new(1);
        assert_eq!(patience.rest(seconds(u64::MAX)), LONGEST_REST);
        assert!(patience.rest(seconds(0)) >= Duration::from_secs(1));
        patience.reset();
        assert!(patience.rest(None) <= Duration::from_secs(1));
    }
}
