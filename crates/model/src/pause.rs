//! How long to wait before something that failed is tried again.

use core::num::NonZeroU32;
use core::time::Duration;

use crate::Dice;

/// Doubles from a shortest to a longest wait, each time between half of that and all of it, so that
/// many who wait for the same do not come back at once.
#[derive(Clone, Debug)]
pub struct Pause {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Pause {
    /// A pause that has not been needed yet.
    pub const fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            failures: 0,
        }
    }

    /// How long to wait after one more failure.
    pub fn next(&mut self, dice: &mut Dice) -> Duration {
        const STEPS: NonZeroU32 = NonZeroU32::new(1001).expect("not zero");
        let doubled = 2u32.saturating_pow(self.failures.min(16));
        let whole = self.shortest.saturating_mul(doubled).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        whole / 2 + whole / 2 * dice.roll(STEPS).value / 1000
    }

    /// It worked: the next failure is the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// From a tenth of a second to ten seconds.
impl Default for Pause {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew_after_a_success() {
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(10));
        let mut dice = Dice::new(1);
        let mut pause = Pause::new(shortest, longest);
        let mut whole = shortest;
        for _ in 0..20 {
            let next = pause.next(&mut dice);
            assert!(whole / 2 <= next && next <= whole, "{next:?} of {whole:?}");
            whole = (whole * 2).min(longest);
        }
        pause.reset();
        assert!(pause.next(&mut dice) <= shortest);
    }
}
